/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known to wait no more: bounds of deliveries, and offsets that were cancelled. */
#include "spool/room.h"

static struct mq_room_bound *bounds_of(const struct mq_waiting_room *r, size_t *ret_n)
{
	*ret_n = r->bounds.len / sizeof(struct mq_room_bound);
	return (struct mq_room_bound *)(void *)r->bounds.p;
}

static struct mq_room_gone *gone_of(const struct mq_waiting_room *r, size_t *ret_n)
{
	*ret_n = r->gone.len / sizeof(struct mq_room_gone);
	return (struct mq_room_gone *)(void *)r->gone.p;
}

/* The first that is not below the offset. */
static size_t find_gone(const struct mq_waiting_room *r, uint64_t offset)
{
	size_t n, lo = 0;
	const struct mq_room_gone *v = gone_of(r, &n);

	while (lo < n) {
		size_t at = lo + (n - lo) / 2;

		if (v[at].offset < offset)
			lo = at + 1;
		else
			n = at;
	}
	return lo;
}

bool mq_room_is_gone(const struct mq_waiting_room *r, const struct mq_ids_entry *e)
{
	size_t n, at = find_gone(r, e->offset);
	const struct mq_room_gone *gone = gone_of(r, &n);

	if (at < n && gone[at].offset == e->offset)
		return true;
	const struct mq_room_bound *b = bounds_of(r, &n);
	for (size_t i = 0; i < n; i++)
		if (e->offset < b[i].seen && mq_ids_order(e, &b[i].upto) <= 0)
			return true;
	return false;
}

/* One that saw as much and goes as far makes another superfluous. */
int mq_room_add_bound(struct mq_waiting_room *r, const struct mq_room_bound *b)
{
	size_t n, kept = 0;
	struct mq_room_bound *v = bounds_of(r, &n);

	for (size_t i = 0; i < n; i++) {
		if (v[i].at == b->at)
			return 0;
		if (v[i].seen > b->seen || mq_ids_order(&v[i].upto, &b->upto) > 0 || v[i].at > b->at)
			v[kept++] = v[i];
	}
	r->bounds.len = kept * sizeof *v;
	return mq_buf_add(&r->bounds, b, sizeof *b);
}

int mq_room_add_gone(struct mq_waiting_room *r, uint64_t offset, uint64_t at)
{
	struct mq_room_gone one = {offset, at};
	size_t n, i = find_gone(r, offset);
	const struct mq_room_gone *v = gone_of(r, &n);

	if (i < n && v[i].offset == offset)
		return 0;
	int rc = mq_buf_add(&r->gone, &one, sizeof one);
	struct mq_room_gone *w = gone_of(r, &n);
	for (size_t k = n; rc == 0 && k-- > i + 1;)
		w[k] = w[k - 1];
	if (rc == 0)
		w[i] = one;
	return rc;
}

int mq_room_last(const struct mq_waiting_room *r, uint64_t *ret_at)
{
	size_t n;
	const struct mq_room_bound *b = bounds_of(r, &n);

	*ret_at = 0;
	for (size_t i = 0; i < n; i++)
		if (b[i].at > *ret_at || i == 0)
			*ret_at = b[i].at;
	return n > 0;
}
