/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Begin to share a partition: alone at first, then beside others. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/acks_file.h"
#include "spool/claims.h"
#include "sys/sys.h"

static int init(struct mq_claims *c, struct mq_ownership *o, struct mq_err *err)
{
	const char *name = o->share->m->name;

	*c = (struct mq_claims){.o = o, .file = {.fd = -1}};
	if (strlen(name) != 16 || sscanf(name, "%16" SCNx64, &c->me) != 1 || c->me == 0)
		return mq_err_set(err, -ENOSPC, "%s: no room for a member's file, and without one nothing is shared", o->g->label);
	return 0;
}

/* 1: it goes with the place as it is.  2: with what it was before an eviction.  0: there is none, or of another place; the head
 * keeps counting epochs. */
static int open_file(struct mq_claims *c, struct mq_err *err)
{
	int rc = mq_claims_file_open(&c->file, c->o->g, c->o->partition, &c->r, err);

	if (rc == -ENOENT)
		return 0;
	if (rc == MQ_EDAMAGE) {
		*err = (struct mq_err)MQ_ERR_INIT;
		return 0;
	}
	if (rc < 0)
		return rc;
	if (mq_claims_go_with(&c->file.head, &c->o->commit))
		return c->file.head.generation == c->o->generation ? 1 : 2;
	mq_claims_ranges_release(&c->r);
	return 0;
}

/* What was acknowledged from outside, while the partition was not shared. */
static int take_acks(struct mq_claims *c, struct mq_err *err)
{
	struct mq_acks a;
	int rc = mq_acks_read(c->o->g, c->o->partition, &c->o->commit, &a, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < a.n && rc == 0 && !mq_claims_full(&c->r); i++)
		rc = mq_claims_apply(&c->r, &(struct mq_claim){.kind = MQ_CLAIM_DONE, .offset = a.offset[i], .count = 1});
	mq_acks_release(&a);
	return rc < 0 ? mq_err_set(err, rc, "no memory") : 0;
}

static void tell_damage(struct mq_claims *c)
{
	struct mq_spool *s = c->o->g->topic->spool;
	char text[MQ_ERR_TEXT_MAX];

	snprintf(text, sizeof text,
	         "%s: claimed.%u did not verify at %u places, the first at byte %llu, and was made anew: some records that were done above "
	         "offset %llu may be given out once more",
	         c->o->g->label, c->o->partition, c->damaged, (unsigned long long)c->file.bad_at, (unsigned long long)c->o->commit.offset);
	if (s->notice)
		s->notice(s->notice_arg, text);
}

/* Nobody else is here: written as it is to be, with all that is known. */
static int make(struct mq_claims *c, bool anew, struct mq_err *err)
{
	const struct mq_commit *now = &c->o->commit;
	struct mq_claims_head h = {.generation = now->generation, .seeks = now->seeks, .epoch = c->file.head.epoch};
	struct mq_claims_ranges r = {0};
	int rc;

	memcpy(h.topic_id, now->topic_id, sizeof h.topic_id);
	if (!anew)
		return mq_claims_file_turn(&c->file, &h, &c->r, err);
	mq_claims_file_release(&c->file);
	rc = mq_claims_file_put(c->o->g, c->o->partition, &h, &c->r, err);
	if (rc == 0)
		rc = mq_claims_file_open(&c->file, c->o->g, c->o->partition, &r, err);
	mq_claims_ranges_release(&r);
	return rc;
}

/* A killed member's handler may be at work at what a part that does not verify said of it. */
static int handled_unknown(struct mq_claims *c, struct mq_err *err)
{
	int rc = mq_sys->lock_test(c->o->g->locks, MQ_LOCK_WRITE, mq_group_shared_byte(c->o->area, c->o->partition, 0), MQ_GROUP_SHARED_LEN);

	if (rc == 1)
		return mq_err_set(err, MQ_EAGAIN,
		                  "%s: claimed.%u does not verify at byte %llu, and a killed member's handler still lives: run again when it has ended",
		                  c->o->g->label, c->o->partition, (unsigned long long)c->file.bad_at);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot ask for locks", c->o->g->label) : 0;
}

