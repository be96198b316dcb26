/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/calls.h"
#include "sys/record_entry.h"

static const struct mq_sys *under;

/* errno is the caller's when map_shared failed; nothing else here may leave a trace in it. */
#define KEEPING_ERRNO(statements) \
	do { \
		int kept_errno = errno; \
		statements; \
		errno = kept_errno; \
	} while (0)

/* A call that says all by numbers and descriptors: what is put between begin and end. */
#define PLAIN(type, call, params, args, details) \
	static type record_##call params \
	{ \
		type r = under->call args; \
		KEEPING_ERRNO(entry_begin(#call); details; entry_end(r, NULL, 0)); \
		return r; \
	}

/* --- names ---------------------------------------------------------------------------------- */

static void opened(int fd)
{
	struct mq_stat st;

	if (fd < 0)
		return;
	entry_fd_forget(fd);
	entry_fd("fd", fd);
	if (mq_sys_real.stat(fd, &st) == 0)
		entry_uint("size", st.size);
}

PLAIN(int, open_path, (const char *path, int flags, unsigned mode), (path, flags, mode),
      entry_text("path", path); entry_hex("flags", (unsigned)flags); entry_octal("mode", mode);
      opened(r))

PLAIN(int, openat, (int dir, const char *name, int flags, unsigned mode), (dir, name, flags, mode),
      entry_int("dir", dir); entry_at("path", dir, name); entry_hex("flags", (unsigned)flags);
      entry_octal("mode", mode); opened(r))

static int record_close(int fd)
{
	int r;

	entry_begin("close");
	entry_fd("fd", fd);
	r = under->close(fd);
	entry_fd_forget(fd);
	entry_end(r, NULL, 0);
	return r;
}

static void real_path(const char *key, const char *path)
{
	char found[PATH_MAX];

	if (realpath(path, found))
		entry_path(key, found);
}

PLAIN(int, mkdir_path, (const char *path, unsigned mode), (path, mode), real_path("path", path);
      entry_octal("mode", mode); if (r == 0) entry_id("id", AT_FDCWD, path))

PLAIN(int, mkdirat, (int dir, const char *name, unsigned mode), (dir, name, mode),
      entry_int("dir", dir); entry_at("path", dir, name); entry_octal("mode", mode);
      if (r == 0) entry_id("id", dir, name))

/* What loses its name is looked up first, in the entry that is written when the call is done. */
static int record_renameat(int dir, const char *from, int todir, const char *to, bool replace)
{
	int r;

	entry_begin("renameat");
	entry_int("dir", dir);
	entry_at("from", dir, from);
	entry_int("todir", todir);
	entry_at("to", todir, to);
	entry_int("replace", replace);
	if (replace)
		entry_id("oldid", todir, to);
	entry_id("id", dir, from);
	r = under->renameat(dir, from, todir, to, replace);
	entry_end(r, NULL, 0);
	return r;
}

static int record_unlinkat(int dir, const char *name, bool directory)
{
	int r;

	entry_begin("unlinkat");
	entry_int("dir", dir);
	entry_at("path", dir, name);
	entry_int("directory", directory);
	entry_id("id", dir, name);
	r = under->unlinkat(dir, name, directory);
	entry_end(r, NULL, 0);
	return r;
}

PLAIN(int, fchmod, (int fd, unsigned mode), (fd, mode), entry_fd("fd", fd);
      entry_octal("mode", mode))
PLAIN(ssize_t, getdents, (int dir, void *buf, size_t len), (dir, buf, len), entry_fd("fd", dir);
      entry_uint("len", len))
PLAIN(int, lseek_start, (int fd), (fd), entry_fd("fd", fd))

/* --- bytes ---------------------------------------------------------------------------------- */

PLAIN(ssize_t, read, (int fd, void *buf, size_t len), (fd, buf, len), entry_fd("fd", fd);
      entry_uint("len", len))
PLAIN(ssize_t, pread, (int fd, void *buf, size_t len, uint64_t at), (fd, buf, len, at),
      entry_fd("fd", fd); entry_uint("len", len); entry_uint("at", at))

static ssize_t written(const char *call, int fd, const struct iovec *iov, int n,
                       const uint64_t *at, ssize_t r)
{
	KEEPING_ERRNO(entry_begin(call); entry_fd("fd", fd); if (at) entry_uint("at", *at);
	              entry_end(r, iov, n));
	return r;
}

static ssize_t record_write(int fd, const void *buf, size_t len)
{
	struct iovec all = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};

	return written("write", fd, &all, 1, NULL, under->write(fd, buf, len));
}

/* The vector and its header and newline are one writev: the kernel takes 1024. */
static ssize_t record_writev(int fd, const struct iovec *iov, int n)
{
	return written("writev", fd, iov, n, NULL, under->writev(fd, iov, n));
}

static ssize_t record_pwrite(int fd, const void *buf, size_t len, uint64_t at)
{
	struct iovec all = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};

	return written("pwrite", fd, &all, 1, &at, under->pwrite(fd, buf, len, at));
}

