/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transfers as their callers meet them: what is kept from removal, what is found again where a target has forgotten the mover, what
 * one costs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/crc32c.h"
#include "ops/transfer_private.h"
#include "sys/fault.h"
#include "sys/sys.h"
#include "test_sys_dir.h"

static struct mq_err why;

struct bed {
	struct test_dir *dir;
	struct mq *mq;
	const struct mq_engine *e;
	struct mq_member *member;
	struct mq_transfer_source from;
	struct mq_transfer *t;
	char name[64]; /* the mover's */
};

#define OK(call) \
	do { \
		int rc_ = (call); \
		if (rc_ < 0) \
			fail_msg("%s: %d: %s", #call, rc_, why.text); \
	} while (0)

static void take(struct bed *b)
{
	static const struct mq_wish nothing = {0};

	OK(b->e->member_join(b->mq->store, "g", &nothing, &b->member, &why));
	assert_int_equal(b->e->owner_take(b->member, "t", 0, NULL, &b->from.owner, &why), 1);
	OK(mq_transfer_open(&b->t, b->mq, &b->from, true, &why));
	memcpy(b->name, b->t->name, sizeof b->name);
}

static void let_go(struct bed *b)
{
	mq_transfer_close(b->t);
	b->e->owner_release(b->from.owner);
	b->e->member_leave(b->member);
	b->t = NULL;
}

static void set(struct bed *b, const char *topic, const char *pair)
{
	OK(b->e->topic_set(b->mq->store, topic, &pair, 1, false, &why));
}

/* Lines "0" to "n - 1". */
static void publish(struct bed *b, const char *topic, unsigned n)
{
	struct mq_appender *a;
	struct mq_ticket ticket;
	char body[4096];
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(body + len, sizeof body - len, "%u\n", i);
	struct mq_batch batch = {.kind = MQ_BATCH_LINES, .ack = MQ_ACK_DURABLE, .count = n, .raw_len = (uint32_t)len,
	                         .stored_len = (uint32_t)len, .body_crc = mq_crc32c(0, body, len)};
	OK(b->e->appender_open(b->mq->store, topic, 0, &a, &why));
	OK(b->e->append(a, &batch, body, &ticket, &why));
	OK(b->e->wait_durable(a, &ticket, MQ_ACK_DURABLE, &why));
	b->e->appender_close(a);
}

static int make(void **state)
{
	static const char *const topics[] = {"t", "a", "b"};
	static const char *const small[] = {"segment.bytes=256K", "when.full=fail"};
	struct bed *b = calloc(1, sizeof *b);

	why = (struct mq_err)MQ_ERR_INIT;
	if (test_dir_make(&b->dir) < 0 || !(b->mq = mq_new()) || mq_open(b->mq, b->dir->path, MQ_OPEN_CREATE) < 0)
		return -1;
	b->e = b->mq->store->engine;
	for (size_t i = 0; i < 3; i++)
		OK(b->e->topic_create(b->mq->store, topics[i], 1, small, 2, false, &why));
	publish(b, "t", 20);
	b->from = (struct mq_transfer_source){.group = "g", .topic = "t"};
	take(b);
	*state = b;
	return 0;
}

static int clear(void **state)
{
	struct bed *b = *state;

	if (b->t)
		let_go(b);
	mq_free(b->mq);
	if (mq_sys != &mq_sys_real)
		mq_sys = &mq_sys_real;
	int rc = test_dir_remove(b->dir);
	free(b);
	return rc;
}

/* The record of the source at `offset`, as others: it says so itself. */
static void put(struct bed *b, const char *topic, uint64_t offset)
{
	char text[16];
	struct mq_rec r = {.payload = text, .payload_len = (uint32_t)snprintf(text, sizeof text, "%" PRIu64, offset)};

	assert_int_equal(mq_transfer_put(b->t, topic, 0, &r, &why), 0);
}

static void copy(struct bed *b, const char *topic, uint64_t offset)
{
	char text[16];
	struct mq_rec r = {.offset = offset, .payload = text, .payload_len = (uint32_t)snprintf(text, sizeof text, "%" PRIu64, offset)};

	assert_int_equal(mq_transfer_copy(b->t, topic, 0, &r, &why), 0);
}

/* The next record, to that topic. */
static int move_one(struct bed *b, const char *topic)
{
	uint64_t at = mq_transfer_place(b->t);

	mq_transfer_begin(b->t);
	put(b, topic, at);
	return mq_transfer_commit(b->t, at + 1, &why);
}

/* What a topic holds, as "0 1 2 ". */
static void holds(struct bed *b, const char *topic, const char *want)
{
	struct mq_body body = {0};
	struct mq_source *s;
	struct mq_loss loss;
	struct mq_view v;
	struct mq_walk w;
	struct mq_rec r;
	char got[4096] = "";
	size_t len = 0;

	OK(b->e->source_open(b->mq->store, topic, 0, &s, &why));
	OK(b->e->source_seek(s, 0, &loss, &why));
	while (b->e->source_next(s, &v, &loss, &why) == 1) {
		OK(mq_body_walk(&body, &v, &w, &why));
		while (mq_walk_next(&w, &r) == 1 && len < sizeof got - 32)
			len += (size_t)snprintf(got + len, sizeof got - len, "%.*s ", (int)r.payload_len, r.payload);
	}
	b->e->source_close(s);
	mq_body_release(&body);
	assert_string_equal(got, want);
}

/* So many movers come that a table of 64 KiB has no room for ours: it goes with the next segment. */
static void crowd_out(struct bed *b, const char *topic)
{
	struct mq_appender *a;
	struct mq_who who;
	static unsigned n;
	char name[64];

	OK(b->e->appender_open(b->mq->store, topic, 0, &a, &why));
	for (unsigned i = 0; i < 5000 && (i % 50 || b->e->mover_look(a, b->name, &who, &why) == 1); i++) {
		snprintf(name, sizeof name, "%060u", n++);
		OK(b->e->mover_open(a, name, 0, 0, &who, &why));
	}
	assert_int_equal(b->e->mover_look(a, b->name, &who, &why), 0);
	b->e->appender_close(a);
}

/* --- what an intent keeps from removal ------------------------------------------------------ */
static void copies_that_are_open_keep_their_source_and_nothing_else_does(void **state)
{
	struct bed *b = *state;
	uint64_t from;

	assert_int_equal(mq_transfer_hold(b->mq, "t", 0, &from, &why), 0);
	OK(move_one(b, "a"));
	OK(move_one(b, "a"));
	assert_int_equal(mq_transfer_hold(b->mq, "t", 0, &from, &why), 0);
	set(b, "b", "max.messages=1");
	publish(b, "b", 1);
	mq_transfer_begin(b->t);
	put(b, "a", 2);
	put(b, "b", 3);
	assert_int_equal(mq_transfer_commit(b->t, 4, &why), MQ_EAGAIN);
	assert_int_equal(mq_transfer_hold(b->mq, "t", 0, &from, &why), 0); /* of bytes */
	assert_int_equal(mq_transfer_refuse(b->mq, "t", NULL, &why), MQ_EAGAIN);
	let_go(b);
	set(b, "b", "max.messages=2");
	take(b);
	assert_int_equal(mq_transfer_place(b->t), 4);
	mq_transfer_begin(b->t);
	copy(b, "a", 4);
	copy(b, "b", 6);
	assert_int_equal(mq_transfer_commit(b->t, 7, &why), MQ_EAGAIN);
	assert_int_equal(mq_transfer_hold(b->mq, "t", 0, &from, &why), 1);
	assert_int_equal(from, 4);
	assert_int_equal(mq_transfer_hold(b->mq, "a", 0, &from, &why), 0);
	let_go(b); /* who made it is gone: so it is for whoever removes */
	assert_int_equal(mq_transfer_hold(b->mq, "t", 0, &from, &why), 1);
	assert_int_equal(from, 4);
	set(b, "b", "max.messages=3");
	take(b);
	assert_int_equal(mq_transfer_hold(b->mq, "t", 0, &from, &why), 0);
	assert_int_equal(mq_transfer_place(b->t), 7);
	holds(b, "a", "0 1 2 4 ");
	holds(b, "b", "0 3 6 ");
}

/* Another process moves so many, one by one, the last of them without an intent, perhaps when it was forgotten, and is killed before
 * it moves its place. */
static void killed_after(struct bed *b, int n, bool forgotten)
{
	int status;

	let_go(b);
	pid_t pid = fork();
	if (pid == 0) {
		b->mq = mq_new();
		OK(mq_open(b->mq, b->dir->path, 0));
		take(b);
		for (int i = 1; i < n; i++)
			OK(move_one(b, "a"));
		if (forgotten)
			crowd_out(b, "a");
		mq_sys = mq_fault_over(&mq_sys_real, "pwrite:1:path=offsets:kill-before", &why);
		_exit(move_one(b, "a") == 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* --- a target that has forgotten ------------------------------------------------------------ */
static void what_a_target_has_forgotten_is_found_in_its_log(void **state)
{
	struct bed *b = *state;

	OK(move_one(b, "a"));
	set(b, "b", "max.messages=1");
	publish(b, "b", 1);
	mq_transfer_begin(b->t);
	put(b, "a", 1);
	put(b, "b", 2);
	put(b, "a", 3);
	assert_int_equal(mq_transfer_commit(b->t, 4, &why), MQ_EAGAIN); /* a has got what it was to get, b nothing of it */
	let_go(b);
	set(b, "b", "max.messages=-1");
	crowd_out(b, "a");
	crowd_out(b, "b");
	take(b);
	assert_int_equal(mq_transfer_place(b->t), 4);
	holds(b, "a", "0 1 3 ");
	holds(b, "b", "0 2 ");
	OK(move_one(b, "a"));
	crowd_out(b, "a");
	OK(move_one(b, "a"));
	holds(b, "a", "0 1 3 4 5 ");
}

static void without_an_intent_it_is_found_as_well(void **state)
{
	struct bed *b = *state;

	killed_after(b, 5, false);
	holds(b, "a", "0 1 2 3 4 ");
	crowd_out(b, "a");
	take(b);
	assert_int_equal(mq_transfer_place(b->t), 5);
	OK(move_one(b, "a"));
	holds(b, "a", "0 1 2 3 4 5 ");
}

static void one_that_was_forgotten_twice_is_found(void **state)
{
	struct bed *b = *state;

	killed_after(b, 5, true);
	crowd_out(b, "a");
	take(b);
	assert_int_equal(mq_transfer_place(b->t), 5);
	OK(move_one(b, "a"));
	holds(b, "a", "0 1 2 3 4 5 ");
}

static void one_that_was_evicted_does_not_come_in_where_that_was_forgotten(void **state)
{
	struct bed *b = *state, old = *b;
	struct mq_evicted told = {0};

	for (int i = 0; i < 4; i++)
		OK(move_one(b, "a"));
	mq_transfer_begin(b->t);
	old = *b;
	assert_int_equal(b->e->group_evict(b->mq->store, "g", "t", 0, NULL, false, &told, &why), 1);
	take(b);
	assert_int_equal(mq_transfer_place(b->t), 4);
	crowd_out(b, "a");
	assert_int_equal(move_one(&old, "a"), MQ_EAGAIN);
	let_go(&old);
	OK(move_one(b, "a"));
	OK(move_one(b, "b"));
	holds(b, "a", "0 1 2 3 4 ");
	holds(b, "b", "5 ");
}

/* --- what it costs -------------------------------------------------------------------------- */
static void one_batch_into_one_partition_is_one_sync(void **state)
{
	struct bed *b = *state;

	for (int i = 0; i < 3; i++)
		OK(move_one(b, "a"));
	mq_sys = mq_fault_over(&mq_sys_real, "", &why);
	for (int i = 0; i < 8; i++)
		OK(move_one(b, "a"));
	assert_int_equal(mq_fault_calls("fdatasync"), 8);
	mq_sys = &mq_sys_real;
	let_go(b);
	take(b); /* what was closed is not looked for */
	assert_int_equal(mq_transfer_place(b->t), 11);
	holds(b, "a", "0 1 2 3 4 5 6 7 8 9 10 ");
}

static void a_place_that_was_set_by_hand_stays_whatever_came_without_an_intent(void **state)
{
	struct bed *b = *state;

	killed_after(b, 6, false);
	OK(b->e->group_seek(b->mq->store, "g", "t", 0, 3, false, &why));
	take(b);
	assert_int_equal(mq_transfer_place(b->t), 3);
	for (int i = 0; i < 4; i++)
		OK(move_one(b, "a"));
	holds(b, "a", "0 1 2 3 4 5 3 4 5 6 ");
}

static void a_transfer_takes_something(void **state)
{
	struct bed *b = *state;

	put(b, "a", 0);
	assert_int_equal(mq_transfer_commit(b->t, 0, &why), MQ_EUSAGE);
}

/* --- a set ---------------------------------------------------------------------------------- */
static int move_set(struct bed *b, const char *topic, const uint64_t *offsets, size_t n)
{
	mq_transfer_begin_set(b->t, offsets[0]);
	for (size_t i = 0; i < n; i++)
		copy(b, topic, offsets[i]);
	return mq_transfer_commit_set(b->t, offsets, n, &why);
}

static void what_is_taken_out_of_order_is_done_and_what_lies_between_is_not(void **state)
{
	struct bed *b = *state;

	OK(move_set(b, "a", (const uint64_t[]){3, 5, 6}, 3));
	assert_int_equal(mq_transfer_place(b->t), 0);
	OK(move_set(b, "b", (const uint64_t[]){0, 2}, 2));
	assert_int_equal(mq_transfer_place(b->t), 1);
	OK(move_set(b, "a", (const uint64_t[]){1, 4}, 2)); /* all up to 7 are done now */
	assert_int_equal(mq_transfer_place(b->t), 7);
	OK(move_set(b, "b", (const uint64_t[]){9}, 1));
	let_go(b);
	take(b);
	assert_int_equal(mq_transfer_place(b->t), 7);
	holds(b, "a", "3 5 6 1 4 ");
	holds(b, "b", "0 2 9 ");
	OK(move_one(b, "a")); /* in its order, behind them */
	OK(move_one(b, "a"));
	OK(move_one(b, "a"));
	assert_int_equal(mq_transfer_place(b->t), 10);
	holds(b, "a", "3 5 6 1 4 7 8 9 ");
	mq_transfer_begin_set(b->t, 12);
	assert_int_equal(mq_transfer_commit_set(b->t, (const uint64_t[]){13, 12}, 2, &why), MQ_EUSAGE);
}

static void a_set_that_was_broken_off_is_finished_and_closed(void **state)
{
	static const char *const where[] = {"fdatasync:1:path=/a/:kill-before", "pwrite:1:path=acked:kill-before", "fdatasync:1:path=acked:kill-after", ""};
	struct bed *b = *state;
	struct mq_err err = MQ_ERR_INIT;
	int status;

	for (unsigned i = 0; i < 4; i++) {
		let_go(b);
		pid_t pid = fork();
		if (pid == 0) {
			b->mq = mq_new();
			OK(mq_open(b->mq, b->dir->path, 0));
			take(b);
			mq_sys = mq_fault_over(&mq_sys_real, where[i], &why);
			OK(move_set(b, "a", (const uint64_t[]){2 * i + 2, 2 * i + 3}, 2));
			if (i == 3)
				raise(SIGKILL); /* it is not closed */
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_int_equal(mq_transfer_refuse(b->mq, "t", NULL, &err), MQ_EAGAIN);
		take(b);
		assert_int_equal(mq_transfer_place(b->t), 0);
		err = (struct mq_err)MQ_ERR_INIT;
		assert_int_equal(mq_transfer_refuse(b->mq, "t", NULL, &err), 0);
	}
	holds(b, "a", "2 3 4 5 6 7 8 9 ");
	OK(move_set(b, "b", (const uint64_t[]){0, 1}, 2));
	assert_int_equal(mq_transfer_place(b->t), 10);
}

static void a_set_whose_target_is_full_can_be_committed_again(void **state)
{
	struct bed *b = *state;
	static const uint64_t offsets[] = {4, 8};
	uint64_t from;

	set(b, "b", "max.messages=1");
	publish(b, "b", 1);
	mq_transfer_begin_set(b->t, 4);
	copy(b, "a", 4);
	copy(b, "b", 8);
	assert_int_equal(mq_transfer_commit_set(b->t, offsets, 2, &why), MQ_EAGAIN);
	assert_int_equal(mq_transfer_hold(b->mq, "t", 0, &from, &why), 1);
	assert_int_equal(from, 4);
	set(b, "b", "max.messages=2");
	struct mq_err err = MQ_ERR_INIT;
	OK(b->e->wait_space(b->t->targets[1]->appender, mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + INT64_C(30000000000), &err)); /* as the configuration is now */
	OK(mq_transfer_commit_set(b->t, offsets, 2, &why));
	holds(b, "a", "4 ");
	holds(b, "b", "0 8 ");
	OK(move_set(b, "a", (const uint64_t[]){0, 1, 2, 3}, 4));
	assert_int_equal(mq_transfer_place(b->t), 5);
}

#define BED_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, clear)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(copies_that_are_open_keep_their_source_and_nothing_else_does),
	    BED_TEST(what_a_target_has_forgotten_is_found_in_its_log),
	    BED_TEST(without_an_intent_it_is_found_as_well),
	    BED_TEST(one_that_was_forgotten_twice_is_found),
	    BED_TEST(one_that_was_evicted_does_not_come_in_where_that_was_forgotten),
	    BED_TEST(one_batch_into_one_partition_is_one_sync),
	    BED_TEST(a_place_that_was_set_by_hand_stays_whatever_came_without_an_intent),
	    BED_TEST(a_transfer_takes_something),
	    BED_TEST(what_is_taken_out_of_order_is_done_and_what_lies_between_is_not),
	    BED_TEST(a_set_that_was_broken_off_is_finished_and_closed),
	    BED_TEST(a_set_whose_target_is_full_can_be_committed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
