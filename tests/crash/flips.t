#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=2400
"""Every bit of every file of a small spool is flipped, and every file cut at every length: mq-check tells, all else is
read as before, and nothing vanishes in silence.  What is not told stands in the lists below, with why.

A run takes one stretch of them in three, drawn anew each time (MQ_SEED=N draws the same again); tests/run --long takes all.

flips.t [FILE]    only the files whose path holds FILE; prints the cases that are not as they should be"""
import collections
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

BUILD = os.environ.get('MQ_BUILD') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SRC = os.environ.get('MQ_SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HELPER = BUILD + '/tests/crash/flips'
QUICK = os.environ.get('MQ_PASS') == 'sanitize'
sys.dont_write_bytecode = True
sys.path.insert(0, SRC + '/tests')
import amount  # noqa: E402
ONE_IN = amount.of('MQ_FLIPS', 1, 3, 1)
SEED = int(os.environ.get('MQ_SEED', random.randrange(1 << 30)))
SLOT, AREA, BLOCK = 256, 512, 4096

# A byte that may change without a word: (what, file, how, is it this byte?, at most so many of one, why).
UNTOLD = [
    ('the futex word of state', r'/state$', 'bits', lambda at: 45056 <= at < 45060, 4,
     'it counts wake-ups, is never read as a fact, and a waiter looks again by itself'),
    ('the pid in a line of owners', r'/owners(\.1)?$', 'bits', lambda at: at % 128 < 8, 8,
     'shown to people while that owner holds its lock; the lock tells whether there is one'),
    ('the member in a line of owners', r'/owners(\.1)?$', 'bits', lambda at: at % 128 < 8 + 16, 16, 'the same'),
    ('a bell that rang', r'/bell$', 'cuts', lambda at: at == 0, 1, 'its contents are nothing; that it was written wakes'),
    ('an entry of the room for acknowledgements', r'/acked\.\d+$', 'cuts', lambda at: at == 4057, 1,
     'as in a file that was made anew: the last entry is free'),
]
# Where a reader ends with a reason instead of reading around it.
REFUSED = [
    (r'^topics/[^/]*/topic\.conf$', lambda at: True, 'configuration that does not hold: nobody guesses'),
    (r'/start$', lambda at: at < SLOT, 'cut so short that neither slot is left: an older log start must not be made up'),
]
# Where, told by mq-check, readers see less until somebody syncs: what is durable is not known there.
LATE = [(r'/state$', lambda at: 3 * BLOCK <= at < 11 * BLOCK, 'a durable mark: the next sync, or the next reader who may write, makes it anew')]


def regions(name, size):
    """(from, to, step): of which bytes every bit is flipped (1), or of every byte one (8)."""
    if name.endswith('/state'):
        used = lambda b: 16 if b == 0 else 4 if b == 11 else SLOT
        whole = [(b * BLOCK, b * BLOCK + used(b), 1) for b in range(12)]
        return whole + [(b * BLOCK + used(b), (b + 1) * BLOCK, 8) for b in range(12)]
    if name.endswith('/offsets'):  # two areas of each block, of which one was never used but in one partition
        used = lambda at: at % BLOCK < 2 * AREA and at % AREA < SLOT
        return [(at, at + SLOT, 1 if used(at) else 8) for at in range(0, size, SLOT)]
    if name.endswith('/start'):
        return ([(b, b + SLOT, 1) for b in range(0, size, BLOCK)] + [(b + SLOT, b + BLOCK, 8) for b in range(0, size, BLOCK)])
    if '/claimed.' in name:  # two halves, each a head and some slots, and zeros behind them
        used = [(half, half + 128 + 32 * 24, 1) for half in (0, size // 2)]
        return used + [(at, at + 1, 1) for at in range(1000, size, 997)] + [(size - 64, size, 1)]
    if size > 100000:
        return [(0, 1000, 1)] + [(at, at + 2, 1) for at in range(1000, size, 499)]
    return [(at, min(at + 1000, size), 1) for at in range(0, size, 1000)]


def jobs(name, size):
    """(mode, arguments)"""
    if not size:
        return []
    bits = [('bits', region) for region in regions(name, size)]
    if QUICK:
        bits = [(mode, (a, min(a + 8, b), step)) for mode, (a, b, step) in bits[:12]]
    cuts = [] if QUICK and size > 500 else [('cuts', (at, min(at + 5000, size))) for at in range(0, size, 5000)]
    if '/claimed.' in name and not QUICK:
        bits += [('share', (half + at, half + at + 128)) for half in (0, size // 2) for at in range(0, 128 + 32 * 20, 128)]
    if size > 100000:
        cuts = [('cuts', (at, at + 1)) for at in range(0, size, 1999)]
    writes = []
    if re.search(r'/\d+/', name) and not name.startswith('topics/wide'):
        for mode in 'append', 'recover':
            if name.endswith('/state'):
                writes += [(mode, (b, b + SLOT)) for b in range(0, size, BLOCK)]
            elif name.endswith('/start'):
                writes += [(mode, (b, b + 48)) for b in range(0, size, BLOCK)]
            else:
                writes += [(mode, (at, min(at + 1000, size))) for at in range(0, size, 1000)]
    return bits + cuts + (writes[::8] if QUICK else writes)


def files(spool):
    return sorted(os.path.relpath(os.path.join(d, f), spool) for d, _, fs in os.walk(spool) for f in fs)


def is_new(name):
    """Of the shared topic only what is written by those who share: the rest has its like elsewhere."""
    return not re.match(r'topics/queue/|groups/work/(?!.*/claimed)', name)


def run(job):
    """A spool of its own for each: its ids are its own, so the file goes by its place in the list."""
    base, number, index, mode, arguments = job
    spool = '%s/%d' % (base, number)
    subprocess.run([HELPER, 'make', spool], check=True)
    done = subprocess.run([HELPER, mode, spool, files(spool)[index], *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    shutil.rmtree(spool)
    if done.returncode:
        return mode, ['! %s %s ended with %d' % (mode, index, done.returncode)], 0
    lines = done.stdout.splitlines()
    return mode, lines[:-1], int(lines[-1].split()[1])


class Faults:
    def __init__(self):
        self.found = collections.defaultdict(list)
        self.untold = collections.defaultdict(set)
        self.cases = collections.Counter()

    def judge(self, mode, line):
        name, at, bit, *verdicts = line.split()
        at = int(at)
        if 'invented' in verdicts:
            self.found['invented'].append(line)
        if 'untold' in verdicts:
            known = [u for u in UNTOLD if re.search(u[1], name) and (u[2] == mode or mode in ('append', 'recover')) and u[3](at)]
            if known:
                self.untold[known[0][0], name, at // 128 if name.endswith('owners') else 0].add(at)
                verdicts = [v for v in verdicts if v != 'silent']
            else:
                self.found['untold'].append(line)
        if 'silent' in verdicts:
            self.found['silent'].append(line)
        refused = any(re.search(pattern, name) and here(at) for pattern, here, _ in REFUSED)
        late = mode == 'bits' and any(re.search(pattern, name) and here(at) for pattern, here, _ in LATE)
        if 'refused' in verdicts and not refused:
            self.found['refused'].append(line)
        if 'lost' in verdicts and not refused and not late:
            self.found['lost'].append(line)


class Tap:
    count = failed = 0

    def result(self, name, faults):
        self.count += 1
        self.failed += bool(faults)
        print('%s %d - %s' % ('not ok' if faults else 'ok', self.count, name))
        for fault in faults[:20]:
            print('# ' + fault)
        if len(faults) > 20:
            print('# and %d more' % (len(faults) - 20))
        sys.stdout.flush()


def as_made(base):
    """What is wrong with a spool that nobody changed."""
    spool = base + '/made'
    subprocess.run([HELPER, 'make', spool], check=True)
    said = subprocess.run([HELPER, 'check', spool], stdout=subprocess.PIPE, text=True).stdout.splitlines()
    faults, records = said[:-1], int(re.search(r'records=(\d+)', said[-1])[1])
    read = 0
    for topic, partition in ('orders', 0), ('orders', 1), ('orders', 2), ('packed', 0), ('wide', 0), ('queue', 0):
        reader = subprocess.run([sys.executable, '-B', SRC + '/tests/reader.py', spool, topic, str(partition)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        read += len(reader.stdout.splitlines())
        if reader.returncode:
            faults.append('the second reader: ' + reader.stderr)
    if read + 3 != records:  # the log start of orders:2 is 3
        faults.append('the check counts %d records, the second reader reads %d and 3 are purged' % (records, read))
    return faults, spool


def main():
    tap, faults = Tap(), Faults()
    only = sys.argv[1] if len(sys.argv) > 1 else ''
    base = tempfile.mkdtemp(prefix='mq-flips-', dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else None)
    try:
        wrong, spool = as_made(base)
        tap.result('a spool that nobody changed has no finding, and the second reader agrees', wrong)
        todo = [(base, None, i, *job) for i, f in enumerate(files(spool)) if only in f and is_new(f)
                for job in jobs(f, os.path.getsize(spool + '/' + f))]
        dice = random.Random(SEED)
        todo = [job for job in todo if only or not dice.randrange(ONE_IN)]
        todo = [(b, n, *rest) for n, (b, _, *rest) in enumerate(todo)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for mode, lines, cases in pool.map(run, todo):
                faults.cases[mode] += cases
                for line in lines:
                    if line.startswith('!'):
                        faults.found['ended'].append(line)
                    else:
                        faults.judge(mode, line)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    many = {what: max(len(at) for (w, *_), at in faults.untold.items() if w == what) for what, *_ in faults.untold}
    print('# MQ_SEED=%d draws the same again: one in %d' % (SEED, ONE_IN))
    print('# cases: %s' % ', '.join('%d %s' % (n, mode) for mode, n in sorted(faults.cases.items())))
    for what, _, how, _, most, why in UNTOLD:
        if what in many:
            print('# %s: %s of %d byte(s) not told: %s' % (what, how, many[what], why))
    tap.result('each flipped bit and each cut is told, or on the list', faults.found['untold'])
    tap.result('what is on the list is no more than it says, and never more than 20 bytes of a kind',
               ['%s: %d bytes' % (what, n) for what, n in many.items()
                if n > 20 or n > next(u[4] for u in UNTOLD if u[0] == what)])
    tap.result('nothing is read that was never written', faults.found['invented'])
    tap.result('no record vanishes without a word', faults.found['silent'])
    tap.result('damage stays local: records of other batches are read at their offsets, before and after the next append',
               faults.found['lost'])
    tap.result('readers and publishers go on, but where nobody may guess', faults.found['refused'])
    tap.result('the program that flips came to its end', faults.found['ended'])
    if not only and not QUICK:
        tap.result('at least 800,000 cases, or the part of them that is asked',
                   [] if sum(faults.cases.values()) >= 800000 / ONE_IN * (1 if ONE_IN == 1 else 0.7) else [str(dict(faults.cases))])
    print('1..%d' % tap.count)
    return 1 if tap.failed else 0


sys.exit(main())
