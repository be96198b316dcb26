/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topic gets more partitions while a publisher of records with keys is at work and a group has done some of them.
 *
 * Record n has the key grow_key(n).  All come from one publisher, in a process of its own that lives from before the growth to
 * the end, and is fed a round (one record of each key) at chosen moments.
 */
#include "scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/mq.h"
#include "payload.h"
#include "spool/grow.h"
#include "sys/sys.h"

static struct mq_err err;
static struct {
	int lines, told; /* what it is fed; a byte for each record that it confirmed */
	pid_t pid;
} publisher;
static uint32_t fed, awaited; /* records */
static unsigned seen; /* syncs of a growth */

/* ---- the publisher --------------------------------------------------------------------------------- */

static void say_bytes(int fd, const void *bytes, size_t len)
{
	if (write(fd, bytes, len) != (ssize_t)len)
		fail("a pipe cannot be written to");
}

static void confirmed(void *arg, const struct mq_confirmation *c)
{
	static const char byte[2 * GROW_KEYS];
	static uint32_t settled;

	if (c->why || c->skipped || c->count > sizeof byte)
		fail("a record was not stored: %s", c->why ? c->why : "skipped");
	ack("sent t %u %llu", settled + 1, (unsigned long long)c->count);
	settled += (uint32_t)c->count;
	say_bytes(*(int *)arg, byte, (size_t)c->count);
}

static void publish_all(int lines, int told)
{
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report report;
	struct mq *mq = session();

	req.topic = "t";
	req.in_fd = lines;
	req.key_delimiter = "=";
	req.ack = MQ_ACK_LEVEL_DURABLE;
	req.confirm = confirmed;
	req.confirm_arg = &told;
	if (mq_publish(mq, &req, &report) < 0)
		fail("publish: %s", mq_why(mq));
	mq_free(mq);
}

static void start_publisher(void)
{
	int lines[2], told[2];

	if (pipe2(lines, O_CLOEXEC) < 0 || pipe2(told, O_CLOEXEC) < 0)
		fail("no pipe");
	publisher.pid = fork();
	if (publisher.pid == 0) {
		close(lines[1]);
		publish_all(lines[0], told[1]);
		_exit(0);
	}
	if (publisher.pid < 0)
		fail("cannot fork");
	close(lines[0]);
	close(told[1]);
	publisher.lines = lines[1];
	publisher.told = told[0];
}

static void feed(void)
{
	char text[GROW_KEYS * (GROW_LEN + 8)], payload[GROW_LEN + 1] = "";
	size_t len = 0;

	note("send t %u %u", fed + 1, GROW_KEYS);
	for (uint32_t i = 0; i < GROW_KEYS; i++) {
		fed++;
		payload_make(fed, GROW_LEN, false, payload);
		len += (size_t)snprintf(text + len, sizeof text - len, "%c=%s\n", grow_key(fed), payload);
	}
	say_bytes(publisher.lines, text, len);
}

static void await_all(void)
{
	char bytes[GROW_KEYS];

	while (awaited < fed) {
		ssize_t n = read(publisher.told, bytes, sizeof bytes);

		if (n <= 0)
			fail("the publisher ended");
		awaited += (uint32_t)n;
	}
}

static void publish_round(void)
{
	feed();
	await_all();
}

static void end_publisher(void)
{
	int status;

	close(publisher.lines);
	if (waitpid(publisher.pid, &status, 0) != publisher.pid || status != 0)
		fail("the publisher failed");
	close(publisher.told);
}

/* ---- the group ------------------------------------------------------------------------------------- */

