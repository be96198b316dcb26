/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The beginning and the end of a topic, as its directory tells them whoever was killed in between:
 *
 *   neither `named` nor `deleting`   it lives; that its name is durable is not known: sync topics/ and the spool's own
 *                                    directory, then make `named`, before the first acknowledgement in it
 *   named                            it lives, and its name is durable
 *   deleting                         it was deleted; who comes finishes that
 *
 * The one call that decides is the rename of `named` to `deleting`, under a lock on that very file; it needs no space.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "spool/dirs.h"
#include "spool/topic.h"
#include "sys/sys.h"

static bool has(const struct mq_topic *t, const char *name)
{
	struct mq_stat st;

	return mq_sys->statat(t->dir, name, &st) == 0;
}

static void remember(struct mq_topic *t)
{
	memcpy(t->spool->lasting, t->conf.id, sizeof t->spool->lasting);
}

/* What fails here costs the next one two syncs. */
static void mark_named(const struct mq_spool *s, int dir)
{
	int fd = mq_sys->openat(dir, "named", O_RDWR | O_CREAT | O_EXCL, s->file_mode);

	if (fd < 0)
		return;
	(void)mq_sys->fchmod(fd, s->file_mode);
	(void)mq_sys->close(fd);
}

int mq_topic_sync_name(struct mq_spool *s, int dir, struct mq_err *err)
{
	int rc = mq_dir_sync(s->topics, "topics", err);

	if (rc == 0)
		rc = mq_dir_sync(s->root, "of the spool", err);
	if (rc == 0)
		mark_named(s, dir);
	return rc;
}

/* ---- removal ---- */
/* The file to lock: -ENOENT where there is none and none can be made. */
static int open_mark(const struct mq_topic *t)
{
	int fd = mq_sys->openat(t->dir, "named", O_RDWR, 0);

	if (fd == -ENOENT)
		fd = mq_sys->openat(t->dir, "deleting", O_RDWR, 0);
	if (fd == -ENOENT)
		fd = mq_sys->openat(t->dir, "deleting", O_RDWR | O_CREAT, t->spool->file_mode);
	return fd;
}

/* Does the name still lead here? */
static int still_there(const struct mq_topic *t, struct mq_err *err)
{
	struct mq_stat here, there;
	int rc = mq_sys->stat(t->dir, &here);

	if (rc == 0)
		rc = mq_sys->statat(t->spool->topics, t->name, &there);
	if (rc < 0 && rc != -ENOENT)
		return mq_err_sys(err, rc, "cannot look at topic %s", t->name);
	return rc == 0 && here.ino == there.ino;
}

static int each_log(struct mq_topic *t, int (*act)(struct mq_log *log, struct mq_err *err), struct mq_err *err)
{
	int rc = 0;

	for (uint32_t p = 0; p < t->conf.partitions && rc == 0; p++) {
		struct mq_partition part;
		struct mq_log log;

		rc = mq_partition_log(&part, t, p, &log, err);
		if (rc == 0) {
			rc = act(&log, err);
			mq_log_release(&log);
		}
	}
	return rc;
}

/* Who does not wait for ever asks before anything is decided.  What else is the matter does not keep a topic from going. */
static int await_locks(struct mq_topic *t, struct mq_err *err)
{
	int rc = t->spool->patience && t->spool->patience->ns >= 0 ? each_log(t, mq_log_await, err) : 0;

	return rc == -ETIMEDOUT || rc == -EINTR ? rc : 0;
}

static int take_away(struct mq_topic *t, struct mq_err *err)
{
	char gone[32];
	int rc = await_locks(t, err);

	if (rc < 0)
		return rc;
	rc = mq_sys->renameat(t->dir, "named", t->dir, "deleting", true);
	if (rc < 0 && rc != -ENOENT)
		return mq_err_sys(err, rc, "cannot remove topic %s", t->name);
	rc = mq_dir_sync(t->dir, t->name, err); /* a retired tail must not outlast the decision */
	/* Writers first: whoever gets an append lock after this finds the tail retired. */
	if (rc == 0)
		rc = each_log(t, mq_log_retire, err);
	if (rc == 0)
		rc = mq_random_name(".gone-", gone, err);
	if (rc < 0)
		return rc;
	rc = mq_sys->renameat(t->spool->topics, t->name, t->spool->topics, gone, false);
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot remove topic %s", t->name);
	rc = mq_dir_sync(t->spool->topics, "topics", err);
	return rc < 0 ? rc : mq_dir_remove(t->spool->topics, gone, 1, err);
}

