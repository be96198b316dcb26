#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1800
"""Transfers that are killed: at every one of their calls, and at random moments; and movers that are stopped, evicted, and wake.

Records go from one partition to three of two topics, as copies, as other records, and as copies that are done one by one
(tests/crash/mover).  Whoever comes after
the killed one finishes what it began: in the end each record is in one target once, in order, the place is at the end, what
was told as moved is moved, and mq-check finds nothing.  Half of the time the next owner is no mover but a plain mq-consume,
which must be given the rest and nothing more.

MQ_KILLS=N changes the number of kills at random (1000), MQ_SEED their choice, MQ_EVERY=N takes one call in N."""
import os
import random
import re
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import killer  # noqa: E402
import amount  # noqa: E402
from killer import BUILD, PLACE, SEED, Wrong, mq, result  # noqa: E402
import reader  # noqa: E402

KILLS = amount.of('MQ_KILLS', 1000, 300, 60)
EVERY = amount.of('MQ_EVERY', 1, 2, 32)
TARGETS = ['one:0', 'one:1', 'two:0']


def mover(spool, kind, per, **how):
    return killer.run(spool, [BUILD + '/tests/crash/mover', spool, 'g', kind, str(per), 'in', '0', *TARGETS], **how)


def publish(spool, first, count):
    lines = ''.join('%d\n' % i for i in range(first, first + count))
    mq(spool, 'publish', 'in', stdin=lines.encode())


def make(spool, count):
    for topic, partitions in (('in', '1'), ('one', '2'), ('two', '1')):
        mq(spool, 'topic', 'create', topic, '--partitions', partitions)
    publish(spool, 0, count)


def moved_lines(done):
    return [int(line.split()[1]) for line in done.stdout.decode().splitlines() if re.fullmatch(r'moved \d+', line)]


def check(spool, kind, count, told=0, consumed=()):
    """Every record in one target once, or consumed; in order; the place at the end."""
    prefix, seen = (b'>' if kind == 'bytes' else b''), list(consumed)
    for n, target in enumerate(TARGETS):
        topic, partition = target.split(':')
        got = []
        for _, payload, _, more in reader.Partition(spool, topic, partition).records():
            if not payload.startswith(prefix):
                raise Wrong('%s holds %r' % (target, payload))
            if kind != 'bytes' and more.get('group') != b'g':
                raise Wrong('%s: a copy that is for everybody: %r' % (target, more))
            got.append(int(payload[len(prefix):]))
        if got != sorted(set(got)) or any(i % len(TARGETS) != n for i in got):
            raise Wrong('%s: %r is not in order, or not once' % (target, got))
        seen += got
    if sorted(seen) != list(range(count)):
        missing, doubled = set(range(count)) - set(seen), {i for i in seen if seen.count(i) > 1} if len(seen) < 5000 else '?'
        raise Wrong('of %d records missing: %s, doubled: %s' % (count, sorted(missing)[:20], doubled))
    place = reader.places(spool, 'g', 'in')[0][0]
    if place != count or place < told:
        raise Wrong('the group stands at %d of %d, and was told to be at %d' % (place, count, told))
    killer.clean(spool)


def go_on(spool, kind, count, told, by_consumer):
    """What the killed one left is finished by another; nothing it was told is undone."""
    if not by_consumer:
        mover(spool, kind, 4)
        return check(spool, kind, count, told)
    out = mq(spool, 'consume', '-g', 'g', 'in').stdout
    return check(spool, kind, count, told, [int(line) for line in out.split()])


def named(kind, per):
    return '%s, %s' % (kind, 'each transfer to one target' if per == 1 else 'each transfer to several targets')


# --- every call ---------------------------------------------------------------------------------
RECORDS = 9


def calls_of(kind, per):
    with tempfile.TemporaryDirectory(prefix='mq-move-', dir=PLACE) as place:
        spool, report = place + '/spool', place + '/report'
        make(spool, RECORDS)
        mover(spool, kind, per, fault='', report=report)
        check(spool, kind, RECORDS)
        return killer.calls(report)


