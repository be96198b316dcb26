#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=2400
# mq-test: no-sanitize
#
# Each patch in mutants/ is a bug that crash tests are there for.  It is applied to a copy of lib/, and the
# suite of states.t, unchanged, must fail.  A patch that no longer applies fails here: make it anew.
# A line "Fails first: SCENARIO" in it only says where to begin.
#
#	mutants.t [NAME ...]     these alone
import concurrent.futures
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SRC = os.environ.get('MQ_SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('MQ_BUILD', '.')
PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
LAYERS = 'trace ops api spool log segment format sys base'.split()


class Broken(Exception):
    """The mutant could not be made."""


def run(argv, cwd=None, seconds=300):
    try:
        return subprocess.run(argv, cwd=cwd, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 1, 'not done within %d s' % seconds)


def must(argv, cwd=None):
    done = run(argv, cwd)
    if done.returncode != 0:
        raise Broken('%s: %s' % (' '.join(argv[:4]), done.stdout.strip()))


def objects_of(program):
    with open(SRC + '/tests/crash/Makefile.inc', encoding='utf-8') as makefile:
        sources = re.findall(r'^tests_crash_%s_SOURCES \+= (\S+)\.c$' % program, makefile.read(), re.M)
    return ['%s/%s.o' % (BUILD, source) for source in sources]


def libraries():
    """What the build links its tools with."""
    with open(BUILD + '/Makefile', encoding='utf-8') as makefile:
        return shlex.split(re.search(r'^MQ_TOOL_LIBS *=(.*)', makefile.read(), re.M)[1])


def build(patch, tree):
    """Both programs over the mutated library: only what the patch touches is compiled."""
    shutil.copytree(SRC + '/lib', tree + '/lib')
    must(['patch', '-p1', '-s', '-N', '-F1', '--no-backup-if-mismatch', '-i', patch], tree)
    with open(patch, encoding='utf-8') as lines:
        touched = re.findall(r'^\+\+\+ b/(\S+)', lines.read(), re.M)
    if not touched or not all(name.endswith('.c') for name in touched):
        raise Broken('a mutant changes C files of lib/, and no others')
    objects = []
    for name in touched:
        objects.append('%s/%s.o' % (tree, name.replace('/', '-')))
        must(['cc', '-std=gnu11', '-O1', '-w', '-D_GNU_SOURCE', '-iquote', tree + '/lib', '-c', '-o', objects[-1],
              '%s/%s' % (tree, name)])
    for program in ('scenario', 'powercut'):
        # Twice, so that what an object of the patch needs is found whatever the order.
        archives = ['%s/.libs/libmq%s.a' % (BUILD, layer) for layer in LAYERS] * 2
        must(['cc', '-o', '%s/%s' % (tree, program)] + objects_of(program) + objects + archives + libraries()
             + ['-lpthread'])


def fails(tree, scenario, one_in=1):
    """What the suite says of one scenario; None where it holds.  one_in: of so many states one is looked at."""
    work = '%s/%s' % (tree, scenario)
    for part in ('', '/run', '/cut'):
        os.mkdir(work + part)
    acted = run([tree + '/scenario', scenario, work + '/run', work + '/trace'])
    if acted.returncode == 0:
        acted = run([tree + '/powercut', '-e', str(one_in), scenario, work + '/trace', work + '/cut'], seconds=900)
    shutil.rmtree(work)
    if acted.returncode == 2:
        raise Broken(acted.stdout.strip())
    return acted.stdout.strip() if acted.returncode else None


def kill(patch):
    """(is it found out, by what)"""
    with open(patch, encoding='utf-8') as text:
        first = re.findall(r'^Fails first: (\S+)', text.read(), re.M)
    with tempfile.TemporaryDirectory(prefix='mq-mutant-', dir=PLACE) as tree:
        try:
            build(patch, tree)
            names = run([tree + '/scenario', '--list']).stdout.split()
            # Where it shows it does so in many states: one in 16 tells sooner.
            for scenario, one_in in [(name, each) for name in first for each in (16, 1)] + [
                    (name, 1) for name in names if name not in first]:
                said = fails(tree, scenario, one_in)
                if said:
                    return True, said
        except Broken as why:
            return False, str(why)
    return False, 'the suite holds with this bug in it'


def main():
    patches = sorted(glob.glob(SRC + '/tests/crash/mutants/*.patch'))
    if sys.argv[1:]:
        patches = [patch for patch in patches if os.path.basename(patch)[:-6] in sys.argv[1:]]
    print('1..%d' % len(patches), flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for number, (patch, (found, said)) in enumerate(zip(patches, pool.map(kill, patches)), 1):
            failed += not found
            print(''.join('# %s\n' % line for line in said.splitlines()[:6])
                  + '%s %d - the suite fails with this bug: %s'
                  % ('ok' if found else 'not ok', number, os.path.basename(patch)[:-6].replace('-', ' ')), flush=True)
    return 1 if failed or not patches else 0


sys.exit(main())
