/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Into another topic, with the place. */
#include "ops/consume_to.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/murmur2.h"
#include "base/name.h"
#include "ops/consume_move.h"
#include "sys/sys.h"

enum {
	SLICE_BYTES = 256 << 10,   /* of a view, then others have their turn */
	UNIT_BYTES = 64 << 10,     /* records without a key go on to the next partition when one got so much, */
	UNITS = 8,                 /* or an eighth of its even part of what is there, */
	UNIT_RECORDS_MIN = 64,     /* but so many at least */
};
static const int64_t LOOK_NS = 100000000; /* how old what is known of the topic may be */

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* --- the topic ------------------------------------------------------------------------------ */

static int check(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;

	if (!req->group)
		return mq_err_set(c->err, MQ_EUSAGE, "what goes to a topic goes with a group's place: -g GROUP is missing (mq-replay --to needs none)");
	if (req->share)
		return mq_err_set(c->err, MQ_EUSAGE, "--share and --to exclude each other: a shared record is done for itself, and a transfer moves a place");
	if (req->commit_before || req->form == MQ_OUT_POSITIONS)
		return mq_err_set(c->err, MQ_EUSAGE, "what goes to a topic is done when it is there: neither before nor by hand");
	if (req->once)
		return mq_err_set(c->err, MQ_EUSAGE, "--once and --to exclude each other: what goes to a topic goes there once as it is");
	for (size_t i = 0; i < req->n_topics; i++)
		if (strcmp(req->topics[i], req->to) == 0)
			return mq_err_set(c->err, MQ_EUSAGE, "%s: it is read, and cannot be where that goes to (--to)", req->to);
	if (!c->engine->internal_open || !c->engine->mover_open)
		return mq_err_set(c->err, MQ_EUSAGE, "--to: records cannot be moved here: %s keeps no intents", c->engine->scheme);
	return mq_name_check(req->to, "topic", c->err);
}

static int learn(struct mq_consume *c)
{
	struct mq_to *to = c->to;
	int rc = c->engine->topic_facts(c->store, c->req->to, &to->facts, c->err);

	to->there = rc == 0;
	to->looked_ns = now_ns();
	return rc;
}

static void tell_partitions(struct mq_consume *c)
{
	const struct mq_topic_facts *facts = &c->to->facts;

	if (c->req->to_partitions && c->req->to_partitions != facts->partitions)
		mq_ops_notice(c->mq, 0, "%s has %" PRIu32 " partitions already: --partitions says how many it is made with (mq-rebalance makes more)",
		              c->req->to, facts->partitions);
}

int mq_to_begin(struct mq_consume *c)
{
	if (!c->req->to || c->req->replay)
		return 0;
	int rc = check(c);
	if (rc < 0)
		return rc;
	c->to = calloc(1, sizeof *c->to);
	if (!c->to)
		return mq_consume_no_memory(c);
	rc = learn(c);
	if (rc == 0)
		tell_partitions(c);
	if (rc != MQ_ENOTOPIC)
		return rc;
	*c->err = (struct mq_err){0};
	return 0;
}

void mq_to_end(struct mq_consume *c)
{
	free(c->to);
	c->to = NULL;
}

int mq_to_need(struct mq_consume *c)
{
	struct mq_to *to = c->to;
	int rc = 0;

	if (to->there && now_ns() - to->looked_ns < LOOK_NS)
		return 0;
	if (!to->there)
		rc = c->engine->topic_auto_create(c->store, c->req->to, c->req->to_partitions, c->err);
	if (rc == 0)
		rc = learn(c);
	if (to->robin >= to->facts.partitions)
		to->robin = 0;
	return rc;
}

/* --- records -------------------------------------------------------------------------------- */

int mq_to_fits(struct mq_consume *c, const struct mq_feed *f, uint64_t offset, const struct mq_rec *r)
{
	uint32_t max = c->to->facts.max_message_bytes;

	if (r->payload_len <= max && r->key_len <= max && r->headers_len <= max && r->id_len <= max && r->tag_len <= max)
		return 0;
	return mq_err_set(c->err, MQ_EINPUT, "%s:%" PRIu32 ":%" PRIu64 ": a record of %" PRIu32 " bytes is larger than max.message.bytes of %s, %"
	                  PRIu32, f->topic, f->partition, offset, r->payload_len, c->req->to, max);
}

uint32_t mq_to_choose(struct mq_consume *c, const struct mq_feed *f, const struct mq_rec *r)
{
	struct mq_to *to = c->to;

	(void)f;
	if (r->key)
		return mq_partition_of_key(r->key, r->key_len, to->facts.partitions);
	to->robin_bytes += r->payload_len;
	to->robin_records++;
	return to->robin;
}

/* So many of few records, that every partition gets some. */
static uint64_t unit_records(const struct mq_consume *c, const struct mq_feed *f)
{
	uint64_t there = f->end == UINT64_MAX || f->end < f->next ? UINT64_MAX : f->end - f->next;
	uint64_t n = there == UINT64_MAX ? there : there / c->to->facts.partitions / UNITS;

	return n < UNIT_RECORDS_MIN ? UNIT_RECORDS_MIN : n;
}

