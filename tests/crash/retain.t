#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1200
"""Retention with archives that is killed: at every one of its calls, and at random moments.

Whatever was published is, after each kill, in the log or in an archive, and where the log start tells that it is gone it is in an
archive that can be read; after the next run it is in just one of them.  What a group has not read is in the log.  mq-check
finds nothing.  MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import glob
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import PLACE, SEED, Wrong, mq, result  # noqa: E402

KILLS = amount.of('MQ_KILLS', 500, 150, 30)
EVERY = amount.of('MQ_EVERY', 1, 2, 32)


class Bed:
    """A spool, its archives, and what was published."""

    def __init__(self, place):
        self.spool, self.archives, self.count = place + '/spool', place + '/archives', 0
        os.mkdir(self.archives)
        self.run('topic', 'create', 'T', 'segment.bytes=4096', 'retention.bytes=4096')

    def run(self, tool, *argv, **how):
        return mq(self.spool, tool, *argv, **how)

    def publish(self, count):
        lines = ''.join('%0200d\n' % i for i in range(self.count, self.count + count))
        self.run('publish', 'T', stdin=lines.encode())
        self.count += count

    def retain(self, **how):
        return self.run('retain', '--archive', self.archives, **how)

    def numbers(self, *argv):
        return [int(line) for line in self.run(*argv).stdout.split()]

    def check(self, once, unread=0):
        """once: after a run that was not killed."""
        held = self.numbers('consume', 'T')
        files = sorted(glob.glob(self.archives + '/*.zst'))
        archived = self.numbers('replay', '--archive', *files) if files else []
        if sorted(set(archived)) != sorted(archived):
            raise Wrong('something is in two archives: %s' % files)
        if set(held) | set(archived) != set(range(self.count)):
            raise Wrong('missing: %s' % sorted(set(range(self.count)) - set(held) - set(archived))[:20])
        if held != list(range(held[0] if held else 0, self.count)):
            raise Wrong('the log holds %s' % held)
        if once and set(held) & set(archived):
            raise Wrong('in the log and in an archive: %s' % sorted(set(held) & set(archived))[:20])
        if unread < self.count and held[0] > unread:
            raise Wrong('a group stands at %d, and the log begins at %d' % (unread, held[0]))
        killer.clean(self.spool)


def killed_at(rule):
    """(was it killed, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-retain-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            for _ in range(4):
                bed.publish(18)
            done = bed.retain(fault=rule, good=(0, -9))
            bed.check(False, bed.count)
            bed.retain()
            bed.check(True, bed.count)
            left = [name for name in os.listdir(bed.archives) if not name.endswith('.zst')]
            if len(left) > 1 or (left and done.returncode == 0):
                raise Wrong('left among the archives: %s' % left)
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def calls():
    with tempfile.TemporaryDirectory(prefix='mq-retain-', dir=PLACE) as place:
        bed, report = Bed(place), place + '/report'
        for _ in range(4):
            bed.publish(18)
        bed.retain(fault='*:999999:kill-before', report=report)
        bed.check(True, bed.count)
        return killer.calls(report)


def at_every_call():
    killed, wrong = killer.all_of(killed_at, killer.rules(calls(), EVERY))
    result(not wrong and killed, 'killed at each of its calls, %d times' % killed, wrong)


def at_random():
    rng, killed, wrong = random.Random(SEED), 0, None
    with tempfile.TemporaryDirectory(prefix='mq-retain-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            unread = 0
            bed.run('group', 'seek', '-g', 'g', '-o', 'beginning', 'T', good=(0, 66))
            for turn in range(20 * KILLS):
                if killed == KILLS:
                    break
                if turn % 4 == 0:
                    bed.publish(rng.choice((1, 5, 18)))
                if turn % 16 == 0:
                    unread += len(bed.run('consume', '-g', 'g', '-n', str(rng.choice((1, 40, 80))), 'T').stdout.split())
                done = bed.retain(fault=killer.somewhere(rng, 250), good=(0, -9))
                killed += done.returncode == -9
                if turn % 20 == 0:
                    bed.check(False, unread)
            bed.retain()
            bed.check(True, unread)
        except Wrong as why:
            wrong = why
    result(wrong is None and killed == KILLS, 'killed %d times at random, %d records (MQ_SEED=%d)' % (killed, bed.count, SEED), wrong or '')


print('1..2')
at_every_call()
at_random()
sys.exit(killer.status())
