/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the log holds of a named producer, compared with the input.
 *
 * A batch says its producer's last number and where that producer's batch before it begins, so what the log
 * holds is found by going back from the last one, then compared going forward beside the input.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/body.h"
#include "ops/ops.h"
#include "ops/publish.h"

struct mq_held {
	struct mq_source *source;
	const struct mq_engine *engine;
	uint32_t generation; /* of the partition count: batches of no other are looked at */
	struct mq_ticket mark;
	struct mq_body body;
	struct mq_walk walk;
	bool walking;
	uint64_t *bases; /* of the producer's batches, the latest first */
	size_t n, cap;   /* those from n on were compared */
	uint64_t first;  /* the lowest number that can be compared */
};

void mq_held_free(struct mq_held *h)
{
	if (!h)
		return;
	if (h->source)
		h->engine->source_close(h->source);
	mq_body_release(&h->body);
	free(h->bases);
	free(h);
}

/* The producer's batch at `base`, walked from its first record on; 0: it is not there any more. */
static int open_batch(struct mq_held *h, const struct mq_out *out, uint64_t base, struct mq_view *ret, struct mq_err *err)
{
	struct mq_loss loss;
	int rc = h->engine->source_seek(h->source, base, &loss, err);
	if (rc == 0)
		rc = h->engine->source_next(h->source, ret, &loss, err);
	if (rc <= 0)
		return rc == MQ_EDAMAGE ? 0 : rc;
	if (ret->batch.base_offset != base || ret->batch.who.kind != MQ_WHO_PRODUCER || ret->batch.who.id != out->who.id ||
	    ret->batch.topic_generation != h->generation)
		return 0;
	rc = mq_body_walk(&h->body, ret, &h->walk, err);
	return rc < 0 ? rc : 1;
}

static int add_base(struct mq_held *h, uint64_t base)
{
	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 16;
		uint64_t *p = realloc(h->bases, cap * sizeof *p);
		if (!p)
			return -ENOMEM;
		h->bases = p;
		h->cap = cap;
	}
	h->bases[h->n++] = base;
	return 0;
}

/* Back from the last batch to the one that holds `sequence`, or as far as the log goes. */
static int go_back(struct mq_publish *pub, struct mq_out *out, struct mq_held *h, uint64_t base, uint64_t sequence)
{
	h->first = UINT64_MAX;
	while (base != MQ_NO_OFFSET && h->first > sequence) {
		struct mq_view v;
		struct mq_rec r;
		int rc = open_batch(h, out, base, &v, pub->err);
		if (rc > 0)
			rc = mq_walk_next(&h->walk, &r);
		if (rc <= 0)
			return rc == MQ_EDAMAGE ? 0 : rc;
		h->first = r.sequence;
		if (add_base(h, base) < 0)
			return mq_publish_no_memory(pub);
		/* Never forwards: a chain that lies must not be followed for ever. */
		base = v.batch.who.source_start < base ? v.batch.who.source_start : MQ_NO_OFFSET;
	}
	return 0;
}

static int begin(struct mq_publish *pub, struct mq_out *out, uint32_t g)
{
	struct mq_held *h = calloc(1, sizeof *h);
	if (!h)
		return mq_publish_no_memory(pub);
	out->spans[g].held = h;
	h->engine = pub->engine;
	h->generation = pub->facts.generations[g].number;
	struct mq_space_wait wait = {0};
	int rc;
	while (mq_ops_is_full(rc = pub->engine->appender_mark(out->appender, &h->mark, pub->err)))
		if ((rc = mq_publish_await_space(pub, out, rc, &wait)) < 0)
			break;
	if (rc == 0)
		mq_publish_space_came(pub, out, &wait);
	if (rc == 0)
		rc = pub->engine->source_open(pub->mq->store, pub->into, out->partition, &h->source, pub->err);
	if (rc == -EACCES || rc == -EPERM || rc == MQ_EDENIED) { /* may write but not read: nothing to compare with */
		*pub->err = (struct mq_err){0};
		h->first = UINT64_MAX;
		return 0;
	}
	return rc == 0 ? go_back(pub, out, h, out->spans[g].last_base, pub->sequence) : rc;
}

