/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of the table's calls in its order, for fillings that deal with all of them alike. */
#ifndef MQ_SYS_CALLS_H
#define MQ_SYS_CALLS_H

#define MQ_SYS_CALLS(X) \
	X(open_path) X(openat) X(close) X(mkdir_path) X(mkdirat) X(renameat) X(unlinkat) X(fchmod) \
	X(getdents) X(lseek_start) X(read) X(write) X(writev) X(pread) X(pwrite) X(pwritev) \
	X(fdatasync) X(fsync) X(write_out) X(fallocate) X(stat) X(statat) X(fs_magic) X(unread) \
	X(pipe_size) X(set_nonblock) X(lock) X(lock_test) X(map_shared) X(unmap) X(futex_wait) \
	X(futex_wake) X(futex_add) X(clock_ns) X(random) X(pid) X(fds_max) X(yield) X(spawn) X(wait_child) X(kill) X(pidfd) X(leash) X(leash_to) \
	X(pipe) X(socketpair) X(signal_mask) X(signal_fd) X(poll) X(watch_open) X(watch_add) X(watch_remove) \
	X(watch_next)

#define MQ_SYS_CALL_ENUM(name) CALL_##name,
enum mq_sys_call { MQ_SYS_CALLS(MQ_SYS_CALL_ENUM) CALLS_N };
#undef MQ_SYS_CALL_ENUM

#endif
