# SPDX-License-Identifier: GPL-2.0-or-later
"""What the real filling asks of the kernel for each call of the table (lib/sys/sys.h), given what the recording says of
it: a list of steps (a test of one Call, at least so often, at most so often).

What an entry does not tell (an offset handed over in memory, the name below a directory that a path was made of) is not
compared; all that it tells is."""
import errno
import os
import signal

AT_FDCWD, O_CLOEXEC, O_PATH, O_DIRECTORY = -100, os.O_CLOEXEC, os.O_PATH, os.O_DIRECTORY
BENEATH = 0x08 | 0x04 | 0x02  # RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
STATX_ASKED = 0x7ff | 0x800 | 0x1000 | 0x4000
O_TMPFILE_BIT = 0o20000000
OFD = {'GET': 36, 'SET': 37, 'SETW': 38}
LOCK_KIND = {'read': 0, 'write': 1, 'none': 2}
IN_MASK_CREATE, IN_MASK_ADD = 0x10000000, 0x20000000


def gave(call, result):
    """Did the kernel return what the table returned?"""
    if result >= 0:
        return call.result == result
    return call.result == -1 and call.error == errno.errorcode.get(-result)


def same(call, n, wanted):
    if wanted is None:
        return True
    if callable(wanted):
        return wanted(call, n)
    if isinstance(wanted, bytes):
        got, whole = call.string(n)
        return got is not None and (got == wanted if whole else wanted.startswith(got))
    return call.number(n) == wanted


def step(name, *args, result=None, most=1, least=1):
    """One kernel call; an argument that is None may be anything; result: as the table has it, None for any."""
    def fits(call):
        return (call.name == name and len(call.args) >= len(args)
                and (result is None or gave(call, result))
                and all(same(call, n, wanted) for n, wanted in enumerate(args)))
    return fits, least, most


def maybe(name, *args, result=None, most=1):
    return step(name, *args, result=result, most=most, least=0)


def field(name, wanted):
    return lambda call, n: call.field(n, name) == wanted


def name_of(path):
    """A name that is the end of this path (of a directory's path and it)."""
    path = os.fsencode(path)

    def fits(call, n):
        got, whole = call.string(n)
        return got is not None and whole and (path == got or path.endswith(b'/' + got))
    return fits


def how(flags, mode):
    """openat2's struct open_how."""
    mode = mode if flags & (os.O_CREAT | O_TMPFILE_BIT) else 0
    flags |= O_CLOEXEC
    return lambda call, n: (call.field(n, 'flags') == flags and call.field(n, 'resolve') == BENEATH
                            and (call.field(n, 'mode') or 0) == mode)


