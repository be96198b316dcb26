#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
#
# What the design's rules say of the order of calls (rules.py), asked of recordings of the tools at work; and of recordings
# made up here that break them, each of which must be told.
import os
import shlex
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
SRC = os.environ.get('MQ_SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('MQ_BUILD', '.')
sys.path[:0] = [SRC + '/tests/unit', SRC + '/tests/tool']

import sys_trace  # noqa: E402
import trace_runs  # noqa: E402
from rules import Rules  # noqa: E402

TOOLS = os.path.abspath(BUILD) + '/tests/traced'
LINE = b'%099d\n' % 7


class Made:
    """An entry as a recording would have it: Made(pid, 'lock', 0, file=..., id=..., ...)."""

    def __init__(self, pid, call, result, **args):
        self.pid, self.call, self.result, self.data = pid, call, result, b''
        self.args = {key: str(value) for key, value in args.items()}

    def __str__(self):
        return '%d %s %s = %d' % (self.pid, self.call, self.args, self.result)


def lock(kind, file='topics/t/0/lock', start=0, pid=1):
    return Made(pid, 'lock', 0, file=file, id=file, kind=kind, start=start, len=1, wait=0)


def masked(how):
    return Made(1, 'signal_mask', 0, how=how)


def put(file, at, length, call='pwrite'):
    return Made(1, call, length, file=file, id=file, at=at)


def sync(file):
    return [Made(1, 'fdatasync-begin', 0, file=file, id=file), Made(1, 'fdatasync', 0, file=file, id=file)]


SEG, NEXT = ('topics/t/0/%020d.0011aabb.seg' % n for n in (0, 9))
NAMED = Made(1, 'renameat', 0, to=NEXT, id='next')
NEXT_MADE = [Made(1, 'pwrite', 512, file='.x.tmp', id='next', at=0), Made(1, 'fdatasync-begin', 0, id='next'), Made(1, 'fdatasync', 0, id='next')]
IN, OUT = [masked(0), lock('write')], [lock('none'), masked(2)]
BROKEN = {
    'two append locks at once': IN + [lock('write', 'topics/t/1/lock')],
    'an append lock under a sync byte': [masked(0), lock('write', start=1), lock('write')],
    'an append lock with signals let through': [lock('write')],
    'a lock of a group under an append lock': IN + [lock('write', 'groups/g/topics/t/locks')],
    'a wait under an append lock': IN + [Made(1, 'poll', 1, n=1, timeout=-1)],
    'output under an append lock': IN + [Made(1, 'write', 5, file='stdout', id='o')],
    'a sync under an append lock that is no roll': IN + [put(SEG, 0, 600, 'pwritev')] + sync(SEG) + OUT,
    'a bell under an append lock': IN + [put('topics/t/0/bell', 0, 1)],
    'a roll that does not sync the segment before': IN + [put(SEG, 0, 600, 'pwritev')] + NEXT_MADE + [NAMED] + OUT,
    'a segment named before its sync': IN + NEXT_MADE[:1] + [NAMED] + OUT,
    'too much unsynced': IN + [put(SEG, n << 20, 1 << 20, 'pwritev') for n in range(70)] + OUT,
    'write-out with a gap': IN + [put(SEG, 0, 20 << 20, 'pwritev')] + OUT +
                            [Made(1, 'write_out', 0, file=SEG, id=SEG, at=9 << 20, len=8 << 20)],
    'a slot over one that is not durable': [put('groups/g/topics/t/offsets', 0, 256), put('groups/g/topics/t/offsets', 4096, 256)],
    'a slot whose sync began before it': [Made(1, 'fdatasync-begin', 0, id='topics/t/0/start'), put('topics/t/0/start', 0, 256),
                                          Made(1, 'fdatasync', 0, id='topics/t/0/start'), put('topics/t/0/start', 4096, 256)],
}
SOUND = {
    'a roll': IN + [put(SEG, 0, 600, 'pwritev')] + sync(SEG) + NEXT_MADE + [NAMED] + OUT,
    'slots in turn': [step for n in range(4) for step in [put('groups/g/topics/t/offsets', n % 2 * 4096, 256)] + sync('groups/g/topics/t/offsets')],
}

# Beside the runs of trace.t.  A command, its stdin.
RUNS = [
    ('mq-topic create -X max.messages=1000 -X when.full=drop-oldest -X segment.bytes=65536 oldest', b''),
    ('mq-publish oldest', LINE * 5000),
    ('mq-publish --ack written oldest', LINE * 5000),
    ('mq-consume -g a -j 3 oldest -- cat', b''),
    ('mq-group seek -g a -o beginning oldest', b''),
    ('mq-consume -g a oldest', b''),
]
LARGE = [('mq-publish --ack written large', LINE * 2_200_000), ('mq-publish large', LINE * 1_000_000)]


class Tap:
    count = failed = 0

    def result(self, name, faults):
        self.count += 1
        self.failed += bool(faults)
        for fault in faults[:5]:
            print('# ' + str(fault)[:400])
        print('%s %d - %s' % ('not ok' if faults else 'ok', self.count, name), flush=True)


def record(work, runs):
    """One recording of all of them, one after the other in a spool."""
    trace, spool = work + '/trace', work + '/spool'
    env = dict(os.environ, MQ_SPOOL=spool, MQ_TEST_RECORD=trace, MQ_TEST_RECORD_ROOT=spool, PATH=TOOLS + ':' + os.environ['PATH'])
    for command, stdin in runs:
        argv = shlex.split(command)
        subprocess.run([TOOLS + '/' + argv[0], *argv[1:]], input=stdin, env=env, cwd=work, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=120, check=False)
    rules = Rules()
    with open(trace, 'rb') as file:
        for entry in sys_trace.parse(file.read()):
            rules.see(entry)
    return rules


def at_work(tap, name, runs, expected):
    with tempfile.TemporaryDirectory(prefix='mq-rules-') as work:
        rules = record(work, runs)
    print('# %s: asked %s' % (name, ', '.join('rule %s %d times' % item for item in sorted(rules.met.items()))))
    unasked = ['rule %s was never asked' % rule for rule in expected if not rules.met[rule]]
    tap.result('%s keeps rules %s' % (name, ', '.join(expected)), rules.broken + unasked)


def main():
    tap = Tap()
    for name, entries in list(BROKEN.items()) + list(SOUND.items()):
        rules = Rules()
        for entry in entries:
            rules.see(entry)
        told = bool(rules.broken) == (name in BROKEN)
        tap.result('%s is %s' % (name, 'told' if name in BROKEN else 'let pass'), [] if told else rules.broken or ['it was not'])
    small = [(command, stdin) for command, stdin, _ in trace_runs.RUNS if isinstance(stdin, bytes)]
    at_work(tap, 'every tool', small + RUNS, ['1', '3', '11'])
    at_work(tap, 'a large input', LARGE, ['1'])
    print('1..%d' % tap.count)
    return 1 if tap.failed else 0


sys.exit(main())
