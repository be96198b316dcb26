# SPDX-License-Identifier: GPL-2.0-or-later
"""The second reader's view of the files of ids (mq-spool(5)) beside a log."""
import os
import re
import struct

from reader_bytes import conf, crc32c, read

M = (1 << 64) - 1


def siphash(key, data):
    """SipHash-2-4."""
    def rotate(v, n):
        return (v << n | v >> (64 - n)) & M

    k0, k1 = struct.unpack('<QQ', key)
    a, b, c, d = k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573

    def rounds(n, a, b, c, d):
        for _ in range(n):
            a, c = (a + b) & M, (c + d) & M
            b, d = rotate(b, 13) ^ a, rotate(d, 16) ^ c
            a = rotate(a, 32)
            c, a = (c + b) & M, (a + d) & M
            b, d = rotate(b, 17) ^ c, rotate(d, 21) ^ a
            c = rotate(c, 32)
        return a, b, c, d

    end = len(data) - len(data) % 8
    words = [int.from_bytes(data[i:i + 8], 'little') for i in range(0, end, 8)]
    for word in words + [int.from_bytes(data[end:], 'little') | (len(data) & 255) << 56]:
        d ^= word
        a, b, c, d = rounds(2, a, b, c, d)
        a ^= word
    a, b, c, d = rounds(4, a, b, c ^ 0xff, d)
    return a ^ b ^ c ^ d


assert siphash(bytes(range(16)), bytes(range(15))) == 0xa129ca6149be45e5


def entries(path, topic, number, start, end):
    """What a file holds, in its order; ValueError where it does not verify."""
    data = read(path)
    head = data[:4096]
    if len(data) < 4096 or head[:8] != b'mqIds\r\n\0' or crc32c(head[12:]) != struct.unpack_from('<I', head, 8)[0]:
        raise ValueError('its header does not verify')
    version, of, first, last, count, partition = struct.unpack_from('<I16sQQQI', head, 12)
    if (version, of, first, last, partition) != (1, topic, start, end, number) or any(head[60:]):
        raise ValueError('its header is of another file')
    if len(data) != 4096 * (1 + -(-count // 255)):
        raise ValueError('%d entries in %d bytes' % (count, len(data)))
    found = []
    for i in range(-(-count // 255)):
        block = data[4096 * (i + 1):4096 * (i + 2)]
        crc, n, zero = struct.unpack_from('<IIQ', block)
        if crc != crc32c(topic + struct.pack('<IQQQ', number, start, end, i) + block[4:]) or zero or any(block[16 + 16 * n:]):
            raise ValueError('block %d does not verify' % (i + 1))
        found += struct.iter_unpack('<QQ', block[16:16 + 16 * n])
    if len(found) != count or found != sorted(set(found)):
        raise ValueError('its entries are not in order')
    return found


def wrong(spool, topic, partition):
    """What is the matter with a partition's files of ids, given what the second reader read of its log."""
    what = conf('%s/topics/%s/topic.conf' % (spool, topic))
    directory, key = partition.directory, bytes.fromhex(what['id'])
    names = sorted(name for name in os.listdir(directory) if name.endswith('.ids'))
    if not names:
        return
    log = [(siphash(key, more['id']), offset) for offset, _, _, more in partition.records() if 'id' in more]
    for name in names:
        if m := re.fullmatch(r'(\d{20})\.(\d{20})\.ids', name):
            start, end = int(m[1]), int(m[2])
            try:
                got = {e for e in entries('%s/%s' % (directory, name), key, partition.number, start, end)}
            except ValueError as error:
                yield '%s: %s' % (name, error)
                continue
            want = {e for e in log if start <= e[1] < end}
            if 'compact' in what.get('cleanup.policy', ''):
                continue  # records that a file leads to may be gone
            if want - got:
                yield '%s lacks %s' % (name, sorted(want - got)[:3])
            if {e for e in got - want if partition.start <= e[1] < partition.end} and not partition.damage:
                yield '%s holds what the log does not: %s' % (name, sorted(got - want)[:3])
