/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a record goes, and what is gathered until it goes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/murmur2.h"
#include "ops/publish.h"
#include "sys/sys.h"

enum {
	BUILDER_BYTES = 256 << 10, /* a builder is sent when it holds so much */
	FULL_BYTES = 2 << 20,      /* all are sent when together they hold so much */
	APPENDER_FDS = 8,          /* descriptors of a partition held open, at most */
	KEEP_MAX = 16,             /* topics with more partitions give a builder's memory back each time */
};

/* --- partitions ----------------------------------------------------------------------------- */

static void close_out(struct mq_handle *h)
{
	struct mq_out *out = MQ_HANDLE_OF(h, struct mq_out, handle);

	if (out->appender)
		out->appender->engine->appender_close(out->appender);
	out->appender = NULL;
}

int mq_publish_find_out(struct mq_publish *pub, uint32_t p, struct mq_out **ret)
{
	struct mq_out *out = pub->outs[p];
	if (!out) {
		out = pub->outs[p] = calloc(1, sizeof *out);
		if (!out)
			return mq_publish_no_memory(pub);
		out->partition = p;
		mq_records_init(&out->records);
		mq_handles_add(&pub->handles, &out->handle, APPENDER_FDS, close_out);
	}
	*ret = out;
	return 0;
}

int mq_publish_out(struct mq_publish *pub, uint32_t p, struct mq_out **ret)
{
	struct mq_out *out;
	int rc = mq_publish_find_out(pub, p, &out);
	if (rc < 0)
		return rc;
	*ret = out;
	/* What was sent to others can only be waited for while they are open. */
	rc = mq_handles_takes(&pub->handles, &out->handle) ? mq_publish_settle(pub) : 0;
	if (rc < 0)
		return rc;
	mq_handles_use(&pub->handles, &out->handle);
	if (!out->appender)
		rc = pub->engine->appender_open(pub->mq->store, pub->into, p, &out->appender, pub->err);
	return rc == 0 && pub->req->producer ? mq_publish_find(pub, out) : rc;
}

uint32_t mq_publish_choose(const struct mq_publish *pub, const struct mq_rec *r, uint32_t partitions)
{
	const struct mq_publish_request *req = pub->req;

	if (req->partition >= 0)
		return (uint32_t)req->partition;
	if (partitions == 1)
		return 0;
	if (r && r->key)
		return mq_partition_of_key(r->key, r->key_len, partitions);
	if (req->producer)
		return mq_partition_of_key(req->producer, strlen(req->producer), partitions);
	return pub->robin;
}

static void next_robin(struct mq_publish *pub)
{
	pub->robin = (pub->robin + 1) % pub->facts.partitions;
}

/* --- builders ------------------------------------------------------------------------------- */

int mq_publish_send_builder(struct mq_publish *pub, struct mq_out *out)
{
	enum mq_batch_kind kind;
	const uint8_t *body;
	uint32_t len, count = out->records.count;
	int64_t now_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	int64_t max_us = out->timed < count && out->records.max_time_us < now_us ? now_us : out->records.max_time_us;
	uint64_t bytes = out->records.body_bytes;
	int rc = mq_records_finish(&out->records, now_us, 0, out->last_sequence, &kind, &body, &len);

	if (rc < 0)
		return mq_err_set(pub->err, rc, "%s:%u: a batch of %u records cannot be built", pub->req->topic, out->partition,
		                  count);
	struct mq_load load = {kind, body, len, count, now_us, max_us, out->last_sequence};
	rc = mq_publish_looks_for_ids(pub, out, kind) ? mq_publish_send_new(pub, out, &load) : mq_publish_send(pub, out, &load);
	if (rc == -ESTALE)
		return mq_publish_reroute(pub, out);
	if (pub->facts.partitions > KEEP_MAX || bytes > FULL_BYTES)
		mq_records_release(&out->records);
	mq_records_clear(&out->records);
	mq_buf_clear(&out->ordinals);
	out->timed = 0;
	pub->full_bytes -= bytes;
	return rc;
}

int mq_publish_flush(struct mq_publish *pub)
{
	int rc = 0;
	while (pub->full && rc == 0) {
		struct mq_out *out = pub->full, *opened;
		pub->full = out->next_full;
		out->full = false;
		if (!out->records.count)
			continue; /* it was sent when it had reached its size */
		rc = mq_publish_out(pub, out->partition, &opened); /* it may have been closed meanwhile */
		if (rc == 0)
			rc = mq_publish_send_builder(pub, out);
		if (out->partition == pub->robin)
			next_robin(pub);
	}
	return rc;
}

