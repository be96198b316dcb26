/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members that compute who is to own what, and ask each other for it. */
#include "test_spool.h"

#include "spool/plan.h"

enum { PARTITIONS = 5, MEMBERS = 3 };

struct crowd {
	struct bed *b;
	struct mq_topic wide; /* with PARTITIONS */
	struct one {
		struct mq_membership m;
		struct mq_plan plan;
		struct mq_plan_topic *wide;
		struct mq_ownership o[PARTITIONS];
		bool owns[PARTITIONS], here;
	} one[MEMBERS];
};

static void join(struct crowd *c, int i)
{
	static const char *const topics[] = {"other", "wide"};
	const struct mq_member_wish wish = {.topics = topics, .n_topics = 2, .room = "east"};

	OK(mq_membership_join(&c->one[i].m, &c->b->spool, "h", &wish, &bed_err));
	mq_plan_open(&c->one[i].plan, &c->one[i].m);
	OK(mq_plan_add(&c->one[i].plan, &c->wide, &bed_err));
	c->one[i].wide = mq_plan_find(&c->one[i].plan, "wide");
	c->one[i].here = true;
}

static void let_go(struct crowd *c, int i, uint32_t p)
{
	if (c->one[i].owns[p])
		mq_ownership_release(&c->one[i].o[p]);
	c->one[i].owns[p] = false;
}

static void leave(struct crowd *c, int i)
{
	if (!c->one[i].here)
		return;
	for (uint32_t p = 0; p < PARTITIONS; p++)
		let_go(c, i, p);
	mq_plan_release(&c->one[i].plan);
	mq_membership_leave(&c->one[i].m);
	c->one[i].here = false;
}

static bool take(struct crowd *c, int i, uint32_t p)
{
	int rc = mq_ownership_take(&c->one[i].o[p], &c->one[i].m, &c->wide, p, 0, &bed_err);

	OK(rc);
	return c->one[i].owns[p] = rc == 1;
}

static unsigned planned(struct crowd *c, int i, enum mq_plan_whose whose)
{
	unsigned n = 0;

	OK(mq_plan_make(&c->one[i].plan, &bed_err));
	for (uint32_t p = 0; p < PARTITIONS; p++)
		n += mq_plan_of(c->one[i].wide, p) == whose;
	return n;
}

static void gather(struct crowd *c, struct bed *b)
{
	*c = (struct crowd){.b = b};
	OK(mq_topic_make(&b->spool, "wide", PARTITIONS, NULL, 0, false, &bed_err));
	OK(mq_topic_open(&c->wide, &b->spool, "wide", &bed_err));
}

static void disperse(struct crowd *c)
{
	for (int i = 0; i < MEMBERS; i++)
		leave(c, i);
	mq_topic_release(&c->wide);
}

static void who_does_not_count_yet_is_assigned_nothing(void **state)
{
	struct crowd c;

	gather(&c, *state);
	join(&c, 0);
	assert_int_equal(planned(&c, 0, MQ_PLAN_ANYBODYS), PARTITIONS);
	join(&c, 1);
	OK(mq_membership_count(&c.one[1].m, &bed_err));
	assert_int_equal(planned(&c, 0, MQ_PLAN_OTHERS), PARTITIONS);
	assert_int_equal(planned(&c, 1, MQ_PLAN_MINE), PARTITIONS);
	OK(mq_membership_count(&c.one[0].m, &bed_err));
	assert_in_range(planned(&c, 0, MQ_PLAN_MINE), 2, 3);
	disperse(&c);
}

/* One round of what members do: give what is asked for, ask for what is to be theirs, take what is free. */
static unsigned move(struct crowd *c)
{
	unsigned moved = 0;

	for (int i = 0; i < MEMBERS; i++) {
		struct one *one = &c->one[i];

		if (!one->here)
			continue;
		OK(mq_plan_make(&one->plan, &bed_err));
		for (uint32_t p = 0; p < PARTITIONS; p++) {
			int asked = mq_plan_asked(one->wide, p, &bed_err);

			OK(asked);
			if (one->owns[p] && asked && mq_plan_of(one->wide, p) == MQ_PLAN_OTHERS) {
				let_go(c, i, p);
				moved++;
			} else if (!one->owns[p] && mq_plan_of(one->wide, p) == MQ_PLAN_MINE) {
				bool got = take(c, i, p);

				OK(mq_plan_ask(one->wide, p, !got, &bed_err));
				moved += got;
			}
		}
	}
	return moved;
}

