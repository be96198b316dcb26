/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/cursor.h"
#include "segment/scan.h"
#include "spool/archive.h"
#include "spool/dirs.h"
#include "sys/hold.h"
#include "sys/sys.h"

enum { CHUNK = 256 << 10 };

struct writing {
	struct mq_topic *t;
	struct mq_manifest m;
	size_t cap;            /* of m.segment */
	struct mq_buf bytes;   /* a chunk */
	struct mq_cursor *cursor;
	struct mq_tar_writer *tar;
	int fd;
	struct mq_err *err;
};

/* ---- which segments ---- */
/* Where a segment of the cursor's chain ends: of the head what is visible. */
static struct mq_archive_segment describe(const struct mq_cursor *c, size_t i, uint32_t p)
{
	const struct mq_segment_header *h = &c->chain.seg[i];
	bool head = i + 1 == c->chain.n;
	struct mq_archive_segment s = {.partition = p, .base = h->base_offset};

	s.end = head ? c->visible_offset : mq_chain_end_offset(&c->chain, i);
	s.bytes = head ? c->visible_pos : mq_chain_end_pos(&c->chain, i);
	memcpy(s.id.b, h->id.b, 4);
	return s;
}

/* Each batch verifies, and each byte counts; crc: of all of them. */
static int verify(struct writing *w, const struct mq_segment *seg, struct mq_archive_segment *s)
{
	struct mq_scan scan;
	uint64_t pos = MQ_SEGMENT_HEADER_LEN;
	const uint8_t *body;
	struct mq_batch b;
	int rc = 1;

	mq_scan_init(&scan);
	mq_scan_reset(&scan, seg);
	while (rc == 1 && pos < s->bytes) {
		rc = mq_scan_batch(&scan, pos, s->bytes, &b, &body, w->err);
		if (rc == 1 && (mq_batch_len(&b) > MQ_ARCHIVE_BATCH_MAX || b.raw_len > MQ_ARCHIVE_BATCH_MAX)) /* no reader takes it */
			rc = mq_err_set(w->err, MQ_EUSAGE, "segment %s: a batch of %llu bytes is more than an archive takes", seg->name,
			                (unsigned long long)(b.raw_len > mq_batch_len(&b) ? b.raw_len : mq_batch_len(&b)));
		pos += rc == 1 ? mq_batch_len(&b) : 0;
	}
	mq_scan_release(&scan);
	if (rc == 0)
		rc = mq_err_set(w->err, MQ_EDAMAGE, "segment %s ends too early", seg->name);
	if (rc == MQ_EDAMAGE)
		mq_err_suffix(w->err, "; damaged segments are not archived: run mq-check");
	return rc < 0 ? rc : 0;
}

/* All bytes that count, a chunk at a time. */
static int each_chunk(struct writing *w, const struct mq_segment *seg, uint64_t bytes,
                      int (*fn)(struct writing *w, size_t n, void *arg), void *arg)
{
	int rc = 0;

	for (uint64_t at = 0; at < bytes && rc == 0;) {
		size_t want = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;
		ssize_t n = mq_sys->pread(seg->fd, w->bytes.p, want, at);

		if (mq_stop_requested())
			return mq_err_set(w->err, -EINTR, "stopped: no archive was made");
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return mq_err_sys(w->err, n < 0 ? (int)n : -EIO, "segment %s: cannot read at %llu", seg->name, (unsigned long long)at);
		rc = fn(w, (size_t)n, arg);
		at += (uint64_t)n;
	}
	return rc;
}

static int add_crc(struct writing *w, size_t n, void *arg)
{
	uint32_t *crc = arg;

	*crc = mq_crc32c(*crc, w->bytes.p, n);
	return 0;
}

static int add_segment(struct writing *w, size_t i, uint32_t p)
{
	struct mq_archive_segment s = describe(w->cursor, i, p), *more;
	struct mq_segment seg;
	int rc = mq_chain_open(&w->cursor->chain.seg[i], w->cursor->dir, false, &seg, w->err);

	if (rc < 0)
		return rc;
	rc = verify(w, &seg, &s);
	if (rc == 0)
		rc = each_chunk(w, &seg, s.bytes, add_crc, &s.crc);
	mq_segment_release(&seg);
	if (rc < 0)
		return rc;
	if (w->m.n_segments == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 16;
		more = realloc(w->m.segment, w->cap * sizeof *more);
		if (!more)
			return mq_err_set(w->err, -ENOMEM, "no memory for a manifest");
		w->m.segment = more;
	}
	w->m.segment[w->m.n_segments++] = s;
	return 0;
}

