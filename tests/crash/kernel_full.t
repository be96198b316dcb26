#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=300
# mq-test: alone
# mq-test: no-sanitize
#
# A disk that is full: publishing waits for space, and nothing else minds.  Needs root and loop devices.
import errno
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernel_fs  # noqa: E402
from kernel_test import WRITER, main, partition, say, test, verify, with_parent  # noqa: E402

SMALL = {'ext4': 16 << 20, 'xfs': 320 << 20}


def make_room(fs):
    os.truncate(fs.at + '/filler', 0)


def fill_up(fs):
    """The filler takes what is left, to the last block."""
    fd = os.open(fs.at + '/filler', os.O_WRONLY | os.O_APPEND)
    for piece in (1 << 20, 1 << 16, 4096, 1):
        try:
            while True:
                os.write(fd, bytes(piece))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
    os.fsync(fd)
    os.close(fd)


class Filler:
    """A publisher that appends until it is told that there is no space, and then tries that very append again."""

    def __init__(self, directory, reports, number):
        self.process = subprocess.Popen([WRITER, 'fill', directory, reports, str(number)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, preexec_fn=with_parent, universal_newlines=True)

    def said(self, word):
        line = self.process.stdout.readline()
        assert line.startswith(word + ' '), 'not "%s" but "%s"' % (word, line.strip())
        return line

    def again(self):
        self.process.stdin.write('again\n')
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0


def small(kind):
    """A small file system, the most of an XFS taken beforehand."""
    fs = kernel_fs.FileSystem(kind, SMALL[kind])
    fs.mount()
    if kind == 'xfs':
        fd = os.open(fs.at + '/ballast', os.O_WRONLY | os.O_CREAT)
        room = os.fstatvfs(fd)
        os.posix_fallocate(fd, 0, room.f_bavail * room.f_bsize - (12 << 20))
        os.close(fd)
    with open(fs.at + '/filler', 'wb') as filler:
        filler.write(bytes(3 << 20))
    return fs


@test
def an_append_without_space_says_so_and_the_same_append_succeeds_when_space_returns():
    for kind in SMALL:
        fs = small(kind)
        try:
            directory, reports = partition(fs)
            publisher = Filler(directory, reports, 1)
            publisher.said('full')
            for _ in range(3):
                fill_up(fs)
                publisher.again()
                publisher.said('full')
                make_room(fs)
                publisher.again()
                while publisher.process.stdout.readline().startswith('done'):
                    pass  # until it is full once more
            publisher.end()
            fs.remount()
            counted = verify(directory, reports, 'full')
            say('%s: %s' % (kind, counted))
            assert counted['durable'] > 20
        finally:
            fs.close()


@test
def a_full_disk_that_crashes_is_recovered_and_read_without_room():
    for kind in SMALL:
        for flag in (kernel_fs.NOTHING, kernel_fs.LOG, kernel_fs.SYNC):
            fs = small(kind)
            try:
                directory, reports = partition(fs)
                publisher = Filler(directory, reports, 1)
                publisher.said('full')
                fill_up(fs)
                publisher.again()
                publisher.said('full')
                fs.crash(flag)
                publisher.end()
                fs.remount()
                fill_up(fs)
                verify(directory, reports, 'full')
                make_room(fs)
                verify(directory, reports)
            finally:
                fs.close()


def mq(*argv, data=None, status=0):
    done = subprocess.run(argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == status, '%s: status %d: %s' % (' '.join(argv), done.returncode, done.stderr.decode())
    return done.stdout


def numbers(start, end):
    return b''.join(b'%d\n' % i for i in range(start, end))


BIG = ('mq-publish', '--timeout', '200ms', 'orders')


@test
def on_a_full_disk_a_group_consumes_and_commits_and_goes_on_after_a_crash():
    # Not on XFS: full to the last block it creates no file, not even an empty one, so no member can join (75).
    fs = small('ext4')
    try:
        os.environ['MQ_SPOOL'] = fs.at + '/spool'
        mq('mq-publish', 'orders', data=numbers(0, 1000))
        assert mq('mq-consume', '-g', 'till', '-n', '10', 'orders') == numbers(0, 10)
        fill_up(fs)
        assert mq('mq-consume', '-g', 'till', '-n', '10', 'orders') == numbers(10, 20)
        mq(*BIG, data=b'x' * 500000 + b'\n', status=75)  # the start of it may stand behind the end from now on
        fs.crash(kernel_fs.LOG)
        fs.remount()
        fill_up(fs)
        assert mq('mq-consume', '-g', 'till', '-n', '10', 'orders') == numbers(20, 30)
        mq(*BIG, data=b'x' * 500000 + b'\n', status=75)
        assert mq('mq-consume', '-g', 'till', 'orders') == numbers(30, 1000)
        make_room(fs)
        mq('mq-publish', 'orders', data=b'last\n')
        assert mq('mq-consume', '-g', 'till', 'orders') == b'last\n'
        mq('mq-check')
    finally:
        fs.close()


@test
def on_a_full_disk_all_is_read_without_a_group():
    for kind in SMALL:
        fs = small(kind)
        try:
            os.environ['MQ_SPOOL'] = fs.at + '/spool'
            mq('mq-publish', 'orders', data=numbers(0, 1000))
            fill_up(fs)
            mq(*BIG, data=b'x' * 500000 + b'\n', status=75)
            assert mq('mq-consume', 'orders') == numbers(0, 1000)
            fs.crash(kernel_fs.LOG)
            fs.remount()
            fill_up(fs)
            assert mq('mq-consume', 'orders') == numbers(0, 1000)
        finally:
            fs.close()


sys.exit(main())
