#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
"""A consumer with --once that is killed at each of its calls, or fails there.

Five records of three ids in two partitions.  Whoever comes next goes on: in the end each id was handled, those that were
killed at work at most once more, all is committed, mq-check finds nothing that is lost, and with its place set back to the
beginning the group handles nothing again.

MQ_EVERY=N takes one call in N, MQ_FROM=K begins with call K."""
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import amount  # noqa: E402

BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
EVERY = amount.of('MQ_EVERY', 3, 6, 16)
FROM = int(os.environ.get('MQ_FROM', '1'))
PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
HANDLER = ('sh', '-c', 'cat > /dev/null; echo "$MQ_ID" >> "$DONE"')
RECORDS = ('a', 0), ('b', 0), ('a', 1), ('c', 1), ('b', 1)


class Wrong(Exception):
    """Something that must hold does not."""


def run(at, *argv, fault=None, report=None):
    env = dict(os.environ, MQ_SPOOL=at + '/spool', DONE=at + '/done')
    if fault is not None:
        env.update(MQ_TEST_FAULT=fault, MQ_TEST_FAULT_REPORT=report or '/dev/null')
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=False)


def well(at, *argv):
    done = run(at, *argv)
    if done.returncode != 0:
        raise Wrong('%s: status %d: %s' % (' '.join(argv), done.returncode, done.stderr.decode()))
    return done.stdout.decode()


def consume(at, jobs, **how):
    tool = BUILD + ('/tests/traced/mq-consume' if 'fault' in how else '/bin/mq-consume')
    argv = tool, '--once', '-g', 'g', '-j', str(jobs), '--order', 'none', 'T', '--', *HANDLER
    return run(at, *argv, **how) if 'fault' in how else well(at, *argv)


def handled(at):
    try:
        with open(at + '/done', encoding='ascii') as f:
            return f.read().split()
    except FileNotFoundError:
        return []


def make(at):
    well(at, BUILD + '/bin/mq-topic', 'create', 'T', '--partitions', '2')
    for id_, p in RECORDS:
        well(at, BUILD + '/bin/mq-publish', '--id', id_, '-p', str(p), '-m', id_, 'T')


def settle(at, jobs, killed):
    """What the next ones find."""
    before = handled(at)
    consume(at, jobs)
    after = handled(at)
    again = [i for i in before if after.count(i) > before.count(i)]
    if set(after) != {'a', 'b', 'c'} or len(again) > (jobs if killed else 0) or len(after) > 3 + jobs:
        raise Wrong('handled before %s, at last %s' % (before, after))
    places = well(at, BUILD + '/bin/mq-group', 'show', '-g', 'g', '--json', 'T')
    if re.findall(r'"lag":(\d+)', places) != ['0', '0']:
        raise Wrong('not all is committed: ' + places)
    well(at, BUILD + '/bin/mq-group', 'seek', '-g', 'g', '-o', 'beginning', 'T')
    consume(at, jobs)
    if handled(at) != after:
        raise Wrong('handled again: %s, then %s' % (after, handled(at)))
    found = run(at, BUILD + '/bin/mq-check')
    if found.returncode != 0 or re.search(r'^(damage|lost|config|newer|dead) ', found.stdout.decode(), re.M):
        raise Wrong('mq-check: %d %s%s' % (found.returncode, found.stdout.decode(), found.stderr.decode()))


def calls(jobs):
    """How many a run makes."""
    with tempfile.TemporaryDirectory(dir=PLACE) as at:
        make(at)
        consume(at, jobs, fault='', report=at + '/report')
        if sorted(handled(at)) != ['a', 'b', 'c']:
            raise Wrong('undisturbed: %s' % handled(at))
        with open(at + '/report', encoding='ascii') as f:
            return sum(int(n) for n in re.findall(r'call \w+ (\d+)', f.read()))


def killed_at_each(action, jobs):
    fired, k = 0, FROM
    most = calls(jobs)
    while k <= most:
        with tempfile.TemporaryDirectory(dir=PLACE) as at:
            make(at)
            done = consume(at, jobs, fault='*:%d:%s' % (k, action))
            if done.returncode not in (-9, 0, 74, 75):
                raise Wrong('call %d: status %d: %s' % (k, done.returncode, done.stderr.decode()))
            fired += done.returncode == -9
            try:
                settle(at, jobs, True)
            except Wrong as error:
                raise Wrong('call %d, %s: %s' % (k, action, error)) from error
        k += EVERY
    if fired < (most - FROM) // EVERY // 2:
        raise Wrong('only %d of %d kills fired' % (fired, most // EVERY))
    return '%d kills at %d calls' % (fired, most)


def main():
    number = failed = 0
    print('1..3')
    for action, jobs in ('kill-before', 1), ('kill-after', 1), ('kill-after', 3):
        number += 1
        name = 'killed at each of its calls (%s, -j %d)' % (action, jobs)
        try:
            print('# ' + killed_at_each(action, jobs))
            print('ok %d - %s' % (number, name), flush=True)
        except Wrong as error:
            failed += 1
            for line in str(error).splitlines()[:20]:
                print('# ' + line)
            print('not ok %d - %s' % (number, name), flush=True)
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
