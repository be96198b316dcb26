# SPDX-License-Identifier: GPL-2.0-or-later
"""Small file systems that fill up, and who publishes to them: what kernel_enospc.t is about."""
import collections
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import kernel_fs  # noqa: E402
import reader  # noqa: E402
from kernel_test import WRITER, with_parent  # noqa: E402

SIZE, ROOM, SPARE = {'ext4': 32 << 20, 'xfs': 320 << 20}, 12 << 20, 6 << 20
SECONDS = 60


def mq(*argv, status=(0,), data=None):
    done = subprocess.run(argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    assert done.returncode in status, '%s: status %d: %s' % (' '.join(argv), done.returncode, done.stderr.decode())
    return done.stdout.decode()


def until(what, true):
    """Look until it is true; the tests have no event for it."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, 'not in %d s: %s' % (SECONDS, what)
        time.sleep(0.01)


def small(kind):
    """A file system with ROOM bytes, SPARE in a file that the operator can delete, and what else there is in another."""
    fs = kernel_fs.FileSystem(kind, SIZE[kind])
    fs.mount()
    for name, size in ('spare', SPARE), ('ballast', None):
        fd = os.open('%s/%s' % (fs.at, name), os.O_WRONLY | os.O_CREAT)
        free = os.fstatvfs(fd)
        os.posix_fallocate(fd, 0, size or free.f_bavail * free.f_bsize - ROOM)
        os.close(fd)
    return fs


def fill_up(fs):
    """Something else takes what is left, to the last block."""
    fd = os.open(fs.at + '/ballast', os.O_WRONLY | os.O_APPEND)
    try:
        for piece in 1 << 20, 1 << 16, 4096, 1:
            try:
                while True:
                    os.write(fd, bytes(piece))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
        os.fsync(fd)
    finally:
        os.close(fd)


def make_room(fs, size=1 << 20):
    """So many bytes of that are given back."""
    at = fs.at + '/ballast'
    os.truncate(at, os.stat(at).st_size - size)


class Filler:
    """A publisher that appends until it is told that there is no space, and then tries that very append again."""

    def __init__(self, directory, reports, number):
        self.process = subprocess.Popen([WRITER, 'fill', directory, reports, str(number)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, preexec_fn=with_parent, universal_newlines=True)

    def said(self, word):
        line = self.process.stdout.readline()
        assert line.startswith(word + ' '), 'not "%s" but "%s"' % (word, line.strip())
        return line

    def again(self):
        self.process.stdin.write('again\n')
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0


class Waiting:
    """A publisher that waits for space.  Its records say who it is and which; fed until it is told to end."""

    def __init__(self, name, size, *argv):
        self.name, self.size, self.fed, self.last, self.at = name, size, 0, False, []
        self.process = subprocess.Popen(['mq-publish', '--confirm', *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, preexec_fn=with_parent)
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.feed, self.listen)]
        for thread in self.threads:
            thread.start()

    def feed(self):
        try:
            while not self.last:
                self.process.stdin.write(b'%s %d %s\n' % (self.name.encode(), self.fed, b'x' * self.size))
                self.process.stdin.flush()
                self.fed += 1
            self.process.stdin.close()
        except BrokenPipeError:
            assert self.process.wait() == -signal.SIGKILL

    def listen(self):
        for line in self.process.stdout:
            self.at.append(line.decode().rstrip('\n'))

    def kill(self):
        self.process.kill()
        self.threads[1].join()

    def end(self):
        """What it was fed is all confirmed."""
        self.last = True
        for thread in self.threads:
            thread.join(SECONDS)
        status = self.process.wait(timeout=SECONDS)
        assert status == 0 and len(self.at) == self.fed, (
            '%s: status %d, fed %d, confirmed %d: %s' % (self.name, status, self.fed, len(self.at), self.process.stderr.read()))


class Impatient:
    """Runs a publisher again and again that does not wait: 0 or 75, and 75 stores nothing of what it does not confirm."""

    def __init__(self, name, topic):
        self.name, self.topic, self.tried, self.full = name, topic, 0, 0
        self.ends, self.may, self.idle, self.fault, self.held = *(threading.Event() for _ in range(3)), None, {}
        self.may.set()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            while not self.ends.is_set():
                if not self.may.is_set():
                    self.idle.set()
                    self.may.wait()
                    self.idle.clear()
                self.once()
                self.ends.wait(0.02 if self.full else 0.002)
        except Exception as error:  # told by end()
            self.fault = error

    def once(self):
        lines = ['%s %d %s' % (self.name, self.tried + i, 'y' * 5000) for i in range(20)]
        done = subprocess.run(['mq-publish', '-q', '--confirm', self.topic], input='\n'.join(lines).encode() + b'\n',
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS, check=False)
        said = done.stdout.decode().splitlines()
        held = [line for line in said if line.startswith(self.topic + ':')]
        assert done.returncode in (0, 75) and held == said[:len(held)], '%s: status %d: %s' % (
            self.name, done.returncode, done.stderr.decode())
        assert (len(held) == len(lines)) == (done.returncode == 0), 'status %d, %d confirmed' % (done.returncode, len(held))
        self.held.update(zip(held, lines))
        self.full += done.returncode == 75
        self.tried += len(lines)

    def rest(self):
        self.may.clear()
        while not self.idle.wait(0.1):
            assert self.thread.is_alive(), self.fault

    def go(self):
        self.may.set()

    def end(self):
        self.ends.set()
        self.may.set()
        self.thread.join(SECONDS)
        if self.fault:
            raise self.fault


def stored(topic):
    """{position: line} as the tools read it."""
    found = {}
    for line in mq('mq-consume', '--json', topic).splitlines():
        o = json.loads(line)
        found['%s:%d:%d' % (topic, o['partition'], o['offset'])] = o['payload']
    return found


def committed(group, topic):
    return {o['partition']: (o['committed'], o['end']) for o in map(json.loads, mq('mq-group', 'show', '-g', group, '--json',
                                                                                  topic).splitlines())}


def behind_the_tail(fs):
    """How many bytes a publisher left behind the published tails that did not get all of its batch written."""
    left = 0
    for number in 0, 1:
        p = reader.Partition(fs.at + '/spool', 'orders', number)
        left += max(0, len(p.head.data) - p.state.tail['pos']) if p.state.tail else 0
    return left


class Load:
    """Three publishers that wait, two that do not, and a group that follows."""

    def __init__(self, fs):
        self.fs, self.out = fs, os.path.abspath('followed')
        os.environ['MQ_SPOOL'] = fs.at + '/spool'
        mq('mq-topic', 'create', 'orders', '--partitions', '2', '-X', 'when.full=block', '-X', 'segment.bytes=2M')
        mq('mq-topic', 'create', 'quick', '-X', 'when.full=fail')
        mq('mq-publish', 'old', data=b'z' * 999 + b'\n')
        mq('mq-publish', 'old', data=(b'z' * 999 + b'\n') * (SPARE // 1000))
        mq('mq-publish', '-k', 'a', '-m', 'first', 'orders')
        mq('mq-consume', '-g', 'late', '-n', '1', 'orders')
        with open(self.out, 'wb') as out:
            self.group = subprocess.Popen(['mq-consume', '-f', '-g', 'till', '--json', 'orders'], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.PIPE, preexec_fn=with_parent)
        self.waiting = [Waiting('a', 3000, 'orders:0'), Waiting('b', 700, '-k', 'b', 'orders'),
                        Waiting('c', 20000, '-k', 'c', '--ack', 'written', 'orders')]
        self.impatient = [Impatient('d', 'quick'), Impatient('e', 'quick')]

    def confirmed(self):
        return [len(p.at) for p in self.waiting]

    def wait_until_full(self):
        """No publisher gets on: those that do not wait were told twice, those that wait stand still."""
        fill_up(self.fs)
        seen = []

        def still():
            seen.append((self.confirmed(), [len(p.held) for p in self.impatient]))
            return len(seen) > 100 and all(s == seen[-1] for s in seen[-60:])

        told = [p.full for p in self.impatient]
        until('the disk is full', still)
        until('who does not wait is told so', lambda: all(p.full >= t + 2 for p, t in zip(self.impatient, told)))
        assert all(p.process.poll() is None for p in self.waiting), 'a publisher that ought to wait ended'

    def wait_for_group(self):
        """It has printed, and committed, all that is visible."""
        def caught_up():
            assert self.group.poll() is None, self.group.stderr.read()
            places = committed('till', 'orders').values()
            return all(at == end for at, end in places)
        until('the group has committed all', caught_up)

    def followed(self):
        with open(self.out, encoding='utf-8') as out:
            return ['orders:%d:%d' % (o['partition'], o['offset']) for o in map(json.loads, out)]


def verify(load, killed):
    """All that was confirmed is there where it was said to be, each once, in order; of the killed ones no more than was fed."""
    orders, quick = stored('orders'), stored('quick')
    for publisher in load.waiting + killed:
        mine = [int(line.split(' ')[1]) for at, line in sorted(orders.items(), key=lambda i: int(i[0].split(':')[2]))
                if line.startswith(publisher.name + ' ')]
        assert mine == list(range(len(mine))), '%s: not each once and in order: %d records' % (publisher.name, len(mine))
        assert len(mine) >= len(publisher.at), '%s: %d confirmed, %d stored' % (publisher.name, len(publisher.at), len(mine))
        assert publisher in killed or len(mine) == publisher.fed, '%s: fed %d, stored %d' % (publisher.name, publisher.fed, len(mine))
        for number, at in enumerate(publisher.at):
            want = '%s %d %s' % (publisher.name, number, 'x' * publisher.size)
            assert orders.get(at) == want, '%s: %s is not what was confirmed there' % (publisher.name, at)
    held = collections.ChainMap(*(p.held for p in load.impatient))
    assert quick == dict(held), 'what was answered with 75 is there, or what was confirmed is not: %d stored, %d confirmed, first %s' % (
        len(quick), len(held), sorted(quick.keys() ^ held.keys())[:3])
    found = [o for o in map(json.loads, mq('mq-check', '--json').splitlines()) if o['kind'] in ('damage', 'config', 'lost')]
    assert not found, found
    agreed = subprocess.run([os.path.dirname(HERE) + '/lib/agree.py', load.fs.at], stdout=subprocess.PIPE, check=False)
    assert agreed.returncode == 0, agreed.stdout.decode()
    return len(orders), len(quick)
