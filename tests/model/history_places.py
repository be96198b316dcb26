# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of history.py about a group's places: lost, skipped, place-went-back, commit-after-fencing."""
from bisect import bisect_right

import history_reader
from history_index import INF, Finding


class Passed:
    """When a place went past an offset: of [(value, time, reference)] the earliest time with a value above it."""

    def __init__(self, found):
        found.sort(key=lambda x: x[0])
        self.values = [v for v, _, _ in found]
        self.first, best = [None] * len(found), (INF, None)
        for k in range(len(found) - 1, -1, -1):
            if found[k][1] < best[0]:
                best = found[k][1:]
            self.first[k] = best

    def __call__(self, offset):
        k = bisect_right(self.values, offset)
        return self.first[k] if k < len(self.first) else (INF, None)


class Fences:
    """The evictions that concern one partition, by the generation that they made."""

    def __init__(self, g, p):
        self.g, self.p, first = g, p, (INF, INF)
        made = sorted(((e.r['generation'], e) for e in g.evicts if e.o.get('partition') == p and e.r and 'generation' in e.r), key=lambda x: x[0])
        self.generations, self.first = [n for n, _ in made], []
        for _, e in reversed(made):
            first = min(first[0], e.i), min(first[1], e.c)
            self.first.append(first)
        self.first.reverse()

    def __call__(self, op):
        """Of a commit: 'fenced', begun after its owner had been evicted for certain; 'maybe'; 'clear'."""
        member, generation = op.o.get('member'), op.o.get('generation')
        i = c = INF
        if generation is not None:
            k = bisect_right(self.generations, generation)
            i, c = self.first[k] if k < len(self.first) else (INF, INF)
        for e in self.g.member(member).evicts if member is not None else ():
            on = e.o.get('partition')
            if on is None or on == self.p and (generation is None or not e.r or 'generation' not in e.r):
                i, c = min(i, e.i), c if e in self.g.member(member).perhaps else min(c, e.c)
        return 'fenced' if op.i > c else 'maybe' if op.c >= i else 'clear'


class Places:
    """What is known of the place of one group in one partition."""

    def __init__(self, g, p, shown):
        self.g, self.p, fencing = g, p, Fences(g, p)
        self.seeks = g.seeks.get(p, [])
        self.fenced, self.clear, self.maybe = [], [], []
        sort = {'fenced': self.fenced, 'clear': self.clear, 'maybe': self.maybe}
        for op in g.commits.get(p, []):
            sort[fencing(op) if g.evicts else 'clear'].append(op)
        self.looks = sorted(self._looks(shown), key=lambda x: x[1])
        done = [(op.o['offset'], op.c, op.end) for op in self.clear if op.c < INF]
        self.durable = Passed(done)
        seen = [(v, c, refs[-1]) for v, _, c, refs in self.looks]
        self.passed = Passed([(op.o['offset'], op.i, op.end) for op in self.clear if op.c < INF] + seen)
        self.over = [(self._lowest(s), s.o['offset']) for s in self.seeks]

    def _looks(self, shown):
        """What others saw: (value, earliest, latest, references)."""
        for w in self.g.owners.get(self.p, ()):
            if w.event.get('offset') is not None:
                yield w.event['offset'], w.i, w.event['t'], [w.ref]
        for v, op in shown:
            yield v, op.i, op.c, op.refs()
        if self.p in self.g.finals:
            event, ref = self.g.finals[self.p]
            yield event['committed'], event['t'], event['t'], [ref]

    def _lowest(self, seek):
        """The lowest that the place may have been when this seek happened: what lies between is passed over by it."""
        low = max((op.o['offset'] for op in self.clear if op.c < seek.i), default=0)
        return min([low] + [s.o['offset'] for s in self.seeks if s is not seek and s.i <= seek.c])

    def sought_over(self, o):
        return any(low <= o < high for low, high in self.over)

    def committed_before(self, o, since, t):
        """Was a value above o, decided on after `since`, in place before t, for certain?"""
        if not self.seeks:
            return self.durable(o)[0] < t
        return any(op.o['offset'] > o and op.i > since and op.c < t for op in self.clear)

    def back(self):
        """place-went-back and commit-after-fencing"""
        wrote = [(op.o['offset'], op.i, op.c, op.refs()) for op in self.clear if op.c < INF]
        events = sorted(wrote + self.looks, key=lambda x: x[1])
        by_end = sorted(events, key=lambda x: x[2])
        bad = {op.o['offset']: op for op in self.fenced}
        good = {0} | {op.o['offset'] for op in self.clear + self.maybe + self.seeks}
        highest = {}
        told = self._foreign(bad, good)
        if told:
            yield told
            return
        for v, i, c, refs in events:
            since = max((s.c for s in self.seeks if s.i <= c), default=-1)
            if since == INF:
                continue
            k, best = highest.get(since, (0, None))
            while k < len(by_end) and by_end[k][2] < i:
                if by_end[k][1] > since and (best is None or by_end[k][0] > best[0]):
                    best = by_end[k]
                k += 1
            highest[since] = k, best
            if best and best[0] > v:
                yield Finding('place-went-back', self.g.name, self.p, f'from {best[0]} to {v}, and nobody had sought', best[3] + refs)
                return

    def _foreign(self, bad, good):
        for v, _, c, refs in self.looks:
            if v in bad and v not in good and bad[v].i < c:
                return Finding('commit-after-fencing', self.g.name, self.p,
                               f'the place {v} that others saw was committed by an owner evicted before', bad[v].refs() + refs)
        return None


