/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archives of what a group's drain discards: in a directory TOPIC.GROUP.ID8.P.FROM-TO.tar.zst, where P is the first partition of which it
 * holds something (names that are too long are cut); or a file of any name.
 *
 * One that is there already was made by a run that was killed before the places had moved, or of a backlog to which the group was set
 * back: where it begins at a place or before it, and ends behind it, what it holds is archived, and not once more.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "spool/archive.h"
#include "spool/dirs.h"
#include "sys/sys.h"

enum { PREFIX_MAX = 200, NAME_CUT = 80 };

struct backlog {
	struct mq_topic *t;
	const char *group;
	struct mq_archive_range *range; /* from: where the group stands */
	size_t n;
	int dir;
	char prefix[PREFIX_MAX];
	char found[256];                /* a name; "": none */
	struct mq_err *err;
};

/* ---- one that is there ---- */
static bool is_of(const struct backlog *q, const struct mq_manifest *m)
{
	return memcmp(m->topic_id, q->t->conf.id, sizeof m->topic_id) == 0 && strcmp(m->group, q->group) == 0;
}

/* Where what it holds of this one ends, from the place on; the place: it holds nothing of it. */
static uint64_t end_in(const struct mq_manifest *m, const struct mq_archive_range *r)
{
	for (size_t i = 0; i < m->n_ranges; i++)
		if (m->range[i].partition == r->partition && m->range[i].from <= r->from && m->range[i].to > r->from)
			return m->range[i].to;
	return r->from;
}

static bool holds_any(const struct backlog *q, const struct mq_manifest *m)
{
	bool some = false;

	for (size_t i = 0; i < q->n; i++)
		some |= end_in(m, &q->range[i]) > q->range[i].from;
	return some && is_of(q, m);
}

static int open_file(const struct backlog *q, const char *name, int *ret_fd, struct mq_archive **ret)
{
	int rc, fd = mq_sys->openat(q->dir, name, O_RDONLY, 0);

	if (fd < 0)
		return fd == -ENOENT ? fd : mq_err_sys(q->err, fd, "cannot open the archive %s", name);
	rc = mq_archive_open(ret, fd, name, q->err);
	if (rc < 0)
		(void)mq_sys->close(fd);
	else
		*ret_fd = fd;
	return rc;
}

static int verify(struct mq_archive *a, struct mq_err *err)
{
	const struct mq_manifest *m = mq_archive_manifest(a);
	struct mq_archive_view v;
	int rc = 0;

	for (size_t i = 0; i < m->n_segments && rc == 0; i++) {
		rc = mq_archive_go(a, i, err);
		while (rc == 0 && (rc = mq_archive_next(a, &v, err)) == 1)
			rc = 0;
	}
	return rc;
}

/* All of what it holds of the backlog is what the log holds. */
static int is_of_log(struct backlog *q, const struct mq_manifest *m)
{
	int rc = 1;

	for (size_t i = 0; i < q->n && rc == 1; i++) {
		struct mq_archive_range r = q->range[i];
		uint64_t end = end_in(m, &r);

		r.to = end < r.to ? end : r.to;
		if (r.to > r.from)
			rc = mq_archive_holds(q->t, m, &r, q->err);
	}
	return rc;
}

/* All of it can be read: what it holds is archived.  1; 0: it is of something else; -ENOENT: there is no such file. */
static int take(struct backlog *q, const char *name)
{
	struct mq_archive *a;
	int fd, rc = open_file(q, name, &fd, &a);

	if (rc < 0)
		return rc;
	const struct mq_manifest *m = mq_archive_manifest(a);
	if (holds_any(q, m)) {
		rc = verify(a, q->err);
		if (rc == 0)
			rc = is_of_log(q, m);
		if (rc == 1) {
			int synced = mq_dir_sync(q->dir, "of archives", q->err); /* who made it may have been killed before */
			rc = synced < 0 ? synced : 1;
		}
		for (size_t i = 0; i < q->n && rc == 1; i++) {
			uint64_t end = end_in(m, &q->range[i]);
			q->range[i].to = end < q->range[i].to ? end : q->range[i].to;
		}
	}
	mq_archive_release(a);
	(void)mq_sys->close(fd);
	return rc;
}

