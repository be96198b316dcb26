# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests that kill a tool at its calls have in common: one run of a tool, its calls, the faults that kill it there, and the
points that are printed.

A fault is "CALL:NTH:ACTION", CALL "*" for any (lib/sys/fault.h); the tools that obey it are those of tests/traced.  MQ_SEED says
which faults are taken where not all are, and seeds what is random."""
import concurrent.futures
import os
import random
import re
import subprocess
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS]  # amount, reader
BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None  # for spools: what is killed is the process, not the machine
SEED = int(os.environ.get('MQ_SEED', random.randrange(1 << 30)))
AT_ONCE = len(os.sched_getaffinity(0))
_points = []


class Wrong(Exception):
    """Something that must hold does not."""


def result(good, name, said=''):
    _points.append(bool(good))
    for line in str(said).splitlines()[:30]:
        print('# ' + line)
    print('%s %d - %s' % ('ok' if good else 'not ok', len(_points), name), flush=True)


def status():
    """What the test ends with."""
    return 0 if all(_points) else 1


def run(spool, argv, stdin=b'', fault=None, report=None, good=(0,), env=None):
    """One run of a program to its end.  fault: where it is killed ('': nowhere, its calls are counted); report: a file for the
    counts; good: the statuses that are not Wrong (None: any)."""
    env = dict(os.environ, MQ_SPOOL=spool, **(env or {}))
    if fault is not None:
        env['MQ_TEST_FAULT'] = fault
    if report:
        env['MQ_TEST_FAULT_REPORT'] = report
    done = subprocess.run(argv, env=env, input=stdin, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    if good is not None and done.returncode not in good:
        raise Wrong('%s: status %d: %s' % (' '.join(map(os.path.basename, argv)), done.returncode, done.stderr.decode()))
    return done


def tool(name, traced=False):
    return '%s/%s/mq-%s' % (BUILD, 'tests/traced' if traced else 'bin', name)


def mq(spool, name, *argv, **how):
    """One run of mq-NAME; with a fault, of the one that obeys it."""
    return run(spool, [tool(name, how.get('fault') is not None), *argv], **how)


def clean(spool, dead=True):
    """mq-check must find nothing wrong, and no dead segments unless there may be some."""
    found = mq(spool, 'check', good=None)
    if found.returncode != 0 or (not dead and re.search(rb'^dead ', found.stdout, re.M)):
        raise Wrong('mq-check: status %d: %s%s' % (found.returncode, found.stdout.decode(), found.stderr.decode()))


def calls(report):
    """[(call, how often it was made)] of the run that wrote the report."""
    with open(report, encoding='ascii') as lines:
        return [(call, int(n)) for call, n in re.findall(r'^\d+ call (\S+) (\d+)$', lines.read(), re.M)]


def rules(made, every, quiet=('clock_ns', 'pid', 'close')):
    """The faults that kill before and after each of the calls that were made, one in `every` of them.  Of the quiet ones, after
    which nothing is other than before, the first alone."""
    at_each = ['%s:%d:kill-%s' % (call, nth, when) for call, n in made for nth in range(1, n + 1) for when in ('before', 'after')
               if call not in quiet or nth == 1]
    return at_each[SEED % every::every]


def somewhere(rng, most):
    """A fault that kills at one of the first calls, of any kind."""
    return '*:%d:kill-%s' % (rng.randrange(1, most), rng.choice(('before', 'after')))


def all_of(killed_at, faults):
    """Try each, as many at once as there are processors: (how many were killed, what is wrong, a line each).
    killed_at: a fault -> (was it killed, what is wrong or None)."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(killed_at, faults))
    return sum(came for came, _ in done), '\n'.join(wrong for _, wrong in done if wrong)