static unsigned owned(const struct crowd *c, int i)
{
	unsigned n = 0;

	for (uint32_t p = 0; p < PARTITIONS; p++)
		n += c->one[i].owns[p];
	return n;
}

static void settle(struct crowd *c)
{
	int rounds = 0;

	while (move(c) > 0 || rounds < 2)
		assert_in_range(rounds++, 0, 10);
	assert_int_equal(owned(c, 0) + owned(c, 1) + owned(c, 2), PARTITIONS);
}

static void partitions_move_to_who_asks_until_all_have_their_share(void **state)
{
	struct crowd c;
	bool had[PARTITIONS];

	gather(&c, *state);
	join(&c, 0);
	OK(mq_membership_count(&c.one[0].m, &bed_err));
	settle(&c);
	assert_int_equal(owned(&c, 0), 5);
	join(&c, 1);
	OK(mq_membership_count(&c.one[1].m, &bed_err));
	settle(&c);
	assert_in_range(owned(&c, 0), 2, 3);
	memcpy(had, c.one[1].owns, sizeof had);
	join(&c, 2);
	OK(mq_membership_count(&c.one[2].m, &bed_err));
	settle(&c);
	assert_in_range(owned(&c, 0), 1, 2);
	assert_in_range(owned(&c, 2), 1, 2);
	for (uint32_t p = 0; p < PARTITIONS; p++) /* nothing went from the first to the second */
		assert_true(had[p] || !c.one[1].owns[p]);
	leave(&c, 0);
	settle(&c);
	assert_in_range(owned(&c, 1), 2, 3);
	disperse(&c);
}

static void a_request_goes_with_who_made_it(void **state)
{
	struct crowd c;

	gather(&c, *state);
	join(&c, 0);
	join(&c, 1);
	OK(mq_plan_ask(c.one[1].wide, 4, true, &bed_err));
	assert_int_equal(mq_plan_asked(c.one[0].wide, 4, &bed_err), 1);
	assert_int_equal(mq_plan_asked(c.one[1].wide, 4, &bed_err), 0); /* by another, that is */
	assert_int_equal(mq_plan_asked(c.one[0].wide, 3, &bed_err), 0);
	OK(mq_plan_ask(c.one[1].wide, 4, false, &bed_err));
	assert_int_equal(mq_plan_asked(c.one[0].wide, 4, &bed_err), 0);
	OK(mq_plan_ask(c.one[1].wide, 4, true, &bed_err));
	leave(&c, 1);
	assert_int_equal(mq_plan_asked(c.one[0].wide, 4, &bed_err), 0);
	disperse(&c);
}

