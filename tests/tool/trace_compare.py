# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the recording of a program (lib/sys/record.h) with what strace saw of the same run, call by call.

Each entry is one writev of the thread that made the call.  So the system calls of a thread between two such writes must
be, in this order and with nothing left over:

  - what is the C library's or the tool's own, by the rule of Outside, below;
  - what the entry stands for (trace_table.py), with its arguments and its result;

where what the recording itself does is passed over: one getpid an entry; readlink of /proc/self/fd/N, and for a path
from outside the spool of each of its parts; statx that asks for no mount (the library always asks); its mutex, a private
futex.  An unlock comes behind its entry.  What a process does before its first entry is the loader's: nothing of the library has run."""
import os
import re

import sys_trace
import trace_table

RECORDING_STATX = 0x7ff | 0x800
THREAD, VFORK = 0x10000, 0x4000
PRIVATE = 0x80
ANONYMOUS = 0x20
FUTEX_WAIT_BITSET_REALTIME = 9 | 0x100


class Outside:
    """What a process may ask of the kernel past the table:

      memory     brk; mmap of nothing (fd -1), and mprotect, madvise, mremap, munmap of such memory; 8 bytes of getrandom
                 that may fail (malloc's); sysinfo (qsort's)
      threads    futexes that are private; waiting for the end of a thread it has started; clone of a thread, rseq,
                 set_robust_list, madvise, exit; rt_sigprocmask in the call that starts a thread, and before the first and
                 after the last call of the thread; rt_sigaction of the C library's own two signals
      jansson    4 bytes of /dev/urandom, once
      cli.c      fcntl(F_GETFD) of 0, 1, 2; rt_sigaction of INT, TERM, HUP, PIPE, XFSZ; geteuid; isatty
      stdio      fstat of and write to 2, and 1 where the library does not write there; close of 1
      mq-bench   memfd_create, /dev/null and pipe2, and what is done to these descriptors; its number
      mq         its own place, and the program that it becomes
      the end    exit_group, return from a signal's handler
    """

    def __init__(self, tool, library_writes):
        self.tool, self.library_writes = tool, library_writes
        self.areas, self.threads, self.own, self.seed = [], set(), set(), None

    def allows(self, call, alone):
        """alone: this thread has made no call of the table yet, or makes no more."""
        rule = getattr(self, 'on_' + call.name, None)
        return bool(rule and rule(call, alone))

    # memory

    def on_brk(self, _call, _alone):
        return True

    def on_mmap(self, call, _alone):
        if call.number(4) != -1 or not call.number(3) & ANONYMOUS:
            return False
        if call.result > 0:
            self.areas.append((call.result, call.result + call.number(1)))
        return True

    def of_area(self, call, _alone):
        return any(begin <= call.number(0) < end for begin, end in self.areas)

    on_munmap = on_madvise = of_area

    def on_mprotect(self, call, alone):
        return self.of_area(call, alone)

    def on_mremap(self, call, alone):
        known = self.of_area(call, alone)
        if known and call.result > 0:
            self.areas.append((call.result, call.result + call.number(2)))
        return known

    def on_sysinfo(self, _call, _alone):
        return True

    def on_getrandom(self, call, _alone):
        return call.number(1) == 8 and call.number(2) == 1

    # threads

    def on_futex(self, call, _alone):
        op = call.number(1)
        return bool(op & PRIVATE) or op == FUTEX_WAIT_BITSET_REALTIME and call.number(2) in self.threads

    def on_clone3(self, call, _alone):
        flags = call.field(0, 'flags')
        if call.result and call.result > 0:
            self.threads.add(call.result)
        return bool(flags & THREAD)

    def on_rt_sigprocmask(self, _call, alone):
        return alone

    def on_rseq(self, _call, alone):
        return alone

    on_set_robust_list = on_exit = on_rseq

    # cli.c and stdio

    def on_fcntl(self, call, _alone):
        return call.number(0) in (0, 1, 2) and call.number(1) == 1 or self.of_bench(call)

    def on_rt_sigaction(self, call, _alone):
        return call.number(0) in (1, 2, 13, 15, 25, 32, 33)

    def on_geteuid(self, _call, _alone):
        return True

    def on_ioctl(self, call, _alone):
        return call.number(0) in (0, 1, 2) and call.number(1) == 0x5401

    def on_newfstatat(self, call, _alone):
        return call.string(1) == (b'', True) and (call.number(0) in (1, 2) or self.of_bench(call))

    def on_write(self, call, _alone):
        return call.number(0) == 2 or call.number(0) == 1 and not self.library_writes or self.of_bench(call)

    def on_close(self, call, _alone):
        fd = call.number(0)
        known = fd in self.own or fd in (1, self.seed)
        self.own.discard(fd)
        self.seed = -1 if fd == self.seed else self.seed
        return known

    def on_exit_group(self, _call, _alone):
        return True

    on_rt_sigreturn = on_exit_group

    # mq-bench

    def of_bench(self, call):
        return call.number(0) in self.own

    def opens(self, *fds):
        self.own.update(fds)
        return self.tool == 'mq-bench'

    def on_memfd_create(self, call, _alone):
        return self.opens(call.result)

    def on_dup(self, call, _alone):
        return self.of_bench(call) and self.opens(call.result)

    def on_openat(self, call, _alone):
        if call.string(1) == (b'/dev/urandom', True) and self.seed is None:
            self.seed = call.result
            return True
        return call.string(1) == (b'/dev/null', True) and self.opens(call.result)

    def on_pipe2(self, call, _alone):
        return self.opens(*map(int, re.findall(r'\d+', call.args[0])))

    def on_read(self, call, _alone):
        return call.number(0) == self.seed and call.number(2) == 4

    def on_lseek(self, call, _alone):
        return self.of_bench(call)

    def on_getpid(self, _call, _alone):
        return self.tool == 'mq-bench'

    # mq

    def on_readlink(self, call, _alone):
        return self.tool == 'mq' and call.string(0) == (b'/proc/self/exe', True)

    def on_execve(self, _call, _alone):
        return self.tool == 'mq'


