# SPDX-License-Identifier: GPL-2.0-or-later
"""What history.py excuses of a group whose members print, to a pipe or for somebody who acknowledges (group reader: pipe, manual).

No lock is held for who reads a pipe, so what he has in hand when its consumer goes is his, and may be given to another at once.  And
of a pipe a record counts as done when its reader has come back for more, or has taken it when its partition goes to another or a
barrier waits for it: then it can be lost with him.  mq-consume(1) says so first.  This, and nothing else, is no finding:

over     from when nothing is held against a reader's run: from the leave of its member (an eviction is for all), of a pipe from
         the hand-over of its partition, if he may have taken it before.  A run that begins then counts as handling, and for no more.
taken    of a pipe, the times between which a record was taken: from the read that gave it (reads) to its begin."""
from history_index import INF


def handed_over(g, run):
    """Hand-overs of the partition while this run's record was in the reader's hands."""
    for w in g.owners.get(run.p, ()) if g.reader == 'pipe' else ():
        if w.member == run.member and w.gave and w.i <= run.begin and run.since <= w.gave.c and (run.end is None or w.gave.i < run.last):
            yield w.gave


def given(g, run):
    """When the partition had gone to another while this run's record was in the reader's hands, or INF."""
    return min((gave.c for gave in handed_over(g, run)), default=INF)


def over(g, run):
    """Until when the consumer of this run's reader was there, with the partition, for certain."""
    m = g.member(run.member)
    gone = m.ends()[0] if m.leave < INF or m.left < INF else INF
    return min([gone] + [gave.i for gave in handed_over(g, run)])


def note(g):
    """Which runs count as handling, and for no more."""
    for run in g.runs if g.reader else ():
        run.over = over(g, run)
        run.clean = run.clean and run.begin < run.over


def counts(g, run):
    """When this run's record counted as done: when it was, or when its partition went to another."""
    return min(run.settled, given(g, run)) if g.reader else run.settled


def may_be_lost(index, g, p, runs, t):
    """The place went past a record at t: was that one taken, and counted as done though it was not?"""
    if g.reader != 'pipe':
        return False
    waited = any(op.i <= t and op.o.get('barrier', True) for op in index.grows)
    if any(run.since <= t and (waited or given(g, run) < INF) for run in runs):
        return True
    # Or he was killed before he could say that he had it.
    return any(reads <= t and (waited or any(w.member == name and w.gave and w.gave.c >= reads for w in g.owners.get(p, ())))
               for name, reads in g.reading.items() if g.member(name).kills)
