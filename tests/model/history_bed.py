# SPDX-License-Identifier: GPL-2.0-or-later
"""What a history is made of, as it runs: a spool, members of a group, publishers, and who looks on (run_history.py).

Everybody records by himself: handlers in history_handler.c, members by what mq-consume -v says, publishers by what they gave and
what --confirm said; the driver what it did to whom.  As root all of it runs as a user of its own, so that inotify's instances are
its alone."""
import json
import os
import re
import selectors
import signal
import subprocess
import threading
import time
import zlib

from history_plan import PARTITIONS_MAX
from history_record import Recorder

BUILD = os.environ.get('MQ_BUILD') or os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../build')
BIN = os.path.join(BUILD, 'bin')
HANDLER = os.path.join(BUILD, 'tests/model/history_handler')
USER = 64123  # nobody else's
GROUP, TOPIC = 'g', 'T'
FORMAT = '%t %p %o %k %s\\n'


def digest(payload):
    return f'{zlib.crc32(payload):08x}'


class Bed:
    def __init__(self, directory, partitions):
        self.partitions = partitions
        self.directory, self.log = directory, os.path.join(directory, 'history')
        self.spool = os.path.join(directory, 'spool')
        os.mkdir(self.log)
        os.chmod(directory, 0o777)
        os.chmod(self.log, 0o777)
        self.env = dict(os.environ, MQ_SPOOL=self.spool, MQ_GROUP=GROUP)
        self.ids = (USER, USER)
        self.prefix = ['setpriv', f'--reuid={USER}', f'--regid={USER}', '--clear-groups'] if os.geteuid() == 0 else []
        self.driver, self.problems, self.lock = Recorder(self.log, 'driver'), [], threading.Lock()
        self.watcher = Watcher(self)

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def argv(self, *args):
        return [*self.prefix, *args]

    def run(self, *args, timeout=120, **more):
        return subprocess.run(self.argv(*args), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=timeout,
                              text=True, **more)

    def must(self, *args, **more):
        done = self.run(*args, **more)
        if done.returncode != 0:
            self.problem(f'{" ".join(args)}: status {done.returncode}: {done.stderr.strip()}')
        return done

    def show(self, log=None):
        """Rows of mq-group show, recorded as a look at all places."""
        if log:
            log.say('show', group=GROUP)
        done = self.run('mq-group', 'show', '--json', '-g', GROUP)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        rows = [row for row in rows if 'partition' in row]
        if log:
            places = {f'{r["topic"]}:{r["partition"]}': r['committed'] for r in rows if r.get('committed') is not None}
            log.say('shown', group=GROUP, places=places)
        if done.returncode not in (0, 66):
            self.problem(f'mq-group show: status {done.returncode}: {done.stderr.strip()}')
        return rows

    def lag(self):
        rows = self.show()
        return sum(r['end'] - (r.get('committed') or 0) for r in rows) if rows else None


class Watcher(threading.Thread):
    """Hears what members say on stderr: what they took and gave away."""

    SAID = re.compile(r'^mq-consume: (\S+:\d+): (?:(taken), from (\d+)|(given) to another member)')

    def __init__(self, bed):
        super().__init__(daemon=True)
        self.bed, self.selector = bed, selectors.DefaultSelector()
        self.wake, self.tell = os.pipe()
        self.selector.register(self.wake, selectors.EVENT_READ, None)

    def add(self, member):
        os.set_blocking(member.proc.stderr.fileno(), False)
        self.selector.register(member.proc.stderr, selectors.EVENT_READ, member)
        os.write(self.tell, b'.')

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    os.read(self.wake, 4096)
                else:
                    self.hear(key.fileobj, key.data)

    def hear(self, pipe, member):
        """All there is; then it is known to have said no more until a time."""
        at, some = time.monotonic_ns(), pipe.read()
        while some:
            member.tail += some
            at, some = time.monotonic_ns(), pipe.read()
        *lines, member.tail = member.tail.split(b'\n')
        member.hear([line.decode(errors='replace') for line in lines], self.SAID, at)
        if some == b'':
            self.selector.unregister(pipe)
            member.silent.set()


