/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inotify, through libinotifytools 3.22, which keeps one instance a process and its watches.  What
 * it does not say, or does otherwise than a queue needs, is dealt with here:
 *
 * - Its descriptor is the lowest that was free.  It is made close-on-exec and non-blocking.
 * - It files watches under their path, and /proc/self/fd/5 names another file tomorrow; so the
 *   number of a watch is asked of the kernel.  Told twice of one file it loses memory: it is told
 *   once.
 * - Its next_event waits by select(2) in whole seconds, for ever where 0 is given (whatever its
 *   manual says), aborts on a descriptor above 1023, and hides what it has read ahead.  So events
 *   are read here.
 * - It complains on stderr when a watch to be removed is gone already.  So what is pending is
 *   looked through for IN_IGNORED first.
 */
#include <fcntl.h>
#include <inotifytools/inotifytools.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "sys/real.h"

enum { EVENT_BYTES_MAX = sizeof(struct inotify_event) + NAME_MAX + 1 };

static int instance = -1;

/* Events read and not yet given out: whole ones, from `first` to `end`. */
static _Alignas(struct inotify_event) char events_read[16 * 1024];
static size_t first, end;
static bool emptied; /* the last read took all there was: the next word is "none" */
static bool lost;    /* there was no room while looking ahead: an overflow like the kernel's */

static bool is_inotify(int fd)
{
	char link[40], to[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, to, sizeof(to) - 1);
	if (n < 0)
		return fcntl(fd, F_GETFD) >= 0; /* no /proc: what was free and is open is it */
	to[n] = 0;
	return strcmp(to, "anon_inode:inotify") == 0;
}

int real_watch_open(void)
{
	int fd, flags;

	if (instance >= 0)
		return instance;
	fd = open("/", O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	if (!inotifytools_initialize())
		return inotifytools_error() > 0 ? -inotifytools_error() : -EMFILE;
	if (!is_inotify(fd)) { /* another thread took the number */
		inotifytools_cleanup();
		return -EAGAIN;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		int r = -errno;
		inotifytools_cleanup();
		return r;
	}
	instance = fd;
	return fd;
}

int real_watch_add(const char *path, uint32_t events)
{
	int wd;

	if (instance < 0)
		return -EBADF;
	wd = real_int(inotify_add_watch(instance, path, events | IN_MASK_CREATE));
	if (wd == -EEXIST)
		return real_int(inotify_add_watch(instance, path, events | IN_MASK_ADD));
	if (wd >= 0 && !inotifytools_watch_file(path, (int)(events | IN_MASK_ADD)))
		return inotifytools_error() > 0 ? -inotifytools_error() : -EINVAL;
	return wd;
}

/* Reads behind what is there.  0, or a negative errno: -EAGAIN when there is nothing more. */
static int read_more(void)
{
	ssize_t n;

	if (first > 0) {
		memmove(events_read, events_read + first, end - first);
		end -= first;
		first = 0;
	}
	n = read(instance, events_read + end, sizeof(events_read) - end);
	if (n < 0)
		return -errno;
	emptied = sizeof(events_read) - end - (size_t)n >= EVENT_BYTES_MAX;
	end += (size_t)n;
	return n > 0 ? 0 : -EAGAIN;
}

static const struct inotify_event *event_at(size_t at)
{
	return (const struct inotify_event *)(const void *)(events_read + at);
}

static size_t event_bytes(const struct inotify_event *e)
{
	return sizeof(*e) + e->len;
}

int real_watch_next(uint32_t *ret_events)
{
	const struct inotify_event *e;

	if (instance < 0)
		return -EAGAIN;
	if (lost) {
		lost = false;
		*ret_events = IN_Q_OVERFLOW;
		return 0;
	}
	if (first == end) {
		int r = emptied ? -EAGAIN : read_more();
		emptied = emptied && r == 0;
		if (r < 0)
			return r;
	}
	e = event_at(first);
	first += event_bytes(e);
	*ret_events = e->mask;
	return e->mask & IN_Q_OVERFLOW ? 0 : e->wd;
}

/* True when the kernel has already dropped this watch. */
static bool is_gone(int wd)
{
	size_t at = first;

	for (;;) {
		size_t before = end - first;
		for (; at < end; at += event_bytes(event_at(at)))
			if (event_at(at)->wd == wd && event_at(at)->mask & IN_IGNORED)
				return true;
		if (sizeof(events_read) - before < EVENT_BYTES_MAX) {
			first = end; /* more than there is room for: forget all, and say so */
			lost = true;
		}
		at = end - first;
		if (read_more() < 0)
			return false;
	}
}

int real_watch_remove(int wd)
{
	if (instance < 0)
		return -EBADF;
	if (is_gone(wd))
		return 0;
	return inotifytools_remove_watch_by_wd(wd) ? 0 : -EINVAL;
}
