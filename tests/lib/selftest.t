#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
#
# The tests' own tools: a check that cannot fail checks nothing.
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import tap  # noqa: E402

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def verdicts(text, status=0):
    return [result.verdict for result in tap.parse(text, status)]


@test
def ok_and_not_ok_are_told_apart():
    assert verdicts('1..2\nok 1 - a\nnot ok 2 - b\n', 1) == [tap.OK, tap.FAILED]


@test
def silence_is_a_failure():
    assert verdicts('') == [tap.FAILED]


@test
def a_missing_plan_is_a_failure():
    assert verdicts('ok 1 - a\n') == [tap.OK, tap.FAILED]


@test
def fewer_tests_than_planned_are_a_failure():
    assert verdicts('1..3\nok 1\nok 2\n') == [tap.OK, tap.OK, tap.FAILED]


@test
def a_bad_status_after_only_ok_is_a_failure():
    assert verdicts('1..1\nok 1\n', -11) == [tap.OK, tap.FAILED]


@test
def a_skip_is_neither_ok_nor_failed():
    assert verdicts('1..2\nok 1 # SKIP no xfs\nnot ok 2 # SKIP cmocka says it so\n') == [tap.SKIPPED] * 2
    assert verdicts('1..0 # SKIP not root\n') == [tap.SKIPPED]


@test
def a_bail_out_is_a_failure():
    assert verdicts('1..1\nok 1\nBail out! no disk\n') == [tap.OK, tap.FAILED]


def layering_says(path, source):
    """What tests/includes says of a tree in which the file at path ends in source."""
    with tempfile.TemporaryDirectory() as tree:
        for part in ('lib', 'bin'):
            shutil.copytree('%s/%s' % (SRC, part), '%s/%s' % (tree, part))
        with open('%s/%s' % (tree, path), 'a', encoding='utf-8') as file:
            file.write(source)
        env = {name: value for name, value in os.environ.items() if name != 'MQ_BUILD'}
        run = subprocess.run([SRC + '/tests/includes'], env=dict(env, MQ_SRC=tree), check=False,
                             stdout=subprocess.PIPE, universal_newlines=True)
        return run.returncode, run.stdout


def layering_refuses(path, source, complaint):
    status, said = layering_says(path, source)
    assert status == 1 and complaint in said, said


@test
def layering_refuses_an_include_upwards():
    layering_refuses('lib/base/bad.c', '#include "log/log.h"\n', 'log is not below base')


@test
def layering_refuses_an_include_across():
    layering_refuses('lib/format/bad.c', '#include "sys/sys.h"\n', 'sys is not below format')


@test
def layering_refuses_a_way_round_by_dots():
    layering_refuses('lib/format/bad.c', '#include "../sys/sys.h"\n', 'is in no layer')


@test
def layering_refuses_a_tool_that_sees_more_than_mq_h():
    layering_refuses('bin/bad.c', '#include "base/err.h"\n', 'bin sees mq.h')


@test
def layering_refuses_inotifytools_outside_sys():
    layering_refuses('lib/log/bad.c', '#include <inotifytools/inotify.h>\n', 'only sys includes')


@test
def layering_refuses_a_header_that_needs_another():
    layering_refuses('lib/base/bad.h', 'int f(size_t);\n', 'does not compile alone')


def objects_say(sources):
    """What tests/includes says of layers made of these C sources ({layer: source})."""
    with tempfile.TemporaryDirectory() as build:
        os.mkdir(build + '/.libs')
        for layer in ('base', 'sys', 'format', 'segment', 'log', 'spool', 'api', 'ops'):
            obj = '%s/%s.o' % (build, layer)
            subprocess.run(['cc', '-D_GNU_SOURCE', '-w', '-x', 'c', '-c', '-o', obj, '-'],
                           input=sources.get(layer, ''), check=True, universal_newlines=True)
            subprocess.run(['ar', 'cr', '%s/.libs/libmq%s.a' % (build, layer), obj], check=True)
        run = subprocess.run([SRC + '/tests/includes'], env=dict(os.environ, MQ_BUILD=build),
                             check=False, stdout=subprocess.PIPE, universal_newlines=True)
        return run.stdout


@test
def layering_refuses_a_call_upwards():
    said = objects_say({'base': 'void up(void); void f(void) { up(); }',
                        'log': 'void up(void) {}'})
    assert 'base.o refers to up of log, which is not below base' in said, said


@test
def layering_allows_a_call_downwards():
    said = objects_say({'log': 'void f(void); void g(void) { f(); }', 'base': 'void f(void) {}'})
    assert 'which is not below' not in said, said


@test
def layering_refuses_a_call_of_the_kernel_past_sys():
    calls = ('read write pread pwrite open openat openat64 fsync fdatasync rename renameat2 unlink '
             'unlinkat fcntl ioctl mmap fork execve kill poll syscall fopen mkstemp').split()
    body = ' '.join('void %s(void);' % name for name in calls)
    body += 'void f(void) { %s }' % ' '.join('%s();' % name for name in calls)
    said = objects_say({'segment': body})
    for name in calls:
        assert 'segment.o refers to %s: only sys does that' % name in said, name + '\n' + said


@test
def layering_sees_through_fortified_names():
    said = objects_say({'log': 'void __read_chk(void); void __open_2(void);'
                               'void f(void) { __read_chk(); __open_2(); }'})
    assert 'refers to __read_chk' in said and 'refers to __open_2' in said, said


@test
def layering_refuses_a_library_that_prints_or_exits():
    said = objects_say({'base': textwrap.dedent('''
        #include <stdio.h>
        #include <stdlib.h>
        void f(void) { printf("%s", getenv("HOME")); exit(1); }''')})
    for name in ('printf', 'getenv', 'exit'):
        assert 'base.o refers to %s: only bin does that' % name in said, said


def main():
    print('1..%d' % len(TESTS))
    failed = 0
    for number, function in enumerate(TESTS, 1):
        try:
            function()
            said = 'ok'
        except Exception as error:  # a test that breaks has failed, whatever broke
            failed += 1
            said = 'not ok'
            print(textwrap.indent('%s: %s' % (type(error).__name__, error), '# '))
        print('%s %d - %s' % (said, number, function.__name__.replace('_', ' ')), flush=True)
    return 1 if failed else 0


sys.exit(main())