int mq_publish_gather(struct mq_publish *pub, struct mq_out *out, const struct mq_rec *r, uint64_t ordinal, uint64_t sequence)
{
	struct mq_records *b = &out->records;
	struct mq_rec numbered = *r;
	uint64_t before = b->count ? b->body_bytes : 0;

	if (pub->req->producer && b->count == 0)
		b->columns |= MQ_COL_SEQUENCES;
	numbered.sequence = sequence;
	if (mq_buf_reserve(&out->ordinals, sizeof ordinal) < 0)
		return mq_publish_no_memory(pub);
	int rc = mq_records_add(b, pub->req->producer ? &numbered : r);
	if (rc == MQ_EINPUT && b->count)
		return 1;
	if (rc < 0)
		return rc == MQ_EINPUT ? mq_publish_too_large(pub, NULL) : mq_publish_no_memory(pub);
	mq_buf_add(&out->ordinals, &ordinal, sizeof ordinal);
	out->timed += r->time_us != 0;
	out->last_sequence = sequence;
	pub->full_bytes += b->body_bytes - before;
	if (!out->full) {
		out->full = true;
		out->next_full = pub->full;
		pub->full = out;
	}
	return 0;
}

/* --- records -------------------------------------------------------------------------------- */

/* Wait until the pace lets some of n go; nothing gathered lies about meanwhile. */
static int pace(struct mq_publish *pub, uint64_t n, uint64_t *ret)
{
	int64_t until_ns = 0;
	int rc = 0;

	while (rc == 0) {
		*ret = mq_pace_take(&pub->pace, n, mq_sys->clock_ns(MQ_CLOCK_MONOTONIC), &until_ns);
		if (*ret)
			return 0;
		rc = mq_publish_flush(pub);
		if (rc == 0)
			rc = mq_publish_settle(pub);
		if (rc == 0)
			rc = mq_publish_sleep(pub, until_ns);
	}
	return rc;
}

static int count_only(struct mq_publish *pub, uint64_t records, uint64_t bytes)
{
	pub->report.records += records;
	pub->report.bytes += bytes;
	pub->routed += records;
	return 0;
}

/* It may be another one each time: to make room is to send, and then it may show that the topic has grown. */
static int choose_out(struct mq_publish *pub, const struct mq_rec *r, struct mq_out **ret)
{
	uint32_t p = mq_publish_choose(pub, r, pub->facts.partitions);

	*ret = pub->outs[p];
	return !*ret || !(*ret)->appender || pub->req->producer ? mq_publish_out(pub, p, ret) : 0;
}

static int take_record(struct mq_publish *pub, const struct mq_rec *r)
{
	struct mq_out *out;
	int rc;

	do {
		rc = choose_out(pub, r, &out);
		if (rc == 0)
			rc = mq_publish_gather(pub, out, r, pub->routed, pub->sequence);
		if (rc == 1 && (rc = mq_publish_send_builder(pub, out)) == 0)
			rc = 1;
	} while (rc == 1);
	if (rc == 0)
		rc = mq_publish_note_run(pub, out, 1);
	if (rc < 0)
		return rc;
	if (out->records.body_bytes >= BUILDER_BYTES) {
		if (out->partition == pub->robin)
			next_robin(pub);
		return mq_publish_send_builder(pub, out);
	}
	return pub->full_bytes >= FULL_BYTES ? mq_publish_flush(pub) : 0;
}

