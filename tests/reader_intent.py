# SPDX-License-Identifier: GPL-2.0-or-later
"""Intents by what mq-spool(5) says and nothing else: intent(payload) is a dict with its targets; ValueError where it
contradicts itself.  Shares no code, header or table with lib/."""
import struct


def intent(payload):
    if len(payload) < 64 or payload[:8] != b'mqIntent':
        raise ValueError('no intent')
    names = 'version flags targets generation seeks start end number last set spare'.split()
    head = dict(zip(names, struct.unpack_from('<HHIIIQQQQII', payload, 8)))
    if head['version'] != 1 or head['flags'] > 15 or head['spare'] or head['end'] < head['start']:
        raise ValueError('head of an intent: %r' % head)
    at, number, targets = 64 + 4 * head['set'], head['number'], []
    if bool(head['flags'] & 8) != bool(head['set']) or (head['set'] and head['flags'] & 4) or head['set'] > 4096:
        raise ValueError('set of an intent: %r' % head)
    done = [head['start'] + n for n in struct.unpack_from('<%dI' % head['set'], payload, 64)]
    if done != sorted(set(done)) or (done and done[-1] + 1 != head['end']):
        raise ValueError('what an intent counts as done: %r' % done)
    for _ in range(head['targets']):
        topic, partition, count, who, first, end, base_us, max_us, kind, length, name = \
            struct.unpack_from('<16sIIQQQqqIIB', payload, at)
        if any(payload[at + 73:at + 80]) or not name or first != number or kind > 1 or not (count or head['flags'] & 4):
            raise ValueError('target at %d of an intent' % at)
        at += 80
        data = payload[at + name:at + name + length]
        if len(data) != length or (length and not count):
            raise ValueError('an intent is cut short')
        target = dict(id=topic, partition=partition, count=count, who=who, number=first, end=end, base_us=base_us, max_us=max_us,
                      kind=kind, topic=payload[at:at + name].decode('ascii'), data=data)
        if head['flags'] & 1:
            target['offsets'] = [head['start'] + n for n in struct.unpack('<%dI' % count, data)]
            if target['offsets'] != sorted(set(target['offsets'])) or max(target['offsets'], default=-1) >= head['end']:
                raise ValueError('positions of an intent')
        targets.append(target)
        at += name + length
        number += count
    if at != len(payload) or number != head['last']:
        raise ValueError('what is behind an intent')
    return dict(head, set=done, targets=targets)


def run_of(payload):
    """A record of runs@TOPIC@: what mq-replay --to was asked for, as it was settled when it began."""
    magic, version, flags, number, asked, began, count, spare = struct.unpack_from('<8sHHIQqII', payload, 0)
    if magic != b'mqReplay' or version != 1 or flags > 1 or not number or spare or len(payload) != 40 + 24 * count:
        raise ValueError('head of a run: %r' % payload[:40])
    ranges = [struct.unpack_from('<IIQQ', payload, 40 + 24 * n) for n in range(count)]
    if any(zero or end < start for _, zero, start, end in ranges) or [r[0] for r in ranges] != sorted({r[0] for r in ranges}):
        raise ValueError('ranges of a run: %r' % ranges)
    return dict(ended=bool(flags), number=number, asked=asked, began=began, ranges=[(p, start, end) for p, _, start, end in ranges])
