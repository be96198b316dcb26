/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which files are the log: the head and its predecessors by id.
 *
 * A header that does not verify is no reason to give up what lies behind it: its successor, the tail or a mark
 * tells the id that its batches are sealed with, and the file that came before it is the one of the highest base
 * below.  That one stands in for a predecessor that is missing, too.  Where it ends is then told by offsets alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log/chain.h"
#include "spool/check_internal.h"
#include "sys/sys.h"

void mq_check_segment_name(const struct mq_check_file *f, const char *suffix, char ret[MQ_SEGMENT_NAME_MAX])
{
	struct mq_segment_id id = {{0}};

	memcpy(id.b, f->id4, 4);
	mq_segment_name(f->base, &id, suffix, ret);
}

static int add_file(void *arg, const char *name)
{
	struct mq_check_partition *part = arg;
	struct mq_check_file f = {0};
	struct mq_segment s;
	struct mq_stat st;
	int rc;

	if (!mq_segment_name_parse(name, "seg", &f.base, f.id4))
		return 0;
	rc = mq_sys->statat(part->dir, name, &st);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return mq_err_sys(part->c->err, rc, "%s: cannot look at %s", part->where, name);
	f.size = st.size;
	f.header = mq_segment_open(&s, part->dir, f.base, f.id4, false, part->c->err);
	if (f.header == -ENOENT)
		return 0;
	if (f.header == 0) {
		f.h = s.h;
		f.known = true;
		mq_segment_release(&s);
	} else if (f.header != MQ_EDAMAGE && f.header != MQ_ECONFIG && f.header != -EIO) {
		return f.header;
	}
	if (part->n == part->cap) {
		size_t cap = part->cap ? part->cap * 2 : 16;
		struct mq_check_file *p = realloc(part->file, cap * sizeof *p);

		if (!p)
			return mq_err_set(part->c->err, -ENOMEM, "no memory for %zu segments", cap);
		part->file = p;
		part->cap = cap;
	}
	part->file[part->n++] = f;
	return 0;
}

static int by_base(const void *a, const void *b)
{
	const struct mq_check_file *x = a, *y = b;

	if (x->base != y->base)
		return x->base < y->base ? -1 : 1;
	return memcmp(x->id4, y->id4, 4);
}

/* The full id of a file that shows only four bytes of it. */
static void learn_id(struct mq_check_partition *part, struct mq_check_file *f, const struct mq_segment_id *id)
{
	if (f->known || mq_segment_id_none(id) || memcmp(f->id4, id->b, 4) != 0)
		return;
	f->h = (struct mq_segment_header){.id = *id,
	                                  .base_offset = f->base,
	                                  .partition = part->number,
	                                  .born_end_pos = MQ_SEGMENT_HEADER_LEN,
	                                  .born_end_offset = f->base};
	f->known = true;
}

int mq_check_list(struct mq_check_partition *part)
{
	int rc;

	part->n = 0;
	rc = mq_chain_each_file(part->dir, add_file, part, part->c->err);
	if (rc < 0)
		return rc;
	if (part->n > 1)
		qsort(part->file, part->n, sizeof *part->file, by_base);
	for (size_t i = 0; i < part->n; i++) {
		struct mq_check_file *f = &part->file[i];

		if (part->tail_seq > 0 && part->tail.segment_base == f->base)
			learn_id(part, f, &part->tail.segment);
		for (int m = 0; m < MQ_STATE_MARKS; m++)
			if (part->marks.seq[m] > 0)
				learn_id(part, f, &part->marks.mark[m].segment);
	}
	return 0;
}

/* n where there is none.  A file of bad header is the head where the trusted tail says so, or where none of good header
 * begins behind it. */
static size_t find_head(struct mq_check_partition *part, bool *ret_tie)
{
	size_t best = part->n;

	*ret_tie = false;
	for (size_t i = 0; i < part->n; i++) {
		int cmp;

		if (!mq_check_own(part, &part->file[i]) || part->file[i].h.reason == MQ_SEGMENT_COMPACT)
			continue;
		cmp = best == part->n ? 1 : mq_check_rank(&part->file[i].h, &part->file[best].h);
		if (cmp > 0) {
			best = i;
			*ret_tie = false;
		} else if (cmp == 0) {
			*ret_tie = true;
		}
	}
	for (size_t i = 0; i < part->n; i++) {
		const struct mq_check_file *f = &part->file[i];

		if (f->header == 0 || !f->known)
			continue;
		if (part->trusted ? mq_segment_id_equal(&f->h.id, &part->tail.segment)
		                  : best == part->n || f->base > part->file[best].base)
			best = i;
	}
	return best;
}

bool mq_check_tail_is_head(struct mq_check_partition *part)
{
	bool tie;
	size_t i = find_head(part, &tie);

	return i < part->n && mq_segment_id_equal(&part->file[i].h.id, &part->tail.segment);
}