int mq_publish_record(struct mq_publish *pub, const struct mq_rec *r)
{
	uint64_t paced;
	int rc = pub->req->rate > 0 ? pace(pub, 1, &paced) : 0;

	if (rc == 0 && !pub->topic_there)
		rc = mq_publish_topic(pub);
	if (rc < 0)
		return rc;
	if (pub->req->dry_run)
		return count_only(pub, 1, r->payload_len);
	if (pub->req->producer) {
		pub->sequence++;
		rc = mq_publish_is_held(pub, r);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	return take_record(pub, r);
}

/* --- plain lines ---------------------------------------------------------------------------- */

static int send_lines(struct mq_publish *pub, struct mq_out *out, const char *lines, size_t len, size_t count)
{
	int64_t now_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	int rc = mq_publish_note_run(pub, out, count);
	pub->record_no += count;
	pub->sequence += count;
	struct mq_load load = {MQ_BATCH_LINES, lines, (uint32_t)len, (uint32_t)count, now_us, now_us, pub->sequence};
	return rc == 0 ? mq_publish_send(pub, out, &load) : rc;
}

/* Lines of a named producer that it has published already; what is left of them comes back. */
static int pass_held(struct mq_publish *pub, const char **lines, size_t *len, size_t *count)
{
	uint64_t held_to;
	int rc = mq_publish_held_to(pub, &held_to);

	while (rc == 0 && *count && pub->sequence < held_to) {
		const char *end = memchr(*lines, '\n', *len);
		struct mq_rec r = {.payload = *lines, .payload_len = (uint32_t)(end - *lines)};
		pub->record_no++;
		pub->sequence++;
		rc = mq_publish_is_held(pub, &r);
		if (rc < 0)
			return rc;
		rc = 0;
		*len -= (size_t)(end + 1 - *lines);
		*lines = end + 1;
		--*count;
	}
	return rc;
}

/* The topic has grown: what was not stored of them is not routed yet. */
static int take_back(struct mq_publish *pub, const char **lines, size_t *len, size_t *count)
{
	size_t stored = mq_lines_skip(*lines, *len, pub->part_sent);

	*lines += stored;
	*len -= stored;
	*count -= pub->part_sent;
	pub->record_no -= *count;
	pub->sequence -= *count;
	mq_publish_unnote_run(pub, *count);
	return mq_publish_reroute(pub, NULL);
}

static int route_lines(struct mq_publish *pub, const char *lines, size_t len, size_t count)
{
	struct mq_out *out;
	uint32_t p;
	int rc;

	do {
		p = mq_publish_choose(pub, NULL, pub->facts.partitions);
		rc = mq_publish_out(pub, p, &out);
		if (rc == 0 && pub->req->producer)
			rc = pass_held(pub, &lines, &len, &count);
		if (rc == 0 && count)
			rc = send_lines(pub, out, lines, len, count);
		if (rc == -ESTALE && (rc = take_back(pub, &lines, &len, &count)) == 0)
			rc = 1;
	} while (rc == 1);
	if (p == pub->robin)
		next_robin(pub);
	return rc;
}

int mq_publish_plain_lines(struct mq_publish *pub, const char *lines, size_t len, size_t count)
{
	int rc = mq_publish_topic(pub);
	while (count && rc == 0) {
		uint64_t n = count;
		size_t bytes = len;
		if (pub->req->rate > 0)
			rc = pace(pub, count, &n);
		if (rc < 0)
			return rc;
		if (n < count)
			bytes = mq_lines_skip(lines, len, n);
		pub->record_no += pub->req->dry_run ? n : 0;
		rc = pub->req->dry_run ? count_only(pub, n, bytes - n) : route_lines(pub, lines, bytes, n);
		lines += bytes;
		len -= bytes;
		count -= n;
	}
	return rc;
}

/* --- between reads -------------------------------------------------------------------------- */

void mq_publish_set_expiry(struct mq_publish *pub)
{
	int64_t from_ns = mq_sys->clock_ns(MQ_CLOCK_REAL);

	if (pub->req->delay_ns > 0)
		pub->common.due_us = (from_ns += pub->req->delay_ns) / 1000;
	else if (pub->req->due_us > 0)
		from_ns = (pub->common.due_us = pub->req->due_us) * 1000;
	if (pub->req->ttl_ns > 0)
		pub->common.expiry_us = (from_ns + pub->req->ttl_ns) / 1000;
}

/* 1: there is something to read, or the end; 0: a read would stand still.  wait: until it is otherwise. */
static int ready(struct mq_publish *pub, const struct mq_input *in, bool wait)
{
	struct pollfd fds[] = {{.fd = in->fd, .events = POLLIN}, {.fd = wait ? mq_stop_fd(pub->mq) : -1, .events = POLLIN}};
	if (mq_stopping(pub->mq))
		return mq_err_set(pub->err, -EINTR, "stopped before the end of %s; what was read before is stored", in->name);
	int rc = mq_sys->poll(fds, wait ? 2 : 1, wait ? -1 : 0);
	if (rc == -EINTR)
		return 0;
	if (rc < 0)
		return mq_err_sys(pub->err, rc, "cannot wait for %s", in->name);
	/* An end without bytes before it is no reason to hurry: it shows by the read. */
	return wait ? fds[0].revents != 0 : (fds[0].revents & POLLIN) != 0;
}

int mq_publish_before_read(void *arg, struct mq_input *in)
{
	struct mq_publish *pub = arg;
	bool pending = pub->full || pub->dirty || pub->syncer.busy;
	int rc = 1;

	if (in->regular) {
		/* After a short read the next one finds the end: no thread is worth starting. */
		rc = pending && in->filled ? mq_publish_hand_over(pub) : 0;
		if (rc == 0 && mq_stopping(pub->mq))
			rc = ready(pub, in, false);
		return rc < 0 ? rc : 0;
	}
	rc = pending ? ready(pub, in, false) : 0;
	if (rc > 0)
		rc = mq_publish_hand_over(pub);
	else if (rc == 0 && pending && (rc = mq_publish_flush(pub)) == 0)
		rc = mq_publish_settle(pub);
	else
		rc = rc < 0 ? rc : 0;
	if (rc < 0)
		return rc;
	while ((rc = ready(pub, in, true)) == 0)
		;
	mq_publish_set_expiry(pub);
	return rc < 0 ? rc : 0;
}
