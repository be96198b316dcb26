# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests on real file systems share: load, check, choices that can be repeated, and TAP."""
import os
import random
import signal
import subprocess
import sys
import time

import kernel_fs

WRITER = os.path.join(os.environ['MQ_BUILD'], 'tests/crash/kernel_writer')
SEED = int(os.environ.get('KERNEL_SEED') or time.time_ns() % 1000000)
DICE = random.Random(SEED)
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def say(text):
    print('# ' + text.strip().replace('\n', '\n# '), flush=True)


def with_parent():
    """In a process group of its own, dead when this process is."""
    os.setpgid(0, 0)
    kernel_fs.LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)


class Load:
    """Writers and a reader at work on a partition."""

    def __init__(self, how, directory, reports, number, writers):
        size = os.stat(reports).st_size if os.path.exists(reports) else 0
        self.process = subprocess.Popen([WRITER, how, directory, reports, str(number), str(writers)],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=with_parent)
        until = time.monotonic() + 30
        while not os.path.exists(reports) or os.stat(reports).st_size == size:  # until it has begun
            assert self.process.poll() is None and time.monotonic() < until, 'the load did not begin'
            time.sleep(0.0005)

    def kill_one(self):
        """The one that is killed tells nobody what it knew."""
        pid = self.process.pid
        with open('/proc/%d/task/%d/children' % (pid, pid), encoding='ascii') as children:
            alive = children.read().split()
        if alive:
            os.kill(int(DICE.choice(alive)), signal.SIGKILL)

    def end(self, with_signal=None):
        """Wait until the last is gone; the disk that failed ends them, or the signal."""
        if with_signal:
            os.killpg(self.process.pid, with_signal)
        said = self.process.communicate(timeout=60)[1].decode()
        if said or self.process.returncode != 0:
            raise AssertionError('the load ended with %d: %s' % (self.process.returncode, said))


def writer(*arguments, status=0):
    """Run kernel_writer to its end; returns what it printed."""
    done = subprocess.run([WRITER, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False)
    if done.returncode != status:
        raise AssertionError('%s: status %d\n%s' % (arguments[0], done.returncode, done.stderr.decode()[:4000]))
    return done.stdout.decode()


def verify(directory, reports, *how):
    """Recover and compare; returns what was counted."""
    said = writer('verify', directory, reports, *how)
    return {key: int(value) for key, value in (word.split('=') for word in said.split())}


def partition(fs):
    """An empty one in a file system just made, and an empty list of reports."""
    directory, reports = fs.at + '/p', os.path.abspath('reports')
    os.mkdir(directory)
    writer('create', directory)
    if os.path.exists(reports):
        os.unlink(reports)
    return directory, reports


def add(total, counted):
    for key, value in counted.items():
        total[key] = total.get(key, 0) + value


def main(needs=lambda: None):
    chosen = [function for function in TESTS if not sys.argv[1:] or any(w in function.__name__ for w in sys.argv[1:])]
    os.chdir(os.environ.get('TMPDIR', '/tmp'))
    reason = kernel_fs.why_not() or needs()
    print('1..%d' % len(chosen))
    if reason:
        say('%d tests on real file systems did not run: %s' % (len(chosen), reason))
    say('KERNEL_SEED=%d repeats the choices' % SEED)
    failed = 0
    for number, function in enumerate(chosen, 1):
        said, why = 'ok', ' # SKIP ' + reason if reason else ''
        if not reason:
            try:
                function()
            except Exception as error:  # a test that breaks has failed, whatever broke
                failed += 1
                said = 'not ok'
                say('%s: %s' % (type(error).__name__, error))
        print('%s %d - %s%s' % (said, number, function.__name__.replace('_', ' '), why), flush=True)
    return 1 if failed else 0