def killed_at(kind, per, i, rule):
    """(was it killed, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-move-', dir=PLACE) as place:
        try:
            make(place + '/spool', RECORDS)
            done = mover(place + '/spool', kind, per, fault=rule, good=(0, -9))
            go_on(place + '/spool', kind, RECORDS, max(moved_lines(done), default=0), i % 2)
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def all_of(fn, kind, per, rules):
    return killer.all_of(lambda numbered: fn(kind, per, *numbered), enumerate(rules))


def segments(spool):
    return sorted(name for name in os.listdir(spool + '/topics/intents@in@g/0') if name.endswith('.seg'))


def killed_as_they_go(_, per, i, rule):
    """Intents that are finished go with their segments, however often that is broken off."""
    with tempfile.TemporaryDirectory(prefix='mq-move-', dir=PLACE) as place:
        spool, count = place + '/spool', 120
        make(spool, 0)
        with open(spool + '/spool.conf', 'a', encoding='ascii') as conf:
            conf.write('default.segment.bytes=4096\n')
        publish(spool, 0, count)
        try:
            done = mover(spool, 'bytes', per, fault=rule, good=(0, -9))
            go_on(spool, 'bytes', count, max(moved_lines(done), default=0), i % 2)
            publish(spool, count, count)
            mover(spool, 'bytes', per)
            check(spool, 'bytes', 2 * count) if not i % 2 else None
            if len(segments(spool)) > 2:
                raise Wrong('intents lie in %s' % segments(spool))
            return done.returncode == -9, None
        except Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def finished_intents_go():
    rules = ['%s:%d:path=intents@:kill-%s' % (call, n, when) for call in ('unlinkat', 'fsync', 'fdatasync') for n in range(1, 60)
             for when in ('before', 'after')]
    went, wrong = all_of(killed_as_they_go, 'bytes', 4, rules[SEED % EVERY::EVERY])
    result(not wrong and went, 'finished intents go with their segments, killed %d times as they do' % went, wrong)


def at_every_call(kind, per, calls):
    killed, wrong = all_of(killed_at, kind, per, killer.rules(calls, EVERY))
    result(not wrong and killed, '%s: killed at each of its calls, %d times' % (named(kind, per), killed), wrong)


# --- evicted ------------------------------------------------------------------------------------
def holds_up(pid):
    """Is it in the middle of an append, or of the group's first place (the topic's lock)?  Then nobody goes on before it does,
    evicted or not."""
    for fd in os.listdir('/proc/%d/fdinfo' % pid):
        try:
            with open('/proc/%d/fdinfo/%s' % (pid, fd), encoding='ascii') as info:
                if 'lock:' in info.read() and os.readlink('/proc/%d/fd/%s' % (pid, fd)).endswith(('/lock', '/named')):
                    return True
        except FileNotFoundError:
            pass
    return False


def evicted_at(kind, per, _, rule):
    """(was it stopped where others go on, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-move-', dir=PLACE) as place:
        spool = place + '/spool'
        make(spool, RECORDS)
        with subprocess.Popen([BUILD + '/tests/crash/mover', spool, 'g', kind, str(per), 'in', '0', *TARGETS],
                              env=dict(os.environ, MQ_TEST_FAULT=rule), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as old:
            try:
                _, status = os.waitpid(old.pid, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    old.returncode = os.waitstatus_to_exitcode(status)
                    return False, None
                if holds_up(old.pid):
                    return False, None
                mq(spool, 'group', 'evict', '-g', 'g', 'in:0', good=None)
                done = mover(spool, kind, 5, good=(0, 75))
                if done.returncode == 0:
                    check(spool, kind, RECORDS)
                old.send_signal(signal.SIGCONT)
                said, status = old.stderr.read().decode(), old.wait()
                if status not in (0, 75):
                    raise Wrong('woken, it ended with %d: %s' % (status, said))
                mover(spool, kind, 5)
                check(spool, kind, RECORDS)
                return True, None
            except Wrong as wrong:
                return True, '%s: %s' % (rule, wrong)
            finally:
                if old.returncode is None:
                    old.kill()  # it may be stopped still


def evicted_and_woken(kind, per, calls):
    most = sum(n for call, n in calls)
    came, wrong = all_of(evicted_at, kind, per, ['*:%d:stop-before' % n for n in range(1 + SEED % EVERY, most + 1, EVERY)])
    result(not wrong and came, '%s: stopped, evicted and woken, %d times' % (named(kind, per), came), wrong)


# --- at random ----------------------------------------------------------------------------------
def at_random(kind, kills, rng):
    with tempfile.TemporaryDirectory(prefix='mq-move-', dir=PLACE) as place:
        spool, count, told, killed = place + '/spool', 0, 0, 0
        make(spool, 0)
        try:
            for _ in range(20 * kills):
                if killed == kills:
                    break
                more = rng.choice((0, 1, 5, 40))
                publish(spool, count, more)
                count += more
                rule = killer.somewhere(rng, 900)
                done = mover(spool, kind, rng.choice((1, 1, 1, 2, 3, 7, 30)), fault=rule, good=(0, -9))
                killed += done.returncode == -9
                told = max([told] + moved_lines(done))
            mover(spool, kind, 50)
            check(spool, kind, count, told)
            wrong = None
        except Wrong as why:
            wrong = why
        result(wrong is None and killed == kills, '%s: killed %d times at random, %d records (MQ_SEED=%d)' % (kind, killed, count, SEED),
               wrong or '')


def main():
    print('1..13')
    finished_intents_go()
    kinds = [('copies', KILLS // 2), ('bytes', KILLS - KILLS // 2)]
    for kind, _ in kinds:
        for per in (4, 1):
            calls = calls_of(kind, per)
            at_every_call(kind, per, calls)
            evicted_and_woken(kind, per, calls)
    calls = calls_of('set', 4)
    at_every_call('set', 4, calls)
    for n, (kind, kills) in enumerate(kinds + [('set', KILLS // 2)]):
        at_random(kind, kills, random.Random(SEED + n))
    return killer.status()


sys.exit(main())
