# SPDX-License-Identifier: GPL-2.0-or-later
"""The verbs that faults.t lets fail, each with what must hold whatever failed.

The tool with the fault is one of tests/traced; all that is asked afterwards is asked of tools that have none."""
import fcntl
import json
import os
import re
import struct
import subprocess

import faults_disk
import sys_trace

SECONDS_MAX = 10  # for what takes a few milliseconds: an endless loop
# What a tool may say of a kernel that fails it; 2: what it must read cannot be read whole.
TOLD = {2, 65, 66, 74, 75, 77, 78}
RECORDS = [b'<%04d %s>' % (n, b'.' * 80) for n in range(24)]
NEW = [b'<%04d %s>' % (n, b'+' * 80) for n in range(100, 130)]


def lines(records):
    return b''.join(record + b'\n' for record in records)


class Wrong(Exception):
    """What does not hold."""


class Bed:
    """A spool of its own, the tools as they are, and those that fail."""

    def __init__(self, build, place, traced=None):
        self.build, self.place, self.spool = build, place, place + '/spool'
        self.traced = traced or build + '/tests/traced'
        self.trace, self.report = place + '/trace', place + '/report'
        self.env = dict(os.environ, MQ_SPOOL=self.spool)

    def healthy(self, *argv, stdin=b'', wanted=0):
        done = subprocess.run([self.build + '/bin/' + argv[0], *argv[1:]], input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=self.env, check=False, timeout=60)
        if wanted is not None and done.returncode != wanted:
            raise Wrong('%s, without a fault: status %d: %s' % (' '.join(argv), done.returncode, done.stderr.decode()))
        return done.stdout

    def faulty(self, rule, argv, stdin, out):
        """(status, what it said)"""
        env = dict(self.env, MQ_TEST_FAULT=rule, MQ_TEST_FAULT_REPORT=self.report, MQ_TEST_RECORD=self.trace,
                   MQ_TEST_RECORD_ROOT=self.spool)
        try:
            done = subprocess.run([self.traced + '/' + argv[0], *argv[1:]], input=stdin, stdout=out,
                                  stderr=subprocess.PIPE, env=env, check=False, timeout=SECONDS_MAX,
                                  cwd=self.place)
        except subprocess.TimeoutExpired as late:
            raise Wrong('still at work after %d s' % SECONDS_MAX) from late
        return done.returncode, done.stderr.decode(errors='replace')

    def reported(self, pattern):
        with open(self.report, encoding='utf-8') as text:
            return re.findall(pattern, text.read(), re.M)

    def entries(self):
        with open(self.trace, 'rb') as trace:
            return list(sys_trace.parse(trace.read()))

    def place_of(self, group):
        """Its committed offset; None: it has none."""
        said = self.healthy('mq-group', 'show', '-g', group, '--json', 't', wanted=None)
        return json.loads(said)['committed'] if said.strip() else None


class Verb:
    """name, argv and stdin of the run that fails; prepare makes its bed; holds says what is wrong afterwards."""
    stdin = b''

    def prepare(self, bed):
        bed.healthy('mq-publish', '-X', 'segment.bytes=4096', 't', stdin=lines(RECORDS))

    def act(self, bed, rule):
        out = bed.place + '/out'
        with open(out, 'wb') as file:
            status, said = bed.faulty(rule, self.argv, self.stdin, file)
        with open(out, 'rb') as file:
            return status, said, file.read()

    def run(self, bed, rule):
        """Did the fault come about?  Raises Wrong."""
        self.prepare(bed)
        status, said, out = self.act(bed, rule)
        if status < 0:
            raise Wrong('ended by signal %d: %s' % (-status, said))
        if status not in TOLD | {0}:
            raise Wrong('exit status %d: %s' % (status, said))
        if status and (not said.strip() or 'Success' in said):
            raise Wrong('exit status %d without a reason: %r' % (status, said))
        self.holds(bed, status, out)
        return bool(bed.reported(r'^\d+ rule \S+ [1-9]'))


