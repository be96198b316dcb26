/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owners evicted, round and round all areas, who go on writing where they were. */
#include "scenario.h"

#include "spool/evict.h"

struct owner {
	struct mq_membership m;
	struct mq_ownership o;
};

static struct pub a;

static void take(struct owner *w)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc;

	ok(mq_membership_join(&w->m, &spool, "g", NULL, &err), &err, "join");
	rc = mq_ownership_take(&w->o, &w->m, &a.topic, 0, 0, &err);
	ok(rc, &err, "take a partition");
	if (rc != 1)
		fail("the partition is taken");
}

static void leave(struct owner *w)
{
	mq_ownership_release(&w->o);
	mq_membership_leave(&w->m);
}

static void commit(struct owner *w, uint64_t offset)
{
	struct mq_err err = MQ_ERR_INIT;

	note("commit g t 0 %llu", (unsigned long long)offset);
	ok(mq_ownership_commit(&w->o, offset, 0, &err), &err, "commit");
}

static void sync_commits(struct owner *w)
{
	struct mq_err err = MQ_ERR_INIT;

	ok(mq_ownership_sync(&w->o, &err), &err, "sync the commits");
	ack("commit g t 0 %llu", (unsigned long long)w->o.commit.offset);
}

/* What stood in the place is durable then, synced before or not. */
static void evict(uint64_t place)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_group_topic g;
	struct mq_eviction who;
	int rc;

	ok(mq_group_topic_open(&g, &a.topic, "g", false, &err), &err, "open the group");
	rc = mq_evict(&g, 0, NULL, false, 0, &who, &err);
	ok(rc, &err, "evict");
	if (rc != 1)
		fail("nobody was evicted");
	mq_group_topic_release(&g);
	ack("commit g t 0 %llu", (unsigned long long)place);
}

/* It had looked just before it was stopped, and so writes and syncs what nobody may ever see. */
static void write_on(struct owner *w, uint64_t offset)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_commit c = w->o.commit;
	uint8_t raw[MQ_SLOT_LEN];
	uint32_t block;
	uint64_t seq;

	c.offset = offset;
	ok(mq_slots_prepare(&w->o.slots, &block, &seq, "late", &err), &err, "write late");
	mq_commit_encode(&c, seq, block, raw);
	ok(mq_slots_write(&w->o.slots, block, seq, raw, "late", &err), &err, "write late");
	ok(mq_slots_sync(&w->o.slots, "late", &err), &err, "sync late");
	if (mq_ownership_look(&w->o, &err) != MQ_EAGAIN)
		fail("who was evicted does not see it");
}

static void an_owner_is_evicted(void)
{
	struct owner first, second;

	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 9, 60);
	note("commit g t 0 0");
	take(&first);
	commit(&first, 1);
	sync_commits(&first);
	commit(&first, 2);
	evict(2);
	write_on(&first, 8);
	take(&second);
	if (second.o.commit.offset != 2 || second.o.generation != 1)
		fail("the next one begins at %llu", (unsigned long long)second.o.commit.offset);
	commit(&second, 3);
	sync_commits(&second);
	write_on(&first, 9);
	commit(&second, 4);
	leave(&first);
	leave(&second);
	pub_close(&a);
}

static void all_areas_are_used(void)
{
	static struct owner all[10];

	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 20, 60);
	note("commit g t 0 0");
	for (uint64_t i = 0; i < 10; i++) {
		take(&all[i]);
		if (all[i].o.commit.offset != i)
			fail("generation %llu begins at %llu", (unsigned long long)i, (unsigned long long)all[i].o.commit.offset);
		commit(&all[i], i + 1);
		evict(i + 1);
		write_on(&all[i], 20);
		if (i > 0)
			leave(&all[i - 1]);
	}
	leave(&all[9]);
	pub_close(&a);
}

const struct scenario scenarios_evict[] = {
	{"an-owner-is-evicted", an_owner_is_evicted},
	{"all-areas-are-used", all_areas_are_used},
	{NULL, NULL},
};
