/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/chain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "log/chain_internal.h"
#include "log/start.h"
#include "sys/sys.h"

void mq_chain_init(struct mq_chain *c)
{
	memset(c, 0, sizeof *c);
}

void mq_chain_release(struct mq_chain *c)
{
	free(c->seg);
	mq_buf_release(&c->stands);
	mq_chain_init(c);
}

struct linux_dirent {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

int mq_chain_each_file(int dir, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	_Alignas(8) char buf[16384];
	/* A descriptor of its own: two lists of one directory must not share a position. */
	int fd = mq_sys->openat(dir, ".", O_RDONLY | O_DIRECTORY, 0), rc = 0;

	if (fd < 0)
		return mq_err_sys(err, fd, "cannot list the partition's directory");
	for (;;) {
		ssize_t n = mq_sys->getdents(fd, buf, sizeof buf);

		if (n < 0)
			rc = mq_err_sys(err, (int)n, "cannot list the partition's directory");
		if (n <= 0)
			break;
		for (ssize_t at = 0; at < n && rc == 0;) {
			const struct linux_dirent *d = (const void *)(buf + at);

			rc = fn(arg, d->d_name);
			at += d->d_reclen;
		}
		if (rc != 0)
			break;
	}
	(void)mq_sys->close(fd);
	return rc;
}

int mq_chain_epoch_cmp(const struct mq_epoch *a, const struct mq_epoch *b)
{
	if (a->election != b->election)
		return a->election < b->election ? -1 : 1;
	return a->incarnation < b->incarnation ? -1 : a->incarnation > b->incarnation;
}

struct mq_segment_header mq_chain_told(const uint8_t topic_id[16], uint32_t partition, const struct mq_tail *t)
{
	struct mq_segment_header h = {.id = t->segment,
	                              .partition = partition,
	                              .base_offset = t->segment_base,
	                              .epoch = t->epoch,
	                              .born_end_pos = MQ_SEGMENT_HEADER_LEN,
	                              .born_end_offset = t->segment_base,
	                              .blind = true};

	memcpy(h.topic_id, topic_id, sizeof h.topic_id);
	return h;
}

/* The same of one that its successor tells of. */
static struct mq_segment_header told_by(const struct mq_segment_header *next)
{
	struct mq_tail t = {.segment = next->pred_id, .segment_base = next->pred_base, .epoch = next->epoch};

	return mq_chain_told(next->topic_id, next->partition, &t);
}

bool mq_chain_siblings(const struct mq_segment_header *a, const struct mq_segment_header *b)
{
	return memcmp(a->topic_id, b->topic_id, sizeof a->topic_id) == 0 && a->partition == b->partition;
}

int mq_chain_foreign(struct mq_err *err)
{
	return mq_err_set(err, MQ_EDAMAGE, "the segments here are another partition's: move them back, and run mq-check");
}

int mq_chain_open(const struct mq_segment_header *h, int dir, bool writable, struct mq_segment *ret, struct mq_err *err)
{
	return h->blind ? mq_segment_open_blind(ret, dir, h, writable, err)
	                : mq_segment_open(ret, dir, h->base_offset, h->id.b, writable, err);
}

static int add_front(struct mq_chain *c, const struct mq_segment_header *h, struct mq_err *err)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 4;
		struct mq_segment_header *p = realloc(c->seg, cap * sizeof *p);

		if (!p)
			return mq_err_set(err, -ENOMEM, "no memory for %zu segments", cap);
		c->seg = p;
		c->cap = cap;
	}
	memmove(c->seg + 1, c->seg, c->n * sizeof *c->seg);
	c->seg[0] = *h;
	c->n++;
	return 0;
}

/* The one that stands for what came before seg[0]: 1, 0 there is none. */
static int step_to_stand_in(struct mq_chain *c, int dir, bool again, struct mq_err *err)
{
	struct mq_segment_header *next = &c->seg[0];
	struct mq_segment s;
	int rc = mq_chain_stand_in(c, dir, next, again, &s, err);

	if (rc <= 0)
		return rc;
	next->pred_id = s.h.id;
	next->pred_base = s.h.base_offset;
	next->pred_end_pos = s.h.born_end_pos;
	rc = add_front(c, &s.h, err);
	mq_segment_release(&s);
	return rc < 0 ? rc : 1;
}

