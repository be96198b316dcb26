#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
"""Publishers to a topic that stores one record of an id, killed at each of their calls, or failing there, and at random.

Whatever one is killed at, who publishes the same ids again stores those that are not there and no other: in the end each is
there once, what was confirmed is where that was said, and mq-check finds nothing that is lost.

MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice; MQ_EVERY=N takes one call in N."""
import os
import random
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import amount  # noqa: E402

BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
EVERY = amount.of('MQ_EVERY', 1, 2, 16)
KILLS = amount.of('MQ_KILLS', 500, 150, 50)
SEED = int(os.environ.get('MQ_SEED', random.randrange(1 << 30)))
PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
BEFORE = ['old-%d' % i for i in range(1025)]  # so many that a file of ids is made of them
IDS = ['a', 'b', 'old-7', 'a', 'c', 'old-1024', 'd', 'b']
number = failed = 0


class Wrong(Exception):
    """Something that must hold does not."""


def result(good, name, said=''):
    global number, failed
    number += 1
    failed += not good
    for line in str(said).splitlines()[:20]:
        print('# ' + line)
    print('%s %d - %s' % ('ok' if good else 'not ok', number, name), flush=True)


def environment(at, **more):
    return dict(os.environ, MQ_SPOOL=at + '/spool', **more)


def well(at, *argv, ids=()):
    done = subprocess.run([BUILD + '/bin/' + argv[0], *argv[1:]], env=environment(at), input=''.join(i + '\n' for i in ids).encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    if done.returncode != 0:
        raise Wrong('%s: status %d: %s' % (' '.join(argv), done.returncode, done.stderr.decode()))
    return done.stdout.decode()


def publish(at, ids, p):
    return well(at, 'mq-publish', '-q', '--id-field', '1', '--confirm', '-p', str(p), 'T', ids=ids).splitlines()


def killed(at, fault, p, report='/dev/null'):
    done = subprocess.run([BUILD + '/tests/traced/mq-publish', '-q', '--id-field', '1', '--confirm', '-p', str(p), 'T'],
                          env=environment(at, MQ_TEST_FAULT=fault, MQ_TEST_FAULT_REPORT=report),
                          input=''.join(i + '\n' for i in IDS).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=False)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode()


def stored(at):
    """Where each id is; each once."""
    places = {}
    for line in well(at, 'mq-consume', '--format', '%t:%p:%o %s\n', 'T').splitlines():
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
    found = well(at, 'mq-check')
    if re.search(r'^(damage|lost|config|newer|dead) ', found, re.M):
        raise Wrong('mq-check: ' + found)


def make(at):
    well(at, 'mq-topic', 'create', '--partitions', '2', '-X', 'dedupe.ms=1d', 'T')
    publish(at, BEFORE, 0)


def calls(p):
    with tempfile.TemporaryDirectory(dir=PLACE) as at:
        make(at)
        killed(at, '', p, at + '/report')
        with open(at + '/report', encoding='ascii') as f:
            return sum(int(n) for n in re.findall(r'call \w+ (\d+)', f.read()))


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


def late(tool, at, ids, **more):
    """Each id twice, and what is there already, through the waiting room; (status, which were confirmed)."""
    twice = [i for i in ids for _ in (0, 1)] + BEFORE[:2]
    done = subprocess.run([BUILD + tool, '-q', '--id-field', '1', '--confirm', *DUE, 'T'], env=environment(at, **more),
                          input=''.join(i + '\n' for i in twice).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=False)
    said = done.stdout.decode().splitlines()
    return done.returncode, {i for i, line in zip(twice, said) if line[0] != '-'}, done.stderr.decode()


def due_at_each(action, every):
    """What was parked and confirmed comes, once; whoever delivers it is killed, and so is who parks it."""
    fired = n = 0
    for k in range(1, 100000, every):
        with tempfile.TemporaryDirectory(dir=PLACE) as at:
            make(at)
            status, safe, said = late('/tests/traced/mq-publish', at, IDS, MQ_TEST_FAULT='*:%d:%s' % (k, action))
            if status not in (-9, 0, 74, 75, 77, 78):
                raise Wrong('call %d: status %d: %s' % (k, status, said))
            n += 1
            fired += status != 0
            rest = [i for i in IDS if i not in safe]
            status, _, said = late('/bin/mq-publish', at, rest) if rest else (0, None, None)
            if status != 0:
                raise Wrong('call %d: the next one: status %d: %s' % (k, status, said))
            well(at, 'mq-consume', 'T')
            if 'nothing is delayed' not in well(at, 'mq-topic', 'delayed', 'T'):
                raise Wrong('call %d: %s' % (k, well(at, 'mq-topic', 'delayed', 'T')))
            try:
                there = set(stored(at))
            except Wrong as error:
                raise Wrong('call %d, %s: %s' % (k, action, error)) from error
            if there != set(BEFORE + IDS):
                raise Wrong('call %d: missing: %s' % (k, set(BEFORE + IDS) - there))
            found = well(at, 'mq-check')
            if re.search(r'^(damage|lost|config|newer|dead) ', found, re.M):
                raise Wrong('call %d: mq-check: %s' % (k, found))
            if not rest and action.startswith('kill') and fired < n:
                break
    if fired < 20:
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
                    [BUILD + '/bin/mq-publish', '-q', '--id-field', '1', '--confirm', 'T'], env=environment(at), stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
                both[-1].stdin.write(''.join(i + '\n' for i in these).encode())
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
        found = well(at, 'mq-check')
        if re.search(r'^(damage|lost|config|newer|dead) ', found, re.M):
            raise Wrong('mq-check: ' + found)
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
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
