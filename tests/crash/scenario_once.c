/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handlers of a group that remembers which ids it has done: the place moves past a record when its mark is durable. */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

#include "api/mq.h"
#include "payload.h"
#include "spool/once.h"

enum { LEN = 40, MESSAGES = 3, ID_LEN = 9 };

static struct mq *mq;
static uint32_t first_serial, settled;

static void confirmed(void *arg, const struct mq_confirmation *c)
{
	uint32_t *serial = arg;

	if (c->why)
		fail("a record was not stored: %s", c->why);
	note("put t 0 %u %llu %llu", *serial, (unsigned long long)c->count, (unsigned long long)c->offset);
	ack("durable t 0 %llu %llu", (unsigned long long)c->offset, (unsigned long long)c->count);
	*serial += (uint32_t)c->count;
}

/* Their ids are their first words. */
static void publish(void)
{
	for (int i = 0; i < MESSAGES; i++) {
		struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
		struct mq_publish_report report;
		uint32_t serial = take_serials(1);
		char text[LEN + 1], id[ID_LEN + 1];
		const char *message = text;

		first_serial = first_serial ? first_serial : serial;
		note("try t 0 %u 1 %d 0 %d", serial, LEN, MQ_ACK_DURABLE);
		payload_make(serial, LEN, false, text);
		text[LEN] = 0;
		snprintf(id, sizeof id, "%.*s", ID_LEN, text);
		req.topic = "t";
		req.messages = &message;
		req.n_messages = 1;
		req.id = id;
		req.confirm = confirmed;
		req.confirm_arg = &serial;
		if (mq_publish(mq, &req, &report) < 0)
			fail("publish: %s", mq_why(mq));
	}
}

/* Nobody else may have an id whose record was handled and that is not marked yet. */
static void lock_is_held(void)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_once_ids o;
	struct mq_topic t;
	char id[ID_LEN + 1];
	int rc;

	if (settled == 0)
		return; /* the topic of ids is being made */
	snprintf(id, sizeof id, "#%08u", first_serial + settled - 1);
	open_topic(&t, "t");
	ok(mq_once_ids_open(&o, &t, "g", INT64_C(3600) * 1000000, MQ_ONCE_UNIT_LOG2, &err), &err, "open the ids");
	rc = mq_once_ids_lock(&o, mq_once_ids_key(&o, id, ID_LEN), &err);
	ok(rc, &err, "lock an id");
	if (rc == 1)
		fail("the id %s was handled, is not marked yet, and anybody may have it", id);
	mq_once_ids_release(&o);
	mq_topic_release(&t);
}

/* From now on the place may be there. */
static void one_is_done(void)
{
	note("commit g t 0 %u", ++settled);
	upset.before_write = lock_is_held;
	upset.before_path = "once@";
}

static void consume(uint32_t want)
{
	static const char *const topics[] = {"t"};
	static const int64_t all[] = {-1};
	static char *const handler[] = {"true", NULL};
	struct mq_consume_request req = MQ_CONSUME_REQUEST_INIT;
	struct mq_consume_report report;

	req.topics = topics;
	req.partitions = all;
	req.n_topics = 1;
	req.group = "g";
	req.once = true;
	req.handler = MQ_HANDLER_RECORD;
	req.argv = handler;
	req.envp = (char *const[]){NULL};
	upset.child_done = one_is_done;
	if (mq_consume(mq, &req, &report) < 0)
		fail("consume: %s", mq_why(mq));
	upset.child_done = NULL;
	upset.before_write = NULL;
	if (settled != want || report.without_id)
		fail("%u records of %u were handled", settled, want);
	ack("commit g t 0 %u", settled);
}

static void ids_are_marked(void)
{
	make_topic("t", NULL, 0);
	mq = session();
	publish();
	note("once g t 0");
	note("commit g t 0 0");
	consume(MESSAGES);
	publish();
	consume(2 * MESSAGES);
	mq_free(mq);
}

const struct scenario scenarios_once[] = {
	{"ids-are-marked", ids_are_marked},
	{NULL, NULL},
};
