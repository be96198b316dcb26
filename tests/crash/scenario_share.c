/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members that share a partition: what they take, have done, give back; halves of claimed.P that are turned, files of it that
 * are replaced.  What must be so while everybody lives is held here; what a power cut leaves, by check_share.c.
 */
#include "scenario.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spool/claims.h"
#include "spool/evict.h"
#include "sys/sys.h"

struct sharer {
	struct mq_membership m;
	struct mq_ownership o;
	struct mq_claims c;
};

static struct mq_err err;
static struct pub a;
static struct sharer one, two;

#define llu(n) ((unsigned long long)(n))

/* ---- coming and going ------------------------------------------------------------------------------ */

static void first(struct sharer *s)
{
	note("share g t 0");
	note("commit g t 0 0");
	ok(mq_membership_join(&s->m, &spool, "g", NULL, &err), &err, "join");
	if (mq_ownership_take(&s->o, &s->m, &a.topic, 0, 0, &err) != 1)
		fail("the partition is taken: %s", err.text);
	ok(mq_claims_begin(&s->c, &s->o, &err), &err, "begin to share");
	if (s->c.damaged)
		fail("damage where nothing is damaged");
	ok(mq_ownership_share(&s->o, &err), &err, "let others in");
}

static void join(struct sharer *s)
{
	ok(mq_membership_join(&s->m, &spool, "g", NULL, &err), &err, "join");
	if (mq_ownership_join(&s->o, &s->m, &a.topic, 0, &err) != 1)
		fail("nobody shares: %s", err.text);
	if (mq_claims_join(&s->c, &s->o, &err) != 1)
		fail("there is nothing to share: %s", err.text);
}

/* As a process that is killed goes: without a word. */
static void leave(struct sharer *s)
{
	mq_claims_release(&s->c);
	mq_ownership_release(&s->o);
	mq_membership_leave(&s->m);
}

/* ---- records --------------------------------------------------------------------------------------- */

static void take(struct sharer *s, uint64_t n, uint64_t from, unsigned attempt)
{
	struct mq_claim_taken got = {0};
	int rc = mq_claims_take(&s->c, UINT64_MAX, n, &got, &err);

	if (rc != 1 || got.from != from || got.to != from + n || got.attempt != attempt)
		fail("taking %llu: %d, from %llu to %llu, attempt %u, not from %llu: %s", llu(n), rc, llu(got.from), llu(got.to), got.attempt,
		     llu(from), err.text);
}

/* The handler of this record ended with 0. */
static void done(struct sharer *s, uint64_t from, uint64_t to)
{
	note("handled g t 0 %llu %llu", llu(from), llu(to));
	ok(mq_claims_done(&s->c, from, to, &err), &err, "done");
}

static void failed(struct sharer *s, uint64_t offset, unsigned attempt)
{
	note("fails g t 0 %llu %u", llu(offset), attempt);
	ok(mq_claims_give_back(&s->c, offset, offset + 1, true, &err), &err, "give back");
}

static void write_down(struct sharer *s)
{
	ok(mq_claims_write(&s->c, &err), &err, "write");
}

static void sync_all(struct sharer *s)
{
	ok(mq_claims_sync(&s->c, &err), &err, "sync");
}

/* All of these are done and durable. */
static void promised(uint64_t from, uint64_t to)
{
	ack("shared g t 0 %llu %llu", llu(from), llu(to));
}

/* It knows all that others have written. */
static void catch_up(struct sharer *s)
{
	uint64_t from, to;

	if (mq_claims_next(&s->c, true, &from, &to, &err) < 0)
		fail("catch up: %s", err.text);
}

static void place(struct sharer *s, uint64_t at)
{
	catch_up(s);
	if (s->c.r.base != at)
		fail("all is done up to %llu, not %llu", llu(s->c.r.base), llu(at));
	note("commit g t 0 %llu", llu(at));
	ok(mq_claims_place(&s->c, true, &err), &err, "move the place");
	if (s->o.commit.offset != at)
		fail("the place is %llu, not %llu", llu(s->o.commit.offset), llu(at));
	ack("commit g t 0 %llu", llu(at));
}

/* As if so many slots had been written that the half is full. */
static void fill(struct sharer *s)
{
	catch_up(s);
	s->c.file.next = MQ_CLAIM_SLOTS - 1;
	memset(s->c.file.last, 0, sizeof s->c.file.last);
}

/* ---- scenarios ------------------------------------------------------------------------------------- */