static int header_bad(struct mq_check_partition *part, struct mq_check_file *f)
{
	char name[MQ_SEGMENT_NAME_MAX];

	mq_check_segment_name(f, "seg", name);
	part->damaged = true;
	if (f->header == MQ_ECONFIG)
		return mq_check_tell(part->c, MQ_CHECK_NEWER, part->where, name, NULL, mq_check_not(part->c, "it is of a newer mq"),
		                     "its header needs a newer mq");
	return mq_check_tell(part->c, MQ_CHECK_DAMAGE, part->where, name,
	                     &(struct mq_check_place){.length = f->size < MQ_SEGMENT_HEADER_LEN ? f->size : MQ_SEGMENT_HEADER_LEN},
	                     mq_check_not(part->c, "segments are never touched"), "the segment's header %s",
	                     f->header == -EIO ? "cannot be read" : f->size < MQ_SEGMENT_HEADER_LEN ? "is cut short" : "does not verify");
}

/* stand_in: another file is read in its place, and where that ends tells which offsets are gone. */
static int missing(struct mq_check_partition *part, const struct mq_check_file *f, bool stand_in, const char *what)
{
	struct mq_check_place at = {.from = part->log_start, .to = f->base};
	char name[MQ_SEGMENT_NAME_MAX];

	if (stand_in)
		at.from = at.to = 0;
	part->damaged = true;
	mq_check_segment_name(f, "seg", name);
	return mq_check_tell(part->c, MQ_CHECK_DAMAGE, part->where, name, &at, mq_check_not(part->c, "segments are never touched"),
	                     "%s", what);
}

/* The file that f names as the one before it; n: it is not there. */
static size_t named(struct mq_check_partition *part, const struct mq_check_file *f)
{
	size_t best = mq_check_compacted(part, f);

	if (best < part->n)
		return best;
	for (size_t i = part->n; i-- > 0;) {
		struct mq_check_file *p = &part->file[i];

		if (p->reached || p->base != f->h.pred_base || p->base > f->base || memcmp(p->id4, f->h.pred_id.b, 4) != 0)
			continue;
		learn_id(part, p, &f->h.pred_id);
		if (mq_segment_id_equal(&p->h.id, &f->h.pred_id))
			return i;
	}
	return part->n;
}

/* The file before f in the log; n: none, and *ret is what to return. */
static size_t predecessor(struct mq_check_partition *part, const struct mq_check_file *f, int *ret)
{
	size_t i = part->n;

	*ret = 0;
	if (f->header == 0 && mq_segment_id_none(&f->h.pred_id))
		return part->n;
	if (f->header == 0)
		i = named(part, f);
	if (i == part->n && part->have_start && part->log_start >= f->base)
		return i; /* removed by retention: the log begins here */
	if (i < part->n) {
		part->file[i].joined = f->joined;
		return i;
	}
	i = mq_check_guess(part, f);
	if (i < part->n)
		part->file[i].joined = f->joined || f->header == 0;
	if (i == part->n && part->start_bad && !part->have_start)
		return i; /* nobody knows whether it was removed, and that is told */
	if (f->header == 0)
		*ret = missing(part, f, i < part->n, "its predecessor is missing");
	else if (i == part->n && f->base > 0)
		*ret = missing(part, f, false, "what came before it is missing");
	return *ret == 0 ? i : part->n;
}

static int take(struct mq_check_partition *part, size_t i)
{
	part->file[i].reached = true;
	memmove(part->chain + 1, part->chain, part->n_chain * sizeof *part->chain);
	part->chain[0] = i;
	part->n_chain++;
	return part->file[i].header == 0 ? 0 : header_bad(part, &part->file[i]);
}

/* Told by state, and its name was durable before that: the head is not of this log, or what lies between is gone. */
static int not_followed(struct mq_check_partition *part, const struct mq_check_file *f)
{
	char name[MQ_SEGMENT_NAME_MAX];

	part->damaged = true;
	mq_check_segment_name(f, "seg", name);
	return mq_check_tell(part->c, MQ_CHECK_DAMAGE, part->where, name, NULL,
	                     mq_check_not(part->c, "move away what is not of this log, or state"),
	                     "state names this segment, and the head does not follow it");
}

static int not_in_log(struct mq_check_partition *part, const struct mq_check_file *f)
{
	const char *why = f->header == 0 && !mq_check_own(part, f) ? ": the segment is another partition's"
	                  : f->header != 0                ? ", and its header does not verify"
	                                                  : "";
	char name[MQ_SEGMENT_NAME_MAX];

	mq_check_segment_name(f, "seg", name);
	return mq_check_tell(part->c, MQ_CHECK_DEAD, part->where, name, &(struct mq_check_place){.length = f->size},
	                     mq_check_not(part->c, "nothing reads it: mq-retain removes it when it is a day old and verifies, else do it by hand"), "the segment is not in the log%s", why);
}

