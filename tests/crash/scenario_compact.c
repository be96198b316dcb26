/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compaction: records whose key came again go, and the segments that are replaced; a reader and a group stand in them. */
#include "scenario.h"

#include <string.h>

#include "api/mq.h"
#include "log/cursor.h"
#include "payload.h"
#include "sys/sys.h"

enum { LEN = 450 };
static const int64_t TWO_DAYS_NS = 2 * 86400ll * 1000000000;

static struct mq_err err;
static struct pub a;

static void begin(void)
{
	static const char *const set[] = {"segment.bytes=4096", "cleanup.policy=compact", "min.cleanable.dirty.ratio=0", "delete.retention.ms=0"};

	make_topic("t", set, 4);
	pub_open(&a, "t");
	a.keyed = true;
}

static void put(uint32_t count, uint32_t len)
{
	struct mq_log_ticket t = pub_append(&a, (struct batch_shape){count, len, MQ_ACK_DURABLE, true});

	pub_wait(&a, &t, MQ_ACK_DURABLE);
}

/* Until the next one has this key. */
static void up_to(char key)
{
	while (compact_key(take_serials(1) + 1) != key)
		;
}

static void all_keys(int times)
{
	for (int i = 0; i < times; i++)
		put(4, LEN);
}

/* a is never heard of again. */
static void a_goes(void)
{
	up_to('a');
	put(1, 0);
}

static void all_but_a(int times)
{
	for (int i = 0; i < times; i++) {
		up_to('b');
		put(3, LEN);
	}
}

static struct mq_retain_report compact(void)
{
	static const char *const topic = "t";
	struct mq_retain_request req = {.topics = &topic, .n_topics = 1, .force = true};
	struct mq_retain_report report;
	struct mq *mq = session();

	note("compacts t 0");
	if (mq_retain(mq, &req, &report) < 0)
		fail("retain: %s", mq_why(mq));
	mq_free(mq);
	return report;
}

static void compact_some(void)
{
	if (compact().compacted == 0)
		fail("nothing was compacted");
}

/* ---- who reads ---- */
static struct mq_cursor reader;
static struct mq_cursor_view view;

static bool read_one(void)
{
	struct mq_cursor_loss loss;
	int rc = mq_cursor_next(&reader, &view, &loss, &err);

	ok(rc, &err, "read");
	return rc == 1;
}

static void reader_begins(void)
{
	int dir = mq_partition_dir(&a.topic, 0, &err);

	ok(dir, &err, "open the partition");
	ok(mq_cursor_open(&reader, dir, "t", a.topic.conf.id, 0, &err), &err, "open a cursor");
	(void)mq_sys->close(dir);
	ok(mq_cursor_seek(&reader, 0, &err), &err, "seek");
	if (!read_one())
		fail("there is nothing to read");
}

static void reader_ends(uint64_t end)
{
	uint64_t at = 0;

	while (read_one()) {
		if (view.batch.base_offset < at)
			fail("the reader went back to %llu", (unsigned long long)view.batch.base_offset);
		at = view.batch.next_offset;
	}
	if (at != end)
		fail("the reader came to %llu, the end is %llu", (unsigned long long)at, (unsigned long long)end);
	mq_cursor_release(&reader);
}

static void group_reads_to(uint64_t offset)
{
	struct mq_membership m;
	struct mq_ownership o;

	note("commit g t 0 0");
	ok(mq_membership_join(&m, &spool, "g", NULL, &err), &err, "join");
	if (mq_ownership_take(&o, &m, &a.topic, 0, 0, &err) != 1)
		fail("the partition is not to be had: %s", err.text);
	note("commit g t 0 %llu", (unsigned long long)offset);
	ok(mq_ownership_commit(&o, offset, 0, &err), &err, "commit");
	ok(mq_ownership_sync(&o, &err), &err, "sync the commits");
	ack("commit g t 0 %llu", (unsigned long long)offset);
	mq_ownership_release(&o);
	mq_membership_leave(&m);
}

/* ---- what happens ---- */
static void keys_are_compacted(void)
{
	begin();
	all_keys(5);
	group_reads_to(6);
	reader_begins();
	compact_some();
	a_goes();
	all_but_a(4);
	compact_some();
	upset.ahead_ns = TWO_DAYS_NS;
	if (compact().dead == 0)
		fail("what was replaced stays");
	reader_ends(look(&a));
	pub_close(&a);
}

static void compact_in_vain(void)
{
	(void)compact();
}

/* One is named and not known to be: what it stands for may not go before that is. */
static void a_compaction_dies(void)
{
	begin();
	all_keys(5);
	upset.die_after = "renameat";
	upset.die_path = ".seg";
	upset.die_nth = 1;
	in_child(compact_in_vain);
	upset.die_after = NULL;
	upset.ahead_ns = TWO_DAYS_NS;
	if (compact().dead == 0)
		fail("what was replaced stays");
	pub_close(&a);
}

const struct scenario scenarios_compact[] = {
    {"keys-are-compacted", keys_are_compacted},
    {"a-compaction-dies", a_compaction_dies},
    {NULL, NULL},
};
