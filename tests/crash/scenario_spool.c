/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Topics, groups, producers, the log start. */
#include "scenario.h"

#include <string.h>

static struct pub a;
static struct mq_membership m;
static struct mq_ownership o;

static void begin(void)
{
	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 4, 60);
}

/* ---- groups ---------------------------------------------------------------------------------------- */

static void take(const char *group)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc;

	note("commit %s t 0 0", group);
	ok(mq_membership_join(&m, &spool, group, NULL, &err), &err, "join");
	rc = mq_ownership_take(&o, &m, &a.topic, 0, 0, &err);
	ok(rc, &err, "take a partition");
	if (rc != 1)
		fail("the partition is taken");
}

static void leave(void)
{
	mq_ownership_release(&o);
	mq_membership_leave(&m);
}

static void commit(uint64_t offset)
{
	struct mq_err err = MQ_ERR_INIT;

	note("commit %s t 0 %llu", m.group, (unsigned long long)offset);
	ok(mq_ownership_commit(&o, offset, 0, &err), &err, "commit");
}

static void sync_commits(void)
{
	struct mq_err err = MQ_ERR_INIT;

	ok(mq_ownership_sync(&o, &err), &err, "sync the commits");
	ack("commit %s t 0 %llu", m.group, (unsigned long long)o.commit.offset);
}

static void a_group_commits(void)
{
	begin();
	take("g");
	commit(1);
	sync_commits();
	commit(2);
	commit(3);
	sync_commits();
	pub_durable(&a, 2, 90);
	commit(4);
	commit(5);
	leave();
	take("g"); /* what the last owner wrote and did not sync may be there or not */
	o.commit.offset == 5 ? (void)0 : fail("an unsynced commit of a living machine is lost");
	commit(6);
	sync_commits();
	commit(6);
	commit(6);
	leave();
	take("h");
	commit(2);
	sync_commits();
	leave();
	pub_close(&a);
}

/* Two batches of one sync: neither says that the first was durable, the commit of both does. */
static void a_commit_is_a_witness(void)
{
	const struct batch_shape shape = {1, 600, MQ_ACK_DURABLE, false};
	struct mq_log_ticket first, second;

	begin();
	first = pub_append(&a, shape);
	second = pub_append(&a, shape);
	pub_wait(&a, &second, MQ_ACK_DURABLE);
	pub_wait(&a, &first, MQ_ACK_DURABLE);
	take("g");
	commit(6);
	sync_commits();
	leave();
	pub_close(&a);
}

/* Read, committed and synced, and lost with the power: the offsets are not given out again. */
static void a_commit_outlives_its_records(void)
{
	begin();
	pub_written(&a, 3, 80);
	take("g");
	commit(7);
	sync_commits();
	pub_durable(&a, 1, 70);
	commit(8);
	sync_commits();
	leave();
	pub_close(&a);
}

static void take_and_die(void)
{
	take("g");
}

/* Somebody dies while the group comes into being; another goes on from there. */
static void half_a_group(const char *call, const char *path)
{
	upset.die_after = call;
	upset.die_path = path;
	upset.die_nth = 1;
	in_child(take_and_die);
	upset.die_after = NULL;
	take("g");
	commit(2);
	sync_commits();
	leave();
	pub_close(&a);
}

static void a_group_is_half_made(void)
{
	begin();
	half_a_group("mkdirat", "topics");
}

static void a_group_lacks_only_its_bell(void)
{
	begin();
	half_a_group("openat", "owners");
}

static void acknowledge(const uint64_t *offsets, size_t n)
{
	struct mq_err err = MQ_ERR_INIT;

	ok(mq_acks_add(o.g, 0, &o.commit, offsets, n, &(size_t){0}, &err), &err, "acknowledge");
	for (size_t i = 0; i < n; i++)
		ack("outside %s t 0 %llu", m.group, (unsigned long long)offsets[i]);
}

static void merge(uint64_t to)
{
	struct mq_err err = MQ_ERR_INIT;

	note("commit %s t 0 %llu", m.group, (unsigned long long)to);
	ok(mq_acks_merge(&o, &err), &err, "merge");
	if (o.commit.offset != to)
		fail("merged to %llu", (unsigned long long)o.commit.offset);
}

static void strangers_acknowledge(void)
{
	const uint64_t first[] = {0, 1}, second[] = {2}, third[] = {4, 3};

	begin();
	pub_durable(&a, 2, 50);
	take("g");
	commit(0);
	sync_commits();
	acknowledge(first, 2);
	acknowledge(second, 1);
	merge(3);
	acknowledge(third, 2);
	merge(5);
	acknowledge((const uint64_t[]){5}, 1);
	leave();
	pub_close(&a);
}

/* So many of them lie below the place that their file is made anew, and more come. */
static void acknowledgements_are_made_anew(void)
{
	uint64_t many[200];

	begin();
	pub_durable(&a, 204, 24);
	take("g");
	commit(0);
	sync_commits();
	for (uint64_t i = 0; i < 200; i++)
		many[i] = 1 + i;
	acknowledge(many, 200);
	acknowledge((const uint64_t[]){0, 202}, 2);
	merge(201);
	acknowledge((const uint64_t[]){203}, 1);
	acknowledge((const uint64_t[]){201}, 1);
	merge(204);
	leave();
	pub_close(&a);
}

