/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telling, in input order, what is safe. */
#include <stdlib.h>
#include <string.h>

#include "ops/publish.h"

int mq_publish_note_run(struct mq_publish *pub, struct mq_out *out, uint64_t count)
{
	pub->routed += count;
	if (!pub->req->confirm)
		return 0;
	if (pub->runs_at < pub->runs_n && pub->runs[pub->runs_n - 1].out == out) {
		pub->runs[pub->runs_n - 1].count += count;
		return 0;
	}
	if (pub->runs_at == pub->runs_n)
		pub->runs_at = pub->runs_n = 0;
	if (pub->runs_n == pub->runs_cap && pub->runs_at > pub->runs_cap / 2) {
		memmove(pub->runs, pub->runs + pub->runs_at, (pub->runs_n - pub->runs_at) * sizeof *pub->runs);
		pub->runs_n -= pub->runs_at;
		pub->runs_at = 0;
	}
	if (pub->runs_n == pub->runs_cap) {
		size_t cap = pub->runs_cap ? 2 * pub->runs_cap : 16;
		struct mq_run *p = realloc(pub->runs, cap * sizeof *p);
		if (!p)
			return mq_publish_no_memory(pub);
		pub->runs = p;
		pub->runs_cap = cap;
	}
	pub->runs[pub->runs_n++] = (struct mq_run){out, count};
	return 0;
}

void mq_publish_unnote_run(struct mq_publish *pub, uint64_t n)
{
	pub->routed -= n;
	if (!pub->req->confirm || !n)
		return;
	pub->runs[pub->runs_n - 1].count -= n;
	pub->runs_n -= pub->runs[pub->runs_n - 1].count == 0;
}

/* Runs that are not told yet are built anew. */
int mq_publish_move_runs(struct mq_publish *pub, const struct mq_moved *moved, size_t n)
{
	struct mq_run *old = pub->runs;
	size_t at = pub->runs_at, end = pub->runs_n;
	uint64_t ordinal = pub->routed, all = 0;
	int rc = 0;

	if (!pub->req->confirm)
		return 0;
	for (size_t i = at; i < end; i++)
		all += old[i].count;
	ordinal -= all;
	pub->runs = NULL;
	pub->runs_at = pub->runs_n = pub->runs_cap = 0;
	pub->routed = ordinal;
	for (size_t k = 0; rc == 0 && at < end; at++)
		for (uint64_t left = old[at].count; left && rc == 0;) {
			bool moves = k < n && moved[k].ordinal == ordinal;
			uint64_t step = moves ? 1 : k < n && moved[k].ordinal - ordinal < left ? moved[k].ordinal - ordinal : left;
			rc = mq_publish_note_run(pub, moves ? moved[k].out : old[at].out, step);
			k += moves;
			left -= step;
			ordinal += step;
		}
	free(old);
	return rc;
}

/* The next records that are safe, taken off; count 0: none. */
static struct mq_confirmation next_safe(struct mq_publish *pub)
{
	struct mq_confirmation c = {.topic = pub->into};
	if (pub->runs_at == pub->runs_n)
		return c;
	struct mq_run *run = &pub->runs[pub->runs_at];
	struct mq_out *out = run->out;
	struct mq_sent *sent = out->sent_at < out->sent_n ? &out->sent[out->sent_at] : NULL;
	if (!sent || !sent->done)
		return c;
	c.partition = sent->placed ? sent->partition : out->partition;
	c.skipped = sent->skipped;
	c.placed = sent->placed;
	c.offset = sent->offset;
	c.count = run->count < sent->count ? run->count : sent->count;
	sent->offset += sent->skipped ? 0 : c.count;
	sent->count -= c.count;
	run->count -= c.count;
	out->sent_at += sent->count == 0;
	pub->runs_at += run->count == 0;
	return c;
}

void mq_publish_confirm(struct mq_publish *pub)
{
	if (!pub->req->confirm)
		return;
	struct mq_confirmation now = next_safe(pub);
	while (now.count) {
		struct mq_confirmation next = next_safe(pub);
		now.more = next.count > 0;
		pub->req->confirm(pub->req->confirm_arg, &now);
		now = next;
	}
}

void mq_publish_confirm_rest(struct mq_publish *pub, uint64_t more)
{
	if (!pub->req->confirm)
		return;
	for (size_t i = pub->runs_at; i < pub->runs_n; i++) {
		struct mq_confirmation c = {
		    .topic = pub->into,
		    .partition = pub->runs[i].out->partition,
		    .count = pub->runs[i].count,
		    .more = more || i + 1 < pub->runs_n,
		    .why = pub->err->text,
		};
		pub->req->confirm(pub->req->confirm_arg, &c);
	}
	pub->runs_at = pub->runs_n;
	if (more) {
		struct mq_confirmation c = {.topic = pub->into, .count = more, .why = pub->err->text};
		pub->req->confirm(pub->req->confirm_arg, &c);
	}
}
