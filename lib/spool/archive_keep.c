/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archives that retention keeps in a directory: TOPIC.ID8.P.FROM-TO.tar.zst, the offsets FROM up to TO of a partition.
 *
 * One that is there already was made by a run that was killed before it raised the log start, or that found a new group then: what is in
 * it is archived, and not once more.  One that was made of another log of that id, from which this one has parted since a backup, is
 * left alone: what this one holds has an archive of its own.
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

enum { PREFIX_MAX = MQ_NAME_MAX + 32, NAME_MAX_LEN = PREFIX_MAX + 64 };
static const char SUFFIX[] = ".tar.zst";

struct search {
	char prefix[PREFIX_MAX];
	uint64_t from;
	uint64_t found_from, found_to; /* found_to 0: none */
};

/* "FROM-TO.tar.zst" */
static bool parse(const char *text, uint64_t *from, uint64_t *to)
{
	size_t used, len = strlen(text);

	if (mq_to_u64_prefix(text, len, from, &used) < 0 || text[used] != '-')
		return false;
	text += used + 1;
	return mq_to_u64_prefix(text, strlen(text), to, &used) == 0 && strcmp(text + used, SUFFIX) == 0;
}

static int consider(void *arg, const char *name)
{
	struct search *q = arg;
	uint64_t from, to;

	if (strncmp(name, q->prefix, strlen(q->prefix)) != 0 || !parse(name + strlen(q->prefix), &from, &to))
		return 0;
	if (from <= q->from && to > q->from && to > q->found_to) {
		q->found_from = from;
		q->found_to = to;
	}
	return 0;
}

/* All of it can be read, and it holds what its name says.  1: that is what the log holds; 0: it is not. */
static int verify(struct mq_topic *t, uint32_t p, const struct search *q, int fd, const char *name, struct mq_err *err)
{
	struct mq_archive_view v;
	struct mq_archive *a;
	int rc = mq_archive_open(&a, fd, name, err);

	if (rc < 0)
		return rc;
	const struct mq_manifest *m = mq_archive_manifest(a);
	if (memcmp(m->topic_id, t->conf.id, sizeof m->topic_id) != 0 || m->n_ranges != 1 || m->range[0].partition != p ||
	    m->range[0].from != q->found_from || m->range[0].to != q->found_to)
		rc = mq_err_set(err, MQ_EINPUT, "%s: it does not hold what its name says: move it away", name);
	for (size_t i = 0; i < m->n_segments && rc == 0; i++) {
		rc = mq_archive_go(a, i, err);
		while (rc == 0 && (rc = mq_archive_next(a, &v, err)) == 1)
			rc = 0;
	}
	if (rc == 0)
		rc = mq_archive_holds(t, m, &(struct mq_archive_range){p, q->from, q->found_to}, err);
	mq_archive_release(a);
	return rc;
}

/* 1; 0: it is of another log. */
static int take_found(struct mq_topic *t, uint32_t p, const struct search *q, int dir, uint64_t *to, struct mq_err *err)
{
	char name[NAME_MAX_LEN];
	int fd, rc;

	snprintf(name, sizeof name, "%s%" PRIu64 "-%" PRIu64 "%s", q->prefix, q->found_from, q->found_to, SUFFIX);
	if (q->found_to > *to) { /* it holds more than may go now */
		*to = q->from;
		return 1;
	}
	fd = mq_sys->openat(dir, name, O_RDONLY, 0);
	if (fd < 0)
		return mq_err_sys(err, fd, "cannot open the archive %s", name);
	rc = verify(t, p, q, fd, name, err);
	(void)mq_sys->close(fd);
	if (rc <= 0)
		return rc;
	rc = mq_dir_sync(dir, "of archives", err); /* who made it may have been killed before */
	if (rc == 0)
		*to = q->found_to;
	return rc < 0 ? rc : 1;
}

int mq_archive_keep(struct mq_topic *t, uint32_t p, uint64_t from, uint64_t *to, const char *path, struct mq_err *err)
{
	struct search q = {.from = from};
	char id[33], name[NAME_MAX_LEN];
	int rc, dir = mq_sys->open_path(path, O_RDONLY | O_DIRECTORY, 0);

	if (dir == -ENOENT)
		return mq_err_set(err, MQ_EUSAGE, "no directory %s for archives: make it", path);
	if (dir < 0)
		return mq_err_sys(err, dir, "cannot open the directory of archives %s", path);
	mq_hex(t->conf.id, sizeof t->conf.id, id);
	snprintf(q.prefix, sizeof q.prefix, "%s.%.8s.%" PRIu32 ".", t->name, id, p);
	rc = mq_dir_each(dir, consider, &q, err);
	if (rc == 0 && q.found_to > 0)
		rc = take_found(t, p, &q, dir, to, err);
	if (rc == 0) {
		struct mq_archive_range range = {p, from, *to};

		snprintf(name, sizeof name, "%s%" PRIu64 "-%" PRIu64 "%s", q.prefix, from, *to, SUFFIX);
		rc = mq_archive_write(t, NULL, &range, 1, dir, name, err);
		if (rc == -EEXIST)
			rc = mq_err_set(err, MQ_EUSAGE, "%s is there already, and does not hold what is to go: move it away", name);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s", path);
	(void)mq_sys->close(dir);
	return rc < 0 ? rc : 0;
}
