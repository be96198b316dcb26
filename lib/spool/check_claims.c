/* SPDX-License-Identifier: GPL-2.0-or-later */
/* claimed.P: who of a sharing group works at what, and what is done (format/claim.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spool/check_internal.h"
#include "spool/claims_ranges.h"

struct claims {
	struct mq_check *c;
	const char *where, *name;
	uint8_t *bytes;
	struct mq_claims_head head[2];
	int is[2];                 /* of a head: 0, MQ_EDAMAGE, MQ_ECONFIG; 1: it was never written */
	struct mq_claims_ranges r;
};

static int tell(const struct claims *f, enum mq_check_kind kind, uint64_t at, uint64_t length, const char *why_not, const char *text)
{
	return mq_check_tell(f->c, kind, f->where, f->name, &(struct mq_check_place){.position = at, .length = length},
	                     mq_check_not(f->c, why_not), "%s", text);
}

static const char later[] = "when all members that share have ended, the next one makes it anew";

static int heads(struct claims *f)
{
	int rc = 0;

	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		const uint8_t *h = f->bytes + (size_t)i * MQ_CLAIM_HALF_LEN;

		f->is[i] = mq_claims_head_unwritten(h) ? 1 : mq_claims_head_decode(h, i, &f->head[i]);
		if (f->is[i] == MQ_ECONFIG)
			rc = tell(f, MQ_CHECK_NEWER, (uint64_t)i * MQ_CLAIM_HALF_LEN, MQ_CLAIM_HEAD_LEN, "it is of a newer version", "the head of a half");
		else if (f->is[i] < 0)
			rc = tell(f, MQ_CHECK_CONFIG, (uint64_t)i * MQ_CLAIM_HALF_LEN, MQ_CLAIM_HEAD_LEN, later,
			          "the head of a half does not verify: some records that a sharing group has done may be given out again");
	}
	return rc;
}

/* The other half is what was before, or what was to be: nothing of it counts, but what does not verify was changed by nobody
 * of ours. */
static int slots(struct claims *f, unsigned half, bool counts)
{
	int rc = 0;

	for (uint64_t i = 0; i < MQ_CLAIM_SLOTS && rc == 0; i++) {
		uint64_t at = (uint64_t)half * MQ_CLAIM_HALF_LEN + MQ_CLAIM_HEAD_LEN + i * MQ_CLAIM_LEN;
		struct mq_claim e;

		if (mq_claim_empty(f->bytes + at) && i >= f->head[half].made_with)
			continue;
		if (!mq_claim_decode(f->bytes + at, f->head[half].epoch, at, &e))
			rc = counts ? tell(f, MQ_CHECK_CONFIG, at, MQ_CLAIM_LEN, later,
			                   "what members that share have said does not verify: some records that are done may be given out again")
			            : tell(f, MQ_CHECK_LEFT, at, MQ_CLAIM_LEN, "it is written over", "a half that does not count does not verify");
		else if (counts && mq_claims_apply(&f->r, &e) < 0)
			rc = mq_err_set(f->c->err, -ENOMEM, "no memory");
	}
	return rc;
}

/* Done is what was visible: a log that ends below it has lost records. */
static int check_end(struct claims *f, const uint8_t topic_id[16], uint64_t end)
{
	uint64_t done = f->r.base;

	for (size_t i = 0; i < f->r.n; i++)
		done = f->r.v[i].state == MQ_CLAIMS_DONE ? f->r.v[i].to : done;
	if (end == UINT64_MAX || done <= end || memcmp(f->head[0].topic_id, topic_id, 16) != 0)
		return 0;
	return mq_check_tell(f->c, MQ_CHECK_CONFIG, f->where, f->name, &(struct mq_check_place){0, MQ_CLAIM_HEAD_LEN, end, done},
	                     mq_check_not(f->c, "records it has done are gone; mq-group seek sets a place by hand"),
	                     "the group has done records up to %llu, and the log ends at %llu", (unsigned long long)done,
	                     (unsigned long long)end);
}

static int all(struct claims *f, const uint8_t topic_id[16], uint64_t end)
{
	unsigned counts;
	int rc = heads(f);

	if (rc != 0 || f->is[0] == MQ_ECONFIG || f->is[1] == MQ_ECONFIG)
		return rc;
	if (f->is[0] == 1 && f->is[1] == 1)
		return tell(f, MQ_CHECK_CONFIG, 0, MQ_CLAIM_HEAD_LEN, later, "neither half has a head: nobody knows what members that share have done");
	if (f->is[0] != 0 && f->is[1] != 0)
		return 0;
	counts = f->is[1] == 0 && (f->is[0] != 0 || f->head[1].epoch > f->head[0].epoch);
	mq_claims_ranges_init(&f->r, f->head[counts].base);
	rc = slots(f, counts, true);
	if (rc == 0 && f->is[!counts] == 0)
		rc = slots(f, !counts, false);
	f->head[0] = f->head[counts];
	return rc == 0 ? check_end(f, topic_id, end) : rc;
}

/* Members may be at work: what changes meanwhile is read once more. */
static int read_all(struct claims *f, int fd)
{
	ssize_t n = mq_check_read(fd, f->bytes, MQ_CLAIMS_LEN, 0);

	if (n >= 0 && n < MQ_CLAIMS_LEN)
		memset(f->bytes + n, 0, (size_t)(MQ_CLAIMS_LEN - n));
	return n < 0 ? (int)n : 0;
}

int mq_check_claims(struct mq_check *c, const char *where, const char *name, int fd, uint64_t size, const uint8_t topic_id[16],
                    uint64_t end)
{
	struct claims f = {.c = c, .where = where, .name = name, .bytes = malloc(MQ_CLAIMS_LEN)};
	int rc = f.bytes ? read_all(&f, fd) : -ENOMEM;

	if (rc < 0)
		mq_err_sys(c->err, rc, "%s: cannot read %s", where, name);
	if (rc == 0 && size != MQ_CLAIMS_LEN)
		rc = tell(&f, MQ_CHECK_CONFIG, size, size < MQ_CLAIMS_LEN ? MQ_CLAIMS_LEN - size : 0, later,
		          size < MQ_CLAIMS_LEN ? "it was cut short" : "it is longer than it was made");
	if (rc == 0)
		rc = all(&f, topic_id, end);
	mq_claims_ranges_release(&f.r);
	free(f.bytes);
	return rc;
}
