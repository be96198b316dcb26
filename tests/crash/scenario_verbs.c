/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tools do, from the verb down: publish, skip duplicates, print, run handlers. */
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/mq.h"
#include "payload.h"
#include "sys/sys.h"

enum { LEN = 40, MESSAGES = 4 };

static struct mq *mq;
static char text[MESSAGES][LEN + 1];
static const char *messages[MESSAGES];
static uint32_t first_serial, settled; /* settled: records confirmed, handled or printed so far */

struct mq *session(void)
{
	struct mq *s = mq_new();
	char link[40], path[512];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", spool.root);
	n = readlink(link, path, sizeof path - 1);
	path[n < 0 ? 0 : n] = 0;
	if (!s || mq_open(s, path, 0) < 0)
		fail("cannot open the spool: %s", s ? mq_why(s) : "no memory");
	return s;
}

/* `MESSAGES` records more, told to the trace. */
static void make_messages(int ack_level)
{
	first_serial = take_serials(MESSAGES);
	note("try t 0 %u %d %d 0 %d", first_serial, MESSAGES, LEN, ack_level);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		payload_make(first_serial + i, LEN, false, text[i]);
		text[i][LEN] = 0;
		messages[i] = text[i];
	}
	settled = 0;
}

static void confirmed(void *arg, const struct mq_confirmation *c)
{
	const char *level = arg;

	if (c->why || c->partition != 0)
		fail("a record was not stored: %s", c->why ? c->why : "another partition");
	if (!c->skipped) {
		note("put t 0 %u %llu %llu", first_serial + settled, (unsigned long long)c->count, (unsigned long long)c->offset);
		ack("%s t 0 %llu %llu", level, (unsigned long long)c->offset, (unsigned long long)c->count);
	}
	settled += (uint32_t)c->count;
}

static uint64_t publish(int ack_level, const char *producer, uint64_t seq)
{
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report report;

	req.topic = "t";
	req.messages = messages;
	req.n_messages = MESSAGES;
	req.ack = ack_level == MQ_ACK_DURABLE ? MQ_ACK_LEVEL_DURABLE : MQ_ACK_LEVEL_WRITTEN;
	req.producer = producer;
	req.seq = seq;
	req.confirm = confirmed;
	req.confirm_arg = ack_level == MQ_ACK_DURABLE ? "durable" : "written";
	if (mq_publish(mq, &req, &report) < 0)
		fail("publish: %s", mq_why(mq));
	return report.skipped;
}

/* ---- consuming ------------------------------------------------------------------------------------- */

/* The place may be here from now on, and not a record earlier. */
static void one_is_done(void)
{
	note("commit g t 0 %u", ++settled);
}

static void lines_are_done(const char *bytes, size_t len)
{
	upset.printed = NULL; /* what is said of it is no output */
	for (size_t i = 0; i < len; i++)
		if (bytes[i] == '\n')
			one_is_done();
	upset.printed = lines_are_done;
}

static void consume(char *const *handler)
{
	static const char *const topics[] = {"t"};
	static const int64_t all[] = {-1};
	struct mq_consume_request req = MQ_CONSUME_REQUEST_INIT;
	struct mq_consume_report report;

	settled = 0;
	note("commit g t 0 0");
	req.topics = topics;
	req.partitions = all;
	req.n_topics = 1;
	req.group = "g";
	req.handler = handler ? MQ_HANDLER_RECORD : MQ_HANDLER_NONE;
	req.argv = handler;
	req.envp = (char *const[]){NULL};
	if (mq_consume(mq, &req, &report) < 0)
		fail("consume: %s", mq_why(mq));
	upset.child_done = NULL;
	upset.printed = NULL;
	if (settled != 2 * MESSAGES)
		fail("%u records of %u were handled", settled, 2 * MESSAGES);
	ack("commit g t 0 %u", settled);
}

static void two_publishes(void)
{
	make_topic("t", NULL, 0);
	mq = session();
	make_messages(MQ_ACK_DURABLE);
	publish(MQ_ACK_DURABLE, NULL, 0);
	make_messages(MQ_ACK_WRITTEN);
	publish(MQ_ACK_WRITTEN, NULL, 0);
}

static void what_was_printed(void)
{
	two_publishes();
	upset.printed = lines_are_done;
	consume(NULL);
	mq_free(mq);
}

static void handlers_come_before_commits(void)
{
	static char *const handler[] = {"true", NULL};

	two_publishes();
	upset.child_done = one_is_done;
	consume(handler);
	mq_free(mq);
}

/* ---- duplicates ------------------------------------------------------------------------------------ */

static void die_now(void)
{
	_exit(0);
}

static void dies_while_it_syncs(void)
{
	mq = session();
	upset.in_sync = die_now;
	publish(MQ_ACK_DURABLE, "p", 1);
	_exit(3);
}

/* The first run wrote, and died before it was durable; the second skips, and answers for it. */
static void a_duplicate_is_awaited(void)
{
	make_topic("t", NULL, 0);
	make_messages(MQ_ACK_DURABLE);
	in_child(dies_while_it_syncs);
	mq = session();
	if (publish(MQ_ACK_DURABLE, "p", 1) != MESSAGES)
		fail("the second run found nothing to skip");
	note("put t 0 %u %d 0", first_serial, MESSAGES);
	ack("durable t 0 0 %d", MESSAGES);
	ack("producer t 0 p %d", MESSAGES);
	mq_free(mq);
}

const struct scenario scenarios_verbs[] = {
    {"what-was-printed", what_was_printed},
    {"handlers-come-before-commits", handlers_come_before_commits},
    {"a-duplicate-is-awaited", a_duplicate_is_awaited},
    {NULL, NULL},
};
