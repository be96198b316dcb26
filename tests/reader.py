#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The second reader: a spool, read by what mq-spool(5) says and nothing else.

reader.py SPOOL TOPIC PARTITION            a line a record: offset, sha256 of the payload, its length, and
                                           what else it has as name=value (bytes in hex); tab-separated
reader.py SPOOL TOPIC PARTITION --raw      the payloads, each followed by a newline
reader.py SPOOL TOPIC PARTITION --dump     a line a batch: segment, position, and its header
reader.py SPOOL TOPIC PARTITION --state    the slots of state and start, and where the log begins and ends

Only what is visible; --dump shows all that was written.  Damage goes to stderr: status 2.  What cannot be read at all:
78.  As a module: Partition, places, Refused.  Shares no code, header or table with lib/."""
import ctypes
import hashlib
import os
import re
import struct
import sys

from reader_bytes import Refused, Segment, conf, crc32c, headers, place, read, records, slot, slots, two_slots, unzip  # noqa: F401
from reader_claims import Claims


def topic_conf(spool, topic):
    if os.path.exists(f'{spool}/topics/{topic}/deleting'):
        raise Refused(f'{topic} was deleted')
    return conf(f'{spool}/topics/{topic}/topic.conf')


def spool_conf(spool):
    found = conf(spool + '/spool.conf')
    if found.get('format') != '1':
        raise Refused('spool.conf: newer format')
    return found


def statx(path):
    """(inode, birth time in ns, the ids of its mount): what a tail must name to hold."""
    found, libc = [], ctypes.CDLL(None, use_errno=True)
    for mask in (0x5000 | 0xFFF, 0x1000 | 0xFFF):  # the mount's unique id, its number
        buf = ctypes.create_string_buffer(256)
        if libc.statx(-100, os.fsencode(path), 0, mask, buf) < 0:
            return None
        found.append(struct.unpack_from('<Q', buf, 144)[0])
    seconds, ns = struct.unpack_from('<qI', buf, 80)
    return struct.unpack_from('<Q', buf, 32)[0], seconds * 10 ** 9 + ns, found


class State:
    """tail: a dict, where it holds; told: what it says of its segment in any case; reach: {segment id: position} where it is
    of this boot, though perhaps not of this mount; marks: [(segment id, position, end offset)]."""

    def __init__(self, path):
        self.data = read(path)
        self.tail, self.told, self.marks, self.reach, data = None, None, [], {}, self.data
        if len(data) < 16 or data[:12] != b'mqState\n\1\0\0\0' or struct.unpack_from('<I', data, 12)[0] != crc32c(data[:12]):
            return
        best = [m for m in (slots(data, (3 + 2 * i, 4 + 2 * i)) for i in range(4)) if m]
        self.marks = [(m[16:32], *struct.unpack_from('<QQ', m, 32)) for _, m in best]
        tail = slots(data, (1, 2))
        if tail:
            self.told = tail[1][16:32], *struct.unpack_from('<Q', tail[1], 32), *struct.unpack_from('<II', tail[1], 120)
        if not tail or slot(data, 1) is None or slot(data, 2) is None:
            return
        same_boot, same_mount = self.holds(tail[1], path)
        if same_boot:
            self.reach[tail[1][16:32]], = struct.unpack_from('<Q', tail[1], 40)
        if same_mount and not tail[1][12] & 8:
            v = struct.unpack_from('<6Q', tail[1], 32)
            self.tail = dict(zip('base pos next strict_start strict_end'.split(), v), segment=tail[1][16:32],
                             strict_offset=struct.unpack_from('<Q', tail[1], 216)[0])

    @staticmethod
    def holds(s, path):
        with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as f:
            boot = bytes.fromhex(f.read().strip().replace('-', ''))
        here, mounts = statx(path), struct.unpack_from('<8Q', s, 128)
        same_boot = s[88:104] == boot and here and here[:2] == struct.unpack_from('<Qq', s, 104)
        return same_boot, same_boot and any(m in mounts for m in here[2])

    def durable(self, segment):
        """The highest mark of a segment."""
        return max([(pos, offset) for id, pos, offset in self.marks if id == segment], default=(0, 0))

    def visible(self):
        """Where what readers may see ends, by a tail that holds: what waits for a sync is seen as far as a mark reaches."""
        t, mark = self.tail, self.durable(self.tail['segment'])
        if mark[0] >= t['pos'] or t['strict_start'] >= t['strict_end']:
            return t['next']
        return max((t['strict_start'], t['strict_offset']), mark)[1]


class Partition:
    """A partition as it lies there.  start, end: the offsets between which records are visible; damage: [(file, from byte,
    to byte, from offset, to offset, what)], an offset None where nothing tells."""

    def __init__(self, spool, topic, number):
        self.directory, self.damage, self.number = f'{spool}/topics/{topic}/{number}', [], int(number)
        self.topic = bytes.fromhex(topic_conf(spool, topic).get('id', ''))
        if not os.path.isdir(self.directory):
            raise Refused(f'{topic}/{number}: no such directory')
        start = two_slots(read(self.directory + '/start'), (0, 1), f'{topic}/{number}/start')
        self.start = struct.unpack_from('<Q', start[1], 32)[0] if start else 0
        self.state = State(self.directory + '/state')
        self.copied = int(spool_conf(spool).get('inode', 0)) not in (0, os.stat(spool).st_ino)
        self.commits = [] if self.copied else list(commit_marks(spool, topic, self.number, self.topic))
        self.batches = list(self.walk())
        self.written = self.batches[-1][1]['next'] if self.batches else self.start
        mark = self.state.durable(self.head.id)
        self.end = max(self.start, self.written, 0 if self.copied and mark[0] > len(self.head.data) else mark[1])
        if self.state.tail and self.state.tail['segment'] == self.head.id:
            self.end = max(self.start, self.state.visible())

    def tell(self, name, pos, end, first, last, what):
        if last is not None and (first or 0) < last <= self.start:
            return  # it goes with its segment
        self.damage.append((name, pos, end, first, last, what))

    def files(self):
        """(this partition's segments whose header verifies, {(base, id8): path} of those whose does not)"""
        found, bad, self.unread = [], {}, {}
        for name in sorted(os.listdir(self.directory)):
            if m := re.fullmatch(r'(\d{20})\.([0-9a-f]{8})\.seg', name):
                path = f'{self.directory}/{name}'
                try:
                    s = Segment(path)
                    if (s.base, s.id[:4].hex()) != (int(m[1]), m[2]):
                        raise ValueError('the header is of another file')
                    if (s.topic, s.partition) == (self.topic, self.number):
                        found.append(s)
                except ValueError as e:
                    bad[int(m[1]), m[2]] = path
                    # What is named like one that stands for others is none, unless another names it: those count.
                    self.unread[path] = name, 0, 512, None, None, str(e)
                    if not m[2].endswith('c0'):
                        self.tell(*self.unread.pop(path))
        return found, bad

    def blind(self, path, told):
        if path in self.unread:
            self.tell(*self.unread.pop(path))
        return Segment(path, told)

    def chain(self):
        """The log's segments, oldest first, each with the position and the offset where its successor says that it ends."""
        found, bad = self.files()
        id, base, *epoch = self.state.told or (b'', 0)
        if path := bad.pop((base, id[:4].hex()), None):
            found.append(self.blind(path, (id, base, *epoch)))
        tail, log, limit = self.state.tail, [], (None, None)
        compacted = [s for s in found if s.reason == 5]  # they stand for others, and are never the head
        found = [s for s in found if s.reason != 5]
        rank = lambda s: (s.election, s.incarnation, s.base)
        if tail:
            head = next((s for s in found if s.id == tail['segment']), None)
            if not head:
                raise Refused('the segment that state names is missing, or of another partition')
            limit = tail['pos'], tail['next']
        elif not found:
            raise Refused('no segment is left')
        else:
            head = max(found, key=rank)
            if sum(rank(s) == rank(head) for s in found) > 1:
                raise Refused('two heads')
            if any(base >= head.base for base, _ in bad):
                raise Refused('what may be the head does not verify')
        self.head = head
        replaced = []   # (from offset, to offset) that a compacted segment stands for
        joined = False  # over a segment that is missing
        while True:
            log.insert(0, (head, *limit))
            if head.id == id and joined:
                raise Refused('the head does not follow the segment that state names')
            if head.pred == bytes(16):
                break
            limit = (None, head.base) if head.told else (head.pred_end, head.pred_offset)
            before = sorted((s for s in compacted if not head.told and (s.stands, s.stands_end) == (head.pred, head.pred_end)
                             and s.born_offset == head.pred_offset and s.base <= head.base), key=lambda s: (s.round, s.id))[-1:]
            if before:
                limit = before[0].born, head.pred_offset
                replaced.append((before[0].base, before[0].born_offset))
            before = before or [s for s in found if s.id == head.pred]
            if not before and not head.told and (path := bad.get((head.pred_base, head.pred[:4].hex()))):
                before = [self.blind(path, (head.pred, head.pred_base, head.election, head.incarnation))]
            if not before:  # gone, or nobody knows its id: the nearest below stands in
                if not head.told and head.base > self.start:
                    self.tell(head.name, 0, 0, None, head.base, 'its predecessor is missing')
                    joined = True
                limit = None, head.base
                whole = lambda s: s.reason == 5 and s.born_offset == head.base
                below = [s for s in found + compacted if s.base < head.base and (s.reason != 5 or s.born_offset <= head.base)]
                dead = lambda s: any(c.base <= s.base < c.born_offset and c.id != s.id and (s.reason != 5 or (c.round, c.id) > (s.round, s.id))
                                     for c in below if c.reason == 5)
                before = sorted((s for s in below if whole(s) or not dead(s)),
                                key=lambda s: (whole(s), s.base, *rank(s), s.round))[-1:]
            if not before:
                break
            head = before[0]
        if any(s.id == id and any(a <= s.base < b for a, b in replaced) for s in found):
            return log
        if id in [s.id for s in found] and id not in [s.id for s, *_ in log] and not 0 < log[0][0].base <= self.start:
            raise Refused('the head does not follow the segment that state names')
        return log

    def walk(self):
        for segment, limit, end in self.chain():
            mark = self.state.durable(segment.id)[0]
            promised = [segment.born, mark, *(pos for id, pos in self.commits if id == segment.id)]
            witness = max([pos for pos in promised if not self.copied or pos <= len(segment.data)], default=512)
            reach = max(mark, self.state.reach.get(segment.id, len(segment.data)))
            for b, body in segment.batches(limit, end, witness, reach, self.tell):
                yield segment, b, body

    def records(self):
        """(offset, payload, time, {name: value}) of each that is visible."""
        for _, b, body in self.batches:
            if b['kind'] != 2 and b['next'] > self.start and b['base'] < self.end:
                for record in records(b, unzip(b, body)):
                    if self.start <= record[0] < self.end:
                        yield record


def commit_marks(spool, topic, p, id):
    """The durable marks of the log, (segment id, position), that the groups' places of a partition carry."""
    for group in os.listdir(spool + '/groups') if os.path.isdir(spool + '/groups') else []:
        try:
            best = place(read(f'{spool}/groups/{group}/topics/{topic}/offsets'), p, False, group)
        except Refused:
            continue
        if best and best[1][16:32] == id:
            yield best[1][40:56], struct.unpack_from('<Q', best[1], 56)[0]


def places(spool, group, topic):
    """{partition: (committed, lost to damage, acknowledged above, expired)} of a group, as far as places were ever written."""
    here, found = f'{spool}/groups/{group}/topics/{topic}', {}
    data, conf_ = read(here + '/offsets'), topic_conf(spool, topic)
    first = int(conf_.get('generations', '0:' + conf_['partitions']).split(',')[0].split(':')[1])
    made = first if os.path.exists(here + '/bell') else 0  # with room for so many: what is not there was cut off
    if len(data) < made * 8192:
        ids = {best[1][16:32].hex() for p in range(len(data) // 8192 + 1) if (best := place(data, p, False, f'{group}/{topic}/{p}'))}
        made = made if conf_['id'] in ids or not ids - {'0' * 32} else 0  # made for a former topic of that name
    for p in range(int(conf_['partitions'])):
        best = place(data, p, p < made, f'{group}/{topic}/{p}')
        if not best or best[1][16:32].hex() != conf_['id']:
            continue
        committed, = struct.unpack_from('<Q', best[1], 32)
        (generation, seeks), (lost, expired) = struct.unpack_from('<II', best[1], 72), struct.unpack_from('<QQ', best[1], 88)
        acks, above = read(f'{here}/acked.{p}'), set()
        for at in range(0, len(acks) - 23, 24):
            e = acks[at:at + 24]
            if (struct.unpack_from('<I', e, 20)[0] == crc32c(struct.pack('<Q', at), e[:20]) and struct.unpack_from('<I', e, 12)[0] == seeks
                    and struct.unpack_from('<I', e, 8)[0] <= generation and e[16:20] == best[1][16:20] and struct.unpack_from('<Q', e)[0] >= committed):
                above.add(struct.unpack_from('<Q', e)[0])
        if claimed := read(f'{here}/claimed.{p}'):
            committed = max(committed, Claims(claimed, best[1][16:32], generation, seeks, committed).base)
        found[p] = committed, lost, len(above), expired
    return found


def print_state(partition):
    data = partition.state.data
    for what, blocks in [('tail', (1, 2))] + [(f'mark{i}', (3 + 2 * i, 4 + 2 * i)) for i in range(4)]:
        if not (best := slots(data, blocks)):
            print(what, 'none')
            continue
        seq, s = best
        if what == 'tail':
            flags, = struct.unpack_from('<I', s, 12)
            v = struct.unpack_from('<7Q', s, 32)
            names = 'base pos next strict_start strict_end index_pos index_count'.split()
            more = (f'flags={flags} boot={s[88:104].hex()} inode={struct.unpack_from("<Q", s, 104)[0]} '
                    f'epoch={"%d.%d" % struct.unpack_from("<II", s, 120)} mounts={list(struct.unpack_from("<8Q", s, 128))} '
                    f'created={struct.unpack_from("<q", s, 192)[0]} max_time={struct.unpack_from("<q", s, 200)[0]} '
                    f'producers={struct.unpack_from("<Q", s, 208)[0]} strict_offset={struct.unpack_from("<Q", s, 216)[0]}')
        else:
            v = struct.unpack_from('<5Q', s, 32)
            names, more = 'pos end_offset started finished last_ns'.split(), ''
        print(what, f'seq={seq} segment={s[16:32].hex()}', *(f'{k}={x}' for k, x in zip(names, v)), more)
    print(f'start log_start={partition.start} end={partition.end} written={partition.written} '
          f'tail={"holds" if partition.state.tail else "does not hold"}')


def print_record(how, offset, payload, time, extra):
    if how == '--raw':
        sys.stdout.buffer.write(payload + b'\n')
        return
    more = [f'{k}={v.hex() if isinstance(v, bytes) else v}' for k, v in extra.items()]
    print(offset, hashlib.sha256(payload).hexdigest(), len(payload), *more, sep='\t')


def main(spool, topic, partition, how=''):
    try:
        p = Partition(spool, topic, partition)
        if how == '--state':
            print_state(p)
        elif how == '--dump':
            for segment, b, _ in p.batches:
                print(segment.name, *(f'{k}={v}' for k, v in b.items()))
        else:
            for record in p.records():
                print_record(how, *record)
    except Refused as error:
        print('refused:', error, file=sys.stderr)
        return 78
    for name, pos, end, first, last, what in p.damage:
        print(f'damage: {name}: bytes {pos}..{end}, offsets {first}..{last}: {what}', file=sys.stderr)
    return 2 if p.damage else 0


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:5]))
