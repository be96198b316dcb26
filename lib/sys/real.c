/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real filling: locks, shared words, time, processes; and the table itself. */
#include "sys/real.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* --- locks ---------------------------------------------------------------------------------- */

static struct flock to_flock(enum mq_lock_kind kind, uint64_t start, uint64_t len)
{
	static const short type[] = {
		[MQ_LOCK_READ] = F_RDLCK,
		[MQ_LOCK_WRITE] = F_WRLCK,
		[MQ_LOCK_NONE] = F_UNLCK,
	};

	return (struct flock){
		.l_type = type[kind],
		.l_whence = SEEK_SET,
		.l_start = (off_t)start,
		.l_len = (off_t)len,
	};
}

static int real_lock(int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len, bool wait)
{
	struct flock l = to_flock(kind, start, len);

	return real_int(fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l));
}

static int real_lock_test(int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len)
{
	struct flock l = to_flock(kind, start, len);

	if (fcntl(fd, F_OFD_GETLK, &l) < 0)
		return -errno;
	return l.l_type != F_UNLCK;
}

/* --- shared words --------------------------------------------------------------------------- */

static void *real_map_shared(int fd, uint64_t at, size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);

	return p == MAP_FAILED ? NULL : p;
}

static int real_unmap(void *p, size_t len)
{
	return real_int(munmap(p, len));
}

/* Not FUTEX_PRIVATE_FLAG: the word is in a page that processes share. */
static int real_futex_wait(uint32_t *word, uint32_t seen, uint32_t classes, int64_t timeout_ns)
{
	struct timespec until; /* this kind of wait takes a time, and not how long */

	if (timeout_ns >= 0) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until = to_timespec(until.tv_sec * INT64_C(1000000000) + until.tv_nsec + timeout_ns);
	}
	return real_int((int)syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, timeout_ns < 0 ? NULL : &until, NULL, classes));
}

static int real_futex_wake(uint32_t *word, int max, uint32_t classes)
{
	return real_int((int)syscall(SYS_futex, word, FUTEX_WAKE_BITSET, max, NULL, NULL, classes));
}

/* The kernel does the addition: a store of our own to a page that cannot be written (a file system that shut itself
 * down) would be SIGBUS, and this is -EFAULT.  It wakes who waits at the next word: nobody.  It also wakes one of this
 * word's waiters, of whatever class and although none is asked for, where the comparison holds: so it is with a value that
 * a count from 0 meets once in 2^32, and that one waiter looks again. */
static int real_futex_add(uint32_t *word)
{
	int r = real_int((int)syscall(SYS_futex, word + 1, FUTEX_WAKE_OP, 1, NULL, word,
	                              FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0xfff))); /* -1, in twelve bits */

	return r < 0 ? r : 0;
}

/* --- time and chance ------------------------------------------------------------------------ */

static int64_t real_clock_ns(enum mq_clock which)
{
	static const clockid_t id[] = {
		[MQ_CLOCK_REAL] = CLOCK_REALTIME,
		[MQ_CLOCK_MONOTONIC] = CLOCK_MONOTONIC,
		[MQ_CLOCK_BOOT] = CLOCK_BOOTTIME,
	};
	struct timespec ts;

	if (clock_gettime(id[which], &ts) < 0)
		return -errno;
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int real_random(void *buf, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = getrandom((char *)buf + have, len - have, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			have += (size_t)n;
	}
	return 0;
}

/* --- processes ------------------------------------------------------------------------------ */

static pid_t real_pid(void)
{
	return getpid();
}

static int real_fds_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	return limit.rlim_cur < INT_MAX ? (int)limit.rlim_cur : INT_MAX;
}

static int real_yield(void)
{
	return real_int(sched_yield());
}

static pid_t real_wait_child(pid_t pid, int *ret_status, bool block)
{
	int status = 0;
	pid_t r;

	do
		r = waitpid(pid, &status, block ? 0 : WNOHANG);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (r > 0)
		*ret_status = status;
	return r;
}

static int real_kill(pid_t pid, int sig)
{
	return real_int(kill(pid, sig));
}

static int real_pidfd(pid_t pid)
{
	return real_int((int)syscall(SYS_pidfd_open, pid, 0));
}

static int real_pipe(int ret_fd[2])
{
	return real_int(pipe2(ret_fd, O_CLOEXEC));
}

static int real_socketpair(int ret_fd[2])
{
	return real_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fd));
}

static int real_signal_mask(int how, const sigset_t *set, sigset_t *ret_old)
{
	return -pthread_sigmask(how, set, ret_old);
}

static int real_signal_fd(const sigset_t *set)
{
	return real_int(signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC));
}

static int real_poll(struct pollfd *fds, unsigned n, int64_t timeout_ns)
{
	struct timespec ts = to_timespec(timeout_ns < 0 ? 0 : timeout_ns);

	return real_int(ppoll(fds, n, timeout_ns < 0 ? NULL : &ts, NULL));
}

/* --- the table ------------------------------------------------------------------------------ */

const struct mq_sys mq_sys_real = {
	.open_path = real_open_path,
	.openat = real_openat,
	.close = real_close,
	.mkdir_path = real_mkdir_path,
	.mkdirat = real_mkdirat,
	.renameat = real_renameat,
	.unlinkat = real_unlinkat,
	.fchmod = real_fchmod,
	.getdents = real_getdents,
	.lseek_start = real_lseek_start,
	.read = real_read,
	.write = real_write,
	.writev = real_writev,
	.pread = real_pread,
	.pwrite = real_pwrite,
	.pwritev = real_pwritev,
	.fdatasync = real_fdatasync,
	.fsync = real_fsync,
	.write_out = real_write_out,
	.fallocate = real_fallocate,
	.stat = real_stat,
	.statat = real_statat,
	.fs_magic = real_fs_magic,
	.unread = real_unread,
	.pipe_size = real_pipe_size,
	.set_nonblock = real_set_nonblock,
	.lock = real_lock,
	.lock_test = real_lock_test,
	.map_shared = real_map_shared,
	.unmap = real_unmap,
	.futex_wait = real_futex_wait,
	.futex_wake = real_futex_wake,
	.futex_add = real_futex_add,
	.clock_ns = real_clock_ns,
	.random = real_random,
	.pid = real_pid,
	.fds_max = real_fds_max,
	.yield = real_yield,
	.spawn = real_spawn,
	.wait_child = real_wait_child,
	.kill = real_kill,
	.pidfd = real_pidfd,
	.leash = real_leash,
	.leash_to = real_leash_to,
	.pipe = real_pipe,
	.socketpair = real_socketpair,
	.signal_mask = real_signal_mask,
	.signal_fd = real_signal_fd,
	.poll = real_poll,
	.watch_open = real_watch_open,
	.watch_add = real_watch_add,
	.watch_remove = real_watch_remove,
	.watch_next = real_watch_next,
};

const struct mq_sys *mq_sys = &mq_sys_real;
