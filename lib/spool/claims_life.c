/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who lives of those that have claims, and whose handlers do. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/claims.h"
#include "spool/evict.h"
#include "sys/sys.h"

/* ---- members ---- */
/* Its file goes with it, or is seen to be unlocked.  What cannot be looked at is believed to live. */
static bool is_alive(int dir, uint64_t member)
{
	char name[32];
	int fd, rc;

	snprintf(name, sizeof name, "%016" PRIx64, member);
	fd = mq_sys->openat(dir, name, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return fd != -ENOENT;
	rc = mq_sys->lock_test(fd, MQ_LOCK_WRITE, 0, 1);
	(void)mq_sys->close(fd);
	return rc != 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Those that have claims and are gone, in order; to be freed.  me: not asked for. */
static int find_dead(const struct mq_claims_ranges *r, int dir, uint64_t me, uint64_t **ret, size_t *ret_n)
{
	uint64_t *v = malloc((r->n + 1) * sizeof *v);
	size_t n = 0, unique = 0, dead = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].state == MQ_CLAIMS_TAKEN && r->v[i].member != me)
			v[n++] = r->v[i].member;
	qsort(v, n, sizeof *v, compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || v[i] != v[unique - 1])
			v[unique++] = v[i];
	for (size_t i = 0; i < unique; i++)
		if (!is_alive(dir, v[i]))
			v[dead++] = v[i];
	*ret = v;
	*ret_n = dead;
	return 0;
}

/* ---- handlers ---- */
struct place { /* where their locks are */
	int locks;
	uint32_t area, p;
};

/* Behind MQ_GROUP_SHARED_LEN offsets the bytes come again: how many of these are in a row; the rest is from the first byte on. */
static uint64_t in_a_row(uint64_t from, uint64_t to)
{
	uint64_t room = MQ_GROUP_SHARED_LEN - from % MQ_GROUP_SHARED_LEN;

	return to - from < room ? to - from : room;
}

static int is_handled(const struct place *w, uint64_t from, uint64_t to)
{
	uint64_t n = in_a_row(from, to), rest = to - from - n;
	int rc = mq_sys->lock_test(w->locks, MQ_LOCK_WRITE, mq_group_shared_byte(w->area, w->p, from), n);

	if (rc == 0 && rest > 0)
		rc = mq_sys->lock_test(w->locks, MQ_LOCK_WRITE, mq_group_shared_byte(w->area, w->p, 0),
		                       rest < MQ_GROUP_SHARED_LEN ? rest : MQ_GROUP_SHARED_LEN);
	return rc;
}

/* Of a dead member's range what no handler has is free; in halves, since most of it never began. */
static int let_go(struct mq_claims_ranges *r, const struct place *w, const struct mq_claims_range *v, uint64_t *handled)
{
	struct mq_claim c = {MQ_CLAIM_RELEASED, v->attempt, v->from, v->to - v->from, v->member};
	struct mq_claims_range low = *v, high = *v;
	int rc = is_handled(w, v->from, v->to);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return mq_claims_apply(r, &c);
	if (c.count == 1) {
		++*handled;
		return 0;
	}
	low.to = high.from = v->from + c.count / 2;
	rc = let_go(r, w, &low, handled);
	return rc < 0 ? rc : let_go(r, w, &high, handled);
}

static int let_all_go(struct mq_claims_ranges *r, const struct place *w, const uint64_t *dead, size_t n, uint64_t *handled)
{
	struct mq_claims_ranges before = *r; /* as it is gone through while it changes */
	int rc = 0;

	before.v = malloc((r->n + 1) * sizeof *before.v);
	if (!before.v)
		return -ENOMEM;
	memcpy(before.v, r->v, r->n * sizeof *r->v);
	for (size_t i = 0; i < before.n && rc == 0; i++)
		if (before.v[i].state == MQ_CLAIMS_TAKEN && bsearch(&before.v[i].member, dead, n, sizeof *dead, compare))
			rc = let_go(r, w, &before.v[i], handled);
	free(before.v);
	return rc;
}

