# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of history.py about what handlers were given: doubled, reordered, barrier, invented."""
import history_reader
from history_index import GENTLE, INF, Finding, one_of


def cuts(index, g, x, y, known):
    """Why y may do again what x did: the name of the member whose end is the reason, True for another reason, or None."""
    m, places = g.member(x.member), known[x.p]
    acked = [op for op in g.acks.get(f'{x.p}:{x.o}', ()) if op.c < INF]

    def in_flight(t):
        return not places.committed_before(x.o, x.settled, t) and not any(op.c < t for op in acked)

    if x.batch.failed:
        return True
    if not g.once and any(s.o['offset'] <= x.o and s.i <= y.begin and s.c >= x.begin for s in places.seeks):
        return True
    pid = x.event.get('pid')
    if pid is not None and any(k.o.get('pid') == pid and x.begin <= k.i <= y.begin for k in index.kills):
        return True
    if any(not one_of(k, GENTLE) and k.i <= y.begin and in_flight(k.i) for k in m.kills):
        return m.name
    if any(e.o.get('partition') in (None, x.p) and e.i <= y.begin and in_flight(e.i) for e in m.evicts):
        return m.name
    if m.left < INF and m.status != 0 and m.left >= x.begin and in_flight(m.left):
        return m.name
    return None


def doubled(index, g, known):
    again = {}
    for rid, runs in g.by_rid.items():
        if len(runs) < 2:
            continue
        done = [r for r in runs if r.clean and r.settled < INF]
        for x, y in zip(done, done[1:]):
            if y.begin < x.last:
                continue  # two at once: told as that
            why = cuts(index, g, x, y, known) or (cuts(index, g, y, x, known) if x.begin == y.begin else None)
            if why is None:
                yield Finding('doubled', g.name, f'{y.p}:{y.o}', f'{x.member} had done it, and {y.member} did it again', x.refs() + y.refs())
                break
            if why is not True:
                again.setdefault(why, []).append((x, y))
    for name, pairs in again.items():
        limit = g.members[name].in_flight or g.in_flight
        if limit and len(pairs) > limit:
            x, y = pairs[limit]
            yield Finding('doubled', g.name, f'{y.p}:{y.o}', f'{len(pairs)} records of {name} were done again, and it had at most {limit} in flight',
                          x.refs() + y.refs())


def firsts(g):
    """{record: [first begin of all runs, first of those of owners not evicted, first done of all, of those, a run]}"""
    found = {}
    for run in g.runs:
        f = found.get(run.rid)
        if f is None:
            f = found[run.rid] = [INF, INF, INF, INF, run]
        f[0], f[2] = min(f[0], run.since), min(f[2], history_reader.counts(g, run))
        if run.clean:
            f[1], f[3] = min(f[1], run.begin), min(f[3], run.settled)
    for rid in g.dead:
        if rid in found:
            found[rid][2] = -1
    return found


NEVER = (INF, INF, INF, INF, None)


def by_key(index, g, positions, known):
    """{(topic, key): [(partition, offset, record, references)]} of what must be in order."""
    found = {}
    for p in known:
        topic = p.rpartition(':')[0]
        if topic in g.spread:
            continue
        for o, rid, refs in positions(index, g, p):
            first = refs[0]
            key = p if g.order == 'partition' else index.event(first).get('key')
            if key is not None and not known[p].sought_over(o):
                found.setdefault((topic, key), []).append((p, o, rid, refs))
    for line in found.values():
        line.sort(key=lambda x: (x[0], x[1]))
    return found


def reordered(index, g, lines, told):
    """told: the positions of which something worse is said."""
    if g.share or g.once or g.order == 'none':
        return
    first, named = firsts(g), set()
    for (_, key), line in lines.items():
        for kind, all_, clean in (('begun', 0, 1), ('done', 2, 3)):
            p, high, a = None, -1, None
            for item in line:
                if item[0] != p:
                    p, high, a = item[0], -1, None
                if f'{p}:{item[1]}' in told:
                    continue
                f = first.get(item[2], NEVER)
                if f[clean] < high and (p, a[1]) not in named and (p, item[1]) not in named:
                    named.update(((p, a[1]), (p, item[1])))
                    yield _out_of_order(g, key, a, item, first, kind)
                if f[all_] > high:
                    high, a = f[all_], item
    yield from _within_members(g, named)


def _out_of_order(g, key, a, b, first, kind):
    refs = [ref for item in (a, b) for f in [first.get(item[2])] if f for ref in f[4].refs()] + a[3]
    return Finding('reordered', g.name, f'{b[0]}:{b[1]}', f'of key {key!r} it was {kind} before {a[0]}:{a[1]}', list(dict.fromkeys(refs)))