static void members_share(void)
{
	uint64_t from, to;

	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 12, 40);
	first(&one);
	join(&two);
	if (mq_claims_next(&two.c, true, &from, &to, &err) != 1 || from != 0)
		fail("nothing is free: %s", err.text);
	take(&one, 3, 0, 0);
	take(&two, 3, 3, 0); /* what it saw before is another's */
	done(&one, 1, 2);
	done(&two, 3, 4);
	write_down(&one);
	ack("done g t 0 1 2");
	sync_all(&two);
	promised(3, 4);
	failed(&two, 4, 1);
	take(&two, 1, 4, 1);
	done(&one, 0, 1);
	take(&one, 2, 6, 0);
	failed(&two, 4, 2);
	sync_all(&two);
	ack("failed g t 0 4 2");
	sync_all(&one);
	promised(0, 2);
	place(&one, 2);
	done(&one, 2, 3);
	done(&two, 5, 6);
	take(&one, 1, 4, 2);
	done(&one, 4, 5);
	sync_all(&two);
	sync_all(&one);
	promised(0, 6);
	place(&two, 6);
	leave(&one);
	leave(&two);
	pub_close(&a);
}

/* Both ways, with records that are done, that are had, and that failed, above the place. */
static void halves_are_turned(void)
{
	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 8, 40);
	first(&one);
	take(&one, 5, 0, 0);
	failed(&one, 2, 1);
	done(&one, 1, 2);
	sync_all(&one);
	promised(1, 2);
	ack("failed g t 0 2 1");
	done(&one, 3, 4);
	fill(&one);
	write_down(&one); /* it is turned for this, and durable with it */
	if (one.c.file.half != 1 || one.c.file.head.epoch != 2)
		fail("the half was not turned");
	promised(3, 4);
	join(&two);
	take(&two, 1, 2, 1);
	failed(&two, 2, 2);
	done(&one, 0, 1);
	sync_all(&two);
	ack("failed g t 0 2 2");
	fill(&one);
	fill(&two);
	sync_all(&one);
	if (one.c.file.half != 0 || one.c.file.head.epoch != 3)
		fail("the half was not turned back");
	promised(0, 2);
	take(&two, 1, 2, 2); /* it finds the way there */
	done(&two, 2, 3);
	done(&one, 4, 5);
	sync_all(&two);
	sync_all(&one);
	promised(0, 5);
	place(&one, 5);
	leave(&one);
	leave(&two);
	pub_close(&a);
}

/* ---- deaths ---------------------------------------------------------------------------------------- */

static struct death {
	const char *call, *path;
	int nth;
} death;
static uint64_t at;          /* the first of four records that this death is for */

/* Of the four it has the second done for good; what it writes then, it may not live to see. */
static void begin_four(void)
{
	first(&one);
	take(&one, 4, at, 0);
	done(&one, at + 1, at + 2);
	sync_all(&one);
	promised(at + 1, at + 2);
	failed(&one, at + 2, 1);
}

static void dies_in_a_turn(void)
{
	begin_four();
	fill(&one);
	upset.die_after = death.call;
	upset.die_path = death.path;
	upset.die_nth = death.nth;
	write_down(&one);
	_exit(3);
}

static void dies_while_it_replaces(void)
{
	begin_four();
	write_down(&one);
	upset.die_after = death.call;
	upset.die_path = death.path;
	upset.die_nth = death.nth;
	upset.syncs_fail = 1;
	sync_all(&one);
	_exit(3);
}

/* The next one does what is left of the four, and turns the half itself. */
static void finish_four(unsigned attempt)
{
	uint64_t handled = 0;

	first(&one);
	ok(mq_claims_look(&one.c, &handled, &err), &err, "look who is gone");
	if (handled)
		fail("a handler lives");
	take(&one, 1, at, 0);
	take(&one, 1, at + 2, attempt);
	done(&one, at, at + 1);
	fill(&one);
	write_down(&one);
	promised(at, at + 2);
	take(&one, 1, at + 3, 0);
	done(&one, at + 2, at + 4);
	sync_all(&one);
	promised(at, at + 4);
	place(&one, at + 4);
	leave(&one);
}

static void turns_are_cut_short(void)
{
	static const struct death deaths[] = {
		{"pwrite", "claimed", 1},  /* the other half is written */
		{"pwrite", "claimed", 2},  /* closed */
		{"pwrite", "claimed", 3},  /* the head is written: now it counts */
	};

	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 12, 40);
	for (unsigned i = 0; i < 3; i++) {
		at = 4 * (uint64_t)i;
		death = deaths[i];
		in_child(dies_in_a_turn);
		finish_four(i >= 2);
	}
	pub_close(&a);
}

