#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1200
"""mq-retain that moves what waits to the end of a waiting room, killed at every one of its calls.

Four records that are to come in days keep sixty that came, and more than a segment with them.  After each kill all four wait,
once, and can be cancelled; after the next run they still do, and what they kept is gone.  What came comes no second time, and
mq-check finds nothing.  MQ_EVERY=N takes one call in N, MQ_SEED which."""
import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import PLACE, SEED, Wrong, mq, result  # noqa: E402

EVERY = amount.of('MQ_EVERY', 8, 16, 32)
FAR = ['far1', 'far2', 'far3', 'far4']  # as they are due


class Bed:
    def __init__(self, place):
        self.spool = place + '/spool'
        for day, name in reversed(list(enumerate(FAR))):
            self.run('publish', '--delay', '%dd' % (day + 1), '--id', name, '-m', name, 'T')
        self.run('publish', '--at', 'yesterday', 'T', stdin=b''.join(b'%0100000d\n' % i for i in range(60)))
        self.came(60)

    def run(self, tool, *argv, **how):
        return mq(self.spool, tool, *argv, **how)

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
        killer.clean(self.spool)


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
        return killer.calls(report)


def main():
    print('1..1')
    killed, wrong = killer.all_of(killed_at, killer.rules(calls(), EVERY))
    result(not wrong and killed, 'what waits is moved whole or not at all: killed at each call of mq-retain, %d times (MQ_SEED=%d)'
           % (killed, SEED), wrong)
    return killer.status()


if __name__ == '__main__':
    sys.exit(main())
