/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A batch whose checksums hold: does it make sense, and do its records? */
#include <stdio.h>
#include <string.h>

#include "format/control.h"
#include "format/intent.h"
#include "format/run.h"
#include "format/record.h"
#include "spool/check_internal.h"

/* Generations of the partition count only ever grow in number: one that was not there may have come meanwhile. */
static bool knows_generation(const struct mq_topic *t, uint32_t number)
{
	struct mq_topic now;
	bool found = false;

	for (uint32_t i = 0; i < t->conf.n_generations; i++)
		if (t->conf.generations[i].number == number)
			return true;
	if (mq_topic_open(&now, t->spool, t->name, NULL) < 0)
		return false;
	for (uint32_t i = 0; i < now.conf.n_generations; i++)
		found |= now.conf.generations[i].number == number;
	mq_topic_release(&now);
	return found;
}

static bool producers_walk(const uint8_t *body, uint32_t len)
{
	const uint8_t *at = body;
	struct mq_producer v;
	int rc;

	while ((rc = mq_producer_next(&at, body + len, &v)) > 0)
		;
	return rc == 0;
}

/* NULL: sound.  *ret_gap: lost offsets, which are no fault of the batch. */
static const char *control_fault(const struct mq_batch *b, const uint8_t *body, struct mq_gap *ret_gap, bool *ret_is_gap)
{
	struct mq_generation g;

	*ret_is_gap = false;
	switch (b->control) {
	case MQ_CONTROL_SNAPSHOT:
	case MQ_CONTROL_REGISTER:
		return producers_walk(body, b->stored_len) ? NULL : "a batch of producers contradicts itself";
	case MQ_CONTROL_GAP:
		*ret_is_gap = mq_gap_decode(body, b->stored_len, ret_gap) == 0;
		return *ret_is_gap ? NULL : "a gap batch contradicts itself";
	case MQ_CONTROL_COMPACTED:
		return b->stored_len == 0 ? NULL : "a batch that stands for what was compacted has a body";
	case MQ_CONTROL_GENERATION:
		return mq_generation_decode(body, b->stored_len, &g) == 0 ? NULL : "a generation batch contradicts itself";
	default:
		return "a control batch of no kind";
	}
}

/* A record of intents@TOPIC@GROUP. */
static int intent(const struct mq_rec *r, struct mq_err *why)
{
	struct mq_intent_target target;
	struct mq_intent_walk w;
	struct mq_intent i;
	int rc = mq_intent_open(&w, r->payload, r->payload_len, &i, why);

	while (rc == 0 && (rc = mq_intent_next(&w, &target)) == 1)
		rc = 0;
	if (rc == MQ_EDAMAGE && !why->code)
		mq_err_set(why, rc, "an intent contradicts itself");
	return rc;
}

/* Decompress and walk.  0, MQ_EDAMAGE, MQ_ECONFIG, -ENOMEM. */
static int records(struct mq_check *c, const struct mq_topic *t, const struct mq_batch *b, const uint8_t *body, struct mq_err *why)
{
	bool intents = strncmp(t->conf.internal, "intents@", 8) == 0, runs = strncmp(t->conf.internal, "runs@", 5) == 0;
	struct mq_run_facts run;
	struct mq_header_view header;
	struct mq_walk w;
	struct mq_rec r;
	int rc = 0;

	if (b->zip == MQ_BATCH_ZSTD) {
		rc = mq_zip_unpack(&c->zip, body, b->stored_len, b->raw_len, &c->raw, why);
		body = (const uint8_t *)c->raw.p;
	}
	if (rc == 0)
		rc = mq_walk_init(&w, b, body, why);
	while (rc == 0 && (rc = mq_walk_next(&w, &r)) > 0) {
		const char *at = r.headers;

		rc = 0;
		while (r.headers && (rc = mq_header_next(&at, r.headers + r.headers_len, &header)) > 0)
			;
		if (rc == 0 && intents)
			rc = intent(&r, why);
		if (rc == 0 && runs)
			rc = mq_run_read(r.payload, r.payload_len, &run, why);
	}
	if (rc == MQ_EDAMAGE && !why->code)
		mq_err_set(why, rc, "the batch's records contradict its header");
	return rc;
}

int mq_check_batch(struct mq_check_partition *part, const struct mq_segment *s, uint64_t pos, const struct mq_batch *b,
                   const uint8_t *body)
{
	struct mq_check *c = part->c;
	struct mq_check_place at = {pos, mq_batch_len(b), b->base_offset, b->next_offset};
	struct mq_err why = MQ_ERR_INIT;
	const char *fault = NULL;
	struct mq_gap gap;
	bool is_gap = false;
	int rc = 0;

	if (b->durable_pos > pos && pos >= s->h.born_end_pos)
		fault = "a batch calls durable what comes after it";
	else if (b->kind == MQ_BATCH_CONTROL)
		fault = control_fault(b, body, &gap, &is_gap);
	if (!fault && b->kind != MQ_BATCH_CONTROL) {
		rc = records(c, part->t, b, body, &why);
		if (rc == MQ_EDAMAGE)
			fault = why.text;
		else if (rc == MQ_ECONFIG)
			return mq_check_tell(c, MQ_CHECK_NEWER, part->where, s->name, &at, mq_check_not(c, "it is of a newer mq"), "%s", why.text);
		else if (rc < 0)
			return mq_err_set(c->err, rc, "%s", why.text);
	}
	if (fault) {
		part->damaged = true;
		return mq_check_tell(c, MQ_CHECK_DAMAGE, part->where, s->name, &at, mq_check_not(c, "segments are never touched"), "%s", fault);
	}
	if (is_gap)
		rc = mq_check_tell(c, MQ_CHECK_LOST, part->where, s->name, &at, mq_check_not(c, "what is lost is lost"),
		                   "offsets %llu to %llu were lost here, and it was told then", (unsigned long long)gap.lost_from,
		                   (unsigned long long)gap.lost_to - 1);
	if (rc == 0 && b->kind != MQ_BATCH_CONTROL && !knows_generation(part->t, b->topic_generation))
		rc = mq_check_tell(c, MQ_CHECK_CONFIG, part->where, s->name, &at, mq_check_not(c, "topic.conf is for people to restore"),
		                   "a batch of generation %u, which topic.conf does not know", b->topic_generation);
	return rc;
}
