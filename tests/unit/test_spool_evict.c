/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owners evicted: which area counts, whatever was torn, flipped or cut, and what the one before may still do. */
#include "test_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "spool/areas.h"
#include "spool/evict.h"
#include "spool/offsets.h"

enum { MANY = 9 };

struct one { /* more members of the group */
	struct mq_membership m;
	struct mq_ownership o;
};

static void take(struct bed *b, struct one *w)
{
	OK(mq_membership_join(&w->m, &b->spool, "g", NULL, &bed_err));
	assert_int_equal(mq_ownership_take(&w->o, &w->m, &b->topic, 0, 0, &bed_err), 1);
}

static void leave(struct one *w)
{
	mq_ownership_release(&w->o);
	mq_membership_leave(&w->m);
}

static int evict(struct bed *b, struct mq_eviction *ret)
{
	struct mq_group_topic g;
	int rc;

	OK(mq_group_topic_open(&g, &b->topic, "g", false, &bed_err));
	rc = mq_evict(&g, 0, NULL, false, 0, ret, &bed_err);
	mq_group_topic_release(&g);
	return rc;
}

/* 0 and the place and its generation, or what reading it gives. */
static int read_place(struct bed *b, struct mq_commit *ret)
{
	struct mq_group_topic g;
	uint64_t seq;
	int which, rc;

	OK(mq_group_topic_open(&g, &b->topic, "g", false, &bed_err));
	rc = mq_group_topic_read(&g, 0, ret, &which, &seq, NULL);
	mq_group_topic_release(&g);
	return rc;
}

static void stands(struct bed *b, uint64_t offset, uint32_t generation)
{
	struct mq_commit c;

	OK(read_place(b, &c));
	assert_int_equal(c.offset, offset);
	assert_int_equal(c.generation, generation);
}

