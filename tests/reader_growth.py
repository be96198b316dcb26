# SPDX-License-Identifier: GPL-2.0-or-later
"""Beginnings of generations of the partition count, by mq-spool(5): is what a topic's partitions say of its growths the same in
each, and what topic.conf says?"""
import struct

GENERATION = 4


def beginnings(partition):
    return [(b, body) for _, b, body in partition.batches if b['kind'] == 2 and b['control'] == GENERATION]


def beginning(b, body):
    """(number, partitions before, after, without a barrier, {partition: offset}) of a control batch's body."""
    number, before, after, flags, n = struct.unpack_from('<5I', body)
    if len(body) != 20 + 12 * n or flags > 1 or not 0 < before < after or number != b['generation'] or b['base'] != b['next']:
        raise ValueError(f'the beginning of generation {number} at {b["base"]} contradicts itself')
    sources = [struct.unpack_from('<IQ', body, 20 + 12 * i) for i in range(n)]
    if [p for p, _ in sources] != sorted({p for p, _ in sources if p < before}):
        raise ValueError(f'generation {number} waits for {sources}')
    return number, before, after, bool(flags), dict(sources)


def wrong(conf, partitions):
    """What does not fit.  partitions: {number: [(header, body) of the beginnings in it]}."""
    began, known = {}, [g.split('/')[0].split(':') for g in conf.get('generations', '0:' + conf['partitions']).split(',')]
    steps = {int(b[0]): (int(a[1]), int(b[1])) for a, b in zip(known, known[1:])}
    for p, partition in partitions.items():
        for b, body in partition:
            try:
                began[p, b['generation']] = b['base'], *beginning(b, body)[1:]
            except (ValueError, struct.error) as why:
                yield f'{p}: {why}'
    for (p, number), (_, before, after, _, sources) in began.items():
        if number in steps and (before, after) != steps[number]:
            yield f'{p}: generation {number} led from {before} to {after} partitions, topic.conf says {steps[number]}'
        for q, offset in sources.items():
            there = began.get((q, number))
            if number in steps and there and there[0] != offset:
                yield f'{p}: generation {number} waits for {q} up to {offset}, where it began at {there[0]}'
