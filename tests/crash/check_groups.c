/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups and named producers after a power cut. */
#include <stdio.h>
#include <string.h>

#include "check_parts.h"
#include "spool/acks_file.h"
#include "spool/owner.h"

/* ---- groups ---------------------------------------------------------------------------------------- */

static bool is_commit(const struct fact *f)
{
	return f->kind == FACT_COMMIT || f->kind == FACT_COMMIT_TRY;
}

/* The last commit that was acknowledged, or one tried after it. */
static bool may_be(const struct checking *k, const struct story *y, const char *group, uint64_t offset)
{
	bool any = true, fits = false;

	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));) {
		if (strcmp(f->name, group) != 0 || !is_commit(f))
			continue;
		if (f->kind == FACT_COMMIT) {
			any = false;
			fits = false;
		}
		fits |= f->offset == offset;
	}
	return fits || (any && offset == 0);
}

static bool promised(const struct checking *k, const struct story *y, const char *group)
{
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));)
		if (f->kind == FACT_COMMIT && strcmp(f->name, group) == 0)
			return true;
	return false;
}

/* Nothing that was acknowledged before the last seek counts behind it. */
static int check_sought(struct checking *k, const struct story *y, struct mq_group_topic *g, const struct mq_commit *c)
{
	const struct fact *last = NULL;
	bool later = false;
	struct mq_acks above;
	size_t n;

	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));) {
		if (strcmp(f->name, g->group) != 0)
			continue;
		if (f->kind == FACT_SOUGHT)
			last = f;
		later = f->kind == FACT_SOUGHT ? false : later || is_commit(f) || f->kind == FACT_OUTSIDE;
	}
	if (!last)
		return 0;
	if (c->seeks < last->count)
		return wrong(k, "group %s, %s: %u seeks count, %llu were acknowledged", g->group, y->name, (unsigned)c->seeks,
		             (unsigned long long)last->count);
	if (later || mq_acks_read(g, 0, c, &above, NULL) < 0)
		return 0;
	n = above.n;
	mq_acks_release(&above);
	return n ? wrong(k, "group %s, %s: %zu acknowledgements of before the seek count", g->group, y->name, n) : 0;
}

static int check_place(struct checking *k, const struct story *y, struct mq_topic *t, const char *group, uint64_t end)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_group_topic g;
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_group_topic_open(&g, t, group, false, &err);

	if (rc == MQ_ENOTOPIC && !promised(k, y, group))
		return 0;
	if (rc < 0)
		return wrong(k, "group %s, %s: %s", group, y->name, err.text);
	rc = mq_group_topic_read(&g, 0, &c, &which, &seq, &err);
	int sought = rc == 0 && which >= 0 ? check_sought(k, y, &g, &c) : 0;
	mq_group_topic_release(&g);
	if (sought < 0)
		return sought;
	if (rc < 0)
		return wrong(k, "group %s, %s: the place cannot be read: %s", group, y->name, err.text);
	if (which < 0)
		return promised(k, y, group) ? wrong(k, "group %s, %s: its commit is gone", group, y->name) : 0;
	if (!may_be(k, y, group, c.offset))
		return wrong(k, "group %s, %s: it stands at %llu, which is none of its commits from the last acknowledged on", group,
		             y->name, (unsigned long long)c.offset);
	if (c.offset > end)
		return wrong(k, "group %s, %s: it stands at %llu, beyond the end %llu", group, y->name, (unsigned long long)c.offset,
		             (unsigned long long)end);
	return 0;
}

/* Was the place set, or about to be, after that? */
static bool is_sought_since(const struct checking *k, const struct story *y, const struct fact *than)
{
	bool sought = false;

	for (const struct fact *f = than; (f = fact_next(k->s, y, f));)
		sought |= f->kind == FACT_SEEKS && strcmp(f->name, than->name) == 0;
	return sought;
}

/* Does the place, or an acknowledgement above it, say that the record is done? */
static bool is_done(struct mq_ownership *o, uint64_t offset)
{
	struct mq_acks above;
	bool done = offset < o->commit.offset;

	if (done || mq_acks_read(o->g, 0, &o->commit, &above, NULL) < 0)
		return done;
	for (size_t i = 0; i < above.n; i++)
		done |= above.offset[i] == offset;
	mq_acks_release(&above);
	return done;
}