def _within_members(g, named):
    """What one member is given a second time after another's end comes in order, too."""
    high, seen = {}, set()
    for run in g.runs:
        key = run.p if g.order == 'partition' else run.event.get('key')
        if key is None or not run.clean or g.seeks.get(run.p) or (run.member, run.p, run.o) in seen:
            continue
        seen.add((run.member, run.p, run.o))
        before = high.get((run.member, run.p, key))
        if before is None or before.o < run.o:
            high[run.member, run.p, key] = run
        elif (before.begin < run.begin or before.batch is run.batch) and (run.p, run.o) not in named and (run.p, before.o) not in named:
            named.update(((run.p, run.o), (run.p, before.o)))
            yield Finding('reordered', g.name, f'{run.p}:{before.o}', f'{run.member} was given it before {run.p}:{run.o}, of the same key',
                          before.refs() + run.refs())


def behind(grown, p, o):
    """Behind how many of these growths a position lies."""
    number = p.rpartition(':')[2]
    return sum(o >= op.r['barriers'].get(number, 0) for op in grown)


def barrier(index, g, lines, told):
    if g.share or g.once or g.order == 'none':
        return
    first = firsts(g)
    for topic in {topic for topic, _ in lines}:
        grows = [op for op in sorted(index.grows, key=lambda op: op.i) if op.o['topic'] == topic and not (op.c == INF and op.r)]
        grown = [op for op in grows if op.c < INF and op.o.get('barrier', True)]
        cuts_ = [op for op in grows if not op.o.get('barrier', True)]  # between before and after such a one nothing is promised
        if not grown or any(op.c == INF for op in cuts_):
            continue
        for (where, key), line in lines.items():
            sides = {}
            for item in line if where == topic else ():
                sides.setdefault(behind(cuts_, item[0], item[1]), []).append(item)
            for side in sides.values():
                if side[0][0] != side[-1][0]:
                    yield from _behind(g, key, side, grown, first, told)


def _behind(g, key, line, grown, first, told):
    """line: the records of one key.  What lies behind more barriers waits for what lies behind fewer, in other partitions."""
    # A pipe's reader is waited for until he has taken it.
    settled = 0 if g.reader == 'pipe' else 2

    sides, latest, named = {}, {}, set()
    for item in line:
        if f'{item[0]}:{item[1]}' not in told:
            sides.setdefault(behind(grown, item[0], item[1]), []).append(item)
    for side in sorted(sides):
        for b in sides[side]:
            f = first.get(b[2], NEVER)
            for p, (t, a) in latest.items():
                if p != b[0] and f[1] < t and a[1:3] not in named:
                    named.add(a[1:3])
                    fa = first.get(a[2], NEVER)
                    yield Finding('barrier', g.name, f'{b[0]}:{b[1]}', f'of key {key!r} it was begun before {a[0]}:{a[1]}, in front of the barrier, was done',
                                  a[3] + (fa[4].refs() if fa[4] else []) + f[4].refs() + grown[0].refs())
                    break
        for a in sides[side]:
            t = first.get(a[2], NEVER)[settled]
            if t > latest.get(a[0], (-1, None))[0]:
                latest[a[0]] = (t, a)


def invented(index, g):
    seen = set()
    for run in g.runs:
        id_ = run.event['id']
        if (id_, run.p, run.o, run.event.get('sum')) in seen:
            continue
        seen.add((id_, run.p, run.o, run.event.get('sum')))
        ops = index.pubs.get(id_, [])
        stored = [op for op in ops if not (op.r and op.r['e'] == 'failed')]
        why = _strange(run, ops, stored, run.p.rpartition(':')[0] in g.spread)
        if why:
            yield Finding('invented', g.name, f'{run.p}:{run.o}', why, run.refs() + [ref for op in ops for ref in op.refs()])


def _strange(run, ops, stored, moved):
    event = run.event
    if not ops:
        return 'nobody published it'
    if not stored:
        return 'its publisher was told that it was not stored'
    if event['t'] < min(op.i for op in stored):
        return 'it was given out before it was published'
    if stored[0].o.get('topic') != run.p.rpartition(':')[0] and not moved:
        return 'it was published to another topic'
    if not moved and all(op.c < INF and op.r['at'] != event['at'] for op in stored):
        return 'it was published at another position'
    for name in ('sum', 'key'):
        if name in event and all(op.o.get(name) != event[name] for op in stored):
            return f'it has another {"content" if name == "sum" else name}'
    return None
