/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/sorted_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spool/dirs.h"
#include "sys/sys.h"

enum { NAMES_MAX = 4096 };

struct range {
	uint64_t start, end;
};

struct ranges {
	struct range *v;
	size_t n, cap;
};

static int gather(void *arg, const char *name)
{
	struct ranges *all = arg;
	struct range r;

	if (!mq_ids_name_parse(name, &r.start, &r.end))
		return 0;
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 16;
		struct range *v = cap > NAMES_MAX ? NULL : realloc(all->v, cap * sizeof *v);

		if (!v)
			return -ENOMEM;
		all->v = v;
		all->cap = cap;
	}
	all->v[all->n++] = r;
	return 0;
}

/* By their starts, of one start the longest first. */
static int compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end > y->end ? -1 : x->end < y->end;
}

static void remove_range(const struct mq_sorted_files *o, const struct range *r)
{
	char name[MQ_IDS_NAME_MAX];

	mq_ids_name(r->start, r->end, name);
	(void)mq_sys->unlinkat(o->dir, name, false); /* one that stays is found again */
}

static struct mq_ids_header expected(const struct mq_sorted_files *o, uint64_t start, uint64_t end)
{
	struct mq_ids_header h = {.partition = o->partition, .start = start, .end = end};

	memcpy(h.topic_id, o->topic->conf.id, sizeof h.topic_id);
	return h;
}

/* 1: it is open.  0: it is gone, or none. */
static int take(struct mq_sorted_files *o, const struct range *r, struct mq_err *err)
{
	struct mq_ids_header h = expected(o, r->start, r->end);
	struct mq_err why = MQ_ERR_INIT;
	int rc;

	if (o->n == MQ_SORTED_FILES_MAX)
		return mq_err_set(err, MQ_EAGAIN, "%s: more than %d sorted files beside the log%s%s", o->topic->name, MQ_SORTED_FILES_MAX,
		                  o->advice ? ": " : "", o->advice ? o->advice : "");
	rc = mq_once_file_open(&o->v[o->n], o->dir, &h, &why);
	if (rc == 0) {
		o->n++;
		return 1;
	}
	if (rc == MQ_EDAMAGE)
		remove_range(o, r);
	if (rc == -ENOENT || rc == MQ_EDAMAGE)
		return 0;
	if (err)
		*err = why;
	return rc;
}

static int choose(struct mq_sorted_files *o, const struct ranges *all, uint64_t *ret_end, struct mq_err *err)
{
	uint64_t log_start = o->log_start, at = o->wanted >> o->unit_log2 << o->unit_log2, start_of_first = at;

	for (size_t i = 0; i < all->n; i++) {
		const struct range *r = &all->v[i];
		int rc = 0;

		if (r->end <= log_start || r->end <= at)
			remove_range(o, r); /* none of it is wanted; or a greater one was just taken */
		else if (r->start <= at && (r->start == at || at == start_of_first))
			rc = take(o, r, err);
		if (rc < 0)
			return rc;
		if (rc > 0)
			at = r->end;
	}
	*ret_end = at > log_start ? at : log_start;
	return 0;
}

int mq_sorted_files_load(struct mq_sorted_files *o, uint64_t *ret_end, struct mq_err *err)
{
	struct ranges all = {0};
	int rc = mq_dir_each(o->dir, gather, &all, err);

	mq_sorted_files_release(o);
	if (rc == -ENOMEM)
		mq_err_set(err, rc, "%s: no memory for the names of its sorted files", o->topic->name);
	if (rc == 0 && all.n > 0)
		qsort(all.v, all.n, sizeof *all.v, compare);
	if (rc == 0)
		rc = choose(o, &all, ret_end, err);
	free(all.v);
	return rc;
}

int mq_sorted_files_cut(struct mq_sorted_files *o, struct mq_cursor *c, uint64_t *end, struct mq_err *err)
{
	int rc = 0;

	for (int i = 0; rc == 0 && o->n > 0 && *end > c->visible_offset && i < MQ_SORTED_FILES_MAX; i++) {
		rc = mq_cursor_refresh(c, err); /* or it was made since */
		if (rc == 0 && *end > c->visible_offset) {
			mq_sorted_files_remove(o, o->n - 1);
			rc = mq_sorted_files_load(o, end, err);
		}
	}
	return rc;
}

void mq_sorted_files_release(struct mq_sorted_files *o)
{
	while (o->n > 0)
		mq_once_file_release(&o->v[--o->n]);
}

void mq_sorted_files_remove(struct mq_sorted_files *o, size_t i)
{
	remove_range(o, &(struct range){o->v[i].h.start, o->v[i].h.end});
}

/* ---- making ---- */
/* 1: [start - size, start) is there, and made one with it. */
static int merge(struct mq_sorted_files *o, uint64_t start, uint64_t size, struct mq_err *err)
{
	struct mq_ids_header low = expected(o, start - size, start), high = expected(o, start, start + size);
	struct mq_once_file files[2] = {{.fd = -1}, {.fd = -1}};
	struct mq_err why = MQ_ERR_INIT;
	int rc = mq_once_file_open(&files[0], o->dir, &low, &why);

	if (rc == 0)
		rc = mq_once_file_open(&files[1], o->dir, &high, &why);
	if (rc == 0)
		rc = mq_once_file_merge(o->dir, o->topic->spool->file_mode, &files[0], &files[1], o->floor, &why);
	for (int i = 0; i < 2; i++)
		if (files[i].fd >= 0)
			mq_once_file_release(&files[i]);
	if (rc == 0) {
		remove_range(o, &(struct range){low.start, low.end});
		remove_range(o, &(struct range){high.start, high.end});
		return 1;
	}
	if (rc == -ENOENT || rc == MQ_EDAMAGE) /* expired, or another member was quicker; or what is wrong shows when it is looked up in */
		return 0;
	if (err)
		*err = why;
	return rc;
}

int mq_sorted_files_add(struct mq_sorted_files *o, uint64_t end, const struct mq_ids_entry *entries, size_t n, struct mq_err *err)
{
	uint64_t size = UINT64_C(1) << o->unit_log2, start = end - size;
	struct mq_ids_header h = expected(o, start, end);
	int rc = mq_once_file_write(o->dir, o->topic->spool->file_mode, &h, entries, n, err);

	for (int level = 0; rc == 0 && level < (int)o->level_max && start & size; level++) {
		int merged = merge(o, start, size, err);

		if (merged <= 0)
			return merged;
		start -= size;
		size *= 2;
	}
	return rc;
}