static int begin(struct mq_claims *c, struct mq_err *err)
{
	bool failed = mq_claims_file_failed(c->o->g, c->o->partition);
	int rc, goes;

	goes = rc = open_file(c, err);
	if (rc < 0)
		return rc;
	c->damaged = c->file.bad;
	if (c->damaged && (rc = handled_unknown(c, err)) < 0)
		return rc;
	if (!goes)
		mq_claims_ranges_init(&c->r, c->o->commit.offset);
	if (goes == 2)
		mq_claims_let_all_go(&c->r);
	rc = mq_claims_raise(&c->r, c->o->commit.offset);
	if (rc == 0)
		rc = take_acks(c, err);
	if (rc < 0)
		return rc == -ENOMEM ? mq_err_set(err, rc, "no memory") : rc;
	/* What was written since may be of one who was killed when its sync had failed, and before it could say so. */
	if (goes == 1 && !failed && !c->damaged && !c->file.closed && c->file.next == c->file.head.made_with)
		return 0;
	rc = make(c, failed || c->file.moved || c->file.fd < 0, err);
	if (rc == 0 && c->damaged)
		tell_damage(c);
	return rc;
}

int mq_claims_begin(struct mq_claims *c, struct mq_ownership *o, struct mq_err *err)
{
	int rc = init(c, o, err);

	if (rc == 0)
		rc = mq_acks_merge(o, err);
	if (rc == 0)
		rc = mq_group_queue(o->g, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE + o->partition, "claims", err);
	if (rc == 0) {
		rc = begin(c, err);
		mq_group_unlock(o->g, MQ_GROUP_ACKED_BYTE + o->partition);
	}
	if (rc < 0) {
		mq_claims_release(c);
		return rc;
	}
	c->placed = o->commit.offset;
	return 0;
}

/* Its sync failed, and who found that was killed before another took its place; the others go on in the new one. */
static int replace(struct mq_claims *c, struct mq_err *err)
{
	struct mq_claims_ranges r = {0};
	int rc = mq_claims_file_replace(&c->file, &c->r, err);

	mq_claims_file_release(&c->file);
	if (rc == 0)
		rc = mq_claims_file_open(&c->file, c->o->g, c->o->partition, &r, err);
	mq_claims_ranges_release(&r);
	return rc;
}

/* Under the lock.  1: it goes with the place as it is. */
static int open_beside(struct mq_claims *c, struct mq_err *err)
{
	bool failed = mq_claims_file_failed(c->o->g, c->o->partition);
	int goes = open_file(c, err), rc = 0;

	if (goes == 1 && failed && !c->file.bad && !c->file.closed)
		rc = replace(c, err);
	return rc < 0 ? rc : goes;
}

int mq_claims_join(struct mq_claims *c, struct mq_ownership *o, struct mq_err *err)
{
	int rc = init(c, o, err), goes;

	if (rc < 0)
		return rc;
	rc = mq_group_queue(o->g, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE + o->partition, "claims", err);
	if (rc < 0)
		goto out;
	goes = rc = open_beside(c, err);
	mq_group_unlock(o->g, MQ_GROUP_ACKED_BYTE + o->partition);
	if (rc == 1 && c->file.bad)
		rc = mq_err_set(err, MQ_EDAMAGE,
		                "%s: claimed.%u does not verify at byte %llu, and other members share it: stop them all, and begin again",
		                o->g->label, o->partition, (unsigned long long)c->file.bad_at);
	if (rc == 1)
		rc = mq_claims_raise(&c->r, o->commit.offset);
	c->placed = o->commit.offset;
	if (rc == 0 && goes)
		return 1;
out:
	mq_claims_release(c);
	return rc;
}