void mq_to_turn(struct mq_consume *c, const struct mq_feed *f)
{
	struct mq_to *to = c->to;

	if (to->robin_bytes < UNIT_BYTES && to->robin_records < unit_records(c, f))
		return;
	to->robin_bytes = to->robin_records = 0;
	to->robin = (to->robin + 1) % to->facts.partitions;
}

int mq_to_pass(struct mq_consume *c, struct mq_feed *f)
{
	f->given = f->done = f->next;
	return mq_move_is_pending(f) ? 0 : mq_group_commit_feed(c, f);
}

/* As many as the count and the pace let go: 0: none now. */
static bool is_let(struct mq_consume *c)
{
	if (!c->allowed)
		c->allowed = mq_consume_allow(c, c->pace.per_second > 0 ? 1 : UINT64_MAX);
	if (c->allowed > c->left_count)
		c->allowed = c->left_count;
	return c->allowed > 0;
}

static int move(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r)
{
	int rc = mq_to_fits(c, f, r->offset, r);

	if (rc == 0)
		rc = mq_move_copy(c, f, c->req->to, mq_to_choose(c, f, r), r);
	if (rc < 0) {
		f->next = r->offset; /* what lies before it goes, and this stays */
		return rc;
	}
	mq_to_turn(c, f);
	c->allowed--;
	c->left_count--;
	c->report.records++;
	c->report.bytes += r->payload_len;
	return 0;
}

/* They are looked at from `max` to `max` bytes. */
bool mq_to_is_too_long(const char *p, size_t len, size_t max)
{
	while (len > max + 1) {
		const char *end = memrchr(p, '\n', max + 1);
		if (!end)
			return true;
		len -= (size_t)(end + 1 - p);
		p = end + 1;
	}
	return false;
}

struct mq_transfer_lines mq_to_lines(const struct mq_feed *f, const char *p, size_t len, uint64_t n)
{
	const struct mq_batch *b = &f->view.batch;

	return (struct mq_transfer_lines){.lines = p,
	                                  .len = (uint32_t)len,
	                                  .count = (uint32_t)n,
	                                  .time_us = b->base_time_us,
	                                  .end = f->next,
	                                  .verified = b->zip == MQ_BATCH_PLAIN && len == b->raw_len,
	                                  .crc = b->body_crc};
}

/* Plain lines as they lie in the view: 1: some went.  0: none may now.  -ENOTSUP: one by one. */
static int move_lines(struct mq_consume *c, struct mq_feed *f)
{
	const struct mq_batch *b = &f->view.batch;
	uint64_t first = f->next, n = (b->next_offset < f->end ? b->next_offset : f->end) - first;
	struct mq_to *to = c->to;
	const char *p;
	size_t len;

	if (b->kind != MQ_BATCH_LINES || c->filter.any || f->ttl_us || f->walking || c->allowed)
		return -ENOTSUP;
	int rc = mq_to_need(c);
	if (rc < 0)
		return rc;
	if (to->facts.partitions > 1 && n > unit_records(c, f))
		n = unit_records(c, f);
	n = mq_consume_allow(c, n);
	if (n == 0)
		return 0;
	rc = mq_feed_lines(c, f, n, &p, &len, &n);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOTSUP;
	struct mq_transfer_lines l = mq_to_lines(f, p, len, n);
	rc = mq_to_is_too_long(p, len, to->facts.max_message_bytes) ? 1 : mq_move_lines(c, f, c->req->to, to->robin, &l, first);
	if (rc != 0)
		mq_feed_turn(f, first);
	if (rc > 0)
		c->allowed = n; /* the pace has let them go */
	if (rc != 0)
		return rc < 0 ? rc : -ENOTSUP;
	to->robin_bytes += len;
	to->robin_records += n;
	mq_to_turn(c, f);
	c->left_count -= n;
	c->report.records += n;
	c->report.bytes += len - n;
	return 1;
}

static int move_records(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t before = c->report.bytes;
	struct mq_rec r;
	int rc = 0;

	while (rc == 0 && c->report.bytes - before < SLICE_BYTES && is_let(c)) {
		rc = mq_feed_record(c, f, &r);
		if (rc <= 0)
			break;
		rc = mq_to_need(c);
		if (rc < 0)
			f->next = r.offset;
		if (rc == 0)
			rc = move(c, f, &r);
	}
	if (c->pace.per_second <= 0)
		c->allowed = 0;
	return rc;
}

int mq_to_view(struct mq_consume *c, struct mq_feed *f)
{
	int rc = move_lines(c, f);

	if (rc == -ENOTSUP)
		rc = move_records(c, f);
	struct mq_err why = *c->err;
	int passed = mq_to_pass(c, f);
	if (passed == 0 && rc >= 0 && mq_move_is_first(f))
		passed = mq_move_flush(c, f);
	if (rc < 0)
		*c->err = why;
	return rc < 0 ? rc : passed < 0 ? passed : c->pace_until_ns ? 0 : 1;
}