static void group_conf(const struct bed *b, const char *text)
{
	char path[600];
	FILE *f;

	snprintf(path, sizeof path, "%s/groups/h/group.conf", b->path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void the_group_s_configuration_decides(void **state)
{
	struct crowd c;

	gather(&c, *state);
	join(&c, 0);
	OK(mq_membership_count(&c.one[0].m, &bed_err));
	group_conf(*state, "strategy=room\nroom.west=0-2\nroom.east=3\n");
	assert_int_equal(planned(&c, 0, MQ_PLAN_MINE), 1);
	assert_int_equal(mq_plan_of(c.one[0].wide, 3), MQ_PLAN_MINE);
	assert_int_equal(mq_plan_of(c.one[0].wide, 4), MQ_PLAN_NOBODYS);
	group_conf(*state, "strategy=at random\n");
	assert_int_equal(mq_plan_make(&c.one[0].plan, &bed_err), MQ_ECONFIG);
	assert_non_null(strstr(bed_err.text, "group.conf"));
	disperse(&c);
}

static void who_reads_another_topic_has_no_share_in_this_one(void **state)
{
	static const char *const topics[] = {"wid", "wider"};
	const struct mq_member_wish wish = {.topics = topics, .n_topics = 2};
	struct crowd c;
	struct mq_membership stranger;

	gather(&c, *state);
	join(&c, 0);
	OK(mq_membership_count(&c.one[0].m, &bed_err));
	OK(mq_membership_join(&stranger, &c.b->spool, "h", &wish, &bed_err));
	OK(mq_membership_count(&stranger, &bed_err));
	assert_int_equal(planned(&c, 0, MQ_PLAN_MINE), PARTITIONS);
	mq_membership_leave(&stranger);
	disperse(&c);
}

/* ---- several topics ---- */
enum { TOPICS = 4 };
static const char *const names[TOPICS] = {"a", "b", "c", "d"};

struct pair { /* members that read topics of one partition */
	struct bed *b;
	struct mq_topic t[TOPICS];
	struct mq_membership m[2];
	struct mq_plan plan[2];
};

static void pair_up(struct pair *x, struct bed *b, const char *const *first, size_t n_first, const char *const *second, size_t n_second)
{
	const struct mq_member_wish wish[2] = {{.topics = first, .n_topics = n_first}, {.topics = second, .n_topics = n_second}};

	x->b = b;
	for (int t = 0; t < TOPICS; t++) {
		OK(mq_topic_make(&b->spool, names[t], t == 3 ? 3 : 1, NULL, 0, false, &bed_err));
		OK(mq_topic_open(&x->t[t], &b->spool, names[t], &bed_err));
	}
	for (int i = 0; i < 2; i++) {
		OK(mq_membership_join(&x->m[i], &b->spool, "h", &wish[i], &bed_err));
		OK(mq_membership_count(&x->m[i], &bed_err));
		mq_plan_open(&x->plan[i], &x->m[i]);
		for (size_t t = 0; t < wish[i].n_topics; t++)
			OK(mq_plan_add(&x->plan[i], &x->t[wish[i].topics[t][0] - 'a'], &bed_err));
	}
	for (int i = 0; i < 2; i++)
		OK(mq_plan_make(&x->plan[i], &bed_err));
}

static void part(struct pair *x)
{
	for (int i = 0; i < 2; i++) {
		mq_plan_release(&x->plan[i]);
		mq_membership_leave(&x->m[i]);
	}
	for (int t = 0; t < TOPICS; t++)
		mq_topic_release(&x->t[t]);
}

static bool has(const struct pair *x, int i, int t, uint32_t p)
{
	const struct mq_plan_topic *topic = mq_plan_find(&x->plan[i], names[t]);

	return topic && mq_plan_of(topic, p) == MQ_PLAN_MINE;
}

static void topics_of_one_partition_are_not_all_one_member_s(void **state)
{
	struct pair x;
	int first = 0;

	pair_up(&x, *state, names, 2, names, 2);
	for (int t = 0; t < 2; t++) {
		assert_int_equal(has(&x, 0, t, 0) + has(&x, 1, t, 0), 1);
		first += has(&x, 0, t, 0);
	}
	assert_int_equal(first, 1);
	part(&x);
}

static void topics_with_other_readers_are_given_out_by_themselves(void **state)
{
	static const char *const some[] = {"b", "c"};
	struct pair x;

	pair_up(&x, *state, names, 2, some, 2);
	assert_true(has(&x, 0, 0, 0));
	assert_int_equal(has(&x, 0, 1, 0) + has(&x, 1, 1, 0), 1);
	assert_true(has(&x, 1, 2, 0));
	part(&x);
}

static void a_partition_that_one_member_wants_alone_is_his_and_nothing_else_is(void **state)
{
	static const char *const all[] = {"d"}, *const one[] = {"d:1"};
	struct pair x;

	pair_up(&x, *state, all, 1, one, 1);
	assert_true(has(&x, 0, 3, 0) && has(&x, 0, 3, 2));
	assert_true(!has(&x, 0, 3, 1) && has(&x, 1, 3, 1));
	assert_true(!has(&x, 1, 3, 0) && !has(&x, 1, 3, 2));
	part(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(who_does_not_count_yet_is_assigned_nothing),
	    BED_TEST(partitions_move_to_who_asks_until_all_have_their_share),
	    BED_TEST(a_request_goes_with_who_made_it),
	    BED_TEST(the_group_s_configuration_decides),
	    BED_TEST(who_reads_another_topic_has_no_share_in_this_one),
	    BED_TEST(topics_of_one_partition_are_not_all_one_member_s),
	    BED_TEST(topics_with_other_readers_are_given_out_by_themselves),
	    BED_TEST(a_partition_that_one_member_wants_alone_is_his_and_nothing_else_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
