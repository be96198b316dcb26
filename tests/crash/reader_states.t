#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=900
# mq-test: no-sanitize
#
# States that a power cut can leave (states.t has all of them), a fixed sample of each scenario, read by the second reader:
# it sees what the tools see, first as they came up, then after the next publisher has recovered each topic; and recovery
# takes nothing away that the second reader saw.  To make one that failed, with its CUT:NUMBER:
#
#	tests/crash/scenario NAME DIR TRACE; tests/crash/powercut -k -o CUT:NUMBER NAME TRACE WORK
#
# reader_states.t [NAME ...]     only these scenarios
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
import reader  # noqa: E402

BUILD = os.environ.get('MQ_BUILD', '.')
SCENARIO, POWERCUT, AGREE = BUILD + '/tests/crash/scenario', BUILD + '/tests/crash/powercut', TESTS + '/lib/agree.py'
EACH, ROTTEN, WANTED = 12, 4, 500  # states of a scenario; those of them with a bad sector; states in all
CHANGING = 'renameat unlinkat write writev pwrite pwritev fdatasync fsync'.split()


def run(*argv, env=None):
    return subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, stdin=subprocess.DEVNULL,
                          universal_newlines=True, errors='replace')


def moments(trace):
    """Entries of a trace before which the power may go, once a topic has its name."""
    with open(trace, encoding='utf-8', errors='replace') as lines:
        entries = [line.split() for line in lines if re.match(r'@mq \d+ \d+ \d+ ', line)]
    named = next((i for i, e in enumerate(entries) if e[4] == 'renameat' and re.search(r' to=spool/topics/[^./ ]+ ', ' '.join(e))), 0)
    return [i for i in range(named + 1, len(entries)) if entries[i][4] in CHANGING and 'file=stdout' not in entries[i]] + [len(entries)]


def is_state(name, trace, cut, number, work):
    """Materialise state CUT:NUMBER, if there is one."""
    shutil.rmtree(work, ignore_errors=True)
    os.mkdir(work)
    made = run(POWERCUT, '-k', '-o', '%d:%d' % (cut, number), name, trace, work)
    assert made.returncode == 0, made.stdout
    return ' 1 checked,' in made.stdout


def rotten(name, trace, end, work):
    """Numbers of states at the end with a bad sector, with and without the file `state`: they come last (cuts.c)."""
    last = 0
    while any(is_state(name, trace, end, last + step, work) for step in (8, 16, 24)):
        last += 8
    while last and not is_state(name, trace, end, last, work):
        last -= 1
    while is_state(name, trace, end, last + 1, work):
        last += 1
    return [last - 1 - back for back in (0, 5, 10, 23)]


def make_state(name, trace, cut, number, to, work):
    """Keep state CUT:NUMBER, or the nearest of a lower number; whether there was one that holds a spool."""
    while not is_state(name, trace, cut, number, work) and number > 0:
        number //= 2
    spool = work + '/0/disk/spool'
    if not os.path.exists(spool + '/spool.conf'):
        return False
    os.rename(spool, to + '%d:%d' % (cut, number))
    not_a_copy(to + '%d:%d' % (cut, number))
    return True


def not_a_copy(spool):
    """On that machine it was the very directory that it says it is; its files have other inodes, as after a restart."""
    with open(spool + '/spool.conf', 'rb') as file:
        lines = file.read().split(b'\n')
    lines = [b'inode=%d' % os.stat(spool).st_ino if line.startswith(b'inode=') else line for line in lines]
    if lines[-2].startswith(b'sum='):
        lines[-2] = b'sum=%08x' % reader.crc32c(b'\n'.join(lines[:-2]) + b'\n')
    with open(spool + '/spool.conf', 'wb') as file:
        file.write(b'\n'.join(lines))


def seen(spool):
    """{(topic, partition, offset): payload} by the second reader; what cannot be read is told by agree.py."""
    found = {}
    for topic in (t for t in os.listdir(spool + '/topics') if t[0] != '.'):
        for p in (int(name) for name in os.listdir('%s/topics/%s' % (spool, topic)) if name.isdigit()):
            try:
                found.update({(topic, p, r[0]): r[1] for r in reader.Partition(spool, topic, p).records()})
            except reader.Refused:
                pass
    return found


