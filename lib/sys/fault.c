/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys/fault_rules.h"

enum { VECTOR_MAX = 1024 };

/* What the rules say of one call. */
struct verdict {
	int error;      /* negative: give this instead of calling */
	bool cut;       /* at most `bytes` */
	size_t bytes;
	int signal_after;
};

static const struct mq_sys *under;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER; /* of calls and rules */
static struct fault_rule rules[FAULT_RULES_MAX];
static unsigned rules_n;
static uint64_t calls[CALLS_N];
static void (*on_fire)(const char *text);

/* --- meeting a call ------------------------------------------------------------------------- */

static void path_of(char *buf, size_t len, int fd, const char *name)
{
	char link[40];
	ssize_t n = 0;

	buf[0] = 0;
	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, buf, len - 1);
		if (n < 0)
			n = 0;
		buf[n] = 0;
	}
	if (name)
		snprintf(buf + n, len - (size_t)n, "%s%s", fd >= 0 ? "/" : "", name);
}

static void fire(struct fault_rule *r, int call)
{
	char text[FAULT_TEXT_MAX + 80];

	r->fired++;
	if (on_fire) {
		snprintf(text, sizeof(text), "%s at %s number %llu", r->text, fault_call_name[call],
		         (unsigned long long)r->met);
		on_fire(text);
	}
}

static void send_self(int sig)
{
	kill(getpid(), sig);
	/* SIGKILL and SIGSTOP take effect before kill returns */
}

static struct verdict apply(const struct fault_rule *r)
{
	struct verdict v = {0};

	switch (r->action) {
	case FAIL:
		v.error = r->error;
		break;
	case SHORT:
		v.cut = true;
		v.bytes = r->bytes;
		break;
	case KILL_BEFORE:
		send_self(SIGKILL);
		break;
	case STOP_BEFORE:
		send_self(SIGSTOP);
		break;
	case KILL_AFTER:
		v.signal_after = SIGKILL;
		break;
	case STOP_AFTER:
		v.signal_after = SIGSTOP;
		break;
	}
	return v;
}

/* The rule that decides on this call, or NULL. */
static struct fault_rule *count(int call, int fd, const char *name)
{
	struct fault_rule *decides = NULL;
	char path[8192];
	bool path_known = false;

	calls[call]++;
	for (struct fault_rule *r = rules; r < rules + rules_n; r++) {
		if (r->call >= 0 ? r->call != call : r->action == SHORT && !fault_can_be_short(call))
			continue;
		if (r->path[0] && !path_known) {
			path_of(path, sizeof(path), fd, name);
			path_known = true;
		}
		if (r->path[0] && !strstr(path, r->path))
			continue;
		r->met++;
		if (!decides && (r->met == r->nth || (r->ever && r->met > r->nth)))
			decides = r;
	}
	if (decides)
		fire(decides, call);
	return decides;
}

static struct verdict meet(int call, int fd, const char *name)
{
	const struct fault_rule *decides;

	pthread_mutex_lock(&counting);
	decides = count(call, fd, name);
	pthread_mutex_unlock(&counting);
	return decides ? apply(decides) : (struct verdict){0};
}

static void leave(const struct verdict *v)
{
	if (v->signal_after) {
		int kept = errno;
		send_self(v->signal_after);
		errno = kept;
	}
}

/* --- the calls ------------------------------------------------------------------------------ */

