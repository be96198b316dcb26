#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Do the tools and the second reader (tests/reader.py) see the same in every spool below a directory?

agree.py DIRECTORY     prints `disagree SPOOL: …` for each point where they do not, and at the end
                       `agreed: N spools, N partitions, N records, N places, N damaged`; status 1 where they do not

Compared: log start, visible end and every record of every partition (mq-topic show, mq-consume --json), the places of
every group (mq-group show), what cannot be read, and damage (mq-consume's status, mq-check).  First the reader, then the
tools, which may settle what a publisher left that died, then the reader again where they changed anything: what it saw at
first must still be there.

A test whose spool is to be seen differently says why in a file SPOOL.differs beside it; where they agree all the same, that
is a fault, too.  The tools are those in PATH."""
import base64
import datetime
import functools
import json
import os
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import reader  # noqa: E402
import reader_growth  # noqa: E402
import reader_ids  # noqa: E402
import reader_rooms  # noqa: E402
from reader_intent import intent, run_of  # noqa: E402

EPOCH = datetime.datetime(1970, 1, 1)
CYCLE_US = 146097 * 86400 * 10 ** 6  # 400 years, after which the calendar repeats
COUNTED = 'spools', 'partitions', 'records', 'places', 'damaged'
SHOWN = 12  # disagreements told of one spool


def tool(spool, *argv):
    """(status, the objects it printed, what it complained)"""
    done = subprocess.run([argv[0], '-S', spool, *argv[1:]] if argv[0] in ('mq-consume', 'mq-check') else
                          [*argv[:2], '-S', spool, *argv[2:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False)
    text = done.stdout.decode('utf-8')
    objects = json.loads('[%s]' % ','.join(line for line in text.split('\n') if line))
    return done.returncode, objects, done.stderr.decode(errors='replace')


@functools.lru_cache
def when(us):
    cycles, rest = divmod(us, CYCLE_US)
    at = EPOCH + datetime.timedelta(microseconds=rest)
    return '%04d%sZ' % (at.year + 400 * cycles, at.isoformat(timespec='microseconds')[4:])


def plain(o, name):
    """A member that may be base64, as bytes."""
    if name + '_b64' in o:
        return base64.b64decode(o[name + '_b64'], validate=True)
    return o[name].encode() if name in o else None


def plain_headers(o):
    """Of headers_b64 the names are text all the same."""
    both = o.get('headers', o.get('headers_b64', {}))
    pairs = list(both.items()) if isinstance(both, dict) else [tuple(pair) for pair in both]
    value = base64.b64decode if 'headers_b64' in o else str.encode
    return [(name.encode(), value(v)) for name, v in pairs]


def told(o):
    """A record as mq-consume --json told it."""
    return (o['offset'], plain(o, 'payload'), o['timestamp'], plain(o, 'key'), plain_headers(o), plain(o, 'tag'), plain(o, 'id'),
            o.get('expiry'))


def stored(record):
    """The same of one that the second reader read."""
    offset, payload, at, more = record
    pairs = [(name.decode('utf-8', 'replace').encode(), value) for name, value in reader.headers(more.get('headers', b''))]
    expiry = more.get('expiry')
    return offset, payload, when(at), more.get('key'), pairs, more.get('tag'), more.get('id'), when(expiry) if expiry else None


def same(label, objects, want):
    """Is each printed as it is stored?  For the plainest kind, of which there are most, in the shortest way."""
    topic, number = label.split('/')
    number = int(number)
    for o, record in zip(objects, want):
        if record[3] or 'payload' not in o:
            if told(o) != stored(record):
                return False
        elif o != {'v': 1, 'topic': topic, 'partition': number, 'offset': record[0], 'timestamp': when(record[2]),
                   'payload': record[1].decode(errors='replace')}:
            return False
    return len(objects) == len(want)


class Seen:
    """A partition by the second reader, in short."""

    def __init__(self, spool, topic, number):
        self.refused = None
        try:
            p = reader.Partition(spool, topic, number)
            self.start, self.end, self.head = p.start, p.end, p.head
            self.records = {record[0]: record for record in p.records()}
            self.damage = p.damage
            self.growths = reader_growth.beginnings(p)
            self.ids = list(reader_ids.wrong(spool, topic, p))
        except reader.Refused as error:
            self.refused = str(error)

    def alive(self, ttl_us, now_us):
        """The records that a consumer shows at that time."""
        for record in self.records.values():
            expiry = record[3].get('expiry')
            if not (expiry and expiry <= now_us) and not (ttl_us > 0 and record[2] + ttl_us <= now_us):
                yield record


class Spool:
    def __init__(self, path):
        self.path, self.wrong, self.count, self.refused = path, [], dict.fromkeys(COUNTED, 0), set()

    def differ(self, *what):
        self.wrong.append(' '.join(map(str, what)))

    def names(self, under):
        try:
            return sorted(n for n in os.listdir(os.path.join(self.path, under)) if n[0] != '.')
        except FileNotFoundError:
            return []

    def compare(self):
        self.count['spools'] = 1
        try:
            reader.spool_conf(self.path)
        except reader.Refused as error:
            for argv in ('mq-topic', 'list'), ('mq-group', 'list'):
                if tool(self.path, *argv)[0] == 0:
                    self.differ(argv[0], 'reads what the second reader refuses:', error)
            return
        damage = set()
        for topic in self.names('topics'):
            (self.internal if '@' in topic else self.topic)(topic, damage)
        for group in self.names('groups'):
            for topic in self.names('groups/%s/topics' % group):
                self.places(group, topic)
        self.check(damage)
        self.count['damaged'] = bool(damage)

    def internal(self, topic, damage):
        """No tool shows its records."""
        for n in (int(n) for n in self.names('topics/' + topic) if n.isdigit()):
            try:
                p = reader.Partition(self.path, topic, n)
                records = list(p.records())
            except reader.Refused:
                continue
            self.count['partitions'] += 1
            self.count['records'] += len(records)
            damage |= {('topics/%s/%d/%s' % (topic, n, d[0]), *d[1:3]) for d in p.damage}
            if topic.startswith('once@'):
                for what in reader_ids.wrong(self.path, topic, p):
                    self.differ(topic, n, what)
            if topic.startswith('wait@'):
                for what in reader_rooms.wrong(self.path, topic, p, records):
                    self.differ(topic, n, what)
            for record in records if topic.startswith(('intents@', 'runs@')) else ():
                try:
                    (intent if topic.startswith('intents@') else run_of)(record[1])
                except (ValueError, struct.error) as why:
                    self.differ(topic, n, record[0], why)

    def topic(self, topic, damage):
        try:
            conf = reader.topic_conf(self.path, topic)
        except reader.Refused:
            conf = {}
        numbers = [int(n) for n in self.names('topics/' + topic) if n.isdigit()]
        if 'growing' in conf and conf.get('partitions', '').isdigit():  # a growth that came to nothing may have left some
            ends = int(conf['growing'].split(':')[1].split('/')[0])
            numbers = [n for n in numbers if n < int(conf['partitions']) or n >= ends]
        broken = not conf.get('partitions', '').isdigit() or sorted(numbers) != list(range(int(conf['partitions'])))
        before = {} if broken else {n: Seen(self.path, topic, n) for n in numbers}
        self.refused |= {(topic, n) for n, p in before.items() if p.refused}
        for n, p in before.items():
            for what in () if p.refused else p.ids:
                self.differ(topic, n, what)
        stamps = self.stamps(topic)
        status, shown, said = tool(self.path, 'mq-topic', 'show', '--json', topic)
        consumed = {n: tool(self.path, 'mq-consume', '--json', '-p', str(n), topic) for n in before}
        if broken or any(p.refused for p in before.values()):
            if status == 0 and all(c[0] == 0 for c in consumed.values()):
                self.differ(topic, 'the tools read what the second reader refuses:',
                            [p.refused for p in before.values()] or 'topic.conf')
            return
        if self.stamps(topic) != stamps:
            status, shown, said = tool(self.path, 'mq-topic', 'show', '--json', topic)
            after = {n: Seen(self.path, topic, n) for n in numbers}
        else:
            after = before
        for what in reader_growth.wrong(conf, {n: p.growths for n, p in after.items() if not p.refused and not p.damage}):
            self.differ(topic, what)
        facts = {o['partition']: o for o in shown if 'partition' in o}
        keys = {o['key']: o['value'] for o in shown if 'key' in o}
        if status not in (0, 2) or sorted(facts) != sorted(after):
            return self.differ(topic, 'mq-topic show: status', status, said.strip(), sorted(facts))
        for n, seen in after.items():
            if seen.refused:
                self.differ(topic, n, 'refused after the tools had read it:', seen.refused)
                continue
            self.partition('%s/%d' % (topic, n), before[n], seen, facts[n], int(keys['ttl.ms']) * 1000, consumed[n])
            damage |= {('topics/%s/%d/%s' % (topic, n, d[0]), *d[1:3]) for d in seen.damage}

    def stamps(self, topic):
        """What changes where somebody writes."""
        return {at: (s.st_mtime_ns, s.st_size, s.st_ino) for at, s in
                ((os.path.join(d, f), os.lstat(os.path.join(d, f)))
                 for d, _, fs in os.walk('%s/topics/%s' % (self.path, topic)) for f in fs if f != 'bell')}

    def partition(self, label, before, seen, shown, ttl_us, consumed):
        self.count['partitions'] += 1
        self.count['records'] += len(seen.records)
        if (seen.start, seen.end) != (shown['log_start'], shown['visible']):
            self.differ(label, 'log start and visible end: %d %d, mq-topic show says %d %d'
                        % (seen.start, seen.end, shown['log_start'], shown['visible']))
        gone = [o for o in before.records if o >= seen.start and seen.records.get(o) != before.records[o]]
        if gone or before.end > seen.end:
            self.differ(label, 'visible before the tools came, and then not:', gone[:5], before.end, seen.end)
        status, objects, said = consumed
        want = list(seen.alive(ttl_us, time.time_ns() // 1000))
        if not same(label, objects, want):
            self.records_differ(label, [told(o) for o in objects], [stored(record) for record in want], {o for o, r in seen.records.items() if ttl_us > 0 or r[3].get('expiry')})
        # Damage below the log start, behind the last record, or without records may or may not be in the way.
        met = [d for d in seen.damage if None not in d[3:5] and d[3] < d[4] > seen.start and d[3] < seen.end]
        if met and status == 0 or status == 2 and not seen.damage:
            self.differ(label, 'damage', seen.damage, 'but mq-consume ends with', status, said.strip()[:300])
        elif status not in (0, 2):
            self.differ(label, 'mq-consume ends with', status, said.strip()[:300])

    def records_differ(self, label, got, want, may_expire):
        here, there = {r[0]: r for r in got}, {r[0]: r for r in want}
        offsets = sorted(o for o in here.keys() | there.keys() if here.get(o) != there.get(o)
                         and not (o in may_expire and o not in there))  # it expired between the two
        if offsets:
            o = offsets[0]
            self.differ(label, 'records: %d differ, first at' % len(offsets), o, 'mq-consume:', here.get(o), 'the second reader:',
                        there.get(o))
        elif [r[0] for r in got] != sorted(here):
            self.differ(label, 'mq-consume prints offsets out of order or twice')

    def places(self, group, topic):
        try:
            want = reader.places(self.path, group, topic)
        except (reader.Refused, KeyError, ValueError) as error:
            want = str(error)
        status, shown, said = tool(self.path, 'mq-group', 'show', '-g', group, '--json', topic)
        if isinstance(want, str):
            if status == 0:
                self.differ(group, topic, 'mq-group shows what the second reader refuses:', want)
            return
        got = {o['partition']: (o['committed'], o['lost'], o['acked_above'], o['expired']) for o in shown}
        self.count['places'] += len(want)
        if status == 66 and (not want or not os.path.isdir('%s/topics/%s' % (self.path, topic))):
            return  # nothing was committed; the topic was deleted
        here = [p for p in want if os.path.isdir('%s/topics/%s/%d' % (self.path, topic, p)) and (topic, p) not in self.refused]
        if {p: got.get(p) for p in here} != {p: want[p] for p in here} or (status == 0) != (here == list(want)):
            self.differ(group, topic, 'places:', want, 'mq-group show: status', status, got, said.strip())
        extra = {p: v for p, v in got.items() if p not in want and v[0] not in (None, 0)}
        if extra:
            self.differ(group, topic, 'mq-group shows places that were never written:', extra)

    def check(self, damage):
        status, found, said = tool(self.path, 'mq-check', '--json')
        got = {(o['what'], o['position'], o['position'] + o['length']) for o in found
               if o['kind'] == 'damage' and o['what'].endswith('.seg')}
        only = joined(damage) - joined(got), joined(got) - joined(damage)
        if any(only):
            self.differ('damage: only the second reader:', sorted(only[0]), 'only mq-check:', sorted(only[1]), 'status', status,
                        said.strip()[:300])


def joined(ranges):
    """Ranges of bytes that touch are one."""
    out = []
    for name, start, end in sorted(ranges):
        if out and start and out[-1][0] == name and start <= out[-1][2]:
            out[-1] = name, out[-1][1], max(end, out[-1][2])
        else:
            out.append((name, start, end))
    return set(out)


def spools(directory):
    for at, below, files in os.walk(directory):
        below.sort()
        if 'spool.conf' in files:
            below.clear()
            yield at


def main(directory):
    total, status = dict.fromkeys(COUNTED, 0), 0
    for path in spools(directory):
        spool = Spool(path)
        try:
            spool.compare()
        except Exception as error:  # a reader that breaks has not agreed
            spool.differ('%s: %s' % (type(error).__name__, error))
        for what in COUNTED:
            total[what] += spool.count[what]
        exempt = reader.read(path + '.differs').decode().strip()
        if exempt and not spool.wrong:
            spool.differ('they agree, though %s.differs says: %s' % (os.path.basename(path), exempt))
        elif exempt:
            print('exempt %s: %s' % (os.path.relpath(path, directory), exempt))
            continue
        for wrong in spool.wrong[:SHOWN]:
            print('disagree %s: %s' % (os.path.relpath(path, directory), wrong[:2000]))
        status |= bool(spool.wrong)
    print('agreed: ' + ', '.join('%d %s' % (total[what], what) for what in COUNTED))
    return status


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
