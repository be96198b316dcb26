#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1200
"""mq-drain --discard --archive that is killed: at every one of its calls, and at random moments; into a file, and into a directory.

After each kill what the group's places have passed is in an archive that can be read, and what no archive holds is before the
group still; the same command, once it is not killed, leaves the places at the end and each record in just one archive.  mq-check
finds nothing.  MQ_KILLS=N changes the number of kills at random (500), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import concurrent.futures
import glob
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

SRC = os.environ.get('MQ_SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
KILLS = amount.of('MQ_KILLS', 500, 150, 60)
EVERY = amount.of('MQ_EVERY', 1, 2, 16)
SEED = int(os.environ.get('MQ_SEED', random.randrange(1 << 30)))
PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
PARTITIONS = 3
number = failed = 0


class Wrong(Exception):
    """Something that must hold does not."""


def result(good, name, said=''):
    global number, failed
    number += 1
    failed += not good
    for line in str(said).splitlines()[:30]:
        print('# ' + line)
    print('%s %d - %s' % ('ok' if good else 'not ok', number, name), flush=True)


class Bed:
    """A spool, its archives, and what was published."""

    def __init__(self, place):
        self.spool, self.archives, self.count = place + '/spool', place + '/archives', 0
        os.mkdir(self.archives)
        self.run('topic', 'create', '--partitions', str(PARTITIONS), 'T', 'segment.bytes=4096')

    def run(self, tool, *argv, stdin=b'', fault=None, report=None, good=(0,)):
        env = dict(os.environ, MQ_SPOOL=self.spool, MQ_TEST_FAULT=fault or '')
        if report:
            env['MQ_TEST_FAULT_REPORT'] = report
        directory = 'bin' if fault is None else 'tests/traced'
        done = subprocess.run(['%s/%s/mq-%s' % (BUILD, directory, tool), *argv], env=env, input=stdin, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        if done.returncode not in good:
            raise Wrong('mq-%s %s: status %d: %s' % (tool, ' '.join(argv), done.returncode, done.stderr.decode()))
        return done

    def publish(self, count):
        """A batch, and so a partition, for each few of them."""
        while count > 0:
            lines = ''.join('%0200d\n' % i for i in range(self.count, self.count + min(count, 6)))
            self.run('publish', 'T', stdin=lines.encode())
            self.count += min(count, 6)
            count -= 6

    def drain(self, to, **how):
        return self.run('drain', '-g', 'g', '--discard', '--archive', to, 'T', **how)

    def numbers(self, *argv):
        return [int(line) for line in self.run(*argv).stdout.split()]

    def places(self):
        shown = self.run('group', 'show', '-g', 'g', '--json', good=(0, 66)).stdout.decode()
        return {row['partition']: row['committed'] or 0 for row in map(json.loads, shown.splitlines())}

    def check(self, whole):
        """whole: after a run that was not killed."""
        files = sorted(glob.glob(self.archives + '/*.zst'))
        archived = self.numbers('replay', '--archive', *files) if files else []
        if len(set(archived)) != len(archived):
            raise Wrong('something is in two archives: %s' % files)
        before = []
        for partition, place in sorted({**dict.fromkeys(range(PARTITIONS), 0), **self.places()}.items()):
            before += self.numbers('consume', '-p', str(partition), '-o', str(place), 'T')
        if set(before) | set(archived) != set(range(self.count)):
            raise Wrong('neither archived nor before the group: %s' % sorted(set(range(self.count)) - set(before) - set(archived))[:20])
        if whole and before:
            raise Wrong('before the group still: %s' % before[:20])
        found = self.run('check', good=(0, 1, 2))
        if found.returncode != 0:
            raise Wrong('mq-check: %s%s' % (found.stdout.decode(), found.stderr.decode()))


def killed_at(rule):
    """(was it killed, what is wrong)"""
    call, into_file = rule
    with tempfile.TemporaryDirectory(prefix='mq-discard-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            to = bed.archives + ('/one.tar.zst' if into_file else '')
            bed.publish(54)
            done = bed.drain(to, fault=call, good=(0, -9))
            bed.check(done.returncode == 0)
            again = bed.drain(to)
            bed.check(True)
            if again.stdout or b'came later' in again.stderr:
                raise Wrong('the second run says: %s' % again.stderr.decode())
            left = [name for name in os.listdir(bed.archives) if not name.endswith('.zst')]
            if len(left) > 1 or (left and done.returncode == 0):
                raise Wrong('left among the archives: %s' % left)
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def calls():
    with tempfile.TemporaryDirectory(prefix='mq-discard-', dir=PLACE) as place:
        bed, report = Bed(place), place + '/report'
        bed.publish(54)
        bed.drain(bed.archives, fault='*:999999:kill-before', report=report)
        bed.check(True)
        with open(report, encoding='ascii') as lines:
            return [(call, int(n)) for call, n in re.findall(r'^\d+ call (\S+) (\d+)$', lines.read(), re.M)]


def at_every_call():
    rules = [('%s:%d:kill-%s' % (call, nth, when), bool(nth % 2)) for call, n in calls() for nth in range(1, n + 1)
             for when in ('before', 'after') if call not in ('clock_ns', 'pid', 'close') or nth == 1]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        done = list(pool.map(killed_at, rules[SEED % EVERY::EVERY]))
    killed, wrong = sum(came for came, _ in done), '\n'.join(wrong for _, wrong in done if wrong)
    result(not wrong and killed, 'killed at each of its calls, %d times' % killed, wrong)


def at_random():
    rng, killed, wrong, went = random.Random(SEED), 0, None, 0
    with tempfile.TemporaryDirectory(prefix='mq-discard-', dir=PLACE) as place:
        try:
            bed = Bed(place)
            for turn in range(20 * KILLS):
                if killed == KILLS:
                    break
                if turn % 4 == 0:
                    bed.publish(rng.choice((1, 5, 18)))
                done = bed.drain(bed.archives, fault='*:%d:kill-%s' % (rng.randrange(1, 1400), rng.choice(('before', 'after'))), good=(0, -9))
                killed += done.returncode == -9
                went += done.returncode == 0
                if turn % 20 == 0:
                    bed.check(done.returncode == 0)
            bed.drain(bed.archives)
            bed.check(True)
        except Wrong as why:
            wrong = why
    result(wrong is None and killed == KILLS,
           'killed %d times at random, %d records, %d runs that were not (MQ_SEED=%d)' % (killed, bed.count, went, SEED), wrong or '')


print('1..2')
at_every_call()
at_random()
sys.exit(1 if failed else 0)
