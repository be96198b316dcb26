/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/replay_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "ops/transfer_private.h"
#include "sys/sys.h"

struct mq_run_hold {
	struct mq *mq;
	const struct mq_engine *engine;
	char topic[201], name[201];  /* runs@TOPIC@ */
	uint32_t generation;         /* of its partition count */
	uint32_t partitions;         /* of the topic */
	bool restores;
	struct mq_appender *log;
	uint8_t segment[16];         /* where it was last written to */
	struct mq_run_facts facts;
	struct mq_buf payload;       /* of the last record */
};

const struct mq_run_facts *mq_run_facts(const struct mq_run_hold *r)
{
	return &r->facts;
}

struct mq_run_range mq_run_range(const struct mq_run_hold *r, uint32_t nth)
{
	return mq_run_range_at(r->payload.p, nth);
}

void mq_run_source(const struct mq_run_hold *r, uint32_t nth, struct mq_transfer_run *ret_run, struct mq_transfer_source *ret)
{
	struct mq_run_range range = mq_run_range(r, nth);

	*ret_run = (struct mq_transfer_run){r->facts.number, range.start, false};
	*ret = (struct mq_transfer_source){.topic = r->topic, .partition = range.partition, .run = ret_run};
}

void mq_run_source_restore(const struct mq_run_hold *r, struct mq_transfer_run *ret_run, struct mq_transfer_source *ret)
{
	*ret_run = (struct mq_transfer_run){r->facts.number, 0, true};
	*ret = (struct mq_transfer_source){.topic = r->topic, .run = ret_run};
}

/* --- what is known -------------------------------------------------------------------------- */

static int read_last(const struct mq_engine *e, struct mq_store *s, const char *name, struct mq_buf *payload, struct mq_run_facts *ret,
                     struct mq_err *err)
{
	struct mq_body body = {0};
	int rc = mq_transfer_last(e, s, name, 0, &body, payload, err);

	if (rc == 1) {
		rc = mq_run_read(payload->p, payload->len, ret, err);
		if (rc < 0)
			mq_err_prefix(err, "%s:0", name);
		else
			rc = 1;
	}
	mq_body_release(&body);
	return rc;
}

int mq_run_last(struct mq *mq, const char *topic, struct mq_run_facts *ret, struct mq_err *err)
{
	const struct mq_engine *e = mq->store->engine;
	struct mq_buf payload = MQ_BUF_INIT;
	struct mq_topic_facts facts;
	char name[201];
	int rc = e->internal_open ? e->internal_open(mq->store, "runs", topic, "", false, name, &facts, err) : MQ_ENOTOPIC;

	if (rc == 0)
		rc = read_last(e, mq->store, name, &payload, ret, err);
	else if (rc == MQ_ENOTOPIC)
		*err = (struct mq_err){0}, rc = 0;
	mq_buf_release(&payload);
	return rc;
}

/* r->payload, durably. */
static int append(struct mq_run_hold *r, struct mq_err *err)
{
	struct mq_batch b = {.ack = MQ_ACK_DURABLE, .count = 1, .topic_generation = r->generation};
	struct mq_rec rec = {.payload = r->payload.p, .payload_len = (uint32_t)r->payload.len};
	struct mq_records one;
	struct mq_ticket ticket;
	const uint8_t *body;

	mq_records_init(&one);
	int rc = mq_records_add(&one, &rec);
	if (rc == 0)
		rc = mq_records_finish(&one, mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, 0, 0, &b.kind, &body, &b.raw_len);
	if (rc < 0) {
		mq_err_set(err, rc, "%s: a record of %zu bytes cannot be built", r->name, r->payload.len);
	} else {
		b.stored_len = b.raw_len;
		b.body_crc = mq_crc32c(0, body, b.stored_len);
		rc = r->engine->append(r->log, &b, body, &ticket, err);
	}
	mq_records_release(&one);
	if (rc == 0)
		rc = r->engine->wait_durable(r->log, &ticket, MQ_ACK_DURABLE, err);
	if (rc == 0 && r->engine->append_trim && memcmp(r->segment, ticket.segment, sizeof r->segment) != 0) {
		struct mq_err why = MQ_ERR_INIT; /* those before go with the next, then */
		(void)r->engine->append_trim(r->log, ticket.base_offset, &why);
		memcpy(r->segment, ticket.segment, sizeof r->segment);
	}
	return rc;
}

static int print(struct mq_run_hold *r, const struct mq_run_range *ranges, struct mq_err *err)
{
	mq_buf_clear(&r->payload);
	return mq_run_print(&r->payload, &r->facts, ranges) < 0 ? mq_transfer_no_memory(err) : append(r, err);
}

int mq_run_finish(struct mq_run_hold *r, struct mq_err *err)
{
	struct mq_run_range *ranges = calloc((size_t)r->facts.n + 1, sizeof *ranges);

	if (!ranges)
		return mq_transfer_no_memory(err);
	for (uint32_t i = 0; i < r->facts.n; i++)
		ranges[i] = mq_run_range(r, i);
	r->facts.ended = true;
	int rc = print(r, ranges, err);
	free(ranges);
	return rc;
}

