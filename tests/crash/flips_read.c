/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a reader gets of a spool, in sums that can be compared. */
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "flips.h"
#include "format/record.h"
#include "format/zip.h"
#include "spool/owner.h"

static uint32_t sum_of(const struct mq_rec *r)
{
	const char *const part[] = {r->payload, r->key, r->headers, r->id, r->tag, r->group};
	const uint32_t len[] = {r->payload_len, r->key_len, r->headers_len, r->id_len, r->tag_len, r->group_len};
	const int64_t numbers[] = {r->time_us, r->expiry_us, (int64_t)r->attempts, (int64_t)r->offset};
	uint32_t crc = mq_crc32c(1, numbers, sizeof numbers);

	for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
		crc = mq_crc32c(crc, &len[i], sizeof len[i]);
		if (part[i])
			crc = mq_crc32c(crc, part[i], len[i]);
	}
	return crc ? crc : 1;
}

static bool read_batch(const struct mq_cursor_view *v, struct reading *ret)
{
	static struct mq_zip zip;
	static struct mq_buf raw;
	const uint8_t *body = v->body;
	struct mq_walk w;
	struct mq_rec r;
	int rc;

	if (v->batch.zip == MQ_BATCH_ZSTD) {
		if (mq_zip_unpack(&zip, body, v->batch.stored_len, v->batch.raw_len, &raw, NULL) < 0)
			return false;
		body = (const uint8_t *)raw.p;
	}
	if (mq_walk_init(&w, &v->batch, body, NULL) < 0)
		return false;
	while ((rc = mq_walk_next(&w, &r)) > 0)
		if (r.offset >= v->first_offset && r.offset < OFFSETS_MAX)
			ret->sum[r.offset] = sum_of(&r);
	return rc == 0;
}

void flips_read(struct mq_spool *s, const char *topic, uint32_t p, struct reading *ret)
{
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	struct mq_cursor c;
	struct mq_topic t;
	int rc, dir;

	memset(ret, 0, sizeof *ret);
	ret->refused = true;
	if (mq_topic_open(&t, s, topic, NULL) < 0)
		return;
	dir = mq_partition_dir(&t, p, NULL);
	rc = dir < 0 ? dir : mq_cursor_open(&c, dir, topic, t.conf.id, p, NULL);
	if (rc == 0) {
		rc = mq_cursor_seek(&c, 0, NULL);
		while (rc == 0 && (rc = mq_cursor_next(&c, &v, &loss, NULL)) != 0) {
			if (rc == MQ_EDAMAGE)
				ret->loss = true;
			else if (rc < 0 || !read_batch(&v, ret))
				break;
			rc = 0;
		}
		ret->end = c.visible_offset;
		ret->refused = rc != 0 || (c.chain.n > 0 && mq_cursor_durable(&c, &ret->durable, NULL) < 0);
		mq_cursor_release(&c);
	}
	if (dir >= 0)
		close(dir);
	mq_topic_release(&t);
}

uint32_t flips_places(struct mq_spool *s)
{
	struct mq_group_topic g;
	struct mq_topic t;
	uint32_t crc = 1;

	if (mq_topic_open(&t, s, "orders", NULL) < 0)
		return 0;
	if (mq_group_topic_open(&g, &t, "billing", false, NULL) < 0) {
		mq_topic_release(&t);
		return 0;
	}
	for (uint32_t p = 0; p < 3; p++) {
		struct mq_commit c = {0};
		uint64_t seq, acked = 0;
		int which = 0, rc = mq_group_topic_read(&g, p, &c, &which, &seq, NULL);

		if (rc == 0)
			rc = mq_acks_count(&g, p, &c, &acked, NULL);
		crc = mq_crc32c(crc, &rc, sizeof rc);
		crc = mq_crc32c(crc, &c.offset, sizeof c.offset);
		crc = mq_crc32c(crc, &c.lost, sizeof c.lost);
		crc = mq_crc32c(crc, &c.expired, sizeof c.expired);
		crc = mq_crc32c(crc, &acked, sizeof acked);
	}
	mq_group_topic_release(&g);
	mq_topic_release(&t);
	return crc;
}
