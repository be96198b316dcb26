#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# mq-test: alone
# mq-test: no-sanitize
#
# A partition on file systems that really crash, fail and fill up.  Needs root, loop devices, and libfuse3 for the
# disk that fails.
import ctypes
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import kernel_fs  # noqa: E402

WRITER = os.path.join(os.environ['MQ_BUILD'], 'tests/crash/kernel_writer')
SEED = int(os.environ.get('KERNEL_SEED') or time.time_ns() % 1000000)
DICE = random.Random(SEED)
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def say(text):
    print('# ' + text.strip().replace('\n', '\n# '), flush=True)


class Load:
    """Writers and a reader in a process group of their own, dead when this process is."""

    def __init__(self, how, directory, reports, number, writers):
        def alone():
            os.setpgid(0, 0)
            kernel_fs.LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)
        self.process = subprocess.Popen([WRITER, how, directory, reports, str(number), str(writers)],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=alone)

    def end(self, with_signal=None):
        """Wait until the last is gone; the disk that failed ends them, or the signal."""
        if with_signal:
            os.killpg(self.process.pid, with_signal)
        said = self.process.communicate(timeout=60)[1].decode()
        if said or self.process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError('the load ended with %d: %s' % (self.process.returncode, said))


def verify(directory, reports, *how):
    """Recover and compare; returns what was counted."""
    done = subprocess.run([WRITER, 'verify', directory, reports, *how], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    if done.returncode:
        raise AssertionError('status %d\n%s' % (done.returncode, done.stderr.decode()[:4000]))
    return dict((key, int(value)) for key, value in (word.split('=') for word in done.stdout.decode().split()))


def partition(fs):
    """An empty one in a file system just made, and an empty list of reports."""
    directory, reports = fs.at + '/p', os.path.abspath('reports')
    os.mkdir(directory)
    subprocess.run([WRITER, 'create', directory], check=True)
    if os.path.exists(reports):
        os.unlink(reports)
    return directory, reports


def crash_many(kind, size, crashes, each_image):
    """Load, crash at a random moment, mount again, check; the log grows over each_image crashes."""
    done, total, started = 0, {}, time.monotonic()
    while done < crashes:
        fs = kernel_fs.FileSystem(kind, size)
        try:
            fs.mount()
            directory, reports = partition(fs)
            for number in range(1, 1 + min(each_image, crashes - done)):
                load = Load('write', directory, reports, number, DICE.choice((1, 2, 4)))
                time.sleep(DICE.uniform(0.002, 0.02))
                fs.crash(DICE.choice((kernel_fs.SYNC, kernel_fs.LOG, kernel_fs.NOTHING, kernel_fs.NOTHING)))
                load.end()
                fs.remount()
                try:
                    counted = verify(directory, reports)
                except AssertionError as error:
                    if os.environ.get('KERNEL_KEEP'):
                        subprocess.run(['cp', '-a', directory, reports, os.environ['KERNEL_KEEP']], check=False)
                    raise AssertionError('crash %d: %s%s' % (number, error, fs.repaired)) from error
                done += 1
            for key, value in counted.items():
                total[key] = total.get(key, 0) + value
            os.unlink(directory + '/state')
            verify(directory, reports)
        finally:
            fs.close()
    seconds = time.monotonic() - started
    say('%s: %d crashes in %.0f s; %s' % (kind, done, seconds, ' '.join('%s %d' % item for item in total.items())))
    assert total['durable'] > 5 * crashes, 'the load was too small to prove anything'


@test
def ext4_crashes_240_times_and_nothing_acknowledged_is_lost():
    crash_many('ext4', 256 << 20, 240, 30)


@test
def ext4_without_a_journal_crashes_80_times_and_nothing_acknowledged_is_lost():
    crash_many('ext4 without journal', 256 << 20, 80, 20)


@test
def xfs_crashes_200_times_and_nothing_acknowledged_is_lost():
    crash_many('xfs', 384 << 20, 200, 25)


def main():
    chosen = [function for function in TESTS if not sys.argv[1:] or any(w in function.__name__ for w in sys.argv[1:])]
    os.chdir(os.environ.get('TMPDIR', '/tmp'))
    reason = kernel_fs.why_not()
    print('1..%d' % len(chosen))
    if reason:
        say('%d tests of real crashes did not run: %s' % (len(chosen), reason))
    say('KERNEL_SEED=%d repeats the choices' % SEED)
    failed = 0
    for number, function in enumerate(chosen, 1):
        name = function.__name__.replace('_', ' ')
        said, why = 'ok', ' # SKIP ' + reason if reason else ''
        if not reason:
            try:
                function()
            except Exception as error:  # a test that breaks has failed, whatever broke
                failed += 1
                said = 'not ok'
                say(textwrap.shorten('%s' % type(error).__name__, 80) + ': ' + str(error))
        print('%s %d - %s%s' % (said, number, name, why), flush=True)
    return 1 if failed else 0


sys.exit(main())