static ssize_t record_pwritev(int fd, const struct iovec *iov, int n, uint64_t at)
{
	return written("pwritev", fd, iov, n, &at, under->pwritev(fd, iov, n, at));
}

/* --- durability and space ------------------------------------------------------------------- */

#define SYNC(call) \
	static int record_##call(int fd) \
	{ \
		int r; \
		entry_begin(#call "-begin"); \
		entry_fd("fd", fd); \
		entry_end(0, NULL, 0); \
		r = under->call(fd); \
		entry_begin(#call); \
		entry_fd("fd", fd); \
		entry_end(r, NULL, 0); \
		return r; \
	}

SYNC(fdatasync)
SYNC(fsync)
PLAIN(int, write_out, (int fd, uint64_t at, uint64_t len), (fd, at, len), entry_fd("fd", fd);
      entry_uint("at", at); entry_uint("len", len))
PLAIN(int, fallocate, (int fd, uint64_t at, uint64_t len), (fd, at, len), entry_fd("fd", fd);
      entry_uint("at", at); entry_uint("len", len))

/* --- facts about files ---------------------------------------------------------------------- */

PLAIN(int, stat, (int fd, struct mq_stat *ret), (fd, ret), entry_fd("fd", fd);
      if (r == 0) entry_uint("size", ret->size))
PLAIN(int, statat, (int dir, const char *name, struct mq_stat *ret), (dir, name, ret),
      entry_int("dir", dir); entry_at("path", dir, name); if (r == 0) entry_uint("size", ret->size))
PLAIN(int, fs_magic, (int fd, uint64_t *ret), (fd, ret), entry_fd("fd", fd))
PLAIN(int, unread, (int fd, int *ret_bytes), (fd, ret_bytes), entry_fd("fd", fd);
      if (r == 0) entry_int("bytes", *ret_bytes))
PLAIN(int, pipe_size, (int fd, int bytes), (fd, bytes), entry_fd("fd", fd);
      entry_int("bytes", bytes))
PLAIN(int, set_nonblock, (int fd, bool on), (fd, on), entry_fd("fd", fd); entry_int("on", on))

/* --- locks ---------------------------------------------------------------------------------- */

static void lock_details(int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len)
{
	static const char *const name[] = {"read", "write", "none"};

	entry_fd("fd", fd);
	entry_text("kind", name[kind]);
	entry_uint("start", start);
	entry_uint("len", len);
}

/* An unlock is written down before it is done: behind it another process may already go on. */
static int record_lock(int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len, bool wait)
{
	int r = kind == MQ_LOCK_NONE ? 0 : under->lock(fd, kind, start, len, wait);

	KEEPING_ERRNO(entry_begin("lock"); lock_details(fd, kind, start, len);
	              entry_int("wait", wait); entry_end(r, NULL, 0));
	return kind == MQ_LOCK_NONE ? under->lock(fd, kind, start, len, wait) : r;
}

PLAIN(int, lock_test, (int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len),
      (fd, kind, start, len), lock_details(fd, kind, start, len))

/* --- shared words --------------------------------------------------------------------------- */

static void *record_map_shared(int fd, uint64_t at, size_t len)
{
	void *p = under->map_shared(fd, at, len);
	int error = p ? 0 : -errno;

	KEEPING_ERRNO(entry_begin("map_shared"); entry_fd("fd", fd); entry_uint("at", at);
	              entry_uint("len", len); entry_end(error, NULL, 0));
	return p;
}

PLAIN(int, unmap, (void *p, size_t len), (p, len), entry_uint("len", len))
PLAIN(int, futex_wait, (uint32_t *word, uint32_t seen, uint32_t classes, int64_t timeout_ns), (word, seen, classes, timeout_ns),
      entry_uint("seen", seen); entry_uint("classes", classes); entry_int("timeout", timeout_ns))
PLAIN(int, futex_wake, (uint32_t *word, int max, uint32_t classes), (word, max, classes),
      entry_int("max", max); entry_uint("classes", classes))
PLAIN(int, futex_add, (uint32_t *word), (word), (void)0)

/* --- time and chance ------------------------------------------------------------------------ */

static int64_t record_clock_ns(enum mq_clock which)
{
	return under->clock_ns(which);
}

PLAIN(int, random, (void *buf, size_t len), (buf, len), entry_uint("len", len))

/* --- processes ------------------------------------------------------------------------------ */

static int strings(struct iovec *iov, int max, char *const *list)
{
	int n = 0;

	for (; list && list[n] && n < max; n++)
		iov[n] = (struct iovec){.iov_base = list[n], .iov_len = strlen(list[n]) + 1};
	return n;
}

PLAIN(pid_t, pid, (void), (), (void)0)
PLAIN(int, fds_max, (void), (), (void)0)
PLAIN(int, yield, (void), (), (void)0)

static pid_t record_spawn(const struct mq_spawn *what)
{
	struct iovec iov[256];
	pid_t r = under->spawn(what);

	entry_begin("spawn");
	entry_int("in", what->in);
	entry_int("out", what->out);
	entry_int("err", what->err);
	entry_int("keep", what->keep_fd);
	entry_int("own_group", what->own_group);
	entry_end(r, iov, strings(iov, 256, what->argv));
	return r;
}

PLAIN(pid_t, wait_child, (pid_t pid, int *ret_status, bool block), (pid, ret_status, block),
      entry_int("pid", pid); entry_int("block", block); if (r > 0) entry_int("status", *ret_status))
PLAIN(int, kill, (pid_t pid, int sig), (pid, sig), entry_int("pid", pid); entry_int("sig", sig))
PLAIN(int, pidfd, (pid_t pid), (pid), entry_int("pid", pid); if (r >= 0) entry_fd_forget(r))
PLAIN(int, leash, (int ret_fd[2]), (ret_fd), if (r == 0) {
	entry_fd_forget(ret_fd[0]);
	entry_fd_forget(ret_fd[1]);
	entry_int("readend", ret_fd[0]);
	entry_int("writeend", ret_fd[1]);
})
PLAIN(int, leash_to, (int fd, pid_t pid), (fd, pid), entry_int("fd", fd); entry_int("pid", pid))
PLAIN(int, pipe, (int ret_fd[2]), (ret_fd), if (r == 0) {
	entry_fd_forget(ret_fd[0]);
	entry_fd_forget(ret_fd[1]);
	entry_int("readend", ret_fd[0]);
	entry_int("writeend", ret_fd[1]);
})
PLAIN(int, socketpair, (int ret_fd[2]), (ret_fd), if (r == 0) {
	entry_fd_forget(ret_fd[0]);
	entry_fd_forget(ret_fd[1]);
	entry_int("first", ret_fd[0]);
	entry_int("second", ret_fd[1]);
})
PLAIN(int, signal_mask, (int how, const sigset_t *set, sigset_t *ret_old), (how, set, ret_old),
      entry_int("how", how))
PLAIN(int, signal_fd, (const sigset_t *set), (set), if (r >= 0) entry_fd_forget(r))
PLAIN(int, poll, (struct pollfd *fds, unsigned n, int64_t timeout_ns), (fds, n, timeout_ns),
      entry_uint("n", n); entry_int("timeout", timeout_ns))

/* --- inotify -------------------------------------------------------------------------------- */

PLAIN(int, watch_open, (void), (), if (r >= 0) entry_fd_forget(r))
PLAIN(int, watch_add, (const char *path, uint32_t events), (path, events), real_path("path", path);
      entry_hex("events", events))
PLAIN(int, watch_remove, (int wd), (wd), entry_int("wd", wd))
PLAIN(int, watch_next, (uint32_t *ret_events), (ret_events),
      if (r >= 0) entry_hex("events", *ret_events))

#define ENTRY(call) .call = record_##call,
static const struct mq_sys recording = {MQ_SYS_CALLS(ENTRY)};
#undef ENTRY

/* --- from outside --------------------------------------------------------------------------- */

/* Where the root will be, if it is not there yet. */
static bool resolve(const char *root, char found[PATH_MAX])
{
	char copy[PATH_MAX], parent[PATH_MAX], *slash;
	const char *last;
	int n;

	if (realpath(root, found))
		return true;
	if (errno != ENOENT || strlen(root) >= sizeof(copy))
		return false;
	strcpy(copy, root);
	slash = strrchr(copy, '/');
	last = slash ? slash + 1 : copy;
	if (slash)
		*slash = 0;
	if (!realpath(!slash ? "." : copy[0] ? copy : "/", parent))
		return false;
	n = snprintf(found, PATH_MAX, "%s/%s", parent[1] ? parent : "", last);
	return n > 0 && n < PATH_MAX;
}

const struct mq_sys *mq_record_over(const struct mq_sys *beneath, int trace_fd, const char *root,
                                    char *const *argv)
{
	char found[PATH_MAX] = "";
	struct iovec iov[256];

	if (root && !resolve(root, found))
		return NULL;
	under = beneath;
	entry_setup(trace_fd, found);
	entry_begin("start");
	entry_text("root", found);
	entry_end(0, iov, strings(iov, 256, argv));
	return &recording;
}

void mq_record_note(const char *text)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};

	KEEPING_ERRNO(entry_begin("note"); entry_end(0, &iov, 1));
}