/* Who is gone first, then what he wrote last, then what of it nobody has in hand. */
int mq_claims_look(struct mq_claims *c, uint64_t *ret_handled, struct mq_err *err)
{
	const struct place w = {c->o->g->locks, c->o->area, c->o->partition};
	uint64_t *dead = NULL, from, to;
	size_t n = 0;
	int rc = mq_evict_look(c->o->share->m, err);

	*ret_handled = 0;
	if (rc == 0)
		rc = find_dead(&c->r, c->o->share->m->dir, c->me, &dead, &n);
	if (rc == 0 && n > 0) {
		rc = mq_claims_next(c, true, &from, &to, err);
		if (rc >= 0)
			rc = let_all_go(&c->r, &w, dead, n, ret_handled);
	}
	free(dead);
	if (rc < 0 && !err->code)
		mq_err_sys(err, rc, "%s: cannot find out who is gone", c->o->g->label);
	return rc < 0 ? rc : 0;
}

int mq_claims_has_dead(struct mq_claims *c, struct mq_err *err)
{
	uint64_t *dead = NULL, from, to;
	size_t n = 0;
	int rc = mq_claims_next(c, true, &from, &to, err);

	if (rc >= 0)
		rc = find_dead(&c->r, c->o->share->m->dir, c->me, &dead, &n);
	free(dead);
	if (rc < 0 && !err->code)
		mq_err_sys(err, rc, "%s: cannot find out who is gone", c->o->g->label);
	return rc < 0 ? rc : n > 0;
}

int mq_claims_handler_fd(struct mq_claims *c, uint64_t from, uint64_t to, struct mq_err *err)
{
	struct mq_group_topic *g = c->o->g;
	int fd = mq_sys->openat(g->dir, "locks", O_RDWR, 0), rc;

	if (fd == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "%s: the group was deleted", g->label);
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot open locks", g->label);
	rc = mq_claims_handler_hold(c, fd, from, to, true, err);
	if (rc < 0)
		(void)mq_sys->close(fd);
	return rc < 0 ? rc : fd;
}

int mq_claims_handler_hold(struct mq_claims *c, int fd, uint64_t from, uint64_t to, bool on, struct mq_err *err)
{
	enum mq_lock_kind kind = on ? MQ_LOCK_READ : MQ_LOCK_NONE;
	uint64_t n = in_a_row(from, to), rest = to - from - n;
	int rc = mq_sys->lock(fd, kind, mq_group_shared_byte(c->o->area, c->o->partition, from), n, false);

	if (rc == 0 && rest > 0)
		rc = mq_sys->lock(fd, kind, mq_group_shared_byte(c->o->area, c->o->partition, 0), rest, false);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot lock a record of partition %u for its handler", c->o->g->label, c->o->partition) : 0;
}

/* ---- from outside ---- */
int mq_claims_count(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, int members, struct mq_claims_numbers *ret,
                    struct mq_err *err)
{
	const struct place w = {g->locks, now->area, p};
	struct mq_claims_ranges r = {0};
	struct mq_claims_file f;
	uint64_t *dead = NULL, handled = 0;
	size_t n = 0;
	int rc = mq_claims_file_open(&f, g, p, &r, err);

	*ret = (struct mq_claims_numbers){.base = now->offset, .top = now->offset};
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	if (mq_claims_go_with(&f.head, now)) {
		ret->any = true;
		rc = mq_claims_raise(&r, now->offset);
		if (rc == 0 && f.head.generation != now->generation)
			mq_claims_let_all_go(&r);
		if (rc == 0 && members >= 0)
			rc = find_dead(&r, members, 0, &dead, &n);
		if (rc == 0 && n > 0 && g->locks >= 0)
			rc = let_all_go(&r, &w, dead, n, &handled);
		free(dead);
		ret->base = r.base;
		ret->top = mq_claims_top(&r);
		ret->in_flight = r.taken;
		ret->done_above = mq_claims_done_above(&r);
	}
	mq_claims_file_release(&f);
	mq_claims_ranges_release(&r);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot find out who is gone", g->label) : 0;
}