/* What no longer can be read is of no use, and what is put in its place has another name, or says that this one is in the way. */
static int consider(void *arg, const char *name)
{
	struct backlog *q = arg;
	struct mq_archive *a;
	int fd, rc;

	if (q->found[0] || strncmp(name, q->prefix, strlen(q->prefix)) != 0 || strlen(name) >= sizeof q->found)
		return 0;
	rc = open_file(q, name, &fd, &a);
	if (rc < 0) {
		bool useless = rc == -ENOENT || rc == MQ_EINPUT || rc == MQ_EDAMAGE || rc == MQ_ECONFIG;
		if (useless)
			*q->err = (struct mq_err){0};
		return useless ? 0 : rc;
	}
	if (holds_any(q, mq_archive_manifest(a)))
		snprintf(q->found, sizeof q->found, "%s", name);
	mq_archive_release(a);
	(void)mq_sys->close(fd);
	return 0;
}

/* ---- making one ---- */
static int make(struct backlog *q, const char *name)
{
	int rc = mq_archive_write(q->t, q->group, q->range, q->n, q->dir, name, q->err);

	if (rc == -EEXIST)
		rc = mq_err_set(q->err, MQ_EUSAGE, "%s is there already, and does not hold this backlog: move it away, or name another", name);
	return rc;
}

static int in_directory(struct backlog *q)
{
	char id[33], name[256];
	int rc;

	mq_hex(q->t->conf.id, sizeof q->t->conf.id, id);
	snprintf(q->prefix, sizeof q->prefix, "%.*s.%.*s.%.8s.", NAME_CUT, q->t->name, NAME_CUT, q->group, id);
	rc = mq_dir_each(q->dir, consider, q, q->err);
	if (rc == 0 && q->found[0])
		rc = take(q, q->found);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	snprintf(name, sizeof name, "%s%" PRIu32 ".%" PRIu64 "-%" PRIu64 ".tar.zst", q->prefix, q->range[0].partition, q->range[0].from,
	         q->range[0].to);
	return make(q, name);
}

static int in_file(struct backlog *q, const char *name, bool *ret_last)
{
	int rc = take(q, name);

	if (rc == -ENOENT || rc == 0)
		return make(q, name);
	*ret_last = rc == 1;
	return rc < 0 ? rc : 0;
}

/* The directory of `path`, and *ret_name in it; NULL: the path is one. */
static int open_place(const char *path, const char **ret_name, struct mq_err *err)
{
	char parent[4096];
	const char *slash = strrchr(path, '/');
	int dir = mq_sys->open_path(path, O_RDONLY | O_DIRECTORY, 0);

	*ret_name = NULL;
	if (dir != -ENOENT && dir != -ENOTDIR)
		return dir < 0 ? mq_err_sys(err, dir, "cannot open the directory of archives %s", path) : dir;
	*ret_name = slash ? slash + 1 : path;
	if (!**ret_name)
		return mq_err_set(err, MQ_EUSAGE, "no directory %s for archives: make it", path);
	if ((size_t)snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) + 1 : 2, slash ? path : "./") >= sizeof parent)
		return mq_err_sys(err, -ENAMETOOLONG, "cannot open %s", path);
	dir = mq_sys->open_path(parent, O_RDONLY | O_DIRECTORY, 0);
	if (dir == -ENOENT)
		return mq_err_set(err, MQ_EUSAGE, "no directory %s for the archive: make it", parent);
	return dir < 0 ? mq_err_sys(err, dir, "cannot open the directory %s", parent) : dir;
}

int mq_archive_backlog(struct mq_topic *t, const char *group, struct mq_archive_range *range, size_t n, const char *path, bool *ret_last,
                       struct mq_err *err)
{
	struct backlog q = {.t = t, .group = group, .range = range, .n = n, .err = err};
	const char *name;
	int rc;

	*ret_last = false;
	q.dir = open_place(path, &name, err);
	if (q.dir < 0)
		return q.dir;
	rc = name ? in_file(&q, name, ret_last) : in_directory(&q);
	if (rc < 0 && !name)
		mq_err_prefix(err, "%s", path);
	(void)mq_sys->close(q.dir);
	return rc;
}