class Publish(Verb):
    name = 'publishing durably, with confirmations, several batches in two segments'
    argv = ['mq-publish', '--confirm', '--timeout', '50ms', '-l', 't', 'one', 'two', 'three']
    before = RECORDS

    def prepare(self, bed):
        super().prepare(bed)
        for n, file in enumerate(self.argv[-3:]):
            with open(bed.place + '/' + file, 'wb') as part:
                part.write(lines(NEW[10 * n:10 * n + 10]))

    def holds(self, bed, status, out):
        confirmed = [re.match(rb't:0:(\d+)$', line) for line in out.splitlines()]
        told = {int(match[1]): record for match, record in zip(confirmed, NEW) if match}
        if len(confirmed) > len(NEW) or status == 0 and len(told) < len(NEW):
            raise Wrong('exit status %d and %d of %d records confirmed' % (status, len(told), len(NEW)))
        disk = faults_disk.Disk(bed.entries()).of(('.seg', '.tmp'))
        for record in told.values():
            if not any(record in image for image in disk):
                raise Wrong('confirmed %r, and no sync that succeeded covers it' % record[:6])
        if os.path.exists(bed.spool + '/topics/t'):
            bed.healthy('mq-check', 't')
        bed.healthy('mq-publish', 't', stdin=b'after\n')
        there = {}
        for line in bed.healthy('mq-consume', '--format', '%o %s\\n', 't').splitlines():
            offset, _, payload = line.partition(b' ')
            if int(offset) in there:
                raise Wrong('offset %s twice' % offset)
            there[int(offset)] = payload
        for offset, record in told.items():
            if there.get(offset) != record:
                raise Wrong('confirmed at %d, and there is %r' % (offset, there.get(offset)))
        stored = [there[offset] for offset in sorted(there)]
        if stored[:len(self.before)] != self.before or stored[-1:] != [b'after']:
            raise Wrong('what was there before, or came after, is lost: %r' % stored)
        fresh = stored[len(self.before):-1]
        if fresh != [record for record in NEW if record in set(fresh)]:
            raise Wrong('invented, doubled or out of order: %r' % fresh)


class PublishFirst(Publish):
    name = 'publishing durably where there is no spool'
    argv = ['mq-publish', '--confirm', '--timeout', '50ms', 't']
    stdin = lines(NEW)
    before = []

    def prepare(self, bed):
        pass


class Consume(Verb):
    name = 'consuming as a new group to a file'
    argv = ['mq-consume', '-g', 'g', 't']
    group, first, want = 'g', 0, RECORDS

    def whole(self, out):
        """How many records are there from the first on; anything else is invented."""
        if not lines(self.want).startswith(out):
            raise Wrong('printed what is not there: %r' % out)
        return out.count(b'\n')

    def holds(self, bed, status, out):
        printed = self.whole(out)
        place = bed.place_of(self.group)
        done = (place or self.first) - self.first
        if done > printed:
            raise Wrong('the place is %s and %d records of it were printed' % (place, printed))
        if status == 0 and (printed < len(self.want) or done < len(self.want)):
            raise Wrong('exit status 0, %d records of %d printed, the place is %s' % (printed, len(self.want), place))
        self.in_order(bed)
        if status == 0 and len(RECORDS) not in places_on(bed):
            raise Wrong('exit status 0, and no sync that succeeded covers the place')
        rest = bed.healthy('mq-consume', '-g', self.group, 't')
        if rest != lines(RECORDS[place or 0:]):
            raise Wrong('the place was %s, and the next run printed %r' % (place, rest))
        if bed.place_of(self.group) != len(RECORDS):
            raise Wrong('the next run left the place at %s' % bed.place_of(self.group))
        bed.healthy('mq-check')

    def in_order(self, bed):
        """No slot is written with a place beyond what the file is known to hold."""
        printed = synced = 0
        for e in bed.entries():
            if e.call in ('write', 'writev') and e.args.get('file') == 'stdout' and e.result > 0:
                printed += e.data[:e.result].count(b'\n')
            elif e.call in ('fdatasync', 'fsync') and e.args.get('file') == 'stdout' and e.result == 0:
                synced = printed
            self.not_beyond(e, self.first + synced)

    @staticmethod
    def not_beyond(e, most):
        if e.call == 'pwrite' and e.args.get('file', '').endswith('/offsets') and len(e.data) == 256 and e.result == 256:
            place = struct.unpack_from('<Q', e.data, 32)[0]
            if place > most:
                raise Wrong('a slot says %d when no more than %d was done' % (place, most))


