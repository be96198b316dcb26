/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The spool whose bits are flipped: lines, records with every column, compressed batches, a named producer,
 * several segments a partition, a log start, a group with places and acknowledgements from outside, one that shares.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "flips.h"
#include "format/record.h"
#include "format/zip.h"
#include "spool/evict.h"
#include "spool/owner.h"

static void must(int rc, const char *what, const struct mq_err *err)
{
	if (rc < 0)
		flips_die(what, err);
}

struct writer {
	struct mq_topic topic;
	struct mq_partition hold;
	struct mq_log log;
	uint32_t p;
	bool zip;
};

static void open_writer(struct writer *w, struct mq_spool *s, const char *topic, uint32_t p)
{
	struct mq_err err = MQ_ERR_INIT;

	memset(w, 0, sizeof *w);
	must(mq_topic_open(&w->topic, s, topic, &err), "topic", &err);
	must(mq_partition_log(&w->hold, &w->topic, p, &w->log, &err), "log", &err);
	w->p = p;
	w->zip = w->topic.conf.compression == MQ_BATCH_ZSTD;
}

static void close_writer(struct writer *w)
{
	mq_log_release(&w->log);
	mq_topic_release(&w->topic);
}

static void put(struct writer *w, struct mq_batch *b, const void *body, bool wait)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_zip zip = MQ_ZIP_INIT;
	struct mq_buf packed = MQ_BUF_INIT;
	struct mq_log_ticket t;

	b->stored_len = b->raw_len;
	if (w->zip) {
		must(mq_zip_pack(&zip, body, b->raw_len, &packed), "zstd", &err);
		b->zip = MQ_BATCH_ZSTD;
		b->stored_len = (uint32_t)packed.len;
		body = packed.p;
	}
	b->body_crc = mq_crc32c(0, body, b->stored_len);
	must(mq_log_append(&w->log, b, body, &t, &err), "append", &err);
	if (wait)
		must(mq_log_wait(&w->log, &t, MQ_ACK_DURABLE, &err), "wait", &err);
	mq_buf_release(&packed);
	mq_zip_release(&zip);
}

static void put_lines(struct writer *w, unsigned n, uint32_t count, bool durable)
{
	struct mq_batch b = {.kind = MQ_BATCH_LINES, .ack = durable ? MQ_ACK_DURABLE : MQ_ACK_WRITTEN, .count = count};
	struct mq_buf body = MQ_BUF_INIT;

	for (uint32_t i = 0; i < count; i++)
		mq_buf_printf(&body, "line %u of batch %u in %s, with some text behind it\n", i, n, w->hold.label);
	b.raw_len = (uint32_t)body.len;
	put(w, &b, body.p, durable);
	mq_buf_release(&body);
}

static void put_records(struct writer *w, unsigned n, const struct mq_who *who)
{
	struct mq_batch b = {.kind = MQ_BATCH_RECORDS, .ack = MQ_ACK_DURABLE, .count = 4};
	struct mq_records r;
	struct mq_buf headers = MQ_BUF_INIT;
	struct mq_err err = MQ_ERR_INIT;
	const uint8_t *body;
	char payload[64];

	mq_records_init(&r);
	must(mq_header_append(&headers, "colour", 6, "red", 3), "header", &err);
	for (uint32_t i = 0; i < b.count; i++) {
		struct mq_rec rec = {.payload = payload, .key = i ? "key" : NULL, .key_len = 3, .headers = headers.p,
		                     .headers_len = (uint32_t)headers.len, .id = "id", .id_len = 2, .tag = i & 1 ? "tag" : NULL,
		                     .tag_len = 3, .time_us = 1000 * (n + i), .expiry_us = i == 2 ? INT64_MAX : 0, .attempts = i};

		snprintf(payload, sizeof payload, "a payload\nof two lines, %u.%u", n, i);
		rec.payload_len = (uint32_t)strlen(payload);
		must(mq_records_add(&r, &rec), "record", &err);
	}
	must(mq_records_finish(&r, 1000 * n, 0, 0, &b.kind, &body, &b.raw_len), "records", &err);
	b.base_time_us = 1000 * n;
	b.max_time_us = r.max_time_us;
	if (who)
		b.who = *who;
	put(w, &b, body, true);
	mq_records_release(&r);
	mq_buf_release(&headers);
}

