/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A consistent ring of 2^64 positions (Karger and others, 1997).  Not the nodes are kept, of which there may be a million, but the
 * partitions, sorted: each node is a candidate for the last partition at or before it, and what is nobody's then takes the owner
 * of the next partition.
 *
 * All members compute it, of whatever version: the positions are fixed for good.  They are the outputs of SplitMix64 (Steele, Lea, Flood,
 * OOPSLA 2014) seeded with FNV-1a of "TOPIC\0" for partitions (output number p) and of "TOPIC\0NAME\0" for a member's virtual nodes.
 */
#include <errno.h>
#include <stdlib.h>

#include "spool/assign_internal.h"

struct point {
	uint64_t at;
	uint32_t partition;
	int32_t member;   /* -1: no node between here and the next point */
	uint64_t away;    /* how far behind the point its nearest node is */
};

static const uint64_t FNV_BASIS = UINT64_C(0xcbf29ce484222325), FNV_PRIME = UINT64_C(0x100000001b3);
static const uint64_t GAMMA = UINT64_C(0x9e3779b97f4a7c15);

/* With the NUL at its end, so that ("ab", "c") is not ("a", "bc"). */
static uint64_t fnv1a(uint64_t h, const char *text)
{
	do
		h = (h ^ (uint8_t)*text) * FNV_PRIME;
	while (*text++);
	return h;
}

static uint64_t position(uint64_t seed, uint32_t i)
{
	uint64_t z = seed + (i + UINT64_C(1)) * GAMMA;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int by_position(const void *a, const void *b)
{
	const struct point *x = a, *y = b;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (x->partition > y->partition) - (x->partition < y->partition);
}

/* The last point at or before `at`: for one before all of them that is the last of all, round the ring. */
static struct point *before(struct point *points, uint32_t n, uint64_t at)
{
	uint32_t low = 0, high = n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (points[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return &points[low ? low - 1 : n - 1];
}

/* Of two nodes at one position the first member's counts, whichever else are there. */
static void place_nodes(const struct mq_assign_case *c, const struct mq_assign_share *s, uint64_t topic, struct point *points)
{
	for (uint32_t i = 0; i < s->n_members; i++) {
		uint64_t seed = fnv1a(topic, c->members[s->member[i]].name);
		for (uint32_t node = 0; node < (uint32_t)c->conf->virtual_nodes; node++) {
			uint64_t at = position(seed, node);
			struct point *point = before(points, s->n_partitions, at);
			if (point->member < 0 || at - point->at < point->away) {
				point->member = (int32_t)s->member[i];
				point->away = at - point->at;
			}
		}
	}
}

int mq_assign_ring(struct mq_assign_case *c, const struct mq_assign_share *s, const char *name, uint32_t first)
{
	uint32_t n = s->n_partitions;
	uint64_t topic = fnv1a(FNV_BASIS, name);
	int32_t member = -1;

	if (!n)
		return 0;
	struct point *points = malloc(n * sizeof *points);
	if (!points)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		points[i] = (struct point){position(topic, s->partition[i] - first), s->partition[i], -1, 0};
	qsort(points, n, sizeof *points, by_position);
	place_nodes(c, s, topic, points);
	for (uint32_t i = 2 * n; i-- > 0;) { /* the first time round finds whose the last points are */
		if (points[i % n].member >= 0)
			member = points[i % n].member;
		c->owner[points[i % n].partition] = member;
	}
	free(points);
	return 0;
}
