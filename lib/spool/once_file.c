/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/once_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "spool/dirs.h"
#include "sys/sys.h"

/* ---- reading ---- */
static int read_block(int fd, uint64_t block, uint8_t ret[MQ_IDS_BLOCK_LEN], struct mq_err *err)
{
	size_t done = 0;

	while (done < MQ_IDS_BLOCK_LEN) {
		ssize_t n = mq_sys->pread(fd, ret + done, MQ_IDS_BLOCK_LEN - done, block * MQ_IDS_BLOCK_LEN + done);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return mq_err_sys(err, (int)n, "cannot read a file of ids");
		if (n == 0)
			return mq_err_set(err, MQ_EDAMAGE, "a file of ids is cut short");
		done += (size_t)n;
	}
	return 0;
}

int mq_once_file_open(struct mq_once_file *f, int dir, const struct mq_ids_header *expected, struct mq_err *err)
{
	char name[MQ_IDS_NAME_MAX];
	uint8_t raw[MQ_IDS_BLOCK_LEN];
	int rc;

	mq_ids_name(expected->start, expected->end, name);
	f->fd = mq_sys->openat(dir, name, O_RDONLY, 0);
	if (f->fd < 0)
		return mq_err_sys(err, f->fd, "cannot open %s", name);
	rc = read_block(f->fd, 0, raw, err);
	if (rc == 0)
		rc = mq_ids_header_decode(raw, &f->h);
	if (rc == 0 && (f->h.start != expected->start || f->h.end != expected->end || f->h.partition != expected->partition ||
	                memcmp(f->h.topic_id, expected->topic_id, sizeof f->h.topic_id) != 0))
		rc = MQ_EDAMAGE;
	if (rc < 0) {
		mq_once_file_release(f);
		return mq_err_set(err, rc, "%s does not verify", name);
	}
	return 0;
}

void mq_once_file_release(struct mq_once_file *f)
{
	if (f->fd >= 0)
		(void)mq_sys->close(f->fd);
	f->fd = -1;
}

static int load(struct mq_once_file *f, uint64_t number, struct mq_ids_entry ret[MQ_IDS_PER_BLOCK], struct mq_err *err)
{
	uint8_t raw[MQ_IDS_BLOCK_LEN];
	int rc = read_block(f->fd, number + 1, raw, err);

	if (rc < 0)
		return rc;
	rc = mq_ids_block_decode(&f->h, number, raw, ret);
	return rc < 0 ? mq_err_set(err, rc, "block %llu of a file of ids does not verify", (unsigned long long)number + 1) : rc;
}

int mq_once_walk_next(struct mq_once_walk *w, struct mq_ids_entry *ret, struct mq_err *err)
{
	if (w->at == w->n) {
		int rc = w->number < mq_ids_blocks(&w->f->h) ? load(w->f, w->number, w->entries, err) : 0;

		if (rc <= 0)
			return rc;
		w->number++;
		w->n = (uint32_t)rc;
		w->at = 0;
	}
	*ret = w->entries[w->at++];
	return 1;
}

/* Of the blocks the first whose last entry is not below it, halving. */
int mq_once_walk_seek(struct mq_once_walk *w, struct mq_once_file *f, const struct mq_ids_entry *from, struct mq_err *err)
{
	uint64_t lo = 0, hi = mq_ids_blocks(&f->h);

	*w = (struct mq_once_walk){.f = f};
	while (lo < hi) {
		uint64_t at = lo + (hi - lo) / 2;
		int n = load(f, at, w->entries, err);

		if (n < 0)
			return n;
		if (mq_ids_order(&w->entries[n - 1], from) < 0)
			lo = at + 1;
		else
			hi = at;
	}
	w->number = lo + 1;
	if (lo == mq_ids_blocks(&f->h))
		return 0;
	int n = load(f, lo, w->entries, err);
	if (n < 0)
		return n;
	w->n = (uint32_t)n;
	while (w->at < w->n && mq_ids_order(&w->entries[w->at], from) < 0)
		w->at++;
	return 0;
}

/* ---- finding ---- */
struct find {
	uint64_t lo, hi;           /* the first block whose last entry is not below the hash is one of lo … hi */
	uint64_t lo_hash, hi_hash; /* hashes of entries in between are none beyond these */
	unsigned guesses;
};

/* Where the hash would be if all lay evenly; every third time the middle, so that it ends soon whatever they do. */
static uint64_t guess(struct find *s, uint64_t hash)
{
	uint64_t n = s->hi - s->lo, at;

	if (s->guesses++ % 3 == 2 || hash < s->lo_hash || hash > s->hi_hash)
		return s->lo + n / 2;
	at = (uint64_t)((double)(hash - s->lo_hash) / ((double)(s->hi_hash - s->lo_hash) + 1) * (double)n);
	return s->lo + (at < n ? at : n - 1);
}

/* The first block that may hold it; entries are its, *ret_n of them where it was loaded already, else 0. */
static int find_block(struct mq_once_file *f, uint64_t hash, struct mq_ids_entry entries[MQ_IDS_PER_BLOCK], uint64_t *ret,
                      uint32_t *ret_n, struct mq_err *err)
{
	struct find s = {.hi = mq_ids_blocks(&f->h), .hi_hash = UINT64_MAX};

	*ret_n = 0;
	while (s.lo < s.hi) {
		uint64_t at = guess(&s, hash);
		int n = load(f, at, entries, err);

		if (n < 0)
			return n;
		if (entries[n - 1].hash < hash) {
			s.lo = at + 1;
			s.lo_hash = entries[n - 1].hash;
		} else if (entries[0].hash >= hash && at > s.lo) {
			s.hi = at;
			s.hi_hash = entries[0].hash;
		} else {
			*ret_n = (uint32_t)n;
			s.lo = s.hi = at;
		}
	}
	*ret = s.lo;
	return 0;
}

