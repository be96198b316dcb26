# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems on images, to be crashed: mounted in a mount namespace of this process alone, so that nothing
stays behind however it ends.  A loop device is freed by the kernel when its last mount and descriptor go."""
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number
SYNC, LOG, NOTHING = 0, 1, 2  # what is written out before it: all, the journal, nothing
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000

MKFS = {
    'ext4': ['mkfs.ext4', '-q', '-F', '-b', '4096', '-m', '0', '-J', 'size=4', '-E', 'lazy_itable_init=0,nodiscard'],
    'ext4 without journal': ['mkfs.ext4', '-q', '-F', '-b', '4096', '-m', '0', '-O', '^has_journal',
                             '-E', 'lazy_itable_init=0,nodiscard'],
    'xfs': ['mkfs.xfs', '-q', '-f', '-K'],
}
NEEDS = ['losetup', 'mkfs.ext4', 'e2fsck', 'mkfs.xfs']


def call(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def run(*argv, allow=(0,)):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode not in allow:
        raise RuntimeError('%s: status %d: %s' % (' '.join(argv), done.returncode, done.stdout.decode()))
    return done.stdout.decode()


def why_not():
    """The reason for which nothing can be mounted here; None where it can."""
    if os.geteuid() != 0:
        return 'not root'
    lack = [tool for tool in NEEDS if not shutil.which(tool, path=os.environ['PATH'] + ':/sbin:/usr/sbin')]
    if lack:
        return 'no ' + ', '.join(lack)
    try:
        call(LIBC.unshare(CLONE_NEWNS))
        call(LIBC.mount(None, b'/', None, MS_REC | MS_PRIVATE, None))
    except OSError as error:
        return 'no mount namespace of its own: %s' % error
    with open('probe', 'wb') as probe:
        probe.truncate(1 << 20)
    try:
        os.close(attach('probe')[1])
    except (OSError, RuntimeError) as error:
        return 'no loop device: %s' % error
    finally:
        os.unlink('probe')
    return None


def attach(path):
    """(loop device, descriptor): freed when the descriptor and every mount are closed."""
    device = run('losetup', '--find', '--show', path).strip()
    fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    run('losetup', '--detach', device)
    return device, fd


class FileSystem:
    """kind: a key of MKFS.  image: a file, made here unless it is there (a disk of kernel_disk's)."""

    def __init__(self, kind, size, image=None, options=''):
        self.kind, self.type, self.options = kind, kind.split()[0], options
        self.own = image is None
        self.image = image or os.path.abspath('image-%d' % time.monotonic_ns())
        self.at = os.path.abspath('mount')
        os.makedirs(self.at, exist_ok=True)
        self.mounted, self.repaired = False, ''
        if self.own:
            with open(self.image, 'wb') as file:
                file.truncate(size)
        self.device, self.fd = attach(self.image)
        run(*MKFS[kind], self.device)

    def mount(self):
        for _ in range(100):
            done = LIBC.mount(self.device.encode(), self.at.encode(), self.type.encode(), 0, self.options.encode())
            if done == 0:
                break
            if ctypes.get_errno() != 16:
                call(done)
            time.sleep(0.01)
        call(done)
        self.mounted = True

    def unmount(self):
        """Also right after a load was ended: what it mapped may take a moment to go."""
        for _ in range(500):
            done = LIBC.umount2(self.at.encode(), 0)
            if done == 0 or ctypes.get_errno() != 16:
                break
            time.sleep(0.01)
        call(done)
        self.mounted = False

    def crash(self, flag):
        try:
            fd = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return  # it went down by itself
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack('I', flag))
        finally:
            os.close(fd)

    def remount(self):
        self.unmount()
        if self.kind == 'ext4 without journal':
            self.repaired = run('e2fsck', '-fy', self.device, allow=(0, 1))  # what every boot does with such a one
        self.mount()

    def close(self):
        if self.mounted:
            LIBC.umount2(self.at.encode(), 2)
            self.mounted = False
        os.close(self.fd)
        if self.own:
            os.unlink(self.image)
