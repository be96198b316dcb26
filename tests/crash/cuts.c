/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cuts.h"

#include <stdlib.h>
#include <string.h>

enum {
	ALL_SUBSETS = 5,  /* pending operations of which every subset is tried */
	WINDOW = 16,      /* else: the last ones, each lost alone, kept alone, and as a prefix */
	SUBSETS = 24,     /* drawn */
	TEARS = 24,
	SHREDS = 12,
	ROTS = 12,
};

struct making {
	const struct disk *d;
	uint32_t *op;
	size_t n;
	uint8_t *kept;
	struct choice c;
	uint32_t number, seed;
	cuts_fn *fn;
	void *arg;
};

static uint32_t draw(struct making *m)
{
	m->seed = m->seed * 1664525u + 1013904223u;
	return m->seed >> 8;
}

static void emit(struct making *m)
{
	m->c.kept = m->kept;
	m->fn(m->arg, &m->c, m->number++, false);
}

static void keep(struct making *m, size_t from, size_t to, bool on)
{
	for (size_t i = from; i < to; i++)
		m->kept[m->op[i]] = on;
}

static void keep_some(struct making *m, uint32_t of_eight)
{
	for (size_t i = 0; i < m->n; i++)
		m->kept[m->op[i]] = draw(m) % 8 < of_eight;
}

static void every_subset(struct making *m)
{
	for (uint32_t mask = 0; mask < 1u << m->n; mask++) {
		for (size_t i = 0; i < m->n; i++)
			m->kept[m->op[i]] = mask >> i & 1;
		emit(m);
	}
}

static void chosen_subsets(struct making *m)
{
	size_t first = m->n - WINDOW;

	if (m->n < WINDOW)
		first = 0;
	keep(m, 0, m->n, true);
	emit(m);
	for (size_t i = first; i < m->n; i++) { /* one lost */
		m->kept[m->op[i]] = 0;
		emit(m);
		m->kept[m->op[i]] = 1;
	}
	keep(m, 0, m->n, false);
	emit(m);
	for (size_t i = first; i < m->n; i++) { /* one kept */
		m->kept[m->op[i]] = 1;
		emit(m);
		m->kept[m->op[i]] = 0;
	}
	keep(m, 0, first, true);
	for (size_t i = first; i < m->n; i++) { /* the first ones kept */
		emit(m);
		m->kept[m->op[i]] = 1;
	}
	for (uint32_t i = 0; i < SUBSETS; i++) {
		keep_some(m, 1 + i % 7);
		emit(m);
	}
}

/* What no subset of whole operations gives. */
static void tears(struct making *m)
{
	for (uint32_t i = 0; i < TEARS; i++) {
		keep_some(m, 4);
		m->c.tear = draw(m) | 1;
		m->c.size_first = i % 3 == 2;
		emit(m);
	}
	m->c.tear = 0;
	for (uint32_t i = 0; i < SHREDS; i++) {
		if (i % 2)
			keep_some(m, 6);
		else
			keep(m, 0, m->n, true);
		m->c.shred = draw(m) | 1;
		emit(m);
	}
	m->c.shred = 0;
	for (uint32_t i = 0; i < 4; i++) { /* the size came before the data: zeros, or an older life of the blocks */
		keep_some(m, i < 2 ? 0 : 5);
		m->c.size_first = true;
		emit(m);
		m->c.stale = draw(m) | 1;
		emit(m);
		m->c.stale++;
		emit(m);
		m->c.stale = 0;
	}
	m->c.size_first = false;
}

static void rots(struct making *m)
{
	keep(m, 0, m->n, true);
	for (uint32_t i = 1; i <= ROTS; i++) {
		m->c.rot = i <= ROTS / 2 ? i : 1 + draw(m) % 40;
		m->c.stateless = false;
		emit(m);
		m->c.stateless = true;
		emit(m);
	}
	m->c.stateless = false;
	m->c.rot = 0;
}

void cuts_each(const struct disk *d, size_t cut, bool rot, cuts_fn *fn, void *arg)
{
	struct making m = {.d = d, .seed = (uint32_t)cut * 2654435761u + 1, .fn = fn, .arg = arg};

	m.n = disk_pending(d, &m.op);
	m.kept = must(calloc(d->ops + 1, 1));
	if (m.n <= ALL_SUBSETS)
		every_subset(&m);
	else
		chosen_subsets(&m);
	if (m.n > 0)
		tears(&m);
	if (rot)
		rots(&m);
	keep(&m, 0, m.n, true);
	m.c.kept = m.kept;
	fn(arg, &m.c, m.number, true);
	free(m.kept);
	free(m.op);
}
