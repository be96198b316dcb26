/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records taken and given back among those who share a partition. */
#include "spool/claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/evict.h"
#include "sys/sys.h"

enum { QUEUE_MAX = 256 };

bool mq_claims_go_with(const struct mq_claims_head *h, const struct mq_commit *c)
{
	return memcmp(h->topic_id, c->topic_id, sizeof h->topic_id) == 0 && h->generation <= c->generation && h->seeks == c->seeks;
}

static int lock(struct mq_claims *c, struct mq_err *err)
{
	return mq_group_queue(c->o->g, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE + c->o->partition, "claims", err);
}

static void unlock(struct mq_claims *c)
{
	mq_group_unlock(c->o->g, MQ_GROUP_ACKED_BYTE + c->o->partition);
}

static void tell(struct mq_claims *c, const char *text)
{
	struct mq_spool *s = c->o->g->topic->spool;

	if (s->notice)
		s->notice(s->notice_arg, text);
}

static struct mq_claims_head head_of(const struct mq_claims *c)
{
	const struct mq_commit *now = &c->o->commit;
	struct mq_claims_head h = {.generation = now->generation, .seeks = now->seeks, .epoch = c->file.head.epoch};

	memcpy(h.topic_id, now->topic_id, sizeof h.topic_id);
	return h;
}

/* ---- keeping up ---- */
/* Another half or file: what it says takes the place of what was known. */
static int open_again(struct mq_claims *c, struct mq_err *err)
{
	struct mq_claims_file f;
	struct mq_claims_ranges r = {0};
	int rc = mq_claims_file_open(&f, c->o->g, c->o->partition, &r, err);

	if (rc == 0)
		rc = mq_claims_raise(&r, c->o->commit.offset);
	if (rc == -ENOENT)
		rc = mq_err_set(err, MQ_ENOTOPIC, "%s: the group was deleted", c->o->g->label);
	if (rc < 0) {
		mq_claims_ranges_release(&r);
		return rc == -ENOMEM ? mq_err_set(err, rc, "no memory") : rc;
	}
	mq_claims_file_release(&c->file);
	mq_claims_ranges_release(&c->r);
	c->file = f;
	c->r = r;
	c->opened++;
	return 0;
}

static int damaged(const struct mq_claims *c, struct mq_err *err)
{
	return mq_err_set(err, MQ_EDAMAGE,
	                  "%s: claimed.%u does not verify at byte %llu; stop all members that share and begin again: what it said is "
	                  "lost, and some records may be given out once more",
	                  c->o->g->label, c->o->partition, (unsigned long long)c->file.bad_at);
}

/* Whoever was to make what comes after it died. */
static int go_on(struct mq_claims *c, struct mq_err *err)
{
	struct mq_claims_head h = head_of(c);
	int rc;

	if (!c->file.moved)
		return mq_claims_file_turn(&c->file, &h, &c->r, err);
	rc = mq_claims_file_replace(&c->file, &c->r, err);
	return rc < 0 ? rc : open_again(c, err);
}

static int check(struct mq_claims *c, struct mq_err *err)
{
	if (!mq_claims_go_with(&c->file.head, &c->o->commit) || c->file.head.generation != c->o->generation)
		return mq_err_set(err, MQ_EAGAIN, "%s: the place in partition %u was set by hand meanwhile, or taken from its owners: run again",
		                  c->o->g->label, c->o->partition);
	c->evicted |= mq_claims_of(&c->r, c->me) != c->mine;
	if (c->evicted)
		return mq_err_set(err, MQ_EAGAIN, "%s: this member was evicted (mq-group evict); what it had of partition %u is given to others",
		                  c->o->g->label, c->o->partition);
	return 0;
}

static int catch_up_locked(struct mq_claims *c, struct mq_err *err)
{
	int rc = mq_claims_file_read(&c->file, &c->r, true, err);

	if (rc == 1) {
		rc = open_again(c, err);
		if (rc == 0 && c->file.bad)
			rc = damaged(c, err);
		if (rc == 0)
			rc = check(c, err);
		if (rc == 0 && c->file.closed)
			rc = go_on(c, err);
	}
	return rc < 0 ? rc : check(c, err);
}

static int catch_up(struct mq_claims *c, struct mq_err *err)
{
	int rc = mq_claims_file_read(&c->file, &c->r, false, err);

	if (rc != 1)
		return rc < 0 ? rc : check(c, err);
	rc = lock(c, err);
	if (rc < 0)
		return rc;
	rc = catch_up_locked(c, err);
	unlock(c);
	return rc;
}