static void put_named(struct mq_spool *s)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_producer till;
	struct writer w;

	open_writer(&w, s, "orders", 1);
	must(mq_log_producer(&w.log, MQ_WHO_PRODUCER, "till-7", &till, &err), "producer", &err);
	for (unsigned n = 0; n < 14; n++) {
		struct mq_who who = {.kind = MQ_WHO_PRODUCER, .id = till.id, .number = 4 * n + 4, .source_start = MQ_NO_OFFSET};

		put_records(&w, n, n % 3 ? &who : NULL);
	}
	must(mq_producers_save(&w.log.producers, w.log.dir, 0640, &err), "producers", &err);
	put_lines(&w, 99, 2, false); /* acknowledged as written: above every mark */
	close_writer(&w);
}

/* A segment of more than one index entry. */
static void put_wide(struct mq_spool *s)
{
	struct mq_batch b;
	struct mq_buf body = MQ_BUF_INIT;
	struct mq_err err = MQ_ERR_INIT;
	struct writer w;

	must(mq_topic_make(s, "wide", 1, NULL, 0, false, &err), "topic", &err);
	open_writer(&w, s, "wide", 0);
	for (unsigned n = 0; n < 5; n++) {
		mq_buf_clear(&body);
		for (unsigned i = 0; i < 10; i++)
			mq_buf_printf(&body, "%u.%u %04000u\n", n, i, n * i);
		b = (struct mq_batch){.kind = MQ_BATCH_LINES, .ack = MQ_ACK_DURABLE, .count = 10, .raw_len = (uint32_t)body.len};
		put(&w, &b, body.p, true);
	}
	close_writer(&w);
	mq_buf_release(&body);
}

static void evict(struct mq_topic *t, uint32_t p)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_eviction who;
	struct mq_group_topic g;

	must(mq_group_topic_open(&g, t, "billing", false, &err), "group", &err);
	if (mq_evict(&g, p, NULL, false, 0, &who, &err) != 1)
		must(-1, "evict", &err);
	mq_group_topic_release(&g);
}

static void make_group(struct mq_spool *s)
{
	static const uint64_t above[] = {9, 11, 12};
	struct mq_err err = MQ_ERR_INIT;
	struct mq_membership m;
	struct mq_topic t;

	must(mq_membership_join(&m, s, "billing", NULL, &err), "join", &err);
	must(mq_topic_open(&t, s, "orders", &err), "topic", &err);
	for (uint32_t p = 0; p < 3; p++) {
		struct mq_ownership o;

		must(mq_ownership_take(&o, &m, &t, p, 0, &err), "take", &err);
		for (unsigned i = 0; i <= p; i++) { /* one slot, two, both */
			must(mq_ownership_commit(&o, 2 + 2 * i, 0, &err), "commit", &err);
			must(mq_ownership_sync(&o, &err), "sync", &err);
		}
		if (p == 0)
			must(mq_acks_add(o.g, p, &o.commit, above, 3, &(size_t){0}, &err), "acks", &err);
		if (p == 1)
			evict(&t, p);
		mq_ownership_release(&o);
	}
	mq_topic_release(&t);
	mq_membership_leave(&m);
}

void flips_make(const char *path)
{
	static const char *const set[] = {"segment.bytes=4096", "compression.type=zstd"};
	struct mq_err err = MQ_ERR_INIT;
	struct mq_spool s;
	struct mq_topic t;
	struct writer w;

	must(mq_spool_open(&s, path, true, &err), "spool", &err);
	must(mq_topic_make(&s, "orders", 3, set, 1, false, &err), "topic", &err);
	must(mq_topic_make(&s, "packed", 1, set, 2, false, &err), "topic", &err);
	open_writer(&w, &s, "orders", 0);
	for (unsigned n = 0; n < 26; n++)
		put_lines(&w, n, 1 + n % 4, true);
	close_writer(&w);
	put_named(&s);
	open_writer(&w, &s, "orders", 2);
	for (unsigned n = 0; n < 8; n++)
		put_lines(&w, n, 2, n % 2);
	close_writer(&w);
	must(mq_topic_open(&t, &s, "orders", &err), "topic", &err);
	must(mq_partition_purge(&t, 2, 3, &err), "purge", &err);
	mq_topic_release(&t);
	open_writer(&w, &s, "packed", 0);
	for (unsigned n = 0; n < 24; n++)
		if (n % 2)
			put_lines(&w, n, 12, true);
		else
			put_records(&w, n, NULL);
	close_writer(&w);
	put_wide(&s);
	make_group(&s);
	must(mq_topic_make(&s, "queue", 1, NULL, 0, false, &err), "topic", &err);
	open_writer(&w, &s, "queue", 0);
	put_lines(&w, 0, 14, true);
	close_writer(&w);
	flips_make_share(&s);
	mq_spool_release(&s);
}
