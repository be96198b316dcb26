#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1200
"""mq-drain --discard --archive that is killed: at every one of its calls, and at random moments; into a file, and into a directory.

After each kill what the group's places have passed is in an archive that can be read, and what no archive holds is before the
group still; the same command, once it is not killed, leaves the places at the end and each record in just one archive.  mq-check
finds nothing.  MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import glob
import json
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
PARTITIONS = 3


class Bed:
    """A spool, its archives, and what was published."""

    def __init__(self, place):
        self.spool, self.archives, self.count = place + '/spool', place + '/archives', 0
        os.mkdir(self.archives)
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

    def drain(self, to, **how):
        return self.run('drain', '-g', 'g', '--discard', '--archive', to, 'T', **how)

    def numbers(self, *argv):
        return [int(line) for line in self.run(*argv).stdout.split()]

    def places(self):
        shown = self.run('group', 'show', '-g', 'g', '--json', good=(0, 66)).stdout.decode()
        return {row['partition']: row['committed'] or 0 for row in map(json.loads, shown.splitlines())}

    def check(self, whole):
        """whole: after a run that was not killed."""
        files = sorted(glob.glob(self.archives + '/*.zst'))
        archived = self.numbers('replay', '--archive', *files) if files else []
        if len(set(archived)) != len(archived):
            raise Wrong('something is in two archives: %s' % files)
        before = []
        for partition, place in sorted({**dict.fromkeys(range(PARTITIONS), 0), **self.places()}.items()):
            before += self.numbers('consume', '-p', str(partition), '-o', str(place), 'T')
        if set(before) | set(archived) != set(range(self.count)):
            raise Wrong('neither archived nor before the group: %s' % sorted(set(range(self.count)) - set(before) - set(archived))[:20])
        if whole and before:
            raise Wrong('before the group still: %s' % before[:20])
        killer.clean(self.spool)


def killed_at(rule):
    """(was it killed, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-discard-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            to = bed.archives + ('/one.tar.zst' if int(rule.split(':')[1]) % 2 else '')
            bed.publish(54)
            done = bed.drain(to, fault=rule, good=(0, -9))
            bed.check(done.returncode == 0)
            again = bed.drain(to)
            bed.check(True)
            if again.stdout or b'came later' in again.stderr:
                raise Wrong('the second run says: %s' % again.stderr.decode())
            left = [name for name in os.listdir(bed.archives) if not name.endswith('.zst')]
            if len(left) > 1 or (left and done.returncode == 0):
                raise Wrong('left among the archives: %s' % left)
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def calls():
    with tempfile.TemporaryDirectory(prefix='mq-discard-', dir=PLACE) as place:
        bed, report = Bed(place), place + '/report'
        bed.publish(54)
        bed.drain(bed.archives, fault='*:999999:kill-before', report=report)
        bed.check(True)
        return killer.calls(report)


def at_every_call():
    killed, wrong = killer.all_of(killed_at, killer.rules(calls(), EVERY))
    result(not wrong and killed, 'killed at each of its calls, %d times' % killed, wrong)


def at_random():
    rng, killed, wrong, went = random.Random(SEED), 0, None, 0
    with tempfile.TemporaryDirectory(prefix='mq-discard-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            for turn in range(20 * KILLS):
                if killed == KILLS:
                    break
                if turn % 4 == 0:
                    bed.publish(rng.choice((1, 5, 18)))
                done = bed.drain(bed.archives, fault=killer.somewhere(rng, 1400), good=(0, -9))
                killed += done.returncode == -9
                went += done.returncode == 0
                if turn % 20 == 0:
                    bed.check(done.returncode == 0)
            bed.drain(bed.archives)
            bed.check(True)
        except Wrong as why:
            wrong = why
    result(wrong is None and killed == KILLS,
           'killed %d times at random, %d records, %d runs that were not (MQ_SEED=%d)' % (killed, bed.count, went, SEED), wrong or '')


print('1..2')
at_every_call()
at_random()
sys.exit(killer.status())