/* Was what came before the oldest segment of the log removed by retention? */
static bool below_start(const struct mq_check_partition *part)
{
	return part->have_start && part->log_start > 0 && part->log_start >= part->file[part->chain[0]].base;
}

/* Files that are not in the log. */
static int rest(struct mq_check_partition *part)
{
	uint64_t head_base = part->n_chain ? part->file[part->chain[part->n_chain - 1]].base : 0;
	int rc = 0;

	for (size_t i = 0; i < part->n && rc == 0; i++) {
		struct mq_check_file *f = &part->file[i];
		bool told = part->tail_seq > 0 && f->known && mq_segment_id_equal(&f->h.id, &part->tail.segment);

		if (f->header == 0 && !f->reached && mq_check_own(part, f) && mq_check_is_replaced(part, f)) {
			mq_check_progress(part->c, f->size);
			continue;
		}
		if (told && part->n_chain > 0 && (f->joined || (!f->reached && !below_start(part))))
			rc = not_followed(part, f);
		if (rc != 0 || f->reached)
			continue;
		mq_check_progress(part->c, f->size);
		if (f->header != 0 && f->base >= head_base)
			rc = header_bad(part, f); /* perhaps the head, and then nothing of it can be verified */
		else
			rc = not_in_log(part, f);
	}
	return rc;
}

/* state names a segment that is not there, and none came after it: retention leaves the last one, and no crash takes away a
 * name that state told of.  A copy may have been made of state alone. */
static int head_gone(struct mq_check_partition *part, const struct mq_check_file *head)
{
	const struct mq_tail *t = &part->tail;
	struct mq_segment_header told = {.base_offset = t->segment_base, .epoch = t->epoch};

	if (part->tail_seq == 0 || part->c->spool->copied || mq_segment_id_equal(&t->segment, &head->h.id) || mq_check_rank(&told, &head->h) <= 0)
		return 0;
	for (size_t i = 0; i < part->n; i++)
		if (part->file[i].known && mq_segment_id_equal(&part->file[i].h.id, &t->segment))
			return 0;
	part->damaged = true;
	return mq_check_tell(part->c, MQ_CHECK_DAMAGE, part->where, NULL, &(struct mq_check_place){.from = t->segment_base, .to = t->next_offset},
	                     mq_check_not(part->c, "restore it, or publish: what was lost is told then"),
	                     "the segment that state names is missing");
}

int mq_check_chain(struct mq_check_partition *part)
{
	bool tie;
	size_t i = find_head(part, &tie);
	int rc = 0;

	part->n_chain = 0;
	part->chain = calloc(part->n + 1, sizeof *part->chain);
	if (!part->chain)
		return mq_err_set(part->c->err, -ENOMEM, "no memory for %zu segments", part->n);
	if (i == part->n) {
		part->damaged = true;
		rc = mq_check_tell(part->c, MQ_CHECK_DAMAGE, part->where, NULL, NULL, mq_check_not(part->c, "restore it from a backup"),
		                   "no segment of this partition is left whose header verifies");
	} else if (tie && !part->trusted) {
		part->damaged = true;
		rc = mq_check_tell(part->c, MQ_CHECK_DAMAGE, part->where, NULL, NULL, mq_check_not(part->c, "move one of them away"),
		                   "two segments claim to be the head at offset %llu", (unsigned long long)part->file[i].base);
	}
	if (rc == 0 && i < part->n)
		rc = head_gone(part, &part->file[i]);
	while (rc == 0 && i < part->n) {
		rc = take(part, i);
		if (rc == 0)
			i = predecessor(part, &part->file[i], &rc);
	}
	return rc != 0 ? rc : rest(part);
}

struct mq_check_end mq_check_end_of(const struct mq_check_partition *part, size_t i)
{
	const struct mq_check_file *f = &part->file[part->chain[i]], *next;

	if (i + 1 == part->n_chain) {
		if (part->trusted && mq_segment_id_equal(&f->h.id, &part->tail.segment))
			return (struct mq_check_end){.pos = part->tail.pos, .offset = part->tail.next_offset, .tail = true};
		return (struct mq_check_end){.pos = f->size, .offset = UINT64_MAX, .open = true};
	}
	next = &part->file[part->chain[i + 1]];
	if (next->header == 0 && f->h.reason == MQ_SEGMENT_COMPACT && mq_chain_joins(&f->h, &next->h))
		return (struct mq_check_end){.pos = f->h.born_end_pos, .offset = next->h.pred_end_offset};
	if (next->header == 0 && mq_segment_id_equal(&next->h.pred_id, &f->h.id))
		return (struct mq_check_end){.pos = next->h.pred_end_pos, .offset = next->h.pred_end_offset};
	return (struct mq_check_end){.pos = UINT64_MAX, .offset = next->base};
}
