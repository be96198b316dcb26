# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables that the rules of history.py look into: operations, runs of handlers, members, places.  One pass over the events.

A time is ns of CLOCK_MONOTONIC; of an operation, i is when it was invoked and c when it completed: INF where it never did,
so that it may have happened at any time since, or not at all.  What proves a finding is a reference: (process, number of
the event in it)."""
from collections import namedtuple

INF = float('inf')
# Signals after which a process goes its own way: what a member was asked to end by is no excuse for what it leaves undone.
GENTLE = {'TERM', 'INT', 'HUP', 'CONT', 'STOP', 'TSTP', 'USR1', 'USR2', '15', '2', '1', '18', '19', '20', '10', '12', '0'}
HARMLESS = {'CONT', 'STOP', 'TSTP', '18', '19', '20', '0'}  # ends nothing


# events: the references of those that prove it.
Finding = namedtuple('Finding', 'kind group where why events')


class Malformed(Exception):
    """What was recorded is no history."""


def one_of(kill, signals):
    name = str(kill.o['signal'])
    return (name[3:] if name.startswith('SIG') else name) in signals


class Op:
    """An operation: o is its invocation's event, r its completion's (None where there is none)."""
    __slots__ = 'i', 'c', 'o', 'r', 'ref', 'end'

    def __init__(self, i, o, ref):
        self.i, self.c, self.o, self.r, self.ref, self.end = i, INF, o, None, ref, None

    def refs(self):
        return [self.ref] if self.end is None else [self.ref, self.end]


class Run:
    """A record given out once.  last: when its handler lived for certain; settled: when it was done or rejected, or INF."""
    __slots__ = 'group', 'member', 'p', 'o', 'rid', 'since', 'begin', 'last', 'settled', 'over', 'batch', 'clean', 'late', 'event', 'ref', 'end'

    def __init__(self, event, ref, p, o, batch, since):
        self.group, self.member, self.p, self.o = event['group'], event.get('member'), p, o
        self.begin = self.last = event['t']
        self.settled, self.batch, self.event, self.ref, self.end = INF, batch, event, ref, None
        self.rid, self.clean, self.late, self.since, self.over = event.get('id'), True, False, since, INF

    def refs(self):
        return [self.ref] if self.end is None else [self.ref, self.end]


class Batch:
    """Runs of one process of which the next began before the one before had ended: one handler."""
    __slots__ = 'failed', 'open'

    def __init__(self):
        self.failed, self.open = False, []


class Owner:
    """A partition taken.  i..c: it may be owned from i at the earliest to c at the latest; start..stop: for certain."""
    __slots__ = 'member', 'i', 'start', 'stop', 'c', 'ref', 'event', 'gave', 'asked'

    def __init__(self, event, i, ref, announced):
        self.member, self.i, self.start, self.event, self.ref = event.get('member'), i, event['t'], event, ref
        self.asked = i if announced else event['t']
        self.stop = self.c = INF
        self.gave = None


class Member:
    """One process of a group from joining to its end."""

    def __init__(self, name):
        self.name, self.pid, self.in_flight, self.topics = name, None, None, None
        self.joined, self.leave, self.left, self.status, self.last_own = None, INF, INF, 0, 0
        self.refs, self.kills, self.freezes, self.evicts, self.perhaps = [], [], [], [], set()

    def ends(self):
        """(when it was still there for certain, when it was gone for certain)"""
        sure, gone = min(self.leave, self.left), self.left
        if self.left < INF and self.leave == INF:
            sure = min(sure, self.last_own)  # it ended by itself, some time after that
        for k in self.kills:
            if not one_of(k, HARMLESS):
                sure = min(sure, k.i)
                gone = min(gone, k.c)
        return sure, gone


class Group:
    def __init__(self, name):
        self.name, self.share, self.once, self.order, self.in_flight, self.assigned = name, False, False, 'key', None, True
        self.reader, self.reading = None, {}  # history_reader.py; the reads of which nothing came that is known
        self.members, self.runs, self.by_p, self.by_rid = {}, [], {}, {}
        self.commits, self.seeks, self.owners, self.looks, self.acks = {}, {}, {}, {}, {}
        self.evicts, self.shows, self.dead, self.finals, self.spread, self.shown, self.shows_at = [], [], {}, {}, {}, {}, []
        self.fails = {}  # of a member: when its handlers failed, which ends its run

    def member(self, name):
        found = self.members.get(name)
        if found is None:
            found = self.members[name] = Member(name)
        return found


# Completion -> (its invocation, the fields that name the operation).
COMPLETES = {
    'published': ('publish', ('id',)), 'failed': ('publish', ('id',)), 'joined': ('join', ('group', 'member')),
    'left': ('leave', ('group', 'member')), 'took': ('take', ('group', 'partition')), 'gave': ('give', ('group', 'partition')),
    'committed': ('commit', ('group', 'partition')), 'acked': ('ack', ('group', 'at')), 'killed': ('kill', ('pid', 'member')),
    'frozen': ('freeze', ('pid', 'member')), 'thawed': ('thaw', ('pid', 'member')), 'evicted': ('evict', ('group', 'member', 'partition')),
    'grown': ('grow', ('topic',)), 'sought': ('seek', ('group', 'partition')), 'shown': ('show', ('group',)),
    'spread_done': ('spread', ('group', 'topic'))}
UNANNOUNCED = {'join', 'leave', 'take', 'give'}  # may complete though nobody said that they began: since the event before, then
ALONE = {'final', 'dead', 'group', 'fenced', 'reads'}
NEEDS = {
    'publish': ('id', 'topic'), 'published': ('at',), 'begin': ('group', 'member', 'at', 'id'), 'end': ('group', 'at', 'status'),
    'commit': ('group', 'partition', 'offset'), 'ack': ('group', 'at'), 'took': ('group', 'member', 'partition'),
    'give': ('group', 'member', 'partition'), 'joined': ('group', 'member'), 'kill': ('signal',), 'grow': ('topic', 'from', 'to'),
    'grown': ('barriers',), 'seek': ('group', 'partition', 'offset'), 'final': ('group', 'partition', 'committed', 'end'),
    'evict': ('group',), 'leave': ('group', 'member'), 'left': ('group', 'member'), 'dead': ('group', 'id'), 'group': ('group',),
    'show': ('group',), 'join': ('group', 'member'), 'spread': ('group', 'topic'), 'fenced': ('group', 'member'),
    'reads': ('group', 'member')}
STATUSES = {'done', 'fail', 'release', 'reject', 'killed'}
INVOCATIONS = {name for name, _ in COMPLETES.values()}


class Index:
    def __init__(self, files):
        self.files, self.groups, self.pubs, self.at, self.partitions = files, {}, {}, {}, {}
        self.grows, self.kills, self.pids, self.same_place, self.last = [], [], {}, [], 0
        self.freezes, self.evicts, self.by_partition, self.offsets = [], [], {}, {}
        for process, events in files.items():
            self._process(process, events)
        self._members()
        self._evictions()
        self._positions()
        self._records()

    def group(self, name):
        found = self.groups.get(name)
        if found is None:
            found = self.groups[name] = Group(name)
        return found

    def event(self, ref):
        return self.files[ref[0]][ref[1]]

    def place(self, text, process, n):
        """topic:partition:offset -> (topic:partition, offset); the same partition is the same string."""
        try:
            p, _, o = text.rpartition(':')
            return self.partitions.setdefault(p, p), int(o)
        except (ValueError, AttributeError):
            raise Malformed(f'{process}:{n + 1}: {text!r} is no topic:partition:offset') from None

    def _process(self, process, events):
        opened, runs, batch, before, reads = {}, {}, None, 0, None
        for n, event in enumerate(events):
            try:
                kind, t = event['e'], event['t']
                for name in NEEDS.get(kind, ()):
                    event[name]
            except (KeyError, TypeError) as error:
                raise Malformed(f'{process}:{n + 1}: an event without {error}') from None
            if t < before:
                raise Malformed(f'{process}:{n + 1}: the clock of one process went back')
            before_now, before = before, t
            ref = (process, n)
            if kind == 'begin':
                if batch is None or not batch.open:
                    batch = Batch()
                self._begin(event, ref, runs, batch, reads)
            elif kind == 'end':
                self._end(event, ref, runs)
            elif kind in COMPLETES:
                name, fields = COMPLETES[kind]
                op = opened.pop((name, *[event.get(f) for f in fields]), None)
                if op is None:
                    if name not in UNANNOUNCED:
                        raise Malformed(f'{process}:{n + 1}: {kind}, of which no {name} is known')
                    op = Op(before_now, event, ref)
                op.c, op.r, op.end = t, event, ref if op.ref != ref else None
                self._completed(kind, op, process, n)
            elif kind == 'refused':
                op = [k for k in opened if k[0] == event.get('op')]
                if not op:
                    raise Malformed(f'{process}:{n + 1}: refused, of which no {event.get("op")} is known')
                opened.pop(op[-1]).r = event  # nothing happened: a result, but no time at which it did
            elif kind in INVOCATIONS:
                op = opened[(kind, *[event.get(f) for f in _fields(kind)])] = Op(t, event, ref)
                self._invoked(kind, op)
            elif kind in ALONE:
                self._alone(kind, event, ref)
                reads = t if kind == 'reads' else reads
            else:
                raise Malformed(f'{process}:{n + 1}: nobody knows the event {kind!r}')
            member = event.get('member')
            if member is not None and kind in ('took', 'give', 'commit', 'ack', 'join'):
                m = self.group(event['group']).member(member)
                m.last_own = max(m.last_own, t)
        if events and events[-1]['e'] == 'reads':
            self.group(events[-1]['group']).reading[events[-1]['member']] = reads
        self.last = max(self.last, before)
        for run in runs.values():
            run.batch.failed = True  # it never said what became of it

    def _begin(self, event, ref, runs, batch, reads):
        p, o = self.place(event['at'], *ref)
        run = Run(event, ref, p, o, batch, event['t'] if reads is None else reads)
        runs[event['group'], p, o] = run
        batch.open.append(run)
        self.group(event['group']).runs.append(run)

    def _end(self, event, ref, runs):
        p, o = self.place(event['at'], *ref)
        run, status = runs.pop((event['group'], p, o), None), event['status']
        if run is None or status not in STATUSES:
            raise Malformed(f'{ref[0]}:{ref[1] + 1}: the end of what this process did not begin, or an unknown status')
        run.last, run.end = event['t'], ref
        if status in ('done', 'reject'):
            run.settled = event['t']
        else:
            run.batch.failed = True
            self.group(event['group']).fails.setdefault(run.member, []).append(event['t'])
        for other in run.batch.open:
            if other.end is None:
                other.last = event['t']  # one handler: it lives
        run.batch.open.remove(run)

    def _invoked(self, kind, op):
        e = op.o
        if kind == 'publish':
            self.pubs.setdefault(e['id'], []).append(op)
        elif kind == 'commit':
            self.group(e['group']).commits.setdefault(e['partition'], []).append(op)
        elif kind == 'seek':
            self.group(e['group']).seeks.setdefault(e['partition'], []).append(op)
        elif kind == 'ack':
            self.group(e['group']).acks.setdefault(e['at'], []).append(op)
        elif kind == 'kill':
            self.kills.append(op)
        elif kind in ('freeze', 'thaw'):
            self.freezes.append((kind, op))
        elif kind == 'evict':
            self.evicts.append(op)
        elif kind == 'grow':
            self.grows.append(op)
        elif kind == 'give':
            self.group(e['group']).owners.setdefault(e['partition'], []).append(('give', op))
        elif kind == 'leave':
            m = self.group(e['group']).member(e['member'])
            m.leave = min(m.leave, op.i)
        elif kind == 'spread':
            self.group(e['group']).spread[e['topic']] = op

    def _completed(self, kind, op, process, n):
        e = op.r
        if kind == 'published':
            p, o = self.place(e['at'], process, n)
            other = self.at.setdefault((p, o), op)
            if other is not op:
                self.same_place.append((other, op))
        elif kind == 'joined':
            m = self.group(e['group']).member(e['member'])
            if m.joined is not None:
                raise Malformed(f'{process}:{n + 1}: {e["member"]} joined twice: give it another name')
            m.joined, m.in_flight, m.topics = op, e.get('in_flight'), e.get('topics')
            if 'pid' in e or 'pid' in op.o:
                m.pid = e.get('pid', op.o.get('pid'))
                self.pids.setdefault(m.pid, []).append((op.i, m))
        elif kind == 'left':
            m = self.group(e['group']).member(e['member'])
            m.left, m.status = op.c, e.get('status', 0)
            m.refs.append((process, n))
        elif kind == 'took':
            self.group(e['group']).owners.setdefault(e['partition'], []).append(('took', op))
        elif kind == 'gave' and op.o is e:
            self.group(e['group']).owners.setdefault(e['partition'], []).append(('give', op))
        elif kind == 'shown':
            g = self.group(e['group'])
            g.shows.append(op)
            for name in e.get('handlers', ()):
                g.shown[name] = min(op.i, g.shown.get(name, INF))

    def _alone(self, kind, event, ref):
        if kind == 'group':
            g = self.group(event['group'])
            g.share, g.once, g.order = bool(event.get('share')), bool(event.get('once')), event.get('order', 'key')
            g.in_flight, g.assigned, g.reader = event.get('in_flight'), event.get('assigned', True), event.get('reader')
        elif kind == 'final':
            self.group(event['group']).finals[event['partition']] = (event, ref)
        elif kind == 'dead':
            self.group(event['group']).dead[event['id']] = ref
        elif kind == 'fenced':
            self.group(event['group']).member(event['member'])

    def _members(self):
        """Who is meant by a pid: the member that joined last before; numbers of processes are used again."""
        for op in self.kills:
            for m in self._meant(op):
                m.kills.append(op)
        for kind, op in sorted(self.freezes, key=lambda f: f[1].i):
            for m in self._meant(op):
                if kind == 'freeze':
                    m.freezes.append([op.i, INF])
                elif m.freezes:
                    m.freezes[-1][1] = op.c

    def _meant(self, op):
        name, pid = op.o.get('member'), op.o.get('pid')
        if name is not None:
            return [g.members[name] for g in self.groups.values() if name in g.members]
        known = sorted(self.pids.get(pid, []), key=lambda k: k[0])
        known = [m for i, m in known if i <= op.i][-1:] or [m for _, m in known[:1]]
        return known

    def _evictions(self):
        self.evicts = [op for op in self.evicts if not (op.c == INF and op.r is not None)]
        for g in self.groups.values():
            for p, told in g.owners.items():
                g.owners[p] = _owned(g, told)
        for op in self.evicts:
            g, name, p = self.group(op.o['group']), op.o.get('member'), op.o.get('partition')
            if name is None and p is None:
                raise Malformed(f'{op.ref[0]}:{op.ref[1] + 1}: evict says neither member nor partition')
            new = (op.r or {}).get('generation', INF)
            names = [name] if name else sorted({w.member for w in g.owners.get(p, ()) if w.i <= op.c and w.c >= op.i
                                                and w.event.get('generation', -1) < new})
            if not names:
                raise Malformed(f'{op.ref[0]}:{op.ref[1] + 1}: evict of {p}, of which no owner is known')
            g.evicts.append(op)
            for m in names:
                g.member(m).evicts.append(op)
                if len(names) > 1:
                    g.member(m).perhaps.add(op)
                for q, owners in g.owners.items():
                    for w in owners:
                        if w.member == m and p in (None, q) and w.i <= op.c:
                            w.stop, w.c = min(w.stop, op.i), w.c if len(names) > 1 else min(w.c, op.c)

    def _positions(self):
        for (p, o), op in self.at.items():
            self.by_partition.setdefault(p, []).append((o, op))
            self.offsets.setdefault(p, set()).add(o)
        for found in self.by_partition.values():
            found.sort(key=lambda x: x[0])

    def _records(self):
        """What a run handled, whether it is one of an evicted owner; runs by partition and by record, in the order of beginning."""
        for ops in (ops for g in self.groups.values() for ops in (g.commits, g.seeks)):
            for p in ops:
                ops[p] = [op for op in ops[p] if not (op.c == INF and op.r is not None)]
        for g in self.groups.values():
            g.shows.sort(key=lambda op: op.i)
            g.shows_at = [op.i for op in g.shows]
            g.runs.sort(key=lambda r: r.begin)
            for run in g.runs:
                if not g.once and len(self.pubs.get(run.rid, ())) > 1:
                    run.rid = (run.rid, run.p, run.o)
                for op in g.member(run.member).evicts:
                    if op.o.get('partition') in (None, run.p) and run.begin >= op.i:
                        run.clean = False
                        run.late = run.late or run.begin > op.c and op not in g.member(run.member).perhaps
                g.by_p.setdefault(run.p, []).append(run)
                g.by_rid.setdefault(run.rid, []).append(run)


def _fields(kind):
    for name, fields in COMPLETES.values():
        if name == kind:
            return fields
    return ()


def _owned(g, told):
    """took and give of one partition, as they were recorded by their members -> [Owner]"""
    owners, latest = [], {}
    for kind, op in sorted(told, key=lambda x: x[1].ref[1]):
        m = op.o.get('member', (op.r or {}).get('member'))
        if kind == 'took':
            w = Owner(op.r, op.i, op.ref if op.end is None else op.end, op.o is not op.r)
            sure, gone = g.member(m).ends()
            w.stop, w.c = min([sure] + [t for t in g.fails.get(m, ()) if t >= w.start]), gone
            latest[m] = w
            owners.append(w)
        elif m in latest:
            w = latest.pop(m)
            w.stop, w.c, w.gave = min(w.stop, op.i), min(w.c, op.c), op
    return sorted(owners, key=lambda w: w.start)
