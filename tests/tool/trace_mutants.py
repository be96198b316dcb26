# SPDX-License-Identifier: GPL-2.0-or-later
"""Bugs that the comparison of trace.t is there for, each a substitution in the sources of a library: what is found must be
found in the calls, not in what the tool prints or how it ends."""
import glob
import os
import re
import shlex
import shutil
import subprocess
import tempfile

import trace_runs

LAYERS = 'ops api spool log segment format trace sys base'.split()
PUBLISH, CONSUME = ('mq-publish t', b'one\ntwo\n', 0), ('mq-consume t', b'', 0)
# What it is, in which files, what becomes what, and the run that must tell it from the rest.
MUTANTS = [
    ('a sync past the table', 'segment/*.c', r'mq_sys->fdatasync\(', 'fdatasync(', PUBLISH),
    ('a directory synced past the table', '*/*.c', r'mq_sys->fsync\(', 'fsync(', PUBLISH),
    ('files closed past the table', 'log/*.c', r'mq_sys->close\(', 'close(', PUBLISH),
    ('slots written past the table', 'log/*.c', r'mq_sys->pwrite\(([^,]+), ([^,]+), ([^,]+), ',
     r'pwrite(\1, \2, \3, (off_t)', PUBLISH),
    ('records printed past the table', 'ops/*.c', r'mq_sys->write\(', 'write(', CONSUME),
    ('a nap past the table', 'log/*.c', r'mq_hold_signals\(\);', 'mq_hold_signals(), usleep(1);', PUBLISH),
    ('chance past the table', '*/*.c', r'mq_sys->random\(([^,]+), ([^)]+\)?)\)', r'-(getentropy(\1, \2) < 0)', PUBLISH),
    ('a sync that is told and not made', 'sys/real_files.c', r'real_int\(fdatasync\(fd\)\)', 'fd < 0', PUBLISH),
    ('a sync that is another', 'sys/real_files.c', r'real_int\(fsync\(fd\)\)', 'real_int(fdatasync(fd))', PUBLISH),
    ('a sync made twice', 'sys/real_files.c', r'real_int\(fdatasync\(fd\)\)', 'real_int(fdatasync(fd) | fdatasync(fd))',
     PUBLISH),
    ('less is read than is told', 'sys/real_files.c', r'pread\(fd, buf, len,', 'pread(fd, buf, len - 1,', PUBLISH),
    ('names found past symlinks', 'sys/real_files.c', r'RESOLVE_BENEATH \| RESOLVE_NO_SYMLINKS \|', 'RESOLVE_BENEATH |',
     PUBLISH),
    ('locks of another kind', 'sys/real.c', r'F_OFD_SETLK\b', 'F_SETLK', PUBLISH),
    ('a write not written down', 'sys/record.c', r'return written\("write", fd, &all, 1, NULL, ([^;]*)\);',
     r'(void)all; return \1;', CONSUME),
    ('a result written down wrong', 'sys/record_entry.c', r'\(long long\)result, len\)', '(long long)(result & ~1), len)',
     PUBLISH),
]


# Built in the same way, with nothing changed: what is found must be the bugs' doing.
UNCHANGED = ('nothing', 'log/*.c', r'mq_hold_signals\(\);', 'mq_hold_signals();')


class Broken(Exception):
    """The mutant could not be made."""


def must(argv):
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=300)
    if done.returncode:
        raise Broken('%s: %s' % (' '.join(argv[:3]), done.stdout[-2000:]))


def tool_libraries(build):
    with open(build + '/Makefile', encoding='utf-8') as makefile:
        return shlex.split(re.search(r'^MQ_TOOL_LIBS *=(.*)', makefile.read(), re.M)[1])


def make(src, build, tree, mutant, tools):
    """These tools, over the changed library."""
    files, before, after = mutant[1:4]
    objects = []
    shutil.copytree(src + '/lib', tree + '/lib')
    for path in glob.glob(tree + '/lib/' + files):
        with open(path, encoding='utf-8') as text:
            changed, times = re.subn(before, after, text.read())
        if not times or not re.search(r'lib/(?:sys/(?:real|record|hold|wait)|(?!sys/))', path):
            continue
        with open(path, 'w', encoding='utf-8') as text:
            text.write(changed)
        objects.append(path[:-2].replace('/lib/', '/').replace('/', '-').strip('-').join((tree + '/', '.o')))
        must(['cc', '-std=gnu11', '-O1', '-w', '-D_GNU_SOURCE', '-include', 'unistd.h', '-iquote', tree + '/lib', '-c',
              '-o', objects[-1], path])
    if not objects:
        raise Broken('nothing in lib/%s looks like %s: make this mutant anew' % (files, before))
    os.mkdir(tree + '/tools')
    for tool in tools:
        own = glob.glob('%s/*/tests_traced_%s-*.o' % (build, tool.replace('-', '_'))) + \
            glob.glob('%s/tests/tests_traced_%s-*.o' % (build, tool.replace('-', '_')))
        archives = [build + '/.libs/libmqcli.a'] + ['%s/.libs/libmq%s.a' % (build, layer) for layer in LAYERS] * 2
        must(['cc', '-o', tree + '/tools/' + tool, *sorted(set(own)), *objects, *archives, *tool_libraries(build),
              '-lpthread'])


def said_of(src, build, mutant, runs):
    """What the comparison says of the calls in these runs over the changed library."""
    with tempfile.TemporaryDirectory(prefix='mq-trace-mutant-') as tree:
        try:
            make(src, build, tree, mutant, ['mq-publish', 'mq-consume'])
        except Broken as why:
            return None, [str(why)]
        bed = trace_runs.Bed(tree, tree + '/tools')
        faults = [fault for run in runs for fault in bed.run(*run).faults]
        return [fault for fault in faults if fault.startswith(('past the table', 'recorded:', 'behind an'))], faults


def all_found(src, build):
    """Yield (name, faults, what the comparison said first) of each test of the comparison."""
    _, faults = said_of(src, build, UNCHANGED, [PUBLISH, CONSUME])
    yield 'the library as it is, built as the mutants are, is no bug', faults, ''
    for mutant in MUTANTS:
        run = mutant[-1]
        said, faults = said_of(src, build, mutant, [run] if run is PUBLISH else [PUBLISH, run])
        if said is None:
            yield mutant[0], faults, ''
        else:
            yield 'found out: ' + mutant[0], [] if said else ['the comparison holds with this bug'], (said or [''])[0]
