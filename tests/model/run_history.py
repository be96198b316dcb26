#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Play a random history of a group with the real tools, and give it to the checker (history.py).

usage: run_history.py [--seed N] [--histories N] [--members N] [--seconds S] [--kind KIND] [--keep DIR]

One history is a line: its seed, what was played, what was found.  A seed repeats the schedule: who comes, what is done to whom, in
which order and after which pause; the kernel's timing it does not repeat.  Status 1 where something was found; the history and its
spool then lie in DIR.  --members: so many at the beginning and at the most, instead of 2 to 64."""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import history  # noqa: E402
from history_bed import BIN, GROUP, TOPIC, Bed, Looker, Member, Publisher, freeze  # noqa: E402
from history_cgroup import Cgroups  # noqa: E402
from history_plan import GROWTHS_MAX, KINDS, PARTITIONS_MAX, STRATEGIES, Plan  # noqa: E402

os.environ['PATH'] = BIN + ':' + os.environ['PATH']
class Play:
    def __init__(self, plan, directory, cgroups):
        self.plan, self.cgroups, self.bed = plan, cgroups, Bed(directory, plan.partitions)
        self.alive, self.gone, self.number, self.done, self.thaws = [], [], 0, {}, []
        self.partitions, self.growths = plan.partitions, 0
        self.publishers = []

    def begin(self):
        bed, plan = self.bed, self.plan
        os.mkdir(bed.spool)
        if bed.prefix:
            shutil.chown(bed.spool, *bed.ids)
        bed.watcher.start()
        bed.driver.say('group', group=GROUP, order=plan.order, assigned=True, **plan.sort())
        bed.must('mq-topic', 'create', '--partitions', str(plan.partitions), TOPIC)
        self.publishers = [Publisher(bed, n, random.Random(seed), plan.keys, plan.pause, plan.records // plan.publishers) for n, seed in enumerate(plan.publisher_seeds)]
        for _ in range(plan.members):
            self.join(plan.comer(plan.rng))

    def join(self, comer):
        kind, options = comer
        finishes = kind in ('exec', 'batch') or (kind not in ('pipe', 'manual') and self.plan.order != 'key')
        cgroup = self.cgroups.make() if self.plan.kind in ('handlers', 'share') else None
        env = {'MQ_WORK_US': str(self.plan.work_us), 'MQ_SLOW': str(self.plan.slow), 'MQ_FAIL': str(self.plan.fails)}
        member = Member(self.bed, self.number, kind, options, cgroup, env, finishes)
        member.expects |= {75} if self.plan.fails else set()
        self.alive.append(member)
        self.number += 1

    # One act each; `one` is whom it is done to.
    def act(self, what, which, comer, more):
        self.sweep()
        if what == 'join':
            if len(self.alive) < self.plan.members_max:
                self.join(comer)
            return
        if what in ('pause', 'kill_publisher', 'strategy', 'grow'):
            getattr(self, what)(which, more)
        elif len(self.alive) > 1 or (self.alive and what in ('stop', 'freeze')):
            one = self.alive[int(which * len(self.alive))]
            getattr(self, what)(one, more)

    def sweep(self):
        for member in [m for m in self.alive if m.look()]:
            self.alive.remove(member)
            self.gone.append(member)

    def end(self, member):
        self.alive.remove(member)
        self.gone.append(member)
        self.thaws = [x for x in self.thaws if x[1] is not member]

    def kill(self, one, _):
        one.kill()
        if one.stopped == 'whole':
            # A child that froze between fork and exec has all that its parent had open, locks too, until it comes to the exec.
            freeze(one.cgroup, False)
        self.end(one)

    def kill_all(self, one, more):
        if one.cgroup:
            one.kill_all()
            self.end(one)
        else:
            self.kill(one, more)

    def stop(self, one, more, whole=False):
        if not one.stopped:
            one.stop(True, whole and one.cgroup is not None)
            self.thaws.append((time.monotonic() + 0.05 + more * 1.5, one))

    def freeze(self, one, more):
        self.stop(one, more, True)

    def thaw(self, one):
        if one.stopped:
            one.stop(False, one.stopped == 'whole')

    def leave(self, one, more):
        self.thaw(one)
        one.leave(signal.SIGTERM if more < 0.7 else signal.SIGINT)
        one.left()
        self.end(one)

    def evict(self, one, _):
        self.bed.driver.say('evict', group=GROUP, member=one.name)
        done = self.bed.run('mq-group', 'evict', '--timeout', '1s', '-g', GROUP, '--member', str(one.proc.pid))
        if done.returncode == 0:
            one.expects = {75}  # and nothing else: nobody goes on as if nothing had been
            self.bed.driver.say('evicted', group=GROUP, member=one.name)
        elif done.returncode == 66:
            self.bed.driver.say('refused', op='evict')
        elif done.returncode == 75:  # of some of its partitions, perhaps: one that was stopped may hold a lock
            one.expects = {0, 75}
        else:
            self.bed.problem(f'mq-group evict: status {done.returncode}: {done.stderr.strip()}')

    def strategy(self, which, _):
        self.bed.must('mq-rebalance', '-g', GROUP, '--strategy', STRATEGIES[int(which * len(STRATEGIES))])

    def grow(self, which, more):
        """While all are at work.  One of seven is killed at it, and done again: what came of the first is then known, or it had been all."""
        to, barrier = self.plan.grown(which, self.partitions), more >= 0.15
        if to > PARTITIONS_MAX or self.growths == GROWTHS_MAX:
            return
        argv = ['mq-rebalance', TOPIC, '--partitions', str(to), '--json', '--timeout', '5s', *([] if barrier else ['--no-barrier'])]
        how = {'topic': TOPIC, 'from': self.partitions, 'to': to, 'barrier': barrier}
        if 0.15 <= more < 0.3:
            self.bed.driver.say('grow', **how)
            one = subprocess.Popen(self.bed.argv(*argv), env=self.bed.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep((more - 0.15) / 3)
            one.kill()
            one.wait()
        self.bed.driver.say('grow', **how)
        done = self.bed.run(*argv)
        if done.returncode == 0:
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            self.bed.driver.say('grown', topic=TOPIC, barriers={str(row['partition']): row['offset'] for row in rows if 'partition' in row})
        elif done.returncode == 75:
            self.bed.driver.say('refused', op='grow')
            return
        elif not (done.returncode == 64 and 'already' in done.stderr and 0.15 <= more < 0.3):
            self.bed.problem(f'mq-rebalance: status {done.returncode}: {done.stderr.strip()}')
            return
        self.partitions, self.growths = to, self.growths + 1

    def kill_publisher(self, which, _):
        self.publishers[int(which * len(self.publishers))].kill()

    def pause(self, _, more):
        self.wait(time.monotonic() + more)

    def wait(self, until):
        """Thaw who is to be thawed meanwhile."""
        while True:
            due = [at for at, _ in self.thaws if at <= until]
            time.sleep(max(0, min(due, default=until) - time.monotonic()))
            if not due:
                return
            for at, member in [x for x in self.thaws if x[0] <= time.monotonic()]:
                self.thaws.remove((at, member))
                self.thaw(member)

    def play(self):
        looker = Looker(self.bed, 0.5)
        began = time.monotonic()
        for when, what, which, comer, more in self.plan.acts:
            self.wait(began + when)
            self.act(what, which, comer, more)
            self.done[what] = self.done.get(what, 0) + 1
        looker.halt.set()
        looker.join()

    # The end: what was published is handled, everybody leaves, the places are looked at.
    def finish(self):
        for _, member in self.thaws:
            self.thaw(member)
        self.sweep()
        if not self.alive:
            self.join(self.plan.comer(self.plan.rng))
        for publisher in self.publishers:
            publisher.halt.set()
        for publisher in self.publishers:
            publisher.join(120)
        if self.plan.kind == 'pipe':  # its last records are not done before there are more
            self.all_leave()
            self.join(('exec', ()))
        self.drain()
        self.sweep()
        self.all_leave()
        for row in self.bed.show(self.bed.driver):
            self.bed.driver.say('final', group=GROUP, partition=f'{row["topic"]}:{row["partition"]}', committed=row['committed'] or 0, end=row['end'])
        self.bed.must('mq-check')

    def all_leave(self):
        for member in self.alive:
            member.leave()
        for member in self.alive:
            member.left()
        self.gone += self.alive
        self.alive = []

    def locks(self):
        """What is locked of the group's file: bytes as group.h tells them."""
        inode = os.stat(f'{self.bed.spool}/groups/{GROUP}/topics/{TOPIC}/locks').st_ino
        with open('/proc/locks', encoding='ascii') as lines:
            return [' '.join(line.split()[3:]) for line in lines if f':{inode} ' in line]

    def drain(self, patience=25):
        best, until = None, time.monotonic() + patience
        while (lag := self.bed.lag()) != 0:
            if best is None or (lag is not None and lag < best):
                best, until = lag, time.monotonic() + patience
            if time.monotonic() > until:
                rows = [f'{r["partition"]}: {r["committed"]} of {r["end"]} {r["owned"]} {r.get("pid")} {r.get("member")}' for r in self.bed.show() if r['lag']]
                tell = [f'{m.name} {m.proc.pid} {m.story()}' for m in self.alive]
                self.bed.problem(f'nothing moves for {patience} s: {rows}; {tell}; {self.locks()}')
                return
            time.sleep(0.05)
            self.sweep()
            if not self.alive:
                self.join(self.plan.comer(self.plan.rng))

    def clean(self):
        for member in self.alive + self.gone:
            for process in (member.proc, *member.helpers):
                if process.poll() is None:
                    process.send_signal(signal.SIGCONT)
                    process.kill()
                    process.wait()
        for publisher in self.publishers:
            publisher.halt.set()
            publisher.kill()
        self.cgroups.clear()


