#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
#
# Every state that a power cut can leave of what the scenarios do (scenario.h, disk.h) is one from which the
# real code recovers (check.h).  To look at one that failed, with its line's CUT:NUMBER:
#
#	tests/crash/scenario NAME DIR TRACE; tests/crash/powercut -k -o CUT:NUMBER NAME TRACE WORK
#
# Names drawn in a scenario differ from run to run, and so may which of three ways a machine comes up;
# the numbers are the same.
import os
import re
import subprocess
import sys
import tempfile

BUILD = os.environ.get('MQ_BUILD', '.')
SCENARIO, POWERCUT = BUILD + '/tests/crash/scenario', BUILD + '/tests/crash/powercut'
WANTED = 20000
ONE_IN = 25 if os.environ.get('MQ_PASS') == 'sanitize' else 1
# Of the longest ones, which do much the same again and again, one state in so many; MQ_STATES=all: all of all.
LONG = {'ids-are-marked': 8, 'members-share': 6, 'halves-are-turned': 6, 'turns-are-cut-short': 10, 'the-file-is-replaced': 10, 'sharers-are-evicted': 8,
        'keys-are-compacted': 24, 'a-compaction-dies': 12, 'delayed-records-come': 5, 'a-delivery-dies': 5, 'a-room-is-emptied': 16,
        'what-goes-is-archived': 16, 'an-archiver-dies': 8, 'records-die': 32, 'a-giver-up-dies': 32, 'letters-are-found': 32, 'retries-are-put-aside': 32,
        'a-putter-aside-dies': 32, 'a-range-is-copied': 16,
        'a-run-dies': 16,
        'it-grows': 80, 'it-grows-to-no-multiple': 80, 'a-growth-comes-to-nothing': 80, 'a-growth-is-hardly-begun': 80}


def scenarios():
    listed = subprocess.run([SCENARIO, '--list'], check=True, stdout=subprocess.PIPE, universal_newlines=True)
    return listed.stdout.split()


def said(process):
    return ''.join('# %s\n' % line for line in process.stdout.splitlines())


def run(argv):
    return subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)


def one_in(name):
    return ONE_IN * (1 if os.environ.get('MQ_STATES') == 'all' else LONG.get(name, 1))


def hold(name, work):
    """Run one scenario and cut its power; (does it hold, how many states, what was said)."""
    spool, trace, cut = (work + part for part in ('/run', '/trace', '/cut'))
    os.mkdir(spool)
    os.mkdir(cut)
    acted = run([SCENARIO, name, spool, trace])
    if acted.returncode != 0:
        return False, 0, said(acted)
    checked = run([POWERCUT, '-j', str(len(os.sched_getaffinity(0))), '-e', str(one_in(name)), name, trace, cut])
    found = re.search(r', (\d+) states, ', checked.stdout)
    return checked.returncode == 0, int(found[1]) if found else 0, said(checked)


def main():
    names = sys.argv[1:] or scenarios()
    counts = ONE_IN == 1 and not sys.argv[1:]
    print('1..%d' % (len(names) + counts))
    place = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    failed = total = 0
    for number, name in enumerate(names, 1):
        with tempfile.TemporaryDirectory(prefix='mq-states-', dir=place) as work:
            holds, states, words = hold(name, work)
        total += states
        failed += not holds
        print('%s%s %d - what a power cut leaves of it recovers: %s'
              % (words, 'ok' if holds else 'not ok', number, name.replace('-', ' ')), flush=True)
    print('# %d states that differ in what the directory holds' % total)
    if counts:
        failed += total < WANTED
        print('%s %d - at least %d states were looked at'
              % ('ok' if total >= WANTED else 'not ok', len(names) + 1, WANTED))
    return 1 if failed else 0


sys.exit(main())
