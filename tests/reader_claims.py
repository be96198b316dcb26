# SPDX-License-Identifier: GPL-2.0-or-later
"""claimed.P, read by what mq-spool(5) says and nothing else."""
import struct

from reader_bytes import Refused, crc32c

HALF, HEAD, SLOT = 128 << 10, 128, 32
TAKEN, DONE, RELEASED, CLOSED, MOVED = range(1, 6)
FREE = None, None


class Claims:
    """base: all below is done; parts: [(from, to, state, member)] above it, state FREE, TAKEN or DONE, without gaps; bad: the
    positions of what does not verify.  None of it where nothing was ever shared, or the place was set since: of is False."""

    def __init__(self, data, topic_id, generation, seeks, committed):
        self.base, self.parts, self.bad, self.of = committed, [], [], False
        heads = [h for h in (self.head(data, half) for half in (0, 1)) if h]
        if not heads:
            raise Refused('claimed: no half of it verifies')
        epoch, half, base, made_with, (of_topic, of_generation, of_seeks) = max(heads)
        if (of_topic, of_seeks) != (topic_id, seeks) or of_generation > generation:
            return
        self.of, self.base = True, base
        for i in range((HALF - HEAD) // SLOT):
            at = half * HALF + HEAD + i * SLOT
            e = data[at:at + SLOT]
            if e == bytes(SLOT) and i >= made_with:
                continue
            if crc32c(struct.pack('<QQ', epoch, at) + e[:28]) != struct.unpack_from('<I', e, 28)[0]:
                self.bad.append(at)
                continue
            kind, _, _, offset, count, member = struct.unpack_from('<BBHQQQ', e)
            self.apply(kind, offset, count, member)
        self.apply(DONE, 0, committed, 0)

    def head(self, data, half):
        h = data[half * HALF:half * HALF + HEAD]
        if h[:12] != b'mqClaim\n\1\0\0\0' or struct.unpack_from('<I', h, 124)[0] != crc32c(struct.pack('<Q', half * HALF) + h[:124]):
            if h[:8] != bytes(8) and h[112:] != bytes(16):
                self.bad.append(half * HALF)
            return None
        generation, seeks, base, made_with = struct.unpack_from('<IIQQ', h, 32)
        return struct.unpack_from('<Q', h, 112)[0], half, base, made_with, (h[16:32], generation, seeks)

    @staticmethod
    def becomes(kind, state, member, by):
        """What a slot makes of a part."""
        theirs = state == TAKEN and member == by
        if kind == TAKEN and state != DONE:
            return TAKEN, by
        if kind == DONE and (state != TAKEN or theirs or not by):
            return DONE, None
        if kind == RELEASED and (theirs or (not by and state != DONE)):
            return FREE
        return state, member

    def apply(self, kind, offset, count, by):
        if kind in (CLOSED, MOVED):
            return
        first, last = max(offset, self.base), offset + count
        if first >= last:
            return
        top = self.parts[-1][1] if self.parts else self.base
        parts, self.parts = self.parts + ([(top, last, *FREE)] if last > top else []), []
        for begin, end, state, member in parts:
            cuts = [begin, *(c for c in (first, last) if begin < c < end), end]
            for a, b in zip(cuts, cuts[1:]):
                is_now = self.becomes(kind, state, member, by) if first <= a < last else (state, member)
                if is_now[0] == DONE and a == self.base:
                    self.base = b
                elif self.parts and self.parts[-1][1:] == (a, *is_now):
                    self.parts[-1] = (self.parts[-1][0], b, *is_now)
                else:
                    self.parts.append((a, b, *is_now))
