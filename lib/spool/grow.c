/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/grow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/control.h"
#include "format/growth.h"
#include "spool/dirs.h"
#include "spool/group.h"
#include "sys/sys.h"

struct held {
	struct mq_partition part;
	struct mq_log log;
	bool open, taken;
	uint64_t end;       /* of its log, when it was taken */
};

struct grower {
	struct mq_topic *t; /* its conf has the new generation from when that is tried */
	struct mq_growth *g;
	struct held *held;  /* of all partitions, new ones too */
	struct mq_err *err;
};

/* ---- the beginning of a generation in a partition ---- */
static int put_beginning(struct grower *w, uint32_t q, bool *marks, struct mq_buf *body)
{
	const struct mq_topic_conf *c = &w->t->conf;
	struct mq_generation g = {w->g->generation, w->g->before, w->g->partitions, w->g->no_barrier, 0};
	struct mq_generation_source *sources;
	uint32_t n = 0;
	int rc, dir;

	mq_growth_sources(c->generations, c->n_generations, q, marks, &g.n_sources);
	sources = calloc(g.n_sources ? g.n_sources : 1, sizeof *sources);
	if (!sources)
		return mq_err_set(w->err, -ENOMEM, "no memory");
	for (uint32_t p = 0; p < g.partitions_before; p++)
		if (marks[p])
			sources[n++] = (struct mq_generation_source){p, w->held[p].end};
	mq_buf_clear(body);
	rc = mq_generation_append(body, &g, sources);
	free(sources);
	if (rc < 0)
		return mq_err_set(w->err, rc, "no memory");
	dir = mq_partition_dir(w->t, q, w->err);
	if (dir < 0)
		return dir;
	rc = mq_log_generation_put(&w->held[q].log, dir, g.number, body->p, body->len, w->err);
	(void)mq_sys->close(dir);
	return rc;
}

static int put_beginnings(struct grower *w)
{
	bool *marks = calloc(w->g->before, sizeof *marks);
	struct mq_buf body = MQ_BUF_INIT;
	int rc = marks ? 0 : mq_err_set(w->err, -ENOMEM, "no memory");

	for (uint32_t q = 0; q < w->g->partitions && rc == 0; q++)
		rc = put_beginning(w, q, marks, &body);
	free(marks);
	mq_buf_release(&body);
	return rc;
}

/* ---- all append locks ---- */
/* Who waits for a further lock keeps from writing whom it has locked out: not for as long as somebody may be stopped. */
static int take(struct grower *w, uint32_t p)
{
	static const struct mq_patience brief = {.ns = INT64_C(5000000000)};
	const struct mq_patience *given = w->t->spool->patience;
	struct held *h = &w->held[p];
	int rc = mq_partition_log(&h->part, w->t, p, &h->log, w->err);

	if (rc < 0)
		return rc;
	h->open = true;
	if (p > 0 && (!given || given->ns < 0 || given->ns > brief.ns))
		h->log.opt.patience = &brief;
	/* What is at its limit can grow all the same. */
	h->log.opt.max_bytes = h->log.opt.max_messages = 0;
	rc = mq_log_generation_take(&h->log, &h->end, w->err);
	h->taken = rc == 0;
	if (rc == -EMFILE || rc == -ENFILE)
		mq_err_suffix(w->err, "; growing holds a file of each partition open (ulimit -n)");
	return rc;
}

static int take_all(struct grower *w)
{
	int rc = 0;

	for (uint32_t p = 0; p < w->g->partitions && rc == 0; p++)
		rc = take(w, p);
	return rc;
}

static void let_go_all(struct grower *w)
{
	for (uint32_t p = 0; p < w->g->partitions; p++) {
		struct held *h = &w->held[p];
		int dir = h->taken ? mq_partition_dir(w->t, p, NULL) : -1;

		if (h->taken)
			mq_log_generation_end(&h->log, dir);
		if (dir >= 0)
			(void)mq_sys->close(dir);
		if (h->open)
			mq_log_release(&h->log);
	}
}

/* ---- who reads it ---- */
/* Owners watch their bell in the group; a member that owns nothing hears of files in members/. */
static int ring_group(void *arg, const char *group)
{
	const struct mq_topic *t = arg;
	char path[2 * MQ_NAME_MAX + 16], name[32];
	int dir, fd;

	snprintf(path, sizeof path, "%s/topics/%s", group, t->name);
	dir = mq_dir_open(t->spool->groups, path, NULL);
	if (dir < 0)
		return 0; /* it does not read this topic */
	mq_group_ring(dir);
	(void)mq_sys->close(dir);
	snprintf(path, sizeof path, "%s/members", group);
	dir = mq_dir_open(t->spool->groups, path, NULL);
	if (dir < 0 || mq_random_name(".tmp-", name, NULL) < 0)
		return 0;
	fd = mq_sys->openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, t->spool->file_mode);
	if (fd >= 0) {
		(void)mq_sys->close(fd);
		(void)mq_sys->unlinkat(dir, name, false);
	}
	(void)mq_sys->close(dir);
	return 0;
}

