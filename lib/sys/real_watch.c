/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inotify, through libinotifytools 3.22, which keeps one instance a process.  What it does not
 * say is found out here, once:
 *
 * - Its descriptor is the lowest that was free.  It is made close-on-exec and non-blocking.
 * - It waits by select(2), which a descriptor above 1023 turns into an abort: then there is no
 *   instance to be had, EMFILE, and the caller polls.
 * - It files watches under their path, and /proc/self/fd/5 names another file tomorrow; so the
 *   number of a watch is asked of the kernel, which gives the same one for the same file.
 * - It says on stderr when a watch to be removed is gone already; so pending events are looked
 *   through for IN_IGNORED first.
 */
#include <fcntl.h>
#include <inotifytools/inotifytools.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <unistd.h>

#include "sys/real.h"

static int instance = -1;

/* Events read ahead while looking for IN_IGNORED: a ring, given out before any other. */
enum { AHEAD_MAX = 64 };
static struct {
	int wd;
	uint32_t events;
} ahead[AHEAD_MAX];
static unsigned ahead_first, ahead_count;

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
	if (fd >= FD_SETSIZE)
		return -EMFILE;
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
	if (instance < 0)
		return -EBADF;
	if (!inotifytools_watch_file(path, (int)(events | IN_MASK_ADD)))
		return inotifytools_error() > 0 ? -inotifytools_error() : -EINVAL;
	return real_int(inotify_add_watch(instance, path, events | IN_MASK_ADD));
}

static int next_unread(uint32_t *ret_events)
{
	struct inotify_event *e = inotifytools_next_event(0);

	if (!e)
		return inotifytools_error() > 0 ? -inotifytools_error() : -EAGAIN;
	*ret_events = e->mask;
	return e->mask & IN_Q_OVERFLOW ? 0 : e->wd;
}

int real_watch_next(uint32_t *ret_events)
{
	if (instance < 0)
		return -EAGAIN;
	if (ahead_count > 0) {
		int wd = ahead[ahead_first].wd;
		*ret_events = ahead[ahead_first].events;
		ahead_first = (ahead_first + 1) % AHEAD_MAX;
		ahead_count--;
		return wd;
	}
	return next_unread(ret_events);
}

/* True when the kernel has already dropped this watch.  What cannot be kept because the ring is
 * full is told as an overflow, which is what it is. */
static bool is_gone(int wd)
{
	uint32_t events;
	bool gone = false;
	int from;

	for (unsigned i = 0; i < ahead_count; i++) {
		unsigned at = (ahead_first + i) % AHEAD_MAX;
		gone |= ahead[at].wd == wd && ahead[at].events & IN_IGNORED;
	}
	while (!gone && (from = next_unread(&events)) >= 0) {
		unsigned at;
		gone = from == wd && events & IN_IGNORED;
		if (ahead_count < AHEAD_MAX - 1) {
			at = (ahead_first + ahead_count++) % AHEAD_MAX;
			ahead[at].wd = from;
			ahead[at].events = events;
		} else {
			at = (ahead_first + AHEAD_MAX - 1) % AHEAD_MAX;
			ahead_count = AHEAD_MAX;
			ahead[at].wd = 0;
			ahead[at].events = IN_Q_OVERFLOW;
		}
	}
	return gone;
}

int real_watch_remove(int wd)
{
	if (instance < 0)
		return -EBADF;
	if (is_gone(wd))
		return 0;
	return inotifytools_remove_watch_by_wd(wd) ? 0 : -EINVAL;
}
