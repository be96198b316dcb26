#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads what the recording filling wrote (lib/sys/record.h has the format).

    sys_trace.py show TRACE          one line an entry
    sys_trace.py replay TRACE DIR    do again, in the empty directory DIR, what changed the root

A replay needs nothing but the trace: what it makes must equal what the recorded processes made.
"""
import os
import re
import sys

_HEADER = re.compile(rb'@mq 1 (\d+) (\d+) (\S+)((?: [^ =]+=\S*)*) = (-?\d+) (\d+)\n')


class Torn(Exception):
    """An entry whose writer was killed in the middle of it."""


class Entry:
    def __init__(self, match, data):
        self.pid, self.seq, self.call = int(match[1]), int(match[2]), match[3].decode()
        self.args = dict(unescape(word).split('=', 1) for word in match[4].decode().split())
        self.result, self.data = int(match[5]), data

    def __str__(self):
        args = ' '.join('%s=%s' % pair for pair in self.args.items())
        return '%d %d %s %s = %d (%d bytes)' % (
            self.pid, self.seq, self.call, args, self.result, len(self.data))


def unescape(word):
    return re.sub('%([0-9A-F]{2})', lambda m: os.fsdecode(bytes([int(m[1], 16)])), word)


def parse(trace, torn_is_an_error=True):
    """Yield each Entry of these bytes.  What a killed process left torn is stepped over, to the
    next header, if that is wanted."""
    at = 0
    while at < len(trace):
        match = _HEADER.match(trace, at)
        end = match.end() + int(match[6]) if match else 0
        if match and trace[end:end + 1] == b'\n':
            yield Entry(match, trace[match.end():end])
            at = end + 1
            continue
        if torn_is_an_error:
            raise Torn('torn entry at byte %d: %r' % (at, trace[at:at + 60]))
        at = trace.find(b'@mq 1 ', at + 1)
        if at < 0:
            return


class Replay:
    """The tree of the root, made again.  Files are known by their identity, as open files are: what
    is written through a descriptor goes to its file whatever that is called by then.  A write without
    a position is taken to append."""

    def __init__(self, root):
        self.root = root
        self.open = {}  # id → descriptor, of everything that was ever opened or made

    def path(self, name):
        return os.path.join(self.root, name)

    def opened(self, e):
        flags = int(e.args['flags'], 16)
        if 'file' not in e.args or os.path.isabs(e.args['file']) or e.args['id'] in self.open:
            return
        path, mode = self.path(e.args['file']), int(e.args['mode'], 8)
        if flags & os.O_CREAT:
            self.open[e.args['id']] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode)
        elif not os.path.isdir(path):
            self.open[e.args['id']] = os.open(path, os.O_RDWR | os.O_NOFOLLOW)

    def written(self, e, at):
        fd = self.open.get(e.args.get('id'))
        if fd is None or e.result <= 0:
            return
        if at is None:
            at = os.lseek(fd, 0, os.SEEK_END)
        os.pwrite(fd, e.data[:e.result], at)

    def step(self, e):
        args, done = e.args, e.result >= 0
        if e.call in ('openat', 'open_path') and done:
            self.opened(e)
        elif e.call in ('write', 'writev'):
            self.written(e, None)
        elif e.call in ('pwrite', 'pwritev'):
            self.written(e, int(args['at']))
        elif e.call in ('mkdirat', 'mkdir_path') and done and not os.path.isabs(args['path']):
            os.makedirs(self.path(args['path']), int(args['mode'], 8), exist_ok=args['path'] == '.')
        elif e.call == 'renameat' and done:
            os.rename(self.path(args['from']), self.path(args['to']))
        elif e.call == 'unlinkat' and done:
            (os.rmdir if args['directory'] == '1' else os.unlink)(self.path(args['path']))
        elif e.call == 'fallocate' and done and args.get('id') in self.open:
            os.posix_fallocate(self.open[args['id']], int(args['at']), int(args['len']))


def main(verb, trace, *rest):
    with open(trace, 'rb') as file:
        entries = parse(file.read())
    if verb == 'show':
        for entry in entries:
            print(entry)
    elif verb == 'replay':
        replay = Replay(rest[0])
        for entry in entries:
            replay.step(entry)
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
