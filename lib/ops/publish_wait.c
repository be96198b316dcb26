/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was sent and is not yet as safe as asked.
 *
 * While input is ready a thread waits for the disk, so that the next batch is written while the last one
 * syncs; when it is not, there is nothing better to do than to wait right here.  A ticket is awaited for each
 * segment that a partition wrote to: that a later segment is safe says nothing of one that was closed after a
 * failed sync.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops/publish.h"

/* --- the list of a partition ---------------------------------------------------------------- */

static int room_for_sent(struct mq_publish *pub, struct mq_out *out)
{
	if (out->sent_at == out->sent_n)
		out->sent_at = out->sent_n = 0;
	if (out->sent_n < out->sent_cap)
		return 0;
	if (out->sent_at > out->sent_cap / 2) {
		memmove(out->sent, out->sent + out->sent_at, (out->sent_n - out->sent_at) * sizeof *out->sent);
		out->sent_n -= out->sent_at;
		out->sent_at = 0;
		return 0;
	}
	size_t cap = out->sent_cap ? 2 * out->sent_cap : 4;
	struct mq_sent *p = realloc(out->sent, cap * sizeof *p);
	if (!p)
		return mq_publish_no_memory(pub);
	out->sent = p;
	out->sent_cap = cap;
	return 0;
}

/* One wait for both: it lies behind the last one, in the same segment, and nobody waits for that yet. */
static bool joins(const struct mq_out *out, const struct mq_ticket *t, bool skipped, bool done)
{
	const struct mq_sent *last = out->sent_at < out->sent_n ? &out->sent[out->sent_n - 1] : NULL;
	return last && !last->handed && last->done == done && last->skipped == skipped &&
	       (skipped || (last->offset + last->count == t->base_offset && memcmp(last->ticket.segment, t->segment, 16) == 0));
}

/* Without confirmations nobody else takes them off. */
static void drop_done(struct mq_out *out)
{
	while (out->sent_at < out->sent_n && out->sent[out->sent_at].done)
		out->sent_at++;
}

static int add(struct mq_publish *pub, struct mq_out *out, const struct mq_sent *s)
{
	int rc = room_for_sent(pub, out);

	if (rc == 0)
		out->sent[out->sent_n++] = *s;
	return rc;
}

static void added(struct mq_publish *pub, struct mq_out *out, bool done)
{
	if (!done && !out->dirty) {
		out->dirty = true;
		out->next_dirty = pub->dirty;
		pub->dirty = out;
	}
	if (done && pub->req->confirm)
		mq_publish_confirm(pub);
	else if (done)
		drop_done(out);
}

int mq_publish_sent(struct mq_publish *pub, struct mq_out *out, const struct mq_ticket *t, uint64_t count, bool skipped)
{
	bool done = t->durable_already;
	int rc = 0;

	if (joins(out, t, skipped, done)) {
		struct mq_sent *last = &out->sent[out->sent_n - 1];
		last->ticket = *t;
		last->count += count;
	} else {
		rc = add(pub, out, &(struct mq_sent){
		    .ticket = *t, .offset = skipped ? 0 : t->base_offset, .count = count, .skipped = skipped, .done = done});
	}
	if (rc == 0)
		added(pub, out, done);
	return rc;
}

int mq_publish_sent_before(struct mq_publish *pub, struct mq_out *out, const struct mq_ticket *t, uint32_t partition, uint64_t offset)
{
	struct mq_sent s = {.offset = offset, .count = 1, .partition = partition, .skipped = true, .placed = true, .done = !t || t->durable_already};
	int rc;

	if (t)
		s.ticket = *t;
	rc = add(pub, out, &s);
	if (rc == 0)
		added(pub, out, s.done);
	return rc;
}

/* --- the list of what to wait for ----------------------------------------------------------- */

static int list_all(struct mq_publish *pub)
{
	int rc = 0;
	pub->syncer.n = 0;
	while (pub->dirty && rc == 0) {
		struct mq_out *out = pub->dirty;
		for (size_t i = out->sent_at; i < out->sent_n && rc == 0; i++) {
			struct mq_sent *sent = &out->sent[i];
			if (sent->handed || sent->done)
				continue;
			rc = mq_syncer_add(&pub->syncer, out->appender, &sent->ticket, out);
			sent->handed = rc == 0;
		}
		pub->dirty = out->next_dirty;
		out->dirty = false;
	}
	return rc < 0 ? mq_publish_no_memory(pub) : 0;
}

/* Mark what the list found safe, and confirm. */
static void take_results(struct mq_publish *pub)
{
	struct mq_syncer *s = &pub->syncer;
	for (size_t i = 0; i < s->n; i++) {
		struct mq_out *out = s->list[i].arg;
		for (size_t j = out->sent_at; j < out->sent_n && s->list[i].rc == 0; j++)
			if (out->sent[j].handed && !out->sent[j].done) {
				out->sent[j].done = true; /* lists keep the order of sent */
				break;
			}
		if (!pub->req->confirm)
			drop_done(out);
	}
	s->n = 0;
	mq_publish_confirm(pub);
}

/* What the thread found, if it is done or `wait`; a failure of it. */
static int fetch(struct mq_publish *pub, bool wait)
{
	struct mq_syncer *s = &pub->syncer;
	int rc = 0;

	if (!mq_syncer_fetch(s, wait))
		return 0;
	if (s->n && s->list[s->n - 1].rc < 0) {
		rc = s->list[s->n - 1].rc;
		*pub->err = s->err;
		pub->sending_failed = true;
	}
	take_results(pub);
	return rc;
}

static int wait_here(struct mq_publish *pub)
{
	int rc = mq_syncer_run(&pub->syncer, pub->engine, pub->ack, pub->err);

	if (rc < 0)
		pub->sending_failed = true;
	take_results(pub);
	return rc;
}

int mq_publish_hand_over(struct mq_publish *pub)
{
	int rc = fetch(pub, false);

	if (rc < 0 || pub->syncer.busy || !pub->dirty)
		return rc;
	rc = list_all(pub);
	if (rc == 0 && mq_syncer_start(&pub->syncer, pub->engine, pub->ack) < 0)
		rc = wait_here(pub); /* no thread to be had: slower, and as safe */
	return rc;
}

int mq_publish_settle(struct mq_publish *pub)
{
	int rc = fetch(pub, true);

	if (rc < 0 || !pub->dirty)
		return rc;
	rc = list_all(pub);
	return rc < 0 ? rc : wait_here(pub);
}

void mq_publish_wait_end(struct mq_publish *pub)
{
	mq_syncer_release(&pub->syncer);
}