class Member:
    """One mq-consume; kind: exec, jobs, batch, coproc, pipe, manual."""

    def __init__(self, bed, number, kind, options=(), cgroup=None, env=(), finishes=True):
        self.bed, self.name, self.kind, self.cgroup, self.finishes = bed, f'm{number}', kind, cgroup, finishes
        self.tail, self.said, self.silent, self.stopped, self.expects = b'', [], threading.Event(), False, {0}
        self.log, self.helpers, self.ended, self.heard_ns = Recorder(bed.log, self.name), [], False, time.monotonic_ns()
        self.env = dict(bed.env, MQ_MEMBER=self.name, MQ_HISTORY=f'{bed.log}/{self.name}.handlers', **dict(env))
        bed.driver.say('join', group=GROUP, member=self.name)
        self.start(list(options))
        bed.driver.say('joined', group=GROUP, member=self.name, pid=self.proc.pid, **self.bound(options))
        bed.watcher.add(self)

    def bound(self, options):
        """How many records it may have in hand: each partition has a coproc of its own.  By key there is no bound to what is done behind
        a record that takes its time."""
        given = {name: int(n) for name, n in zip(options, options[1:]) if name in ('-j', '--prefetch', '--batch')}
        if '--share' in options:  # what it has taken, until that it is done was written: with what it takes next
            most = (given.get('-j', 1) + given.get('--prefetch', 0)) * given.get('--batch', 1) * (PARTITIONS_MAX if self.kind == 'coproc' else 1)
        else:
            most = {'exec': 1, 'batch': given.get('--batch'), 'jobs': None if '--prefetch' in given else given.get('-j'),
                    'coproc': given.get('--prefetch', 64) * PARTITIONS_MAX}.get(self.kind)
        return {'in_flight': most} if most else {}

    def start(self, options):
        consume = ['mq-consume', '-v', '-f', '-g', GROUP, *options]
        handler = {'exec': ['--', HANDLER], 'jobs': ['--', HANDLER], 'coproc': ['--coproc', '--format', FORMAT, '--', HANDLER, 'coproc'],
                   'batch': ['--format', FORMAT, '--', HANDLER, 'lines']}.get(self.kind)
        topic = [TOPIC]
        if handler:
            at = handler.index('--')
            self.proc = self.popen([*consume, *handler[:at], *topic, *handler[at:]], stdout=subprocess.DEVNULL)
            return
        form = ['--manual'] if self.kind == 'manual' else ['--format', FORMAT]
        self.proc = self.popen([*consume, *form, *topic], stdout=subprocess.PIPE)
        out = subprocess.PIPE if self.kind == 'manual' else subprocess.DEVNULL
        self.helpers.append(self.popen([HANDLER, self.kind], stdin=self.proc.stdout, stdout=out, quiet=True))
        self.proc.stdout.close()
        if self.kind == 'manual':
            self.helpers.append(self.popen(['mq-group', 'commit', '-g', GROUP], stdin=self.helpers[0].stdout, stdout=subprocess.DEVNULL, quiet=True))
            self.helpers[0].stdout.close()

    def popen(self, argv, stdin=subprocess.DEVNULL, stdout=None, quiet=False):
        argv = self.bed.argv(*argv)
        if self.cgroup:
            argv = ['sh', '-c', 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"', 'sh', self.cgroup, *argv]
        return subprocess.Popen(argv, env=self.env, stdin=stdin, stdout=stdout, start_new_session=True,
                                stderr=subprocess.DEVNULL if quiet else subprocess.PIPE)

    def hear(self, lines, pattern, at):
        """All that it said until `at`.  What it took it says afterwards, what it gives before: so it owned it from then, and until when
        it had not said so yet.  (That it is gone may be some microseconds early: only what takes seconds goes by that.)"""
        self.said += lines
        had, has = set(), {}
        for said in filter(None, map(pattern.match, lines)):
            if said[2]:
                has[said[1]] = int(said[3])
            elif said[1] in has:
                del has[said[1]]
            else:
                had.add(said[1])
        # Some time since it was heard last, and not at the moment of what it said before; when it gave what it took again it never said.
        for event, some, t in (('give', had, self.heard_ns), ('take', has, self.heard_ns), ('gave', had - set(has), at)):
            for p in sorted(some):
                self.log.say(event, group=GROUP, member=self.name, partition=p, t=t)
        for p, offset in has.items():
            self.log.say('took', group=GROUP, member=self.name, partition=p, offset=offset, t=at)
        self.heard_ns = at

    # What is done to it.
    def kill(self):
        """Its worker in a pipe first: what that has in hand is nobody's lock to hold."""
        self.ended = True
        self.bed.driver.say('kill', pid=self.proc.pid, signal='KILL')
        for helper in self.helpers[:1]:
            helper.kill()
            helper.wait()
        self.proc.kill()
        self.proc.wait()
        self.bed.driver.say('killed', pid=self.proc.pid, signal='KILL')
        self.reap()

    def kill_all(self):
        """cgroup.kill: it and all that it started, at one instant."""
        self.ended = True
        self.bed.driver.say('kill', pid=self.proc.pid, signal='KILL')
        write(f'{self.cgroup}/cgroup.kill', '1')
        self.proc.kill()  # it may not have come there yet
        self.proc.wait()
        self.bed.driver.say('killed', pid=self.proc.pid, signal='KILL')
        self.reap()

    def stop(self, on, whole):
        if self.proc.poll() is not None:
            return
        event = ('freeze', 'frozen') if on else ('thaw', 'thawed')
        self.bed.driver.say(event[0], pid=self.proc.pid)
        if whole:
            freeze(self.cgroup, on)
        else:
            os.kill(self.proc.pid, signal.SIGSTOP if on else signal.SIGCONT)
        self.bed.driver.say(event[1], pid=self.proc.pid)
        self.stopped = ('whole' if whole else 'one') if on else False

    def leave(self, number=signal.SIGTERM):
        self.ended = True
        self.bed.driver.say('leave', group=GROUP, member=self.name)
        self.proc.send_signal(number)

    def left(self, timeout=60):
        """After leave: it ended by the signal, or said why not.  Not everybody finishes all that he had begun: of a pipe it counts at a
        stop what its reader has come back after, of --manual what is acknowledged, and by key what is done behind a record that was not begun is given out again."""
        try:
            status = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self.bed.problem(f'{self.name}: does not end after a signal: {self.story()}')
            return self.kill()
        good = status in (-signal.SIGTERM, -signal.SIGINT, *self.expects)
        self.bed.driver.say('left', group=GROUP, member=self.name, status=0 if self.finishes and status < 0 else status)
        self.reap()
        if not good:
            self.bed.problem(f'{self.name}: status {status} after a signal: {self.story()}')

    def look(self):
        """Did it end by itself?"""
        if self.ended or self.proc.poll() is None:
            return False
        self.ended = True
        status = self.proc.returncode
        self.bed.driver.say('left', group=GROUP, member=self.name, status=status)
        self.reap()
        if status not in self.expects:
            self.bed.problem(f'{self.name} ({self.kind}): ended with {status}: {self.story()}')
        return True

    def reap(self):
        for helper in self.helpers:
            try:
                helper.wait(30)
            except subprocess.TimeoutExpired:
                self.bed.problem(f'{self.name}: what stands behind it in its pipe does not end')
                helper.kill()
                helper.wait()
        self.silent.wait(10)

    def story(self):
        return ' | '.join(self.said[-6:])


def write(path, text):
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)