/* ---- producers ------------------------------------------------------------------------------------- */

static void name_producer(const char *name)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_producer p;

	ok(mq_log_producer(&a.log, MQ_WHO_PRODUCER, name, &p, &err), &err, "name a producer");
	a.who = (struct mq_who){.kind = MQ_WHO_PRODUCER,
	                        .id = p.id,
	                        .generation = p.generation,
	                        .number = p.number,
	                        .source_start = p.last_base,
	                        .source_end = MQ_NO_OFFSET};
}

static void held(const char *name)
{
	ack("producer t 0 %s %llu", name, (unsigned long long)a.who.number);
}

static void a_named_producer(void)
{
	begin();
	name_producer("p");
	pub_durable(&a, 2, 60);
	held("p");
	pub_written(&a, 1, 60);
	pub_durable(&a, 1, 60);
	held("p");
	a.log.opt.segment_bytes = 1200;
	pub_durable(&a, 2, 300); /* rolls: a snapshot */
	held("p");
	pub_close(&a);
	pub_open(&a, "t");
	name_producer("q");
	pub_durable(&a, 1, 80);
	held("q");
	name_producer("p");
	if (a.who.number != 6)
		fail("the producer is held up to %llu", (unsigned long long)a.who.number);
	pub_durable(&a, 1, 40);
	held("p");
	pub_close(&a);
}

/* ---- log start, topics ----------------------------------------------------------------------------- */

static void purge(uint64_t offset)
{
	struct mq_err err = MQ_ERR_INIT;

	note("start t 0 %llu", (unsigned long long)offset);
	ok(mq_partition_purge(&a.topic, 0, offset, &err), &err, "purge");
	ack("start t 0 %llu", (unsigned long long)offset);
}

static void the_log_start_moves(void)
{
	begin();
	purge(1);
	pub_durable(&a, 2, 50);
	purge(3);
	purge(4);
	pub_durable(&a, 2, 50);
	look(&a);
	purge(5);
	pub_close(&a);
}

/* What is purged was written and visible, and need not be durable. */
static void the_log_start_passes_unsynced_records(void)
{
	begin();
	pub_written(&a, 3, 50);
	purge(7);
	pub_written(&a, 1, 50);
	purge(8);
	pub_durable(&a, 2, 50);
	look(&a);
	pub_close(&a);
}

static void remove_topic(const char *name)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_topic t;

	open_topic(&t, name);
	note("removing %s", name);
	ok(mq_topic_remove(&t, &err), &err, "remove a topic");
	ack("gone %s", name);
	mq_topic_release(&t);
}

static void topics_come_and_go(void)
{
	struct pub other;

	begin();
	make_topic("u", NULL, 0);
	pub_open(&other, "u");
	pub_durable(&other, 2, 70);
	take("g");
	commit(3);
	sync_commits();
	leave();
	pub_close(&a);
	remove_topic("t");
	pub_durable(&other, 1, 70);
	make_topic("t", NULL, 0); /* the same name, another topic */
	pub_open(&a, "t");
	pub_durable(&a, 1, 30);
	take("g");
	commit(1);
	sync_commits();
	leave();
	pub_close(&a);
	pub_close(&other);
	remove_topic("u");
}

static void settings_change(void)
{
	const char *set[] = {"segment.bytes=1048576"}, *again[] = {"min.ack=durable"};
	struct mq_err err = MQ_ERR_INIT;

	make_topic("t", set, 1);
	pub_open(&a, "t");
	pub_durable(&a, 1, 60);
	ok(mq_topic_change(&a.topic, again, 1, false, &err), &err, "change a topic");
	pub_close(&a);
	pub_open(&a, "t");
	pub_written(&a, 1, 60);
	pub_durable(&a, 1, 60);
	pub_close(&a);
}

/* Batches that fill whole sectors: a block's older life has one of another topic at the same place. */
static void blocks_with_a_past(void)
{
	make_topic("old", NULL, 0);
	pub_open(&a, "old");
	for (int i = 0; i < 6; i++)
		pub_durable(&a, 4, 95);
	pub_close(&a);
	remove_topic("old");
	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	for (int i = 0; i < 4; i++)
		if (i % 2)
			pub_written(&a, 1, 383);
		else
			pub_durable(&a, 1, 383);
	pub_close(&a);
}

const struct scenario scenarios_spool[] = {
    {"a-group-commits", a_group_commits},
    {"a-commit-is-a-witness", a_commit_is_a_witness},
    {"a-group-is-half-made", a_group_is_half_made},
    {"a-group-lacks-only-its-bell", a_group_lacks_only_its_bell},
    {"a-commit-outlives-its-records", a_commit_outlives_its_records},
    {"strangers-acknowledge", strangers_acknowledge},
    {"acknowledgements-are-made-anew", acknowledgements_are_made_anew},
    {"a-named-producer", a_named_producer},
    {"the-log-start-moves", the_log_start_moves},
    {"the-log-start-passes-unsynced-records", the_log_start_passes_unsynced_records},
    {"topics-come-and-go", topics_come_and_go},
    {"settings-change", settings_change},
    {"blocks-with-a-past", blocks_with_a_past},
    {NULL, NULL},
};
