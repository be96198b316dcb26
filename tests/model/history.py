#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does what publishers, members of groups, their handlers and operators recorded of a run keep what the queue promises?

    history.py DIRECTORY      a line a finding, below it the events that prove it; status 1 where there is one, 65 where it is
                              no history.  As a module: check(load(directory)) gives the findings, as check({process: [event]}).

THE FORMAT.  Every process appends to a file of its own, DIRECTORY/NAME, a line an event (history_record.py): a JSON object with e,
what happened, and t, CLOCK_MONOTONIC in ns when that was known.  Where there would be too many files, "proc" in a line
says whose event it is instead.  The last line may be torn.  A process writes down what it does in the order in which it does it.

An operation is an invocation, recorded before it can have an effect, and a completion, recorded after: the effect lies between.
Who is killed leaves an invocation alone: what it says may have happened at any time since, or not at all.  {"e":"refused","op":
"commit"} instead of a completion: it did not happen.  join, leave, take and give may be left out: then they began after the event before.

    publisher  publish id topic [key] [sum]   published id at | failed id (nothing was stored).  at is TOPIC:PARTITION:OFFSET; sum is
               any digest of the bytes.  An id is of one publish; one that retries may give it again, and may have stored it twice.
    member     join/joined group member [pid] [in_flight] [topics]: a name that is used once, and how many records it may have in hand
               leave/left group member [status]: leave, before it lets go of anything; left, when it has been waited for.  A
               status that is not 0: it ended without finishing, at some time after what it did last
               take/took group member partition [generation] [offset]: took, when the lock is held; offset: the place it read
               give/gave group member partition: give, while it is still held; gave, when it is not.  partition is TOPIC:PARTITION
               commit/committed group partition offset [member] [generation];   ack/acked group at (--share, --manual)
               fenced group member: it noticed; informs only
    handler    begin group member at id [key] [sum] [pid] [attempt], its first act;  end group at status, its last: done, fail,
               release, reject, killed (by a wrapper): after one that is none of done and reject its member ends by itself.
               A batch: all begins, then all ends.  Who reads a pipe does the same;
               reads group member, before each read; what is excused of him: history_reader.py
    operator   kill/killed signal, pid (as in joined) or member: killed, when it is gone;  freeze/frozen, thaw/thawed pid or member
               evict/evicted group, member or partition or both [generation, in evicted]
               grow/grown topic from to [barrier: false], barriers {"PARTITION": OFFSET} in grown;  seek/sought group partition offset
               (a group that begins elsewhere than at 0 begins with a seek)
               spread/spread_done group topic;  dead group id (its dead letter was found)
               show/shown group, in shown places {PARTITION: OFFSET}, handlers [pid or at] that outlived their consumer
               final group partition committed end, after everything
               group group [share] [once] [order: key, partition or none] [in_flight] [reader: pipe or manual] [assigned: false, where the strategy may leave
               partitions to nobody]: what holds for the whole history; without it order is kept by key

CERTAIN.  A finding needs that no order of the effects that the times allow is legal.  Of two events the earlier t came first; equal
times say nothing.  A handler lives from its begin to the last event it recorded.  A member owns a partition from took to the
first of: give, leave, the kill of it (its invocation), the eviction (its invocation), its last act where it ended by itself.  A
freeze ends nothing.  A commit is fenced where its invocation follows the completion of an eviction of its owner (by generation
where both say it, else by member); where they overlap it may have had its effect or not.  A run is of an evicted owner
where its begin follows the invocation of the eviction: it counts as handling, but nothing is held against it but its number.
An eviction that names no member is of whoever may have owned the partition with a lower generation; where these are several,
nothing is held against any of them.

THE PROPERTIES, each of a group.  A record is settled when a run of it ended with done or reject, or a dead letter was found.

lost            It was begun, but a completed commit above it was invoked before it was settled, or a place above it was seen (took,
                shown, final), or it was acknowledged.  Or it was published and the log ends in front of it; or two records were
                told the same position.
skipped         The same of a record that had not been begun then.  Not lost or skipped: what a seek passed over; with once, what was
                done under another position.