/* fd and name are where the call goes, for rules with a path: -1 and NULL where there is none. */
#define PLAIN(type, call, params, args, fd, name) \
	static type fault_##call params \
	{ \
		struct verdict v = meet(CALL_##call, fd, name); \
		type r; \
		if (v.error) \
			return v.error; \
		r = under->call args; \
		leave(&v); \
		return r; \
	}

#define BYTES(call, params, args, fd) \
	static ssize_t fault_##call params \
	{ \
		struct verdict v = meet(CALL_##call, fd, NULL); \
		ssize_t r; \
		if (v.error || (v.cut && v.bytes == 0)) \
			return v.error; \
		if (v.cut && len > v.bytes) \
			len = v.bytes; \
		r = under->call args; \
		leave(&v); \
		return r; \
	}

PLAIN(int, open_path, (const char *path, int flags, unsigned mode), (path, flags, mode), -1, path)
PLAIN(int, openat, (int dir, const char *name, int flags, unsigned mode), (dir, name, flags, mode),
      dir, name)

/* A close that fails has closed all the same. */
static int fault_close(int fd)
{
	struct verdict v = meet(CALL_close, fd, NULL);
	int r = under->close(fd);

	leave(&v);
	return v.error ? v.error : r;
}

PLAIN(int, mkdir_path, (const char *path, unsigned mode), (path, mode), -1, path)
PLAIN(int, mkdirat, (int dir, const char *name, unsigned mode), (dir, name, mode), dir, name)
PLAIN(int, renameat, (int dir, const char *from, int todir, const char *to, bool replace),
      (dir, from, todir, to, replace), todir, to)
PLAIN(int, unlinkat, (int dir, const char *name, bool directory), (dir, name, directory), dir, name)
PLAIN(int, fchmod, (int fd, unsigned mode), (fd, mode), fd, NULL)
BYTES(getdents, (int dir, void *buf, size_t len), (dir, buf, len), dir)
PLAIN(int, lseek_start, (int fd), (fd), fd, NULL)

BYTES(read, (int fd, void *buf, size_t len), (fd, buf, len), fd)
BYTES(write, (int fd, const void *buf, size_t len), (fd, buf, len), fd)
BYTES(pread, (int fd, void *buf, size_t len, uint64_t at), (fd, buf, len, at), fd)
BYTES(pwrite, (int fd, const void *buf, size_t len, uint64_t at), (fd, buf, len, at), fd)

/* The first `bytes` bytes of what iov describes. */
static int cut_iov(struct iovec *cut, const struct iovec *iov, int n, size_t bytes)
{
	int i = 0;

	for (; i < n && i < VECTOR_MAX && bytes > 0; i++) {
		cut[i] = iov[i];
		if (cut[i].iov_len > bytes)
			cut[i].iov_len = bytes;
		bytes -= cut[i].iov_len;
	}
	return i;
}

static ssize_t write_vector(int call, int fd, const struct iovec *iov, int n, uint64_t at)
{
	struct verdict v = meet(call, fd, NULL);
	struct iovec cut[VECTOR_MAX];
	ssize_t r;

	if (v.error || (v.cut && v.bytes == 0))
		return v.error;
	if (v.cut) {
		n = cut_iov(cut, iov, n, v.bytes);
		iov = cut;
	}
	r = call == CALL_writev ? under->writev(fd, iov, n) : under->pwritev(fd, iov, n, at);
	leave(&v);
	return r;
}

static ssize_t fault_writev(int fd, const struct iovec *iov, int n)
{
	return write_vector(CALL_writev, fd, iov, n, 0);
}

static ssize_t fault_pwritev(int fd, const struct iovec *iov, int n, uint64_t at)
{
	return write_vector(CALL_pwritev, fd, iov, n, at);
}

PLAIN(int, fdatasync, (int fd), (fd), fd, NULL)
PLAIN(int, fsync, (int fd), (fd), fd, NULL)
PLAIN(int, write_out, (int fd, uint64_t at, uint64_t len), (fd, at, len), fd, NULL)
PLAIN(int, fallocate, (int fd, uint64_t at, uint64_t len), (fd, at, len), fd, NULL)

PLAIN(int, stat, (int fd, struct mq_stat *ret), (fd, ret), fd, NULL)
PLAIN(int, statat, (int dir, const char *name, struct mq_stat *ret), (dir, name, ret), dir, name)
PLAIN(int, fs_magic, (int fd, uint64_t *ret), (fd, ret), fd, NULL)
PLAIN(int, unread, (int fd, int *ret_bytes), (fd, ret_bytes), fd, NULL)
PLAIN(int, pipe_size, (int fd, int bytes), (fd, bytes), fd, NULL)
PLAIN(int, set_nonblock, (int fd, bool on), (fd, on), fd, NULL)

PLAIN(int, lock, (int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len, bool wait),
      (fd, kind, start, len, wait), fd, NULL)
PLAIN(int, lock_test, (int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len),
      (fd, kind, start, len), fd, NULL)

static void *fault_map_shared(int fd, uint64_t at, size_t len)
{
	struct verdict v = meet(CALL_map_shared, fd, NULL);
	void *p;

	if (v.error) {
		errno = -v.error;
		return NULL;
	}
	p = under->map_shared(fd, at, len);
	leave(&v);
	return p;
}

PLAIN(int, unmap, (void *p, size_t len), (p, len), -1, NULL)
PLAIN(int, futex_wait, (uint32_t *word, uint32_t seen, uint32_t classes, int64_t timeout_ns), (word, seen, classes, timeout_ns),
      -1, NULL)
PLAIN(int, futex_wake, (uint32_t *word, int max, uint32_t classes), (word, max, classes), -1, NULL)
PLAIN(int, futex_add, (uint32_t *word), (word), -1, NULL)
PLAIN(int64_t, clock_ns, (enum mq_clock which), (which), -1, NULL)
PLAIN(int, random, (void *buf, size_t len), (buf, len), -1, NULL)

PLAIN(pid_t, pid, (void), (), -1, NULL)
PLAIN(int, fds_max, (void), (), -1, NULL)
PLAIN(int, yield, (void), (), -1, NULL)
PLAIN(pid_t, spawn, (const struct mq_spawn *what), (what), -1, what->argv[0])
PLAIN(pid_t, wait_child, (pid_t pid, int *ret_status, bool block), (pid, ret_status, block), -1, NULL)
PLAIN(int, kill, (pid_t pid, int sig), (pid, sig), -1, NULL)
PLAIN(int, pidfd, (pid_t pid), (pid), -1, NULL)
PLAIN(int, leash, (int ret_fd[2]), (ret_fd), -1, NULL)
PLAIN(int, leash_to, (int fd, pid_t pid), (fd, pid), -1, NULL)
PLAIN(int, pipe, (int ret_fd[2]), (ret_fd), -1, NULL)
PLAIN(int, socketpair, (int ret_fd[2]), (ret_fd), -1, NULL)
PLAIN(int, signal_mask, (int how, const sigset_t *set, sigset_t *ret_old), (how, set, ret_old), -1,
      NULL)
PLAIN(int, signal_fd, (const sigset_t *set), (set), -1, NULL)
PLAIN(int, poll, (struct pollfd *fds, unsigned n, int64_t timeout_ns), (fds, n, timeout_ns), -1,
      NULL)

PLAIN(int, watch_open, (void), (), -1, NULL)
PLAIN(int, watch_add, (const char *path, uint32_t events), (path, events), -1, path)
PLAIN(int, watch_remove, (int wd), (wd), -1, NULL)
PLAIN(int, watch_next, (uint32_t *ret_events), (ret_events), -1, NULL)

#define ENTRY(call) .call = fault_##call,
static const struct mq_sys faulting = {MQ_SYS_CALLS(ENTRY)};
#undef ENTRY

/* --- from outside --------------------------------------------------------------------------- */

const struct mq_sys *mq_fault_over(const struct mq_sys *beneath, const char *text,
                                   struct mq_err *err)
{
	int n = fault_parse(rules, text, err);

	rules_n = n > 0 ? (unsigned)n : 0;
	if (n < 0)
		return NULL;
	memset(calls, 0, sizeof(calls));
	under = beneath;
	return &faulting;
}

uint64_t mq_fault_fired(unsigned rule)
{
	return rule < rules_n ? rules[rule].fired : 0;
}

uint64_t mq_fault_calls(const char *call)
{
	int i = fault_call_by_name(call);

	return i < 0 ? 0 : calls[i];
}

void mq_fault_on_fire(void (*told)(const char *text))
{
	on_fire = told;
}

int mq_fault_report(int fd)
{
	static char text[(CALLS_N + FAULT_RULES_MAX) * (FAULT_TEXT_MAX + 60)];
	size_t len = 0;
	int pid = (int)getpid();

	for (int i = 0; i < CALLS_N; i++)
		if (calls[i])
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%d call %s %llu\n", pid,
			                        fault_call_name[i], (unsigned long long)calls[i]);
	for (unsigned i = 0; i < rules_n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%d rule %s %llu\n", pid,
		                        rules[i].text, (unsigned long long)rules[i].fired);
	return write(fd, text, len) == (ssize_t)len ? 0 : -EIO;
}
