# SPDX-License-Identifier: GPL-2.0-or-later
"""What a seed says is to be played (run_history.py): who comes, what is done to whom, in which order and after which pause."""
import random
import subprocess

# Of whom a history is.  Of a pipe it counts what was taken, of --manual's worker no lock knows, who shares keeps no order: they
# have histories of their own.
KINDS = {'handlers': 8, 'share': 4, 'manual': 1, 'pipe': 1}
HANDLERS = {'exec': 6, 'jobs': 3, 'coproc': 3, 'batch': 2}
# What is done, and how often among others.
ACTS = {'kill': 5, 'kill_all': 3, 'stop': 4, 'freeze': 3, 'join': 8, 'leave': 4, 'kill_publisher': 1, 'pause': 2}
BUILT = {'strategy': (2, 'mq-rebalance', '--strategy'), 'evict': (3, 'mq-group', 'evict'), 'grow': (1.5, 'mq-rebalance', '--partitions')}
STRATEGIES = ('average', 'circle', 'sticky', 'hash')
PARTITIONS_MAX, GROWTHS_MAX = 48, 4
KNOWN = {}


def can(tool, words):
    """Is it built yet?"""
    if (tool, words) not in KNOWN:
        try:
            said = subprocess.run([tool, '--help'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True).stdout
        except FileNotFoundError:
            said = ''
        KNOWN[tool, words] = words in said
    return KNOWN[tool, words]


class Plan:
    def __init__(self, seed, members=None, seconds=None, kind=None):
        rng = random.Random(seed)
        self.seed, self.partitions = seed, rng.choice((1, 2, 3, 4, 8, 16, 24))
        self.members_max = members or rng.choice((2, 3, 4, 6, 8, 8, 16, 16, 32, 64))
        self.members = members or max(1, rng.randint(self.members_max // 2, self.members_max))
        drawn = rng.choices(list(KINDS), list(KINDS.values()))[0]
        self.kind = kind or drawn
        self.order = 'none' if self.kind == 'share' else rng.choice(('partition', 'partition', 'key'))
        self.keys, self.publishers = rng.choice((1, 5, 40)), rng.randint(1, 3)
        self.pause = rng.choice((0.02, 0.1, 0.3))
        self.work_us, self.slow = rng.choice((0, 500, 5000, 20000)), rng.choice((0, 0, 5))
        self.fails = rng.choice((0, 0, 0, 5)) if self.kind in ('handlers', 'share') else 0
        self.seconds = seconds or rng.choice((3, 5, 8))
        self.records = int(10e6 / (3000 + self.work_us / 2))  # what one partition works off in ten seconds
        self.acts = list(self.schedule(rng))
        self.publisher_seeds = [rng.randrange(1 << 30) for _ in range(self.publishers)]
        self.rng = rng

    def schedule(self, rng):
        """(when, what, whose number among those that live, what it is that comes, more)"""
        acts = dict(ACTS, **{what: often * can(tool, words) for what, (often, tool, words) in BUILT.items()})
        if self.kind in ('manual', 'pipe'):  # who stops one of a pipe does not stop the other
            acts.update(freeze=0, kill_all=0)
        if self.kind == 'share':
            acts.update(strategy=0)
        when, mean = 0.0, rng.choice((0.05, 0.15, 0.4))
        while when < self.seconds:
            when += rng.expovariate(1 / mean)
            what = rng.choices(list(acts), list(acts.values()))[0]
            yield when, what, rng.random(), self.comer(rng), rng.random()

    def comer(self, rng):
        if self.kind in ('manual', 'pipe'):
            return self.kind, ()
        kind = rng.choices(list(HANDLERS), list(HANDLERS.values()))[0]
        jobs, most = rng.choice((2, 4, 8)), rng.choice((1, 4, 32))
        if self.kind == 'share':
            ahead = rng.choice((0, 0, 2, 16))
            more = {'jobs': ('-j', str(jobs)), 'batch': ('--batch', str(rng.choice((2, 10)))), 'coproc': ('-j', str(rng.choice((1, 2))))}
            return kind, ('--share', *(('--prefetch', str(ahead)) if ahead else ()), *more.get(kind, ()))
        if kind == 'jobs':
            return kind, ('-j', str(jobs), '--order', self.order, *(('--prefetch', str(2 * jobs)) if self.order == 'key' else ()))
        if kind == 'batch':
            return kind, ('--batch', str(rng.choice((2, 10))))
        return kind, ('--prefetch', str(most)) if kind == 'coproc' else ()

    def sort(self):
        """What holds of its group, for the checker."""
        return {'share': {'share': True}, 'handlers': {}}.get(self.kind, {'reader': self.kind})

    def grown(self, which, partitions):
        """How many partitions come of so many: most often a multiple."""
        ways = (2 * partitions,) * 4 + (3 * partitions, partitions + 1 + int(which * 997) % 5)
        return ways[int(which * len(ways))]

    def __str__(self):
        return (f'seed {self.seed}: {self.partitions} partitions, {self.members} of {self.members_max} members ({self.kind}, by {self.order}), '
                f'{self.publishers} publishers, {self.keys} keys, {self.work_us} us, {self.fails} of 1000 fail, {self.seconds} s, {len(self.acts)} acts')
