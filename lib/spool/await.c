/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A spool that is not there yet: watched for, and nothing made.  What is watched is the directory that leads farthest along its
 * path: its own, still empty, or the one in which the next step will appear.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "spool/dirs.h"
#include "spool/spool.h"
#include "sys/sys.h"

/* *ret_len: so much of path leads to it. */
static int open_nearest(const char *path, size_t *ret_len)
{
	size_t len = strlen(path);
	char *copy = strdup(path);
	int fd = copy ? -ENOENT : -ENOMEM;

	while (fd == -ENOENT) {
		copy[len] = 0;
		fd = mq_sys->open_path(len > 0 ? copy : *path == '/' ? "/" : ".", O_PATH | O_DIRECTORY, 0);
		*ret_len = len;
		if (len == 0)
			break;
		while (len > 0 && copy[len - 1] == '/')
			len--;
		while (len > 0 && copy[len - 1] != '/')
			len--;
		while (len > 0 && copy[len - 1] == '/')
			len--;
	}
	free(copy);
	return fd;
}

/* A directory that is there may still become a spool: what mq_spool_open would make one of. */
static bool is_still_none(int dir)
{
	struct mq_stat st;

	return mq_sys->statat(dir, "spool.conf", &st) == -ENOENT && mq_spool_is_fresh(dir, NULL) == 1;
}

/* The next step has its name and leads nowhere: a link, and nobody tells when that changes. */
static bool leads_nowhere(int dir, const char *rest)
{
	struct mq_stat st;
	char *step;
	bool there;

	rest += strspn(rest, "/");
	step = strndup(rest, strcspn(rest, "/"));
	there = !step || (*step && mq_sys->statat(dir, step, &st) == 0);
	free(step);
	return there;
}

static bool tells(int dir)
{
	uint64_t magic;

	return mq_sys->fs_magic(dir, &magic) == 0 && mq_spool_fs_is_local(magic);
}

/* Is it as it was when its nearest directory was `len` along? */
static bool is_unchanged(const char *path, size_t len)
{
	size_t now = 0;
	int fd = open_nearest(path, &now);
	bool same = fd >= 0 && now == len && (path[len] || is_still_none(fd));

	if (fd >= 0)
		(void)mq_sys->close(fd);
	return same;
}

int mq_spool_await(const char *path, struct mq_wait *w, int *ret_dir, struct mq_err *err)
{
	for (;;) {
		size_t len = 0;
		int slot, dir = open_nearest(path, &len);

		if (dir == -ENOMEM || dir == -EMFILE || dir == -ENFILE)
			return mq_err_sys(err, dir, "cannot wait for the spool %s", path);
		if (dir < 0)
			return 0;
		if (!path[len] && !is_still_none(dir)) {
			(void)mq_sys->close(dir);
			return 0;
		}
		slot = mq_wait_watch(w, dir, IN_CREATE | IN_MOVED_TO, tells(dir) && !leads_nowhere(dir, path + len));
		if (slot >= 0 && is_unchanged(path, len)) {
			*ret_dir = dir;
			return 1;
		}
		if (slot >= 0)
			mq_wait_unwatch(w, slot);
		(void)mq_sys->close(dir);
		if (slot < 0)
			return mq_err_sys(err, slot, "cannot wait for the spool %s", path);
	}
}
