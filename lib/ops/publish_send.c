/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One batch: sealed, appended, and again when space is there. */
#include <errno.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "ops/ops.h"
#include "ops/publish.h"
#include "sys/sys.h"

/* So often a publisher that waits for space looks whether it is to stop. */
static const int64_t LOOK_NS = 500000000;
/* So long it waits before it says so. */
static const int64_t TELL_NS = 1000000000;

int mq_publish_sleep(struct mq_publish *pub, int64_t until_ns)
{
	for (;;) {
		struct pollfd stop = {.fd = mq_stop_fd(pub->mq), .events = POLLIN};
		int64_t now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
		if (mq_stopping(pub->mq))
			return mq_err_set(pub->err, -EINTR, "stopped before the end of the input; what was read before is stored");
		if (now_ns >= until_ns)
			return 0;
		int rc = mq_sys->poll(&stop, 1, until_ns - now_ns);
		if (rc < 0 && rc != -EINTR)
			return mq_err_sys(pub->err, rc, "cannot wait");
	}
}

/* Why there is none is told by who found that out. */
static void tell_wait(struct mq_publish *pub, struct mq_space_wait *w, const char *why)
{
	char bound[64] = " (--timeout bounds the wait)";

	if (w->told || mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) - w->since_ns < TELL_NS)
		return;
	if (w->deadline_ns >= 0)
		snprintf(bound, sizeof bound, ", %g s at most (--timeout)", (double)(w->deadline_ns - w->since_ns) / 1e9);
	mq_ops_notice(pub->mq, 0, "%s; waiting for space%s", why, bound);
	w->told = true;
}

void mq_publish_space_came(struct mq_publish *pub, const struct mq_out *out, const struct mq_space_wait *w)
{
	if (w->told)
		mq_ops_notice(pub->mq, 1, "%s:%u: there is space again after %.1f s", pub->req->topic, out->partition,
		              (double)(mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) - w->since_ns) / 1e9);
}

/* 0: try again. */
static int wait_for_space(struct mq_publish *pub, struct mq_out *out, struct mq_space_wait *w, const char *why)
{
	for (;;) {
		int64_t now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC), until_ns = now_ns + LOOK_NS;
		bool last = w->deadline_ns >= 0 && w->deadline_ns <= until_ns;
		if (mq_stopping(pub->mq))
			return mq_err_set(pub->err, -EINTR, "%s:%u: stopped while waiting for space", pub->req->topic, out->partition);
		tell_wait(pub, w, why);
		int rc = pub->engine->wait_space(out->appender, last ? w->deadline_ns : until_ns, pub->err);
		if (rc == MQ_EAGAIN && last)
			return mq_err_set(pub->err, rc, "%s; no space came in time (--timeout)", why);
		if (rc != MQ_EAGAIN && rc != -EINTR)
			return rc;
	}
}

/* The topic may have been told meanwhile to do something else than to make us wait. */
static void follow_conf(struct mq_publish *pub)
{
	struct mq_topic_facts now;
	struct mq_err ignored; /* what is the matter shows by the next append */

	if (pub->engine->topic_facts(pub->mq->store, pub->req->topic, &now, &ignored) == 0)
		pub->facts.when_full = now.when_full;
}

/* What lies before is confirmed while this waits. */
int mq_publish_await_space(struct mq_publish *pub, struct mq_out *out, int rc, struct mq_space_wait *w)
{
	int64_t timeout_ns = pub->req->timeout_ns;
	struct mq_err why = *pub->err;

	if (pub->facts.when_full == MQ_FULL_FAIL)
		return rc;
	if (w->since_ns == 0) {
		w->since_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
		w->deadline_ns = timeout_ns < 0 ? -1 : w->since_ns + timeout_ns;
	}
	rc = mq_publish_settle(pub);
	if (rc == 0)
		rc = wait_for_space(pub, out, w, why.text);
	if (rc == 0) {
		*pub->err = (struct mq_err){0}; /* that it was full */
		follow_conf(pub);
	}
	return rc;
}

static int append(struct mq_publish *pub, struct mq_out *out, const struct mq_batch *b, const void *body,
                  struct mq_ticket *ret)
{
	struct mq_space_wait wait = {0};
	int rc;
	while (mq_ops_is_full(rc = pub->engine->append(out->appender, b, body, ret, pub->err))) {
		if (pub->dedupe.locked)
			return rc; /* it is let go first */
		rc = mq_publish_await_space(pub, out, rc, &wait);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		mq_publish_space_came(pub, out, &wait);
	if (rc == -EEXIST)
		rc = mq_err_set(pub->err, MQ_EBROKEN, "%s:%u: somebody else published as %s meanwhile", pub->req->topic,
		                out->partition, pub->req->producer);
	if (rc < 0 && rc != -ESTALE)
		pub->sending_failed = true;
	return rc;
}

/* Compressed where the topic says so and it helps. */
static const void *zip(struct mq_publish *pub, struct mq_batch *b, const void *body)
{
	if (pub->facts.zip != MQ_BATCH_ZSTD || mq_zip_pack(&pub->zip, body, b->raw_len, &pub->zipped) < 0 ||
	    pub->zipped.len >= b->raw_len)
		return body;
	b->zip = MQ_BATCH_ZSTD;
	b->stored_len = (uint32_t)pub->zipped.len;
	return pub->zipped.p;
}

int mq_publish_send_batch(struct mq_publish *pub, struct mq_out *out, const struct mq_load *l)
{
	struct mq_ticket ticket;
	struct mq_batch b = {
	    .kind = l->kind,
	    .ack = pub->ack,
	    .stored_len = l->len,
	    .raw_len = l->len,
	    .count = l->count,
	    .topic_generation = pub->facts.generation,
	    .base_time_us = l->base_us,
	    .max_time_us = l->max_us,
	};
	if (out->who.kind == MQ_WHO_PRODUCER) {
		b.who = out->who;
		b.who.number = l->last_sequence;
	}
	const void *body = zip(pub, &b, l->body);
	b.body_crc = mq_crc32c(0, body, b.stored_len);
	int rc = append(pub, out, &b, body, &ticket);
	if (rc < 0)
		return rc;
	out->who.number = l->last_sequence;
	out->who.source_start = ticket.base_offset;
	pub->report.batches++;
	pub->report.records += l->count;
	pub->report.bytes += l->len;
	return pub->dedupe.locked ? mq_publish_note_part(pub, &ticket, l->count) : mq_publish_sent(pub, out, &ticket, l->count, false);
}

int mq_publish_send(struct mq_publish *pub, struct mq_out *out, const struct mq_load *l)
{
	int rc = mq_publish_send_batch(pub, out, l);
	pub->part_sent = 0;
	return rc == -E2BIG ? mq_publish_send_parts(pub, out, l) : rc;
}
