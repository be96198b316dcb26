/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named producers: records have numbers, and what a partition holds already is not stored again.
 *
 * A partition holds a number only of the keys that led to it when that was stored.  So what it holds is known for each generation
 * of the partition count, and a record is held where its key led under one of them, if that one's numbers there reach so far.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/murmur2.h"
#include "ops/body.h"
#include "ops/ops.h"
#include "ops/publish.h"
#include "sys/sys.h"

enum { LOOK_AGAIN_NS = 20000000 };

/* --- the name ------------------------------------------------------------------------------- */

static int take_name(struct mq_publish *pub)
{
	int64_t now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC), deadline_ns = now_ns + pub->req->timeout_ns;
	for (;;) {
		int rc = pub->engine->producer_hold(pub->mq->store, pub->into, pub->req->producer, pub->err);
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

/* The partitions that the input goes to while there are so many, as far as that is known before it is read. */
static void expect(const struct mq_publish *pub, uint32_t partitions, uint32_t *ret_from, uint32_t *ret_to)
{
	const struct mq_publish_request *req = pub->req;

	*ret_from = 0;
	*ret_to = partitions;
	if (req->partition < 0 && brings_keys(req))
		return;
	if (req->partition >= 0)
		*ret_from = (uint32_t)req->partition;
	else if (req->key)
		*ret_from = mq_partition_of_key(req->key, strlen(req->key), partitions);
	else
		*ret_from = mq_partition_of_key(req->producer, strlen(req->producer), partitions);
	*ret_to = *ret_from + 1;
}

/* The highest number that is held where the input goes, or went before the topic grew; all: wherever. */
static int find_last(struct mq_publish *pub, bool all, uint64_t *ret)
{
	uint64_t last = 0;

	for (uint32_t g = 0; g < pub->facts.n_generations; g++) {
		uint32_t from = 0, to = pub->facts.generations[g].partitions;
		if (!all)
			expect(pub, to, &from, &to);
		for (uint32_t p = from; p < to && p < pub->facts.partitions; p++) {
			struct mq_out *out;
			int rc = mq_publish_out(pub, p, &out);
			if (rc < 0)
				return rc;
			if (g < out->n_spans && out->spans[g].number > last)
				last = out->spans[g].number;
		}
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
	int rc = take_name(pub);

	if (rc == 0 && seq != 1)
		rc = find_last(pub, false, &last);
	/* An earlier run may have gone elsewhere. */
	if (rc == 0 && seq > last + 1)
		rc = find_last(pub, true, &last);
	if (rc == 0)
		rc = mq_publish_check_gap(pub, last);
	pub->sequence = seq ? seq - 1 : last;
	return rc;
}

void mq_publish_forget(struct mq_out *out)
{
	for (uint32_t g = 0; g < out->n_spans; g++)
		mq_held_free(out->spans[g].held);
	free(out->spans);
	out->spans = NULL;
	out->n_spans = 0;
	out->found = false;
}

static int find_spans(struct mq_publish *pub, struct mq_out *out)
{
	uint32_t n = pub->facts.n_generations;

	out->spans = calloc(n, sizeof *out->spans);
	if (!out->spans)
		return mq_publish_no_memory(pub);
	out->n_spans = n;
	for (uint32_t g = 0; g < n; g++) {
		struct mq_span *s = &out->spans[g];
		if (pub->engine->producer_held)
			pub->engine->producer_held(out->appender, &out->who, pub->facts.generations[g].number, &s->number, &s->last_base);
		else
			*s = (struct mq_span){.number = out->who.number, .last_base = out->who.source_start};
	}
	return 0;
}

int mq_publish_find(struct mq_publish *pub, struct mq_out *out)
{
	struct mq_space_wait wait = {0};
	int rc;

	if (out->found)
		return 0;
	/* A new name is registered in the log, and that needs room. */
	while ((rc = pub->engine->producer_find(out->appender, pub->req->producer, &out->who, pub->err)) < 0) {
		if (mq_ops_is_full(rc))
			rc = mq_publish_await_space(pub, out, rc, &wait);
		if (rc < 0)
			return rc;
	}
	mq_publish_space_came(pub, out, &wait);
	mq_publish_forget(out);
	rc = find_spans(pub, out);
	out->found = rc == 0;
	return rc;
}
