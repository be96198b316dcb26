/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq_group_commit: positions as they come, on an engine that only writes down what it is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/engine.h"
#include "api/mq.h"
#include "sys/sys.h"

static char told[4096]; /* "TOPIC:PARTITION:TOKEN=OFFSET,OFFSET …;" a call */
static unsigned calls;

static int group_ack(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *token,
                     const uint64_t *offsets, size_t n, struct mq_err *err)
{
	size_t at = strlen(told);
	(void)s;
	calls++;
	assert_string_equal(group, "G");
	if (strcmp(token, "old") == 0)
		return mq_err_set(err, MQ_EDENIED, "of before a seek");
	at += (size_t)snprintf(told + at, sizeof told - at, "%s:%u:%s=", topic, p, token);
	for (size_t i = 0; i < n && at < sizeof told; i++)
		at += (size_t)snprintf(told + at, sizeof told - at, "%s%llu", i ? "," : "", (unsigned long long)offsets[i]);
	snprintf(told + at, sizeof told - at, ";");
	return 0;
}

static const struct mq_engine engine = {.scheme = "told", .group_ack = group_ack};

struct run {
	struct mq *mq;
	struct mq_store store;
	int in[2];
};

static int setup(void **state)
{
	struct run *r = calloc(1, sizeof *r);
	r->mq = mq_new();
	r->store.engine = &engine;
	r->mq->store = &r->store;
	told[0] = 0;
	calls = 0;
	*state = r;
	return pipe(r->in);
}

static int teardown(void **state)
{
	struct run *r = *state;
	r->mq->store = NULL;
	mq_free(r->mq);
	close(r->in[0]);
	free(r);
	return 0;
}

static int commit(struct run *r, const char *text, uint64_t *ret_count)
{
	assert_int_equal(write(r->in[1], text, strlen(text)), strlen(text));
	close(r->in[1]);
	return mq_group_commit(r->mq, "G", r->in[0], ret_count);
}

static void what_one_read_gives_is_one_call_a_partition(void **state)
{
	uint64_t count = 0;
	assert_int_equal(commit(*state, "a:0:1:t\na:1:7:t\na:0:3:t\nb:0:1:t\na:1:8:t\n", &count), 0);
	assert_string_equal(told, "a:0:t=1,3;a:1:t=7,8;b:0:t=1;");
	assert_int_equal(count, 5);
}

static void what_stands_behind_a_tab_is_ignored_however_long(void **state)
{
	struct run *r = *state;
	enum { LONG = 30000 };
	uint64_t count = 0;
	char *text = malloc(LONG + 64);
	strcpy(text, "a:0:1:t\tx y:z\t\na:0:2:t\t");
	size_t at = strlen(text);
	memset(text + at, 'x', LONG);
	strcpy(text + at + LONG, "\na:0:3:t\r\n");
	assert_int_equal(commit(r, text, &count), 0);
	assert_string_equal(told, "a:0:t=1,2,3;");
	free(text);
}

static void a_last_line_needs_no_newline(void **state)
{
	uint64_t count = 0;
	assert_int_equal(commit(*state, "a:0:1:t\na:0:18446744073709551615:t", &count), 0);
	assert_int_equal(count, 2);
	assert_non_null(strstr(told, "18446744073709551615"));
}

