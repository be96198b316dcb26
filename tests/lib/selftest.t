#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
#
# The tests' own tools: a check that cannot fail checks nothing.
import glob
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
sys.path.insert(1, os.path.dirname(HERE))
import builds  # noqa: E402
import reader  # noqa: E402
import suite  # noqa: E402
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
def each_rule_of_the_design_names_tests_that_are_there():
    rules, missing = set(), []
    with open(SRC + '/tests/README', encoding='utf-8') as text:
        for line in text:
            rule = re.match(r'(\d+) +\S', line)
            held = re.match(r' {5}([\w./-]+)(?:: (.*))?$', line)
            if rule:
                rules.add(int(rule[1]))
            if not held:
                continue
            try:
                with open(SRC + '/tests/' + held[1], encoding='utf-8') as there:
                    there = there.read()
            except OSError as error:
                missing.append(str(error))
                continue
            missing += ['%s: %s' % (held[1], name) for name in (held[2] or '').split('; ') if name not in there]
    assert rules == set(range(1, 14)), rules
    assert not missing, missing


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


# --- tests/lib/agree.py: the tools read a copy in which something was changed, the second reader the original ---

def spool_to_compare(path):
    """Topic T: a partition of batches of lines and of records, with a log start; a group that stands in it."""
    def mq(tool, *argv, text=None):
        subprocess.run([tool, *argv], env=dict(os.environ, MQ_SPOOL=path), input=text, check=True, stdout=subprocess.DEVNULL,
                       universal_newlines=True)
    mq('mq-publish', 'T', text=''.join('line %d\n' % i for i in range(20)))
    mq('mq-publish', '-k', 'key', '-H', 'colour=green', '-T', 'tag', '--id', 'ident-77', '-m', 'payload', 'T')
    mq('mq-publish', 'T', text='last\n')
    mq('mq-topic', 'purge', '-o', '3', 'T')
    mq('mq-consume', '-g', 'g', '-n', '5', 'T')


def change_bytes(name, old, new):
    """Bytes of a batch, in place of others, and sealed again, so that nothing but the contents tells."""
    with open(name, 'r+b') as file:
        data = bytearray(file.read())
        at = data.rindex(old)
        data[at:at + len(old)] = new
        pos = data.rindex(b'mqB\1', 0, at)
        size, = struct.unpack_from('<I', data, pos + 16)
        struct.pack_into('<I', data, pos + 8, reader.crc32c(bytes(data[pos + 128:pos + 128 + size])))
        sealed = reader.crc32c(bytes(data[24:40]), struct.pack('<Q', pos), bytes(data[pos + 8:pos + 128]))
        struct.pack_into('<I', data, pos + 4, sealed)
        file.seek(0)
        file.write(data)


def change_slots(name, field, new):
    """A number in both slots of a file, sealed again."""
    with open(name, 'r+b') as file:
        for block in 0, 1:
            file.seek(block * 4096)
            slot = bytearray(file.read(256))
            if any(slot):
                struct.pack_into('<Q', slot, field, new)
                struct.pack_into('<I', slot, 8, reader.crc32c(bytes(slot[:8]), struct.pack('<I', block), bytes(slot[12:])))
                file.seek(block * 4096)
                file.write(slot)


def agree_says(change):
    """What agree.py says where the tools see the change: (status, text)."""
    with tempfile.TemporaryDirectory() as work:
        os.mkdir(work + '/seen')
        spool_to_compare(work + '/seen/spool')
        shutil.copytree(work + '/seen/spool', work + '/copy')
        change(work + '/copy')
        os.mkdir(work + '/bin')
        for tool in 'mq-topic', 'mq-group', 'mq-consume', 'mq-check':
            with open('%s/bin/%s' % (work, tool), 'w', encoding='utf-8') as shim:
                shim.write('#!/bin/sh\nn=$#\nfor a; do [ "$a" = %s/seen/spool ] && a=%s/copy; set -- "$@" "$a"; done\n'
                           'shift $n\nexec %s "$@"\n' % (work, work, shutil.which(tool)))
            os.chmod(shim.name, 0o755)
        run = subprocess.run([HERE + '/agree.py', work + '/seen'], stdout=subprocess.PIPE, universal_newlines=True, check=False,
                             env=dict(os.environ, PATH='%s/bin:%s' % (work, os.environ['PATH'])))
        return run.returncode, run.stdout


