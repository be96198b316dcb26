#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
"""Compaction that is killed: at every one of its calls, and at random moments while others publish and a group reads.

After each kill the last record of each key is there, at its offset, and so is each record without a key; nothing comes twice; the
second reader sees what mq-consume does; mq-check finds nothing but a stray file.  A group has got the last record of each key.
MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import PLACE, SEED, Wrong, mq, result  # noqa: E402
KILLS = amount.of('MQ_KILLS', 500, 150, 30)
EVERY = amount.of('MQ_EVERY', 3, 6, 32)
KEYS = 7


def key_of(i):
    """One in five has none."""
    return None if i % 5 == 0 else 'k%d' % (i % KEYS)


class Bed:
    """A spool, and what was published: record i at offset i."""

    def __init__(self, place):
        self.spool, self.count = place + '/spool', 0
        self.run('topic', 'create', 'T', 'segment.bytes=4096', 'cleanup.policy=compact', 'min.cleanable.dirty.ratio=0')

    def run(self, tool, *argv, **how):
        return mq(self.spool, tool, *argv, **how)

    def publish(self, count):
        lines = []
        for i in range(self.count, self.count + count):
            lines.append(json.dumps({'payload': '%0150d' % i, **({'key': key_of(i)} if key_of(i) else {})}))
        self.run('publish', '--json', 'T', stdin='\n'.join(lines).encode() + b'\n')
        self.count += count

    def age(self):
        """All that is there is two days old: what is dead goes."""
        at = time.time() - 2 * 86400
        for name in os.listdir(self.spool + '/topics/T/0'):
            if name.endswith('.seg'):
                os.utime(self.spool + '/topics/T/0/' + name, (at, at))

    def needed(self):
        lasts = {key_of(i): i for i in range(self.count)}
        return {i for i in range(self.count) if key_of(i) is None or lasts[key_of(i)] == i}

    def held(self, *argv):
        found = []
        for line in self.run('consume', '--json', *argv, 'T').stdout.decode().splitlines():
            record = json.loads(line)
            if int(record['payload']) != record['offset'] or record.get('key') != key_of(record['offset']):
                raise Wrong('at offset %d: %s' % (record['offset'], line))
            found.append(record['offset'])
        if sorted(set(found)) != found:
            raise Wrong('out of order, or twice: %s' % found)
        return found

    def check(self):
        held = self.held()
        if missing := self.needed() - set(held):
            raise Wrong('lost: %s' % sorted(missing)[:20])
        second = subprocess.run([sys.executable, '-B', killer.TESTS + '/reader.py', self.spool, 'T', '0', '--raw'], check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if second.returncode or [int(line) for line in second.stdout.split()] != held:
            raise Wrong('the second reader: status %d, %s' % (second.returncode, second.stderr.decode()))
        killer.clean(self.spool)
        return held


def made(place):
    bed = Bed(place)
    for _ in range(3):
        bed.publish(45)
    bed.run('retain')
    for _ in range(4):
        bed.publish(45)
    return bed


def killed_at(rule):
    """(was it killed, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-compact-', dir=PLACE) as place:
        try:
            bed = made(place)
            done = bed.run('retain', fault=rule, good=(0, -9))
            bed.check()
            bed.run('retain')
            held = bed.check()
            bed.age()
            bed.run('retain')
            if bed.check() != held:
                raise Wrong('when the old ones had gone, something else was there')
            left = [name for name in os.listdir(bed.spool + '/topics/T/0') if name.endswith('.tmp')]
            if left:
                raise Wrong('left: %s' % left)
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def calls():
    with tempfile.TemporaryDirectory(prefix='mq-compact-', dir=PLACE) as place:
        bed, report = made(place), place + '/report'
        bed.run('retain', fault='*:999999:kill-before', report=report)
        bed.check()
        return killer.calls(report)


def at_every_call():
    # Calls that change nothing are as good as the one before them.
    quiet = ('clock_ns', 'pid', 'close', 'pread', 'stat', 'statat', 'getdents', 'random')
    killed, wrong = killer.all_of(killed_at, killer.rules(calls(), EVERY, quiet))
    result(not wrong and killed, 'killed at each of its calls, %d times' % killed, wrong)


def at_random():
    rng, killed, wrong, got = random.Random(SEED), 0, None, set()
    with tempfile.TemporaryDirectory(prefix='mq-compact-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            with concurrent.futures.ThreadPoolExecutor(1) as beside:
                for turn in range(20 * KILLS):
                    if killed == KILLS:
                        break
                    other = beside.submit(bed.publish, rng.choice((1, 5, 30))) if turn % 3 == 0 and bed.count < 6000 else None
                    killed += bed.run('retain', fault=killer.somewhere(rng, 600), good=(0, -9)).returncode == -9
                    if other:
                        other.result()
                    if turn % 5 == 0:
                        new = bed.held('-g', 'g', '-n', '40')
                        if got & set(new):
                            raise Wrong('the group got twice: %s' % sorted(got & set(new))[:20])
                        got |= set(new)
                    if turn % 20 == 0:
                        bed.check()
                    if turn % 50 == 0:
                        bed.age()
            got |= set(bed.held('-g', 'g'))
            bed.run('retain')
            bed.check()
            if missing := bed.needed() - got:
                raise Wrong('the group did not get: %s' % sorted(missing)[:20])
        except Wrong as why:
            wrong = why
    result(wrong is None and killed == KILLS, 'killed %d times at random, %d records (MQ_SEED=%d)' % (killed, bed.count, SEED), wrong or '')


print('1..2')
at_every_call()
at_random()
sys.exit(killer.status())
