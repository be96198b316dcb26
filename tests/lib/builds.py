# SPDX-License-Identifier: GPL-2.0-or-later
"""The builds that the tests run on: each a directory beside the sources, each itself tested."""
import glob
import os
import sys

import proc
from tap import FAILED, OK, Result

PROCESSORS = len(os.sched_getaffinity(0))
MAKE_SECONDS = 3600


class Build:
    """name: what it is called.  arguments: configure's, or None for a tree configured already."""

    def __init__(self, name, directory, arguments):
        self.name, self.directory, self.arguments = name, directory, arguments

    def make(self, src):
        """Configure, build the tools and the test programs; returns the results."""
        os.makedirs(self.directory, exist_ok=True)
        results = []
        if self.arguments is not None and not self._is_configured():
            argv = [os.path.join(src, 'configure'), '-q', *self.arguments]
            results.append(self.step(self.name + ' configures', argv))
            if results[-1].verdict == OK:
                with open(self._note(), 'w', encoding='utf-8') as note:
                    note.write(' '.join(self.arguments))
        jobs = '-j%d' % PROCESSORS
        for name, argv in (('builds without a warning', ['make', jobs]),
                           ('builds its test programs', ['make', jobs, 'check', 'TESTS='])):
            if all(result.verdict == OK for result in results):
                results.append(self.step('%s %s' % (self.name, name), argv))
        return results + self._wrappers()

    def distcheck(self):
        return self.step('make distcheck passes', ['make', '-j%d' % PROCESSORS, 'VERBOSE=1', 'distcheck'])

    def unit_tests(self):
        with open(self._log('unit-tests'), 'w+', encoding='utf-8') as out:
            proc.run(['make', '-s', 'print-unit-tests'], self.directory, os.environ, 60, out, None)
            out.seek(0)
            return out.read().split()

    def step(self, name, argv):
        """One command as one test."""
        print('# %s: %s' % (self.name, ' '.join(argv)), flush=True)
        path = self._log('step')
        with open(path, 'w+', encoding='utf-8', errors='replace') as log:
            status, timed_out, _ = proc.run(argv, self.directory, os.environ, MAKE_SECONDS, log, log)
            if status == 0 and not timed_out:
                return Result(OK, name)
            log.seek(0)
            sys.stdout.write(log.read())
        return Result(FAILED, name, 'timed out' if timed_out else 'status %d' % status)

    def _wrappers(self):
        """A libtool script in bin/ would measure the shell, not the tool."""
        scripts = []
        for path in sorted(glob.glob(self.directory + '/bin/*')):
            if os.path.isfile(path) and os.access(path, os.X_OK):
                with open(path, 'rb') as program:
                    if program.read(4) != b'\x7fELF':
                        scripts.append(os.path.basename(path))
        if not scripts:
            return []
        return [Result(FAILED, 'the tools built are programs: not ' + ' '.join(scripts))]

    def _is_configured(self):
        try:
            with open(self._note(), encoding='utf-8') as note:
                return (note.read() == ' '.join(self.arguments)
                        and os.path.exists(self.directory + '/Makefile'))
        except OSError:
            return False

    def _note(self):
        return self.directory + '/.configured'

    def _log(self, what):
        return '%s/.tests-%s.log' % (self.directory, what)


def all_builds(src, quick):
    """The builds of a run, the plain one first."""
    given = os.environ.get('MQ_TESTS_BUILD')
    if given:
        return [Build('plain', os.path.abspath(given), None)]
    plain = Build('plain', src + '/build-gcc', ['CC=gcc', '--enable-werror'])
    if quick:
        return [plain]
    return [plain,
            Build('clang', src + '/build-clang', ['CC=clang', '--enable-werror']),
            Build('sanitize', src + '/build-sanitize',
                  ['CC=gcc', '--enable-werror', '--enable-sanitize', 'CFLAGS=-O1 -g'])]