def freeze(cgroup, on, timeout=30):
    write(f'{cgroup}/cgroup.freeze', '1' if on else '0')
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        with open(f'{cgroup}/cgroup.events', encoding='ascii') as file:
            if f'frozen {int(on)}' in file.read():
                return
        time.sleep(0.001)
    raise OSError(f'{cgroup} does not freeze')


class Publisher(threading.Thread):
    """Keyed records in bursts, each confirmed before the next; killed, it comes again."""

    def __init__(self, bed, number, rng, keys, pause, most):
        super().__init__(daemon=True)
        self.bed, self.name, self.rng, self.keys, self.pause, self.most = bed, f'p{number}', rng, keys, pause, most
        self.log, self.halt, self.proc, self.number, self.kills = Recorder(bed.log, self.name), threading.Event(), None, 0, 0
        self.start()

    def line(self):
        self.number += 1
        size = self.rng.choice((0, 10, 100, 100, 300, 5000))
        key, id_ = f'k{self.rng.randrange(self.keys)}', f'{self.name}.{self.number}'
        payload = f'{id_}:{"x" * size}'.encode()
        self.log.say('publish', id=id_, topic=TOPIC, key=key, sum=digest(payload))
        return id_, key.encode() + b':' + payload + b'\n'

    def burst(self):
        some = [self.line() for _ in range(self.rng.choice((1, 1, 2, 5, 20)))]
        self.proc.stdin.write(b''.join(text for _, text in some))
        self.proc.stdin.flush()
        for id_, _ in some:
            said = self.proc.stdout.readline().decode().split()
            if not said:
                return False
            self.log.say('published', id=id_, at=said[0])
        return True

    def session(self):
        self.proc = subprocess.Popen(self.bed.argv('mq-publish', '--confirm', '--ack', self.rng.choice(('written', 'durable')), '-K', ':', TOPIC),
                                     env=self.bed.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            while not self.halt.is_set() and self.number < self.most and self.burst():
                self.halt.wait(self.rng.random() * self.pause)
            self.proc.stdin.close()
        except BrokenPipeError:
            pass
        status = self.proc.wait(60)
        if status != 0 and not (status == -9 and self.kills):
            self.bed.problem(f'{self.name}: status {status}: {self.proc.stderr.read().decode()}')

    def run(self):
        try:
            while not self.halt.is_set() and self.number < self.most:
                self.session()
        except Exception as error:  # a thread's end must be heard
            self.bed.problem(f'{self.name}: {error!r}')

    def kill(self):
        self.kills += 1
        if self.proc and self.proc.poll() is None:
            self.proc.kill()


class Looker(threading.Thread):
    """Looks at the group's places, over and over."""

    def __init__(self, bed, pause):
        super().__init__(daemon=True)
        self.bed, self.log, self.halt, self.pause = bed, Recorder(bed.log, 'looker'), threading.Event(), pause
        self.start()

    def run(self):
        try:
            while not self.halt.wait(self.pause):
                self.bed.show(self.log)
        except Exception as error:
            self.bed.problem(f'looker: {error!r}')
