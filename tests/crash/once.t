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
import sys
import tempfile

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import PLACE, Wrong, mq, result  # noqa: E402

EVERY = amount.of('MQ_EVERY', 3, 6, 32)
FROM = int(os.environ.get('MQ_FROM', '1'))
HANDLER = ('sh', '-c', 'cat > /dev/null; echo "$MQ_ID" >> "$DONE"')
RECORDS = ('a', 0), ('b', 0), ('a', 1), ('c', 1), ('b', 1)


def well(at, *argv):
    return mq(at + '/spool', *argv).stdout.decode()


def consume(at, jobs, **how):
    return mq(at + '/spool', 'consume', '--once', '-g', 'g', '-j', str(jobs), '--order', 'none', '--timeout', '10s', 'T', '--', *HANDLER,
              env={'DONE': at + '/done'}, **how)


def handled(at):
    try:
        with open(at + '/done', encoding='ascii') as f:
            return f.read().split()
    except FileNotFoundError:
        return []


def make(at):
    well(at, 'topic', 'create', 'T', '--partitions', '2')
    for id_, p in RECORDS:
        well(at, 'publish', '--id', id_, '-p', str(p), '-m', id_, 'T')


def settle(at, jobs, killed):
    """What the next ones find."""
    before = handled(at)
    consume(at, jobs)
    after = handled(at)
    again = [i for i in before if after.count(i) > before.count(i)]
    if set(after) != {'a', 'b', 'c'} or len(again) > (jobs if killed else 0) or len(after) > 3 + jobs:
        raise Wrong('handled before %s, at last %s' % (before, after))
    places = well(at, 'group', 'show', '-g', 'g', '--json', 'T')
    if re.findall(r'"lag":(\d+)', places) != ['0', '0']:
        raise Wrong('not all is committed: ' + places)
    well(at, 'group', 'seek', '-g', 'g', '-o', 'beginning', 'T')
    consume(at, jobs)
    if handled(at) != after:
        raise Wrong('handled again: %s, then %s' % (after, handled(at)))
    killer.clean(at + '/spool', dead=False)


def calls(jobs):
    """How many a run makes."""
    with tempfile.TemporaryDirectory(dir=PLACE) as at:
        make(at)
        consume(at, jobs, fault='', report=at + '/report')
        if sorted(handled(at)) != ['a', 'b', 'c']:
            raise Wrong('undisturbed: %s' % handled(at))
        return sum(n for _, n in killer.calls(at + '/report'))


def killed_at_each(action, jobs):
    fired, k = 0, FROM
    most = calls(jobs)
    while k <= most:
        with tempfile.TemporaryDirectory(dir=PLACE) as at:
            make(at)
            try:
                done = consume(at, jobs, fault='*:%d:%s' % (k, action), good=(-9, 0, 74, 75))
                fired += done.returncode == -9
                settle(at, jobs, True)
            except Wrong as error:
                raise Wrong('call %d, %s: %s' % (k, action, error)) from error
        k += EVERY
    if fired < (most - FROM) // EVERY // 2:
        raise Wrong('only %d of %d kills fired' % (fired, most // EVERY))
    return '%d kills at %d calls' % (fired, most)


def main():
    print('1..3')
    for action, jobs in ('kill-before', 1), ('kill-after', 1), ('kill-after', 3):
        name = 'killed at each of its calls (%s, -j %d)' % (action, jobs)
        try:
            result(True, name, killed_at_each(action, jobs))
        except Wrong as error:
            result(False, name, error)
    return killer.status()


if __name__ == '__main__':
    sys.exit(main())
