/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topic that stores one record of an id: before a batch goes its ids are looked for, and those that are there are left out.
 *
 * One lock is held from the look to the append, so nobody stores one of these ids between the two; not while space or a sync is
 * waited for, so what a refused append leaves is looked for anew.  The builder stays as it is until all of it is told: where the
 * topic has grown, what is left of it is routed, and looked for, once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"
#include "ops/publish.h"

enum { STORED = -1 };

struct item { /* a record of the load */
	const char *id; /* NULL: it has none */
	uint32_t id_len, nth;
	int64_t twin;   /* an earlier one of the load with the same id; or STORED: none */
};

static int open_handle(struct mq_publish *pub)
{
	struct mq_dedupe_state *d = &pub->dedupe;
	const char *topic = pub->req->topic;

	if (d->handle)
		return 0;
	if (!pub->engine->dedupe_open)
		return mq_err_set(pub->err, MQ_EUSAGE, "%s: dedupe.ms or dedupe.count is set, and a spool of this kind (%s) tells no ids", topic,
		                  pub->engine->scheme);
	if (pub->req->producer)
		return mq_err_set(pub->err, MQ_EUSAGE,
		                  "%s: a record with an id, in a topic that stores one of each id (dedupe.ms), is told by that alone: --producer numbers "
		                  "records without one", topic);
	int rc = pub->engine->dedupe_open(pub->mq->store, topic, &d->handle, pub->err);
	if (rc == -EACCES || rc == -EPERM)
		mq_err_prefix(pub->err, "%s stores one record of each id, and who publishes there must be allowed to read it", topic);
	return rc;
}

void mq_publish_dedupe_end(struct mq_publish *pub)
{
	struct mq_dedupe_state *d = &pub->dedupe;

	if (d->handle)
		d->handle->engine->dedupe_close(d->handle);
	mq_records_release(&d->kept);
	mq_buf_release(&d->parts);
	free(d->dups);
}

/* --- the look ------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order;

	if (!x->id || !y->id)
		return !x->id - !y->id;
	if (x->id_len != y->id_len)
		return x->id_len < y->id_len ? -1 : 1;
	order = memcmp(x->id, y->id, x->id_len);
	return order ? order : x->nth < y->nth ? -1 : x->nth > y->nth;
}

static int by_place(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

/* Of those with one id the first alone is looked for. */
static void find_twins(struct item *v, uint32_t n)
{
	qsort(v, n, sizeof *v, by_id);
	for (uint32_t i = 1; i < n && v[i].id; i++)
		if (v[i].id_len == v[i - 1].id_len && memcmp(v[i].id, v[i - 1].id, v[i].id_len) == 0)
			v[i].twin = v[i - 1].twin == STORED ? v[i - 1].nth : v[i - 1].twin;
	qsort(v, n, sizeof *v, by_place);
}

static int add_dup(struct mq_publish *pub, const struct mq_dup *dup)
{
	struct mq_dedupe_state *d = &pub->dedupe;

	if (d->n_dups == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 16;
		struct mq_dup *p = realloc(d->dups, cap * sizeof *p);
		if (!p)
			return mq_publish_no_memory(pub);
		d->dups = p;
		d->cap = cap;
	}
	d->dups[d->n_dups++] = *dup;
	return 0;
}

/* Where the record is that this one is a second of: 1; 0: nowhere.  kept: of those before it, its place among those that are to
 * be stored, or that it is none of them. */
static int look(struct mq_publish *pub, const struct item *it, const int64_t *kept, struct mq_dup *ret)
{
	struct mq_dedupe_state *d = &pub->dedupe;

	if (!it->id)
		return 0;
	if (it->twin != STORED && kept[it->twin] >= 0) {
		*ret = (struct mq_dup){.twin = kept[it->twin]};
		return 1;
	}
	ret->twin = -1;
	return pub->engine->dedupe_find(d->handle, it->id, it->id_len, &ret->partition, &ret->offset, &ret->durable, pub->err);
}