doubled         Settled by x, and, x having ended, begun again and settled by y, and there is no reason.  Reasons: of the handler of x another
                record did not end with done (a batch is one), or it was killed; a seek to or below the record, whose invocation
                precedes y's begin and whose completion follows x's (not with once: done is done); the member of x was killed
                (TERM, INT, HUP are no kill), or evicted, before y began, or ended with a status, and no commit above the record
                (ack of it) invoked after x ended was complete before that.  A freeze, a hand-over and a growth are none.
                And: more records done again by reason of one member's end than it may have in flight, where that is recorded.
reordered       Of two of one partition and key (order: partition: of one partition) the later was first begun, or first done, before the
                earlier was; or the earlier never; or one member was given the later first, then the earlier.  Not in
                share, once and order: none.  What is lost or skipped is not told again.
barrier         A record behind a growth's barrier was begun before one of its key in front of it, in another partition, was settled; but
                not where a growth without a barrier lies between the two.
two-owners      Two members own a partition for certain at one instant; or a run begins while another member owns the partition, or
                while a run of another member there lives.  In any group: a run begins while another of the same record lives.  Or an
                evicted owner begins, after the eviction is complete, more than it may have in flight (1 if not recorded).
commit-after-fencing    Others see a value that none but a fenced commit wrote.
place-went-back A completed commit, or a value seen, is lower than one complete before it was invoked, and no seek may have come between.
invented        Begun, but nobody published it, or not before, or its publisher was told that nothing was stored; or it was published
                at another position or to another topic; or it has another sum or key.
not-handed-on   Nobody had or was taking a partition, and no handler lived there, for longer than `free` (10 s), while a record waited
                there and one and the same member counted (200 ms after joined), was not frozen, and wanted the topic.
orphan          A handler lives when its member has let the partition go; or when its member is gone and a show begun after that and
                ended in its lifetime does not list it; or it lives longer than `outlive` (5 s) after that and no show lists it.

A spread of a topic moves records: there positions and order are not compared, and a record counts by its id wherever it is."""
import gc
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history_index import Finding, Index, Malformed  # noqa: E402,F401
import history_owners  # noqa: E402
import history_places  # noqa: E402
import history_reader  # noqa: E402
import history_records  # noqa: E402


def check(files, free=10.0, outlive=5.0):
    """files: {process: [event]}.  The findings, as (kind, group, where, why, events); raises Malformed."""
    collects = gc.isenabled()
    gc.disable()  # of millions of small objects none is garbage, and to look for it takes half of the time
    try:
        index = Index(files)
        found = list(history_places.published_twice(index))
        for name in sorted(index.groups):
            found += of_group(index, index.groups[name], int(free * 1e9), int(outlive * 1e9))
        return found
    finally:
        if collects:
            gc.enable()


def of_group(index, g, free, outlive):
    history_reader.note(g)
    known, settled = history_places.places(g), history_places.settled_at(g)
    found = list(history_places.passed_over(index, g, known, settled))
    told = {f.where for f in found}
    found += history_places.went_back(g, known)
    found += history_records.doubled(index, g, known)
    lines = history_records.by_key(index, g, history_places.positions, known)
    found += history_records.reordered(index, g, lines, told)
    found += history_records.barrier(index, g, lines, told)
    found += history_records.invented(index, g)
    found += history_owners.two_owners(index, g)
    found += history_owners.not_handed_on(index, g, known, settled, free)
    found += history_owners.orphan(index, g, outlive)
    return found


def load(directory):
    """{process: [event]} of the files of a directory."""
    files = {}
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name), encoding='utf-8') as file:
            lines = file.read().split('\n')
        lines.pop()  # empty, or torn
        try:
            events = json.loads('[%s]' % ','.join(lines))
        except ValueError as error:
            raise Malformed(f'{name}: {error}') from None
        for event in events:
            if not isinstance(event, dict):
                raise Malformed(f'{name}: {event!r} is no event')
            files.setdefault(event.get('proc', name), []).append(event)
    return files


def report(files, found):
    for f in found:
        yield f'{f.kind}: {f.group or "all"} {f.where}: {f.why}'
        for process, n in f.events:
            yield f'    {process}:{n + 1}: {json.dumps(files[process][n])}'


def main():
    try:
        files = load(sys.argv[1])
        found = check(files)
    except Malformed as error:
        print(f'history.py: {error}', file=sys.stderr)
        return 65
    for line in report(files, found):
        print(line)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