def recover(spool):
    """The next publisher of each topic that people publish to; what was wrong."""
    before, wrong = seen(spool), []
    for topic in sorted(t for t in os.listdir(spool + '/topics') if t[0] != '.' and '@' not in t):
        said = run('mq-publish', '-q', '-S', spool, '-m', 'after the cut', topic)
        if said.returncode != 0:
            wrong.append('%s: mq-publish ends with %d: %s' % (topic, said.returncode, said.stdout.strip()))
    after = seen(spool)
    lost = sorted(k for k in before if after.get(k) != before[k])
    if lost:
        wrong.append('seen before recovery and not after it: %s' % lost[:5])
    if not wrong and not any(payload == b'after the cut' for payload in after.values()) and before:
        wrong.append('what the next publisher stored is not seen')
    return ['%s: %s' % (os.path.basename(spool), w) for w in wrong]


class Tally(dict):
    def add(self, said):
        for number, what in re.findall(r'(\d+) (\w+)', re.findall('^agreed: (.*)$', said, re.MULTILINE)[0]):
            self[what] = self.get(what, 0) + int(number)


def hold(name):
    """Run a scenario, read its states; (faults, states, counts before, counts after)."""
    place = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    states, before, after = 0, Tally(), Tally()
    with tempfile.TemporaryDirectory(prefix='mq-reader-', dir=place) as work:
        spool, trace, cuts = (work + part for part in ('/run', '/trace', '/states/'))
        os.mkdir(spool)
        os.mkdir(cuts)
        acted = run(SCENARIO, name, spool, trace)
        if acted.returncode != 0:
            return [acted.stdout], 0, before, after
        cut = moments(trace)
        wanted = [(cut[i * (len(cut) - 1) // (EACH - 1)], (i * 37 + 5) % 97) for i in range(EACH)]
        wanted += [(cut[-1], number) for number in rotten(name, trace, cut[-1], work + '/cut')]
        for at, number in wanted:
            states += make_state(name, trace, at, number, cuts, work + '/cut')
        faults = []
        for counts in before, after:
            agreed = run(AGREE, cuts)
            faults += [line for line in agreed.stdout.splitlines() if not line.startswith('agreed: ')]
            if agreed.returncode not in (0, 1):
                return faults, states, before, after
            counts.add(agreed.stdout)
            if counts is before:
                for state in sorted(os.listdir(cuts)):
                    faults += recover(cuts + state)
        if os.environ.get('READER_KEEP'):
            shutil.copytree(cuts, os.environ['READER_KEEP'] + '/' + name)
    return faults, states, before, after


def main():
    names = sys.argv[1:] or run(SCENARIO, '--list').stdout.split()
    print('1..%d' % (len(names) + 1))
    failed, total, sums = 0, 0, (Tally(), Tally())
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for number, (name, (faults, states, *counts)) in enumerate(zip(names, pool.map(hold, names)), 1):
            total += states
            for whole, part in zip(sums, counts):
                for what in part:
                    whole[what] = whole.get(what, 0) + part[what]
            failed += bool(faults)
            for fault in faults:
                print('# ' + fault.replace('\n', '\n# '))
            print('%s %d - the second reader sees what the tools see in what a power cut leaves of it: %s'
                  % ('not ok' if faults else 'ok', number, name.replace('-', ' ')), flush=True)
    print('# as they came up: %s' % json.dumps(sums[0]))
    print('# recovered: %s' % json.dumps(sums[1]))
    damaged = min(part.get('damaged', 0) for part in sums)
    enough = bool(sys.argv[1:]) or (total >= WANTED and damaged >= ROTTEN * 10)
    print('%s %d - at least %d states were read, and damage in %d' % ('ok' if enough else 'not ok', len(names) + 1, WANTED, ROTTEN * 10))
    return 1 if failed or not enough else 0


sys.exit(main())
