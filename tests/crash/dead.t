#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
"""mq-consume that puts records away as dead letters, killed: at every one of its calls, and at random moments.

Of the records of two partitions a third is done by its handler, a third rejected, a third fails once more than it is tried; in
one of the runs these are put aside until they are tried again, in another they have expired, and no handler gets them.
Whoever comes after the killed one finishes what it began.  In the end each record is done, or a dead letter, once, that says
where it was read; the places are at the ends, mq-check finds nothing; and no handler ran for what was a dead letter already.

MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import collections
import concurrent.futures
import functools
import json
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
EVERY = amount.of('MQ_EVERY', 4, 12, 48)
PARTITIONS, RECORDS = 2, 9
DONE, REJECTED, FAILED = 0, 1, 2  # of three records, by their number
HANDLER = 'read -r x; echo "$x" >> "$RAN"; case $((x % 3)) in 1) exit 100;; 2) echo bad >&2; exit 1;; esac; echo "$x" >> "$DID"'


Kind = collections.namedtuple('Kind', 'name tool options backoff every expires', defaults=(False,))
KINDS = [
    Kind('one after the other', 'consume', ('--order', 'partition'), '1ms', 1),
    Kind('beside each other', 'drain', ('--order', 'none', '-j', '3'), '1ms', 1),
    Kind('put aside', 'consume', (), '1100ms', 8),
    Kind('expired', 'consume', ('--order', 'none', '-j', '2'), '1ms', 1, True),
]


def argv(kind, *more):
    return (kind.tool, '-q', '-g', 'g', '--retries', '1', '--backoff', kind.backoff, *kind.options, *more, 'in', '--', 'sh', '-c', HANDLER)


def run(at, args, **how):
    return mq(at + '/spool', *args, env={'RAN': at + '/ran', 'DID': at + '/did'}, **how)


def publish(at, kind, first, count):
    for p in range(PARTITIONS):
        mine = ''.join('{"payload":"%d"%s}\n' % (i, ',"expiry":1' if kind.expires and i % 3 == FAILED else '')
                       for i in range(first, first + count) if i % PARTITIONS == p)
        if mine:
            run(at, ('publish', '--json', '-p', str(p), 'in'), stdin=mine.encode())


def make(at, kind, count):
    run(at, ('topic', 'create', 'in', '--partitions', str(PARTITIONS), 'expired.dead=' + ('true' if kind.expires else 'false')))
    publish(at, kind, 0, count)


def dead(at):
    """The payloads of the dead letters, by the reader that shares no code with the tools."""
    if not os.path.isdir(at + '/spool/topics/in.dead/0'):
        return []
    return [int(payload) for _, payload, _, _ in reader.Partition(at + '/spool', 'in.dead', '0').records()]


def numbers(at, name):
    try:
        with open(at + '/' + name, encoding='ascii') as f:
            return [int(x) for x in f.read().split()]
    except FileNotFoundError:
        return []


def check_letters(at, kind):
    held = {'in:%d:%d' % (p, offset): int(payload)
            for p in range(PARTITIONS) for offset, payload, _, _ in reader.Partition(at + '/spool', 'in', str(p)).records()}
    for line in run(at, ('consume', '--json', 'in.dead')).stdout.splitlines() if dead(at) else ():
        letter = json.loads(line)
        n, said = int(letter['payload']), letter['headers']
        if held.get(said['mq-origin']) != n:
            raise Wrong('%d says that it comes from %s' % (n, said['mq-origin']))
        if said['mq-reason'] != ('rejected' if n % 3 == REJECTED else 'expired' if kind.expires else 'failed'):
            raise Wrong('%d says that it was %s' % (n, said['mq-reason']))


def check(at, kind, count):
    letters, did = dead(at), numbers(at, 'did')
    if sorted(letters) != [i for i in range(count) if i % 3 != DONE]:
        odd = [i for i in range(count) if letters.count(i) != (i % 3 != DONE)]
        raise Wrong('of %d records dead, or not, and not once: %s' % (count, odd[:20]))
    if set(did) != {i for i in range(count) if i % 3 == DONE}:
        raise Wrong('not done: %s' % sorted({i for i in range(count) if i % 3 == DONE} - set(did))[:20])
    check_letters(at, kind)
    if kind.expires and {i for i in numbers(at, 'ran') if i % 3 == FAILED}:
        raise Wrong('handled, though expired')
    places = reader.places(at + '/spool', 'g', 'in')
    counted, expired = sum(p[3] for p in places.values()), sum(i % 3 == FAILED for i in range(count))
    # Who finishes a killed one's transfer moves the place and does not know what of it had expired: those stay uncounted.
    if kind.expires and counted > expired:
        raise Wrong('of %d expired ones are counted: %s' % (expired, places))
    ends = [len(list(reader.Partition(at + '/spool', 'in', str(p)).records())) for p in range(PARTITIONS)]
    if [places[p][0] for p in range(PARTITIONS)] != ends:
        raise Wrong('the group stands at %r' % places)
    killer.clean(at + '/spool')


def go_on(at, kind, fault=None):
    """The next run, without a fault the last one, which waits for a handler that was just forked and holds what the killed one had.
    No handler runs for what is a dead letter."""
    was, before = set(dead(at)), len(numbers(at, 'ran'))
    more = () if fault else ('-f', '--until-idle', '2500ms') if kind.every > 1 else ('--timeout', '10s')
    done = run(at, argv(kind, *more), fault=fault, good=(0,) if fault is None else (0, -9))
    again = was & set(numbers(at, 'ran')[before:])
    if again:
        raise Wrong('handled again, though dead: %s' % sorted(again))
    return done.returncode == -9


# --- every call ---------------------------------------------------------------------------------
def calls_of(kind):
    with tempfile.TemporaryDirectory(prefix='mq-dead-', dir=PLACE) as at:
        make(at, kind, RECORDS)
        run(at, argv(kind), fault='', report=at + '/report')
        go_on(at, kind)
        check(at, kind, RECORDS)
        return killer.calls(at + '/report')


def killed_at(kind, rule):
    """(was it killed, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-dead-', dir=PLACE) as at:
        try:
            make(at, kind, RECORDS)
            killed = go_on(at, kind, rule)
            go_on(at, kind)
            check(at, kind, RECORDS)
            return killed, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def at_every_call(kind):
    killed, wrong = killer.all_of(functools.partial(killed_at, kind), killer.rules(calls_of(kind), EVERY * kind.every))
    result(not wrong and killed, '%s: killed at its calls, %d times' % (kind.name, killed), wrong)


# --- at random ----------------------------------------------------------------------------------
def at_random(kind, kills, seed):
    """(killed, records, what is wrong)"""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix='mq-dead-', dir=PLACE) as at:
        count, killed = 0, 0
        make(at, kind, 0)
        try:
            for _ in range(20 * kills):
                if killed == kills:
                    break
                more = rng.choice((0, 1, 3, 8))
                publish(at, kind, count, more)
                count += more
                killed += go_on(at, kind, killer.somewhere(rng, 1500))
            go_on(at, kind)
            check(at, kind, count)
            return killed, count, None
        except Wrong as wrong:
            return killed, count, '%s (MQ_SEED=%d)' % (wrong, SEED)


def at_random_all(kind, n):
    each = (KILLS // len(KINDS) + AT_ONCE - 1) // AT_ONCE
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(at_random, [kind] * AT_ONCE, [each] * AT_ONCE, [SEED + 100 * n + i for i in range(AT_ONCE)]))
    killed, wrong = sum(d[0] for d in done), '\n'.join(d[2] for d in done if d[2])
    result(not wrong and killed >= KILLS // len(KINDS), '%s: killed %d times at random, %d records' % (kind.name, killed, sum(d[1] for d in done)),
           wrong)


def main():
    print('1..%d' % (2 * len(KINDS)))
    for kind in KINDS:
        at_every_call(kind)
    for n, kind in enumerate(KINDS):
        at_random_all(kind, n)
    return killer.status()


sys.exit(main())