/* ---- writing ---- */
/* A write or sync failed, as *err says: another file takes its place, with all that this member knows. */
static int replace(struct mq_claims *c, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	char told[MQ_ERR_TEXT_MAX + 64];
	int rc = mq_claims_file_replace(&c->file, &c->r, &why);

	if (rc == 0)
		rc = open_again(c, &why);
	if (rc < 0)
		return err->code;
	snprintf(told, sizeof told, "%s; the file was replaced, and nothing is lost", err->text);
	tell(c, told);
	*err = (struct mq_err)MQ_ERR_INIT;
	return 0;
}

static int apply(struct mq_claims *c, const struct mq_claim *e, size_t n, struct mq_err *err)
{
	for (size_t i = 0; i < n; i++)
		if (mq_claims_apply(&c->r, &e[i]) < 0)
			return mq_err_set(err, -ENOMEM, "no memory");
	return 0;
}

/* What was gathered, which counts in c->r already: a half that is begun with it needs nothing more. */
static int write_queue(struct mq_claims *c, struct mq_err *err)
{
	struct mq_claims_head h = head_of(c);
	struct mq_err why = MQ_ERR_INIT;
	int rc;

	if (c->queued == 0)
		return 0;
	if (c->queued <= mq_claims_file_left(&c->file))
		rc = mq_claims_file_append(&c->file, c->queue, c->queued, &why);
	else
		rc = mq_claims_file_turn(&c->file, &h, &c->r, &why);
	if (rc < 0 && replace(c, &why) < 0)
		return mq_err_set(err, why.code, "%s", why.text);
	c->queued = 0;
	c->mine = mq_claims_of(&c->r, c->me);
	c->unsynced = true;
	return 0;
}

/* What was gathered counts from now on.  1: others, who wait, may go on then. */
static int apply_queue(struct mq_claims *c, struct mq_err *err)
{
	bool was_full = mq_claims_full(&c->r), frees = false;
	int rc = apply(c, c->queue, c->queued, err);

	for (size_t i = 0; i < c->queued; i++)
		frees |= c->queue[i].kind == MQ_CLAIM_RELEASED;
	return rc < 0 ? rc : frees || (was_full && !mq_claims_full(&c->r));
}

static int push(struct mq_claims *c, const struct mq_claim *e, struct mq_err *err)
{
	struct mq_claim *last = c->queued > 0 ? &c->queue[c->queued - 1] : NULL;

	if (last && last->kind == e->kind && last->attempt == e->attempt && last->member == e->member &&
	    last->offset + last->count == e->offset) {
		last->count += e->count;
		return 0;
	}
	if (c->queued == c->queue_cap) {
		size_t cap = c->queue_cap ? 2 * c->queue_cap : 16;
		struct mq_claim *v = realloc(c->queue, cap * sizeof *v);

		if (!v)
			return mq_err_set(err, -ENOMEM, "no memory");
		c->queue = v;
		c->queue_cap = cap;
	}
	c->queue[c->queued++] = *e;
	return 0;
}

static int put(struct mq_claims *c, const struct mq_claim *e, struct mq_err *err)
{
	int rc = push(c, e, err);

	return rc < 0 || c->queued < QUEUE_MAX ? rc : mq_claims_write(c, err);
}

int mq_claims_done(struct mq_claims *c, uint64_t from, uint64_t to, struct mq_err *err)
{
	return to > from ? put(c, &(struct mq_claim){MQ_CLAIM_DONE, 0, from, to - from, c->me}, err) : 0;
}

int mq_claims_moved(struct mq_claims *c, uint64_t from, uint64_t to, struct mq_err *err)
{
	return to > from ? put(c, &(struct mq_claim){.kind = MQ_CLAIM_DONE, .offset = from, .count = to - from}, err) : 0;
}

int mq_claims_give_back(struct mq_claims *c, uint64_t from, uint64_t to, bool counted, struct mq_err *err)
{
	const struct mq_claims_range *v = mq_claims_at(&c->r, from);
	uint16_t attempt = v ? v->attempt : 0;

	if (counted && attempt < UINT16_MAX)
		attempt++;
	return to > from ? put(c, &(struct mq_claim){MQ_CLAIM_RELEASED, attempt, from, to - from, c->me}, err) : 0;
}

