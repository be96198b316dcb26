# SPDX-License-Identifier: GPL-2.0-or-later
"""The same as history_random.py for a work queue (--share): members claim records one by one, have several in hand, acknowledge
them out of order, are killed, and their handlers may outlive them for a while.  run(seed, events, bug)."""
import random

BUGS = {
    'a claim is not looked at': {'two-owners', 'doubled'}, 'a record is acknowledged before it is done': {'lost'},
    'the place goes past a gap': {'lost', 'skipped'}, 'an acknowledgement is forgotten': {'doubled'},
    'a claim is void while the handler lives': {'two-owners'}, 'a failure is acknowledged': {'lost'},
    'the place is what was acknowledged last': {'lost', 'skipped', 'place-went-back'}}
PREFETCH = 3


class Queue:
    def __init__(self, seed, bug):
        self.rng, self.bug, self.now, self.files, self.seq = random.Random(seed), bug, 0, {}, 0
        self.log, self.claims, self.done, self.place, self.members, self.left = [], {}, set(), 0, {}, []
        self.say('driver', 'group', group='g', share=True, in_flight=PREFETCH)

    def say(self, process, event, **more):
        self.now += self.rng.randrange(10 ** 6)
        self.files.setdefault(process, []).append({'e': event, 't': self.now, **more})

    def name(self, kind):
        self.seq += 1
        return f'{kind}{self.seq}'

    def publish(self):
        id_ = self.name('r')
        self.say('publisher', 'publish', id=id_, topic='T')
        self.say('publisher', 'published', id=id_, at=f'T:0:{len(self.log)}')
        self.log.append(id_)

    def claim(self, m):
        mine, blind = self.members[m], self.bug == 'a claim is not looked at' and self.rng.random() < 0.05
        free = (o for o in range(self.place, len(self.log)) if o not in self.done and (blind or o not in self.claims) and o not in mine)
        o = next(free, None) if len(mine) < PREFETCH else None
        if o is not None:
            mine[o], self.claims[o] = [self.name('h'), 'begun'], m
            self.say(mine[o][0], 'begin', group='g', member=m, at=f'T:0:{o}', id=self.log[o])
            if self.bug == 'a record is acknowledged before it is done' and self.rng.random() < 0.05:
                self.acknowledge(m, o)

    def step(self, m):
        mine = self.members[m]
        if not mine or self.rng.random() < 0.4:
            return self.claim(m)
        o = self.rng.choice(list(mine))
        process, state = mine[o]
        if state == 'begun':
            status = 'done' if self.rng.random() < 0.9 else self.rng.choice(['fail', 'release'])
            self.say(process, 'end', group='g', at=f'T:0:{o}', status=status)
            if status == 'done' or self.bug == 'a failure is acknowledged':
                mine[o][1] = 'ended'
                return None
        else:
            self.acknowledge(m, o)
            if not (self.bug == 'an acknowledgement is forgotten' and self.rng.random() < 0.05):
                self.done.add(o)
        del mine[o]
        self.claims.pop(o, None)
        return self.follow(m, o)

    def acknowledge(self, m, o):
        self.say(m, 'ack', group='g', member=m, at=f'T:0:{o}')
        self.say(m, 'acked', group='g', at=f'T:0:{o}')

    def follow(self, m, o):
        """The place follows the lowest gap."""
        place = self.place
        while place in self.done or self.bug == 'the place goes past a gap' and place < o and self.rng.random() < 0.1:
            place += 1
        if self.bug == 'the place is what was acknowledged last' and o in self.done:
            place = o + 1
        if place != self.place:
            self.place = place
            self.say(m, 'commit', group='g', member=m, partition='T:0', offset=place)
            self.say(m, 'committed', group='g', partition='T:0')

    def kill(self, m):
        self.say('driver', 'kill', member=m, signal='KILL')
        for o, (process, state) in self.members.pop(m).items():
            if state == 'ended' and self.rng.random() < 0.5:
                self.say(m, 'ack', group='g', member=m, at=f'T:0:{o}')
                if self.rng.random() < 0.5:
                    self.done.add(o)  # it came to that
            lingers = state == 'begun' and self.rng.random() < 0.5
            if lingers:
                self.left.append((process, o))
            if not lingers or self.bug == 'a claim is void while the handler lives':
                self.claims.pop(o, None)
        if self.rng.random() < 0.5:
            self.say('driver', 'killed', member=m, signal='KILL')

    def turn(self):
        while len(self.members) < 8:
            m = self.name('m')
            self.members[m] = {}
            self.say(m, 'joined', group='g', member=m, pid=self.seq)
        dice = self.rng.random()
        if dice < 0.3:
            self.publish()
        elif dice < 0.31:
            self.kill(self.rng.choice(list(self.members)))
        elif dice < 0.35 and self.left:
            process, o = self.left.pop()
            self.say(process, 'end', group='g', at=f'T:0:{o}', status='done')
            self.claims.pop(o, None)
        else:
            self.step(self.rng.choice(list(self.members)))


def run(seed, events, bug=None):
    queue = Queue(seed, bug)
    while queue.seq * 3 < events:
        queue.turn()
    queue.say('driver', 'final', group='g', partition='T:0', committed=queue.place, end=len(queue.log))
    return queue.files
