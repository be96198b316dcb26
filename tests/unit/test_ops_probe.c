/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a member tries for partitions, and plans: by a clock that is set, on an engine that counts what it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/engine.h"
#include "ops/consume.h"
#include "sys/sys.h"

enum { MS = 1000000, FEEDS = 2 };

static struct mq_sys sys;
static int64_t now = 1000 * (int64_t)MS;
static uint32_t chance;
static unsigned plans, tries, shares;
static int members;
static enum mq_had had;

static int64_t the_clock(enum mq_clock clock)
{
	(void)clock;
	return now;
}

static int the_chance(void *ret, size_t len)
{
	memcpy(ret, &chance, len);
	return 0;
}

static int plan(struct mq_member *m, struct mq_err *err)
{
	(void)m, (void)err;
	plans++;
	return members;
}

static enum mq_whose plan_of(struct mq_member *m, const char *topic, uint32_t p)
{
	(void)m, (void)topic, (void)p;
	return MQ_WHOSE_OTHERS;
}

static enum mq_had who_had(struct mq_member *m, const char *topic, uint32_t p)
{
	(void)m, (void)topic;
	return p == 0 ? had : MQ_HAD_BY_MEMBER;
}

static bool may_be_free(struct mq_member *m, const char *topic, uint32_t p)
{
	(void)m, (void)topic, (void)p;
	tries++;
	return false;
}

static int owner(struct mq_store *s, const char *group, const char *topic, uint32_t p, int64_t *ret_pid, char ret_member[64],
                 bool *ret_handler_left, struct mq_err *err)
{
	(void)s, (void)group, (void)topic, (void)p, (void)err;
	*ret_pid = -1;
	strcpy(ret_member, "one");
	*ret_handler_left = false;
	return 1;
}

static int share(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_share_facts *ret, struct mq_err *err)
{
	(void)s, (void)group, (void)topic, (void)p, (void)err;
	*ret = (struct mq_share_facts){0};
	shares++;
	return 0;
}

static const struct mq_engine engine = {
	.member_plan = plan, .member_plan_of = plan_of, .member_had = who_had, .member_may_be_free = may_be_free, .group_owner = owner,
	.group_share = share,
};

struct bed {
	struct mq mq;
	struct mq_consume c;
	struct mq_consume_request req;
	struct mq_feed feeds[FEEDS], *all[FEEDS];
	struct mq_err err;
};

/* Members at work for long: all that they heard is done with. */
static struct bed *begin(struct bed *b, int n)
{
	*b = (struct bed){.req = {.group = "G", .follow = true}};
	for (uint32_t i = 0; i < FEEDS; i++) {
		b->feeds[i] = (struct mq_feed){.topic = "t", .partition = i, .nth = i};
		b->all[i] = &b->feeds[i];
	}
	b->c = (struct mq_consume){.mq = &b->mq, .engine = &engine, .req = &b->req, .err = &b->err, .feeds = b->all, .feeds_n = FEEDS, .count_at_ns = -1,
	                           .takes = 8, .take_again_ns = now + 10000 * (int64_t)MS, .plan_members = n, .told_held = true};
	sys = mq_sys_real;
	sys.clock_ns = the_clock;
	sys.random = the_chance;
	mq_sys = &sys;
	chance = 0x80008000;
	plans = tries = shares = 0;
	members = n;
	had = MQ_HAD_BY_MEMBER;
	return b;
}

static void a_moment_that_was_chosen_stays_until_it_is_used(void **state)
{
	struct bed b;
	struct mq_consume *c = &begin(&b, 100)->c;

	(void)state;
	mq_group_stir(c);
	int64_t at = c->take_again_ns;
	assert_true(at > now && at <= now + 200 * (int64_t)MS);
	chance = 0xffffffff;
	mq_group_stir(c);
	assert_int_equal(c->take_again_ns, at);
	assert_int_equal(mq_group_take(c), 0);
	assert_int_equal(tries, 0);
	now = at + MS; /* it had something else to do, and hears something before it looks */
	mq_group_stir(c);
	assert_int_equal(mq_group_take(c), 0);
	assert_int_equal(tries, FEEDS);
	mq_group_stir(c); /* the next one has its own */
	assert_true(c->take_again_ns > now);
}

