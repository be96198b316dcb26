/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What those who share have done and have, beside a table that holds each offset by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spool/claims_ranges.h"

enum { OFFSETS = 64, STEPS = 2000, ROUNDS = 50, MEMBERS = 3 };

struct table {
	uint64_t member[OFFSETS]; /* 0: nobody */
	bool done[OFFSETS];
};

static void put(struct table *t, const struct mq_claim *c)
{
	for (uint64_t o = c->offset; o < c->offset + c->count; o++) {
		bool theirs = t->member[o] == c->member && c->member;

		if (t->done[o])
			continue;
		if (c->kind == MQ_CLAIM_TAKEN)
			t->member[o] = c->member;
		else if (c->kind == MQ_CLAIM_DONE && (theirs || !t->member[o]))
			t->done[o] = true;
		else if (c->kind == MQ_CLAIM_RELEASED && theirs)
			t->member[o] = 0;
	}
}

static void compare(const struct mq_claims_ranges *r, const struct table *t)
{
	uint64_t base = 0, taken = 0, from, to;
	uint16_t attempt;

	while (base < OFFSETS && t->done[base])
		base++;
	assert_int_equal(r->base, base);
	for (uint64_t o = base; o < OFFSETS; o++) {
		const struct mq_claims_range *v = mq_claims_at(r, o);
		enum mq_claims_state want = t->done[o] ? MQ_CLAIMS_DONE : t->member[o] ? MQ_CLAIMS_TAKEN : MQ_CLAIMS_FREE;

		assert_int_equal(v ? v->state : MQ_CLAIMS_FREE, want);
		if (want == MQ_CLAIMS_TAKEN)
			assert_int_equal(v->member, t->member[o]);
		taken += want == MQ_CLAIMS_TAKEN;
	}
	assert_int_equal(r->taken, taken);
	assert_true(mq_claims_lowest(r, &from, &to, &attempt));
	for (uint64_t o = base; o < from && o < OFFSETS; o++)
		assert_true(t->done[o] || t->member[o]);
	if (from < OFFSETS)
		assert_false(t->done[from] || t->member[from]);
	for (size_t i = 0; i < r->n; i++)
		assert_int_equal(r->v[i].from, i ? r->v[i - 1].to : r->base);
}

static void ranges_are_what_each_offset_is(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		struct mq_claims_ranges r;
		struct table t = {0};

		mq_claims_ranges_init(&r, 0);
		for (int i = 0; i < STEPS && r.base < OFFSETS; i++) {
			uint64_t offset = (uint64_t)rand() % OFFSETS;
			struct mq_claim c = {(enum mq_claim_kind)(1 + rand() % 3), 0, offset, 1 + (uint64_t)rand() % 8, 1 + (uint64_t)rand() % MEMBERS};

			if (c.offset + c.count > OFFSETS)
				c.count = OFFSETS - c.offset;
			if (c.kind == MQ_CLAIM_DONE && rand() % 4)
				continue;
			assert_int_equal(mq_claims_apply(&r, &c), 0);
			put(&t, &c);
			compare(&r, &t);
		}
		mq_claims_ranges_release(&r);
	}
}

static void a_slot_verifies_where_it_was_written_alone(void **state)
{
	const struct mq_claim c = {MQ_CLAIM_DONE, 7, 12345678901234, 99, 0xfedcba9876543210};
	uint8_t bytes[MQ_CLAIM_LEN];
	struct mq_claim got;

	(void)state;
	mq_claim_encode(&c, 5, 4096, bytes);
	assert_true(mq_claim_decode(bytes, 5, 4096, &got));
	assert_int_equal(got.kind, c.kind);
	assert_int_equal(got.attempt, c.attempt);
	assert_int_equal(got.offset, c.offset);
	assert_int_equal(got.count, c.count);
	assert_int_equal(got.member, c.member);
	assert_false(mq_claim_decode(bytes, 6, 4096, &got));
	assert_false(mq_claim_decode(bytes, 5, 4128, &got));
	for (unsigned bit = 0; bit < 8 * MQ_CLAIM_LEN; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(mq_claim_decode(bytes, 5, 4096, &got));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_what_each_offset_is),
		cmocka_unit_test(a_slot_verifies_where_it_was_written_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
