/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records that wait in their topic's room, come when they are due, are cancelled; a room that is emptied. */
#include "scenario.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ops/room.h"
#include "payload.h"
#include "sys/sys.h"

enum { LEN = 12, AT_ONCE = 16, BULK = 75, BULK_LEN = 60000 };
static const int64_t HOUR_NS = 3600 * INT64_C(1000000000);

static struct mq_err err;
static struct pub a;
static struct mq *mq;

static void begin(void)
{
	make_topic("t", NULL, 0);
	note("delays t");
	pub_open(&a, "t");
	mq = session();
}

static void end(void)
{
	mq_free(mq);
	pub_close(&a);
}

static void confirmed(void *arg, const struct mq_confirmation *c)
{
	uint32_t *serial = arg;

	if (c->why || c->skipped)
		fail("a record was not parked: %s", c->why ? c->why : "skipped");
	ack("delayed t %u %llu", *serial, (unsigned long long)c->count);
	*serial += (uint32_t)c->count;
}

/* Lines, to be read from a pipe: it holds so many. */
static int lines(uint32_t first, uint32_t count)
{
	static char text[AT_ONCE * (LEN + 1) + 1];
	size_t len = (size_t)count * (LEN + 1);
	int fd[2];

	for (uint32_t i = 0; i < count; i++) {
		char *line = text + (size_t)i * (LEN + 1);

		payload_make(first + i, LEN, false, line);
		line[LEN] = '\n';
	}
	if (pipe(fd) < 0 || write(fd[1], text, len) != (ssize_t)len || close(fd[1]) < 0)
		fail("cannot fill a pipe");
	return fd[0];
}

/* Records that are to come in so many hours, from now; the serial number of the first. */
static uint32_t later(uint32_t count, int64_t hours)
{
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report report;
	uint32_t first = take_serials(count), serial = first;

	note("try t 0 %u %u %d 0 %d", first, count, LEN, MQ_ACK_DURABLE);
	req.topic = "t";
	req.in_fd = lines(first, count);
	req.ack = MQ_ACK_LEVEL_DURABLE;
	req.id_field = 1;
	req.due_us = (mq_sys->clock_ns(MQ_CLOCK_REAL) + hours * HOUR_NS) / 1000;
	req.confirm = confirmed;
	req.confirm_arg = &serial;
	if (mq_publish(mq, &req, &report) < 0 || serial != first + count)
		fail("publish: %s", mq_why(mq));
	(void)close(req.in_fd);
	return first;
}

/* So much that mq-retain would empty the room of it, all with the id that cancel(0) asks for. */
static void bulk(void)
{
	static char text[BULK_LEN + 1];
	const char *messages[BULK];
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report report;

	memset(text, 'x', BULK_LEN);
	for (int i = 0; i < BULK; i++)
		messages[i] = text;
	req.topic = "t";
	req.messages = messages;
	req.n_messages = BULK;
	req.id = "#00000000";
	req.due_us = (mq_sys->clock_ns(MQ_CLOCK_REAL) + 5 * HOUR_NS) / 1000;
	if (mq_publish(mq, &req, &report) < 0)
		fail("publish: %s", mq_why(mq));
}

static void cancel(uint32_t serial)
{
	uint64_t n = 0;
	char id[24];

	snprintf(id, sizeof id, "#%08u", serial);
	note("cancels t %u", serial);
	if (mq_topic_cancel(mq, "t", id, false, &n) < 0 || n != (serial ? 1 : BULK))
		fail("cancelling %s: %llu, %s", id, (unsigned long long)n, mq_why(mq));
	ack("cancelled t %u", serial);
}

static void deliver(struct mq_rooms *r)
{
	int rc, some = 0;

	while ((rc = mq_rooms_deliver(r, &err)) == 1)
		some = 1;
	ok(rc, &err, "deliver");
	if (!some)
		fail("nothing came");
	look(&a);
}

static struct mq_rooms *room(void)
{
	struct mq_rooms *r;

	ok(mq_rooms_open(&r, mq, "t", &err), &err, "open the room");
	if (!r)
		fail("there is no room");
	return r;
}

static void delayed_records_come(void)
{
	struct mq_rooms *r;
	uint32_t first;

	begin();
	pub_durable(&a, 2, 40);
	first = later(4, 1);
	later(3, 2);
	cancel(first + 1);
	r = room();
	upset.ahead_ns = HOUR_NS + HOUR_NS / 2;
	deliver(r);
	first = later(3, 1);
	upset.ahead_ns = 3 * HOUR_NS;
	deliver(r);
	mq_rooms_close(r);
	later(1, 24 * 365);
	pub_durable(&a, 1, 40);
	end();
}

/* A note is written and its records are not all there: whoever comes next has to finish it, and may not cancel what it names. */
static void deliver_and_die(void)
{
	struct mq_rooms *r = room();

	upset.die_after = "fdatasync";
	upset.die_path = "wait@t@";
	upset.die_nth = 1;
	(void)mq_rooms_deliver(r, &err);
}

static void a_delivery_dies(void)
{
	struct mq_rooms *r;
	uint32_t first;

	begin();
	later(3, 1);
	first = later(2, 2);
	upset.ahead_ns = HOUR_NS + HOUR_NS / 2;
	in_child(deliver_and_die);
	upset.die_after = NULL;
	cancel(first);
	upset.ahead_ns = 3 * HOUR_NS;
	r = room();
	deliver(r);
	mq_rooms_close(r);
	end();
}

/* One that is to come in a year lies before many that wait no more. */
static void a_room_is_emptied(void)
{
	struct mq_bounds before, after;
	struct mq_rooms *r;

	begin();
	later(1, 24 * 365);
	later(2, 1);
	upset.ahead_ns = HOUR_NS + HOUR_NS / 2;
	r = room();
	deliver(r);
	mq_rooms_close(r);
	bulk();
	cancel(0);
	note("here t");
	ok(mq->store->engine->bounds(mq->store, "wait@t@", 0, &before, &err), &err, "look at the room");
	mq_rooms_empty(mq, "t");
	ok(mq->store->engine->bounds(mq->store, "wait@t@", 0, &after, &err), &err, "look at the room");
	if (after.log_start <= before.log_start)
		fail("the room was not emptied: it begins at %llu of %llu", (unsigned long long)after.log_start, (unsigned long long)after.written);
	later(1, 1);
	end();
}

const struct scenario scenarios_delay[] = {
    {"delayed-records-come", delayed_records_come},
    {"a-delivery-dies", a_delivery_dies},
    {"a-room-is-emptied", a_room_is_emptied},
    {NULL, NULL},
};