/* A member takes the partition, finds what strangers acknowledged, and commits to the end. */
static int go_on(struct checking *k, const struct story *y, struct mq_topic *t, const char *group, uint64_t end)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_membership m;
	struct mq_ownership o;
	int rc = mq_membership_join(&m, k->spool, group, NULL, &err);

	if (rc < 0)
		return wrong(k, "group %s: joining fails: %s", group, err.text);
	rc = mq_ownership_take(&o, &m, t, 0, 0, &err);
	if (rc != 1) {
		mq_membership_leave(&m);
		return wrong(k, "group %s, %s: taking it gives %d: %s", group, y->name, rc, err.text);
	}
	rc = mq_acks_merge(&o, &err);
	for (const struct fact *f = NULL; rc == 0 && (f = fact_next(k->s, y, f));)
		if (f->kind == FACT_OUTSIDE && strcmp(f->name, group) == 0 && !is_sought_since(k, y, f) && !is_done(&o, f->offset)) {
			rc = wrong(k, "group %s, %s: the record at %llu was acknowledged and is to be read again, from %llu on", group,
			           y->name, (unsigned long long)f->offset, (unsigned long long)o.commit.offset);
			goto out;
		}
	if (rc == 0)
		rc = mq_ownership_commit(&o, end, 0, &err);
	if (rc == 0)
		rc = mq_ownership_sync(&o, &err);
	if (rc < 0)
		rc = wrong(k, "group %s, %s: going on fails: %s", group, y->name, err.text);
out:
	mq_ownership_release(&o);
	mq_membership_leave(&m);
	return rc;
}

static bool told_before(const struct checking *k, const struct story *y, const struct fact *this)
{
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f)) && f != this;)
		if (is_commit(f) && strcmp(f->name, this->name) == 0)
			return true;
	return false;
}

int check_groups(struct checking *k, const struct story *y, struct mq_topic *t, uint64_t end)
{
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));) {
		if (!is_commit(f) || told_before(k, y, f))
			continue;
		if (check_place(k, y, t, f->name, end) < 0 || check_share(k, y, t, f->name, end) < 0 ||
		    check_once(k, y, t, f->name, end) < 0 || go_on(k, y, t, f->name, end) < 0)
			return -1;
	}
	return 0;
}

/* ---- producers ------------------------------------------------------------------------------------- */

static int check_producer(struct checking *k, const struct story *y, struct mq_log *log, const struct fact *f,
                          const struct reading *r)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_producer p;
	uint64_t there = 0;
	int rc = mq_log_producer(log, MQ_WHO_PRODUCER, f->name, &p, &err);

	if (rc < 0)
		return wrong(k, "%s: producer %s: %s", y->name, f->name, err.text);
	for (size_t i = 0; i < r->n; i++)
		if (r->r[i].producer == p.id && r->r[i].number > there)
			there = r->r[i].number;
	if (k->s->rotten) /* what a bad sector held cannot count */
		return 0;
	if (p.number < f->offset)
		return wrong(k, "%s: producer %s is held up to %llu, %llu was acknowledged", y->name, f->name,
		             (unsigned long long)p.number, (unsigned long long)f->offset);
	/* Where nothing was lost its last batch may be there and not be visible yet. */
	if (p.number != there && k->s->kind != WORLD_KILL)
		return wrong(k, "%s: producer %s is held up to %llu, but its records are there up to %llu", y->name, f->name,
		             (unsigned long long)p.number, (unsigned long long)there);
	return 0;
}

int check_producers(struct checking *k, const struct story *y, struct mq_topic *t, const struct reading *r)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_partition part;
	struct mq_log log;
	int rc = 0;

	for (const struct fact *f = NULL; rc == 0 && (f = fact_next(k->s, y, f));) {
		if (f->kind != FACT_PRODUCER)
			continue;
		if (mq_partition_log(&part, t, 0, &log, &err) < 0)
			return wrong(k, "%s: %s", y->name, err.text);
		rc = check_producer(k, y, &log, f, r);
		mq_log_release(&log);
	}
	return rc;
}
