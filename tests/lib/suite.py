# SPDX-License-Identifier: GPL-2.0-or-later
"""The test files: finding them, what they ask for, running one."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

import proc
from tap import FAILED, OK, Result, parse

DEFAULT_SECONDS = 300
AGREE_SECONDS = 1200
# All that is left of a process that a test killed while its leaks were looked for, or before it had written
# that (nothing at all, then): no finding.
KILLED_AT_ITS_END = re.compile(r'(==\d+==Unable to get registers from thread \d+\.\n)*')


class Test:
    """path: relative to the source tree.  argv: how to run it.  The rest is what it asks for."""

    def __init__(self, src, path, argv):
        self.path, self.argv = path, argv
        self.alone, self.no_sanitize, self.seconds = False, False, DEFAULT_SECONDS
        for word in _wishes(os.path.join(src, path)):
            if word == 'alone':
                self.alone = True
            elif word == 'no-sanitize':
                self.no_sanitize = True
            elif re.match(r'timeout=\d+$', word):
                self.seconds = int(word[8:])
            else:
                raise SystemExit('tests/run: %s: mq-test knows no "%s"' % (path, word))

    def answers_to(self, name):
        name = re.sub(r'^\./', '', name)
        return ('/' + self.path).endswith('/' + name) or self.path in (name + '.c', name + '.bats')


class Outcome:
    """What running a test gave: its results, its whole output, the command lines of what it left
    running, how long it took, and how much the second reader compared: {what: how many}."""

    def __init__(self, results, output, left, seconds):
        self.results, self.output, self.left, self.seconds = results, output, left, seconds
        self.compared = {count[1]: int(count[0]) for line in re.findall(r'^(?:# )?agreed: (.*)', output, re.MULTILINE)
                         for count in (part.split() for part in line.split(', '))}


def _wishes(path):
    with open(path, encoding='utf-8', errors='replace') as lines:
        for _, line in zip(range(5), lines):
            found = re.search(r'mq-test:\s*([^*]*)', line)
            if found:
                yield from re.split(r'[\s,]+', found[1].strip())


def find(src, build):
    """Every test file that there is, for one build."""
    tests = [Test(src, path + '.c', [os.path.join(build.directory, path)])
             for path in build.unit_tests()]
    tests.append(Test(src, 'tests/includes', [src + '/tests/includes']))
    for path in sorted(glob.glob(src + '/tests/*/*.bats')):
        tests.append(Test(src, os.path.relpath(path, src), ['bats', '--tap', '--no-tempdir-cleanup', path]))
    for path in sorted(glob.glob(src + '/tests/*/*.t')):
        tests.append(Test(src, os.path.relpath(path, src), [path]))
    return tests


def run(test, src, build):
    """Run one test file in a directory of its own."""
    directory = tempfile.mkdtemp(prefix='mq-test-')
    os.chmod(directory, 0o755)
    started = time.monotonic()
    try:
        results, output, left = _run_in(directory, test, src, build)
    finally:
        _remove(directory)
    return Outcome(results, output, left, time.monotonic() - started)


def _run_in(directory, test, src, build):
    for name, mode in (('home', 0o755), ('tmp', 0o1777), ('reports', 0o1777)):
        os.mkdir(os.path.join(directory, name))
        os.chmod(os.path.join(directory, name), mode)
    with open(directory + '/out', 'w+b') as out, open(directory + '/err', 'w+b') as err:
        try:
            status, timed_out, left = proc.run(
                test.argv, directory + '/tmp', _environment(directory, src, build), test.seconds,
                out, err)
        except OSError as error:
            return [Result(FAILED, 'starts: %s' % error)], '', []
        said, complained = (_text(file) for file in (out, err))
    results = parse(said, 0 if timed_out else status)
    compared, agreed = _read_again(directory, src, build)
    said += compared
    results += agreed
    if timed_out:
        results.append(Result(FAILED, 'ends within %d s' % test.seconds))
    output = said
    if complained:
        output += '# its stderr:\n' + complained
    for path in sorted(glob.glob(directory + '/reports/*')):
        with open(path, encoding='utf-8', errors='replace') as report:
            found = report.read()
        output += found
        if not KILLED_AT_ITS_END.fullmatch(found):
            results.append(Result(FAILED, 'the sanitizers find nothing'))
    return results, output, left


def _read_again(directory, src, build):
    """Compare what the second reader and the tools see in the spools that a test left: (what was said, results)."""
    with open(directory + '/agree', 'w+b') as out:
        status, timed_out, _ = proc.run([src + '/tests/lib/agree.py', directory + '/tmp'], directory,
                                        _environment(directory, src, build), AGREE_SECONDS, out, out)
        said = _text(out)
    if status == 0 and not timed_out and '\nagreed: 0 spools' in '\n' + said:
        return '', []
    return said, [Result(OK if status == 0 and not timed_out else FAILED,
                         'the tools and the second reader see the same in the spools it left')]


def _text(file):
    file.seek(0)
    return file.read().decode(errors='replace')


def _environment(directory, src, build):
    env = {name: value for name, value in os.environ.items()
           if name == 'MQ_LONG' or not name.startswith(('MQ_', 'LC_', 'MAKE', 'MFLAGS'))}
    report = directory + '/reports/report'
    env.update({
        'MQ_SRC': src,
        'MQ_BUILD': build.directory,
        'MQ_PASS': 'sanitize' if build.name == 'sanitize' else 'plain',
        'PATH': '%s/bin:%s' % (build.directory, env.get('PATH', '/usr/bin:/bin')),
        'HOME': directory + '/home',
        'TMPDIR': directory + '/tmp',
        'LC_ALL': 'C.UTF-8',
        'TZ': 'UTC',
        'CMOCKA_MESSAGE_OUTPUT': 'TAP',
        # To files, so that a report counts even where the test does not look at stderr.
        'ASAN_OPTIONS': 'abort_on_error=1:detect_leaks=1:log_path=' + report,
        'UBSAN_OPTIONS': 'abort_on_error=1:print_stacktrace=1:log_path=' + report,
    })
    return env


def _remove(directory):
    """Remove a test's directory, and first what it may have left mounted there."""
    with open('/proc/self/mounts', encoding='utf-8', errors='replace') as mounts:
        points = [line.split()[1] for line in mounts]
    for point in reversed(points):
        if point.startswith(directory + '/'):
            subprocess.run(['umount', '-l', point], check=False)
    shutil.rmtree(directory, ignore_errors=True)
