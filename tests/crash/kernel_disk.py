# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk whose writes fail as asked: kernel_disk.c, a file in FUSE, under a loop device."""
import mmap
import os
import shutil
import struct
import subprocess
import time

import kernel_fs

PASS, FAIL_DATA, FAIL_ALL, DROP_DATA = range(4)
HERE = os.path.dirname(os.path.abspath(__file__))


def why_not():
    """The reason for which there is no such disk; builds it where there can be."""
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        return 'no /dev/fuse'
    if not shutil.which('pkg-config'):
        return 'no pkg-config'
    flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'fuse3'], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, check=False)
    if flags.returncode:
        return 'no libfuse3-dev'
    kernel_fs.run('cc', '-O2', '-D_GNU_SOURCE', '-o', 'kernel_disk', HERE + '/kernel_disk.c',
                  *flags.stdout.decode().split())
    return None


class Disk:
    def __init__(self, size):
        self.image, self.point = os.path.abspath('disk-image'), os.path.abspath('disk')
        self.path = self.point + '/disk'
        os.makedirs(self.point, exist_ok=True)
        for name, length in ((self.image, size), ('disk-control', 4096)):
            with open(name, 'wb') as file:
                file.truncate(length)
        with open('disk-control', 'r+b') as file:
            self.control = mmap.mmap(file.fileno(), 4096)
        self.process = subprocess.Popen([os.path.abspath('kernel_disk'), self.image, 'disk-control', self.point],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.path):
            if self.process.poll() is not None:
                raise RuntimeError('kernel_disk ended with %d' % self.process.returncode)
            time.sleep(0.002)

    def mode(self, mode, start=0, end=0):
        """From now on; only bytes [start, end) of the disk, where given."""
        self.control[8:24] = struct.pack('=QQ', start, end)
        self.control[0:4] = struct.pack('=I', mode)

    def counted(self):
        """(writes failed, writes dropped), in blocks, so far."""
        return struct.unpack('=QQ', self.control[24:40])

    def close(self):
        self.mode(PASS)
        kernel_fs.LIBC.umount2(self.point.encode(), 2)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # a test that broke may have left a file open on it
            self.process.kill()
            self.process.wait()
        os.unlink(self.image)
