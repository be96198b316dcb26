#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1200
"""mq-replay --archive into a topic that is killed: at every one of its calls, and at random moments; with --to, and with --back.

After each kill nothing is in the topic twice; the same command, once it is not killed, leaves each record there once, or, where the
kill came after the run had ended, once for each of the two.  What goes back is the group's alone.  mq-check finds nothing.
MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import collections
import random
import sys
import tempfile

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import PLACE, SEED, Wrong, mq, result  # noqa: E402

KILLS = amount.of('MQ_KILLS', 500, 150, 30)
EVERY = amount.of('MQ_EVERY', 1, 2, 32)
PARTITIONS = 3


class Bed:
    """A spool, an archive of what was published, and where that goes."""

    def __init__(self, place):
        self.spool, self.file, self.count = place + '/spool', place + '/x.tar.zst', 0
        self.run('topic', 'create', '--partitions', str(PARTITIONS), 'T', 'segment.bytes=4096')

    def run(self, tool, *argv, **how):
        return mq(self.spool, tool, *argv, **how)

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
        killer.clean(self.spool)
        return often


def killed_at(rule):
    """(was it killed, what is wrong)"""
    back = int(rule.split(':')[1]) % 2 == 1
    with tempfile.TemporaryDirectory(prefix='mq-restore-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            bed.discard(54)
            done = bed.restore(back, fault=rule, good=(0, -9))
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
        return killer.calls(report)


def at_every_call():
    killed, wrong = killer.all_of(killed_at, killer.rules(calls(), EVERY))
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
                done = bed.restore(False, fault=killer.somewhere(rng, 1400), good=(0, -9))
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
sys.exit(killer.status())