def one(plan, directory, cgroups):
    """(what was found, as lines; counts)"""
    play = Play(plan, directory, cgroups)
    try:
        play.begin()
        play.play()
        play.finish()
    finally:
        play.clean()
    files = history.load(play.bed.log)
    found = history.check(files, free=20.0)
    counts = {'records': sum(e['e'] == 'published' for events in files.values() for e in events),
              'runs': sum(e['e'] == 'begin' for events in files.values() for e in events), 'members': play.number, **play.done}
    return play.bed.problems + list(history.report(files, found)), counts


def run(seed, members, seconds, keep, cgroups, loud=False, kind=None):
    plan = Plan(seed, members, seconds, kind)
    directory = tempfile.mkdtemp(prefix=f'history-{seed}-', dir=keep)
    os.chmod(directory, 0o755)
    began = time.monotonic()
    found, counts = one(plan, directory, cgroups)
    told = f'{plan}; {", ".join(f"{n} {what}" for what, n in counts.items())}; {time.monotonic() - began:.1f} s'
    if found:
        told += f'; kept in {directory}'
    else:
        shutil.rmtree(directory)
    if loud or found:
        print(f'# {told}', *found[:60], sep='\n# ', flush=True)
    return told, found, counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    parser.add_argument('--histories', type=int, default=1)
    parser.add_argument('--members', type=int)
    parser.add_argument('--seconds', type=float)
    parser.add_argument('--keep')
    parser.add_argument('--kind', choices=list(KINDS))
    args = parser.parse_args()
    cgroups, bad = Cgroups(), 0
    for seed in range(args.seed, args.seed + args.histories):
        _, found, _ = run(seed, args.members, args.seconds, args.keep, cgroups, True, args.kind)
        bad += bool(found)
    cgroups.close()
    print(f'{args.histories} histories, {bad} with findings' + ('' if cgroups.root else '; no cgroups: nobody was frozen or killed by one'))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
