# SPDX-License-Identifier: GPL-2.0-or-later
"""Bugs that faults.t is there for, each a substitution in the library's sources, and faults that must bring it out."""
import faults_verbs
import trace_mutants

Broken = trace_mutants.Broken
CLOSED = [action + how for action in (':EIO', ':ENOSPC') for how in (':once', ':ever')]


def each(call, most):
    return ['%s:%d%s' % (call, nth, how) for nth in range(1, most + 1) for how in CLOSED]


# What it is, in which files, what becomes what, the verb, the faults.
MUTANTS = [
    ('a sync of records that fails is passed over', 'segment/segment.c', r'int rc = mq_sys->fdatasync\(s->fd\);',
     'int rc = (mq_sys->fdatasync(s->fd), 0);', faults_verbs.Publish, each('fdatasync', 3)),
    ('records half written are taken for written', 'segment/segment.c', r'\} else if \(\(uint64_t\)n < mq_batch_len\(b\)\) \{',
     '} else if (n < 0) {', faults_verbs.Publish, ['pwritev:1:short=77:once']),
    ('a sync of the place that fails is passed over', 'log/slots.c', r'rc = mq_sys->fdatasync\(s->fd\);',
     'rc = (mq_sys->fdatasync(s->fd), 0);', faults_verbs.Consume, each('fdatasync', 4)),
    ('a place that could not be written is committed', 'log/slots.c', r'if \(n != MQ_SLOT_LEN\) \{', 'if (0) {',
     faults_verbs.Consume, each('pwrite', 4)),
    ('a sync of the output that fails is passed over', 'ops/sink.c', r'int rc = mq_sys->fdatasync\(s->fd\);',
     'int rc = (mq_sys->fdatasync(s->fd), 0);', faults_verbs.Consume, each('fdatasync', 4)),
    ('records that were not printed are done', 'ops/sink.c', r'return mq_ops_output_failed\(err, \(int\)k\);',
     'k = (ssize_t)n;', faults_verbs.Consume, each('write', 1)),
    ('acknowledgements that were not written are told', 'spool/acks_file.c', r'return n < 0 \? \(int\)n : -EIO;', 'return 0;',
     faults_verbs.Acknowledge, each('pwrite', 2)),
]


def make(src, build, tree, mutant):
    """The tools over the changed library: their directory."""
    trace_mutants.make(src, build, tree, mutant, ['mq-publish', 'mq-consume', 'mq-group'])
    return tree + '/tools'
