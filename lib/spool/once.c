/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/once.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/internal.h"
#include "sys/sys.h"

enum { PARTITION = 0, SHARE = 8 /* of the window: so old a segment may get, so late the log start moves */ };

static int64_t now_us(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
}

uint64_t mq_once_ids_hash(const struct mq_once_ids *o, const void *id, size_t len)
{
	return mq_ids_look_hash(&o->ids, id, len);
}

int mq_once_ids_look(struct mq_once_ids *o, const void *id, size_t len, uint64_t *seen, struct mq_err *err)
{
	int rc = mq_ids_look_catch_up(&o->ids, err);

	return rc < 0 ? rc : mq_once_ids_look_known(o, id, len, seen, err);
}

int mq_once_ids_look_known(struct mq_once_ids *o, const void *id, size_t len, uint64_t *seen, struct mq_err *err)
{
	return mq_ids_look_find(&o->ids, id, len, seen, NULL, err);
}

/* ---- marks ---- */
static int append(struct mq_once_ids *o, struct mq_err *err)
{
	struct mq_batch b = {.ack = MQ_ACK_WRITTEN, .count = o->records.count, .base_time_us = now_us()};
	struct mq_log_ticket before = o->ticket;
	const uint8_t *body;
	int rc = mq_records_finish(&o->records, b.base_time_us, 0, 0, &b.kind, &body, &b.raw_len);

	if (rc < 0)
		return mq_err_set(err, rc, "no memory for the ids done");
	b.max_time_us = b.base_time_us;
	b.stored_len = b.raw_len;
	b.body_crc = mq_crc32c(0, body, b.stored_len);
	rc = mq_log_append(&o->log, &b, body, &o->ticket, err);
	if (rc == 0 && !o->ticket.visible)
		rc = mq_log_wait(&o->log, &o->ticket, MQ_ACK_WRITTEN, err);
	/* Of a segment that was closed meanwhile the last mark in the next one tells nothing. */
	if (rc == 0 && o->unsynced && !mq_segment_id_equal(&before.segment, &o->ticket.segment))
		rc = mq_log_wait(&o->log, &before, MQ_ACK_DURABLE, err);
	o->unsynced |= rc == 0;
	return rc;
}

int mq_once_ids_mark(struct mq_once_ids *o, const struct mq_id_done *done, size_t n, struct mq_err *err)
{
	enum { BATCH_BYTES = 1 << 20 };
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0;) {
		mq_records_clear(&o->records);
		do {
			char where[40];
			int len = snprintf(where, sizeof where, "%" PRIu32 ":%" PRIu64, done[i].partition, done[i].offset);
			const struct mq_rec r = {.payload = where, .payload_len = (uint32_t)len, .id = done[i].id, .id_len = done[i].id_len};

			rc = mq_records_add(&o->records, &r);
		} while (rc == 0 && ++i < n && o->records.body_bytes < BATCH_BYTES);
		rc = rc < 0 ? mq_err_set(err, rc, "no memory for the ids done") : append(o, err);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s:%d", o->topic.name, PARTITION);
	return rc;
}

int mq_once_ids_sync(struct mq_once_ids *o, struct mq_err *err)
{
	int rc = o->unsynced ? mq_log_wait(&o->log, &o->ticket, MQ_ACK_DURABLE, err) : 0;

	if (rc < 0)
		mq_err_prefix(err, "%s:%d", o->topic.name, PARTITION);
	o->unsynced = o->unsynced && rc < 0;
	return rc;
}

/* ---- the window ---- */
/* What is set is the widest window that a member ever asked for; and whatever the spool's defaults say, no mark is to be
 * dropped, to expire, or to wait for others' syncs. */
static int configure(struct mq_once_ids *o, struct mq_err *err)
{
	int64_t window_ms = o->ids.window.us / 1000 + (o->ids.window.us % 1000 != 0), segment_ms = window_ms / SHARE + 1;
	char window[48], segment[48];
	const char *const set[] = {window, segment, "segment.bytes=64M", "retention.bytes=-1", "max.bytes=-1", "max.messages=-1", "ttl.ms=-1",
	                           "cleanup.policy=delete", "compression.type=none", "min.ack=none", "when.full=block"};

	if (o->topic.conf.retention_ms >= window_ms && o->topic.conf.max_bytes < 0)
		return 0;
	snprintf(window, sizeof window, "retention.ms=%" PRId64, window_ms);
	snprintf(segment, sizeof segment, "segment.ms=%" PRId64, segment_ms);
	return mq_topic_change(&o->topic, set, sizeof set / sizeof *set, false, err);
}

/* The log start moves past what is older than any window, an eighth of it at a time.  Nothing is unlinked by it but files of
 * ids, which are a cache: segments below it are mq-retain's. */
static int forget(struct mq_once_ids *o, struct mq_err *err)
{
	int64_t keep_us = o->topic.conf.retention_ms * 1000, since_us = now_us() - keep_us;
	struct mq_cursor c;
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	uint64_t offset;
	int rc = mq_partition_cursor(&o->topic, PARTITION, &c, err);

	if (rc < 0)
		return rc;
	rc = mq_cursor_seek(&c, 0, err);
	if (rc == 0)
		rc = mq_cursor_next(&c, &v, &loss, err);
	if (rc == MQ_EDAMAGE) {
		*err = (struct mq_err)MQ_ERR_INIT;
		rc = 0;
	}
	if (rc > 0) {
		rc = v.batch.max_time_us < since_us - keep_us / SHARE;
		if (rc > 0 && (rc = mq_cursor_find_time(&c, since_us, &offset, err)) == 0)
			rc = mq_partition_purge(&o->topic, PARTITION, offset, err);
	}
	mq_cursor_release(&c);
	return rc;
}

/* ---- opening ---- */
int mq_once_ids_open(struct mq_once_ids *o, struct mq_topic *t, const char *group, int64_t window_us, unsigned unit_log2,
                     struct mq_err *err)
{
	const struct mq_ids_window window = {.us = window_us, .unit_log2 = unit_log2, .level_max = MQ_ONCE_LEVEL_MAX,
	                                     .lost = "records that they name may be handled again"};
	int rc;

	memset(o, 0, sizeof *o);
	o->ids.dir = o->group.dir = o->group.locks = o->group.offsets = -1;
	o->topic.dir = -1;
	o->ids.window = window;
	mq_records_init(&o->records);
	rc = mq_internal_open(&o->topic, t->spool, "once", t->name, group, true, err);
	if (rc == 0)
		rc = configure(o, err);
	if (rc == 0)
		rc = mq_topic_settle(&o->topic, err);
	if (rc == 0)
		rc = mq_group_topic_open(&o->group, t, group, true, err);
	if (rc == 0)
		rc = mq_partition_log(&o->part, &o->topic, PARTITION, &o->log, err);
	o->log_open = rc == 0;
	if (rc == 0)
		rc = forget(o, err);
	if (rc == 0)
		rc = mq_ids_look_open(&o->ids, &o->topic, PARTITION, &window, err);
	if (rc < 0)
		mq_once_ids_release(o);
	return rc;
}

void mq_once_ids_release(struct mq_once_ids *o)
{
	mq_ids_look_release(&o->ids);
	mq_records_release(&o->records);
	if (o->log_open)
		mq_log_release(&o->log);
	mq_group_topic_release(&o->group);
	mq_topic_release(&o->topic);
	o->log_open = false;
}