static void however_many_there_are_each_tries_and_plans_soon(void **state)
{
	struct bed b;
	struct mq_consume *c = &begin(&b, 10000)->c;

	(void)state;
	chance = 0xffffffff;
	mq_group_stir(c);
	assert_true(c->take_again_ns <= now + 400 * (int64_t)MS);
	assert_true(mq_plan_due(c) >= 0 && mq_plan_due(c) <= now + 1000 * (int64_t)MS);
}

static void what_a_plan_finds_free_is_tried_for_at_once(void **state)
{
	struct bed b;
	struct mq_consume *c = &begin(&b, 100)->c;
	int64_t at = c->take_again_ns;

	(void)state;
	had = MQ_HAD_BY_NOBODY;
	c->plan_due = true;
	assert_int_equal(mq_plan_step(c), 1);
	assert_int_equal(plans, 1);
	assert_int_equal(mq_group_take(c), 0);
	assert_int_equal(tries, 1); /* for that one alone */
	assert_int_equal(c->take_again_ns, at);
	assert_int_equal(mq_plan_step(c), 0);
	assert_int_equal(plans, 1);
}

static void a_plan_that_is_made_right_after_news_is_made_once_more(void **state)
{
	struct bed b;
	struct mq_consume *c = &begin(&b, 2)->c;

	(void)state;
	mq_group_stir(c);
	assert_int_equal(mq_group_take(c), 0);
	assert_int_equal(mq_plan_step(c), 0);
	assert_int_equal(plans, 1);
	assert_int_equal(mq_plan_step(c), 0); /* not over and over */
	assert_int_equal(plans, 1);
	assert_true(mq_plan_due(c) > now);
	now = mq_plan_due(c);
	assert_int_equal(mq_plan_step(c), 0);
	assert_int_equal(plans, 2);
	assert_int_equal(mq_plan_due(c), -1);
}

static void of_many_each_plans_once_when_what_was_told_of_is_so(void **state)
{
	struct bed b;
	struct mq_consume *c = &begin(&b, 100)->c;
	int64_t began = now, at;

	(void)state;
	chance = 0x00018000; /* the least that is waited for */
	mq_group_stir(c);
	at = mq_plan_due(c);
	assert_true(at >= began + 20 * (int64_t)MS);
	now = at - MS;
	mq_group_stir(c); /* a moment before: it is put off, */
	assert_true(mq_plan_due(c) >= now + 20 * (int64_t)MS);
	while (mq_plan_due(c) > now && now < began + 1000 * (int64_t)MS) { /* but not for ever */
		mq_group_stir(c);
		now += MS;
	}
	assert_true(now <= began + 200 * (int64_t)MS);
	assert_int_equal(mq_plan_step(c), 0);
	assert_int_equal(plans, 1);
	assert_int_equal(mq_plan_due(c), -1);
}

static void what_was_told_of_who_holds_what_is_not_found_out_again(void **state)
{
	struct bed b;
	struct mq_consume *c = &begin(&b, 2)->c;

	(void)state;
	had = MQ_HAD_OTHERWISE;
	c->told_held = false;
	c->take_again_ns = now;
	assert_int_equal(mq_group_take(c), 0);
	assert_true(c->told_held);
	assert_int_equal(shares, 1); /* what a living member has alone is not asked for */
	c->take_again_ns = now;
	assert_int_equal(mq_group_take(c), 0);
	assert_int_equal(shares, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_moment_that_was_chosen_stays_until_it_is_used),
		cmocka_unit_test(however_many_there_are_each_tries_and_plans_soon),
		cmocka_unit_test(what_a_plan_finds_free_is_tried_for_at_once),
		cmocka_unit_test(a_plan_that_is_made_right_after_news_is_made_once_more),
		cmocka_unit_test(of_many_each_plans_once_when_what_was_told_of_is_so),
		cmocka_unit_test(what_was_told_of_who_holds_what_is_not_found_out_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