class Table:
    """The kernel calls behind an entry.  It is told every entry of a process in turn, since a few say what they mean
    only together (the instance of inotify)."""

    def __init__(self):
        self.inotify = None

    def steps(self, entry):
        method = getattr(self, 'on_' + entry.call.replace('-', '_'), None)
        if not method:
            raise KeyError('the test does not know the call %s of the table' % entry.call)
        arg = {}
        for key, value in entry.args.items():
            try:
                arg[key] = int(value, 8 if key == 'mode' else 0)
            except ValueError:
                arg[key] = value
        return method(entry, arg, entry.result)

    # names

    def looked_at(self, arg, r):
        """The recording itself asks for the size of what was opened."""
        return [maybe('statx', r, None, None, STATX_ASKED)] if r >= 0 and 'size' in arg else []

    def on_open_path(self, e, arg, r):
        flags = arg['flags'] | O_CLOEXEC
        return [step('openat', AT_FDCWD, os.fsencode(e.args['path']), flags, result=r)] + self.looked_at(arg, r)

    def on_openat(self, e, arg, r):
        again = maybe('openat2', arg['dir'], None, None, result=-errno.EAGAIN, most=31)
        flags = arg['flags']
        if not flags & (os.O_WRONLY | os.O_CREAT | O_PATH | O_DIRECTORY):  # as root, so it is never refused
            flags |= os.O_NOATIME
        return [again, step('openat2', arg['dir'], name_of(e.args['path']), how(flags, arg['mode']), result=r)
                ] + self.looked_at(arg, r)

    def on_close(self, e, arg, r):
        return [step('close', arg['fd'], result=r)]

    def on_mkdir_path(self, e, arg, r):
        def named(call, n):  # the recording has it resolved; "." is the root, wherever that is
            last = os.path.basename(e.args.get('path', '.'))
            return last == '.' or os.path.basename(call.string(n)[0]) == os.fsencode(last)
        return [step('mkdir', named, arg['mode'], result=r)]

    # A name of several parts: its directory is opened first and closed last.
    def placed(self, *middle, places=1):
        return ([maybe('openat2', None, None, how(O_PATH | O_DIRECTORY, 0), most=places)] + list(middle)
                + [maybe('close', None, most=places)])

    def on_mkdirat(self, e, arg, r):
        return self.placed(step('mkdirat', None, name_of(e.args['path']), arg['mode'], result=r))

    def on_renameat(self, e, arg, r):
        names = [None, name_of(e.args['from']), None, name_of(e.args['to'])]
        if arg['replace']:  # the C library has two ways to say that
            return self.placed(maybe('renameat', *names, result=r), maybe('renameat2', *names, 0, result=r), places=2)
        return self.placed(step('renameat2', *names, 1, result=r), places=2)

    def on_unlinkat(self, e, arg, r):
        return self.placed(step('unlinkat', None, name_of(e.args['path']), 0x200 if arg['directory'] else 0, result=r))

    def on_statat(self, e, arg, r):
        size = field('stx_size', arg['size']) if r == 0 else None
        return self.placed(step('statx', None, name_of(e.args['path']), 0x100, STATX_ASKED, size, result=r))

    def on_fchmod(self, e, arg, r):
        return [step('fchmod', arg['fd'], arg['mode'], result=r)]

    def on_getdents(self, e, arg, r):
        return [step('getdents64', arg['fd'], None, arg['len'], result=r)]

    def on_lseek_start(self, e, arg, r):
        return [step('lseek', arg['fd'], 0, 0, result=r)]

    # bytes

    def on_read(self, e, arg, r):
        return [step('read', arg['fd'], None, arg['len'], result=r)]

    def on_pread(self, e, arg, r):
        return [step('pread64', arg['fd'], None, arg['len'], arg['at'], result=r)]

    def on_write(self, e, arg, r):
        return [step('write', arg['fd'], e.data, len(e.data), result=r)]

    def on_pwrite(self, e, arg, r):
        return [step('pwrite64', arg['fd'], e.data, len(e.data), arg['at'], result=r)]

    @staticmethod
    def vector_of(data):
        def fits(call, n):
            at = 0
            for part, whole, length in call.vector(n):
                wanted = data[at:at + length]
                if len(wanted) != length or (part != wanted if whole else not wanted.startswith(part)):
                    return False
                at += length
            return at == len(data) or '...' in call.args[n][-5:]
        return fits

    def on_writev(self, e, arg, r):
        return [step('writev', arg['fd'], self.vector_of(e.data), result=r)]

    def on_pwritev(self, e, arg, r):
        return [step('pwritev', arg['fd'], self.vector_of(e.data), None, arg['at'], result=r)]

    # durability and space

    def on_fdatasync_begin(self, e, arg, r):
        return []

    on_fsync_begin = on_start = on_note = on_fdatasync_begin

    def on_fdatasync(self, e, arg, r):
        return [step('fdatasync', arg['fd'], result=r)]

    def on_fsync(self, e, arg, r):
        return [step('fsync', arg['fd'], result=r)]

    def on_write_out(self, e, arg, r):
        return [step('sync_file_range', arg['fd'], arg['at'], arg['len'], 2, result=r)]

    def on_fallocate(self, e, arg, r):
        return [step('fallocate', arg['fd'], 0, arg['at'], arg['len'], result=r)]

    # facts about files

    def on_stat(self, e, arg, r):
        size = field('stx_size', arg['size']) if r == 0 else None
        return [step('statx', arg['fd'], b'', 0x1100, STATX_ASKED, size, result=r)]

    def on_fs_magic(self, e, arg, r):
        return [step('fstatfs', arg['fd'], result=r)]

    def on_unread(self, e, arg, r):
        def told(call, n):
            return call.args[n].strip('[]') == str(arg['bytes']) if r == 0 else True
        return [step('newfstatat', arg['fd'], b'', None, 0x1000), step('ioctl', arg['fd'], None, told, result=r)]

    def on_pipe_size(self, e, arg, r):
        return [step('fcntl', arg['fd'], 1031, arg['bytes'], result=r) if arg['bytes']
                else step('fcntl', arg['fd'], 1032, result=r)]

    def on_set_nonblock(self, e, arg, r):
        def wanted(call, n):
            return bool(call.number(n) & os.O_NONBLOCK) == bool(arg['on'])
        return [step('fcntl', arg['fd'], 3), maybe('fcntl', arg['fd'], 4, wanted, result=r)]

    # locks

    @staticmethod
    def flock(arg, kind):
        return lambda call, n: (call.field(n, 'l_start') == arg['start'] and call.field(n, 'l_len') == arg['len']
                                and call.field(n, 'l_whence') == 0
                                and (kind is None or call.field(n, 'l_type') == LOCK_KIND[kind]))

    def on_lock(self, e, arg, r):
        if arg['kind'] == 'none':  # written down before it was made: what it gave is not known
            return [step('fcntl', arg['fd'], OFD['SETW' if arg['wait'] else 'SET'], self.flock(arg, 'none'))]
        return [step('fcntl', arg['fd'], OFD['SETW' if arg['wait'] else 'SET'], self.flock(arg, arg['kind']), result=r)]

    def on_lock_test(self, e, arg, r):
        def tells(call, n):  # where somebody holds it, the kernel tells of that lock instead
            if r == 0:
                return self.flock(arg, 'none')(call, n)
            return call.field(n, 'l_type') != LOCK_KIND['none'] if r == 1 else True
        return [step('fcntl', arg['fd'], OFD['GET'], tells, result=min(r, 0))]

    # shared words

    def on_map_shared(self, e, arg, r):
        return [step('mmap', 0, arg['len'], 3, 1, arg['fd'], arg['at'], result=None if r == 0 else r)]

    def on_unmap(self, e, arg, r):
        return [step('munmap', None, arg['len'], result=r)]

    def on_futex_wait(self, e, arg, r):
        return [step('futex', None, lambda c, n: c.number(n) in (0, 9), arg['seen'], result=r)]

    def on_futex_wake(self, e, arg, r):
        return [step('futex', None, lambda c, n: c.number(n) in (1, 5, 10), result=r)]

    def on_futex_add(self, e, arg, r):
        return [step('futex', None, 5, result=r)]

    # time and chance

    def on_random(self, e, arg, r):
        if r < 0:
            return [step('getrandom', None, None, 0, result=r)]
        return [step('getrandom', None, arg['len'], 0, result=arg['len'])]

    # processes

    def on_pid(self, e, arg, r):
        return [step('getpid', result=r)]

    def on_fds_max(self, e, arg, r):
        return [step('prlimit64', 0, None, None, result=0)]

    def on_yield(self, e, arg, r):
        return [step('sched_yield', result=r)]

    def on_spawn(self, e, arg, r):
        steps = [step('getpid'), step('rt_sigprocmask', 0), step('clone', result=r if r > 0 else None),
                 step('rt_sigprocmask', 2)]
        return steps if r > 0 else steps + [maybe('wait4')]

    def on_wait_child(self, e, arg, r):
        def status(call, n):
            text = call.args[n].strip('[]')
            if r <= 0 or text == 'NULL':
                return True
            return os.fsencode(str(arg['status'])) in os.fsencode(text) or status_of(text) == arg['status']
        return [step('wait4', arg['pid'], status, 0 if arg['block'] else 1, result=r)]

    def on_kill(self, e, arg, r):
        return [step('kill', arg['pid'], arg['sig'], result=r)]

    def on_pidfd(self, e, arg, r):
        return [step('pidfd_open', arg['pid'], 0, result=r)]

    def on_leash(self, e, arg, r):
        fd = arg.get('readend')
        return [step('pipe2', self.pair(arg, 'readend', 'writeend') if r == 0 else None, O_CLOEXEC),
                maybe('fcntl', fd, 10, 9), maybe('fcntl', fd, 4, os.O_ASYNC)] + ([] if r == 0 else [maybe('close', most=2)])

    def on_leash_to(self, e, arg, r):
        return [step('fcntl', arg['fd'], 8, arg['pid'], result=r)]

    def pair(self, arg, first, second):
        return lambda call, n: call.args[n] == '[%d, %d]' % (arg[first], arg[second])

    def on_pipe(self, e, arg, r):
        return [step('pipe2', self.pair(arg, 'readend', 'writeend') if r == 0 else None, O_CLOEXEC, result=r)]

    def on_socketpair(self, e, arg, r):
        return [step('socketpair', 1, 1 | O_CLOEXEC, 0, self.pair(arg, 'first', 'second') if r == 0 else None, result=r)]

    def on_signal_mask(self, e, arg, r):
        return [step('rt_sigprocmask', arg['how'], result=r)]

    def on_signal_fd(self, e, arg, r):
        return [step('signalfd4', -1, None, None, O_CLOEXEC | os.O_NONBLOCK, result=r)]

    def on_poll(self, e, arg, r):
        return [step('ppoll', None, arg['n'], result=r)]

    # inotify, through inotifytools

    def on_watch_open(self, e, arg, r):
        if r < 0 or r == self.inotify:
            return []
        self.inotify = r
        return [step('openat', AT_FDCWD, b'/', O_PATH | O_CLOEXEC, result=r), step('close', r),
                step('inotify_init', result=r), step('fcntl', r, 3), step('fcntl', r, 4), step('fcntl', r, 2, 1)]

    def on_watch_add(self, e, arg, r):
        events = arg['events']
        first = step('inotify_add_watch', self.inotify, None, events | IN_MASK_CREATE,
                     result=r if r < 0 else None)
        more = maybe('inotify_add_watch', self.inotify, None, events | IN_MASK_ADD, result=r if r >= 0 else None)
        return [first, more, maybe('newfstatat')]

    def on_watch_remove(self, e, arg, r):
        return [maybe('read', self.inotify, most=8), maybe('inotify_rm_watch', self.inotify, arg['wd'])]

    def on_watch_next(self, e, arg, r):
        return [maybe('read', self.inotify)]


def status_of(text):
    """A wait status as strace prints it: {WIFEXITED(s) && WEXITSTATUS(s) == 3} or {WIFSIGNALED(s) && …}."""
    words = text.strip('{}').split()
    if 'WEXITSTATUS(s)' in text:
        return int(words[-1]) << 8
    for word in words:
        if word.startswith('SIG'):
            return int(getattr(signal, word)) | (0x80 if 'WCOREDUMP' in text else 0)
    return int(words[-1]) if words and words[-1].isdigit() else None
