/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A group's place is set by hand: what was acknowledged beside the old one counts no more. */
#include "scenario.h"

#include "api/mq.h"
#include "spool/acks_file.h"
#include "spool/owner.h"

static struct pub a;
static struct mq *mq;
static unsigned times;

static int heard(void *arg, const struct mq_seek_move *m)
{
	(void)arg;
	(void)m;
	return 0;
}

static void seek(const char *to, uint64_t offset)
{
	note("seeks g t 0 %llu", (unsigned long long)offset);
	note("commit g t 0 %llu", (unsigned long long)offset);
	if (mq_group_seek(mq, "g", "t", 0, to, false, false, heard, NULL) < 0)
		fail("seek: %s", mq_why(mq));
	ack("commit g t 0 %llu", (unsigned long long)offset);
	ack("sought g t 0 %llu %u", (unsigned long long)offset, ++times);
}

/* A member commits, and a stranger acknowledges a record above that. */
static void work(uint64_t place, uint64_t above)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_membership m;
	struct mq_ownership o;
	int rc;

	ok(mq_membership_join(&m, &spool, "g", NULL, &err), &err, "join");
	rc = mq_ownership_take(&o, &m, &a.topic, 0, 0, &err);
	ok(rc, &err, "take a partition");
	if (rc != 1)
		fail("the partition is taken");
	note("commit g t 0 %llu", (unsigned long long)place);
	ok(mq_ownership_commit(&o, place, 0, &err), &err, "commit");
	ok(mq_ownership_sync(&o, &err), &err, "sync the commit");
	ack("commit g t 0 %llu", (unsigned long long)place);
	ok(mq_acks_add(o.g, 0, &o.commit, &above, 1, &(size_t){0}, &err), &err, "acknowledge");
	ack("outside g t 0 %llu", (unsigned long long)above);
	mq_ownership_release(&o);
	mq_membership_leave(&m);
}

static void a_place_is_sought(void)
{
	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 6, 60);
	mq = session();
	note("commit g t 0 0");
	work(2, 5);
	seek("1", 1);
	work(2, 4);
	seek("end", 6);
	seek("beginning", 0);
	mq_free(mq);
	pub_close(&a);
}

const struct scenario scenarios_seek[] = {
    {"a-place-is-sought", a_place_is_sought},
    {NULL, NULL},
};
