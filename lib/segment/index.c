/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "segment/index.h"

#include <errno.h>
#include <fcntl.h>

#include "sys/sys.h"

static int open_index(struct mq_segment *s, int dir, bool create, unsigned mode)
{
	char name[MQ_SEGMENT_NAME_MAX];
	int rc;

	if (s->idx >= 0)
		return 0;
	mq_segment_name(s->h.base_offset, &s->h.id, "idx", name);
	s->idx = mq_sys->openat(dir, name, s->writable ? O_RDWR : O_RDONLY, 0);
	if (s->idx == -EACCES && create) /* putting needs no more */
		s->idx = mq_sys->openat(dir, name, O_WRONLY, 0);
	if (s->idx == -ENOENT && create) {
		s->idx = mq_sys->openat(dir, name, O_RDWR | O_CREAT, mode);
		if (s->idx >= 0 && (rc = mq_sys->fchmod(s->idx, mode)) < 0) {
			(void)mq_sys->close(s->idx);
			s->idx = rc;
		}
	}
	rc = s->idx < 0 ? s->idx : 0;
	if (rc < 0)
		s->idx = -1;
	return rc;
}

int mq_index_put(struct mq_segment *s, int dir, unsigned mode, uint64_t n, const struct mq_index_entry *e,
                 struct mq_err *err)
{
	uint8_t bytes[MQ_INDEX_ENTRY_LEN];
	uint64_t at = n * MQ_INDEX_ENTRY_LEN;
	ssize_t w;
	int rc = open_index(s, dir, true, mode);

	if (rc < 0)
		return mq_err_sys(err, rc, "segment %s: cannot open its index", s->name);
	mq_index_entry_encode(e, &s->h.id, at, bytes);
	w = mq_sys->pwrite(s->idx, bytes, sizeof bytes, at);
	if (w == (ssize_t)sizeof bytes)
		return 0;
	return mq_err_sys(err, w < 0 ? (int)w : -ENOSPC, "segment %s: cannot write its index", s->name);
}

static bool entry_at(const struct mq_segment *s, uint64_t n, uint64_t limit, struct mq_index_entry *ret)
{
	uint8_t bytes[MQ_INDEX_ENTRY_LEN];
	uint64_t at = n * MQ_INDEX_ENTRY_LEN;

	return mq_sys->pread(s->idx, bytes, sizeof bytes, at) == (ssize_t)sizeof bytes &&
	       mq_index_entry_decode(bytes, &s->h.id, at, ret) && ret->pos < limit;
}

static uint64_t entries(const struct mq_segment *s)
{
	struct mq_stat st;

	return mq_sys->stat(s->idx, &st) < 0 ? 0 : st.size / MQ_INDEX_ENTRY_LEN;
}

/* Binary search for the last entry for which `below` holds; one that does not verify counts as above, which
 * only makes the scan longer. */
static int seek(struct mq_segment *s, int dir, struct mq_scan *scan, uint64_t limit, uint64_t offset, int64_t time_us,
                bool by_time, uint64_t *ret_pos, uint64_t *ret_offset, struct mq_err *err)
{
	uint64_t lo = 0, hi = 0;
	struct mq_index_entry e;
	struct mq_batch b;

	(void)err;
	*ret_pos = MQ_SEGMENT_HEADER_LEN;
	*ret_offset = s->h.base_offset;
	if (open_index(s, dir, false, 0) < 0)
		return 0; /* no index: from the start */
	hi = entries(s);
	while (lo < hi) { /* lo: entries known to be below; the answer is entry lo - 1 */
		uint64_t mid = lo + (hi - lo) / 2;

		if (entry_at(s, mid, limit, &e) && (by_time ? e.max_time_us < time_us : e.offset <= offset))
			lo = mid + 1;
		else
			hi = mid;
	}
	for (int tries = 0; lo > 0 && tries < 8; lo--, tries++) {
		if (!entry_at(s, lo - 1, limit, &e) || (!by_time && e.offset > offset))
			continue;
		if (mq_scan_header(scan, e.pos, limit, &b, NULL) == 1 && b.base_offset == e.offset) {
			*ret_pos = e.pos;
			*ret_offset = e.offset;
			return 1;
		}
	}
	return 0;
}

int mq_index_seek_offset(struct mq_segment *s, int dir, struct mq_scan *scan, uint64_t offset, uint64_t limit,
                         uint64_t *ret_pos, uint64_t *ret_offset, struct mq_err *err)
{
	return seek(s, dir, scan, limit, offset, 0, false, ret_pos, ret_offset, err);
}

int mq_index_seek_time(struct mq_segment *s, int dir, struct mq_scan *scan, int64_t time_us, uint64_t limit,
                       uint64_t *ret_pos, uint64_t *ret_offset, struct mq_err *err)
{
	return seek(s, dir, scan, limit, 0, time_us, true, ret_pos, ret_offset, err);
}

int mq_index_last(struct mq_segment *s, int dir, uint64_t limit, uint64_t *ret_count, uint64_t *ret_pos)
{
	struct mq_index_entry e;
	uint64_t n;

	*ret_count = 0;
	*ret_pos = 0;
	if (open_index(s, dir, false, 0) < 0)
		return 0;
	for (n = entries(s); n > 0; n--)
		if (entry_at(s, n - 1, limit, &e)) {
			*ret_count = n;
			*ret_pos = e.pos;
			break;
		}
	return 0;
}
