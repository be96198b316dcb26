/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/claims_ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void mq_claims_ranges_init(struct mq_claims_ranges *r, uint64_t base)
{
	*r = (struct mq_claims_ranges){.base = base};
}

void mq_claims_ranges_release(struct mq_claims_ranges *r)
{
	free(r->v);
	mq_claims_ranges_init(r, 0);
}

uint64_t mq_claims_top(const struct mq_claims_ranges *r)
{
	return r->n > 0 ? r->v[r->n - 1].to : r->base;
}

/* ---- changing ---- */
/* One slot adds two borders and a gap below it at most. */
static int reserve(struct mq_claims_ranges *r)
{
	size_t cap = r->cap ? 2 * r->cap : 64;
	struct mq_claims_range *v;

	if (r->n + 4 <= r->cap)
		return 0;
	v = realloc(r->v, cap * sizeof *v);
	if (!v)
		return -ENOMEM;
	r->v = v;
	r->cap = cap;
	return 0;
}

/* The first range that ends behind the offset; n: none. */
static size_t find(const struct mq_claims_ranges *r, uint64_t offset)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->v[mid].to > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static void grow(struct mq_claims_ranges *r, uint64_t to)
{
	uint64_t top = mq_claims_top(r);

	if (to > top)
		r->v[r->n++] = (struct mq_claims_range){.from = top, .to = to, .state = MQ_CLAIMS_FREE};
}

/* A border at this offset; the range behind it. */
static size_t split(struct mq_claims_ranges *r, uint64_t offset)
{
	size_t i = find(r, offset);

	if (i == r->n || r->v[i].from >= offset)
		return i;
	memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof *r->v);
	r->n++;
	r->v[i].to = r->v[i + 1].from = offset;
	return i + 1;
}

static bool is_alike(const struct mq_claims_range *a, const struct mq_claims_range *b)
{
	if (a->state != b->state)
		return false;
	return a->state == MQ_CLAIMS_DONE || (a->attempt == b->attempt && (a->state == MQ_CLAIMS_FREE || a->member == b->member));
}

/* Neighbours that became alike, from i on up to j, are one. */
static void join(struct mq_claims_ranges *r, size_t i, size_t j)
{
	size_t at = i > 0 ? i - 1 : 0, end = j + 1 < r->n ? j + 1 : r->n, to = at;

	for (size_t k = at + 1; k < end; k++) {
		if (is_alike(&r->v[to], &r->v[k]))
			r->v[to].to = r->v[k].to;
		else
			r->v[++to] = r->v[k];
	}
	if (to + 1 < end) {
		memmove(r->v + to + 1, r->v + end, (r->n - end) * sizeof *r->v);
		r->n -= end - to - 1;
	}
	if (r->n > 0 && r->v[0].state == MQ_CLAIMS_DONE) {
		r->base = r->v[0].to;
		memmove(r->v, r->v + 1, --r->n * sizeof *r->v);
	}
}

static void put(struct mq_claims_ranges *r, struct mq_claims_range *v, enum mq_claims_state state, uint64_t member, uint16_t attempt)
{
	uint64_t n = v->to - v->from;

	r->taken -= v->state == MQ_CLAIMS_TAKEN ? n : 0;
	r->taken += state == MQ_CLAIMS_TAKEN ? n : 0;
	v->state = state;
	v->member = state == MQ_CLAIMS_TAKEN ? member : 0;
	v->attempt = state == MQ_CLAIMS_DONE ? 0 : attempt;
}

/* What a slot makes of one range. */
static void change(struct mq_claims_ranges *r, struct mq_claims_range *v, const struct mq_claim *c)
{
	bool theirs = v->state == MQ_CLAIMS_TAKEN && v->member == c->member;

	switch (c->kind) {
	case MQ_CLAIM_TAKEN:
		if (v->state != MQ_CLAIMS_DONE)
			put(r, v, MQ_CLAIMS_TAKEN, c->member, c->attempt);
		break;
	case MQ_CLAIM_DONE: /* of one whose claim is lost, too */
		if (v->state != MQ_CLAIMS_TAKEN || theirs || !c->member)
			put(r, v, MQ_CLAIMS_DONE, 0, 0);
		break;
	default:
		if (theirs || (!c->member && v->state != MQ_CLAIMS_DONE))
			put(r, v, MQ_CLAIMS_FREE, 0, c->attempt);
	}
}

int mq_claims_apply(struct mq_claims_ranges *r, const struct mq_claim *c)
{
	uint64_t from = c->offset > r->base ? c->offset : r->base, to = c->offset + c->count;
	size_t i, j;

	if (c->kind > MQ_CLAIM_RELEASED || to <= from)
		return 0;
	if (reserve(r) < 0)
		return -ENOMEM;
	grow(r, to);
	i = split(r, from);
	j = split(r, to);
	for (size_t k = i; k < j; k++)
		change(r, &r->v[k], c);
	join(r, i, j);
	return 0;
}

int mq_claims_raise(struct mq_claims_ranges *r, uint64_t base)
{
	struct mq_claim all = {.kind = MQ_CLAIM_DONE, .offset = r->base, .count = base - r->base};

	return base > r->base ? mq_claims_apply(r, &all) : 0;
}

void mq_claims_let_all_go(struct mq_claims_ranges *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].state == MQ_CLAIMS_TAKEN)
			put(r, &r->v[i], MQ_CLAIMS_FREE, 0, r->v[i].attempt);
	if (r->n > 0)
		join(r, 0, r->n);
}

/* ---- looking ---- */
bool mq_claims_full(const struct mq_claims_ranges *r)
{
	return r->n + r->taken >= MQ_CLAIMS_MAX;
}

bool mq_claims_lowest(const struct mq_claims_ranges *r, uint64_t *ret_from, uint64_t *ret_to, uint16_t *ret_attempt)
{
	bool full = mq_claims_full(r);
	size_t i = 0, end = full && r->n > 1 ? 1 : r->n;

	while (i < end && r->v[i].state != MQ_CLAIMS_FREE)
		i++;
	if (i < end) {
		*ret_from = r->v[i].from;
		*ret_to = full ? *ret_from + 1 : r->v[i].to;
		*ret_attempt = r->v[i].attempt;
		return true;
	}
	*ret_from = mq_claims_top(r);
	*ret_to = UINT64_MAX;
	*ret_attempt = 0;
	return !full;
}

const struct mq_claims_range *mq_claims_at(const struct mq_claims_ranges *r, uint64_t offset)
{
	size_t i = find(r, offset);

	return i < r->n && r->v[i].from <= offset ? &r->v[i] : NULL;
}

uint64_t mq_claims_of(const struct mq_claims_ranges *r, uint64_t member)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->v[i].state == MQ_CLAIMS_TAKEN && r->v[i].member == member ? r->v[i].to - r->v[i].from : 0;
	return n;
}

uint64_t mq_claims_done_above(const struct mq_claims_ranges *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->v[i].state == MQ_CLAIMS_DONE ? r->v[i].to - r->v[i].from : 0;
	return n;
}