static int open_offsets(const struct bed *b)
{
	char path[600];
	int fd;

	snprintf(path, sizeof path, "%s/groups/g/topics/t/offsets", b->path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void commit(struct mq_ownership *o, uint64_t offset)
{
	OK(mq_ownership_commit(o, offset, 0, &bed_err));
	OK(mq_ownership_sync(o, &bed_err));
}

static void each_eviction_begins_the_next_generation_in_another_area(void **state)
{
	struct bed *b = *state;
	struct mq_eviction who;
	struct one w;

	for (uint32_t i = 0; i < 20; i++) {
		take(b, &w);
		assert_int_equal(w.o.generation, i);
		assert_int_equal(w.o.area, i % MQ_SLOT_AREAS);
		assert_int_equal(w.o.commit.offset, i);
		commit(&w.o, i + 1);
		assert_int_equal(evict(b, &who), 1);
		assert_int_equal(who.generation, i + 1);
		assert_string_equal(who.member, w.m.name);
		assert_int_equal(evict(b, &who), 0);
		stands(b, i + 1, i + 1);
		assert_int_equal(mq_ownership_look(&w.o, &bed_err), MQ_EAGAIN);
		assert_int_equal(mq_ownership_commit(&w.o, 99, 0, &bed_err), MQ_EAGAIN);
		leave(&w);
		stands(b, i + 1, i + 1);
	}
}

static void what_was_committed_and_not_synced_goes_along(void **state)
{
	struct bed *b = *state;
	struct mq_eviction who;

	bed_take(b);
	OK(mq_ownership_commit(&b->o, 3, 2, &bed_err));
	assert_int_equal(evict(b, &who), 1);
	stands(b, 3, 1);
	assert_int_equal(mq_ownership_sync(&b->o, &bed_err), MQ_EAGAIN);
}

static void who_was_evicted_writes_where_nobody_reads(void **state)
{
	struct bed *b = *state;
	struct mq_eviction who;
	struct mq_commit c;
	uint8_t raw[MQ_SLOT_LEN];
	uint32_t slot;
	uint64_t seq;

	bed_take(b);
	commit(&b->o, 1);
	assert_int_equal(evict(b, &who), 1);
	for (int i = 0; i < 5; i++) { /* it had looked just before */
		c = b->o.commit;
		c.offset = 70;
		OK(mq_slots_prepare(&b->o.slots, &slot, &seq, "late", &bed_err));
		mq_commit_encode(&c, seq, slot, raw);
		OK(mq_slots_write(&b->o.slots, slot, seq, raw, "late", &bed_err));
		OK(mq_slots_sync(&b->o.slots, "late", &bed_err));
		stands(b, 1, 1);
	}
}

static void eight_at_once_are_all_there_is_room_for(void **state)
{
	struct bed *b = *state;
	static struct one w[MANY];
	struct mq_eviction who;

	for (int i = 0; i < 7; i++) {
		take(b, &w[i]);
		assert_int_equal(evict(b, &who), 1);
	}
	take(b, &w[7]);
	assert_int_equal(evict(b, &who), MQ_EAGAIN);
	assert_non_null(strstr(bed_err.text, "7 who were evicted"));
	assert_int_equal(mq_ownership_look(&w[7].o, &bed_err), 0);
	leave(&w[4]);
	assert_int_equal(evict(b, &who), 1);
	take(b, &w[8]);
	assert_int_equal(w[8].o.area, 4);
	assert_int_equal(w[8].o.generation, 8);
	for (int i = 0; i < MANY; i++)
		if (i != 4)
			leave(&w[i]);
}

static void evict_and_die(struct bed *b)
{
	struct mq_eviction who;

	(void)evict(b, &who);
}

/* The second write tells that the first one was synced. */
static void who_takes_a_generation_that_may_not_be_durable_syncs_first(void **state)
{
	struct bed *b = *state;
	struct mq_eviction who;

	for (uint32_t i = 0; i < 3; i++) {
		bed_take(b);
		commit(&b->o, i + 1);
		bed_faults(i == 1 ? NULL : "pwrite:2:path=offsets:kill-before");
		if (i == 1)
			assert_int_equal(evict(b, &who), 1);
		else
			assert_true(WIFSIGNALED(bed_child(evict_and_die, b)));
		stands(b, i + 1, i + 1);
		bed_let_go(b);
		bed_faults("fdatasync:1:path=offsets:EIO");
		bed_take(b);
		assert_int_equal(mq_fault_fired(0), i != 1);
		assert_int_equal(b->o.generation, i + 1);
		bed_let_go(b);
		bed_faults(NULL);
	}
}

static void a_torn_first_write_is_no_eviction(void **state)
{
	static const size_t written[] = {8, 100, 255};
	struct bed *b = *state;
	struct mq_eviction who;
	uint8_t raw[MQ_SLOT_LEN] = {0};
	int fd;

	bed_take(b);
	commit(&b->o, 1);
	for (uint32_t area = 1; area < 4; area++) {
		for (size_t i = 0; i < 3; i++) {
			memset(raw, 'x', sizeof raw);
			fd = open_offsets(b);
			assert_int_equal(pwrite(fd, raw, written[i], (off_t)(512 * area)), (ssize_t)written[i]);
			close(fd);
			stands(b, 1, area - 1);
		}
		assert_int_equal(evict(b, &who), 1);
		stands(b, 1, area);
		bed_let_go(b);
		bed_take(b);
	}
}

static void flip(const struct bed *b, uint32_t slot, uint64_t at)
{
	int fd = open_offsets(b);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)(mq_slot_at(slot) + at)), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)(mq_slot_at(slot) + at)), 1);
	close(fd);
}

static void no_flipped_bit_brings_a_former_generation_back(void **state)
{
	struct bed *b = *state;
	struct mq_eviction who;
	struct mq_commit c;

	bed_take(b);
	commit(&b->o, 1);
	assert_int_equal(evict(b, &who), 1);
	for (uint32_t area = 0; area < 2; area++)
		for (uint32_t i = 0; i < 2; i++)
			for (uint64_t at = 0; at < MQ_SLOT_LEN; at++) {
				flip(b, mq_slot_number(i, area), at);
				stands(b, 1, 1);
				flip(b, mq_slot_number(i, area), at);
			}
	flip(b, mq_slot_number(0, 1), 33);
	flip(b, mq_slot_number(1, 1), 33);
	assert_int_equal(read_place(b, &c), MQ_EDAMAGE);
	assert_int_equal(evict(b, &who), MQ_EDAMAGE);
}

/* Nobody knows which generation that was. */
static void a_place_set_by_hand_is_above_every_generation(void **state)
{
	struct bed *b = *state;
	struct mq_group_topic g;
	struct mq_eviction who;
	struct mq_commit c;

	bed_take(b);
	for (int i = 0; i < 3; i++) {
		commit(&b->o, 1);
		assert_int_equal(evict(b, &who), 1);
		bed_let_go(b);
		bed_take(b);
	}
	flip(b, mq_slot_number(0, 3), 33);
	flip(b, mq_slot_number(1, 3), 33);
	OK(mq_group_topic_open(&g, &b->topic, "g", false, &bed_err));
	OK(mq_offsets_force_seek(&g, 0, 5, &bed_err));
	mq_group_topic_release(&g);
	OK(read_place(b, &c));
	assert_int_equal(c.offset, 5);
	assert_true(c.generation > 3);
	assert_int_equal(mq_ownership_look(&b->o, &bed_err), MQ_EAGAIN);
	bed_let_go(b);
	bed_take(b);
	assert_int_equal(b->o.commit.offset, 5);
}

