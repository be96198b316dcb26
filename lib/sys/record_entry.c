/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/record_entry.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_MAX = 64 * 1024, NAMES_MAX = 4096, VECTOR_MAX = 1022 };

static pthread_mutex_t one_entry = PTHREAD_MUTEX_INITIALIZER; /* held from begin to end */
static int trace = -1;
static char root[PATH_MAX];
static char header[HEADER_MAX];
static size_t used;
static uint64_t seq;
static char *name_of[NAMES_MAX]; /* of descriptors, from their first mention */
static bool standard_gone[3];    /* 0, 1, 2: no longer what the process was started with */

void entry_setup(int trace_fd, const char *root_dir)
{
	trace = trace_fd;
	snprintf(root, sizeof(root), "%s", root_dir);
}

__attribute__((format(printf, 1, 2))) static void put(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(header + used, sizeof(header) - used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(header) - used)
		abort();
	used += (size_t)n;
}

/* From 0, in the order of their first entries.  Not gettid: that is a call that strace sees. */
static unsigned thread_number(void)
{
	static _Thread_local unsigned mine; /* from 1 */
	static unsigned last;

	if (mine == 0)
		mine = ++last; /* under one_entry */
	return mine - 1;
}

void entry_begin(const char *call)
{
	pthread_mutex_lock(&one_entry);
	used = 0;
	put("@mq 1 %d %llu %s", (int)getpid(), (unsigned long long)seq++, call);
	if (thread_number() > 0)
		put(" thread=%u", thread_number());
}

void entry_int(const char *key, int64_t value)
{
	put(" %s=%lld", key, (long long)value);
}

void entry_uint(const char *key, uint64_t value)
{
	put(" %s=%llu", key, (unsigned long long)value);
}

void entry_hex(const char *key, unsigned value)
{
	put(" %s=0x%x", key, value);
}

void entry_octal(const char *key, unsigned value)
{
	put(" %s=0%o", key, value);
}

static void put_escaped(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c <= 0x20 || c >= 0x7f || c == '%')
			put("%%%02X", c);
		else
			put("%c", c);
	}
}

void entry_text(const char *key, const char *text)
{
	put(" %s=", key);
	put_escaped(text);
}

/* Below the root the rest, the root itself ".", elsewhere the path as it is. */
static const char *relative(const char *path)
{
	size_t n = strlen(root);

	if (n == 0 || strncmp(path, root, n) != 0 || (path[n] && path[n] != '/'))
		return path;
	return path[n] ? path + n + 1 : ".";
}

void entry_path(const char *key, const char *path)
{
	entry_text(key, relative(path));
}

static bool fd_path(int fd, char *buf, size_t len)
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, buf, len - 1);
	buf[n < 0 ? 0 : n] = 0;
	return n >= 0;
}

static const char *fd_name(int fd)
{
	static const char *const standard[] = {"stdin", "stdout", "stderr"};
	static char path[PATH_MAX];
	bool keep = fd >= 0 && fd < NAMES_MAX;

	if (keep && name_of[fd])
		return name_of[fd];
	if (!fd_path(fd, path, sizeof(path)))
		return "?";
	if (fd >= 0 && fd <= 2 && !standard_gone[fd])
		snprintf(path, sizeof(path), "%s", standard[fd]);
	if (!keep)
		return relative(path);
	name_of[fd] = strdup(relative(path));
	if (!name_of[fd])
		abort();
	return name_of[fd];
}

void entry_fd_forget(int fd)
{
	if (fd < 0 || fd >= NAMES_MAX)
		return;
	free(name_of[fd]);
	name_of[fd] = NULL;
	if (fd <= 2)
		standard_gone[fd] = true;
}

void entry_fd(const char *key, int fd)
{
	entry_int(key, fd);
	if (fd < 0)
		return;
	entry_text("file", fd_name(fd));
	entry_id("id", fd, NULL);
}

void entry_at(const char *key, int dir, const char *name)
{
	char path[PATH_MAX + 2];

	if (!fd_path(dir, path, sizeof(path)))
		path[0] = 0;
	put(" %s=", key);
	if (strcmp(relative(path), ".") != 0) {
		put_escaped(relative(path));
		put("/");
	}
	put_escaped(name);
}

void entry_id(const char *key, int dir, const char *name)
{
	struct statx x;
	int flags = AT_SYMLINK_NOFOLLOW | (name ? 0 : AT_EMPTY_PATH);

	if (statx(dir, name ? name : "", flags, STATX_BASIC_STATS | STATX_BTIME, &x) < 0)
		return;
	put(" %s=%u:%u:%llu:%lld", key, x.stx_dev_major, x.stx_dev_minor, (unsigned long long)x.stx_ino,
	    x.stx_mask & STATX_BTIME
	        ? (long long)x.stx_btime.tv_sec * 1000000000 + (long long)x.stx_btime.tv_nsec
	        : 0LL);
}

void entry_end(int64_t result, const struct iovec *iov, int n)
{
	struct iovec all[VECTOR_MAX + 2];
	size_t len = 0;
	ssize_t r;

	assert(n <= VECTOR_MAX);
	for (int i = 0; i < n; i++) {
		all[i + 1] = iov[i];
		len += iov[i].iov_len;
	}
	put(" = %lld %zu\n", (long long)result, len);
	all[0] = (struct iovec){.iov_base = header, .iov_len = used};
	all[n + 1] = (struct iovec){.iov_base = (char[]){'\n'}, .iov_len = 1};
	do
		r = writev(trace, all, n + 2);
	while (r < 0 && errno == EINTR);
	if (r != (ssize_t)(used + len + 1)) {
		static const char why[] = "the recording of system calls cannot be written\n";
		(void)!write(2, why, sizeof(why) - 1);
		abort();
	}
	pthread_mutex_unlock(&one_entry);
}