/* The record of this number: 1; 0: there is none. */
static int find_record(struct mq_publish *pub, struct mq_out *out, struct mq_held *h, uint64_t sequence, struct mq_rec *ret)
{
	for (;;) {
		int rc = h->walking ? mq_walk_next(&h->walk, ret) : 0;
		if (rc < 0)
			return rc == MQ_EDAMAGE ? 0 : rc;
		if (rc > 0 && ret->sequence >= sequence)
			return ret->sequence == sequence;
		if (rc > 0)
			continue;
		if (h->n == 0)
			return 0;
		struct mq_view v;
		rc = open_batch(h, out, h->bases[--h->n], &v, pub->err);
		if (rc < 0)
			return rc;
		h->walking = rc > 0;
	}
}

static bool same(const char *a, uint32_t a_len, const char *b, uint32_t b_len)
{
	return !a == !b && a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static bool equal(const struct mq_rec *a, const struct mq_rec *b)
{
	return a->payload_len == b->payload_len && (a->payload_len == 0 || memcmp(a->payload, b->payload, a->payload_len) == 0) &&
	       same(a->key, a->key_len, b->key, b->key_len) && same(a->id, a->id_len, b->id, b->id_len) &&
	       same(a->tag, a->tag_len, b->tag, b->tag_len) && a->headers_len == b->headers_len &&
	       (a->headers_len == 0 || memcmp(a->headers, b->headers, a->headers_len) == 0);
}

/* Where the record of pub->sequence is, under the first generation that has it: 1; 0: nowhere. */
static int find_holder(struct mq_publish *pub, const struct mq_rec *r, struct mq_out **ret, uint32_t *ret_g)
{
	for (uint32_t g = 0; g < pub->facts.n_generations; g++) {
		uint32_t p = mq_publish_choose(pub, r, pub->facts.generations[g].partitions);
		if (p >= pub->facts.generations[g].partitions)
			continue; /* -p: it came later */
		int rc = mq_publish_out(pub, p, ret);
		if (rc < 0)
			return rc;
		*ret_g = g;
		if (pub->sequence <= (*ret)->spans[g].number)
			return 1;
	}
	return 0;
}

int mq_publish_held_to(struct mq_publish *pub, uint64_t *ret)
{
	*ret = 0;
	for (uint32_t g = 0; g < pub->facts.n_generations; g++) {
		struct mq_out *out;
		uint32_t p = mq_publish_choose(pub, NULL, pub->facts.generations[g].partitions);
		if (p >= pub->facts.generations[g].partitions)
			continue;
		int rc = mq_publish_out(pub, p, &out);
		if (rc < 0)
			return rc;
		if (out->spans[g].number > *ret)
			*ret = out->spans[g].number;
	}
	return 0;
}

/* It is held in out; is it the same? */
static int compare(struct mq_publish *pub, struct mq_out *out, struct mq_span *span, const struct mq_rec *r)
{
	struct mq_rec held;
	int rc = find_record(pub, out, span->held, pub->sequence, &held);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return mq_err_set(pub->err, MQ_EINPUT,
		                  "record %" PRIu64 ": number %" PRIu64 " of %s is not in %s:%u, which has its numbers up to %" PRIu64
		                  ": it went to another partition",
		                  pub->record_no, pub->sequence, pub->req->producer, pub->req->topic, out->partition, span->number);
	if (!equal(r, &held))
		return mq_err_set(pub->err, MQ_EINPUT,
		                  "record %" PRIu64 ": %s has published other bytes as its number %" PRIu64 " (%s:%u): other input is another "
		                  "--producer's, or goes on without --seq",
		                  pub->record_no, pub->req->producer, pub->sequence, pub->req->topic, out->partition);
	return 0;
}

int mq_publish_is_held(struct mq_publish *pub, const struct mq_rec *r)
{
	struct mq_out *out;
	uint32_t g;
	int rc = find_holder(pub, r, &out, &g);

	if (rc <= 0)
		return rc;
	struct mq_span *span = &out->spans[g];
	rc = span->held ? 0 : begin(pub, out, g);
	if (rc == 0 && pub->sequence >= span->held->first)
		rc = compare(pub, out, span, r);
	if (rc < 0)
		return rc;
	pub->report.skipped++;
	rc = mq_publish_note_run(pub, out, 1);
	if (rc == 0)
		rc = mq_publish_sent(pub, out, &span->held->mark, 1, true);
	return rc < 0 ? rc : 1;
}
