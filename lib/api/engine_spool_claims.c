/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: partitions that several members share, record by record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "spool/dirs.h"
#include "sys/sys.h"

/* Who is the first has it alone for a moment, and sees to it that the others find all that they need. */
static int share_first(struct owner *o, struct mq_membership *m, uint32_t p, uint64_t start, struct mq_err *err)
{
	int rc;

	m->sharing = true;
	rc = mq_ownership_take(&o->o, m, &o->topic->t, p, start, err);
	if (rc <= 0)
		return rc;
	rc = mq_claims_begin(&o->claims, &o->o, err);
	if (rc == 0)
		rc = mq_ownership_share(&o->o, err);
	if (rc < 0) {
		mq_claims_release(&o->claims);
		mq_ownership_release(&o->o);
	}
	return rc < 0 ? rc : 1;
}

static int share_too(struct owner *o, struct mq_membership *m, uint32_t p, struct mq_err *err)
{
	int rc = mq_ownership_join(&o->o, m, &o->topic->t, p, err);

	if (rc == 1) {
		rc = mq_claims_join(&o->claims, &o->o, err);
		if (rc <= 0)
			mq_ownership_release(&o->o);
	}
	return rc;
}

int mq_engine_spool_share_take(struct mq_member *mp, const char *topic, uint32_t p, const uint64_t *asked, struct mq_owner **ret,
                               unsigned *ret_damaged, struct mq_err *err)
{
	struct spool_member *m = (struct spool_member *)mp;
	struct owner *o = calloc(1, sizeof *o);
	uint64_t start;
	int rc;

	if (!o)
		return mq_engine_no_memory(err);
	o->store = m->store;
	rc = mq_engine_spool_share_topic(o->store, topic, &o->topic, err);
	if (rc < 0) {
		free(o);
		return rc;
	}
	rc = mq_engine_spool_find_start(&o->topic->t, p, asked, &start, err);
	if (rc == 0)
		rc = share_first(o, &m->m, p, start, err);
	if (rc == 0)
		rc = share_too(o, &m->m, p, err);
	if (rc <= 0) {
		mq_engine_spool_leave_topic(o->store, o->topic);
		free(o);
		return rc;
	}
	mq_handles_add(&o->store->handles, &o->handle, MQ_ENGINE_OWNER_FDS, mq_engine_spool_owner_rest);
	o->base.engine = &mq_engine_file;
	*ret_damaged = o->claims.damaged;
	*ret = &o->base;
	return 1;
}

int mq_engine_spool_share_next(struct mq_owner *op, bool fresh, uint64_t *ret_from, uint64_t *ret_to, struct mq_err *err)
{
	return mq_claims_next(mq_engine_spool_claims_of(op), fresh, ret_from, ret_to, err);
}

int mq_engine_spool_share_claim(struct mq_owner *op, uint64_t limit, uint64_t n, struct mq_claimed *ret, struct mq_err *err)
{
	struct mq_claim_taken t = {0};
	int rc = mq_claims_take(mq_engine_spool_claims_of(op), limit, n, &t, err);

	*ret = (struct mq_claimed){t.from, t.to, t.attempt};
	return rc;
}

int mq_engine_spool_share_holds(struct mq_owner *op, uint64_t offset, struct mq_err *err)
{
	return mq_claims_hold(mq_engine_spool_claims_of(op), offset, err);
}

int mq_engine_spool_share_done(struct mq_owner *op, uint64_t from, uint64_t to, struct mq_err *err)
{
	return mq_claims_done(mq_engine_spool_claims_of(op), from, to, err);
}

int mq_engine_spool_share_give_back(struct mq_owner *op, uint64_t from, uint64_t to, bool counted, struct mq_err *err)
{
	return mq_claims_give_back(mq_engine_spool_claims_of(op), from, to, counted, err);
}

int mq_engine_spool_share_write(struct mq_owner *op, struct mq_err *err)
{
	return mq_claims_write(mq_engine_spool_claims_of(op), err);
}

/* What all have done is durable before the place says so. */
int mq_engine_spool_share_sync(struct mq_owner *op, struct mq_err *err)
{
	struct mq_claims *c = mq_engine_spool_claims_of(op);
	int rc = mq_claims_sync(c, err);

	(void)mq_engine_spool_owner_at_work(op);
	return rc < 0 ? rc : mq_claims_place(c, false, err);
}

int mq_engine_spool_share_look(struct mq_owner *op, uint64_t *ret_handled, struct mq_err *err)
{
	return mq_claims_look(mq_engine_spool_claims_of(op), ret_handled, err);
}

int mq_engine_spool_share_has_dead(struct mq_owner *op, struct mq_err *err)
{
	return mq_claims_has_dead(mq_engine_spool_claims_of(op), err);
}

int mq_engine_spool_share_mover(struct mq_owner *op, bool take, struct mq_err *err)
{
	if (take)
		return mq_claims_mover_take(mq_engine_spool_claims_of(op), err);
	mq_claims_mover_leave(mq_engine_spool_claims_of(op));
	return 0;
}

int mq_engine_spool_share_handler_fd(struct mq_owner *op, uint64_t from, uint64_t to, struct mq_err *err)
{
	return mq_claims_handler_fd(mq_engine_spool_claims_of(op), from, to, err);
}

int mq_engine_spool_share_handler_hold(struct mq_owner *op, int fd, uint64_t from, uint64_t to, bool on, struct mq_err *err)
{
	return mq_claims_handler_hold(mq_engine_spool_claims_of(op), fd, from, to, on, err);
}

/* ---- from outside ---- */
static int open_members(struct mq_spool *s, const char *group)
{
	char path[MQ_NAME_MAX + 16];
	int fd;

	snprintf(path, sizeof path, "%s/members", group);
	fd = mq_dir_open(s->groups, path, NULL);
	return fd < 0 ? -1 : fd;
}

int mq_engine_spool_group_share(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_share_facts *ret,
                                struct mq_err *err)
{
	struct mq_claims_numbers n = {0};
	struct group_handle h;
	struct mq_commit c;
	uint64_t seq;
	int members, which, rc = mq_engine_spool_group_open(s, group, topic, p, &h, err);

	memset(ret, 0, sizeof *ret);
	if (rc < 0)
		return rc;
	members = open_members(h.t.spool, group);
	rc = mq_group_is_shared(&h.g, p, err);
	ret->now = rc == 1;
	if (rc >= 0)
		rc = mq_group_topic_read(&h.g, p, &c, &which, &seq, err);
	if (rc == 0 && which >= 0)
		rc = mq_claims_count(&h.g, p, &c, members, &n, err);
	ret->ever = n.any;
	ret->base = n.base;
	ret->in_flight = n.in_flight;
	ret->done_above = n.done_above;
	if (members >= 0)
		(void)mq_sys->close(members);
	mq_engine_spool_group_close(&h);
	return rc < 0 ? rc : 0;
}
