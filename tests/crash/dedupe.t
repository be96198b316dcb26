#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
"""Publishers to a topic that stores one record of an id, killed at each of their calls, or failing there, and at random.

Whatever one is killed at, who publishes the same ids again stores those that are not there and no other: in the end each is
there once, what was confirmed is where that was said, and mq-check finds nothing that is lost.

MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice; MQ_EVERY=N takes one call in N."""
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

EVERY = amount.of('MQ_EVERY', 1, 2, 32)
KILLS = amount.of('MQ_KILLS', 500, 150, 30)
PUBLISH = ('publish', '-q', '--id-field', '1', '--confirm')
BEFORE = ['old-%d' % i for i in range(1025)]  # so many that a file of ids is made of them
IDS = ['a', 'b', 'old-7', 'a', 'c', 'old-1024', 'd', 'b']


def well(at, *argv, **how):
    return mq(at + '/spool', *argv, **how).stdout.decode()


def lines(ids):
    return ''.join(i + '\n' for i in ids).encode()


def publish(at, ids, p):
    return well(at, *PUBLISH, '-p', str(p), 'T', stdin=lines(ids)).splitlines()


def killed(at, fault, p, report='/dev/null'):
    done = mq(at + '/spool', *PUBLISH, '-p', str(p), 'T', stdin=lines(IDS), fault=fault, report=report, good=None)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode()


def stored(at):
    """Where each id is; each once."""
    places = {}
    for line in well(at, 'consume', '--format', '%t:%p:%o %s\n', 'T').splitlines():
        place, i = line.split()
        if i in places:
            raise Wrong('%s is at %s and at %s' % (i, places[i], place))
        places[i] = place
    return places


def settle(at, confirmed, want, p):
    for i, line in zip(IDS, confirmed):
        if line[0] != '-' and stored(at).get(i) != line.replace('=\t', ''):
            raise Wrong('%s was confirmed as %s, and is at %s' % (i, line, stored(at).get(i)))
    again = publish(at, IDS, p)
    places = stored(at)
    if set(places) != want:
        raise Wrong('missing: %s, too many: %s' % (want - set(places), set(places) - want))
    if [line.replace('=\t', '') for line in again] != [places[i] for i in IDS]:
        raise Wrong('confirmed as %s, they are at %s' % (again, [places[i] for i in IDS]))
    if any(line[0] != '=' for line in publish(at, IDS, 1 - p)):
        raise Wrong('stored a third time')
    killer.clean(at + '/spool', dead=False)


def make(at):
    well(at, 'topic', 'create', '--partitions', '2', '-X', 'dedupe.ms=1d', 'T')
    publish(at, BEFORE, 0)


def calls(p):
    with tempfile.TemporaryDirectory(dir=PLACE) as at:
        make(at)
        killed(at, '', p, at + '/report')
        return sum(n for _, n in killer.calls(at + '/report'))