static void the_file_is_replaced(void)
{
	static const struct death deaths[] = {
		{"openat", "claimed.0.failed", 1},
		{"pwrite", "claimed", 1}, /* it goes on in another file */
		{"renameat", "claimed", 1},
	};

	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 18, 40);
	first(&one);
	join(&two);
	take(&one, 4, 0, 0);
	done(&one, 1, 3);
	upset.syncs_fail = 1;
	sync_all(&one);
	promised(1, 3);
	done(&one, 0, 1);
	done(&one, 3, 4);
	sync_all(&one);
	promised(0, 4);
	take(&two, 1, 4, 0); /* it finds the other file */
	done(&two, 4, 5);
	sync_all(&two);
	promised(4, 5);
	place(&two, 5);
	leave(&two);
	leave(&one);
	for (unsigned i = 0; i < 3; i++) {
		at = 5 + 4 * (uint64_t)i;
		death = deaths[i];
		in_child(dies_while_it_replaces);
		finish_four(1);
	}
	pub_close(&a);
}

/* ---- others ---------------------------------------------------------------------------------------- */

static void evict(void)
{
	struct mq_group_topic g;
	struct mq_eviction who;

	ok(mq_group_topic_open(&g, &a.topic, "g", false, &err), &err, "open the group");
	if (mq_evict(&g, 0, NULL, false, 0, &who, &err) != 1)
		fail("nobody was evicted: %s", err.text);
	mq_group_topic_release(&g);
}

static void sharers_are_evicted(void)
{
	struct mq_claim_taken got;

	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 8, 40);
	first(&one);
	take(&one, 4, 0, 0);
	done(&one, 1, 2);
	failed(&one, 3, 1);
	sync_all(&one);
	promised(1, 2);
	ack("failed g t 0 3 1");
	take(&one, 1, 3, 1);
	evict();
	first(&two);
	if (two.c.o->generation != 1)
		fail("generation %u", two.c.o->generation);
	take(&two, 1, 0, 0);
	done(&two, 0, 1);
	sync_all(&two);
	promised(0, 2);
	if (mq_claims_take(&one.c, UINT64_MAX, 1, &got, &err) != MQ_EAGAIN)
		fail("who was evicted takes a record");
	place(&two, 2);
	leave(&one);
	leave(&two);
	pub_close(&a);
}

/* Done, or failed, and synced, and lost with the power: their offsets are not given to other records. */
static void shared_records_are_lost(void)
{
	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 1, 40);
	pub_written(&a, 5, 40);
	first(&one);
	take(&one, 6, 0, 0);
	done(&one, 2, 4);
	sync_all(&one);
	promised(2, 4);
	failed(&one, 5, 1);
	sync_all(&one);
	ack("failed g t 0 5 1");
	done(&one, 4, 5);
	sync_all(&one);
	promised(2, 5);
	leave(&one);
	pub_close(&a);
}

/* A member dies, one of its handlers does not: that one's record is nobody else's before it ends. */
static void a_handler_outlives_its_member(void)
{
	uint64_t handled = 0;
	int fd;

	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 4, 40);
	first(&one);
	take(&one, 3, 0, 0);
	fd = mq_claims_handler_fd(&one.c, 1, 2, &err);
	ok(fd, &err, "lock a record for its handler");
	join(&two);
	leave(&one);
	ok(mq_claims_look(&two.c, &handled, &err), &err, "look who is gone");
	if (handled != 1)
		fail("%llu records are handled, not 1", llu(handled));
	take(&two, 1, 0, 0);
	take(&two, 1, 2, 0);
	done(&two, 0, 1);
	(void)mq_sys->close(fd);
	ok(mq_claims_look(&two.c, &handled, &err), &err, "look who is gone");
	take(&two, 1, 1, 0);
	done(&two, 1, 3);
	sync_all(&two);
	promised(0, 3);
	place(&two, 3);
	leave(&two);
	pub_close(&a);
}

const struct scenario scenarios_share[] = {
	{"members-share", members_share},
	{"halves-are-turned", halves_are_turned},
	{"turns-are-cut-short", turns_are_cut_short},
	{"the-file-is-replaced", the_file_is_replaced},
	{"sharers-are-evicted", sharers_are_evicted},
	{"shared-records-are-lost", shared_records_are_lost},
	{"a-handler-outlives-its-member", a_handler_outlives_its_member},
	{NULL, NULL},
};
