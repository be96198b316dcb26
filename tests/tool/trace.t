#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize timeout=600
#
# One table holds every call that the library makes to the kernel: what the recording filling lists of a run is what
# strace sees of it, call by call, for every tool (trace_compare.py has the rule).  And a library that calls past the
# table, or a table that does not do what it says, is found out: each of the mutants is run in the same way.
#
#	trace.t [WORD ...]     only the runs with all of these words; no mutants
import glob
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True
SRC = os.environ.get('MQ_SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('MQ_BUILD', '.')
sys.path[:0] = [SRC + '/tests/unit', SRC + '/tests/tool']

import trace_mutants  # noqa: E402
import trace_runs  # noqa: E402
import trace_strace  # noqa: E402

# Called by the library and met by no run here: a clock is not written down; nobody waits for another's sync; the tools
# have handlers of signals instead.
NOT_MET = {'clock_ns', 'futex_wait', 'signal_fd', 'yield'}


def called():
    """The calls of the table that the library makes anywhere."""
    found = set()
    for path in glob.glob(SRC + '/lib/*/*.c'):
        if '/lib/sys/' not in path or path.endswith(('/hold.c', '/wait.c')):
            with open(path, encoding='utf-8') as text:
                found |= set(re.findall(r'\bmq_sys->(\w+)\(', text.read()))
    return found


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def result(self, name, faults):
        self.count += 1
        self.failed += bool(faults)
        for fault in faults[:5]:
            print(''.join('# %s\n' % line for line in fault.splitlines()), end='')
        print('%s %d - %s' % ('not ok' if faults else 'ok', self.count, name), flush=True)


def main(words):
    tap = Tap()
    if not trace_strace.works():
        print('1..0 # SKIP strace cannot trace here: NOTHING was compared')
        return 0
    met, entries, calls = set(), 0, 0
    with tempfile.TemporaryDirectory(prefix='mq-trace-') as work:
        bed = trace_runs.Bed(work, os.path.abspath(BUILD) + '/tests/traced')
        for command, stdin, status in trace_runs.RUNS:
            if command == 'damage':
                bed.damage()
                continue
            done = bed.run(command, stdin, status)
            met |= done.names
            entries += done.entries
            calls += done.calls
            if all(word in command for word in words):
                tap.result('recorded as traced: %s (%d entries)' % (command, done.entries), done.faults)
    print('# %d entries of the recording against %d system calls' % (entries, calls))
    if not words:
        missing = called() - met - NOT_MET
        tap.result('the runs make every call of the table that the library makes, but %s' % ', '.join(sorted(NOT_MET)),
                   ['not met: ' + ' '.join(sorted(missing))] if missing else [])
        for name, faults, said in trace_mutants.all_found(SRC, BUILD):
            print(''.join('# %s\n' % line for line in said.splitlines()[:2]), end='')
            tap.result(name, faults)
    print('1..%d' % tap.count)
    return 1 if tap.failed or not tap.count else 0


sys.exit(main(sys.argv[1:]))
