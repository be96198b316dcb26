#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# mq-test: alone
# mq-test: no-sanitize
#
# File systems that really crash under publishers: the shutdown ioctls of ext4 and XFS.  Needs root and loop devices.
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernel_fs  # noqa: E402
from kernel_test import DICE, Load, add, main, partition, say, test, verify  # noqa: E402


def crash(fs, directory, reports, number):
    """Load, crash at a random moment, mount again, check.  None: ext4 without a journal lost the map of a file that was
    synced (its inode went out with a neighbour's, its extent block did not), and e2fsck emptied it."""
    load = Load('write', directory, reports, number, DICE.choice((1, 2, 4)))
    time.sleep(DICE.uniform(0.002, 0.02))
    fs.crash(DICE.choice((kernel_fs.SYNC, kernel_fs.LOG, kernel_fs.NOTHING, kernel_fs.NOTHING)))
    load.end()
    fs.remount()
    if 'invalid extent' in fs.repaired or 'Clear? yes' in fs.repaired:
        return None
    try:
        return verify(directory, reports)
    except AssertionError as error:
        if os.environ.get('KERNEL_KEEP'):
            subprocess.run(['cp', '-a', directory, reports, os.environ['KERNEL_KEEP']], check=False)
        raise AssertionError('crash %d: %s%s' % (number, error, fs.repaired)) from error


def crash_many(kind, size, crashes, each_image):
    """The log grows over each_image crashes; at the end it is recovered once more, without `state`."""
    done, broken, total, started = 0, 0, {}, time.monotonic()
    while done < crashes:
        fs = kernel_fs.FileSystem(kind, size)
        try:
            fs.mount()
            directory, reports = partition(fs)
            for number in range(1, 1 + min(each_image, crashes - done)):
                counted = crash(fs, directory, reports, number)
                done += 1
                if counted is None:
                    broken += 1
                    break
            else:
                add(total, counted)
                os.unlink(directory + '/state')
                verify(directory, reports)
        finally:
            fs.close()
    say('%s: %d crashes in %.0f s; %s%s' % (kind, done, time.monotonic() - started,
                                            ' '.join('%s %d' % item for item in total.items()),
                                            '; the file system broke %d' % broken if broken else ''))
    assert total['durable'] > crashes, 'the load was too small to prove anything'


@test
def ext4_crashes_240_times_and_nothing_acknowledged_is_lost():
    crash_many('ext4', 256 << 20, 240, 30)


@test
def ext4_without_a_journal_crashes_80_times_and_nothing_acknowledged_is_lost():
    crash_many('ext4 without journal', 256 << 20, 80, 20)


@test
def xfs_crashes_200_times_and_nothing_acknowledged_is_lost():
    crash_many('xfs', 384 << 20, 200, 25)


sys.exit(main())