def at_each(action, p, every):
    """p: where the killed one publishes; who comes next tries it in the other one."""
    most, fired = calls(p), 0
    for k in range(1, most + 1, every):
        with tempfile.TemporaryDirectory(dir=PLACE) as at:
            make(at)
            status, confirmed, said = killed(at, '*:%d:%s' % (k, action), p)
            if status not in (-9, 0, 74, 75, 77, 78):
                raise Wrong('call %d: status %d: %s' % (k, status, said))
            fired += status != 0
            try:
                settle(at, confirmed, set(BEFORE + IDS), 1 - p)
            except Wrong as error:
                raise Wrong('call %d of %d, %s: %s' % (k, most, action, error)) from error
    if fired < most // every // 3:
        raise Wrong('only %d of %d kills fired' % (fired, most // every))
    return '%d of %d calls' % (fired, most)


DUE = ('--at', '2020-01-01T00:00:00Z')


def late(at, ids, fault=None):
    """Each id twice, and what is there already, through the waiting room; (status, which were confirmed)."""
    twice = [i for i in ids for _ in (0, 1)] + BEFORE[:2]
    done = mq(at + '/spool', *PUBLISH, *DUE, 'T', stdin=lines(twice), fault=fault, good=None)
    said = done.stdout.decode().splitlines()
    return done.returncode, {i for i, line in zip(twice, said) if line[0] != '-'}, done.stderr.decode()


def due_at_each(action, every):
    """What was parked and confirmed comes, once; whoever delivers it is killed, and so is who parks it."""
    fired = n = 0
    for k in range(1, 100000, every):
        with tempfile.TemporaryDirectory(dir=PLACE) as at:
            make(at)
            status, safe, said = late(at, IDS, '*:%d:%s' % (k, action))
            if status not in (-9, 0, 74, 75, 77, 78):
                raise Wrong('call %d: status %d: %s' % (k, status, said))
            n += 1
            fired += status != 0
            rest = [i for i in IDS if i not in safe]
            status, _, said = late(at, rest) if rest else (0, None, None)
            if status != 0:
                raise Wrong('call %d: the next one: status %d: %s' % (k, status, said))
            well(at, 'consume', 'T')
            if 'nothing is delayed' not in well(at, 'topic', 'delayed', 'T'):
                raise Wrong('call %d: %s' % (k, well(at, 'topic', 'delayed', 'T')))
            try:
                if (there := set(stored(at))) != set(BEFORE + IDS):
                    raise Wrong('missing: %s' % (set(BEFORE + IDS) - there))
                killer.clean(at + '/spool', dead=False)
            except Wrong as error:
                raise Wrong('call %d, %s: %s' % (k, action, error)) from error
            if not rest and action.startswith('kill') and fired < n:
                break
    if fired < max(2, n * 3 // 4):
        raise Wrong('only %d of %d kills fired' % (fired, n))
    return '%d of %d calls' % (fired, n)


def at_random():
    """One is killed while another one publishes the same ids."""
    chance, fired, ids = random.Random(SEED), 0, []
    with tempfile.TemporaryDirectory(dir=PLACE) as at:
        make(at)
        began = time.monotonic()
        publish(at, ['warm-%d' % n for n in range(100)], 0)
        span = time.monotonic() - began
        ids += ['warm-%d' % n for n in range(100)]
        n = 0
        while fired < KILLS:
            n += 1
            these = ['id-%d-%d' % (n, i) for i in range(chance.choice((1, 3, 100)))]
            both = []
            for _ in range(2):
                chance.shuffle(these)
                both.append(subprocess.Popen(
                    [killer.tool(PUBLISH[0]), *PUBLISH[1:], 'T'], env=dict(os.environ, MQ_SPOOL=at + '/spool'), stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
                both[-1].stdin.write(lines(these))
                both[-1].stdin.close()
            time.sleep(chance.random() * span)
            both[0].kill()
            hit = both[0].wait() == -9
            fired += hit
            span *= 1.05 if hit else 0.95  # of many only a few would fall into the run
            if both[1].wait() != 0:
                raise Wrong('round %d: %s' % (n, both[1].stderr.read().decode()))
            for b in both:
                b.stderr.close()
            ids += these
        places = stored(at)
        want = set(BEFORE + ids)
        if set(places) != want:
            raise Wrong('missing: %s, too many: %s' % (want - set(places), set(places) - want))
        killer.clean(at + '/spool', dead=False)
    return '%d kills in %d runs; seed %d; %d ids' % (fired, n, SEED, len(want))


def main():
    print('1..6')
    for action, p, every in ('kill-before', 0, EVERY), ('kill-after', 1, 4 * EVERY), ('kill-after', 0, 4 * EVERY), ('EIO', 1, 4 * EVERY):
        name = 'a publisher of ids, %s at %s of its calls (partition %d)' % (action, 'each' if every == 1 else 'one in %d' % every, p)
        try:
            result(True, name, at_each(action, p, every))
        except Wrong as error:
            result(False, name, error)
    name = 'ids that come out of a waiting room, each twice, kill-before at one in %d calls' % (4 * EVERY)
    try:
        result(True, name, due_at_each('kill-before', 4 * EVERY))
    except Wrong as error:
        result(False, name, error)
    try:
        result(True, 'publishers of the same ids, killed at random', at_random())
    except Wrong as error:
        result(False, 'publishers of the same ids, killed at random', error)
    return killer.status()


if __name__ == '__main__':
    sys.exit(main())
