/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members that share a partition: what one that is gone leaves to the others. */
#include "test_spool.h"

#include <unistd.h>

#include "spool/claims.h"

struct sharer {
	struct mq_membership m;
	struct mq_ownership o;
	struct mq_claims c;
};

static void join(struct bed *b, struct sharer *s, uint64_t start)
{
	OK(mq_membership_join(&s->m, &b->spool, "g", NULL, &bed_err));
	s->m.sharing = true;
	assert_int_equal(mq_ownership_take(&s->o, &s->m, &b->topic, 0, start, &bed_err), 1);
	OK(mq_claims_begin(&s->c, &s->o, &bed_err));
	OK(mq_ownership_share(&s->o, &bed_err));
}

static void leave(struct sharer *s)
{
	mq_claims_release(&s->c);
	mq_ownership_release(&s->o);
	mq_membership_leave(&s->m);
}

/* Of each record there is a byte, and they come again after 2^24: what lies on both sides is looked for on both. */
static void a_record_behind_2_to_the_24_is_not_given_out_while_its_handler_lives(void **state)
{
	const uint64_t n = MQ_GROUP_SHARED_LEN;
	struct bed *b = *state;
	struct mq_claim_taken run;
	struct sharer one, two;
	uint64_t handled, from, to;

	join(b, &one, n - 1);
	assert_int_equal(mq_claims_take(&one.c, UINT64_MAX, 3, &run, &bed_err), 1);
	assert_int_equal(run.from, n - 1);
	assert_int_equal(run.to, n + 2);
	int handler = mq_claims_handler_fd(&one.c, n, n + 1, &bed_err);
	assert_true(handler >= 0);
	leave(&one);

	join(b, &two, n - 1);
	OK(mq_claims_look(&two.c, &handled, &bed_err));
	assert_int_equal(handled, 1);
	assert_int_equal(mq_claims_take(&two.c, UINT64_MAX, 3, &run, &bed_err), 1);
	assert_int_equal(run.from, n - 1);
	assert_int_equal(run.to, n);
	assert_int_equal(mq_claims_next(&two.c, false, &from, &to, &bed_err), 1);
	assert_int_equal(from, n + 1);

	/* Two at once in one hand, and let go again. */
	OK(mq_claims_handler_hold(&two.c, handler, n - 1, n + 1, true, &bed_err));
	assert_int_equal(mq_sys->lock_test(two.o.g->locks, MQ_LOCK_WRITE, mq_group_shared_byte(0, 0, n - 1), 1), 1);
	assert_int_equal(mq_sys->lock_test(two.o.g->locks, MQ_LOCK_WRITE, mq_group_shared_byte(0, 0, 0), 1), 1);
	assert_int_equal(mq_sys->lock_test(two.o.g->locks, MQ_LOCK_WRITE, mq_group_shared_byte(0, 1, 0), MQ_GROUP_SHARED_LEN), 0);
	OK(mq_claims_handler_hold(&two.c, handler, n - 1, n + 1, false, &bed_err));
	assert_int_equal(mq_sys->lock_test(two.o.g->locks, MQ_LOCK_WRITE, mq_group_shared_byte(0, 0, 0), MQ_GROUP_SHARED_LEN), 0);
	close(handler);
	leave(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_record_behind_2_to_the_24_is_not_given_out_while_its_handler_lives, bed_make, bed_remove),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
