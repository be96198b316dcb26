/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records that are moved from t to a and b, by turns, for the group g. */
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/body.h"
#include "ops/transfer.h"
#include "spool/evict.h"
#include "spool/internal.h"
#include "sys/sys.h"

static const char *const targets[] = {"a", "b"};
static struct mq_err err;
static struct pub a;

struct mover {
	struct mq *mq;
	struct mq_member *member;
	struct mq_transfer_source from;
	struct mq_transfer *t;
	struct mq_source *source;
};

static void start(struct mover *m)
{
	static const struct mq_wish nothing = {0};
	char link[40], path[512];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", spool.root);
	n = readlink(link, path, sizeof path - 1);
	path[n < 0 ? 0 : n] = 0;
	m->mq = mq_new();
	if (!m->mq || mq_open(m->mq, path, 0) < 0)
		fail("cannot open the spool");
	m->from = (struct mq_transfer_source){.group = "g", .topic = "t"};
	note("moves t 0");
	ok(m->mq->store->engine->member_join(m->mq->store, "g", &nothing, &m->member, &err), &err, "join");
	if (m->mq->store->engine->owner_take(m->member, "t", 0, NULL, &m->from.owner, &err) != 1)
		fail("the partition is not to be had: %s", err.text);
	ok(mq_transfer_open(&m->t, m->mq, &m->from, true, &err), &err, "open the mover");
	ok(m->mq->store->engine->source_open(m->mq->store, "t", 0, &m->source, &err), &err, "open the source");
}

static void stop(struct mover *m)
{
	const struct mq_engine *e = m->mq->store->engine;

	e->source_close(m->source);
	mq_transfer_close(m->t);
	e->owner_release(m->from.owner);
	e->member_leave(m->member);
	mq_free(m->mq);
}

/* `count` records from the place on; the code of the commit. */
static int move(struct mover *m, uint64_t count, bool copies)
{
	uint64_t at = mq_transfer_place(m->t), end = at + count;
	struct mq_body body = {0};
	struct mq_loss loss;
	struct mq_view v;
	struct mq_walk w;
	struct mq_rec r;
	int rc;

	mq_transfer_begin(m->t);
	ok(m->mq->store->engine->source_seek(m->source, at, &loss, &err), &err, "seek");
	while (at < end) {
		if (m->mq->store->engine->source_next(m->source, &v, &loss, &err) != 1)
			fail("nothing to move at %llu: %s", (unsigned long long)at, err.text);
		ok(mq_body_walk(&body, &v, &w, &err), &err, "walk");
		while (at < end && mq_walk_next(&w, &r) == 1) {
			const char *to = targets[r.offset % 2];

			if (r.offset < at)
				continue;
			ok(copies ? mq_transfer_copy(m->t, to, 0, &r, &err) : mq_transfer_put(m->t, to, 0, &r, &err), &err, "put");
			at = r.offset + 1;
		}
	}
	mq_body_release(&body);
	rc = mq_transfer_commit(m->t, end, &err);
	if (rc == 0)
		ack("moved t 0 %llu", (unsigned long long)end);
	return rc;
}

static void moved(struct mover *m, uint64_t count, bool copies)
{
	ok(move(m, count, copies), &err, "move");
}

static void begin(void)
{
	make_topic("t", NULL, 0);
	ok(mq_topic_make(&spool, "a", 1, NULL, 0, false, &err), &err, "make a");
	ok(mq_topic_make(&spool, "b", 1, NULL, 0, false, &err), &err, "make b");
	pub_open(&a, "t");
}

static void records_are_moved(void)
{
	struct mover m;

	begin();
	pub_durable(&a, 4, 40);
	start(&m);
	moved(&m, 3, true);
	moved(&m, 1, false); /* to one of them alone */
	stop(&m);
	pub_close(&a);
}

/* Each of one batch into one partition: from the fourth on there is no intent. */
static void records_are_moved_one_by_one(void)
{
	struct mover m;

	begin();
	pub_durable(&a, 8, 40);
	start(&m);
	for (int i = 0; i < 5; i++)
		moved(&m, 1, i % 2 == 0);
	stop(&m);
	start(&m);
	for (int i = 0; i < 3; i++)
		moved(&m, 1, false);
	stop(&m);
	pub_close(&a);
}

/* Each begins a segment of its own, and those before go. */
static void finished_intents_go(void)
{
	static const char *const small = "segment.bytes=4096";
	struct mq_topic intents;
	struct mover m;

	begin();
	pub_durable(&a, 6, 2500);
	ok(mq_internal_open(&intents, &spool, "intents", "t", "g", true, &err), &err, "open the intents");
	ok(mq_topic_change(&intents, &small, 1, false, &err), &err, "make their segments small");
	mq_topic_release(&intents);
	start(&m);
	for (int i = 0; i < 3; i++)
		moved(&m, 2, false);
	stop(&m);
	pub_close(&a);
}

/* What was moved for good must not come back because its source was not durable. */
static void written_records_are_moved(void)
{
	struct mover m;

	begin();
	pub_written(&a, 4, 40);
	start(&m);
	moved(&m, 4, false);
	pub_written(&a, 2, 40);
	moved(&m, 2, true);
	stop(&m);
	pub_close(&a);
}

/* ---- an evicted one wakes -------------------------------------------------------------------------- */
/* While the first one waits for its intent. */
static void evict_and_go_on(void)
{
	struct mq_eviction told;
	struct mq_group_topic g;
	struct mover m;

	ok(mq_group_topic_open(&g, &a.topic, "g", false, &err), &err, "open the group");
	if (mq_evict(&g, 0, NULL, false, 0, &told, &err) != 1)
		fail("evict: %s", err.text);
	mq_group_topic_release(&g);
	start(&m);
	if (mq_transfer_place(m.t) != 3)
		fail("the next mover begins at %llu", (unsigned long long)mq_transfer_place(m.t));
	stop(&m);
}

static uint64_t end_of(const struct mover *m, const char *topic)
{
	struct mq_bounds b;

	ok(m->mq->store->engine->bounds(m->mq->store, topic, 0, &b, &err), &err, "look at a target");
	return b.written;
}

static void an_evicted_mover_wakes(void)
{
	struct mover m;
	int rc;

	begin();
	pub_durable(&a, 3, 40);
	start(&m);
	upset.in_sync = evict_and_go_on;
	rc = move(&m, 3, false);
	if (rc != MQ_EAGAIN)
		fail("an evicted mover was not refused: %d, %s", rc, err.text);
	if (end_of(&m, "a") + end_of(&m, "b") != 3)
		fail("a holds %llu records and b %llu, of 3", (unsigned long long)end_of(&m, "a"), (unsigned long long)end_of(&m, "b"));
	stop(&m);
	pub_close(&a);
}

const struct scenario scenarios_move[] = {
    {"records-are-moved", records_are_moved},
    {"records-are-moved-one-by-one", records_are_moved_one_by_one},
    {"finished-intents-go", finished_intents_go},
    {"written-records-are-moved", written_records_are_moved},
    {"an-evicted-mover-wakes", an_evicted_mover_wakes},
    {NULL, NULL},
};
