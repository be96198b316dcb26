# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/run, once what it needs is installed: see there for how to call it."""
import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import builds
import proc
import suite
from tap import FAILED, OK, SKIPPED, Result

SRC = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Tally:
    """What came of it all.  Where a skip is not allowed it counts as failed."""

    def __init__(self, skips_fail):
        self.skips_fail = skips_fail
        self.passed, self.failed, self.skipped = 0, [], []
        self.compared = {}

    def add(self, where, results):
        for result in results:
            line = '%s: %s%s' % (where, result.name, ' (%s)' % result.why if result.why else '')
            if result.verdict == OK:
                self.passed += 1
            elif result.verdict == FAILED:
                self.failed.append(line)
            else:
                self.skipped.append(line)

    def report(self):
        """Print the end; returns the exit status."""
        if self.compared:
            print('\nread by a second reader, and as the tools see it: '
                  + ', '.join('%d %s' % (count, what) for what, count in self.compared.items()))
        if self.skipped:
            print('\n%d SKIPPED%s' % (len(self.skipped),
                                      ', which counts as failed here' if self.skips_fail else ''))
            for line in self.skipped:
                print('  skipped  ' + line)
        if self.failed:
            print('\n%d FAILED' % len(self.failed))
            for line in self.failed:
                print('  failed   ' + line)
        failed = len(self.failed) + (len(self.skipped) if self.skips_fail else 0)
        if not self.passed and not failed:
            print('\nnothing ran')
        print('\n%d passed, %d failed' % (self.passed, failed), flush=True)
        return 1 if failed or not self.passed else 0


def run_tests(tests, build, tally):
    """Run test files on a build: those that may share the machine first, then one by one."""
    jobs = int(os.environ.get('MQ_TESTS_JOBS') or builds.PROCESSORS)

    together = [test for test in tests if not test.alone]
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = pool.map(lambda test: suite.run(test, SRC, build), together)
        for test, outcome in zip(together, outcomes):
            tell(test, build, outcome, tally)
    for test in tests:
        if test.alone:
            tell(test, build, suite.run(test, SRC, build), tally)


def tell(test, build, outcome, tally):
    tally.add('%s [%s]' % (test.path, build.name), outcome.results)
    for what, many in outcome.compared.items():
        tally.compared[what] = tally.compared.get(what, 0) + many
    count = {verdict: sum(result.verdict == verdict for result in outcome.results)
             for verdict in (OK, FAILED, SKIPPED)}
    print('%-6s %-8s %s: %d passed, %d failed, %d skipped, %.1f s'
          % ('FAILED' if count[FAILED] else 'ok', build.name, test.path, count[OK], count[FAILED],
             count[SKIPPED], outcome.seconds))
    if count[FAILED]:
        for result in outcome.results:
            if result.verdict == FAILED:
                print('  => not ok: ' + result.name)
        print(''.join('    %s\n' % line for line in worth_reading(outcome.output)), end='')
    for line in outcome.left:
        print('  left running, killed: ' + line)
    sys.stdout.flush()


def worth_reading(output):
    """The lines of a failed test's output without the points that passed."""
    lines = output.splitlines()
    passed = [re.match(r'(ok\b|1\.\.\d+$)', line) is not None for line in lines]
    return [line for line, fine in zip(lines, passed) if not fine]


def chosen(tests, build, names):
    """The tests of this run that are for this build."""
    if names:
        tests = [test for test in tests if any(test.answers_to(name) for name in names)]
    if build.name == 'sanitize':
        tests = [test for test in tests if not test.no_sanitize]
    if build.name == 'clang':
        tests = [test for test in tests if test.path.startswith('tests/unit/')]
    return tests


def main(arguments):
    quick = '--quick' in arguments or 'MQ_TESTS_BUILD' in os.environ
    if '--long' in arguments:
        os.environ['MQ_LONG'] = '1'
    names = [argument for argument in arguments if argument not in ('--quick', '--long')]
    for name in names:
        if name.startswith('-'):
            sys.exit('tests/run: no option %s (see the head of tests/run)' % name)
    tally = Tally(os.environ.get('CI') == 'true')
    usable = []
    for build in builds.all_builds(SRC, quick):
        results = build.make(SRC)
        tally.add('build', results)
        if all(result.verdict == OK for result in results):
            usable.append(build)
    for build in usable:
        run_tests(chosen(suite.find(SRC, build), build, names), build, tally)
    if usable and usable[0].name == 'plain':
        known = suite.find(SRC, usable[0])
        tally.add('tests/run', [Result(FAILED, 'no test is called ' + name) for name in names
                                if not any(test.answers_to(name) for test in known)])
        if not quick and not names:
            tally.add('dist', [usable[0].distcheck()])
    return tally.report()


def stop(number, _frame):
    proc.end_all()
    os._exit(128 + number)


for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(wanted, stop)
sys.exit(main(sys.argv[1:]))