# Between clone and execve the child of a spawn does only this.
CHILD = {'prctl', 'getppid', 'setpgid', 'fcntl', 'dup2', 'close_range', 'rt_sigaction', 'rt_sigprocmask', 'execve',
         'exit_group'}


def header_of(call):
    """(process, number) where this call writes an entry."""
    if call.name != 'writev' or not call.args[1].startswith('[{iov_base="\\x40\\x6d\\x71'):
        return None
    parts = call.vector(1)
    match = re.match(rb'@mq 1 (\d+) (\d+) ', parts[0][0])
    return (int(match[1]), int(match[2])) if match else None


def images(calls):
    """A thread's calls, cut where it becomes another program."""
    begin = 0
    for at, call in enumerate(calls):
        if call.name == 'execve' and call.result == 0 and at > 0:
            yield calls[begin:at + 1]
            begin = at + 1
    yield calls[begin:]


def recordings(trace):
    """{process: [{number: entry} for each program that it was]}"""
    found = {}
    for entry in sys_trace.parse(trace):
        lives = found.setdefault(entry.pid, [])
        if entry.call == 'start':
            lives.append({})
        lives[-1][entry.seq] = entry
    return found


class Comparison:
    """faults: what differs, in words.  entries, calls: how much was compared.  names: the calls of the table met."""

    def __init__(self, trace, threads, library_writes):
        self.faults, self.entries, self.calls, self.names = [], 0, 0, set()
        self.recorded, self.threads, self.library_writes = recordings(trace), threads, library_writes

    def fault(self, format_, *args):
        self.faults.append(format_ % args)

    def process(self, pid):
        """A process and the threads that it started."""
        lives = iter(self.recorded.pop(pid, []))
        for calls in images(self.threads.get(pid, [])):
            first = next((at for at, call in enumerate(calls) if header_of(call)), None)
            if first is None:
                if calls and calls[0].name not in ('brk', 'execve'):
                    self.fault('process %d: calls and no recording: %s', pid, calls[0])
                continue  # another's program
            entries = next(lives, {})
            program = os.path.basename(entries[min(entries)].data.split(b'\0')[0].decode())
            self.program(pid, calls, first, entries, Outside(program, self.library_writes))

    def program(self, pid, calls, first, entries, outside):
        table, met = trace_table.Table(), set()
        self.thread(calls[first:], entries, met, table, outside, True)
        for tid in sorted(outside.threads):
            self.thread(self.threads.get(tid, []), entries, met, table, outside, False)
        for seq in sorted(set(entries) - met):
            self.fault('process %d recorded what it did not write: %s', pid, entries[seq])

    def thread(self, calls, entries, met, table, outside, main):
        window, behind, seen = [], [], False
        for call in calls:
            key = header_of(call)
            if not key:
                window.append(call)
                continue
            entry = entries.get(key[1])
            if entry is None or key[1] in met:
                self.fault('an entry that is not in the recording, or twice: %s', call)
                continue
            met.add(key[1])
            self.entries += 1
            self.names.add(entry.call)
            starting = any(c.name == 'clone3' for c in window)
            behind = self.window(window, behind, entry, table, outside, starting or not (seen or main))
            window, seen = [], True
        self.window(window, behind, None, table, outside, not main or any(c.name == 'clone3' for c in window))

    def window(self, calls, behind, entry, table, outside, alone):
        """calls: what happened up to this entry (None: the end).  behind: steps of the entry before that come after it.
        Returns what of this entry comes after it."""
        steps, after = table.steps(entry) if entry else [], []
        if entry and entry.call == 'lock' and entry.args['kind'] == 'none':
            steps, after = [], steps
        calls = list(calls) if entry and entry.call == 'start' else without_lookups(calls, entry)
        self.calls += len(calls)
        for fits, least, _most in behind:
            if least and (not calls or not fits(calls.pop(0))):
                self.fault('behind an unlock: none made, but %s', calls[0] if calls else 'nothing')
        for at in range(len(calls) + 1):
            if matches(calls[at:], steps):
                break
        else:
            self.fault('recorded: %s\n  traced: %s', entry, '\n          '.join(map(str, calls)) or 'nothing')
            return after
        for call in calls[:at]:
            if not outside.allows(call, alone):
                self.fault('past the table, before %s: %s', entry or 'the end', call)
        for call in calls[at:]:
            if call.name == 'clone' and call.result and call.result > 0:
                self.child(call)
        return after

    def child(self, clone):
        """The child of a spawn up to its program; what that does is its own affair, unless it is recorded."""
        flags, pid = clone.field(1, 'flags') or clone.number(1) or 0, clone.result
        if not flags & VFORK and 'flags' in clone.line:
            self.fault('a child that is no spawn: %s', clone)
        for call in next(images(self.threads.get(pid, []))):
            if call.name not in CHILD:
                self.fault('in a child before its program: %s', call)

    def end(self):
        for pid, lives in self.recorded.items():
            if pid in self.threads and lives:
                self.process(pid)


def without_lookups(calls, entry):
    kept = []
    outer = entry is not None and entry.call in ('watch_add', 'mkdir_path')
    for call in calls:
        if call.name == 'readlink' and (outer or (call.string(0)[0] or b'').startswith(b'/proc/self/fd/')):
            continue
        if call.name == 'statx' and call.number(3) == RECORDING_STATX:
            continue
        if call.name == 'futex' and call.number(1) & PRIVATE:
            continue
        kept.append(call)
    for at in range(len(kept) - 1, -1, -1) if entry is not None else ():
        if kept[at].name == 'getpid':
            del kept[at]
            break
    return kept


def matches(calls, steps):
    """Are these calls these steps, with nothing left over?"""
    if not steps:
        return not calls
    fits, least, most = steps[0]
    taken = 0
    while taken < most and taken < len(calls) and fits(calls[taken]):
        taken += 1
    for n in range(taken, least - 1, -1):
        if matches(calls[n:], steps[1:]):
            return True
    return False


def compare(trace, threads, pid, library_writes=False):
    """The Comparison of a run that began as process `pid`."""
    done = Comparison(trace, threads, library_writes)
    done.process(pid)
    done.end()
    return done
