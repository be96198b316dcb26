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

int mq_publish_out(struct mq_publish *pub, uint32_t p, struct mq_out **ret)
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
	/* What was sent to others can only be waited for while they are open. */
	int rc = mq_handles_takes(&pub->handles, &out->handle) ? mq_publish_settle(pub) : 0;
	if (rc < 0)
		return rc;
	mq_handles_use(&pub->handles, &out->handle);
	if (out->appender)
		return 0;
	rc = pub->engine->appender_open(pub->mq->store, pub->req->topic, p, &out->appender, pub->err);
	if (rc < 0)
		return rc;
	return pub->req->producer ? mq_publish_find(pub, out) : 0;
}

static uint32_t choose(const struct mq_publish *pub, const struct mq_rec *r)
{
	const struct mq_publish_request *req = pub->req;

	if (req->partition >= 0)
		return (uint32_t)req->partition;
	if (pub->facts.partitions == 1)
		return 0;
	if (r && r->key)
		return mq_partition_of_key(r->key, r->key_len, pub->facts.partitions);
	if (req->producer)
		return mq_partition_of_key(req->producer, strlen(req->producer), pub->facts.partitions);
	return pub->robin;
}

static void next_robin(struct mq_publish *pub)
{
	pub->robin = (pub->robin + 1) % pub->facts.partitions;
}

/* --- builders ------------------------------------------------------------------------------- */

static int send_builder(struct mq_publish *pub, struct mq_out *out)
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
	rc = mq_publish_send(pub, out, &load);
	if (pub->facts.partitions > KEEP_MAX || bytes > FULL_BYTES)
		mq_records_release(&out->records);
	mq_records_clear(&out->records);
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
			rc = send_builder(pub, out);
		if (out->partition == pub->robin)
			next_robin(pub);
	}
	return rc;
}

static int gather(struct mq_publish *pub, struct mq_out *out, const struct mq_rec *r)
{
	struct mq_records *b = &out->records;
	struct mq_rec numbered = *r;
	uint64_t before = b->count ? b->body_bytes : 0;
	int rc;

	if (pub->req->producer && b->count == 0)
		b->columns |= MQ_COL_SEQUENCES;
	numbered.sequence = pub->sequence;
	rc = mq_records_add(b, pub->req->producer ? &numbered : r);
	if (rc == MQ_EINPUT && b->count) { /* no room beside the others */
		rc = send_builder(pub, out);
		if (rc == 0)
			return gather(pub, out, r);
	} else if (rc < 0) {
		return rc == MQ_EINPUT ? mq_publish_too_large(pub, NULL) : mq_publish_no_memory(pub);
	}
	out->timed += r->time_us != 0;
	out->last_sequence = pub->sequence;
	pub->full_bytes += b->body_bytes - before;
	if (!out->full) {
		out->full = true;
		out->next_full = pub->full;
		pub->full = out;
	}
	return rc;
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
	uint32_t p = choose(pub, r);
	struct mq_out *out = pub->outs[p];
	if (!out || !out->appender || pub->req->producer) {
		rc = mq_publish_out(pub, p, &out);
		if (rc < 0)
			return rc;
	}
	if (pub->req->producer) {
		pub->sequence++;
		rc = mq_publish_is_held(pub, out, r);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	rc = gather(pub, out, r);
	if (rc == 0)
		rc = mq_publish_note_run(pub, out, 1);
	if (rc < 0)
		return rc;
	if (out->records.body_bytes >= BUILDER_BYTES) {
		if (p == pub->robin)
			next_robin(pub);
		return send_builder(pub, out);
	}
	return pub->full_bytes >= FULL_BYTES ? mq_publish_flush(pub) : 0;
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
static int pass_held(struct mq_publish *pub, struct mq_out *out, const char **lines, size_t *len, size_t *count)
{
	while (*count && pub->sequence < out->held) {
		const char *end = memchr(*lines, '\n', *len);
		struct mq_rec r = {.payload = *lines, .payload_len = (uint32_t)(end - *lines)};
		pub->record_no++;
		pub->sequence++;
		int rc = mq_publish_is_held(pub, out, &r);
		if (rc < 0)
			return rc;
		*len -= (size_t)(end + 1 - *lines);
		*lines = end + 1;
		--*count;
	}
	return 0;
}

static int route_lines(struct mq_publish *pub, const char *lines, size_t len, size_t count)
{
	struct mq_out *out;
	uint32_t p = choose(pub, NULL);
	int rc = mq_publish_out(pub, p, &out);

	if (rc == 0 && pub->req->producer)
		rc = pass_held(pub, out, &lines, &len, &count);
	if (rc == 0 && count)
		rc = send_lines(pub, out, lines, len, count);
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
	if (pub->req->ttl_ns > 0)
		pub->common.expiry_us = (mq_sys->clock_ns(MQ_CLOCK_REAL) + pub->req->ttl_ns) / 1000;
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
