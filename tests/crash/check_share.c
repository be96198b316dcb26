/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members that share, after a power cut: what was done and synced is not given out, all else is, once. */
#include <string.h>

#include "check_parts.h"
#include "spool/claims.h"

struct sharer {
	struct checking *k;
	const struct story *y;
	const char *group;
	struct mq_claims c;
};

static const struct fact *next(const struct sharer *s, const struct fact *f)
{
	while ((f = fact_next(s->k->s, s->y, f)) && strcmp(f->name, s->group) != 0)
		;
	return f;
}

static bool is_done(const struct sharer *s, uint64_t offset)
{
	const struct mq_claims_range *v = mq_claims_at(&s->c.r, offset);

	return offset < s->c.r.base || (v && v->state == MQ_CLAIMS_DONE);
}

static bool was_handled(const struct sharer *s, uint64_t offset)
{
	for (const struct fact *f = NULL; (f = next(s, f));)
		if (f->kind == FACT_HANDLED && offset >= f->offset && offset < f->count)
			return true;
	return false;
}

static int check_done(const struct sharer *s, uint64_t end)
{
	for (const struct fact *f = NULL; (f = next(s, f));) {
		bool counts = f->kind == FACT_SHARED || (f->kind == FACT_DONE && s->k->s->kind == WORLD_KILL);

		for (uint64_t o = f->offset; counts && o < f->count; o++)
			if (!is_done(s, o))
				return wrong(s->k, "group %s: the record at %llu was done and synced, and is to be done again", s->group, (unsigned long long)o);
	}
	for (uint64_t o = 0; o < end; o++)
		if (is_done(s, o) && !was_handled(s, o))
			return wrong(s->k, "group %s: the record at %llu counts as done, and no handler had it", s->group, (unsigned long long)o);
	return 0;
}

static int check_attempt(const struct sharer *s, const struct mq_claim_taken *got)
{
	uint64_t least = 0, most = 0;

	for (const struct fact *f = NULL; (f = next(s, f));) {
		if (f->offset != got->from)
			continue;
		if (f->kind == FACT_FAILED)
			least = f->count;
		if (f->kind == FACT_FAILS && f->count > most)
			most = f->count;
	}
	if (got->attempt < least || got->attempt > most)
		return wrong(s->k, "group %s: the record at %llu counts %u failures, and had %llu to %llu", s->group, (unsigned long long)got->from,
		             got->attempt, (unsigned long long)least, (unsigned long long)most);
	return 0;
}

/* All that is left is given out, each record once, in order. */
static int do_the_rest(struct sharer *s, uint64_t end, struct mq_err *err)
{
	struct mq_claim_taken got;
	uint64_t behind = 0;
	int rc;

	while ((rc = mq_claims_take(&s->c, end, 1, &got, err)) == 1) {
		if (got.from < behind)
			return wrong(s->k, "group %s: the record at %llu is given out again", s->group, (unsigned long long)got.from);
		behind = got.to;
		rc = check_attempt(s, &got);
		if (rc == 0)
			rc = mq_claims_done(&s->c, got.from, got.to, err);
		if (rc < 0)
			return rc;
	}
	if (rc == 0)
		rc = mq_claims_sync(&s->c, err);
	if (rc == 0)
		rc = mq_claims_place(&s->c, true, err);
	if (rc == 0 && s->c.o->commit.offset != end)
		return wrong(s->k, "group %s: all was given out, and the place is %llu, not %llu", s->group,
		             (unsigned long long)s->c.o->commit.offset, (unsigned long long)end);
	return rc;
}

static int share(struct sharer *s, struct mq_ownership *o, uint64_t end, struct mq_err *err)
{
	uint64_t handled;
	int rc = mq_claims_begin(&s->c, o, err);

	if (rc < 0)
		return rc;
	if (s->c.damaged)
		rc = wrong(s->k, "group %s: damage is told in claimed.0, at byte %llu, where nothing was damaged", s->group,
		           (unsigned long long)s->c.file.bad_at);
	if (rc == 0)
		rc = mq_ownership_share(o, err);
	if (rc == 0)
		rc = mq_claims_look(&s->c, &handled, err); /* whoever had something is gone */
	if (rc == 0)
		rc = check_done(s, end);
	if (rc == 0)
		rc = do_the_rest(s, end, err);
	mq_claims_release(&s->c);
	return rc;
}

static bool was_shared(const struct sharer *s)
{
	for (const struct fact *f = NULL; (f = next(s, f));)
		if (f->kind == FACT_SHARE_TRY)
			return true;
	return false;
}

int check_share(struct checking *k, const struct story *y, struct mq_topic *t, const char *group, uint64_t end)
{
	struct sharer s = {.k = k, .y = y, .group = group};
	struct mq_err err = MQ_ERR_INIT;
	struct mq_membership m;
	struct mq_ownership o;
	int rc;

	if (!was_shared(&s))
		return 0;
	rc = mq_membership_join(&m, k->spool, group, NULL, &err);
	if (rc < 0)
		return wrong(k, "group %s: joining to share fails: %s", group, err.text);
	rc = mq_ownership_take(&o, &m, t, 0, 0, &err);
	if (rc == 1) {
		rc = share(&s, &o, end, &err);
		mq_ownership_release(&o);
	} else {
		rc = wrong(k, "group %s: taking it to share gives %d: %s", group, rc, err.text);
	}
	mq_membership_leave(&m);
	return rc < 0 && err.code ? wrong(k, "group %s: sharing fails: %s", group, err.text) : rc;
}
