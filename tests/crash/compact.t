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
import re
import subprocess
import sys
import tempfile
import time

SRC = os.environ.get('MQ_SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
SLOW = os.environ.get('MQ_PASS') == 'sanitize'
sys.dont_write_bytecode = True
sys.path.insert(0, SRC + '/tests')
import amount  # noqa: E402
KILLS = amount.of('MQ_KILLS', 500, 150, 50)
EVERY = amount.of('MQ_EVERY', 3, 6, 32)
SEED = int(os.environ.get('MQ_SEED', random.randrange(1 << 30)))
PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
KEYS = 7
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


def key_of(i):
    """One in five has none."""
    return None if i % 5 == 0 else 'k%d' % (i % KEYS)


class Bed:
    """A spool, and what was published: record i at offset i."""

    def __init__(self, place):
        self.spool, self.count = place + '/spool', 0
        self.run('topic', 'create', 'T', 'segment.bytes=4096', 'cleanup.policy=compact', 'min.cleanable.dirty.ratio=0')

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
        second = subprocess.run([sys.executable, '-B', SRC + '/tests/reader.py', self.spool, 'T', '0', '--raw'], check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if second.returncode or [int(line) for line in second.stdout.split()] != held:
            raise Wrong('the second reader: status %d, %s' % (second.returncode, second.stderr.decode()))
        found = self.run('check', good=(0, 1, 2))
        if found.returncode != 0:
            raise Wrong('mq-check: %s%s' % (found.stdout.decode(), found.stderr.decode()))
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
        with open(report, encoding='ascii') as lines:
            return [(call, int(n)) for call, n in re.findall(r'^\d+ call (\S+) (\d+)$', lines.read(), re.M)]


def at_every_call():
    # Calls that change nothing are as good as the one before them.
    quiet = ('clock_ns', 'pid', 'close', 'pread', 'stat', 'statat', 'getdents', 'random')
    rules = ['%s:%d:kill-%s' % (call, nth, when) for call, n in calls() for nth in range(1, n + 1) for when in ('before', 'after')
             if call not in quiet or nth == 1]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        done = list(pool.map(killed_at, rules[SEED % EVERY::EVERY]))
    killed, wrong = sum(came for came, _ in done), '\n'.join(wrong for _, wrong in done if wrong)
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
                    fault = '*:%d:kill-%s' % (rng.randrange(1, 600), rng.choice(('before', 'after')))
                    killed += bed.run('retain', fault=fault, good=(0, -9)).returncode == -9
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
sys.exit(1 if failed else 0)