class Handle(Consume):
    name = 'consuming as a group that has a place, with a handler'
    argv = ['mq-consume', '-g', 'g', 't', '--', 'cat']
    first, want = 18, RECORDS[18:]

    def prepare(self, bed):
        super().prepare(bed)
        bed.healthy('mq-consume', '-g', 'g', '-n', '18', 't')

    def whole(self, out):
        """A handler may be given a record again, and killed in the middle of one."""
        done = 0
        for piece in re.findall(rb'<[^<]*', out):
            if piece in self.want:
                if self.want.index(piece) > done:
                    raise Wrong('a record was left out: %r' % out)
                done = max(done, self.want.index(piece) + 1)
            elif not any(record.startswith(piece) for record in self.want):
                raise Wrong('handed out what is not there: %r' % out)
        return done

    def in_order(self, bed):
        """No slot is written with a place beyond the handlers that were seen to end with 0."""
        ended = 0
        for e in bed.entries():
            if e.call == 'wait_child' and e.result > 0:
                ended += e.args['status'] == '0'
            self.not_beyond(e, self.first + ended)


def places_on(bed):
    """The places in the slots that a run is known to have brought to the disk."""
    return {struct.unpack_from('<Q', image, at + 32)[0] for image in faults_disk.Disk(bed.entries()).of('/offsets')
            for at in (0, 4096) if len(image) >= at + 256}


class Acknowledge(Verb):
    name = 'acknowledging from outside where nobody owns the partition'
    argv = ['mq-group', 'commit', '-g', 'g']
    count = 5

    def prepare(self, bed):
        super().prepare(bed)
        printed = bed.healthy('mq-consume', '-g', 'g', '--manual', '--timeout', '0s', 't', wanted=75).splitlines(True)
        self.positions = b''.join(printed[:self.count])

    def act(self, bed, rule):
        with open(bed.place + '/out', 'wb') as file:
            status, said = bed.faulty(rule, self.argv, self.positions, file)
        return status, said, b''

    def holds(self, bed, status, out):
        if status == 0 and self.count not in places_on(bed) and not any(
                image.strip(b'\0') for image in faults_disk.Disk(bed.entries()).of('/acked.0')):
            raise Wrong('exit status 0, and no sync that succeeded covers what was acknowledged')
        place = self.settled(bed)
        if place > self.count or status == 0 and place != self.count:
            raise Wrong('exit status %d after %d acknowledgements, and the place is %d' % (status, self.count, place))
        bed.healthy('mq-check')
        bed.healthy(*self.argv, stdin=self.positions)
        if self.settled(bed) != self.count:
            raise Wrong('acknowledged again, and the place is %d' % self.settled(bed))
        if bed.healthy('mq-consume', '-g', 'g', 't') != lines(RECORDS[self.count:]):
            raise Wrong('the next run printed something else than what is behind the place')

    @staticmethod
    def settled(bed):
        """The place when whoever comes next has taken what is acknowledged into it."""
        bed.healthy('mq-consume', '-g', 'g', '-n', '1', '--manual', '--timeout', '0s', 't', wanted=None)
        return bed.place_of('g') or 0


