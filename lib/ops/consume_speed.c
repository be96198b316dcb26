/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records at the distances from each other at which they were published, or faster or slower, over all partitions at once: each
 * goes when as much of the time has passed, counted from the earliest.  Clocks that went backwards make records that are due.
 */
#include "ops/consume.h"
#include "sys/sys.h"

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* When the next record of f was published: 1; 0: there is none. */
static int next_time(struct mq_consume *c, struct mq_feed *f, int64_t *ret_us)
{
	struct mq_rec r;
	int rc = f->source ? mq_feed_look(c, f) : 0;
	while (rc > 0 && (rc = mq_feed_record(c, f, &r)) == 0)
		rc = mq_feed_look(c, f); /* nothing of that view was wanted */
	if (rc <= 0)
		return rc;
	*ret_us = r.time_us;
	mq_feed_turn(f, r.offset);
	return 1;
}

int mq_speed_begin(struct mq_consume *c)
{
	int64_t us;
	bool some = false;
	for (size_t i = 0; i < c->feeds_n && c->req->speed > 0; i++) {
		int rc = next_time(c, c->feeds[i], &us);
		if (rc < 0)
			return rc;
		if (rc > 0 && (!some || us < c->speed_from_us))
			c->speed_from_us = us;
		some |= rc > 0;
	}
	c->speed_at_ns = now_ns();
	return 0;
}

bool mq_speed_lets(struct mq_consume *c, int64_t time_us)
{
	if (c->req->speed <= 0)
		return true;
	double gap_ns = (double)(time_us - c->speed_from_us) * 1000 / c->req->speed;
	double far_ns = 1e18; /* thirty years: what lies further on is not waited for exactly */
	int64_t due_ns = c->speed_at_ns + (int64_t)(gap_ns < 0 ? 0 : gap_ns < far_ns ? gap_ns : far_ns);
	if (due_ns <= now_ns())
		return true;
	if (!c->pace_until_ns || due_ns < c->pace_until_ns)
		c->pace_until_ns = due_ns;
	return false;
}
