/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "log/compact_internal.h"

bool mq_compact_is_damage(int rc)
{
	return rc == MQ_EDAMAGE || rc == MQ_ECONFIG || rc == -EIO;
}

int mq_compact_read_begin(struct mq_compact_reader *r, const struct mq_cursor *c, const struct mq_compact_part *part, struct mq_err *err)
{
	int rc = mq_segment_open(&r->seg, c->dir, part->h.base_offset, part->h.id.b, false, err);

	if (rc < 0)
		return rc;
	r->part = part;
	r->pos = MQ_SEGMENT_HEADER_LEN;
	r->offset = part->h.base_offset;
	mq_scan_reset(&r->scan, &r->seg);
	return 0;
}

int mq_compact_read_next(struct mq_compact_reader *r, struct mq_batch *ret, const uint8_t **ret_body, struct mq_err *err)
{
	const struct mq_compact_part *part = r->part;
	int rc;

	if (r->pos >= part->end_pos) {
		if (r->pos == part->end_pos && r->offset == part->end_offset)
			return 0;
		return mq_err_set(err, MQ_EDAMAGE, "segment %s ends at another place than its successor tells", r->seg.name);
	}
	rc = mq_scan_batch(&r->scan, r->pos, part->end_pos, ret, ret_body, err);
	if (rc == 0 || (rc == 1 && ret->base_offset != r->offset))
		rc = mq_err_set(err, MQ_EDAMAGE, "segment %s: batches are missing at %llu", r->seg.name, (unsigned long long)r->pos);
	if (rc < 0)
		return rc;
	r->pos += mq_batch_len(ret);
	r->offset = ret->next_offset;
	return 1;
}

int mq_compact_read_walk(struct mq_compact_reader *r, const struct mq_batch *b, const uint8_t *body, struct mq_walk *ret,
                         struct mq_err *err)
{
	int rc = 0;

	if (b->zip == MQ_BATCH_ZSTD) {
		rc = mq_zip_unpack(&r->zip, body, b->stored_len, b->raw_len, &r->raw, err);
		body = (const uint8_t *)r->raw.p;
	}
	return rc < 0 ? rc : mq_walk_init(ret, b, body, err);
}

void mq_compact_read_end(struct mq_compact_reader *r)
{
	mq_segment_release(&r->seg);
}

void mq_compact_read_release(struct mq_compact_reader *r)
{
	mq_segment_release(&r->seg);
	mq_scan_release(&r->scan);
	mq_zip_release(&r->zip);
	mq_buf_release(&r->raw);
}