/* The records of the load from `from` on: those to be stored go to d->kept, the others to d->dups. */
static int sort_out(struct mq_publish *pub, const struct mq_load *l, uint32_t from, struct item *v, int64_t *kept)
{
	struct mq_dedupe_state *d = &pub->dedupe;
	struct mq_batch b;
	struct mq_walk w;
	struct mq_rec r;
	uint32_t n = 0, stored = 0;
	int rc = mq_publish_walk(pub, l, &b, &w);

	for (uint32_t i = 0; rc >= 0 && (rc = mq_walk_next(&w, &r)) > 0; i++)
		if (i >= from)
			v[n++] = (struct item){r.id, r.id_len, i, STORED};
	if (rc == 0)
		rc = mq_publish_walk(pub, l, &b, &w);
	if (rc == 0)
		rc = mq_walk_skip(&w, from);
	if (rc < 0)
		return rc;
	find_twins(v, n);
	mq_records_clear(&d->kept);
	for (uint32_t i = 0; i < n && (rc = mq_walk_next(&w, &r)) > 0; i++) {
		struct mq_dup dup;

		rc = look(pub, &v[i], kept, &dup);
		kept[v[i].nth] = rc > 0 ? STORED : (int64_t)stored;
		dup.before = stored;
		if (rc > 0)
			rc = add_dup(pub, &dup);
		else if (rc == 0 && (rc = mq_records_add(&d->kept, &r)) == 0)
			stored++;
		if (rc < 0)
			return rc == -ENOMEM ? mq_publish_no_memory(pub) : rc;
	}
	return rc < 0 ? rc : 0;
}

static int choose(struct mq_publish *pub, const struct mq_load *l, uint32_t from)
{
	struct item *v = malloc(l->count * sizeof *v);
	int64_t *kept = malloc(l->count * sizeof *kept);
	int rc = v && kept ? 0 : mq_publish_no_memory(pub);

	if (rc == 0)
		rc = pub->engine->dedupe_catch_up(pub->dedupe.handle, pub->facts.partitions, pub->err);
	if (rc == 0)
		rc = sort_out(pub, l, from, v, kept);
	free(v);
	free(kept);
	return rc;
}

/* --- the append ----------------------------------------------------------------------------- */

int mq_publish_note_part(struct mq_publish *pub, const struct mq_ticket *t, uint64_t count)
{
	const struct mq_sent_part part = {*t, count};

	return mq_buf_add(&pub->dedupe.parts, &part, sizeof part) < 0 ? mq_publish_no_memory(pub) : 0;
}

/* Nothing is left out where nothing was found: then the load goes as it is. */
static int send_kept(struct mq_publish *pub, struct mq_out *out, const struct mq_load *whole, uint32_t from)
{
	struct mq_dedupe_state *d = &pub->dedupe;
	struct mq_load l = *whole;
	const uint8_t *body;

	if (d->n_dups == 0 && from == 0)
		return mq_publish_send(pub, out, whole);
	if (d->kept.count == 0)
		return 0;
	int rc = mq_records_finish(&d->kept, whole->base_us, 0, whole->last_sequence, &l.kind, &body, &l.len);
	if (rc < 0)
		return mq_err_set(pub->err, rc, "%s:%u: a batch of %u records cannot be built", pub->req->topic, out->partition, d->kept.count);
	l.body = body;
	l.count = d->kept.count;
	l.max_us = d->kept.max_time_us ? d->kept.max_time_us : whole->base_us;
	return mq_publish_send(pub, out, &l);
}

/* --- what is told of it --------------------------------------------------------------------- */

/* The first is to be as safe as the second was to be. */
static int await_firsts(struct mq_publish *pub)
{
	struct mq_dedupe_state *d = &pub->dedupe;
	int rc = 0;

	for (size_t i = 0; i < d->n_dups && rc == 0; i++) {
		struct mq_dup *dup = &d->dups[i];
		if (dup->twin >= 0 || dup->durable || pub->ack == MQ_ACK_NONE)
			continue;
		rc = pub->engine->dedupe_await(d->handle, dup->partition, pub->ack, pub->err);
		for (size_t j = i; j < d->n_dups && rc == 0; j++)
			d->dups[j].durable |= d->dups[j].twin < 0 && d->dups[j].partition == dup->partition;
	}
	return rc;
}

