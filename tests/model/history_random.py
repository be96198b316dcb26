# SPDX-License-Identifier: GPL-2.0-or-later
"""A model of a group that keeps its promises, played at random: run(seed, events) gives the history that its processes record.

Members take, hand over, batch, fail, are killed at any step, frozen, evicted and woken; publishers are killed, topics grow.  bug names
what the model is to do wrong: one of BUGS, each with what must be found then in some history."""
import random

MOST = 32  # partitions

BUGS = {
    'commits before the handler ends': {'lost'}, 'commits one too many': {'skipped'}, 'a failure counts as done': {'lost'},
    'an evicted owner writes where others read': {'commit-after-fencing', 'place-went-back'}, 'a handler holds no lock': {'two-owners', 'orphan'},
    'nobody stops at a barrier': {'barrier'}, 'a hand-over does not commit': {'doubled'}, 'a batch is turned round': {'reordered'},
    'a place is read before the lock is held': {'doubled', 'place-went-back'}, 'freezing frees a partition': {'two-owners'},
    'a publisher is told too early': {'lost'}, 'one partition is forgotten': {'not-handed-on'}}


class Work:
    """A partition in a member's hands."""

    def __init__(self, p, generation, place):
        self.p, self.generation, self.place, self.state, self.batch, self.process = p, generation, place, 'idle', [], None


