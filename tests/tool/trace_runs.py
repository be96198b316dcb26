# SPDX-License-Identifier: GPL-2.0-or-later
"""The runs of trace.t: each tool in what it is used for, every one in a spool that the ones before it left."""
import os
import shlex
import subprocess

import trace_compare
import trace_strace

# A command, its stdin ({p}: what mq-consume --manual printed), its exit status.
LINES = b''.join(b'line %d\n' % n for n in range(300))
RUNS = [
    ('mq-topic create --partitions 3 k segment.bytes=65536', b'', 0),
    ('mq-topic create --dry-run --partitions 3 other', b'', 0),
    ('mq-publish t', LINES, 0),
    ('mq-publish --ack written t', LINES, 0),
    ('mq-publish --ack none t', b'one\n', 0),
    ('mq-publish --confirm t', b'a\nb\n', 0),
    ('mq-publish -k key -H h=1 -T tag --id 7 -m payload k', b'', 0),
    ('mq-publish -K = k', b''.join(b'%d=v%d\n' % (n, n) for n in range(40)), 0),
    ('mq-publish --producer me --seq 1 t', b'x\ny\n', 0),
    ('mq-publish --producer me --seq 1 t', b'x\ny\nz\n', 0),
    ('mq-publish --frame t', b'', 0),
    ('mq-publish --json t', b'{"payload":"of json","key":"k"}\n', 0),
    ('mq-publish -l t /etc/passwd', b'', 0),
    ('mq-publish t', b'%01000d\n' % 1 * 3000, 0),  # more than a read of it, and a thread that syncs
    ('mq-publish -X segment.bytes=4096 rolls', LINES, 0),
    ('mq-publish rolls', LINES * 4, 0),
    ('mq-publish a/b', b'x\n', 64),
    ('mq-publish --ack written t', b'%0100000d\n' % 1 * 100, 0),  # written out before anybody syncs
    ('mq publish t', b'through the front door\n', 0),
    ('mq --version', b'', 0),
    ('mq nonsense', b'', 64),
    ('mq-consume t', b'', 0),
    ('mq-consume -o 5..9 t', b'', 0),
    ('mq-consume --json k', b'', 0),
    ('mq-consume --fail-empty -k none k', b'', 1),
    ('mq-consume -g plain t', b'', 0),
    ('mq-consume -g plain t', b'', 0),
    ('mq-consume -g keyed k', b'', 0),
    ('mq-consume -g file -n 7 t', b'', 0),
    ('mq-consume -g handled -n 3 t -- cat', b'', 0),
    ('mq-consume -g handled -n 9 --batch 3 -j 2 --order none t -- wc -l', b'', 0),
    ("mq-consume -g handled -n 3 --coproc t -- sh -c 'while read l; do echo 0; done'", b'', 0),
    ('mq-consume -g limited -n 1 --time-limit 50ms t -- sleep 100', b'', 75),
    ('mq-consume -g handled -n 1 t -- ./no-such-program', b'', 78),
    ('mq-consume -f --until-idle 100ms -g plain t', b'', 0),
    ('mq-consume -g manual -n 5 --manual --timeout 0s t', b'', 75),
    ('mq-group commit -g manual', '{p}', 0),
    ('mq-group commit -g manual', b'nonsense\n', 65),
    ('mq-group show -g manual', b'', 0),
    ('mq-group list', b'', 0),
    ('mq-group seek -g plain -o 3 t', b'', 0),
    ('mq-group seek -g plain -o beginning --dry-run t', b'', 0),
    ('mq-group evict -g plain --dry-run t:0', b'', 0),
    ('mq-group evict -g plain --member nobody', b'', 66),
    ('mq-topic list -v', b'', 0),
    ('mq-topic show rolls', b'', 0),
    ('mq-topic set rolls max.messages=100000', b'', 0),
    ('mq-topic purge --force -o 200 rolls', b'', 0),
    ('mq-check', b'', 0),
    ('mq-check --json t', b'', 0),
    ('mq-bench -n 2000', b'', 0),
    ('mq-group delete -g handled', b'', 0),
    ('mq-topic delete --force k', b'', 0),
    ('damage', None, None),
    ('mq-check', b'', 2),
    ('mq-consume t', b'', 2),
    ('mq-check --mend', b'', 2),
]


class Bed:
    """A spool and the tools (a directory of them) that work in it."""

    def __init__(self, work, tools):
        self.work, self.tools, self.printed, self.count = work, tools, b'', 0
        self.spool = work + '/spool'

    def damage(self):
        """One byte of the first record of t."""
        directory = self.spool + '/topics/t/0'
        name = min(name for name in os.listdir(directory) if name.endswith('.seg'))
        with open(os.path.join(directory, name), 'r+b') as segment:
            segment.seek(512 + 128 + 3)
            segment.write(b'#')

    def run(self, words, stdin, status):
        """Trace a command; (its Comparison, what else was wrong)."""
        self.count += 1
        argv = shlex.split(words)
        trace = '%s/trace-%d' % (self.work, self.count)
        env = dict(os.environ, MQ_SPOOL=self.spool, MQ_TEST_RECORD=trace, MQ_TEST_RECORD_ROOT=self.spool,
                   PATH=self.tools + ':' + os.environ['PATH'])
        given = self.work + '/stdin'
        with open(given, 'wb') as file:
            file.write(self.printed if stdin == '{p}' else stdin)
        # Small input through a file, large through a pipe: the two are read differently.
        if stdin != '{p}' and len(stdin) > 2000:
            with subprocess.Popen(['cat', given], stdout=subprocess.PIPE) as source:
                got, out, threads = self.strace(argv, env, source.stdout)
                source.stdout.close()
        else:
            with open(given, 'rb') as source:
                got, out, threads = self.strace(argv, env, source)
        if '--manual' in argv:
            self.printed = out[0]
        with open(trace, 'rb') as file:
            recorded = file.read()
        done = trace_compare.compare(recorded, threads, root_of(threads), argv[0] == 'mq-consume')
        if got != status:
            done.fault('exit status %d, not %d: %s', got, status, out[1].decode(errors='replace'))
        return done

    def strace(self, argv, env, source):
        return trace_strace.run([self.tools + '/' + argv[0], *argv[1:]], self.work + '/strace', stdin=source, cwd=self.work,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)


def root_of(threads):
    """The process that strace began: the one that no other has cloned."""
    cloned = {call.result for calls in threads.values() for call in calls
              if call.name in ('clone', 'clone3', 'vfork', 'fork')}
    return next(pid for pid in threads if pid not in cloned)
