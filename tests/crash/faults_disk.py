# SPDX-License-Identifier: GPL-2.0-or-later
"""What of the files a run wrote is known to be on the disk, by its recording (lib/sys/record.h).

A sync covers what was written before it began.  One that was failed is not in the recording, but a note is; what was
waiting for it is on the disk only when it has been written again and synced: the kernel may have thrown it away."""


class Disk:
    """images: {file's identity: bytes known to be on the disk}; names: {identity: the name it has}."""

    def __init__(self, entries):
        self.images, self.names = {}, {}
        self.waiting, self.begun = {}, {}
        for entry in entries:
            self.take(entry)

    def take(self, e):
        file = e.args.get('id')
        if e.call == 'note' and (b' at fdatasync ' in e.data or b' at fsync ' in e.data):
            self.waiting.clear()
        elif file and e.call in ('pwrite', 'pwritev', 'write', 'writev') and e.result > 0:
            self.names.setdefault(file, e.args['file'])
            waiting = self.waiting.setdefault(file, [])
            # Without a position it goes behind what was written so.
            at = int(e.args['at']) if 'at' in e.args else sum(len(data) for _, data in waiting)
            waiting.append((at, e.data[:e.result]))
        elif e.call == 'renameat' and e.result == 0 and file in self.names:
            self.names[file] = e.args['to']
        elif e.call in ('fdatasync-begin', 'fsync-begin'):
            self.begun[file] = len(self.waiting.get(file, []))
        elif e.call in ('fdatasync', 'fsync') and e.result == 0 and file in self.waiting:
            covered = self.waiting[file][:self.begun[file]]
            self.waiting[file] = self.waiting[file][self.begun[file]:]
            image = self.images.setdefault(file, bytearray())
            for at, data in covered:
                image.extend(bytes(max(0, at + len(data) - len(image))))
                image[at:at + len(data)] = data

    def of(self, suffix):
        """What is known of the files of such a name."""
        return [bytes(image) for file, image in self.images.items() if self.names[file].endswith(suffix)]