static int with_cursor(struct writing *w, uint32_t p, int (*fn)(struct writing *w, uint32_t p, const struct mq_archive_range *r),
                       const struct mq_archive_range *r)
{
	struct mq_cursor c;
	int rc = mq_partition_cursor(w->t, p, &c, w->err);

	if (rc < 0)
		return rc;
	w->cursor = &c;
	rc = mq_cursor_refresh(&c, w->err);
	if (rc == 0)
		rc = mq_chain_extend_all(&c.chain, c.dir, w->err);
	if (rc == 0)
		rc = fn(w, p, r);
	mq_cursor_release(&c);
	return rc;
}

static int list_range(struct writing *w, uint32_t p, const struct mq_archive_range *r)
{
	int rc = 0;

	for (size_t i = 0; i < w->cursor->chain.n && rc == 0; i++) {
		struct mq_archive_segment s = describe(w->cursor, i, p);

		if (s.end > r->from && s.base < r->to)
			rc = add_segment(w, i, p);
	}
	return rc;
}

/* ---- one that is there already ---- */
/* 1: the archive's segment is this one of the log, up to where that ended then. */
static int is_same(struct writing *w, size_t i, const struct mq_archive_segment *there, const struct mq_archive_segment *here)
{
	struct mq_segment seg;
	uint32_t crc = 0;
	int rc;

	if (there->bytes > here->bytes)
		return 0;
	rc = mq_chain_open(&w->cursor->chain.seg[i], w->cursor->dir, false, &seg, w->err);
	if (rc < 0)
		return rc;
	rc = each_chunk(w, &seg, there->bytes, add_crc, &crc);
	mq_segment_release(&seg);
	return rc < 0 ? rc : crc == there->crc;
}

static int compare(struct writing *w, uint32_t p, const struct mq_archive_range *r)
{
	int rc = 1;

	for (size_t i = 0; i < w->cursor->chain.n && rc == 1; i++) {
		struct mq_archive_segment s = describe(w->cursor, i, p);
		size_t k = 0;

		if (s.end <= r->from || s.base >= r->to)
			continue;
		while (k < w->m.n_segments && (w->m.segment[k].partition != p || w->m.segment[k].base != s.base ||
		                               memcmp(w->m.segment[k].id.b, s.id.b, 4) != 0))
			k++;
		rc = k == w->m.n_segments ? 0 : is_same(w, i, &w->m.segment[k], &s);
	}
	return rc;
}

int mq_archive_holds(struct mq_topic *t, const struct mq_manifest *m, const struct mq_archive_range *range, struct mq_err *err)
{
	struct writing w = {.t = t, .m = *m, .fd = -1, .err = err};
	int rc = mq_buf_reserve(&w.bytes, CHUNK);

	rc = rc < 0 ? mq_err_set(err, -ENOMEM, "no memory for an archive") : with_cursor(&w, range->partition, compare, range);
	mq_buf_release(&w.bytes);
	return rc;
}

