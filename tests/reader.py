#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The second reader: one partition of a spool, read by what mq-spool(5) says and nothing else.

reader.py SPOOL TOPIC PARTITION            a line a record: offset, sha256 of the payload, its length, and
                                           what else it has as name=value (bytes in hex); tab-separated
reader.py SPOOL TOPIC PARTITION --raw      the payloads, each followed by a newline
reader.py SPOOL TOPIC PARTITION --dump     a line a batch: segment, position, and its header
reader.py SPOOL TOPIC PARTITION --state    the slots of state and start

Damage goes to stderr: status 2.  Shares no code, header or table with lib/."""
import hashlib
import os
import re
import struct
import subprocess
import sys

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(*pieces):
    c = 0xFFFFFFFF
    for piece in pieces:
        for b in piece:
            c = TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


class Segment:
    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)
        with open(path, 'rb') as f:
            self.data = f.read()
        h = self.data[:512]
        if len(h) < 512 or h[:8] != b'mqSegm\r\n' or struct.unpack_from('<I', h, 8)[0] != crc32c(h[12:]):
            raise ValueError('segment header does not verify')
        version, length, refuse = struct.unpack_from('<HHI', h, 12)
        if (version, length, refuse) != (1, 512, 0):
            raise ValueError('newer format')
        self.id, self.topic, self.pred = h[24:40], h[40:56], h[88:104]
        self.partition, self.reason, self.base, self.election, self.incarnation = struct.unpack_from('<IIQII', h, 56)
        self.pred_base, self.pred_end, self.pred_offset, self.born, self.born_offset = struct.unpack_from('<5Q', h, 104)

    def header(self, pos):
        """The batch header at pos as a dict, or None where none verifies."""
        h = self.data[pos:pos + 128]
        if len(h) < 128 or h[:4] != b'mqB\1':
            return None
        if struct.unpack_from('<I', h, 4)[0] != crc32c(self.id, struct.pack('<Q', pos), h[8:]):
            return None
        v = struct.unpack_from('<IHHIIQQIIqqIIQIIQQQQ', h, 8)
        names = ('body_crc flags control stored raw base next count who base_time max_time election incarnation who_id '
                 'who_generation generation number source_start source_end durable')
        b = dict(zip(names.split(), v), pos=pos, end=pos + 128 + v[3])
        b['kind'], b['zip'], b['ack'] = b['flags'] & 3, b['flags'] >> 2 & 3, b['flags'] >> 4 & 3
        return b

    def body(self, b):
        body = self.data[b['pos'] + 128:b['end']]
        return body if len(body) == b['stored'] and crc32c(body) == b['body_crc'] else None

    def next_batch(self, pos, limit):
        """The first whole batch at or behind pos that ends by limit."""
        while (pos := self.data.find(b'mqB\1', pos, limit)) >= 0:
            b = self.header(pos)
            if b and b['end'] <= limit and self.body(b) is not None:
                return b
            pos += 1
        return None

    def batches(self, limit, witness, damage):
        """Every batch of the log in here.  limit: where a successor says that this ends; None: the head's end is
        where nothing verifies and nobody was promised anything."""
        pos, offset, stop = 512, self.base, len(self.data) if limit is None else limit
        if stop > len(self.data):
            damage(f'{self.name}: {len(self.data)} bytes, its successor says {stop}')
        while pos < stop:
            b = self.header(pos)
            whole = b and b['end'] <= stop and self.body(b) is not None
            if whole and b['base'] == offset:
                yield b
                pos, offset = b['end'], b['next']
                continue
            if limit is None:
                later, promised = pos, witness
                while promised <= pos and (nb := self.next_batch(later, stop)):
                    promised, later = max(promised, nb['durable']), nb['end']
                if promised <= pos and not (b and b['end'] <= stop and not whole):
                    return
            nb = self.next_batch(pos + 1, stop)
            to = (nb['pos'], nb['base']) if nb else (stop, None)
            damage(f'{self.name}: bytes {pos}..{to[0]} do not verify, offsets {offset}..{"?" if to[1] is None else to[1]}')
            if nb is None:
                return
            pos, offset = to


def slots(data, blocks):
    """(sequence, the 256 bytes) of the better of two slots; None."""
    best = None
    for block in blocks:
        s = data[block * 4096:block * 4096 + 256]
        if len(s) < 256:
            continue
        seq, crc = struct.unpack_from('<QI', s)
        if seq and crc == crc32c(s[:8], struct.pack('<I', block), s[12:]) and (best is None or seq > best[0]):
            best = (seq, s)
    return best


def read(path):
    try:
        with open(path, 'rb') as f:
            return f.read()
    except FileNotFoundError:
        return b''


def marks(directory):
    state = read(f'{directory}/state')
    if len(state) < 16 or state[:12] != b'mqState\n\1\0\0\0' or struct.unpack_from('<I', state, 12)[0] != crc32c(state[:12]):
        return state, []
    return state, [m for m in (slots(state, (3 + 2 * i, 4 + 2 * i)) for i in range(4)) if m]


def chain(directory, damage):
    """The log's segments, oldest first, each with the position where its successor says it ends."""
    found = []
    for name in sorted(os.listdir(directory)):
        if m := re.fullmatch(r'(\d{20})\.([0-9a-f]{8})\.seg', name):
            try:
                s = Segment(f'{directory}/{name}')
                if (s.base, s.id[:4].hex()) != (int(m[1]), m[2]):
                    raise ValueError('the header is of another file')
                found.append(s)
            except ValueError as e:
                damage(f'{name}: {e}')
    if not found:
        return []
    rank = lambda s: (s.election, s.incarnation, s.base)
    head = max(found, key=rank)
    if sum(rank(s) == rank(head) for s in found) > 1:
        sys.exit('two heads')
    log, limit = [], None
    while True:
        log.insert(0, (head, limit))
        before = [s for s in found if s.id == head.pred]
        if not before:
            break
        limit, head = head.pred_end, before[0]
    return log


