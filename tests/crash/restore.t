#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1200
"""mq-replay --archive into a topic that is killed: at every one of its calls, and at random moments; with --to, and with --back.

After each kill nothing is in the topic twice; the same command, once it is not killed, leaves each record there once, or, where the
kill came after the run had ended, once for each of the two.  What goes back is the group's alone.  mq-check finds nothing.
MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import concurrent.futures
import collections
import os
import random
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import amount  # noqa: E402

SRC = os.environ.get('MQ_SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
KILLS = amount.of('MQ_KILLS', 500, 150, 60)
EVERY = amount.of('MQ_EVERY', 1, 2, 16)
SEED = int(os.environ.get('MQ_SEED', random.randrange(1 << 30)))
PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
PARTITIONS = 3
number = failed = 0


class Wrong(Exception):
    """Something that must hold does not."""


def result(good, name, said=''):
    global number, failed
    number += 1
    failed += not good
    for line in str(said).splitlines()[:30]:
        print('# ' + line)
    print('%s %d - %s' % ('ok' if good else 'not ok', number, name), flush=True)


class Bed:
    """A spool, an archive of what was published, and where that goes."""

    def __init__(self, place):
        self.spool, self.file, self.count = place + '/spool', place + '/x.tar.zst', 0
        self.run('topic', 'create', '--partitions', str(PARTITIONS), 'T', 'segment.bytes=4096')

    def run(self, tool, *argv, stdin=b'', fault=None, report=None, good=(0,)):
        env = dict(os.environ, MQ_SPOOL=self.spool, MQ_TEST_FAULT=fault or '')
        if report:
            env['MQ_TEST_FAULT_REPORT'] = report
        directory = 'bin' if fault is None else 'tests/traced'
        done = subprocess.run(['%s/%s/mq-%s' % (BUILD, directory, tool), *argv], env=env, input=stdin, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        if done.returncode not in good:
            raise Wrong('mq-%s %s: status %d: %s' % (tool, ' '.join(argv), done.returncode, done.stderr.decode()))
        return done

    def publish(self, count):
        """A batch, and so a partition, for each few of them."""
        while count > 0:
            lines = ''.join('%0200d\n' % i for i in range(self.count, self.count + min(count, 6)))
            self.run('publish', 'T', stdin=lines.encode())
            self.count += min(count, 6)
            count -= 6

    def discard(self, count):
        self.publish(count)
        self.run('drain', '-g', 'g', '--discard', '--archive', self.file, 'T')

    def restore(self, back, **how):
        return self.run('replay', '--archive', *(['--back'] if back else ['--to', 'U']), self.file, **how)

    def counts(self, back):
        if back:
            lines = self.run('consume', '-H', 'mq-replays=1', 'T').stdout
        else:
            lines = self.run('consume', 'U', good=(0, 66)).stdout
        return collections.Counter(int(line) for line in lines.split())

    def check(self, back, runs):
        """How often each may be there."""
        counts = self.counts(back)
        often = set(counts.get(i, 0) for i in range(self.count)) | (set() if set(counts) <= set(range(self.count)) else {-1})
        if not often <= set(runs) or (0 not in runs and len(often) != 1):
            raise Wrong('each is there %s times, and not %s' % (often, runs))
        found = self.run('check', good=(0, 1, 2))
        if found.returncode != 0:
            raise Wrong('mq-check: %s%s' % (found.stdout.decode(), found.stderr.decode()))
        return often


def killed_at(rule):
    """(was it killed, what is wrong)"""
    call, back = rule
    with tempfile.TemporaryDirectory(prefix='mq-restore-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            bed.discard(54)
            done = bed.restore(back, fault=call, good=(0, -9))
            before = bed.check(back, (0, 1))
            bed.restore(back)
            bed.check(back, (2,) if done.returncode == 0 else (1, 2) if before == {1} else (1,))
            if back and len(bed.run('consume', '-g', 'g', 'T').stdout.split()) % bed.count:
                raise Wrong('the group gets something else')
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def calls():
    with tempfile.TemporaryDirectory(prefix='mq-restore-', dir=PLACE) as place:
        bed, report = Bed(place), place + '/report'
        bed.discard(54)
        bed.restore(True, fault='*:999999:kill-before', report=report)
        bed.check(True, (1,))
        with open(report, encoding='ascii') as lines:
            return [(call, int(n)) for call, n in re.findall(r'^\d+ call (\S+) (\d+)$', lines.read(), re.M)]


def at_every_call():
    rules = [('%s:%d:kill-%s' % (call, nth, when), bool(nth % 2)) for call, n in calls() for nth in range(1, n + 1)
             for when in ('before', 'after') if call not in ('clock_ns', 'pid', 'close') or nth == 1]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        done = list(pool.map(killed_at, rules[SEED % EVERY::EVERY]))
    killed, wrong = sum(came for came, _ in done), '\n'.join(wrong for _, wrong in done if wrong)
    result(not wrong and killed, 'killed at each of its calls, %d times' % killed, wrong)


def at_random():
    rng, killed, wrong, often = random.Random(SEED), 0, None, 0
    with tempfile.TemporaryDirectory(prefix='mq-restore-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            bed.discard(54)
            for _ in range(20 * KILLS):
                if killed == KILLS:
                    break
                done = bed.restore(False, fault='*:%d:kill-%s' % (rng.randrange(1, 1400), rng.choice(('before', 'after'))), good=(0, -9))
                killed += done.returncode == -9
            bed.restore(False)
            counts = bed.counts(False)
            often = counts[0]
            if set(counts.values()) != {often} or set(counts) != set(range(bed.count)):
                raise Wrong('each is there %s times' % sorted(set(counts.values())))
        except Wrong as why:
            wrong = why
    result(wrong is None and killed == KILLS, 'killed %d times at random, %d whole runs (MQ_SEED=%d)' % (killed, often, SEED), wrong or '')


print('1..2')
at_every_call()
at_random()
sys.exit(1 if failed else 0)