/* 1: done, by this one or another; 0: somebody is at it. */
static int remove_it(struct mq_topic *t, bool wait, struct mq_err *err)
{
	const struct mq_patience *patience = t->spool->patience;
	int64_t end_ns = mq_patience_end(patience);
	int rc, fd = open_mark(t);

	if (fd == -ENOSPC || fd == -EDQUOT) { /* no room for a mark: it goes without, as nobody else can make one */
		rc = take_away(t, err);
		return rc < 0 ? rc : 1;
	}
	if (fd < 0)
		return mq_err_sys(err, fd, "cannot remove topic %s", t->name);
	do
		rc = wait ? mq_patience_lock(patience, end_ns, fd, MQ_LOCK_WRITE, 0, 1) : mq_sys->lock(fd, MQ_LOCK_WRITE, 0, 1, false);
	while (rc == -EINTR && !wait);
	if (rc == -EAGAIN || rc == -EACCES)
		rc = 0;
	else if (rc == -ETIMEDOUT)
		mq_err_set(err, rc, "another process is deleting topic %s, and was not done within %g s (--timeout)", t->name,
		           (double)patience->ns / 1e9);
	else if (rc < 0)
		mq_err_sys(err, rc, "cannot lock topic %s", t->name);
	else {
		rc = still_there(t, err);
		if (rc == 1)
			(void)mq_topic_reread(t, NULL); /* it may have grown; else what is known of it goes */
		if (rc == 1)
			rc = take_away(t, err);
		rc = rc < 0 ? rc : 1;
	}
	(void)mq_sys->close(fd);
	return rc;
}

int mq_topic_remove(struct mq_topic *t, struct mq_err *err)
{
	int rc = remove_it(t, true, err);

	return rc < 0 ? rc : 0;
}

/* ---- what an earlier process left ---- */
int mq_topic_alive(struct mq_topic *t, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;

	if (has(t, "named")) {
		remember(t);
		return 0;
	}
	if (!has(t, "deleting"))
		return 0;
	if (!t->spool->looks || !*t->spool->looks)
		(void)remove_it(t, false, &why); /* who may not finish it still sees that it is gone */
	return mq_err_set(err, MQ_ENOTOPIC, "no topic %s: it was deleted", t->name);
}

/* A growth was killed before it knew that the new topic.conf is durable.  Nothing may be acknowledged before that is so. */
static bool is_growing(const struct mq_topic *t)
{
	return t->conf.growing.partitions > 0 && t->conf.growing.number == mq_topic_conf_generation(&t->conf);
}

static int settle_growth(struct mq_topic *t, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	int rc = mq_dir_sync(t->dir, t->name, err), lock;

	if (rc < 0 || !has(t, "named"))
		return rc;
	/* That it is so need not be found out again and again; but this may be one who may not write it. */
	lock = mq_topic_hold(t, false, &why);
	if (lock >= 0 && is_growing(t)) {
		t->conf.growing.partitions = 0;
		(void)mq_topic_put_conf(t, &why);
	}
	if (lock >= 0)
		(void)mq_sys->close(lock);
	return 0;
}

int mq_topic_settle(struct mq_topic *t, struct mq_err *err)
{
	int rc = is_growing(t) ? settle_growth(t, err) : 0;

	if (rc < 0 || memcmp(t->spool->lasting, t->conf.id, sizeof t->conf.id) == 0)
		return rc;
	rc = mq_topic_alive(t, err);
	if (rc < 0 || memcmp(t->spool->lasting, t->conf.id, sizeof t->conf.id) == 0)
		return rc;
	rc = mq_topic_sync_name(t->spool, t->dir, err);
	if (rc == 0)
		remember(t);
	return rc;
}

/* ---- the lock ---- */
static int lock_named(const struct mq_topic *t, int fd, bool wait, struct mq_err *err)
{
	const struct mq_patience *patience = t->spool->patience;
	int64_t end_ns = mq_patience_end(patience);
	int rc = wait ? mq_patience_lock(patience, end_ns, fd, MQ_LOCK_WRITE, 0, 1) : mq_sys->lock(fd, MQ_LOCK_WRITE, 0, 1, false);

	if (!wait && (rc == -EACCES || rc == -EAGAIN))
		return -EAGAIN;
	if (rc == -ETIMEDOUT)
		return mq_err_set(err, rc, "topic %s: another process changes it, and was not done within %g s (--timeout)", t->name,
		                  (double)patience->ns / 1e9);
	return rc < 0 ? mq_err_sys(err, rc, "cannot lock topic %s", t->name) : 0;
}

/* The file that was locked has still its name: it was not deleted, nor is it being so. */
static int is_named(const struct mq_topic *t, int fd, struct mq_err *err)
{
	struct mq_stat locked, named;
	int rc = mq_sys->stat(fd, &locked);

	if (rc == 0)
		rc = mq_sys->statat(t->dir, "named", &named);
	if (rc < 0 && rc != -ENOENT)
		return mq_err_sys(err, rc, "cannot look at topic %s", t->name);
	if (rc == 0 && locked.ino == named.ino)
		rc = still_there(t, err);
	else
		rc = 0;
	return rc == 0 ? mq_err_set(err, MQ_ENOTOPIC, "no topic %s: it was deleted", t->name) : rc < 0 ? rc : 0;
}

int mq_topic_hold(struct mq_topic *t, bool wait, struct mq_err *err)
{
	int fd, rc = mq_topic_alive(t, err);

	if (rc == 0 && !has(t, "named"))
		rc = mq_topic_sync_name(t->spool, t->dir, err);
	if (rc < 0)
		return rc;
	fd = mq_sys->openat(t->dir, "named", O_RDWR, 0);
	if (fd < 0)
		return mq_err_sys(err, fd, "topic %s: cannot open named, which is its lock", t->name);
	rc = lock_named(t, fd, wait, err);
	if (rc == 0)
		rc = is_named(t, fd, err);
	if (rc == 0)
		rc = mq_topic_reread(t, err);
	if (rc < 0)
		(void)mq_sys->close(fd);
	return rc < 0 ? rc : fd;
}