/* ---- topic.conf ---- */
static int check(const struct mq_topic *t, struct mq_growth *g, struct mq_err *err)
{
	struct mq_topic_conf would = t->conf;

	g->before = t->conf.partitions;
	g->generation = 0;
	if (g->partitions > g->before && g->partitions <= MQ_PARTITIONS_MAX)
		return mq_topic_conf_add_generation(&would, UINT32_MAX, g->partitions, err);
	if (g->partitions == g->before)
		return mq_err_set(err, MQ_EUSAGE, "topic %s has %" PRIu32 " partitions already", t->name, g->before);
	if (g->partitions < g->before)
		return mq_err_set(err, MQ_EUSAGE, "topic %s has %" PRIu32 " partitions, and there can only be more: records would have to be "
		                  "moved out of those that go, and their keys' order given up", t->name, g->before);
	return mq_err_set(err, MQ_EUSAGE, "%" PRIu32 " partitions: a topic has at most %d", g->partitions, MQ_PARTITIONS_MAX);
}

/* The number is nobody else's from now on, whatever becomes of this. */
static int reserve(struct grower *w)
{
	struct mq_topic_conf *c = &w->t->conf;
	uint32_t last = mq_topic_conf_generation(c);

	if (c->growing.partitions && c->growing.number > last)
		last = c->growing.number;
	w->g->generation = last + 1;
	c->growing = (struct mq_topic_generation){last + 1, w->g->partitions, w->g->no_barrier};
	return mq_topic_put_conf(w->t, w->err);
}

static int add_generation(struct grower *w)
{
	struct mq_topic_conf *c = &w->t->conf;
	int rc = mq_topic_conf_add_generation(c, w->g->generation, w->g->partitions, w->err);

	if (rc == 0)
		c->generations[c->n_generations - 1].no_barrier = w->g->no_barrier;
	return rc;
}

/* The moment.  It may have its name and not be durable: that is no failure of which nothing has come. */
static int decide(struct grower *w)
{
	struct mq_topic now;
	struct mq_err why = MQ_ERR_INIT;
	int rc = mq_topic_put_conf(w->t, w->err);

	if (rc < 0 && mq_topic_open(&now, w->t->spool, w->t->name, &why) == 0) {
		if (mq_topic_conf_generation(&now.conf) == w->g->generation)
			rc = mq_err_set(w->err, MQ_EBROKEN, "topic %s has %" PRIu32 " partitions now, but whether a power loss takes that back is "
			                "unknown: topic.conf could not be synced", w->t->name, w->g->partitions);
		mq_topic_release(&now);
	}
	return rc;
}

/* ---- all of it ---- */
/* Publishers wait from the first lock on, so nothing is done under it that could be done before. */
static int grow_held(struct grower *w)
{
	int rc = take_all(w);

	if (rc == 0)
		rc = put_beginnings(w);
	if (rc == 0)
		rc = decide(w);
	let_go_all(w);
	return rc;
}

/* What one left that came to nothing, and was for more than this. */
static int remove_left(struct grower *w)
{
	const struct mq_topic_conf *c = &w->t->conf;
	int rc = 0;

	for (uint32_t p = w->g->partitions; p < c->growing.partitions && rc == 0; p++) {
		char number[16];
		struct mq_stat st;

		snprintf(number, sizeof number, "%" PRIu32, p);
		if (mq_sys->statat(w->t->dir, number, &st) == 0)
			rc = mq_dir_remove(w->t->dir, number, 0, w->err);
	}
	return rc;
}

/* What is behind begins where the log ended while all locks were held.  Publishers do not wait for memory: it is there already. */
static void tell_begins(const struct grower *w)
{
	for (uint32_t p = 0; p < w->g->partitions && w->g->begins; p++)
		(void)mq_buf_add(w->g->begins, &w->held[p].end, sizeof w->held[p].end);
}

static int make_room(struct grower *w)
{
	w->held = calloc(w->g->partitions, sizeof *w->held);
	if (!w->held || (w->g->begins && mq_buf_reserve(w->g->begins, w->g->partitions * sizeof w->held->end) < 0))
		return mq_err_set(w->err, -ENOMEM, "no memory");
	return 0;
}

static int grow(struct grower *w)
{
	struct mq_err ignored = MQ_ERR_INIT;
	int rc = remove_left(w);

	if (rc == 0)
		rc = reserve(w);
	if (rc == 0)
		rc = add_generation(w);
	for (uint32_t p = w->g->before; p < w->g->partitions && rc == 0; p++)
		rc = mq_topic_add_partition(w->t, p, w->err);
	if (rc == 0)
		rc = mq_dir_sync(w->t->dir, w->t->name, w->err);
	if (rc == 0)
		rc = make_room(w);
	if (rc == 0)
		rc = grow_held(w);
	if (rc == 0)
		tell_begins(w);
	free(w->held);
	if (rc < 0)
		return rc;
	(void)mq_group_each(w->t->spool, ring_group, w->t, &ignored);
	w->t->conf.growing.partitions = 0;
	(void)mq_topic_put_conf(w->t, &ignored); /* else a publisher does it */
	return 0;
}

int mq_grow(struct mq_topic *t, struct mq_growth *g, bool dry_run, struct mq_err *err)
{
	struct grower w = {.t = t, .g = g, .err = err};
	int rc, lock;

	if (dry_run)
		return check(t, g, err);
	lock = mq_topic_hold(t, true, err);
	if (lock < 0)
		return lock;
	rc = check(t, g, err);
	if (rc == 0)
		rc = grow(&w);
	(void)mq_sys->close(lock);
	return rc;
}
