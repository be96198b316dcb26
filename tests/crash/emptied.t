#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1200
"""mq-retain that moves what waits to the end of a waiting room, killed at every one of its calls.

Four records that are to come in days keep sixty that came, and more than a segment with them.  After each kill all four wait,
once, and can be cancelled; after the next run they still do, and what they kept is gone.  What came comes no second time, and
mq-check finds nothing.  MQ_EVERY=N takes one call in N, MQ_SEED which."""
import concurrent.futures
import json
import os
import random
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import amount  # noqa: E402

BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
EVERY = amount.of('MQ_EVERY', 8, 16, 16)
SEED = int(os.environ.get('MQ_SEED', random.randrange(1 << 30)))
PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
FAR = ['far1', 'far2', 'far3', 'far4']  # as they are due


class Wrong(Exception):
    """Something that must hold does not."""


class Bed:
    def __init__(self, place):
        self.spool = place + '/spool'
        for day, name in reversed(list(enumerate(FAR))):
            self.run('publish', '--delay', '%dd' % (day + 1), '--id', name, '-m', name, 'T')
        self.run('publish', '--at', 'yesterday', 'T', stdin=b''.join(b'%0100000d\n' % i for i in range(60)))
        self.came(60)

    def run(self, tool, *argv, stdin=b'', fault=None, report=None, good=(0,)):
        env = dict(os.environ, MQ_SPOOL=self.spool, MQ_TEST_FAULT=fault or '')
        if report:
            env['MQ_TEST_FAULT_REPORT'] = report
        done = subprocess.run(['%s/%s/mq-%s' % (BUILD, 'bin' if fault is None else 'tests/traced', tool), *argv], env=env, input=stdin,
                              check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        if done.returncode not in good:
            raise Wrong('mq-%s %s: status %d: %s' % (tool, ' '.join(argv), done.returncode, done.stderr.decode()))
        return done

    def came(self, count):
        if (got := self.run('consume', 'T').stdout.count(b'\n')) != count:
            raise Wrong('%d came, not %d' % (got, count))

    def waiting(self):
        lines = [json.loads(line) for line in self.run('topic', 'delayed', '--json', 'T').stdout.splitlines()]
        return [o['id'] for o in lines if 'partition' in o]

    def segments(self):
        return sum(name.endswith('.seg') for name in os.listdir(self.spool + '/topics/wait@T@/0'))

    def check(self, want):
        if (got := self.waiting()) != want:
            raise Wrong('what waits: %s, not %s' % (got, want))
        found = self.run('check', good=(0, 1, 2))
        if found.returncode:
            raise Wrong('mq-check: %s%s' % (found.stdout.decode(), found.stderr.decode()))


def killed_at(rule):
    """(was it killed, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-emptied-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            done = bed.run('retain', fault=rule, good=(0, -9))
            bed.check(FAR)
            bed.run('publish', '--at', 'yesterday', '-m', 'more', 'T')  # somebody else delivers in between
            bed.came(61)
            bed.run('retain')
            bed.check(FAR)
            if bed.segments() != 1:
                raise Wrong('%d segments are left' % bed.segments())
            bed.run('topic', 'cancel', '--id', 'far2', 'T')
            bed.run('topic', 'cancel', '--id', 'far2', 'T', good=(1,))
            bed.check(['far1', 'far3', 'far4'])
            bed.came(61)
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def calls():
    with tempfile.TemporaryDirectory(prefix='mq-emptied-', dir=PLACE) as place:
        bed, report = Bed(place), place + '/report'
        bed.run('retain', fault='*:999999:kill-before', report=report)
        bed.check(FAR)
        with open(report, encoding='ascii') as lines:
            return [(call, int(n)) for call, n in re.findall(r'^\d+ call (\S+) (\d+)$', lines.read(), re.M)]


def main():
    print('1..1')
    rules = ['%s:%d:kill-%s' % (call, nth, when) for call, n in calls() for nth in range(1, n + 1) for when in ('before', 'after')
             if call not in ('clock_ns', 'pid', 'close') or nth == 1]
    with concurrent.futures.ThreadPoolExecutor(min(2, len(os.sched_getaffinity(0)))) as pool:
        done = list(pool.map(killed_at, rules[SEED % EVERY::EVERY]))
    killed, wrong = sum(came for came, _ in done), [wrong for _, wrong in done if wrong]
    for what in wrong[:20]:
        print('# ' + what)
    good = killed and not wrong
    print('%s 1 - what waits is moved whole or not at all: killed at each call of mq-retain, %d times (MQ_SEED=%d)'
          % ('ok' if good else 'not ok', killed, SEED))
    return not good


if __name__ == '__main__':
    sys.exit(main())
