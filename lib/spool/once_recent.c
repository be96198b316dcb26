/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/once_recent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_MIN = 256 };

void mq_once_recent_release(struct mq_once_recent *t)
{
	free(t->slots);
	*t = (struct mq_once_recent){0};
}

static void put(struct mq_once_recent *t, const struct mq_ids_entry *e)
{
	size_t at = (size_t)e->hash & (t->cap - 1);

	while (t->slots[at].offset != UINT64_MAX)
		at = (at + 1) & (t->cap - 1);
	t->slots[at] = *e;
	t->n++;
}

static int make(struct mq_once_recent *t, size_t cap)
{
	t->slots = malloc(cap * sizeof *t->slots);
	if (!t->slots)
		return -ENOMEM;
	memset(t->slots, 0xff, cap * sizeof *t->slots);
	t->cap = cap;
	t->n = 0;
	return 0;
}

/* Those from `start` on in a new table. */
static int rebuild(struct mq_once_recent *t, size_t cap, uint64_t start)
{
	struct mq_once_recent old = *t;

	if (make(t, cap) < 0) {
		*t = old;
		return -ENOMEM;
	}
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].offset != UINT64_MAX && old.slots[i].offset >= start)
			put(t, &old.slots[i]);
	free(old.slots);
	return 0;
}

int mq_once_recent_add(struct mq_once_recent *t, uint64_t hash, uint64_t offset)
{
	const struct mq_ids_entry e = {hash, offset};

	if (t->n >= t->cap / 2 && rebuild(t, t->cap ? 2 * t->cap : CAP_MIN, 0) < 0)
		return -ENOMEM;
	put(t, &e);
	return 0;
}

int mq_once_recent_find(const struct mq_once_recent *t, uint64_t hash, int (*fn)(void *arg, uint64_t offset), void *arg)
{
	int rc = 0;

	for (size_t at = (size_t)hash & (t->cap - 1); t->cap && t->slots[at].offset != UINT64_MAX && rc == 0;
	     at = (at + 1) & (t->cap - 1))
		if (t->slots[at].hash == hash)
			rc = fn(arg, t->slots[at].offset);
	return rc;
}

static int compare(const void *a, const void *b)
{
	return mq_ids_order(a, b);
}

int mq_once_recent_sorted(const struct mq_once_recent *t, uint64_t end, struct mq_ids_entry **ret, size_t *ret_n)
{
	struct mq_ids_entry *all = malloc((t->n + 1) * sizeof *all);
	size_t n = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++)
		if (t->slots[i].offset < end)
			all[n++] = t->slots[i];
	qsort(all, n, sizeof *all, compare);
	*ret = all;
	*ret_n = n;
	return 0;
}

int mq_once_recent_drop(struct mq_once_recent *t, uint64_t start)
{
	return t->cap ? rebuild(t, t->cap, start) : 0;
}