/* ---- the file ---- */
static int sink(void *arg, const void *bytes, size_t n, struct mq_err *err)
{
	const struct writing *w = arg;

	for (const char *at = bytes; n > 0;) {
		ssize_t done = mq_sys->write(w->fd, at, n);

		if (done == -EINTR)
			continue;
		if (done <= 0)
			return mq_err_sys(err, done < 0 ? (int)done : -EIO, "cannot write the archive");
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

struct copy {
	uint32_t crc;
};

static int put_chunk(struct writing *w, size_t n, void *arg)
{
	struct copy *c = arg;

	c->crc = mq_crc32c(c->crc, w->bytes.p, n);
	return mq_tar_put(w->tar, w->bytes.p, n, w->err);
}

static int put_segment(struct writing *w, size_t i, const struct mq_archive_segment *s)
{
	char member[MQ_ARCHIVE_NAME_MAX];
	struct copy c = {0};
	struct mq_segment seg;
	int rc = mq_chain_open(&w->cursor->chain.seg[i], w->cursor->dir, false, &seg, w->err);

	if (rc < 0)
		return rc;
	mq_archive_member(&w->m, s, member);
	rc = mq_tar_begin(w->tar, member, s->bytes, seg.h.created_us, w->err);
	if (rc == 0)
		rc = each_chunk(w, &seg, s->bytes, put_chunk, &c);
	if (rc == 0 && c.crc != s->crc)
		rc = mq_err_set(w->err, MQ_EDAMAGE, "segment %s reads otherwise than a moment ago: check the disk", seg.name);
	mq_segment_release(&seg);
	return rc;
}

/* Those of a partition that the manifest lists. */
static int put_partition(struct writing *w, uint32_t p, const struct mq_archive_range *r)
{
	int rc = 0;

	(void)r;
	for (size_t k = 0; k < w->m.n_segments && rc == 0; k++) {
		const struct mq_archive_segment *s = &w->m.segment[k];
		const struct mq_chain *chain = &w->cursor->chain;
		size_t i = 0;

		if (s->partition != p)
			continue;
		while (i < chain->n && (chain->seg[i].base_offset != s->base || memcmp(chain->seg[i].id.b, s->id.b, 4) != 0))
			i++;
		rc = i == chain->n ? mq_err_set(w->err, MQ_EAGAIN, "%s:%u: a segment went while it was archived: run again", w->t->name, p)
		                   : put_segment(w, i, s);
	}
	return rc;
}

/* As who reads it will understand it; where a segment is missing he would not. */
static int print(const struct writing *w, struct mq_buf *out)
{
	struct mq_manifest again;
	int rc = mq_manifest_print(&w->m, out, w->err);

	if (rc == 0)
		rc = mq_manifest_parse(&again, out->p, out->len, w->err);
	if (rc == 0)
		mq_manifest_release(&again);
	if (rc == MQ_EINPUT)
		rc = mq_err_set(w->err, MQ_EDAMAGE, "%s: segments are missing, and what is damaged is not archived: run mq-check", w->t->name);
	return rc;
}

static int put_all(struct writing *w)
{
	struct mq_buf text = MQ_BUF_INIT;
	int rc = print(w, &text);

	if (rc == 0)
		rc = mq_tar_create(&w->tar, sink, w, w->err);
	if (rc == 0)
		rc = mq_tar_begin(w->tar, "manifest.json", text.len, mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, w->err);
	if (rc == 0)
		rc = mq_tar_put(w->tar, text.p, text.len, w->err);
	for (size_t i = 0; i < w->m.n_ranges && rc == 0; i++)
		rc = with_cursor(w, w->m.range[i].partition, put_partition, NULL);
	if (rc == 0) {
		rc = mq_tar_finish(w->tar, w->err);
		w->tar = NULL;
	}
	mq_tar_abandon(w->tar);
	mq_buf_release(&text);
	return rc;
}

/* Whole and durable under a temporary name, and then under its own. */
static int make_file(struct writing *w, int dir, const char *name)
{
	char tmp[32];
	int rc = mq_random_name(".tmp-", tmp, w->err);

	if (rc < 0)
		return rc;
	w->fd = mq_sys->openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL, w->t->spool->file_mode);
	if (w->fd < 0)
		return mq_err_sys(w->err, w->fd, "cannot create the archive %s", name);
	rc = put_all(w);
	if (rc == 0) {
		rc = mq_sys->fdatasync(w->fd);
		if (rc == 0)
			rc = mq_sys->renameat(dir, tmp, dir, name, false);
		if (rc < 0)
			mq_err_sys(w->err, rc, "cannot keep the archive %s", name);
	}
	(void)mq_sys->close(w->fd);
	if (rc < 0) {
		(void)mq_sys->unlinkat(dir, tmp, false);
		return rc;
	}
	return mq_dir_sync(dir, "of archives", w->err);
}

int mq_archive_write(struct mq_topic *t, const char *group, const struct mq_archive_range *range, size_t n, int dir, const char *name,
                     struct mq_err *err)
{
	struct writing w = {.t = t, .fd = -1, .err = err};
	int rc = mq_buf_reserve(&w.bytes, CHUNK);

	w.m.range = calloc(n + 1, sizeof *w.m.range);
	if (rc < 0 || !w.m.range)
		rc = mq_err_set(err, -ENOMEM, "no memory for an archive");
	memcpy(w.m.topic, t->name, strlen(t->name) + 1);
	memcpy(w.m.group, group ? group : "", (group ? strlen(group) : 0) + 1);
	memcpy(w.m.topic_id, t->conf.id, sizeof w.m.topic_id);
	for (size_t i = 0; i < n && rc == 0; i++) {
		w.m.range[w.m.n_ranges++] = range[i];
		rc = with_cursor(&w, range[i].partition, list_range, &range[i]);
	}
	if (rc == 0)
		rc = make_file(&w, dir, name);
	mq_manifest_release(&w.m);
	mq_buf_release(&w.bytes);
	return rc;
}
