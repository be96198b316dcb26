/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: acknowledgements from outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "spool/owner.h"
#include "sys/hold.h"
#include "sys/sys.h"

#define OWNER_NS INT64_C(1000000000)

/* Nobody owns it, perhaps: then the place itself is moved, here and now. */
static int ack_as_owner(struct mq_spool *s, const char *group, struct mq_topic *t, uint32_t p, struct mq_err *err)
{
	struct mq_membership nobody = {.spool = s, .file = -1, .dir = -1, .makes_none = true};
	struct mq_ownership o;
	uint64_t before;
	int rc;

	snprintf(nobody.group, sizeof nobody.group, "%s", group);
	rc = mq_ownership_take(&o, &nobody, t, p, 0, err);
	if (rc <= 0)
		return rc; /* owned: the owner was rung */
	before = o.commit.offset;
	rc = mq_acks_merge(&o, err);
	if (rc == 0)
		rc = mq_ownership_sync(&o, err);
	if (rc == 0 && o.commit.offset > before)
		mq_group_ring(o.g->dir); /* what has grown may wait for it */
	mq_ownership_release(&o);
	return rc;
}

/* Has the place moved?  Who owns it was rung, and may be waited for so long: it may be busy. */
static bool moves(struct group_handle *h, uint32_t p, struct mq_commit *c, bool wait)
{
	int64_t end_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + (wait ? OWNER_NS : 0), pause_ns = 100000;
	struct mq_err unheard = MQ_ERR_INIT;
	uint64_t seq, before = c->offset;
	uint32_t seeks = c->seeks;
	int which, rc;

	do {
		rc = mq_group_topic_read(&h->g, p, c, &which, &seq, &unheard);
		if (rc < 0 || which < 0 || c->seeks != seeks)
			return false;
		if (c->offset > before)
			return true;
		(void)mq_sys->poll(NULL, 0, pause_ns);
		pause_ns = pause_ns < 10000000 ? 2 * pause_ns : pause_ns;
	} while (!mq_stop_requested() && mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) < end_ns);
	return false;
}

/* Where there are too many, or no space for more, entries below the place may go first. */
static int add_acks(struct group_handle *h, const char *group, uint32_t p, struct mq_commit *c, const uint64_t *offsets, size_t n,
                    struct mq_err *err)
{
	for (bool again = false;; again = true) {
		struct mq_err unheard = MQ_ERR_INIT;
		size_t done;
		int rc = mq_acks_add(&h->g, p, c, offsets, n, &done, err);

		if (rc != MQ_EAGAIN && rc != -ENOSPC && rc != -EDQUOT)
			return rc;
		if (ack_as_owner(h->t.spool, group, &h->t, p, &unheard) < 0 || (!moves(h, p, c, rc != MQ_EAGAIN) && (again || rc != MQ_EAGAIN)))
			return rc;
		*err = (struct mq_err)MQ_ERR_INIT;
		offsets += done;
		n -= done;
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A record that is not there is told, and takes none of the others with it. */
static int add_what_is_there(struct group_handle *h, const char *group, uint32_t p, struct mq_commit *c, uint64_t visible,
                             const uint64_t *offsets, size_t n, struct mq_err *err)
{
	uint64_t *there = malloc((n + 1) * sizeof *there), bad = 0;
	size_t n_there = 0;
	int rc = 0;

	if (!there)
		return mq_engine_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (offsets[i] < visible)
			there[n_there++] = offsets[i];
		else if (i == n_there)
			bad = offsets[i]; /* the first */
	}
	qsort(there, n_there, sizeof *there, compare); /* the others may need the room of those below them */
	if (n_there > 0)
		rc = add_acks(h, group, p, c, there, n_there, err);
	if (rc == 0 && n_there > 0)
		rc = ack_as_owner(h->t.spool, group, &h->t, p, err);
	free(there);
	if (rc < 0 || n_there == n)
		return rc;
	return mq_err_set(err, MQ_EINPUT, "%s:%u:%llu is not there yet (the end is %llu)", h->t.name, p, (unsigned long long)bad,
	                  (unsigned long long)visible);
}

int mq_engine_spool_group_ack(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *token,
                              const uint64_t *offsets, size_t n, struct mq_err *err)
{
	struct group_handle h;
	struct mq_commit c;
	struct mq_bounds b;
	char expected[40];
	uint64_t seq;
	int which, rc = mq_engine_spool_group_open(s, group, topic, p, &h, err);

	if (rc < 0)
		return rc;
	rc = mq_group_topic_read(&h.g, p, &c, &which, &seq, err);
	if (rc == 0 && which < 0)
		rc = mq_err_set(err, MQ_EDENIED, "group %s has no place in %s:%u; nothing was handed out", group, topic, p);
	if (rc == 0) {
		mq_ownership_token(&h.g, &c, expected);
		if (strcmp(token, expected) != 0)
			rc = mq_err_set(err, MQ_EDENIED, "a position of another group, topic, owner or seek (%s, now %s): not taken", token,
			                expected);
	}
	if (rc == 0)
		rc = mq_engine_spool_bounds(s, topic, p, &b, err);
	if (rc == 0)
		rc = add_what_is_there(&h, group, p, &c, b.visible, offsets, n, err);
	mq_engine_spool_group_close(&h);
	return rc < 0 ? rc : 0;
}

/* What there is no room for may have it when the entries below the place are gone. */
static int set_alone(struct mq_ownership *o, const uint64_t *offsets, size_t n, struct mq_err *err)
{
	for (bool again = false;; again = true) {
		size_t done;
		int rc = mq_acks_add(o->g, o->partition, &o->commit, offsets, n, &done, err);
		bool full = rc == MQ_EAGAIN || rc == -ENOSPC || rc == -EDQUOT;
		struct mq_err why = MQ_ERR_INIT;

		if (rc < 0 && !full)
			return rc;
		int merged = mq_acks_merge(o, &why);
		if (merged < 0)
			return mq_err_set(err, merged, "%s", why.text);
		if (!full || again)
			return rc;
		*err = (struct mq_err)MQ_ERR_INIT;
		offsets += done;
		n -= done;
	}
}

int mq_engine_spool_owner_set(struct mq_owner *op, const uint64_t *offsets, size_t n, struct mq_err *err)
{
	struct mq_claims *c = mq_engine_spool_claims_of(op);
	int rc = 0;

	if (!c)
		return set_alone(mq_engine_spool_owner_at_work(op), offsets, n, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = mq_claims_moved(c, offsets[i], offsets[i] + 1, err);
	return rc < 0 ? rc : mq_engine_spool_share_sync(op, err);
}