/* What seg[0] names is not there: removed by retention, or lost; whoever knows the log start can tell. */
static int step_over(struct mq_chain *c, int dir, bool by_id, struct mq_err *err)
{
	struct mq_segment_header *next = &c->seg[0];
	int rc;

	if (err)
		err->code = 0, err->text[0] = 0;
	rc = step_to_stand_in(c, dir, true, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = mq_chain_is_replaced(c, dir, next, err);
	if (rc == 1)
		return mq_err_set(err, -ENOENT, "compaction was quicker: look again");
	if (rc == 0 && !by_id)
		rc = mq_chain_guess(dir, next, err);
	c->whole = rc == 0;
	return rc < 0 ? rc : 0;
}

/* One segment more, if there is one.  by_id: none stands in for one that is missing. */
static int step_back(struct mq_chain *c, int dir, bool by_id, struct mq_err *err)
{
	struct mq_segment_header *next = &c->seg[0], told;
	struct mq_segment s;
	int rc = next->blind ? mq_chain_guess(dir, next, err) : 0;

	if (rc < 0)
		return rc;
	if (mq_segment_id_none(&next->pred_id)) {
		c->whole = true;
		return 0;
	}
	rc = step_to_stand_in(c, dir, false, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = mq_segment_open(&s, dir, next->pred_base, next->pred_id.b, false, err);
	if (rc == MQ_EDAMAGE) {
		told = told_by(next);
		rc = mq_segment_open_blind(&s, dir, &told, false, err);
	}
	if (rc == -ENOENT)
		return step_over(c, dir, by_id, err);
	if (rc < 0)
		return rc;
	if (!mq_segment_id_equal(&s.h.id, &next->pred_id) || s.h.base_offset > next->base_offset)
		rc = mq_err_set(err, MQ_EDAMAGE, "segment %s is not the predecessor that its successor names", s.name);
	else
		rc = add_front(c, &s.h, err);
	mq_segment_release(&s);
	return rc;
}

/* ---- the head ---- */
struct head_search {
	int dir;
	const struct mq_segment_header *told;
	struct mq_err *err;
	bool found, tie, bad, told_here, foreign;
	uint64_t bad_base;  /* the highest base of a file whose header does not verify */
	struct mq_segment_header best;
};

static bool is_told(const struct mq_segment_header *told, uint64_t base, const uint8_t id4[4])
{
	return !mq_segment_id_none(&told->id) && told->base_offset == base && memcmp(told->id.b, id4, 4) == 0;
}

static int consider(void *arg, const char *name)
{
	struct head_search *h = arg;
	struct mq_segment s;
	uint64_t base;
	uint8_t id4[4];
	int rc, cmp;

	if (!mq_segment_name_parse(name, "seg", &base, id4))
		return 0;
	rc = mq_segment_open(&s, h->dir, base, id4, false, h->err);
	if (rc == -ENOENT)
		return 0; /* retention was quicker */
	if (rc == MQ_EDAMAGE && is_told(h->told, base, id4)) {
		mq_segment_init(&s);
		s.h = *h->told;
		rc = 0;
	}
	if (rc == MQ_EDAMAGE) { /* harmless below the head: the chain says what it was */
		if (!h->bad || base > h->bad_base)
			h->bad_base = base;
		h->bad = true;
		return 0;
	}
	if (rc < 0)
		return rc;
	if (!mq_chain_siblings(&s.h, h->told)) {
		h->foreign = true;
		mq_segment_release(&s);
		return 0;
	}
	if (s.h.reason == MQ_SEGMENT_COMPACT) { /* what it stands for has a successor */
		mq_segment_release(&s);
		return 0;
	}
	h->told_here |= mq_segment_id_equal(&s.h.id, &h->told->id);
	cmp = mq_chain_epoch_cmp(&s.h.epoch, &h->best.epoch);
	if (cmp == 0)
		cmp = s.h.base_offset < h->best.base_offset ? -1 : s.h.base_offset > h->best.base_offset;
	if (!h->found || cmp > 0) {
		h->best = s.h;
		h->found = true;
		h->tie = false;
	} else if (cmp == 0) {
		h->tie = true;
	}
	mq_segment_release(&s);
	return 0;
}

static bool is_or_stands_for(const struct mq_segment_header *h, const struct mq_segment_header *told)
{
	return mq_segment_id_equal(&h->id, &told->id) ||
	       (h->reason == MQ_SEGMENT_COMPACT && h->base_offset <= told->base_offset && told->base_offset < h->born_end_offset);
}

/* Does the head follow the segment told, one by one?  1, 0.  What lies below the log start may have been removed. */
static int follows(int dir, const struct mq_segment_header *head, const struct mq_segment_header *told, struct mq_err *err)
{
	uint64_t log_start = 0;
	struct mq_chain c;
	bool found = false;
	int rc;

	mq_chain_init(&c);
	rc = add_front(&c, head, err);
	while (rc == 0 && !(found = is_or_stands_for(&c.seg[0], told)) && !c.whole && c.seg[0].base_offset >= told->base_offset)
		rc = step_back(&c, dir, true, err);
	if (rc == 0 && !found)
		rc = mq_start_read(dir, told->topic_id, &log_start, err);
	if (rc == 0)
		rc = found || log_start >= c.seg[0].base_offset;
	mq_chain_release(&c);
	return rc;
}

int mq_chain_find_head(int dir, const struct mq_segment_header *told, struct mq_segment_header *ret, struct mq_err *err)
{
	struct head_search h = {.dir = dir, .told = told, .err = err};
	int rc = mq_chain_each_file(dir, consider, &h, err);

	if (rc < 0)
		return rc;
	if (h.bad && (!h.found || h.bad_base >= h.best.base_offset))
		return mq_err_set(err, MQ_EDAMAGE,
		                  "the segment at offset %llu may be the head, and its header does not verify; run mq-check",
		                  (unsigned long long)h.bad_base);
	if (!h.found && h.foreign)
		return mq_chain_foreign(err);
	if (!h.found)
		return 0;
	if (h.tie)
		return mq_err_set(err, MQ_EDAMAGE,
		                  "two segments claim to be the head at offset %llu; move one away and run mq-check",
		                  (unsigned long long)h.best.base_offset);
	rc = h.told_here ? follows(dir, &h.best, told, err) : 1;
	if (rc == 0)
		rc = mq_err_set(err, MQ_EDAMAGE,
		                "the segment at offset %llu claims to be the head and does not follow the one that state names, at %llu: "
		                "run mq-check, then move away what is not of this log, or state",
		                (unsigned long long)h.best.base_offset, (unsigned long long)told->base_offset);
	if (rc == 1)
		*ret = h.best;
	return rc;
}

int mq_chain_load(struct mq_chain *c, int dir, const struct mq_segment_header *head, uint64_t offset, struct mq_err *err)
{
	int rc;

	c->n = 0;
	c->whole = c->listed = false;
	rc = add_front(c, head, err);
	return rc < 0 ? rc : mq_chain_extend(c, dir, offset, err);
}

int mq_chain_extend(struct mq_chain *c, int dir, uint64_t offset, struct mq_err *err)
{
	int rc = 0;

	while (rc == 0 && !c->whole && c->seg[0].base_offset > offset)
		rc = step_back(c, dir, false, err);
	return rc;
}

int mq_chain_extend_all(struct mq_chain *c, int dir, struct mq_err *err)
{
	int rc = 0;

	while (rc == 0 && !c->whole)
		rc = step_back(c, dir, false, err);
	return rc;
}

size_t mq_chain_find(const struct mq_chain *c, uint64_t offset)
{
	size_t i = c->n - 1;

	while (i > 0 && c->seg[i].base_offset > offset)
		i--;
	return i;
}

uint64_t mq_chain_end_pos(const struct mq_chain *c, size_t i)
{
	return i + 1 < c->n ? c->seg[i + 1].pred_end_pos : UINT64_MAX;
}

uint64_t mq_chain_end_offset(const struct mq_chain *c, size_t i)
{
	return i + 1 < c->n ? c->seg[i + 1].pred_end_offset : UINT64_MAX;
}
