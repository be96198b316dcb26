# SPDX-License-Identifier: GPL-2.0-or-later
"""Histories written by hand: each verb is what one process does, a millisecond after the one before.

BAD: (name, what must be found and nothing else, the history); GOOD: (name, the history), in which nothing may be found."""


class Story:
    def __init__(self, **group):
        self.files, self.now, self.ends, self.records, self.runs, self.names = {}, 0, {}, {}, 0, {}
        self.group = 'g'
        if group:
            self.say('driver', 'group', group='g', **group)

    def say(self, process, event, **fields):
        self.now += 10 ** 6
        self.files.setdefault(process, []).append({'e': event, 't': self.now, **fields})

    def wait(self, seconds):
        self.now += int(seconds * 10 ** 9)

    def of(self, name):
        """What one verb does, for another group."""
        self.group = name
        return self

    # Publishers
    def publish(self, id_, p='T:0', key='k', by='publisher'):
        self.say(by, 'publish', id=id_, topic=p.split(':')[0], key=key, sum='sum of ' + id_)
        self.records[id_] = (p, None, key)

    def published(self, id_, o=None, by='publisher'):
        p, _, key = self.records[id_]
        o = self.ends.get(p, 0) if o is None else o
        self.ends[p] = o + 1
        self.records[id_] = p, o, key
        self.say(by, 'published', id=id_, at=f'{p}:{o}')

    def pub(self, ids, p='T:0', key='k'):
        for id_ in ids.split():
            self.publish(id_, p, key)
            self.published(id_)

    # Members
    def join(self, *names, **more):
        for name in names:
            self.names[name] = 1000 + len(self.names)
            self.say(name, 'join', group=self.group, member=name)
            self.say(name, 'joined', group=self.group, member=name, pid=self.names[name], **more)

    def take(self, m, p='T:0', **more):
        self.say(m, 'take', group=self.group, member=m, partition=p)
        self.say(m, 'took', group=self.group, member=m, partition=p, **more)

    def give(self, m, p='T:0'):
        self.say(m, 'give', group=self.group, member=m, partition=p)
        self.say(m, 'gave', group=self.group, member=m, partition=p)

    def leave(self, m, status=0):
        self.say(m, 'leave', group=self.group, member=m)
        self.say(m, 'left', group=self.group, member=m, status=status)

    def commit(self, m, o, p='T:0', **more):
        self.say(m, 'commit', group=self.group, partition=p, offset=o, member=m, **more)
        self.say(m, 'committed', group=self.group, partition=p)

    def ack(self, m, *ids):
        for id_ in ids:
            self.say(m, 'ack', group=self.group, member=m, at='%s:%d' % self.records[id_][:2])
            self.say(m, 'acked', group=self.group, at='%s:%d' % self.records[id_][:2])

    # Handlers
    def begin(self, m, *ids, process=None, **more):
        """A handler of its own begins with these: its process."""
        self.runs += 1
        process = process or f'{m}.handler{self.runs}'
        for id_ in ids:
            p, o, key = self.records[id_]
            self.say(process, 'begin', **{'group': self.group, 'member': m, 'at': f'{p}:{o}', 'id': id_, 'key': key, 'sum': 'sum of ' + id_,
                                          'pid': 5000 + self.runs, **more})
        return process

    def end(self, process, *ids, status='done'):
        for id_ in ids:
            self.say(process, 'end', group=self.group, at='%s:%d' % self.records[id_][:2], status=status)

    def run(self, m, ids, status='done', **more):
        for id_ in ids.split():
            self.end(self.begin(m, id_, **more), id_, status=status)

    # Who reads a pipe: he says so before each read, and is one process
    def reads(self, m):
        self.say(m + '.reader', 'reads', group=self.group, member=m)

    def run_by(self, process, m, ids):
        for id_ in ids.split():
            self.end(self.begin(m, id_, process=process), id_)

    # Operators
    def act(self, invoked, completed, result=None, **fields):
        self.say('driver', invoked, **fields)
        self.say('driver', completed, **fields, **(result or {}))

    def kill(self, m, signal='KILL'):
        self.act('kill', 'killed', pid=self.names[m], signal=signal)

    def freeze(self, m):
        self.act('freeze', 'frozen', pid=self.names[m])

    def thaw(self, m):
        self.act('thaw', 'thawed', pid=self.names[m])

    def evict(self, generation, **whom):
        self.act('evict', 'evicted', {'generation': generation}, group=self.group, **whom)

    def grow(self, before, after, barriers, **more):
        self.act('grow', 'grown', {'barriers': barriers}, **{'topic': 'T', 'from': before, 'to': after}, **more)
        self.ends.update({f'T:{p}': o + 1 for p, o in barriers.items()})

    def seek(self, o, p='T:0'):
        self.act('seek', 'sought', group=self.group, partition=p, offset=o)

    def show(self, places=None, handlers=()):
        self.act('show', 'shown', {'places': places or {}, 'handlers': list(handlers)}, group=self.group)

    def final(self, committed, p='T:0', end=None):
        self.say('driver', 'final', group=self.group, partition=p, committed=committed, end=self.ends.get(p, 0) if end is None else end)


def started(ids='a b c', members='m n', **group):
    """Records are published, members have joined, the first has the partition."""
    h = Story(**group)
    h.pub(ids)
    h.join(*members.split())
    h.take(members.split()[0], offset=0, generation=1)
    return h


def grown(**more):
    h = started('a')
    h.grow(1, 2, {'0': 1, '1': 0}, **more)
    h.pub('b', 'T:1')
    h.take('n', 'T:1')
    return h


BAD, GOOD = [], []


def bad(*kinds):
    def add(function):
        BAD.append((function.__name__.replace('_', ' '), sorted(kinds), function().files))
        return function
    return add


def good(function):
    GOOD.append((function.__name__.replace('_', ' '), function().files))
    return function