def segment_of(copy):
    return glob.glob(copy + '/topics/T/0/*.seg')[0]


@test
def the_second_reader_agrees_with_tools_that_read_a_true_copy():
    status, said = agree_says(lambda copy: None)
    assert status == 0 and 'agreed: 1 spools, 1 partitions, 19 records, 1 places, 0 damaged' in said, said


@test
def the_second_reader_notices_one_byte_that_the_tools_see_otherwise():
    for old, new in ((b'line 7', b'line 8'), (b'key', b'kez'), (b'green', b'greed'), (b'tag', b'tab'), (b'ident-77', b'ident-78'),
                     (b'payload', b'paylord'), (b'colour', b'colore')):
        status, said = agree_says(lambda copy, old=old, new=new: change_bytes(segment_of(copy), old, new))
        assert status == 1 and 'records: 1 differ' in said, '%s: %s' % (old, said)


@test
def the_second_reader_notices_another_log_start_and_another_place():
    status, said = agree_says(lambda copy: change_slots(copy + '/topics/T/0/start', 32, 4))
    assert status == 1 and 'log start and visible end' in said, said
    status, said = agree_says(lambda copy: change_slots(copy + '/groups/g/topics/T/offsets', 32, 9))
    assert status == 1 and 'g T places:' in said, said


@test
def the_second_reader_notices_damage_that_it_does_not_see_itself():
    def damage(copy):
        with open(segment_of(copy), 'r+b') as file:
            file.seek(650)
            file.write(b'X')
    status, said = agree_says(damage)
    assert status == 1 and 'only mq-check:' in said and 'records: 17 differ' in said, said


@test
def a_disagreement_that_is_declared_must_be_there():
    def declare(copy):
        with open(os.path.dirname(copy) + '/seen/spool.differs', 'w', encoding='utf-8') as why:
            why.write('it is to be so\n')
    status, said = agree_says(declare)
    assert status == 1 and 'they agree, though' in said, said
    status, said = agree_says(lambda copy: (declare(copy), change_bytes(segment_of(copy), b'key', b'kez')))
    assert status == 0 and 'exempt spool: it is to be so' in said, said


@test
def a_test_fails_that_leaves_a_spool_which_is_read_in_two_ways():
    with tempfile.TemporaryDirectory() as work:
        os.mkdir(work + '/bin')
        for name in 'mq-topic', 'mq-group', 'mq-check', 'mq-publish':
            os.symlink(shutil.which(name), '%s/bin/%s' % (work, name))
        with open(work + '/a.t', 'w', encoding='utf-8') as script:
            script.write('#!/bin/sh\necho 1..1\nseq 9 | mq-publish -S spool T && echo ok 1\n')
        build = builds.Build('plain', work, None)
        results = {}
        for shown in 'cat', 'head -n 8':
            with open(work + '/bin/mq-consume', 'w', encoding='utf-8') as shim:
                shim.write('#!/bin/sh\n%s "$@" | %s\n' % (shutil.which('mq-consume'), shown))
            os.chmod(shim.name, 0o755)
            outcome = suite.run(suite.Test(work, 'a.t', ['sh', work + '/a.t']), SRC, build)
            results[shown] = [result.verdict for result in outcome.results], outcome.compared.get('records')
        assert results == {'cat': ([tap.OK, tap.OK], 9), 'head -n 8': ([tap.OK, tap.FAILED], 9)}, results


@test
def a_report_of_the_sanitizers_is_a_failure_unless_its_process_was_killed_at_its_end():
    build = builds.Build('plain', os.environ['MQ_BUILD'], None)
    killed = '==29817==Unable to get registers from thread 29811.\\n'
    verdict = {}
    for report in '', killed, killed + killed, killed + '==2==ERROR: LeakSanitizer\\n', 'x', '==2==':
        script = 'echo 1..1; echo ok 1; printf %%b "%s" > "${ASAN_OPTIONS##*=}.1"' % report
        outcome = suite.run(suite.Test(SRC, 'tests/lib/selftest.t', ['sh', '-c', script]), SRC, build)
        verdict[report] = outcome.results[-1].verdict
    assert list(verdict.values()) == 3 * [tap.OK] + 3 * [tap.FAILED], verdict


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