int mq_once_file_find(struct mq_once_file *f, uint64_t hash, int (*fn)(void *arg, uint64_t offset), void *arg,
                      struct mq_err *err)
{
	struct mq_once_walk w = {.f = f};
	struct mq_ids_entry e;
	int rc = find_block(f, hash, w.entries, &w.number, &w.n, err);

	if (rc < 0)
		return rc;
	w.number += w.n > 0;
	while ((rc = mq_once_walk_next(&w, &e, err)) > 0 && e.hash <= hash)
		if (e.hash == hash && (rc = fn(arg, e.offset)) != 0)
			return rc;
	return rc < 0 ? rc : 0;
}

/* ---- writing ---- */
struct writer {
	int dir, fd;
	char tmp[32];
	struct mq_ids_header h;
	uint64_t blocks;
	struct mq_ids_entry entries[MQ_IDS_PER_BLOCK];
	uint32_t n;
};

static int write_block(struct writer *w, uint64_t block, const uint8_t bytes[MQ_IDS_BLOCK_LEN], struct mq_err *err)
{
	size_t done = 0;

	while (done < MQ_IDS_BLOCK_LEN) {
		ssize_t n = mq_sys->pwrite(w->fd, bytes + done, MQ_IDS_BLOCK_LEN - done, block * MQ_IDS_BLOCK_LEN + done);

		if (n < 0 && n != -EINTR)
			return mq_err_sys(err, (int)n, "cannot write a file of ids");
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int flush(struct writer *w, struct mq_err *err)
{
	uint8_t raw[MQ_IDS_BLOCK_LEN];

	if (w->n == 0)
		return 0;
	mq_ids_block_encode(&w->h, w->blocks, w->entries, w->n, raw);
	w->h.count += w->n;
	w->n = 0;
	return write_block(w, ++w->blocks, raw, err);
}

static int add(struct writer *w, const struct mq_ids_entry *e, struct mq_err *err)
{
	w->entries[w->n++] = *e;
	return w->n == MQ_IDS_PER_BLOCK ? flush(w, err) : 0;
}

static int begin(struct writer *w, int dir, unsigned mode, const struct mq_ids_header *h, struct mq_err *err)
{
	int rc = mq_random_name(".tmp-", w->tmp, err);

	w->dir = dir;
	w->h = *h;
	w->h.count = 0;
	w->blocks = w->n = 0;
	if (rc < 0)
		return rc;
	w->fd = mq_sys->openat(dir, w->tmp, O_RDWR | O_CREAT | O_EXCL, mode);
	if (w->fd < 0)
		return mq_err_sys(err, w->fd, "cannot make a file of ids");
	rc = mq_sys->fchmod(w->fd, mode);
	if (rc < 0) {
		mq_err_sys(err, rc, "cannot make a file of ids");
		(void)mq_sys->close(w->fd);
		(void)mq_sys->unlinkat(dir, w->tmp, false);
	}
	return rc;
}

/* rc: how it went so far.  Whoever made the same file of the same records was as right. */
static int end(struct writer *w, int rc, struct mq_err *err)
{
	uint8_t raw[MQ_IDS_BLOCK_LEN];
	char name[MQ_IDS_NAME_MAX];

	mq_ids_name(w->h.start, w->h.end, name);
	if (rc == 0)
		rc = flush(w, err);
	if (rc == 0) {
		mq_ids_header_encode(&w->h, raw);
		rc = write_block(w, 0, raw, err);
	}
	if (rc == 0) {
		rc = mq_sys->fdatasync(w->fd);
		if (rc == 0)
			rc = mq_sys->renameat(w->dir, w->tmp, w->dir, name, true);
		if (rc < 0)
			mq_err_sys(err, rc, "cannot give %s its name", name);
	}
	(void)mq_sys->close(w->fd);
	if (rc < 0)
		(void)mq_sys->unlinkat(w->dir, w->tmp, false); /* a stray that stays is told by mq-check */
	return rc;
}

int mq_once_file_write(int dir, unsigned mode, const struct mq_ids_header *h, const struct mq_ids_entry *entries, size_t n,
                       struct mq_err *err)
{
	struct writer w;
	int rc = begin(&w, dir, mode, h, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add(&w, &entries[i], err);
	return end(&w, rc, err);
}

/* The lesser of the two that come next, which moves on.  1, 0 at both ends. */
static int next_of(struct mq_once_walk walks[2], struct mq_ids_entry heads[2], int have[2], struct mq_ids_entry *ret,
                   struct mq_err *err)
{
	for (int i = 0; i < 2; i++)
		if (have[i] < 0 && (have[i] = mq_once_walk_next(&walks[i], &heads[i], err)) < 0)
			return have[i];
	if (!have[0] && !have[1])
		return 0;
	int i = !have[0] || (have[1] && mq_ids_order(&heads[1], &heads[0]) < 0);
	*ret = heads[i];
	have[i] = -1; /* not looked at */
	return 1;
}

int mq_once_file_merge(int dir, unsigned mode, struct mq_once_file *low, struct mq_once_file *high, uint64_t floor,
                       struct mq_err *err)
{
	struct mq_once_walk walks[2] = {{.f = low}, {.f = high}};
	struct mq_ids_entry heads[2], e;
	struct mq_ids_header h = low->h;
	struct writer w;
	int have[2] = {-1, -1}, rc;

	h.end = high->h.end;
	rc = begin(&w, dir, mode, &h, err);
	if (rc < 0)
		return rc;
	while ((rc = next_of(walks, heads, have, &e, err)) > 0)
		if (e.offset >= floor && (rc = add(&w, &e, err)) < 0)
			break;
	return end(&w, rc, err);
}