/* --- beginning ------------------------------------------------------------------------------ */

static int hold(struct mq_run_hold *r, struct mq_err *err)
{
	struct mq_topic_facts facts, source;
	struct mq_ticket mark;
	int rc = r->engine->topic_facts(r->mq->store, r->topic, &source, err);

	if (rc == 0)
		rc = r->engine->internal_open(r->mq->store, r->restores ? "restores" : "runs", r->topic, "", true, r->name, &facts, err);
	if (rc < 0)
		return rc;
	r->partitions = r->restores ? 1 : source.partitions;
	r->generation = facts.generation;
	rc = r->engine->producer_hold(r->mq->store, r->name, "run", err);
	if (rc == MQ_EAGAIN)
		return mq_err_set(err, rc, "topic %s: another mq-replay %s it: one at a time", r->topic,
		                  r->restores ? "--archive restores into" : "--to copies from");
	if (rc == 0)
		rc = r->engine->appender_open(r->mq->store, r->name, 0, &r->log, err);
	/* What one who was killed appended is there for good before anything is built on it. */
	if (rc == 0)
		rc = r->engine->appender_mark(r->log, &mark, err);
	if (rc == 0)
		rc = r->engine->wait_durable(r->log, &mark, MQ_ACK_DURABLE, err);
	if (rc == 0)
		memcpy(r->segment, mark.segment, sizeof r->segment);
	return rc;
}

/* What a run that was broken off has begun to move is moved, in whatever partition. */
static int finish_open(struct mq_run_hold *r, struct mq_err *err)
{
	int rc = 0;

	for (uint32_t p = 0; p < r->partitions && rc == 0; p++) {
		const struct mq_transfer_run run = {r->facts.number, 0, r->restores};
		const struct mq_transfer_source from = {.topic = r->topic, .partition = p, .run = &run};
		struct mq_transfer *t;

		rc = mq_transfer_open(&t, r->mq, &from, false, err);
		mq_transfer_close(t);
	}
	return rc;
}

static void tell(const struct mq_run_hold *r, bool same)
{
	int64_t ago = (mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000 - r->facts.began_us) / 1000000;

	if (same)
		mq_ops_notice(r->mq, 0, "%s: going on with the copying that began %" PRId64 " s ago and was broken off", r->topic, ago > 0 ? ago : 0);
	else
		mq_ops_notice(r->mq, 0, "%s: another copying, which began %" PRId64 " s ago, was broken off: what it copied stays, and the rest is left",
		              r->topic, ago > 0 ? ago : 0);
}

static int begin(struct mq_run_hold *r, uint64_t asked, const struct mq_run_range *ranges, uint32_t n, struct mq_err *err)
{
	int rc = read_last(r->engine, r->mq->store, r->name, &r->payload, &r->facts, err);
	bool open = rc == 1 && !r->facts.ended, same = open && r->facts.asked == asked;

	if (rc < 0)
		return rc;
	if (open)
		tell(r, same);
	if (open && (rc = finish_open(r, err)) < 0)
		return rc;
	if (same)
		return 1;
	r->facts = (struct mq_run_facts){.number = r->facts.number + 1, .asked = asked,
	                                 .began_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, .n = n};
	return print(r, ranges, err);
}

static int open_run(struct mq_run_hold **ret, struct mq *mq, const char *topic, bool restores, uint64_t asked,
                    const struct mq_run_range *ranges, uint32_t n, struct mq_err *err)
{
	const struct mq_engine *e = mq->store->engine;

	*ret = NULL;
	if (!e->internal_open || !e->mover_open)
		return mq_err_set(err, MQ_EUSAGE, "records cannot be copied here: %s keeps no intents", e->scheme);
	struct mq_run_hold *r = calloc(1, sizeof *r);
	if (!r)
		return mq_transfer_no_memory(err);
	r->mq = mq;
	r->engine = e;
	r->restores = restores;
	snprintf(r->topic, sizeof r->topic, "%s", topic);
	int rc = hold(r, err);
	if (rc == 0)
		rc = begin(r, asked, ranges, n, err);
	if (rc < 0)
		mq_run_close(r);
	else
		*ret = r;
	return rc;
}

int mq_run_open(struct mq_run_hold **ret, struct mq *mq, const char *topic, uint64_t asked, const struct mq_run_range *ranges,
                uint32_t n, struct mq_err *err)
{
	return open_run(ret, mq, topic, false, asked, ranges, n, err);
}

int mq_run_open_restore(struct mq_run_hold **ret, struct mq *mq, const char *topic, uint64_t asked, const struct mq_run_range *ranges,
                        uint32_t n, struct mq_err *err)
{
	return open_run(ret, mq, topic, true, asked, ranges, n, err);
}

void mq_run_close(struct mq_run_hold *r)
{
	if (!r)
		return;
	if (r->log)
		r->engine->appender_close(r->log);
	mq_buf_release(&r->payload);
	free(r);
}
