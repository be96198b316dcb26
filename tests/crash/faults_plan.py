# SPDX-License-Identifier: GPL-2.0-or-later
"""Which faults are tried: every call of the table that a run makes, in each way in which it may plausibly fail, once and
for ever; and a choice among them that is the same every time and takes of each kind alike."""
import collections
import zlib

# What the kernel may say; short=N: so many bytes are read or written.  Not that nothing was read: that says where a file
# ends, and what follows from it is the truth about a file that was cut (tests/crash/flips.c cuts them).
PLAUSIBLE = {
    'open_path': 'EACCES EMFILE EIO', 'openat': 'EACCES EMFILE EIO ENOMEM', 'close': 'EIO',
    'mkdir_path': 'EACCES ENOSPC', 'mkdirat': 'EACCES ENOSPC EIO', 'renameat': 'EIO ENOSPC EROFS',
    'unlinkat': 'EIO EACCES', 'fchmod': 'EPERM EIO', 'getdents': 'EIO', 'lseek_start': 'EIO',
    'read': 'EIO short=1', 'write': 'EIO ENOSPC short=1', 'writev': 'EIO ENOSPC short=1',
    'pread': 'EIO short=10', 'pwrite': 'EIO ENOSPC EDQUOT short=100', 'pwritev': 'EIO ENOSPC EDQUOT short=77 short=130',
    'fdatasync': 'EIO ENOSPC EDQUOT', 'fsync': 'EIO ENOSPC EDQUOT', 'write_out': 'EIO', 'fallocate': 'EIO ENOSPC EOPNOTSUPP',
    'stat': 'EIO ENOMEM', 'statat': 'EIO EACCES', 'fs_magic': 'EIO', 'unread': 'EIO', 'pipe_size': 'EPERM EBUSY',
    'set_nonblock': 'EBADF', 'lock': 'ENOLCK EIO', 'lock_test': 'ENOLCK', 'map_shared': 'ENOMEM ENODEV', 'unmap': 'EINVAL',
    'futex_wait': 'EFAULT', 'futex_wake': 'EFAULT', 'futex_add': 'EFAULT', 'random': 'EIO', 'spawn': 'EAGAIN ENOMEM EMFILE',
    'wait_child': 'ECHILD', 'kill': 'ESRCH', 'pidfd': 'EMFILE ENOSYS', 'leash': 'EMFILE', 'leash_to': 'ESRCH',
    'pipe': 'EMFILE ENFILE', 'socketpair': 'EMFILE',
    'poll': 'ENOMEM', 'signal_fd': 'EMFILE', 'watch_open': 'EMFILE', 'watch_add': 'ENOSPC ENOMEM', 'watch_remove': 'EINVAL',
}
# What passes and is tried again: once, since for ever would be a wait for ever.
PASSING = {'read': 'EINTR', 'write': 'EINTR', 'poll': 'EINTR', 'lock': 'EAGAIN EINTR'}
# They cannot fail, or nothing comes of it (none: there is no event).
NEVER = {'clock_ns', 'fds_max', 'pid', 'signal_mask', 'watch_next'}


def plan(counts, unlocks):
    """Every rule (lib/sys/fault.h) for a run that makes so many calls of each name.  unlocks: which of `lock` give one
    back, which does not fail, so a fault that happens once passes them over."""
    strata = collections.OrderedDict()
    for call, count in sorted(counts.items()):
        if call in NEVER:
            continue
        ways = [(action, how) for action in PLAUSIBLE[call].split() for how in ('once', 'ever')]
        ways += [(action, 'once') for action in PASSING.get(call, '').split()]
        for action, how in ways:
            strata[call, action, how] = ['%s:%d:%s:%s' % (call, nth, action, how) for nth in range(1, count + 1)
                                         if not (call == 'lock' and how == 'once' and nth in unlocks)]
    return strata


def choose(strata, most):
    """At most so many rules, of each kind in turn."""
    queues = [sorted(rules, key=lambda rule: zlib.crc32(rule.encode())) for rules in strata.values()]
    chosen = []
    while queues and len(chosen) < most:
        queues = [queue for queue in queues if queue]
        chosen += [queue.pop(0) for queue in queues]
    return chosen[:most]
