/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The topic has grown while this run goes on: an append was refused, since the partition had been chosen by an older number.
 *
 * What was stored before lies before the growth in each partition, and stays.  What lies in the builders goes to the partitions
 * that it belongs to now, in the order of the input, whichever builder it was in (rule 1): two of them may meet in one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops/publish.h"
#include "sys/sys.h"

struct pending {
	uint64_t ordinal;
	struct mq_rec r;      /* leads into the body of a builder that was taken */
	struct mq_out *out;   /* where it goes now */
};

struct reroute {
	struct mq_publish *pub;
	struct mq_records *taken; /* builders, whose bodies are looked at */
	size_t n_taken;
	struct pending *v;
	size_t n;
};

/* --- what is known of the topic ------------------------------------------------------------- */

static int learn_facts(struct mq_publish *pub)
{
	struct mq_topic_facts facts;
	uint32_t before = pub->facts.partitions;
	struct mq_out **outs;

	*pub->err = (struct mq_err){0};
	int rc = mq_publish_facts(pub, &facts);
	if (rc < 0)
		return rc;
	if (facts.generation <= pub->facts.generation || facts.partitions < before)
		return mq_err_set(pub->err, MQ_EBROKEN, "%s: its partitions were chosen by generation %u, and it has no later one",
		                  pub->req->topic, facts.generation);
	outs = realloc(pub->outs, facts.partitions * sizeof(struct mq_out *));
	if (!outs)
		return mq_publish_no_memory(pub);
	for (uint32_t p = before; p < facts.partitions; p++)
		outs[p] = NULL;
	pub->outs = outs;
	pub->facts = facts;
	for (uint32_t p = 0; p < before; p++)
		if (outs[p])
			mq_publish_forget(outs[p]);
	return 0;
}

/* --- what no batch holds yet ---------------------------------------------------------------- */

/* The records of a builder from `from` on. */
static int take_records(struct reroute *w, struct mq_out *out, uint32_t from)
{
	struct mq_publish *pub = w->pub;
	struct mq_records *b = &w->taken[w->n_taken++];
	const uint64_t *ordinals = (const uint64_t *)(const void *)out->ordinals.p;
	struct mq_load l = {.base_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, .count = out->records.count,
	                    .last_sequence = out->last_sequence};
	const uint8_t *body;
	struct mq_batch batch;
	struct mq_walk walk;
	struct mq_rec r;
	uint32_t i = 0;

	*b = out->records;
	mq_records_init(&out->records);
	int rc = mq_records_finish(b, l.base_us, 0, l.last_sequence, &l.kind, &body, &l.len);
	l.body = body;
	if (rc == 0)
		rc = mq_publish_walk(pub, &l, &batch, &walk);
	while (rc == 0 && (rc = mq_walk_next(&walk, &r)) > 0) {
		rc = 0;
		if (!walk.times)
			r.time_us = 0; /* it brought none */
		if (i >= from)
			w->v[w->n++] = (struct pending){ordinals[i], r, NULL};
		i++;
	}
	mq_buf_clear(&out->ordinals);
	out->timed = 0;
	return rc < 0 ? mq_err_set(pub->err, rc, "%s: what was gathered cannot be read again", pub->req->topic) : 0;
}

static int by_ordinal(const void *a, const void *b)
{
	uint64_t x = ((const struct pending *)a)->ordinal, y = ((const struct pending *)b)->ordinal;

	return x < y ? -1 : x > y;
}

static int take_builders(struct reroute *w, struct mq_out *in_flight, uint32_t before)
{
	struct mq_publish *pub = w->pub;
	uint32_t sent = pub->part_sent;
	size_t records = 0;
	int rc = 0;

	for (uint32_t p = 0; p < before; p++)
		records += pub->outs[p] ? pub->outs[p]->records.count : 0;
	w->taken = calloc(before, sizeof *w->taken);
	w->v = malloc((records ? records : 1) * sizeof *w->v);
	if (!w->taken || !w->v)
		return mq_publish_no_memory(pub);
	for (uint32_t p = 0; p < before && rc == 0; p++) {
		struct mq_out *out = pub->outs[p];
		if (out && out->records.count)
			rc = take_records(w, out, out == in_flight ? sent : 0);
	}
	for (; pub->full; pub->full = pub->full->next_full)
		pub->full->full = false;
	pub->full_bytes = 0;
	qsort(w->v, w->n, sizeof *w->v, by_ordinal);
	return rc;
}

/* --- where it goes -------------------------------------------------------------------------- */

static int choose_all(struct reroute *w)
{
	struct mq_publish *pub = w->pub;
	struct mq_moved *moved = malloc((w->n ? w->n : 1) * sizeof *moved);
	int rc = moved ? 0 : mq_publish_no_memory(pub);

	for (size_t i = 0; i < w->n && rc == 0; i++) {
		rc = mq_publish_find_out(pub, mq_publish_choose(pub, &w->v[i].r, pub->facts.partitions), &w->v[i].out);
		if (rc == 0)
			moved[i] = (struct mq_moved){w->v[i].ordinal, w->v[i].out};
	}
	if (rc == 0)
		rc = mq_publish_move_runs(pub, moved, w->n);
	free(moved);
	return rc;
}

/* What has no room beside others makes some by sending; then it may show that the topic has grown once more, and those before
 * this one have moved again. */
static int gather_all(struct reroute *w)
{
	struct mq_publish *pub = w->pub;
	uint32_t generation = pub->facts.generation;
	int rc = 0;

	for (size_t i = 0; i < w->n && rc == 0; i++) {
		struct pending *v = &w->v[i];
		while ((rc = mq_publish_gather(pub, v->out, &v->r, v->ordinal, v->r.sequence)) == 1) {
			struct mq_out *opened;
			rc = mq_publish_out(pub, v->out->partition, &opened);
			if (rc == 0)
				rc = mq_publish_send_builder(pub, v->out);
			if (rc < 0)
				return rc;
			if (pub->facts.generation == generation)
				continue;
			generation = pub->facts.generation;
			w->v += i;
			w->n -= i;
			rc = choose_all(w);
			w->v -= i;
			w->n += i;
			if (rc < 0)
				return rc;
		}
	}
	return rc;
}

int mq_publish_reroute(struct mq_publish *pub, struct mq_out *in_flight)
{
	struct reroute w = {.pub = pub};
	uint32_t before = pub->facts.partitions;
	int rc = learn_facts(pub);

	if (rc == 0)
		rc = take_builders(&w, in_flight, before);
	if (rc == 0)
		rc = choose_all(&w);
	if (rc == 0)
		rc = gather_all(&w);
	for (size_t i = 0; i < w.n_taken; i++)
		mq_records_release(&w.taken[i]);
	free(w.taken);
	free(w.v);
	if (rc < 0)
		pub->sending_failed = true; /* rule 4: what was gathered is not there any more */
	return rc;
}
