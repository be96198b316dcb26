/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named producers: records have numbers, and what a partition holds already is not stored again.
 *
 * A batch says its producer's last number and where that producer's batch before it begins, so what the log
 * holds is found by going back from the last one, then compared going forward beside the input.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/murmur2.h"
#include "ops/body.h"
#include "ops/publish.h"
#include "sys/sys.h"

struct mq_held {
	struct mq_source *source;
	const struct mq_engine *engine;
	struct mq_ticket mark;
	struct mq_body body;
	struct mq_walk walk;
	bool walking;
	uint64_t *bases; /* of the producer's batches, the latest first */
	size_t n, cap;   /* those from n on were compared */
	uint64_t first;  /* the lowest number that can be compared */
};

enum { LOOK_AGAIN_NS = 20000000 };

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

/* --- the name ------------------------------------------------------------------------------- */

static int take_name(struct mq_publish *pub)
{
	int64_t now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC), deadline_ns = now_ns + pub->req->timeout_ns;
	for (;;) {
		int rc = pub->engine->producer_hold(pub->mq->store, pub->req->topic, pub->req->producer, pub->err);
		if (rc != MQ_EAGAIN || pub->req->timeout_ns <= 0 || now_ns >= deadline_ns)
			return rc;
		rc = mq_publish_sleep(pub, now_ns + LOOK_AGAIN_NS);
		if (rc < 0)
			return rc;
		now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	}
}

/* Do records bring keys of their own? */
static bool brings_keys(const struct mq_publish_request *req)
{
	bool in = req->form == MQ_IN_JSON || req->form == MQ_IN_FRAMES;
	bool files = req->n_files && (req->file_form == MQ_IN_JSON || req->file_form == MQ_IN_FRAMES);
	return req->key_delimiter || ((in || files) && !req->n_messages);
}

/* The partitions that the input will go to, as far as that is known before it is read. */
static void expect(const struct mq_publish *pub, uint32_t *ret_from, uint32_t *ret_to)
{
	const struct mq_publish_request *req = pub->req;

	*ret_from = 0;
	*ret_to = pub->facts.partitions;
	if (req->partition < 0 && brings_keys(req))
		return;
	if (req->partition >= 0)
		*ret_from = (uint32_t)req->partition;
	else if (req->key)
		*ret_from = mq_partition_of_key(req->key, strlen(req->key), *ret_to);
	else
		*ret_from = mq_partition_of_key(req->producer, strlen(req->producer), *ret_to);
	*ret_to = *ret_from + 1;
}

/* The highest number that one of these partitions has. */
static int find_last(struct mq_publish *pub, uint32_t from, uint32_t to, uint64_t *ret)
{
	uint64_t last = 0;

	for (uint32_t p = from; p < to; p++) {
		struct mq_out *out;
		int rc = mq_publish_out(pub, p, &out);
		if (rc < 0)
			return rc;
		if (out->held > last)
			last = out->held;
	}
	*ret = last;
	return 0;
}

/* Numbers that are left out would count as held ever after.  In one partition they are left out where keys lead elsewhere;
 * in the topic never. */
int mq_publish_check_gap(struct mq_publish *pub, uint64_t last)
{
	const struct mq_publish_request *req = pub->req;

	if (req->seq <= last + 1)
		return 0;
	if (last == 0)
		return mq_err_set(pub->err, MQ_EINPUT, "%s: %s has published nothing yet, so --seq %" PRIu64 " would leave a gap: it begins with 1",
		                  req->topic, req->producer, req->seq);
	return mq_err_set(pub->err, MQ_EINPUT, "%s: the last number of %s is %" PRIu64 ", so --seq %" PRIu64 " would leave a gap: %" PRIu64
	                  " comes next", req->topic, req->producer, last, req->seq, last + 1);
}

int mq_publish_hold(struct mq_publish *pub)
{
	uint64_t seq = pub->req->seq, last = 0;
	uint32_t from, to;
	int rc = take_name(pub);

	if (rc < 0)
		return rc;
	expect(pub, &from, &to);
	if (seq != 1)
		rc = find_last(pub, from, to, &last);
	/* An earlier run may have gone elsewhere. */
	if (rc == 0 && seq > last + 1)
		rc = find_last(pub, 0, pub->facts.partitions, &last);
	if (rc == 0)
		rc = mq_publish_check_gap(pub, last);
	pub->sequence = seq ? seq - 1 : last;
	return rc;
}

