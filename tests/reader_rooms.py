# SPDX-License-Identifier: GPL-2.0-or-later
"""The second reader's view of a waiting room by mq-spool(5): the notes in its log, what waits by them, and whether the sorted
files beside it say the same."""
import os
import re
import struct

from reader_bytes import conf
from reader_ids import entries

GONE, BOUND = 1 << 62, 1 << 63


class Note:
    """ValueError: it contradicts itself."""
    def __init__(self, offset, payload):
        if len(payload) < 72:
            raise ValueError('a note of %d bytes' % len(payload))
        self.offset = offset
        self.kind, n, self.seen, due, last = struct.unpack_from('<IIQQQ', payload)
        if self.kind not in (1, 2, 3) or len(payload) != 72 + 8 * n or n > 1024 or (n == 0 and self.kind != 3):
            raise ValueError('a note of kind %d for %d in %d bytes' % (self.kind, n, len(payload)))
        offsets = struct.unpack_from('<%dQ' % n, payload, 72)
        if any(named >= offset for named in offsets):
            raise ValueError('a note names what lies behind it')
        self.named = set(offsets) if self.kind != 1 else set()
        self.bound = (due, last) if self.kind != 2 and self.seen > 0 else None

    def makes_superfluous(self, other):
        return self.offset > other.offset and self.seen >= other.seen and self.bound >= other.bound


class Room:
    def __init__(self, records):
        self.waits, self.notes, self.contradictions = {}, [], []  # waits: {offset: due}
        for offset, payload, _, more in records:
            if more.get('group') == b'@room' and 'due' not in more:
                try:
                    self.notes.append(Note(offset, payload))
                except ValueError as why:
                    self.contradictions.append('%d: %s' % (offset, why))
            else:
                self.waits[offset] = min(max(more.get('due', 0), 0), GONE - 1)
        gone = set().union(*(note.named for note in self.notes)) if self.notes else set()
        self.bounds = []
        for note in self.notes:
            if note.bound:
                self.bounds = [other for other in self.bounds if not note.makes_superfluous(other)] + [note]
        self.waiting = {(due, offset) for offset, due in self.waits.items() if offset not in gone and
                        not any(offset < note.seen and (due, offset) <= note.bound for note in self.bounds)}


def wrong_file(room, got, low, start, end):
    """Of one with the entries got, for start to end, of which the log still holds what is from low on."""
    held = {(due, offset) for due, offset in got if due < GONE and offset >= low}
    if lacks := {e for e in room.waiting if low <= e[1] < end} - held:
        yield 'lacks what waits: %s' % sorted(lacks)[:3]
    if more := {e for e in held if room.waits.get(e[1]) != e[0]}:
        yield 'holds what the log does not: %s' % sorted(more)[:3]
    inside = [note for note in room.notes if low <= note.offset < end]
    named = set().union(*(note.named for note in inside)) if inside else set()
    gone = {offset for hash_, offset in got if hash_ == GONE}
    if low == start and gone != named:
        yield 'names %s, and the notes %s' % (sorted(gone - named)[:3], sorted(named - gone)[:3])
    says = {}
    for hash_, value in got:
        if hash_ & BOUND:
            says.setdefault((hash_ - BOUND) // 4, []).append((hash_ % 4, value))
    notes = {note.offset: [(0, note.seen), (1, note.bound[0]), (2, note.bound[1])] for note in inside if note.bound}
    for offset, said in says.items():
        if offset >= low and said != notes.get(offset):
            yield 'says %s of a delivery at %d' % (said, offset)
    for note in room.bounds:
        if low <= note.offset < end and note.offset not in says:
            yield 'lacks the delivery at %d' % note.offset


def wrong(spool, topic, partition, records):
    """What is the matter with a room's partition, given what the second reader read of its log."""
    room, directory = Room(records), partition.directory
    yield from room.contradictions
    key = bytes.fromhex(conf('%s/topics/%s/topic.conf' % (spool, topic))['id'])
    for name in sorted(name for name in os.listdir(directory) if name.endswith('.ids')):
        if m := re.fullmatch(r'(\d{20})\.(\d{20})\.ids', name):
            start, end = int(m[1]), int(m[2])
            try:
                got = entries('%s/%s' % (directory, name), key, partition.number, start, end)
            except ValueError as error:
                yield '%s: %s' % (name, error)
                continue
            if not partition.damage and not room.contradictions:
                for what in wrong_file(room, got, max(start, partition.start), start, end):
                    yield '%s %s' % (name, what)
