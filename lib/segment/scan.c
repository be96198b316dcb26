/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "segment/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

void mq_scan_init(struct mq_scan *s)
{
	memset(s, 0, sizeof *s);
}

void mq_scan_release(struct mq_scan *s)
{
	free(s->buf);
	mq_scan_init(s);
}

void mq_scan_reset(struct mq_scan *s, const struct mq_segment *seg)
{
	s->seg = seg;
	s->len = 0;
	s->at = 0;
}

static int grow(struct mq_scan *s, size_t cap, struct mq_err *err)
{
	uint8_t *p;

	if (cap <= s->cap)
		return 0;
	p = realloc(s->buf, cap);
	if (!p)
		return mq_err_set(err, -ENOMEM, "no memory for a batch of %zu bytes", cap);
	s->buf = p;
	s->cap = cap;
	return 0;
}

/* Have `need` bytes at pos in the window, and up to `want`, but none at or beyond limit: those may still
 * change.  Fewer than need only where the file ends.  Answers how many there are (at most need). */
static int64_t have(struct mq_scan *s, uint64_t pos, size_t need, size_t want, uint64_t limit, struct mq_err *err)
{
	size_t keep = 0;
	int rc;

	if (want > limit - pos)
		want = (size_t)(limit - pos);

	if (pos >= s->at && pos + need <= s->at + s->len)
		return (int64_t)need;
	if (pos >= s->at && pos < s->at + s->len) {
		keep = (size_t)(s->at + s->len - pos);
		memmove(s->buf, s->buf + (pos - s->at), keep);
	}
	s->at = pos;
	s->len = keep;
	rc = grow(s, want > MQ_SCAN_CHUNK ? want : MQ_SCAN_CHUNK, err);
	if (rc < 0)
		return rc;
	if (s->seg->unreadable && s->len < need)
		return mq_err_set(err, -EBUSY, "segment %s: what it holds must be looked at, and this user may only write it", s->seg->name);
	while (s->len < need) {
		ssize_t n = mq_sys->pread(s->seg->fd, s->buf + s->len, (want > need ? want : need) - s->len, pos + s->len);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return mq_err_sys(err, (int)n, "segment %s: cannot read at %llu", s->seg->name,
			                  (unsigned long long)(pos + s->len));
		if (n == 0)
			break;
		s->len += (size_t)n;
	}
	return (int64_t)(s->len < need ? s->len : need);
}

int mq_scan_header(struct mq_scan *s, uint64_t pos, uint64_t limit, struct mq_batch *ret, struct mq_err *err)
{
	int64_t n;
	int rc;

	memset(ret, 0, sizeof *ret);
	if (pos + MQ_BATCH_HEADER_LEN > limit)
		return 0;
	n = have(s, pos, MQ_BATCH_HEADER_LEN, MQ_SCAN_CHUNK, limit, err);
	if (n < 0)
		return (int)n;
	if (n < MQ_BATCH_HEADER_LEN)
		return 0;
	rc = mq_batch_decode(s->buf + (pos - s->at), mq_batch_seed(s->seg->h.id.b, pos), ret, err);
	if (rc < 0) {
		memset(ret, 0, sizeof *ret);
		mq_err_prefix(err, "segment %s at %llu", s->seg->name, (unsigned long long)pos);
		return rc;
	}
	if (mq_batch_len(ret) > limit - pos)
		return mq_err_set(err, MQ_EDAMAGE, "segment %s: the batch at %llu (%llu bytes) leads beyond %llu",
		                  s->seg->name, (unsigned long long)pos, (unsigned long long)mq_batch_len(ret),
		                  (unsigned long long)limit);
	return 1;
}

int mq_scan_batch(struct mq_scan *s, uint64_t pos, uint64_t limit, struct mq_batch *ret, const uint8_t **ret_body,
                  struct mq_err *err)
{
	int rc = mq_scan_header(s, pos, limit, ret, err);
	size_t whole;
	int64_t n;

	if (rc <= 0)
		return rc;
	whole = (size_t)mq_batch_len(ret);
	n = have(s, pos, whole, whole + MQ_BATCH_HEADER_LEN > MQ_SCAN_CHUNK ? whole + MQ_BATCH_HEADER_LEN : MQ_SCAN_CHUNK,
	         limit, err);
	if (n < 0)
		return (int)n;
	if ((size_t)n < whole)
		return mq_err_set(err, MQ_EDAMAGE, "segment %s: the batch at %llu (%zu bytes) leads beyond the end of the file",
		                  s->seg->name, (unsigned long long)pos, whole);
	*ret_body = s->buf + (pos - s->at) + MQ_BATCH_HEADER_LEN;
	if (!mq_batch_body_ok(ret, *ret_body))
		return mq_err_set(err, MQ_EDAMAGE,
		                  "segment %s: the body of the batch at %llu (offsets %llu to %llu) does not verify",
		                  s->seg->name, (unsigned long long)pos, (unsigned long long)ret->base_offset,
		                  (unsigned long long)ret->next_offset - 1);
	return 1;
}

int mq_scan_resync(struct mq_scan *s, uint64_t from, uint64_t limit, uint64_t *ret_pos, struct mq_err *err)
{
	static const uint8_t magic[4] = {'m', 'q', 'B', 1};
	struct mq_batch b;
	const uint8_t *body, *hit;
	uint64_t pos = from;

	while (pos + MQ_BATCH_HEADER_LEN <= limit) {
		int64_t n = have(s, pos, MQ_BATCH_HEADER_LEN, MQ_SCAN_CHUNK, limit, err);
		size_t in_window;
		int rc;

		if (n < 0)
			return (int)n;
		if (n < MQ_BATCH_HEADER_LEN)
			return 0;
		in_window = (size_t)(s->at + s->len - pos);
		hit = memmem(s->buf + (pos - s->at), in_window, magic, sizeof magic);
		if (!hit) {
			pos += in_window - (sizeof magic - 1); /* a magic may lie across the window's end */
			continue;
		}
		pos = s->at + (uint64_t)(hit - s->buf);
		rc = mq_scan_batch(s, pos, limit, &b, &body, NULL);
		if (rc == 1) {
			*ret_pos = pos;
			return 1;
		}
		if (rc < 0 && rc != MQ_EDAMAGE && rc != MQ_ECONFIG)
			return mq_err_set(err, rc, "segment %s: cannot read at %llu", s->seg->name, (unsigned long long)pos);
		pos++;
	}
	return 0;
}