int mq_publish_find(struct mq_publish *pub, struct mq_out *out)
{
	struct mq_space_wait wait = {0};
	int rc;

	if (out->found)
		return 0;
	/* A new name is registered in the log, and that needs room. */
	while ((rc = pub->engine->producer_find(out->appender, pub->req->producer, &out->who, pub->err)) < 0) {
		if (mq_publish_is_full(rc))
			rc = mq_publish_await_space(pub, out, rc, &wait);
		if (rc < 0)
			return rc;
	}
	mq_publish_space_came(pub, out, &wait);
	out->held = out->who.number;
	out->found = true;
	return 0;
}

/* --- what is held --------------------------------------------------------------------------- */

/* The producer's batch at `base`, walked from its first record on; 0: it is not there any more. */
static int open_batch(struct mq_held *h, const struct mq_out *out, uint64_t base, struct mq_view *ret, struct mq_err *err)
{
	struct mq_loss loss;
	int rc = h->engine->source_seek(h->source, base, &loss, err);
	if (rc == 0)
		rc = h->engine->source_next(h->source, ret, &loss, err);
	if (rc <= 0)
		return rc == MQ_EDAMAGE ? 0 : rc;
	if (ret->batch.base_offset != base || ret->batch.who.kind != MQ_WHO_PRODUCER || ret->batch.who.id != out->who.id)
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
static int go_back(struct mq_publish *pub, struct mq_out *out, struct mq_held *h, uint64_t sequence)
{
	uint64_t base = out->who.source_start;
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

static int begin(struct mq_publish *pub, struct mq_out *out)
{
	struct mq_held *h = calloc(1, sizeof *h);
	if (!h)
		return mq_publish_no_memory(pub);
	out->compare = h;
	h->engine = pub->engine;
	struct mq_space_wait wait = {0};
	int rc;
	while (mq_publish_is_full(rc = pub->engine->appender_mark(out->appender, &h->mark, pub->err)))
		if ((rc = mq_publish_await_space(pub, out, rc, &wait)) < 0)
			break;
	if (rc == 0)
		mq_publish_space_came(pub, out, &wait);
	if (rc == 0)
		rc = pub->engine->source_open(pub->mq->store, pub->req->topic, out->partition, &h->source, pub->err);
	if (rc == -EACCES || rc == -EPERM || rc == MQ_EDENIED) { /* may write but not read: nothing to compare with */
		*pub->err = (struct mq_err){0};
		h->first = UINT64_MAX;
		return 0;
	}
	return rc == 0 ? go_back(pub, out, h, pub->sequence) : rc;
}

/* The record of this number: 1; 0: there is none. */
static int find_record(struct mq_publish *pub, struct mq_out *out, uint64_t sequence, struct mq_rec *ret)
{
	struct mq_held *h = out->compare;
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

int mq_publish_is_held(struct mq_publish *pub, struct mq_out *out, const struct mq_rec *r)
{
	struct mq_rec held;
	int rc;

	if (pub->sequence > out->held)
		return 0;
	rc = out->compare ? 0 : begin(pub, out);
	if (rc < 0)
		return rc;
	if (pub->sequence >= out->compare->first) {
		rc = find_record(pub, out, pub->sequence, &held);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return mq_err_set(pub->err, MQ_EINPUT,
			                  "record %" PRIu64 ": number %" PRIu64 " of %s is not in %s:%u, which has its numbers up to %" PRIu64
			                  ": it went to another partition",
			                  pub->record_no, pub->sequence, pub->req->producer, pub->req->topic, out->partition, out->held);
		if (!equal(r, &held))
			return mq_err_set(pub->err, MQ_EINPUT,
			                  "record %" PRIu64 ": %s has published other bytes as its number %" PRIu64 " (%s:%u): other input is another "
			                  "--producer's, or goes on without --seq",
			                  pub->record_no, pub->req->producer, pub->sequence, pub->req->topic, out->partition);
	}
	pub->report.skipped++;
	rc = mq_publish_note_run(pub, out, 1);
	if (rc == 0)
		rc = mq_publish_sent(pub, out, &out->compare->mark, 1, true);
	return rc < 0 ? rc : 1;
}
