/* SPDX-License-Identifier: GPL-2.0-or-later */
/* claimed.P is changed, and a member begins to share: what does not verify is told, and then nothing counts as done that was
 * not, and none has failed more often. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flips.h"
#include "spool/claims.h"

static void must(int rc, const char *what, const struct mq_err *err)
{
	if (rc < 0)
		flips_die(what, err);
}

struct sharer {
	struct mq_topic topic;
	struct mq_membership m;
	struct mq_ownership o;
	struct mq_claims c;
};

/* -1: refused. */
static int begin(struct sharer *s, struct mq_spool *spool)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc;

	must(mq_topic_open(&s->topic, spool, "queue", &err), "topic", &err);
	must(mq_membership_join(&s->m, spool, "work", NULL, &err), "join", &err);
	if (mq_ownership_take(&s->o, &s->m, &s->topic, 0, 0, &err) != 1)
		flips_die("take", &err);
	rc = mq_claims_begin(&s->c, &s->o, &err);
	if (rc == 0)
		must(mq_ownership_share(&s->o, &err), "share", &err);
	return rc < 0 ? -1 : 0;
}

static void end(struct sharer *s)
{
	mq_claims_release(&s->c);
	mq_ownership_release(&s->o);
	mq_membership_leave(&s->m);
	mq_topic_release(&s->topic);
}

static void take(struct sharer *s, uint64_t n)
{
	struct mq_claim_taken got;
	struct mq_err err = MQ_ERR_INIT;

	if (mq_claims_take(&s->c, UINT64_MAX, n, &got, &err) != 1 || got.to - got.from != n)
		flips_die("claim", &err);
}

/* One half that is closed, and one that counts, with records done, failed and had, above the place. */
void flips_make_share(struct mq_spool *spool)
{
	struct mq_err err = MQ_ERR_INIT;
	struct sharer s;

	if (begin(&s, spool) < 0)
		flips_die("begin", NULL);
	take(&s, 12);
	for (uint64_t o = 1; o < 10; o += 2) {
		must(mq_claims_done(&s.c, o, o + 1, &err), "done", &err);
		must(mq_claims_write(&s.c, &err), "write", &err);
	}
	must(mq_claims_give_back(&s.c, 2, 3, true, &err), "fail", &err);
	s.c.file.next = MQ_CLAIM_SLOTS - 1; /* as if it were full */
	memset(s.c.file.last, 0, sizeof s.c.file.last);
	must(mq_claims_write(&s.c, &err), "turn", &err);
	must(mq_claims_done(&s.c, 0, 1, &err), "done", &err);
	must(mq_claims_sync(&s.c, &err), "sync", &err);
	must(mq_claims_place(&s.c, true, &err), "place", &err);
	take(&s, 1);
	must(mq_claims_give_back(&s.c, 2, 3, true, &err), "fail", &err);
	take(&s, 1);
	must(mq_claims_done(&s.c, 2, 3, &err), "done", &err);
	must(mq_claims_give_back(&s.c, 6, 7, true, &err), "fail", &err);
	must(mq_claims_sync(&s.c, &err), "sync", &err);
	end(&s);
}

/* ---- looking --------------------------------------------------------------------------------------- */

enum { OFFSETS = 16 };

struct said {
	bool refused, told;
	bool done[OFFSETS];
	unsigned attempt[OFFSETS];
};

static void ask(struct mq_spool *spool, struct said *ret)
{
	struct sharer s;

	*ret = (struct said){0};
	if (begin(&s, spool) < 0) {
		ret->refused = true;
		return;
	}
	ret->told = s.c.damaged > 0;
	for (uint64_t o = 0; o < OFFSETS; o++) {
		const struct mq_claims_range *v = mq_claims_at(&s.c.r, o);

		ret->done[o] = o < s.c.r.base || (v && v->state == MQ_CLAIMS_DONE);
		ret->attempt[o] = v ? v->attempt : 0;
	}
	end(&s);
}

static void compare(const struct said *now, const struct said *good, struct verdict *v)
{
	v->refused = now->refused;
	for (unsigned o = 0; o < OFFSETS && !now->refused; o++) {
		v->invented |= (now->done[o] && !good->done[o]) || (now->attempt[o] > good->attempt[o] && !good->done[o]);
		v->silent |= (good->done[o] != now->done[o] || (good->attempt[o] != now->attempt[o] && !now->done[o])) && !now->told;
	}
}

/* A new file: a sharer may have put one in its place. */
static void put(const struct bed *b, uint64_t at, uint8_t byte)
{
	char full[4096];
	int fd;

	snprintf(full, sizeof full, "%s/%s", b->path, b->file);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0 || pwrite(fd, b->bytes, b->len, 0) != (ssize_t)b->len || pwrite(fd, &byte, 1, (off_t)at) != 1)
		flips_die(full, NULL);
	close(fd);
}

void flips_share(struct bed *b, uint64_t from, uint64_t to)
{
	struct said good;

	ask(&b->spool, &good);
	for (uint64_t at = from; at < to && at < b->len; at++) {
		struct verdict v = {0};
		struct said now;

		put(b, at, (uint8_t)(b->bytes[at] ^ 1u << at % 8));
		ask(&b->spool, &now);
		compare(&now, &good, &v);
		put(b, 0, b->bytes[0]);
		if (flips_check(&b->spool, b->topic, -1) != b->told)
			flips_die("the check has more to say of what is as it was", NULL);
		flips_report(b, at, (int)(at % 8), &v);
	}
}
