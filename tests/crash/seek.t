#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1200
"""mq-group seek that is killed: at every one of its calls, and at random, between members that are killed, too.

A place is where it was or where it was to be set, in each partition for itself; where it said that it was done, that; it never goes back
to one of before; what a member gets next is what lies behind it; a position that was printed before a seek is refused behind it.
MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import json
import random
import sys
import tempfile

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import PLACE, SEED, Wrong, mq, result  # noqa: E402

KILLS = amount.of('MQ_KILLS', 500, 150, 30)
EVERY = amount.of('MQ_EVERY', 1, 2, 24)
PARTITIONS, RECORDS = 2, 40


def run(at, *args, **how):
    return mq(at + '/spool', *args, **how)


def make(at):
    run(at, 'topic', 'create', '--partitions', str(PARTITIONS), 'T')
    for p in range(PARTITIONS):
        run(at, 'publish', '-p', str(p), 'T', stdin=''.join('%d %d\n' % (p, i) for i in range(RECORDS)).encode())
        run(at, 'consume', '-g', 'g', '-n', str(10 + p), 'T:%d' % p)


def places(at):
    shown = run(at, 'group', 'show', '-g', 'g', '--json', 'T').stdout.splitlines()
    return [json.loads(line)['committed'] for line in shown]


def check(at):
    """The next member gets what lies behind the place, and no more."""
    stood = places(at)
    for p in range(PARTITIONS):
        came = run(at, 'consume', '-g', 'g', '-n', '2', 'T:%d' % p).stdout.decode().splitlines()
        if came != ['%d %d' % (p, i) for i in range(stood[p], min(stood[p] + 2, RECORDS))]:
            raise Wrong('partition %d stood at %d, and gave %s' % (p, stood[p], came))
    killer.clean(at + '/spool')


# --- every call ---------------------------------------------------------------------------------
SEEK = ('group', 'seek', '--force', '-g', 'g', '-o', '3', 'T')


def at_every_call():
    with tempfile.TemporaryDirectory(prefix='mq-seek-', dir=PLACE) as at:
        make(at)
        run(at, *SEEK, fault='', report=at + '/report')
        rules = killer.rules(killer.calls(at + '/report'), EVERY, quiet=())
    killed = 0
    for rule in rules:
        with tempfile.TemporaryDirectory(prefix='mq-seek-', dir=PLACE) as at:
            try:
                make(at)
                position = run(at, 'consume', '-g', 'g', '--manual', '--timeout', '0s', '-n', '1', 'T:0', good=(0, 75)).stdout.split(b'\t')[0]
                status = run(at, *SEEK, fault=rule, good=(0, -9)).returncode
                killed += status == -9
                stood = places(at)
                for p in range(PARTITIONS):
                    if stood[p] not in ((3,) if status == 0 else (3, 10 + p)):
                        raise Wrong('partition %d stands at %d' % (p, stood[p]))
                if stood[0] == 3:
                    run(at, 'group', 'commit', '-g', 'g', stdin=position + b'\n', good=(77,))
                check(at)
            except Wrong as wrong:
                return result(False, 'killed at each of its calls', '%s: %s' % (rule, wrong))
    return result(killed >= len(rules) // 2, 'killed at each of its calls, %d times' % killed)


# --- at random ----------------------------------------------------------------------------------
def step(at, rng, stood):
    """A seek or a member, killed perhaps: (was it, what was given)."""
    p, fault = rng.randrange(PARTITIONS), killer.somewhere(rng, 500)
    if rng.random() < 0.5:
        to = rng.randrange(RECORDS)
        status = run(at, 'group', 'seek', '-g', 'g', '-o', str(to), 'T:%d' % p, fault=fault, good=(0, -9)).returncode
        may = (to,) if status == 0 else (stood[p], to)
    else:
        n = rng.choice((1, 3, 50))
        done = run(at, 'consume', '-g', 'g', '-n', str(n), 'T:%d' % p, fault=fault, good=(0, -9))
        status, came = done.returncode, done.stdout.decode().split('\n')[:-1]
        if came != ['%d %d' % (p, i) for i in range(stood[p], stood[p] + len(came))]:
            raise Wrong('partition %d stood at %d, and gave %s' % (p, stood[p], came))
        may = (min(stood[p] + n, RECORDS),) if status == 0 else range(stood[p], min(stood[p] + n, RECORDS) + 1)
    now = places(at)
    if now[p] not in may:
        raise Wrong('partition %d stood at %d, and stands at %d (%s, status %d)' % (p, stood[p], now[p], list(may), status))
    if now[1 - p] != stood[1 - p]:
        raise Wrong('partition %d was not asked for, stood at %d and stands at %d' % (1 - p, stood[1 - p], now[1 - p]))
    return status == -9, now


def at_random():
    rng, killed, steps = random.Random(SEED), 0, 0
    with tempfile.TemporaryDirectory(prefix='mq-seek-', dir=PLACE) as at:
        try:
            make(at)
            stood = places(at)
            while killed < KILLS:
                hit, stood = step(at, rng, stood)
                killed += hit
                steps += 1
            check(at)
        except Wrong as wrong:
            return result(False, 'killed %d times at random' % killed, '%s (MQ_SEED=%d)' % (wrong, SEED))
    return result(True, 'killed %d times at random, of %d (MQ_SEED=%d)' % (killed, steps, SEED))


def main():
    print('1..2')
    at_every_call()
    at_random()
    return killer.status()


if __name__ == '__main__':
    sys.exit(main())