int mq_claims_write(struct mq_claims *c, struct mq_err *err)
{
	int rc, frees = 0;

	if (c->queued == 0)
		return 0;
	rc = lock(c, err);
	if (rc < 0)
		return rc;
	rc = catch_up_locked(c, err);
	if (rc == 0)
		rc = frees = apply_queue(c, err);
	if (rc >= 0)
		rc = write_queue(c, err);
	unlock(c);
	if (rc == 0 && frees)
		mq_group_ring(c->o->g->dir);
	return rc;
}

int mq_claims_sync(struct mq_claims *c, struct mq_err *err)
{
	unsigned opened = c->opened;
	int rc = mq_claims_write(c, err);

	if (rc < 0 || !c->unsynced)
		return rc;
	rc = mq_sys->fdatasync(c->file.fd);
	if (rc < 0) {
		struct mq_err why = MQ_ERR_INIT;

		mq_err_sys(&why, rc, "%s: cannot sync claimed.%u", c->o->g->label, c->o->partition);
		rc = lock(c, err);
		if (rc < 0)
			return rc;
		rc = catch_up_locked(c, err); /* another file took its place already: that was synced, and held all this one held */
		if (rc == 0 && c->opened == opened)
			rc = replace(c, &why) < 0 ? mq_err_set(err, why.code, "%s", why.text) : 0;
		unlock(c);
	}
	c->unsynced = rc < 0;
	return rc;
}

/* ---- taking ---- */
int mq_claims_next(struct mq_claims *c, bool fresh, uint64_t *ret_from, uint64_t *ret_to, struct mq_err *err)
{
	uint16_t attempt;
	int rc = fresh ? catch_up(c, err) : 0;

	return rc < 0 ? rc : mq_claims_lowest(&c->r, ret_from, ret_to, &attempt);
}

/* Under the lock, and caught up.  1: *ret is to be written with the rest. */
static int take(struct mq_claims *c, uint64_t limit, uint64_t n, struct mq_claim_taken *ret, struct mq_err *err)
{
	struct mq_claim e = {.kind = MQ_CLAIM_TAKEN, .member = c->me};
	uint64_t to, room = MQ_CLAIMS_MAX - c->r.n - c->r.taken;
	int rc;

	if (!mq_claims_lowest(&c->r, &e.offset, &to, &e.attempt) || e.offset >= limit)
		return 0;
	if (mq_claims_full(&c->r))
		room = 1;
	to = to < limit ? to : limit;
	n = n < room ? n : room;
	e.count = to - e.offset < n ? to - e.offset : n;
	rc = push(c, &e, err);
	if (rc == 0)
		rc = apply(c, &e, 1, err);
	*ret = (struct mq_claim_taken){e.offset, e.offset + e.count, e.attempt};
	return rc < 0 ? rc : 1;
}

int mq_claims_take(struct mq_claims *c, uint64_t limit, uint64_t n, struct mq_claim_taken *ret, struct mq_err *err)
{
	int frees = 0, some = 0, rc = lock(c, err);

	if (rc < 0)
		return rc;
	rc = mq_evict_look(c->o->share->m, err); /* to the others it is dead */
	if (rc == 0)
		rc = catch_up_locked(c, err);
	if (rc == 0)
		rc = frees = apply_queue(c, err);
	if (rc >= 0)
		rc = some = take(c, limit, n, ret, err);
	if (rc >= 0)
		rc = write_queue(c, err);
	unlock(c);
	if (rc == 0 && frees > 0)
		mq_group_ring(c->o->g->dir);
	return rc < 0 ? rc : some;
}

int mq_claims_hold(struct mq_claims *c, uint64_t from, struct mq_err *err)
{
	const struct mq_claims_range *v;
	int rc = mq_evict_look(c->o->share->m, err);

	if (rc == 0)
		rc = catch_up(c, err);
	if (rc < 0)
		return rc;
	v = mq_claims_at(&c->r, from);
	c->evicted |= !v || v->state != MQ_CLAIMS_TAKEN || v->member != c->me;
	return check(c, err);
}

void mq_claims_release(struct mq_claims *c)
{
	if (!c->o)
		return;
	mq_claims_file_release(&c->file);
	mq_claims_ranges_release(&c->r);
	free(c->queue);
	*c = (struct mq_claims){0};
}