def unzip(b, body):
    if b['zip'] == 0:
        return body
    assert b['zip'] == 1, 'compression'
    try:
        import zstandard
        raw = zstandard.ZstdDecompressor().decompress(body, max_output_size=b['raw'])
    except ImportError:
        raw = subprocess.run(['zstd', '-dc'], input=body, stdout=subprocess.PIPE, check=True).stdout
    assert len(raw) == b['raw'], 'raw length'
    return raw


def records(b, body):
    """(offset, payload, {name: value}) of each record."""
    n, out = b['count'], []
    if b['kind'] == 2:
        return out
    if b['kind'] == 0:
        lines = body.split(b'\n')
        assert lines.pop() == b'' and len(lines) == n, 'lines'
        return [(b['base'] + i, line, {}) for i, line in enumerate(lines)]
    columns, table = struct.unpack_from('<II', body)
    assert columns & 1 and not columns >> 11, 'columns'
    at, col = 8, {}

    def numbers(code):
        nonlocal at
        v = struct.unpack_from(f'<{n}{code}', body, at)
        at += struct.calcsize(f'<{n}{code}')
        return v

    def pieces(optional):
        nonlocal at
        out = []
        for length in numbers('I'):
            size = length - 1 if optional and length else length
            out.append(None if optional and not length else body[at:at + size])
            at += size
        return out

    for bit, name in enumerate('length key headers time id tag attempts offset sequence expiry group'.split()):
        if columns >> bit & 1:
            if name in ('key', 'id', 'tag', 'group', 'headers'):
                col[name] = pieces(name != 'headers')
            else:
                col[name] = numbers('q' if name in ('time', 'expiry') else 'I')
    assert at == table and table + sum(col['length']) == len(body), 'table'
    for i in range(n):
        extra = {k: v[i] for k, v in col.items() if k not in ('length', 'offset', 'sequence') and v[i]
                 or (k in ('key', 'id', 'tag', 'group') and v[i] is not None)}
        out.append((b['base'] + (col['offset'][i] if 'offset' in col else i), body[at:at + col['length'][i]], extra))
        at += col['length'][i]
    return out


def print_state(directory):
    state, _ = marks(directory)
    for what, blocks in [('tail', (1, 2))] + [(f'mark{i}', (3 + 2 * i, 4 + 2 * i)) for i in range(4)]:
        if not (best := slots(state, blocks)):
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
                    f'producers={struct.unpack_from("<Q", s, 208)[0]}')
        else:
            v = struct.unpack_from('<5Q', s, 32)
            names, more = 'pos end_offset started finished last_ns'.split(), ''
        print(what, f'seq={seq} segment={s[16:32].hex()}', *(f'{k}={x}' for k, x in zip(names, v)), more)
    if start := slots(read(f'{directory}/start'), (0, 1)):
        print(f'start seq={start[0]} topic={start[1][16:32].hex()} log_start={struct.unpack_from("<Q", start[1], 32)[0]}')


def print_record(how, offset, payload, extra):
    if how == '--raw':
        sys.stdout.buffer.write(payload + b'\n')
        return
    more = [f'{k}={v.hex() if isinstance(v, bytes) else v}' for k, v in extra.items()]
    print(offset, hashlib.sha256(payload).hexdigest(), len(payload), *more, sep='\t')


def main(spool, topic, partition, how=''):
    directory, bad = f'{spool}/topics/{topic}/{partition}', []

    def damage(text):
        bad.append(text)
        print('damage:', text, file=sys.stderr)

    if how == '--state':
        return print_state(directory)
    start = slots(read(f'{directory}/start'), (0, 1))
    log_start = struct.unpack_from('<Q', start[1], 32)[0] if start else 0
    log, known = chain(directory, damage), marks(directory)[1]
    if log and any(log[0][0].pred) and log[0][0].base > log_start:
        damage(f'{log[0][0].name}: its predecessor {log[0][0].pred.hex()} is missing')
    for segment, limit in log:
        witness = max([segment.born] + [struct.unpack_from('<Q', m, 32)[0] for _, m in known if m[16:32] == segment.id])
        for b in segment.batches(limit, witness, damage):
            if how == '--dump':
                print(segment.name, *(f'{k}={v}' for k, v in b.items()))
                continue
            for record in records(b, unzip(b, segment.body(b))):
                if record[0] >= log_start:
                    print_record(how, *record)
    return 2 if bad else 0


if __name__ == '__main__':
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:5]))
