# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of history.py about members: two-owners, not-handed-on, orphan."""
from bisect import bisect_left, bisect_right

from history_index import INF, Finding

COUNTS_AFTER = 200 * 10 ** 6  # a member counts so long after joining


def lives_until(g, run):
    """Until when the handler held what it handled, for certain: an eviction gives it up."""
    return min([run.last, run.over] + [e.i for e in g.member(run.member).evicts if e.o.get('partition') in (None, run.p)])


class Reach:
    """Of intervals met in the order of their start, those two that reach furthest and are of different members."""

    def __init__(self):
        self.top = []

    def add(self, start, stop, member, refs):
        rest = [x for x in self.top if x[1] != member]
        mine = max([x for x in self.top if x[1] == member] + [(stop, member, refs, start)], key=lambda x: x[0])
        self.top = sorted(rest + [mine], key=lambda x: -x[0])[:2]

    def other(self, start, stop, member):
        return next((x for x in self.top if x[1] != member and x[0] > start and max(stop, start) > x[3]), None)


def two_owners(index, g):
    if not g.share:
        for p in sorted({*g.owners, *g.by_p}):
            yield from _of_partition(g, p)
    for runs in g.by_rid.values():
        if len(runs) > 1:
            yield from _of_record(g, runs)
    yield from _after_eviction(g)


def _of_partition(g, p):
    spans = [(w.start, w.stop, w.member, [w.ref], True) for w in g.owners.get(p, ()) if w.stop > w.start]
    spans += [(r.begin, lives_until(g, r) if g.evicts or g.reader else r.last, r.member, r, False) for r in g.by_p.get(p, ()) if r.clean]
    spans.sort(key=lambda x: x[0])
    owners, runs, told = Reach(), Reach(), set()
    for start, stop, member, refs, owns in spans:
        found = owners.other(start, stop, member) or (None if owns else runs.other(start, stop, member))
        if found and frozenset((member, found[1])) not in told:
            told.add(frozenset((member, found[1])))
            proof = [ref for x in (found[2], refs) for ref in (x if isinstance(x, list) else x.refs())]
            yield Finding('two-owners', g.name, p, f'{found[1]} and {member} at once', proof)
        (owners if owns else runs).add(start, stop, member, refs)


def _of_record(g, runs):
    """One record, given out while a handler of it lives.  Of two members of one partition it has been told already."""
    x = runs[0]
    for y in runs[1:]:
        if y.clean and x.clean and x.begin < y.last and y.begin < lives_until(g, x) and (g.share or x.member == y.member or x.p != y.p):
            yield Finding('two-owners', g.name, f'{y.p}:{y.o}', f'given to {y.member} while a handler of {x.member} had it', x.refs() + y.refs())
            return
        if not x.clean or y.last > x.last:
            x = y


def _after_eviction(g):
    """Frozen between deciding and doing, an evicted owner may begin what it had in hand when it wakes; no more."""
    late = {}
    for run in g.runs:
        if run.late:
            late.setdefault(run.member, []).append(run)
    for name, runs in late.items():
        m = g.members[name]
        limit = m.in_flight or g.in_flight or 1
        if len(runs) > limit and not g.reader:  # he has what is in the pipe
            run = runs[limit]
            yield Finding('two-owners', g.name, run.p, f'{name} goes on with {run.p}:{run.o} though it was evicted',
                          run.refs() + [ref for e in m.evicts for ref in e.refs()])


def orphan(index, g, bound):
    if g.reader:  # who reads a pipe is nobody's handler
        return
    given = {}
    for p, owners in g.owners.items():
        for w in owners:
            if w.gave and w.gave.c < INF:
                given.setdefault((p, w.member), []).append(w)
    for run in g.runs:
        m = g.member(run.member)
        if m.evicts:
            continue
        for w in given.get((run.p, run.member), ()):
            if w.i <= run.begin < w.gave.c < run.last:
                yield Finding('orphan', g.name, f'{run.p}:{run.o}', f'{run.member} let the partition go while its handler lived',
                              run.refs() + w.gave.refs())
                break
        else:
            gone = m.ends()[1]
            if run.last > gone and run.begin < INF:
                yield from _outlived(g, run, m, gone, bound)


def _outlived(g, run, m, gone, bound):
    names = {run.event.get('pid'), run.event['at']}
    shown, unseen = not names.isdisjoint(g.shown), []
    for k in range(bisect_right(g.shows_at, gone), bisect_left(g.shows_at, run.last)):
        op = g.shows[k]
        if not unseen and op.c < run.last and names.isdisjoint(op.r.get('handlers', ())):
            unseen.append(op)
    if unseen or (run.last > gone + bound and not shown):
        proof = [ref for k in m.kills for ref in k.refs()] + m.refs
        yield Finding('orphan', g.name, f'{run.p}:{run.o}', f'a handler outlived {m.name}, and nothing shows it', run.refs() + proof +
                      [ref for op in unseen[:1] for ref in op.refs()])


def not_handed_on(index, g, known, settled, bound):
    if not g.owners or not g.assigned:
        return
    topics = {p.rpartition(':')[0] for p in known}
    alive = [(m, span) for m in g.members.values() for span in _alive(m)]
    for p in sorted(index.by_partition):
        topic = p.rpartition(':')[0]
        if topic not in topics:
            continue
        found = next(_free_too_long(index, g, p, known.get(p), settled, bound,
                                    [(m, s) for m, s in alive if not m.topics or topic in m.topics]), None)
        if found:
            yield found


def _alive(m):
    """The spans in which it counted and could have taken a partition, for certain."""
    if m.joined is None:
        return
    start, end = m.joined.c + COUNTS_AFTER, min([m.ends()[0]] + [e.i for e in m.evicts])
    for froze, thawed in m.freezes:
        if start < min(froze, end):
            yield start, min(froze, end)
        start = max(start, thawed)
    if start < end:
        yield start, end


def _gaps(index, g, p):
    busy = [(w.asked, w.c) for w in g.owners.get(p, ())] + [(r.begin, r.last) for r in g.by_p.get(p, ())]
    for run in g.by_p.get(p, ()) if g.shown else ():
        since = min(g.shown.get(run.event.get('pid'), INF), g.shown.get(run.event['at'], INF))
        if since < INF:
            busy.append((run.begin, min((e.c for e in g.evicts if e.c > since), default=INF)))
    free = 0
    for start, end in sorted(busy):
        if start > free:
            yield free, start
        free = max(free, end)
    if free < index.last:
        yield free, index.last


def _free_too_long(index, g, p, places, settled, bound, alive):
    for f0, f1 in _gaps(index, g, p):
        if f1 - f0 <= bound:
            continue
        for o, op in index.by_partition[p]:
            rid = op.o['id']
            rid = rid if g.once or len(index.pubs[rid]) == 1 else (rid, p, o)
            start, end = max(f0, op.c), min(f1, settled.get(rid, INF), places.passed(o)[0] if places else INF)
            if end - start <= bound or (places and places.sought_over(o)):
                continue
            for m, span in alive:
                if min(end, span[1]) - max(start, span[0]) > bound:
                    yield Finding('not-handed-on', g.name, p, f'nobody owned it for {(end - start) / 1e9:.1f} s, and {m.name} lived', op.refs() +
                                  m.joined.refs())
                    return
