#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
"""mq-replay --to that is killed: at every one of its calls, and at random moments.

The same command is given again until it ends.  Then each record of the range is in the other topic as often as runs were begun
(runs@in@ counts them), once by each; mq-check finds nothing.

MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N (3: which, MQ_SEED says)."""
import collections
import functools
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import PLACE, SEED, Wrong, mq, result  # noqa: E402
import reader  # noqa: E402
import reader_intent  # noqa: E402

KILLS = amount.of('MQ_KILLS', 500, 150, 30)
EVERY = amount.of('MQ_EVERY', 3, 6, 32)
RECORDS = 12


def replay(spool, *options, **how):
    return mq(spool, 'replay', *options, '--to', 'out', 'in', **how)


def make(spool, keyed):
    """Two partitions; of keyed records a transfer goes to several."""
    for topic in ('in', 'out'):
        mq(spool, 'topic', 'create', topic, '--partitions', '2')
    for p in (0, 1):
        mine = range(p, RECORDS, 2)
        lines = ''.join('k%d\t%d\n' % (i, i) if keyed else '%d\n' % i for i in mine)
        mq(spool, 'publish', '-p', str(p), *(('-K', '\t') if keyed else ()), 'in', stdin=lines.encode())


def runs(spool):
    """The number of the last run, and whether it has ended."""
    if not os.path.isdir(spool + '/topics/runs@in@'):
        return 0, True
    last = None
    for record in reader.Partition(spool, 'runs@in@', '0').records():
        last = reader_intent.run_of(record[1])
    return (last['number'], last['ended']) if last else (0, True)


def check(spool):
    begun, ended = runs(spool)
    if not begun or not ended:
        raise Wrong('run %d has not ended' % begun)
    seen = collections.Counter(int(payload) for p in '01' for _, payload, _, _ in reader.Partition(spool, 'out', p).records())
    wrong = {i: seen[i] for i in set(seen) | set(range(RECORDS)) if seen[i] != begun}
    if wrong:
        raise Wrong('after %d runs these are there so often: %r' % (begun, wrong))
    killer.clean(spool)


def calls_of(keyed):
    with tempfile.TemporaryDirectory(prefix='mq-replay-', dir=PLACE) as place:
        spool, report = place + '/spool', place + '/report'
        make(spool, keyed)
        replay(spool, fault='', report=report)
        check(spool)
        return killer.calls(report)


def killed_at(keyed, rule):
    """(was it killed, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-replay-', dir=PLACE) as place:
        try:
            spool = place + '/spool'
            make(spool, keyed)
            done = replay(spool, fault=rule, good=(0, -9))
            if not runs(spool)[1] or not runs(spool)[0]:
                replay(spool)
            check(spool)
            replay(spool)
            check(spool)
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def at_every_call(keyed):
    killed, wrong = killer.all_of(functools.partial(killed_at, keyed), killer.rules(calls_of(keyed), EVERY))
    result(not wrong and killed, '%s: killed at each of its calls, %d times' % ('with keys' if keyed else 'lines', killed), wrong)


def at_random(keyed, kills, rng):
    with tempfile.TemporaryDirectory(prefix='mq-replay-', dir=PLACE) as place:
        spool, killed, wrong = place + '/spool', 0, None
        make(spool, keyed)
        most = sum(n for call, n in calls_of(keyed))
        try:
            for _ in range(20 * kills):
                if killed == kills:
                    break
                rule = killer.somewhere(rng, most + most // 4)
                killed += replay(spool, *rng.choice(((), (), ('--rate', '1000/s'))), fault=rule, good=(0, -9)).returncode == -9
            replay(spool)
            check(spool)
        except Wrong as why:
            wrong = why
        result(wrong is None and killed == kills, '%s: killed %d times at random, in %d runs (MQ_SEED=%d)'
               % ('with keys' if keyed else 'lines', killed, runs(spool)[0], SEED), wrong or '')


def main():
    print('1..4')
    for keyed in (False, True):
        at_every_call(keyed)
    for keyed in (False, True):
        at_random(keyed, KILLS // 2, random.Random(SEED + keyed))
    return killer.status()


sys.exit(main())
