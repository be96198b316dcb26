#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
"""mq-consume --to and mq-drain --to that are killed: at every one of their calls, and at random moments.

Records of two partitions go into a topic, as they are, or as a handler prints them (each twice).  Whoever comes after the killed
one finishes what it began.  In the end each record is in the topic as often as it is to be, in the order of its partition, the
places are at the ends, mq-check finds nothing; and no handler ran for a record that was in the topic already.

MQ_KILLS=N changes the number of kills at random (500 each), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import concurrent.futures
import functools
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import AT_ONCE, PLACE, SEED, Wrong, mq, result  # noqa: E402
import reader  # noqa: E402

KILLS = amount.of('MQ_KILLS', 500, 150, 30)
EVERY = amount.of('MQ_EVERY', 6, 12, 96)
SOURCES, RECORDS = 2, 12
HANDLER = ('--', 'sh', '-c', 'while read -r x || [ -n "$x" ]; do echo "$x" >> "$RAN"; echo "$x"; echo "$x"; done')


class Kind:
    def __init__(self, name, tool, twice, *options, targets=3, batch=None):
        self.name, self.tool, self.twice, self.options, self.targets, self.batch = name, tool, twice, options, targets, batch

    def argv(self, jobs=1, *more):
        more += ('-j', str(jobs)) if self.twice and jobs > 1 else ()
        return (self.tool, '-g', 'g', '--to', 'out', '--partitions', str(self.targets), *more, *self.options, 'in', *(HANDLER if self.twice else ()))


KINDS = [
    Kind('consume --to', 'consume', 0),
    Kind('drain --to', 'drain', 0),
    Kind('drain --to, batch after batch into one partition', 'drain', 0, targets=1, batch=1),
    Kind('consume --to -- handler', 'consume', 1),
    Kind('drain --to --batch -- handler', 'drain', 1, '--batch', '3', '--order', 'none'),
]


def run(at, argv, **how):
    return mq(at + '/spool', *argv, env={'RAN': at + '/ran'}, **how)


def publish(at, kind, first, count):
    """Every second one in each partition."""
    for p in range(SOURCES):
        mine = ['%d\n' % i for i in range(first, first + count) if i % SOURCES == p]
        step = kind.batch or len(mine) or 1
        for at_once in range(0, len(mine), step):
            run(at, ('publish', '-p', str(p), 'in'), stdin=''.join(mine[at_once:at_once + step]).encode())


def make(at, kind, count):
    run(at, ('topic', 'create', 'in', '--partitions', str(SOURCES)))
    publish(at, kind, 0, count)


def there(at):
    """What is in the topic, by partition."""
    out = []
    for p in range(9):
        if os.path.isdir('%s/spool/topics/out/%d' % (at, p)):
            out.append([int(payload) for _, payload, _, _ in reader.Partition(at + '/spool', 'out', str(p)).records()])
    return out


def ran(at):
    try:
        with open(at + '/ran', encoding='ascii') as f:
            return [int(x) for x in f.read().split()]
    except FileNotFoundError:
        return []


def check(at, kind, count):
    seen = []
    for got in there(at):
        seen += got
        for p in range(SOURCES):
            mine = [i for i in got if i % SOURCES == p]
            if mine != sorted(mine):
                raise Wrong('out of order: %r' % mine)
    if sorted(seen) != sorted(list(range(count)) * (1 + kind.twice)):
        odd = sorted(i for i in range(count) if seen.count(i) != 1 + kind.twice)[:20] if count < 5000 else '?'
        raise Wrong('of %d records not there, or not once: %s' % (count, odd))
    places = reader.places(at + '/spool', 'g', 'in')
    if [places[p][0] for p in range(SOURCES)] != [len(range(p, count, SOURCES)) for p in range(SOURCES)]:
        raise Wrong('the group stands at %r' % places)
    killer.clean(at + '/spool')


def go_on(at, kind, jobs=1):
    """The next run, which waits for a handler that was just forked and holds what the killed one had.  None runs for what is there."""
    was, before = set(sum(there(at), [])), len(ran(at))
    done = run(at, kind.argv(jobs, '--timeout', '10s'))
    again = was & set(ran(at)[before:])
    if again:
        raise Wrong('handled again, though it was there: %s' % sorted(again))
    return done


# --- every call ---------------------------------------------------------------------------------
def calls_of(kind):
    with tempfile.TemporaryDirectory(prefix='mq-to-', dir=PLACE) as at:
        make(at, kind, RECORDS)
        run(at, kind.argv(), fault='', report=at + '/report')
        check(at, kind, RECORDS)
        return killer.calls(at + '/report')


def killed_at(kind, rule):
    """(was it killed, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-to-', dir=PLACE) as at:
        try:
            make(at, kind, RECORDS)
            done = run(at, kind.argv(), fault=rule, good=(0, -9))
            go_on(at, kind)
            check(at, kind, RECORDS)
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def at_every_call(kind):
    killed, wrong = killer.all_of(functools.partial(killed_at, kind), killer.rules(calls_of(kind), EVERY))
    result(not wrong and killed, '%s: killed at its calls, %d times' % (kind.name, killed), wrong)


# --- at random ----------------------------------------------------------------------------------
def at_random(kind, kills, seed):
    """(killed, records, what is wrong)"""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix='mq-to-', dir=PLACE) as at:
        count, killed = 0, 0
        make(at, kind, 0)
        try:
            for _ in range(20 * kills):
                if killed == kills:
                    break
                more = rng.choice((0, 1, 5, 20))
                publish(at, kind, count, more)
                count += more
                was, before = set(sum(there(at), [])), len(ran(at))
                rule = killer.somewhere(rng, 1500)
                done = run(at, kind.argv(rng.choice((1, 3))), fault=rule, good=(0, -9))
                killed += done.returncode == -9
                again = was & set(ran(at)[before:])
                if again:
                    raise Wrong('handled again, though it was there: %s' % sorted(again))
            go_on(at, kind)
            check(at, kind, count)
            return killed, count, None
        except Wrong as wrong:
            return killed, count, '%s (MQ_SEED=%d)' % (wrong, SEED)


def at_random_all(kind, n):
    each = (KILLS + AT_ONCE - 1) // AT_ONCE
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(at_random, [kind] * AT_ONCE, [each] * AT_ONCE, [SEED + 100 * n + i for i in range(AT_ONCE)]))
    killed, wrong = sum(d[0] for d in done), '\n'.join(d[2] for d in done if d[2])
    result(not wrong and killed >= KILLS, '%s: killed %d times at random, %d records' % (kind.name, killed, sum(d[1] for d in done)), wrong)


def main():
    print('1..%d' % (len(KINDS) + 3))
    for kind in KINDS:
        at_every_call(kind)
    for n, kind in enumerate(KINDS[1:4]):
        at_random_all(kind, n)
    return killer.status()


sys.exit(main())
