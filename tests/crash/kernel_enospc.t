#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# mq-test: alone
# mq-test: no-sanitize
#
# A disk that is full: an append says so and succeeds when space returns, a crash is recovered and all is read without room; and
# under publishers that wait, publishers that do not, and a group, when space returns all goes on by itself.  Needs root and
# loop devices.
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernel_fs  # noqa: E402
import kernel_test  # noqa: E402
from kernel_enospc import (SECONDS, SIZE, Filler, Load, Waiting, behind_the_tail, committed, fill_up, make_room, mq, small,  # noqa: E402
                           stored, until, verify)
from kernel_test import main, partition, say, test  # noqa: E402


@test
def an_append_without_space_says_so_and_the_same_append_succeeds_when_space_returns():
    for kind in SIZE:
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
            counted = kernel_test.verify(directory, reports, 'full')
            say('%s: %s' % (kind, counted))
            assert counted['durable'] > 20
        finally:
            fs.close()


@test
def a_full_disk_that_crashes_is_recovered_and_read_without_room():
    for kind in SIZE:
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
                kernel_test.verify(directory, reports, 'full')
                make_room(fs)
                kernel_test.verify(directory, reports)
            finally:
                fs.close()


def numbers(start, end):
    return ''.join('%d\n' % i for i in range(start, end))


def publish_too_much():
    """The start of it may stand behind the end from then on."""
    mq('mq-publish', '--timeout', '200ms', 'orders', data=b'x' * 500000 + b'\n', status=(75,))


def read_all(fs, group_from, count=10):
    """Without a group; and by one, which commits.  Not on XFS: full to the last block it creates no file, not even an empty
    one, so no member can join (75)."""
    assert mq('mq-consume', 'orders') == numbers(0, 1000)
    if fs.kind == 'ext4':
        assert mq('mq-consume', '-g', 'till', '-n', str(count), 'orders') == numbers(group_from, group_from + count)


@test
def on_a_full_disk_all_is_read_and_a_group_commits_and_goes_on_after_a_crash():
    for kind in SIZE:
        fs = small(kind)
        try:
            os.environ['MQ_SPOOL'] = fs.at + '/spool'
            mq('mq-publish', 'orders', data=numbers(0, 1000).encode())
            read_all(fs, 0)
            fill_up(fs)
            read_all(fs, 10)
            publish_too_much()
            read_all(fs, 20)
            fs.crash(kernel_fs.LOG)
            fs.remount()
            fill_up(fs)
            read_all(fs, 30)
            publish_too_much()
            read_all(fs, 40, 960)
            make_room(fs)
            mq('mq-publish', 'orders', data=b'last\n')
            if kind == 'ext4':
                assert mq('mq-consume', '-g', 'till', 'orders') == 'last\n'
            mq('mq-check')
        finally:
            fs.close()


@test
def on_a_full_disk_what_was_printed_is_acknowledged():
    for kind in SIZE:
        fs = small(kind)
        try:
            os.environ['MQ_SPOOL'] = fs.at + '/spool'
            mq('mq-publish', 'orders', data=numbers(0, 1000).encode())
            printed = mq('mq-consume', '--manual', '--timeout', '0', '-g', 'till', 'orders', status=(75,)).splitlines(True)
            fill_up(fs)
            for line in printed[:200]:
                mq('mq-group', 'commit', '-g', 'till', data=line.encode())
            assert committed('till', 'orders')[0][0] == 200
            fs.crash(kernel_fs.LOG)
            fs.remount()
            fill_up(fs)
            assert committed('till', 'orders')[0][0] == 200
            mq('mq-group', 'commit', '-g', 'till', data=''.join(printed[200:]).encode())
            assert committed('till', 'orders')[0][0] == 1000
            mq('mq-check')
        finally:
            fs.close()


def while_it_is_full(load, killed):
    """A publisher dies in the middle of its batch; the group catches up; another joins; nothing is damaged."""
    killed.append(load.waiting.pop())
    killed[-1].kill()
    left = behind_the_tail(load.fs)
    load.wait_for_group()
    if load.fs.kind == 'ext4':  # full to the last block, XFS makes no file, so nobody can join
        before = committed('late', 'orders')
        mq('mq-consume', '-g', 'late', '-n', '10', 'orders')
        after = committed('late', 'orders')
        assert sum(at for at, _ in after.values()) == sum(at or 0 for at, _ in before.values()) + 10, (before, after)
    found = mq('mq-check', '--json')
    assert '"kind":"damage"' not in found and '"kind":"config"' not in found, found
    return left


def give_room(fs, how):
    if how == 'a file is deleted':
        os.unlink(fs.at + '/spare')
    else:
        mq('mq-topic', 'delete', '--force', 'old')


def go_on(load, how):
    """Those that waited, then those that did not.  One after the other: either may take all the room before the other looks,
    and of several that wait the first may."""
    for publisher in load.impatient:
        publisher.rest()
    before = load.confirmed()
    give_room(load.fs, how)
    until(how + ', and those that waited go on', lambda: any(now > was for now, was in zip(load.confirmed(), before)))
    for publisher in load.waiting:
        publisher.process.send_signal(signal.SIGSTOP)
    before = [len(p.held) for p in load.impatient]
    make_room(load.fs)
    for publisher in load.impatient:
        publisher.go()
    until(how + ', and those that do not wait store again', lambda: any(len(p.held) > was for p, was in zip(load.impatient, before)))
    for publisher in load.waiting:
        publisher.process.send_signal(signal.SIGCONT)


def fill_and_go_on(kind):
    fs, killed = small(kind), []
    try:
        load, left = Load(fs), 0
        for how in 'a file is deleted', 'a topic is deleted':
            load.wait_until_full()
            left += while_it_is_full(load, killed)
            load.waiting.append(Waiting('f' + str(len(killed)), 9000, '-k', 'f', 'orders'))
            go_on(load, how)
        load.wait_until_full()
        for publisher in load.impatient:
            publisher.end()
        before = load.confirmed()
        for publisher in load.waiting:
            publisher.last = True
        os.truncate(fs.at + '/ballast', 0)
        for publisher in load.waiting:
            publisher.end()
        assert all(now > was for now, was in zip(load.confirmed(), before)), 'with room for all, not all went on'
        load.wait_for_group()
        load.group.terminate()
        assert load.group.wait(timeout=SECONDS) in (0, -signal.SIGTERM, 128 + signal.SIGTERM), load.group.stderr.read()
        followed = load.followed()
        assert sorted(followed) == sorted(stored('orders')), 'the group: %d printed, %d twice' % (
            len(followed), len(followed) - len(set(followed)))
        counted = verify(load, killed)
        fs.remount()
        assert verify(load, killed) == counted
        say('%s: %d records of who waits, %d of who does not, %d times told full; %d bytes left behind tails by kills'
            % (kind, *counted, sum(p.full for p in load.impatient), left))
        assert left > 0, 'no killed publisher left a torn end: nothing was recovered'
    finally:
        for process in [p.process for p in load.waiting + killed] + [load.group]:
            process.kill()
            process.wait()
        for publisher in load.impatient:
            publisher.ends.set()
            publisher.may.set()
            publisher.thread.join(SECONDS)
        fs.close()


@test
def an_ext4_that_fills_up_stops_publishers_alone_and_all_go_on_when_space_returns():
    fill_and_go_on('ext4')


@test
def an_xfs_that_fills_up_stops_publishers_alone_and_all_go_on_when_space_returns():
    fill_and_go_on('xfs')


sys.exit(main())
