# SPDX-License-Identifier: GPL-2.0-or-later
"""What the second reader (reader.py) knows of bytes: checksums, slots, segments, batches, records, by mq-spool(5) and nothing
else."""
import os
import re
import struct
import subprocess
from array import array


class Refused(Exception):
    """Nobody may guess: two bad slots, two heads, a newer format."""


TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)
WIDE = []  # two tables of 65536: what the low and what the high half of four bytes become


def make_wide():
    for shift in (0, 2):  # four bytes, of which two are zero
        table = []
        for half in range(65536):
            c = half << 8 * shift
            for _ in range(4):
                c = TABLE[c & 255] ^ c >> 8
            table.append(c)
        WIDE.append(array('I', table))


def crc32c(*pieces):
    c = 0xFFFFFFFF
    for piece in pieces:
        if len(piece) > 4096:
            if not WIDE:
                make_wide()
            (low, high), whole = WIDE, len(piece) & ~3
            for w in struct.unpack('<%dI' % (whole // 4), piece[:whole]):
                c ^= w
                c = low[c & 65535] ^ high[c >> 16]
            piece = piece[whole:]
        for b in piece:
            c = TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


def slot(data, block, area=0):
    """(sequence, the 256 bytes); 0 where it is empty, None where it does not verify or is not there."""
    at = block * 4096 + area * 512
    s = data[at:at + 256]
    if len(s) < 256:
        return None
    seq, crc = struct.unpack_from('<QI', s)
    if not any(s):
        return 0
    return (seq, s) if seq and crc == crc32c(s[:8], struct.pack('<I', area << 29 | block), s[12:]) else None


def slots(data, blocks):
    """The better of two slots; None."""
    return max((s for s in (slot(data, block) for block in blocks) if s), default=None, key=lambda s: s[0])


def two_slots(data, blocks, what):
    """The better of two that may not both be bad; None: never written."""
    best = slots(data, blocks)
    if not best and any(slot(data, block) is None for block in blocks):
        raise Refused(f'{what}: no slot verifies')
    return best


def place(data, p, made, what):
    """A group's place in a partition: of the area of the highest generation the better slot; None: none was ever written.
    made: the file was made with room for it, so that what is not there was cut off."""
    found, unused = [], False
    for area in range(8):
        pair = [slot(data, 2 * p + i, area) for i in (0, 1)]
        cut = [len(data) < (2 * p + i) * 4096 + area * 512 + 256 for i in (0, 1)]
        first, second = (0 if gone and not made else s for s, gone in zip(pair, cut))
        behind, unused = unused, unused or area > 0 and first == 0
        if good := [s for s in (first, second) if s]:
            found.append(max(good, key=lambda s: s[0]))
        elif second == 0 and (first == 0 or not cut[0]):
            continue  # never written, or torn when it was first written
        elif area and cut[1] and (first == 0 or cut[0] and behind):
            continue  # the first slot is written first, and so is the area before
        else:
            raise Refused(f'{what}: no slot verifies')
    return max(found, default=None, key=lambda s: s[1][72:76][::-1])


def read(path):
    try:
        with open(path, 'rb') as f:
            return f.read()
    except FileNotFoundError:
        return b''


def conf(path):
    """key=value lines; of keys that come twice the last."""
    lines = [line.strip(' \t\r') for line in read(path).decode(errors='surrogateescape').split('\n')]
    found = [re.fullmatch(r'([A-Za-z0-9._-]+)[ \t\r]*=[ \t\r]*([^\0-\x08\x0a-\x1f\x7f]*)', line) for line in lines
             if line and line[0] != '#']
    if not all(found):
        raise Refused(f'{path}: a line that is neither a comment nor key=value')
    return dict(m.groups() for m in found)


class Segment:
    """told: (id, base, election, incarnation), where another file says so and the header does not verify."""

    def __init__(self, path, told=None):
        self.path, self.name, self.told = path, os.path.basename(path), bool(told)
        self.data = read(path)
        if told:
            self.id, self.base, self.election, self.incarnation = told
            self.pred, self.born, self.reason = None, 512, 0
            return
        h = self.data[:512]
        if len(h) < 512 or h[:8] != b'mqSegm\r\n' or struct.unpack_from('<I', h, 8)[0] != crc32c(h[12:]):
            raise ValueError('segment header does not verify')
        version, length, refuse = struct.unpack_from('<HHI', h, 12)
        if (version, length, refuse) != (1, 512, 0):
            raise Refused(f'{self.name}: newer format')
        self.id, self.topic, self.pred = h[24:40], h[40:56], h[88:104]
        self.partition, self.reason, self.base, self.election, self.incarnation = struct.unpack_from('<IIQII', h, 56)
        self.pred_base, self.pred_end, self.pred_offset, self.born, self.born_offset = struct.unpack_from('<5Q', h, 104)
        self.stands, self.stands_end, self.round = h[144:160], *struct.unpack_from('<Q', h, 160), *struct.unpack_from('<I', h, 184)

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
        if b['flags'] >> 6 or b['kind'] == 3 or b['zip'] > 1 or b['control'] > 5 or b['who'] > 2:
            raise Refused(f'{self.name}: a batch of a newer format at {pos}')
        control, offsets = b['kind'] == 2, b['next'] - b['base']
        if (max(b['stored'], b['raw']) > (1 << 30) + (1 << 20) or not b['zip'] and b['raw'] != b['stored'] or offsets < 0
                or control != (b['control'] > 0) or control and b['count'] or not control
                and (not 0 < b['count'] <= min(offsets, b['raw']) or b['kind'] == 0 and b['count'] != offsets)):
            return None  # it contradicts itself
        return b

    def body(self, b):
        body = self.data[b['pos'] + 128:b['end']]
        return body if len(body) == b['stored'] and crc32c(body) == b['body_crc'] else None

    def next_batch(self, pos, limit):
        """The first whole batch at or behind pos that ends by limit."""
        while (pos := self.data.find(b'mqB\1', pos, limit)) >= 0:
            try:
                b = self.header(pos)
            except Refused:
                b = None
            if b and b['end'] <= limit and self.body(b) is not None:
                return b
            pos += 1
        return None

    def batches(self, limit, end_offset, witness, reach, damage):
        """Every (batch, body) of the log in here.  limit, end_offset: where a successor or the tail says that this ends;
        both None: the head's end is where nothing verifies and nobody was promised anything, or at reach; limit None: the
        offset alone is known."""
        pos, offset, stop = 512, self.base, min(len(self.data), reach) if limit is None else limit
        guessed, limit = limit is None and end_offset is not None, None if end_offset is None else stop
        if stop > len(self.data):
            damage(self.name, len(self.data), stop, None, None, f'{len(self.data)} bytes, its end is said to be at {stop}')
        while pos < stop and not (guessed and offset >= end_offset):
            b = self.header(pos)
            body = self.body(b) if b and b['end'] <= stop else None
            if body is not None and b['base'] == offset:
                yield b, body
                pos, offset = b['end'], b['next']
                continue
            if limit is None:
                later, promised = pos, witness
                while promised <= pos and (nb := self.next_batch(later, stop)):
                    promised, later = max(promised, nb['durable']), nb['end']
                if promised <= pos:
                    return
            nb = self.next_batch(pos + 1, stop)
            to = (nb['pos'], nb['base']) if nb else (stop, end_offset)
            damage(self.name, pos, to[0], offset, to[1], 'does not verify')
            pos, offset = to
        if guessed and offset < end_offset:
            damage(self.name, pos, pos, offset, end_offset, 'no file holds these offsets')
        if limit is None and pos < witness:
            damage(self.name, pos, witness, offset, None, 'the file ends before what was durable')


def unzip(b, body):
    if b['zip'] == 0:
        return body
    if b['zip'] != 1:
        raise Refused('compression')
    try:
        import zstandard
        raw = zstandard.ZstdDecompressor().decompress(body, max_output_size=b['raw'])
    except ImportError:
        raw = subprocess.run(['zstd', '-dc'], input=body, stdout=subprocess.PIPE, check=True).stdout
    assert len(raw) == b['raw'], 'raw length'
    return raw


def records(b, body):
    """(offset, payload, time, {name: value}) of each record of a batch."""
    n, out = b['count'], []
    if b['kind'] == 0:
        lines = body.split(b'\n')
        assert lines.pop() == b'' and len(lines) == n, 'lines'
        return [(b['base'] + i, line, b['base_time'], {}) for i, line in enumerate(lines)]
    columns, table = struct.unpack_from('<II', body)
    if columns >> 12:
        raise Refused('columns')
    assert columns & 1, 'columns'
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

    for bit, name in enumerate('length key headers time id tag attempts offset sequence expiry group due'.split()):
        if columns >> bit & 1:
            if name in ('key', 'id', 'tag', 'group', 'headers'):
                col[name] = pieces(name != 'headers')
            else:
                col[name] = numbers('q' if name in ('time', 'expiry', 'due') else 'I')
    assert at == table and table + sum(col['length']) == len(body), 'table'
    for i in range(n):
        extra = {k: v[i] for k, v in col.items() if k not in ('length', 'offset', 'sequence') and v[i]
                 or (k in ('key', 'id', 'tag', 'group') and v[i] is not None)}
        out.append((b['base'] + (col['offset'][i] if 'offset' in col else i), body[at:at + col['length'][i]],
                    col['time'][i] if 'time' in col else b['base_time'], extra))
        at += col['length'][i]
    return out


def headers(blob):
    """[(name, value)] of a column's blob."""
    out, at = [], 0
    while at < len(blob):
        n, = struct.unpack_from('<H', blob, at)
        v, = struct.unpack_from('<I', blob, at + 2 + n)
        out.append((blob[at + 2:at + 2 + n], blob[at + 6 + n:at + 6 + n + v]))
        at += 6 + n + v
    return out