static int tell_dup(struct mq_publish *pub, struct mq_out *out, const struct mq_dup *dup)
{
	const struct mq_sent_part *parts = (const struct mq_sent_part *)(const void *)pub->dedupe.parts.p, *p = parts;
	uint64_t nth = dup->twin >= 0 ? (uint64_t)dup->twin : 0;

	pub->report.skipped++;
	if (dup->twin < 0)
		return mq_publish_sent_before(pub, out, NULL, dup->partition, dup->offset);
	for (; nth >= p->count; p++)
		nth -= p->count;
	return mq_publish_sent_before(pub, out, &p->ticket, out->partition, p->ticket.base_offset + nth);
}

/* What was stored, and between it what was left out, in the order of the input; all: the latter to the end.  *ret: how many
 * records of the load that is. */
static int tell(struct mq_publish *pub, struct mq_out *out, bool all, uint32_t *ret)
{
	struct mq_dedupe_state *d = &pub->dedupe;
	const struct mq_sent_part *p = (const struct mq_sent_part *)(const void *)d->parts.p;
	size_t n = d->parts.len / sizeof *p, at = 0;
	uint64_t stored = 0;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		for (uint64_t done = 0; done < p[i].count && rc == 0;) {
			uint64_t step = p[i].count - done;
			struct mq_ticket t = p[i].ticket;

			while (rc == 0 && at < d->n_dups && d->dups[at].before == stored)
				rc = tell_dup(pub, out, &d->dups[at++]);
			if (at < d->n_dups && d->dups[at].before - stored < step)
				step = d->dups[at].before - stored;
			t.base_offset += done;
			if (rc == 0)
				rc = mq_publish_sent(pub, out, &t, step, false);
			done += step;
			stored += step;
		}
	while (all && rc == 0 && at < d->n_dups)
		rc = tell_dup(pub, out, &d->dups[at++]);
	*ret = (uint32_t)(stored + at);
	return rc;
}

/* --- all of it ------------------------------------------------------------------------------ */

/* Look, append, tell.  *from goes past what was told. */
static int send_once(struct mq_publish *pub, struct mq_out *out, const struct mq_load *l, uint32_t *from)
{
	struct mq_dedupe_state *d = &pub->dedupe;
	uint32_t told = 0;
	int rc, also;

	d->n_dups = 0;
	mq_buf_clear(&d->parts);
	rc = pub->engine->dedupe_lock(d->handle, pub->err);
	if (rc < 0)
		return rc;
	d->locked = true;
	rc = choose(pub, l, *from);
	if (rc == 0)
		rc = send_kept(pub, out, l, *from);
	d->locked = false;
	pub->engine->dedupe_unlock(d->handle);
	if (rc < 0 && rc != -ESTALE && !mq_ops_is_full(rc))
		return rc;
	struct mq_err why = *pub->err;
	also = await_firsts(pub);
	if (also == 0)
		also = tell(pub, out, rc == 0, &told);
	*from += told;
	if (also == 0)
		*pub->err = why;
	return also < 0 ? also : rc;
}

bool mq_publish_looks_for_ids(const struct mq_publish *pub, const struct mq_out *out, enum mq_batch_kind kind)
{
	return pub->facts.dedupe && kind == MQ_BATCH_RECORDS && (out->records.columns & MQ_COL_IDS);
}

int mq_publish_send_new(struct mq_publish *pub, struct mq_out *out, const struct mq_load *l)
{
	struct mq_space_wait wait = {0};
	uint32_t from = 0;
	int rc = open_handle(pub);

	while (rc == 0) {
		rc = send_once(pub, out, l, &from);
		if (rc == 0) {
			mq_publish_space_came(pub, out, &wait);
			return 0;
		}
		if (mq_ops_is_full(rc))
			rc = mq_publish_await_space(pub, out, rc, &wait);
	}
	pub->part_sent = from;
	if (rc != -ESTALE)
		pub->sending_failed = true;
	return rc;
}