class Model:
    def __init__(self, seed, bug, partitions, members):
        self.rng, self.bug, self.now, self.files, self.seq = random.Random(seed), bug, 0, {}, 0
        self.log = [[] for _ in range(partitions)]
        self.areas, self.owner, self.held = [[0] for _ in self.log], [None] * partitions, [set() for _ in self.log]
        self.barriers, self.members, self.frozen, self.waiting, self.handlers = [], {}, set(), [], []
        self.want, self.forgotten = members, 0
        self.say('driver', 'group', group='g', in_flight=3 * MOST)

    def say(self, process, event, **more):
        self.now += self.rng.randrange(10 ** 7)
        self.files.setdefault(process, []).append({'e': event, 't': self.now, **more})

    def name(self, kind):
        self.seq += 1
        return f'{kind}{self.seq}'

    # Publishers: told at once, later, or killed before that
    def publish(self):
        key, id_, by = self.rng.randrange(40), self.name('r'), f'publisher{self.rng.randrange(4)}'
        p = key % len(self.log)
        self.say(by, 'publish', id=id_, topic='T', key=f'k{key}', sum=id_)
        if self.bug == 'a publisher is told too early' and self.rng.random() < 0.01:
            self.say(by, 'published', id=id_, at=f'T:{p}:{len(self.log[p])}')
        elif self.rng.random() < 0.97:
            self.log[p].append((id_, f'k{key}'))
            if self.rng.random() < 0.97:
                self.say(by, 'published', id=id_, at=f'T:{p}:{len(self.log[p]) - 1}')

    def grow(self):
        before = len(self.log)
        self.say('driver', 'grow', **{'topic': 'T', 'from': before, 'to': 2 * before})
        for _ in range(before):
            self.log.append([])
            self.areas.append([0])
            self.owner.append(None)
            self.held.append(set())
        self.barriers.append([len(part) for part in self.log])
        self.say('driver', 'grown', topic='T', barriers={str(p): o for p, o in enumerate(self.barriers[-1])})

    def open(self, p, o):
        """May what lies at o be given out?"""
        return self.bug == 'nobody stops at a barrier' or all(
            p < len(at) and o < at[p] or all(self.areas[q][-1] >= end for q, end in enumerate(at) if q != p) for at in self.barriers)

    # Members
    def join(self):
        m = self.name('m')
        self.say(m, 'join', group='g', member=m)
        self.say(m, 'joined', group='g', member=m, pid=self.seq)
        self.members[m] = {}

    def take(self, m):
        free = [p for p, who in enumerate(self.owner) if who is None and not self.held[p]
                and not (self.bug == 'one partition is forgotten' and p == self.forgotten)]
        if free:
            self.settle()
            p = self.rng.choice(free)
            early = self.bug == 'a place is read before the lock is held' and self.areas[p][-1] > 1
            w = Work(p, len(self.areas[p]) - 1, self.areas[p][-1] - early)
            self.owner[p], self.members[m][p] = m, w
            self.say(m, 'took', group='g', member=m, partition=f'T:{p}', generation=w.generation, offset=w.place)

    def step(self, m):
        mine = self.members[m]
        if not mine or self.rng.random() < 0.05:
            return self.take(m)
        w = mine[self.rng.choice(list(mine))]
        return getattr(self, '_' + w.state)(m, w)

    def _idle(self, m, w):
        if w.generation != len(self.areas[w.p]) - 1:
            return self.end(m, 75)
        if self.rng.random() < 0.02:
            w.state = 'giving'
            return self.say(m, 'give', group='g', member=m, partition=f'T:{w.p}')
        w.batch = []
        for o in range(w.place, min(len(self.log[w.p]), w.place + self.rng.randint(1, 3))):
            if self.open(w.p, o):
                w.batch.append(o)
        if w.batch:
            w.process, w.state = self.name('h'), 'running'
            if self.bug == 'a batch is turned round':
                w.batch.reverse()
            self.held[w.p].add(w.process)
            for o in w.batch:
                id_, key = self.log[w.p][o]
                self.say(w.process, 'begin', group='g', member=m, at=f'T:{w.p}:{o}', id=id_, key=key, sum=id_)
            if self.bug == 'commits before the handler ends' and self.rng.random() < 0.1:
                self.say(m, 'commit', group='g', member=m, partition=f'T:{w.p}', offset=w.place + 1, generation=w.generation)
                self.say(m, 'committed', group='g', partition=f'T:{w.p}')
        return None

    def _running(self, m, w):
        good = self.rng.random() < 0.95
        self.ends(w, 'done' if good else self.rng.choice(['fail', 'release']))
        if good or self.bug == 'a failure counts as done':
            w.place += len(w.batch)
            if self.bug == 'commits one too many' and self.rng.random() < 0.02 and w.place < len(self.log[w.p]):
                w.place += 1
            w.state = 'committing'
        else:
            w.state = 'idle'

    def ends(self, w, status):
        for o in w.batch:
            self.say(w.process, 'end', group='g', at=f'T:{w.p}:{o}', status=status)
        self.held[w.p].discard(w.process)

    def _committing(self, m, w):
        if self.bug == 'a hand-over does not commit' and self.rng.random() < 0.02:
            w.state = 'giving'
            return self.say(m, 'give', group='g', member=m, partition=f'T:{w.p}')
        self.say(m, 'commit', group='g', member=m, partition=f'T:{w.p}', offset=w.place, generation=w.generation)
        w.state = 'writing'
        return None

    def _writing(self, m, w):
        area = -1 if self.bug == 'an evicted owner writes where others read' else w.generation
        self.areas[w.p][area] = w.place
        self.say(m, 'committed', group='g', partition=f'T:{w.p}')
        w.state = 'idle'

    def _giving(self, m, w):
        self.drop(m, w)
        if self.rng.random() < 0.5:
            self.waiting.append((m, dict(group='g', member=m, partition=f'T:{w.p}')))
        else:
            self.say(m, 'gave', group='g', member=m, partition=f'T:{w.p}')

    def drop(self, m, w):
        del self.members[m][w.p]
        if self.owner[w.p] == m and w.generation == len(self.areas[w.p]) - 1:
            self.owner[w.p] = None

    # Ends
    def end(self, m, status):
        """It has been evicted somewhere, and ends; of its other partitions what is in flight is released."""
        for w in list(self.members[m].values()):
            if w.state == 'running':
                self.ends(w, 'release')
            self.drop(m, w)
        self.say(m, 'left', group='g', member=m, status=status)
        self.gone(m)

    def gone(self, m):
        del self.members[m]
        self.frozen.discard(m)
        self.waiting = [x for x in self.waiting if x[0] != m]

    def kill(self, m):
        self.say('driver', 'kill', member=m, signal='KILL')
        for w in list(self.members[m].values()):
            if w.state == 'writing' and self.rng.random() < 0.5:
                self.areas[w.p][w.generation] = w.place
            if w.state == 'running':
                if self.rng.random() < 0.5:
                    self.handlers.append(w)
                    if self.bug == 'a handler holds no lock':
                        self.held[w.p].discard(w.process)
                else:
                    self.held[w.p].discard(w.process)
            self.drop(m, w)
        self.gone(m)
        self.waiting.append(('driver', m))

    def evict(self, m):
        for p, w in list(self.members[m].items()):
            if self.owner[p] == m and self.rng.random() < 0.7:
                self.say('driver', 'evict', group='g', member=m, partition=f'T:{p}')
                self.areas[p].append(self.areas[p][-1])
                self.owner[p] = None
                self.held[p].discard(w.process)
                self.say('driver', 'evicted', group='g', member=m, partition=f'T:{p}', generation=len(self.areas[p]) - 1)

    def freeze(self, m):
        self.frozen.add(m)
        self.say('driver', 'freeze', member=m)
        self.say('driver', 'frozen', member=m)
        if self.bug == 'freezing frees a partition':
            for p in self.members[m]:
                self.owner[p] = None
                self.held[p].clear()

    def settle(self):
        """What was to be told later is told; handlers that outlived their members end."""
        for who, what in self.waiting:
            if who == 'driver':
                self.say('driver', 'killed', member=what, signal='KILL')
            elif who not in self.frozen:
                self.say(who, 'gave', **what)
        self.waiting = [x for x in self.waiting if x[0] in self.frozen]

    def show(self):
        self.say('driver', 'show', group='g')
        self.say('driver', 'shown', group='g', handlers=[f'T:{w.p}:{o}' for w in self.handlers for o in w.batch],
                 places={f'T:{p}': area[-1] for p, area in enumerate(self.areas)})

    def accident(self):
        m, what = self.rng.choice(list(self.members)), self.rng.random()
        if what < 0.25:
            self.kill(m)
        elif what < 0.5 and m not in self.frozen:
            self.freeze(m)
        elif what < 0.7 and self.frozen:
            self.evict(self.rng.choice(sorted(self.frozen)))
        elif self.frozen:
            m = self.rng.choice(sorted(self.frozen))
            self.say('driver', 'thaw', member=m)
            self.say('driver', 'thawed', member=m)
            self.frozen.discard(m)

    def turn(self, publish=0.4):
        while len(self.members) < self.want:
            self.join()
        dice = self.rng.random()
        if dice < publish:
            return self.publish()
        if dice < publish + 0.01:
            return self.accident()
        if dice < publish + 0.011:
            return self.grow() if len(self.log) < MOST else None
        if self.waiting and dice < publish + 0.03:
            return self.settle()
        if self.handlers and dice < publish + 0.05:
            w = self.handlers.pop()
            return self.ends(w, 'done') if w.process in self.held[w.p] or self.bug else None
        if dice < publish + 0.06:
            return self.show()
        m = self.rng.choice(list(self.members))
        return None if m in self.frozen else self.step(m)


def run(seed, events, bug=None, partitions=4, members=6):
    model = Model(seed, bug, partitions, members)
    while model.seq * 3 < events:
        model.turn()
    model.settle()
    model.show()
    for p, area in enumerate(model.areas):
        model.say('driver', 'final', group='g', partition=f'T:{p}', committed=area[-1], end=len(model.log[p]))
    return model.files