class Owner(Verb):
    name = 'owning a partition while another acknowledges'
    argv = ['mq-consume', '-g', 'g', '-n', '5', '--manual', '--timeout', '2s', 't']
    count = 5

    def act(self, bed, rule):
        env = dict(bed.env, MQ_TEST_FAULT=rule, MQ_TEST_FAULT_REPORT=bed.report, MQ_TEST_RECORD=bed.trace,
                   MQ_TEST_RECORD_ROOT=bed.spool)
        with open(bed.place + '/why', 'w+b') as why, \
                subprocess.Popen([bed.traced + '/mq-consume', *self.argv[1:]], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=why, env=env) as owner:
            try:
                self.acknowledged = [owner.stdout.readline() for _ in range(self.count)]
                self.acknowledged = [line for line in self.acknowledged if line.endswith(b'\n')]
                for line, record in zip(self.acknowledged, RECORDS):
                    if line.partition(b'\t')[2] != record + b'\n':
                        raise Wrong('printed %r' % line)
                if self.acknowledged:
                    bed.healthy('mq-group', 'commit', '-g', 'g', stdin=b''.join(self.acknowledged))
                owner.communicate(timeout=SECONDS_MAX)
            except subprocess.TimeoutExpired as late:
                raise Wrong('still at work after %d s' % SECONDS_MAX) from late
            finally:
                owner.kill()
            why.seek(0)
            return owner.returncode, why.read().decode(errors='replace'), b''

    def holds(self, bed, status, out):
        place = bed.place_of('g') or 0
        done = len(self.acknowledged)
        if place > done or status == 0 and place != self.count:
            raise Wrong('exit status %d, %d acknowledged, and the place is %d' % (status, done, place))
        if status == 0 and self.count not in places_on(bed):
            raise Wrong('exit status 0, and no sync that succeeded covers the place')
        bed.healthy('mq-check')
        if bed.healthy('mq-consume', '-g', 'g', 't') != lines(RECORDS[done:]):
            raise Wrong('%d were acknowledged with success, and the next run did not begin there' % done)


class Evict(Verb):
    """Of this process, which holds the owner's byte of area 0, as a member that was stopped does."""
    name = 'evicting an owner'
    argv = ['mq-group', 'evict', '-g', 'g', 't:0']
    count = 5

    def prepare(self, bed):
        super().prepare(bed)
        bed.healthy('mq-consume', '-g', 'g', '-n', str(self.count), 't')

    def run(self, bed, rule):
        try:
            return super().run(bed, rule)
        finally:
            self.owner.close()

    def act(self, bed, rule):
        self.owner = open(bed.spool + '/groups/g/topics/t/locks', 'r+b')
        fcntl.fcntl(self.owner, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 1, 0))  # F_OFD_SETLK
        return super().act(bed, rule)

    def holds(self, bed, status, out):
        generations = {struct.unpack_from('<QQ', image, at + 32)[0]: struct.unpack_from('<I', image, at + 72)[0]
                       for image in faults_disk.Disk(bed.entries()).of(('/offsets', '.tmp')) for at in (512, 4608)
                       if len(image) >= at + 256}
        if status == 0 and generations.get(self.count) != 1:
            raise Wrong('exit status 0, and no sync that succeeded covers the place in the next generation')
        if bed.place_of('g') != self.count:
            raise Wrong('exit status %d, and the place is %s' % (status, bed.place_of('g')))
        bed.healthy('mq-check')
        said = bed.healthy(*self.argv)
        if status == 0 and said:
            raise Wrong('exit status 0, and somebody was evicted after that: %s' % said.decode())
        if bed.healthy('mq-consume', '-g', 'g', 't') != lines(RECORDS[self.count:]):
            raise Wrong('who came next did not go on from the place')
        bed.healthy('mq-check')


# With how many of its faults are tried.
VERBS = [(Publish, 450), (PublishFirst, 300), (Consume, 450), (Handle, 400), (Acknowledge, 400), (Owner, 200), (Evict, 300)]