/* `count` records are done by the group g. */
static void consume(uint64_t count)
{
	static const char *const topics[] = {"t"};
	static const int64_t all[] = {-1};
	struct mq_consume_request req = MQ_CONSUME_REQUEST_INIT;
	struct mq_consume_report report;
	struct mq *mq = session();
	char text[4096];
	ssize_t n;

	req.out_fd = memfd_create("taken", MFD_CLOEXEC);
	req.topics = topics;
	req.partitions = all;
	req.n_topics = 1;
	req.group = "g";
	req.count = count;
	note("taking t");
	if (req.out_fd < 0 || mq_consume(mq, &req, &report) < 0 || report.records != count)
		fail("consume: %s", mq_why(mq));
	n = pread(req.out_fd, text, sizeof text - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		ack("taken t %lu", strtoul(line + 1, NULL, 10));
	ack("took t");
	close(req.out_fd);
	mq_free(mq);
}

/* ---- growing --------------------------------------------------------------------------------------- */

/* Somebody has the append lock of the first partition. */
static bool is_held(void)
{
	struct mq_topic t;
	int fd, rc;

	open_topic(&t, "t");
	fd = mq_sys_real.openat(t.dir, "0/lock", O_RDWR, 0);
	rc = fd < 0 ? fd : mq_sys_real.lock_test(fd, MQ_LOCK_WRITE, 0, 1);
	if (rc < 0 && rc != -EAGAIN)
		fail("the append lock cannot be asked for: %d", rc);
	(void)mq_sys_real.close(fd);
	mq_topic_release(&t);
	return rc != 0;
}

/* While the number is reserved the publisher goes on; while the locks are held it waits, and then routes anew. */
static void at_each_sync(void)
{
	static const struct mq_sys *above;

	above = mq_sys;
	mq_sys = &mq_sys_real; /* what is looked at here nobody does */
	bool held = is_held();
	mq_sys = above;
	if (seen < 1) {
		publish_round();
		seen = 1;
	} else if (held) {
		feed();
		return; /* and no more of it */
	}
	upset.in_sync = at_each_sync;
}

static void grow(uint32_t from, uint32_t to)
{
	struct mq_growth g = {.partitions = to};
	struct mq_topic t;

	open_topic(&t, "t");
	note("grows t %u %u", from, to);
	ok(mq_grow(&t, &g, false, &err), &err, "grow");
	ack("grown t %u %u", g.generation, to);
	mq_topic_release(&t);
}

static void grow_in_use(uint32_t from, uint32_t to)
{
	seen = 0;
	upset.in_sync = at_each_sync;
	grow(from, to);
	upset.in_sync = NULL;
	await_all();
	publish_round();
}

static void begin(void)
{
	note("topic t 2");
	ok(mq_topic_make(&spool, "t", 2, NULL, 0, false, &err), &err, "make a topic");
	ack("topic t");
	start_publisher();
	publish_round();
	publish_round();
	consume(3);
}

static void it_grows(void)
{
	begin();
	grow_in_use(2, 4);
	end_publisher();
}

static void it_grows_to_no_multiple(void)
{
	begin();
	grow_in_use(2, 3);
	end_publisher();
}

/* ---- a growth that comes to nothing ---------------------------------------------------------------- */

static void grow_and_die(void)
{
	grow(2, 4);
}

/* Its batches are there, topic.conf says nothing of it: publishers go on as before, and the next one takes another number. */
static void a_growth_comes_to_nothing(void)
{
	begin();
	upset.die_after = "fdatasync";
	upset.die_path = "t/.tmp-";
	upset.die_nth = 2;
	in_child(grow_and_die);
	upset.die_after = NULL;
	publish_round();
	grow_in_use(2, 3);
	end_publisher();
}

/* It died when its number was reserved and some of what is new was made. */
static void a_growth_is_hardly_begun(void)
{
	begin();
	upset.die_after = "mkdirat";
	upset.die_path = ".new-";
	upset.die_nth = 2;
	in_child(grow_and_die);
	upset.die_after = NULL;
	grow_in_use(2, 3);
	end_publisher();
}

const struct scenario scenarios_grow[] = {
    {"it-grows", it_grows},
    {"it-grows-to-no-multiple", it_grows_to_no_multiple},
    {"a-growth-comes-to-nothing", a_growth_comes_to_nothing},
    {"a-growth-is-hardly-begun", a_growth_is_hardly_begun},
    {NULL, NULL},
};