def places(g):
    """{partition: Places} of every partition of which something is known."""
    shown = {}
    for op in g.shows:
        for p, v in op.r.get('places', {}).items():
            shown.setdefault(p, []).append((v, op))
    return {p: Places(g, p, shown.get(p, ())) for p in {*g.commits, *g.seeks, *g.owners, *g.finals, *g.by_p, *shown}}


def went_back(g, known):
    for p in sorted(known):
        yield from known[p].back()


def settled_at(g):
    """{record: when it was first done or rejected}; a dead letter is settled at a time that nobody knows."""
    found = {}
    for run in g.runs:
        if run.settled < found.get(run.rid, INF):
            found[run.rid] = run.settled
    found.update((rid, -1) for rid in g.dead)
    return found


def positions(index, g, p):
    """[(offset, record, references)] of a partition: what was published there, and what was given out from there."""
    for o, op in index.by_partition.get(p, ()):
        rid = op.o['id']
        yield o, rid if g.once or len(index.pubs[rid]) == 1 else (rid, p, o), op.refs()
    there = index.offsets.get(p, ())
    told = set()
    for run in g.by_p.get(p, ()):
        if run.o not in there and run.o not in told:
            told.add(run.o)
            yield run.o, run.rid, run.refs()


def passed_over(index, g, known, settled):
    """lost and skipped"""
    begun = {}
    for run in g.runs:
        begun.setdefault(run.rid, run)
    lawful = history_reader.may_be_lost
    for p, places_ in sorted(known.items()):
        topic = p.rpartition(':')[0]
        end = g.finals[p][0]['end'] if p in g.finals else INF
        moved = topic in g.spread
        for o, rid, refs in positions(index, g, p):
            s, (t, proof) = settled.get(rid, INF), places_.passed(o)
            acked = [op for op in g.acks.get(f'{p}:{o}', ()) if op.c < INF] if g.acks else ()
            for op in acked:
                if op.i < t:
                    t, proof = op.i, op.ref
            if o >= end:
                yield Finding('lost', g.name, f'{p}:{o}', f'it was published, and the log ends at {end}', refs + [g.finals[p][1]])
            elif s > t and (s == INF or not moved) and not places_.sought_over(o) and not lawful(index, g, p, g.by_rid.get(rid, ()), t):
                run = begun.get(rid)
                if run is None or run.begin > t:
                    yield Finding('skipped', g.name, f'{p}:{o}', 'the place went past it before it was given out', refs + [proof])
                else:
                    yield Finding('lost', g.name, f'{p}:{o}', 'the place went past it before it was done', refs + run.refs() + [proof])


def published_twice(index):
    for a, b in index.same_place:
        yield Finding('lost', None, b.r['at'], 'two records were told the same position', a.refs() + b.refs())
