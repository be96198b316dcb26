/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in groups/ beside the places: members that died, groups of topics that are gone, strays. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/name.h"
#include "spool/check_internal.h"
#include "spool/dirs.h"
#include "sys/sys.h"

struct walk {
	struct mq_check *c;
	int dir;
	char where[512];
};

/* Its one lock is free: the process is gone. */
static int member(void *arg, const char *name, const struct mq_stat *st)
{
	struct walk *w = arg;
	struct mq_check_remedy remedy = mq_check_did(w->c, 0);
	struct mq_stat again;
	int locked, fd;

	if (!S_ISREG(st->mode))
		return mq_check_stranger(w->c, w->where, name);
	fd = mq_sys->openat(w->dir, name, O_RDONLY, 0);
	if (fd < 0)
		return 0; /* gone, or not ours to look at */
	locked = mq_sys->lock_test(fd, MQ_LOCK_WRITE, 0, 1);
	(void)mq_sys->close(fd);
	if (locked != 0 || mq_sys->statat(w->dir, name, &again) < 0)
		return 0;
	if (name[0] == '.' && mq_sys->clock_ns(MQ_CLOCK_REAL) - st->mtime_ns < MQ_CHECK_STRAY_AFTER_S * INT64_C(1000000000))
		return 0; /* between its creation and its lock, perhaps */
	if (mq_check_mends(w->c)) {
		int rc = mq_sys->unlinkat(w->dir, name, false);

		if (rc < 0 && rc != -ENOENT)
			remedy = mq_check_not(w->c, "it cannot be removed");
	}
	return mq_check_tell(w->c, MQ_CHECK_LEFT, w->where, name, NULL, remedy, "the file of a member that died");
}

static int topic_place(void *arg, const char *name, const struct mq_stat *st)
{
	struct walk *w = arg;
	struct mq_stat topic;

	if (mq_check_is_temporary(name))
		return mq_check_stray(w->c, w->dir, w->where, name, st);
	if (!S_ISDIR(st->mode) || !mq_name_ok(name, strlen(name)))
		return mq_check_stranger(w->c, w->where, name);
	if (mq_sys->statat(w->c->spool->topics, name, &topic) == 0)
		return 0;
	return mq_check_tell(w->c, MQ_CHECK_DEAD, w->where, name, NULL, mq_check_not(w->c, "mq-group delete removes it"),
	                     "the group's place in a topic that is gone");
}

static int below(struct walk *w, const char *group, const char *name, int (*fn)(void *arg, const char *name, const struct mq_stat *st))
{
	struct walk inner = {.c = w->c};
	int rc;

	snprintf(inner.where, sizeof inner.where, "groups/%s/%s", group, name);
	inner.dir = mq_dir_open(w->dir, name, NULL);
	if (inner.dir < 0)
		return inner.dir == -ENOENT ? 0 : mq_err_sys(w->c->err, inner.dir, "cannot open %s", inner.where);
	rc = mq_check_each(w->c, inner.dir, inner.where, fn, &inner);
	(void)mq_sys->close(inner.dir);
	return rc;
}

static int part_of_group(void *arg, const char *name, const struct mq_stat *st)
{
	struct walk *w = arg;
	const char *group = w->where + strlen("groups/");

	if (S_ISDIR(st->mode) && strcmp(name, "members") == 0)
		return below(w, group, name, member);
	if (S_ISDIR(st->mode) && strcmp(name, "topics") == 0)
		return below(w, group, name, topic_place);
	if (S_ISREG(st->mode) && strcmp(name, "group.conf") == 0)
		return mq_check_group_conf(w->c, w->dir, group, w->where);
	if (mq_check_is_temporary(name))
		return mq_check_stray(w->c, w->dir, w->where, name, st);
	return mq_check_stranger(w->c, w->where, name);
}

static int group(void *arg, const char *name, const struct mq_stat *st)
{
	struct walk *w = arg, inner = {.c = w->c};
	int rc;

	if (mq_check_is_temporary(name))
		return mq_check_stray(w->c, w->dir, w->where, name, st);
	if (!S_ISDIR(st->mode) || !mq_name_ok(name, strlen(name)))
		return mq_check_stranger(w->c, w->where, name);
	snprintf(inner.where, sizeof inner.where, "groups/%s", name);
	inner.dir = mq_dir_open(w->dir, name, NULL);
	if (inner.dir < 0)
		return inner.dir == -ENOENT ? 0 : mq_err_sys(w->c->err, inner.dir, "cannot open %s", inner.where);
	rc = mq_check_each(w->c, inner.dir, inner.where, part_of_group, &inner);
	(void)mq_sys->close(inner.dir);
	return rc;
}

int mq_check_members(struct mq_check *c)
{
	struct walk w = {.c = c, .dir = c->spool->groups, .where = "groups"};

	if (w.dir < 0)
		return mq_check_tell(c, MQ_CHECK_CONFIG, "groups", NULL, NULL, mq_check_not(c, "this user may not open it"),
		                     "it cannot be opened: no group was checked");
	return mq_check_each(c, w.dir, w.where, group, &w);
}