static void however_the_file_is_cut_no_former_generation_comes_back(void **state)
{
	struct bed *b = *state;
	uint8_t whole[16384];
	struct mq_eviction who;
	struct mq_commit c;
	int fd, damaged = 0;

	bed_take(b);
	commit(&b->o, 1);
	commit(&b->o, 2);
	assert_int_equal(evict(b, &who), 1);
	bed_let_go(b);
	bed_take(b);
	commit(&b->o, 3);
	commit(&b->o, 4);
	bed_let_go(b);
	fd = open_offsets(b);
	assert_int_equal(pread(fd, whole, sizeof whole, 0), sizeof whole);
	for (off_t size = 0; size < 8192; size += 64) {
		int rc;

		assert_int_equal(ftruncate(fd, size), 0);
		rc = read_place(b, &c);
		damaged += rc == MQ_EDAMAGE;
		assert_true(rc == MQ_EDAMAGE || (rc == 0 && c.generation == 1 && c.offset >= 3));
		assert_int_equal(pwrite(fd, whole, sizeof whole, 0), sizeof whole);
	}
	assert_true(damaged > 0 && damaged < 100);
	close(fd);
}

static void a_cut_is_not_forgotten_in_a_copy(void **state)
{
	struct bed *b = *state;
	struct mq_group_topic g;
	struct mq_eviction who;
	struct mq_commit c;
	struct one w;
	int fd;

	bed_take(b);
	commit(&b->o, 1);
	assert_int_equal(evict(b, &who), 1);
	bed_let_go(b);
	for (off_t size = 0; size < 1024; size += 256) {
		fd = open_offsets(b);
		assert_int_equal(ftruncate(fd, size), 0);
		close(fd);
		assert_int_equal(read_place(b, &c), MQ_EDAMAGE);
		OK(mq_group_topic_open(&g, &b->topic, "g", false, &bed_err));
		OK(mq_offsets_replace(&g, 0, NULL, false, &bed_err));
		mq_group_topic_release(&g);
		assert_int_equal(read_place(b, &c), MQ_EDAMAGE);
		OK(mq_group_topic_open(&g, &b->topic, "g", false, &bed_err));
		OK(mq_offsets_force_seek(&g, 0, 1, &bed_err));
		mq_group_topic_release(&g);
		take(b, &w);
		assert_int_equal(evict(b, &who), 1);
		leave(&w);
	}
}

static void what_was_acknowledged_counts_on_and_a_late_one_is_refused(void **state)
{
	static const uint64_t before[] = {3, 2}, late[] = {1};
	struct bed *b = *state;
	struct mq_eviction who;
	struct mq_commit handed_out;
	uint64_t above = 0;
	size_t done;

	bed_take(b);
	commit(&b->o, 1);
	handed_out = b->o.commit;
	OK(mq_acks_add(b->o.g, 0, &handed_out, before, 2, &done, &bed_err));
	assert_int_equal(evict(b, &who), 1);
	assert_int_equal(mq_acks_add(b->o.g, 0, &handed_out, late, 1, &done, &bed_err), MQ_EDENIED);
	bed_let_go(b);
	bed_take(b);
	OK(mq_acks_count(b->o.g, 0, &b->o.commit, &above, &bed_err));
	assert_int_equal(above, 2);
	OK(mq_acks_add(b->o.g, 0, &b->o.commit, late, 1, &done, &bed_err));
	OK(mq_acks_merge(&b->o, &bed_err));
	assert_int_equal(b->o.commit.offset, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(each_eviction_begins_the_next_generation_in_another_area),
	    BED_TEST(what_was_committed_and_not_synced_goes_along),
	    BED_TEST(who_was_evicted_writes_where_nobody_reads),
	    BED_TEST(eight_at_once_are_all_there_is_room_for),
	    BED_TEST(who_takes_a_generation_that_may_not_be_durable_syncs_first),
	    BED_TEST(a_torn_first_write_is_no_eviction),
	    BED_TEST(no_flipped_bit_brings_a_former_generation_back),
	    BED_TEST(a_place_set_by_hand_is_above_every_generation),
	    BED_TEST(however_the_file_is_cut_no_former_generation_comes_back),
	    BED_TEST(a_cut_is_not_forgotten_in_a_copy),
	    BED_TEST(what_was_acknowledged_counts_on_and_a_late_one_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