static void nothing_is_nothing(void **state)
{
	uint64_t count = 9;
	assert_int_equal(commit(*state, "", &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(calls, 0);
}

static void a_malformed_line_is_told_by_its_number_and_what_stands_before_it_counts(void **state)
{
	struct run *r = *state;
	uint64_t count = 0;
	assert_int_equal(commit(r, "a:0:1:t\na:0:2:t\nrubbish\x1b\na:0:3:t\n", &count), MQ_EINPUT);
	assert_int_equal(mq_status(r->mq), MQ_EXIT_INPUT);
	assert_non_null(strstr(mq_why(r->mq), "line 3: 'rubbish?'"));
	assert_string_equal(told, "a:0:t=1,2;");
	assert_int_equal(count, 2);
}

static void only_a_whole_position_is_one(void **state)
{
	static const char *const bad[] = {
	    "\n", "a\n", "a:0\n", "a:0:1\n", "a:0:1:\n", "a:0:1:\tx\n", ":0:1:t\n", "a::1:t\n", "a:0::t\n", "a:-1:1:t\n",
	    "a:0:1x:t\n", "a/b:0:1:t\n", "a:4294967296:1:t\n", "a:0:18446744073709551616:t\n", " a:0:1:t\n", ".:0:1:t\n",
	    "a:0:1:0123456789012345678901234567890123456789\n"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		void *one;
		uint64_t count;
		setup(&one);
		assert_int_equal(commit(one, bad[i], &count), MQ_EINPUT);
		assert_int_equal(calls, 0);
		teardown(&one);
	}
	close(((struct run *)*state)->in[1]);
}

static void a_line_without_end_is_refused_before_it_is_all_read(void **state)
{
	struct run *r = *state;
	char text[1000];
	uint64_t count;
	memset(text, 'a', sizeof text);
	assert_int_equal(write(r->in[1], text, sizeof text), sizeof text);
	assert_int_equal(mq_group_commit(r->mq, "G", r->in[0], &count), MQ_EINPUT); /* the pipe is still open */
	close(r->in[1]);
}

static void a_stranger_s_token_is_denied_and_the_others_are_acknowledged(void **state)
{
	struct run *r = *state;
	uint64_t count = 0;
	assert_int_equal(commit(r, "a:0:1:t\na:1:2:old\na:2:3:t\n", &count), MQ_EDENIED);
	assert_int_equal(mq_status(r->mq), MQ_EXIT_DENIED);
	assert_string_equal(mq_why(r->mq), "line 2, a:1: of before a seek");
	assert_string_equal(told, "a:0:t=1;a:2:t=3;");
	assert_int_equal(count, 2);
}

static void asked_to_stop_it_stops(void **state)
{
	struct run *r = *state;
	uint64_t count;
	mq_stop(r->mq);
	assert_int_equal(mq_group_commit(r->mq, "G", r->in[0], &count), -EINTR); /* nobody writes */
	close(r->in[1]);
}

/* --- as they come: the pipe gives what it holds, a read at a time ----------------------------- */

static struct mq_sys slow;
static const char *const *pieces;

/* What was acknowledged is looked at before each piece. */
static ssize_t read_piece(int fd, void *buf, size_t len)
{
	static const char *const before[] = {"", "a:0:t=1;", "a:0:t=1;a:0:t=2;", "a:0:t=1;a:0:t=2;a:0:t=3;"};
	static size_t piece;
	(void)fd;
	assert_string_equal(told, before[piece]);
	const char *text = pieces[piece++];
	size_t n = text ? strlen(text) : 0;
	assert_true(n <= len);
	memcpy(buf, text ? text : "", n);
	return (ssize_t)n;
}

static void each_read_s_positions_are_acknowledged_before_the_next_read(void **state)
{
	/* A position whose payload is cut counts when its line has ended. */
	static const char *const three[] = {"a:0:1:t\na:0", ":2:t\tpay\n", "a:0:3:t\n", NULL};
	struct run *r = *state;
	uint64_t count = 0;
	pieces = three;
	slow = *mq_sys;
	slow.read = read_piece;
	const struct mq_sys *real = mq_sys;
	mq_sys = &slow;
	close(r->in[1]);
	int rc = mq_group_commit(r->mq, "G", r->in[0], &count);
	mq_sys = real;
	assert_int_equal(rc, 0);
	assert_int_equal(count, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(what_one_read_gives_is_one_call_a_partition),
	    TEST(what_stands_behind_a_tab_is_ignored_however_long),
	    TEST(a_last_line_needs_no_newline),
	    TEST(nothing_is_nothing),
	    TEST(a_malformed_line_is_told_by_its_number_and_what_stands_before_it_counts),
	    TEST(only_a_whole_position_is_one),
	    TEST(a_line_without_end_is_refused_before_it_is_all_read),
	    TEST(a_stranger_s_token_is_denied_and_the_others_are_acknowledged),
	    TEST(asked_to_stop_it_stops),
	    TEST(each_read_s_positions_are_acknowledged_before_the_next_read),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ops_group", tests, NULL, NULL);
}
