/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Transfers after a power cut: whoever owns the source next finishes what was begun, and then each record is where it belongs once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_parts.h"
#include "ops/body.h"
#include "ops/transfer.h"

int pile_take(struct mq *mq, const char *topic, struct moved_pile *ret, struct mq_err *err)
{
	const struct mq_engine *e = mq->store->engine;
	struct mq_source *source;
	struct mq_body body = {0};
	struct mq_loss loss;
	struct mq_view v;
	struct mq_walk w;
	struct mq_rec r;
	int rc = e->source_open(mq->store, topic, 0, &source, err);

	ret->n = 0;
	if (rc < 0)
		return rc;
	rc = e->source_seek(source, 0, &loss, err);
	while (rc == 0 && (rc = e->source_next(source, &v, &loss, err)) != 0) {
		if (rc < 0 && rc != MQ_EDAMAGE)
			break;
		if (rc == MQ_EDAMAGE) { /* offsets that nobody was promised */
			*err = (struct mq_err)MQ_ERR_INIT;
			rc = 0;
			continue;
		}
		rc = mq_body_walk(&body, &v, &w, err);
		while (rc == 0 && ret->n < PILE_MAX && mq_walk_next(&w, &r) == 1) {
			ret->offset[ret->n] = r.offset;
			snprintf(ret->payload[ret->n++], PILE_LEN_MAX + 1, "%.*s", (int)r.payload_len, r.payload);
		}
	}
	mq_body_release(&body);
	e->source_close(source);
	return rc;
}

unsigned pile_count(const struct moved_pile *p, const char *payload)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++)
		n += strcmp(p->payload[i], payload) == 0;
	return n;
}

static int compare(struct checking *k, const struct moved_pile *source, const struct moved_pile *target, uint64_t place)
{
	unsigned want = 0;

	for (unsigned i = 0; i < source->n; i++)
		for (unsigned j = 0; j < 2; j++) {
			unsigned there = pile_count(&target[j], source->payload[i]);
			bool due = source->offset[i] < place && source->offset[i] % 2 == j;

			want += due;
			if (there != due)
				return wrong(k, "t stands at %llu, and its record at %llu is in %s %u times", (unsigned long long)place,
				             (unsigned long long)source->offset[i], j ? "b" : "a", there);
		}
	return target[0].n + target[1].n == want ? 0 : wrong(k, "a and b hold %u records, not %u", target[0].n + target[1].n, want);
}

int pile_place(struct mq *mq, uint64_t *ret, struct mq_err *err)
{
	static const struct mq_wish nothing = {0};
	const struct mq_engine *e = mq->store->engine;
	struct mq_transfer_source from = {.group = "g", .topic = "t"};
	struct mq_member *member;
	struct mq_transfer *t = NULL;
	int rc = e->member_join(mq->store, "g", &nothing, &member, err);

	if (rc < 0)
		return rc;
	rc = e->owner_take(member, "t", 0, NULL, &from.owner, err);
	if (rc == 1) {
		rc = mq_transfer_open(&t, mq, &from, true, err);
		*ret = t ? mq_transfer_place(t) : 0;
		mq_transfer_close(t);
		e->owner_release(from.owner);
	}
	e->member_leave(member);
	return rc;
}

static int hold(struct checking *k, struct mq *mq, uint64_t promised)
{
	static struct moved_pile source, target[2];
	struct mq_err err = MQ_ERR_INIT;
	uint64_t place = 0;
	int rc = pile_place(mq, &place, &err);

	if (rc == 0)
		rc = pile_take(mq, "t", &source, &err);
	if (rc == 0)
		rc = pile_take(mq, "a", &target[0], &err);
	if (rc == 0)
		rc = pile_take(mq, "b", &target[1], &err);
	if (rc < 0)
		return wrong(k, "what was being moved is not finished: %s", err.text);
	if (place < promised)
		return wrong(k, "the mover stands at %llu, %llu was acknowledged", (unsigned long long)place, (unsigned long long)promised);
	return compare(k, &source, target, place);
}

int check_moves(struct checking *k)
{
	uint64_t promised = 0;
	bool any = false;
	struct mq *mq;
	int rc;

	for (size_t i = 0, n = facts_known(k->s->facts, k->s->cut); i < n; i++) {
		const struct fact *f = &k->s->facts->f[i];

		any |= f->kind == FACT_MOVE_TRY;
		if (f->kind == FACT_MOVED && f->offset > promised)
			promised = f->offset;
	}
	if (!any || k->s->rotten)
		return 0;
	mq = mq_new();
	if (!mq || mq_open(mq, k->path, 0) < 0)
		return wrong(k, "the spool cannot be opened once more");
	rc = hold(k, mq, promised);
	mq_free(mq);
	return rc;
}
