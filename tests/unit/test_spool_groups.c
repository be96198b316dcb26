/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A group's place: kept when its file cannot be synced, written by one owner, and told from one that was never set. */
#include "test_spool.h"

#include <errno.h>
#include <signal.h>

/* The inode of a file of the group's, 0 where there is none. */
static unsigned long long inode(const struct bed *b, const char *name)
{
	char path[600];
	struct stat st;

	snprintf(path, sizeof path, "%s/groups/g/topics/t/%s", b->path, name);
	return stat(path, &st) < 0 ? 0 : (unsigned long long)st.st_ino;
}

static uint64_t place(struct bed *b, uint32_t p)
{
	struct mq_group_topic g;
	struct mq_commit c;
	uint64_t seq;
	int which;

	OK(mq_group_topic_open(&g, &b->topic, "g", false, &bed_err));
	OK(mq_group_topic_read(&g, p, &c, &which, &seq, &bed_err));
	mq_group_topic_release(&g);
	return which < 0 ? UINT64_MAX : c.offset;
}

static void after_a_failed_sync_the_file_is_replaced(void **state)
{
	struct bed *b = *state;
	unsigned long long before;

	bed_take(b);
	OK(mq_ownership_commit(&b->o, 3, 0, &bed_err));
	before = inode(b, "offsets");
	bed_faults("fdatasync:1:path=offsets:EIO");
	OK(mq_ownership_sync(&b->o, &bed_err));
	assert_int_equal(mq_fault_fired(0), 1);
	assert_true(inode(b, "offsets") != before);
	assert_int_equal(inode(b, "offsets.failed"), 0);
	assert_int_equal(place(b, 0), 3);
	OK(mq_ownership_commit(&b->o, 4, 0, &bed_err));
	OK(mq_ownership_sync(&b->o, &bed_err));
	assert_int_equal(place(b, 0), 4);
}

static void where_that_fails_too_the_next_owner_does_it(void **state)
{
	struct bed *b = *state;
	unsigned long long before;

	bed_take(b);
	OK(mq_ownership_commit(&b->o, 3, 0, &bed_err));
	before = inode(b, "offsets");
	bed_faults("fdatasync:1:path=offsets:EIO,renameat:1:path=offsets:EIO");
	assert_int_equal(mq_ownership_sync(&b->o, &bed_err), -EIO);
	assert_true(mq_ownership_commit(&b->o, 4, 0, &bed_err) < 0);
	bed_let_go(b);
	bed_faults(NULL);
	assert_int_equal(inode(b, "offsets"), before);
	bed_take(b);
	assert_true(inode(b, "offsets") != before);
	assert_int_equal(inode(b, "offsets.failed"), 0);
	assert_int_equal(b->o.commit.offset, 3);
	assert_int_equal(place(b, 0), 3);
}

static void a_failed_write_is_no_end_either(void **state)
{
	struct bed *b = *state;

	bed_take(b);
	bed_faults("pwrite:1:path=offsets:short=100");
	OK(mq_ownership_commit(&b->o, 3, 0, &bed_err));
	assert_int_equal(mq_fault_fired(0), 1);
	assert_int_equal(place(b, 0), 3);
}

static void follow_as(struct bed *b, struct mq_membership *member)
{
	struct mq_ownership other;

	bed_take(b);
	assert_int_equal(mq_ownership_take(&other, member, &b->topic, 1, 0, &bed_err), 1);
	OK(mq_ownership_commit(&other, 7, 0, &bed_err));
	bed_faults("fdatasync:1:path=offsets:EIO");
	OK(mq_ownership_commit(&b->o, 3, 0, &bed_err));
	OK(mq_ownership_sync(&b->o, &bed_err));
	assert_int_equal(place(b, 1), 7);
	OK(mq_ownership_sync(&other, &bed_err));
	OK(mq_ownership_commit(&other, 8, 0, &bed_err));
	assert_int_equal(place(b, 1), 8);
	OK(mq_ownership_sync(&other, &bed_err));
	mq_ownership_release(&other);
	assert_int_equal(place(b, 0), 3);
}

static void owners_of_other_partitions_follow(void **state)
{
	follow_as(*state, &((struct bed *)*state)->member);
}

static void owners_that_are_other_members_follow(void **state)
{
	struct bed *b = *state;
	struct mq_membership member;

	OK(mq_membership_join(&member, &b->spool, "g", NULL, &bed_err));
	follow_as(b, &member);
	mq_membership_leave(&member);
}

/* The kernel tells it once, to whom they share the descriptor with. */
static void a_failed_sync_is_one_of_all_owners_of_a_member(void **state)
{
	struct bed *b = *state;
	struct mq_ownership other;
	unsigned long long before;

	bed_take(b);
	assert_int_equal(mq_ownership_take(&other, &b->member, &b->topic, 1, 0, &bed_err), 1);
	OK(mq_ownership_commit(&b->o, 3, 0, &bed_err));
	OK(mq_ownership_commit(&other, 7, 0, &bed_err));
	before = inode(b, "offsets");
	bed_faults("fdatasync:1:path=offsets:EIO,renameat:1:path=offsets:EIO");
	assert_int_equal(mq_ownership_sync(&b->o, &bed_err), -EIO);
	assert_int_equal(inode(b, "offsets"), before);
	OK(mq_ownership_sync(&other, &bed_err));
	assert_true(inode(b, "offsets") != before);
	assert_int_equal(place(b, 1), 7);
	assert_int_equal(place(b, 0), 3);
	mq_ownership_release(&other);
}

static void one_partition_let_go_leaves_the_others(void **state)
{
	struct bed *b = *state;
	struct mq_ownership other, third;
	struct mq_membership member;

	OK(mq_membership_join(&member, &b->spool, "g", NULL, &bed_err));
	bed_take(b);
	assert_int_equal(mq_ownership_take(&other, &b->member, &b->topic, 1, 0, &bed_err), 1);
	assert_int_equal(mq_ownership_take(&third, &member, &b->topic, 1, 0, &bed_err), 0);
	mq_ownership_release(&other);
	assert_int_equal(mq_ownership_take(&third, &member, &b->topic, 0, 0, &bed_err), 0);
	assert_int_equal(mq_ownership_take(&third, &member, &b->topic, 1, 0, &bed_err), 1);
	mq_ownership_release(&third);
	mq_membership_leave(&member);
}

static void see_it_fail_and_die(struct bed *b)
{
	bed_take(b);
	OK(mq_ownership_commit(&b->o, 3, 0, &bed_err));
	bed_faults("fdatasync:1:path=offsets:EIO,openat:1:path=offsets.failed:kill-before");
	(void)mq_ownership_sync(&b->o, &bed_err);
}

/* Nobody but the dead one heard of it: what may lie in memory alone is written once more before it is relied on. */
static void an_owner_after_a_death_writes_again_before_it_syncs(void **state)
{
	struct bed *b = *state;

	assert_true(WIFSIGNALED(bed_child(see_it_fail_and_die, b)));
	bed_take(b);
	bed_faults("");
	OK(mq_ownership_sync(&b->o, &bed_err));
	assert_int_equal(mq_fault_calls("pwrite"), 1);
	assert_int_equal(mq_fault_calls("fdatasync"), 1);
	assert_int_equal(place(b, 0), 3);
	bed_let_go(b);
	bed_take(b); /* the one before has let go: nothing to do */
	bed_faults("");
	OK(mq_ownership_sync(&b->o, &bed_err));
	assert_int_equal(mq_fault_calls("pwrite"), 0);
}

static const char *stop_rule;

static void take_and_look(struct bed *b)
{
	struct mq_stat st;

	bed_faults(stop_rule);
	if (mq_ownership_take(&b->o, &b->member, &b->topic, 0, 0, &bed_err) != 1)
		_exit(1);
	_exit(mq_sys->stat(b->o.g->locks, &st) < 0 || st.nlink == 0 || mq_sys->statat(b->spool.groups, "g/topics/t/locks", &st) < 0 ? 2 : 0);
}

/* The group is deleted between two calls of a member that takes a partition. */
static void nobody_owns_a_partition_of_a_deleted_group(void **state)
{
	static const char *const rules[] = {"lock:1:path=locks:stop-before", "openat:1:path=locks:stop-after", "openat:1:path=bell:stop-after",
	                                    "openat:1:path=locks:stop-before", NULL};
	struct bed *b = *state;

	for (size_t i = 0; rules[i]; i++) {
		int status;
		pid_t pid;

		stop_rule = rules[i];
		if (i == 0) {
			bed_take(b);
			bed_let_go(b);
		}
		pid = fork();
		if (pid == 0)
			take_and_look(b);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		assert_true(WIFSTOPPED(status));
		OK(mq_group_remove(&b->spool, "g", "t", false, false, &bed_err));
		kill(pid, SIGCONT);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		if (i > 0)
			OK(mq_group_remove(&b->spool, "g", "t", true, false, &bed_err));
	}
}

/* Bytes of the offsets file become zero. */
static void wipe(struct bed *b, off_t at, size_t len)
{
	char path[600], zero[256] = {0};
	int fd;

	snprintf(path, sizeof path, "%s/groups/g/topics/t/offsets", b->path);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, zero, len, at), (ssize_t)len);
	close(fd);
}

static void a_torn_first_place_was_never_promised(void **state)
{
	struct bed *b = *state;

	bed_take(b);
	bed_let_go(b);
	wipe(b, 8, 248); /* the sequence alone has reached the disk */
	assert_true(place(b, 0) == UINT64_MAX);
	bed_take(b);
	assert_int_equal(b->o.commit.offset, 0);
	OK(mq_ownership_commit(&b->o, 5, 0, &bed_err));
	OK(mq_ownership_sync(&b->o, &bed_err));
	bed_let_go(b);
	wipe(b, 4096 + 8, 248);
	assert_int_equal(place(b, 0), 0); /* the one before it */
	wipe(b, 8, 248);
	assert_int_equal(mq_ownership_take(&b->o, &b->member, &b->topic, 0, 0, &bed_err), MQ_EDAMAGE);
}

static void cut(struct bed *b, off_t size)
{
	char path[600];

	snprintf(path, sizeof path, "%s/groups/g/topics/t/offsets", b->path);
	assert_int_equal(truncate(path, size), 0);
}

static void commit_in_both(struct bed *b)
{
	struct mq_ownership other;

	bed_take(b);
	OK(mq_ownership_commit(&b->o, 3, 0, &bed_err));
	OK(mq_ownership_sync(&b->o, &bed_err));
	assert_int_equal(mq_ownership_take(&other, &b->member, &b->topic, 1, 0, &bed_err), 1);
	OK(mq_ownership_commit(&other, 7, 0, &bed_err));
	OK(mq_ownership_sync(&other, &bed_err));
	mq_ownership_release(&other);
}

static int read_place(struct bed *b, uint32_t p, int *ret_which)
{
	struct mq_group_topic g;
	struct mq_commit c;
	uint64_t seq;
	int rc;

	OK(mq_group_topic_open(&g, &b->topic, "g", false, &bed_err));
	rc = mq_group_topic_read(&g, p, &c, ret_which, &seq, &bed_err);
	mq_group_topic_release(&g);
	return rc;
}

/* A copy of what is left has the old length again, and must not say that the rest was never written. */
static void a_cut_is_not_forgotten_when_the_file_is_replaced(void **state)
{
	struct bed *b = *state;
	int which;

	commit_in_both(b);
	cut(b, 8192);
	assert_int_equal(read_place(b, 1, &which), MQ_EDAMAGE);
	bed_faults("fdatasync:1:path=offsets:EIO");
	OK(mq_ownership_commit(&b->o, 4, 0, &bed_err));
	OK(mq_ownership_sync(&b->o, &bed_err));
	assert_int_equal(mq_fault_fired(0), 1);
	assert_int_equal(bed_size(b, "offsets"), 16384);
	assert_int_equal(place(b, 0), 4);
	assert_int_equal(read_place(b, 1, &which), MQ_EDAMAGE);
}

/* Partition 1 came when the topic grew: a file that was made before has no room for it, and that is no damage. */
static void a_later_partition_has_no_room_and_no_place_yet(void **state)
{
	struct bed *b = *state;
	struct mq_ownership later;
	int which;

	bed_take(b);
	b->topic.conf.generations[0].partitions = 1;
	cut(b, 8192);
	OK(read_place(b, 1, &which));
	assert_int_equal(which, -1);
	assert_int_equal(mq_ownership_take(&later, &b->member, &b->topic, 1, 5, &bed_err), 1);
	mq_ownership_release(&later);
	assert_int_equal(place(b, 1), 5);
	/* Where what was there before is cut off, it is not made longer again by those that came later. */
	cut(b, 4096);
	assert_int_equal(read_place(b, 1, &which), MQ_EDAMAGE);
	assert_int_equal(mq_ownership_take(&later, &b->member, &b->topic, 1, 5, &bed_err), MQ_EDAMAGE);
	assert_int_equal(bed_size(b, "offsets"), 4096);
}

/* Whoever made it was killed before it had its room, and promised nothing. */
static void a_file_that_was_not_made_to_the_end_holds_no_place(void **state)
{
	struct bed *b = *state;
	char path[600];
	int which;

	bed_take(b);
	bed_let_go(b);
	cut(b, 0);
	assert_int_equal(read_place(b, 0, &which), MQ_EDAMAGE);
	snprintf(path, sizeof path, "%s/groups/g/topics/t/bell", b->path);
	assert_int_equal(unlink(path), 0);
	OK(read_place(b, 0, &which));
	assert_int_equal(which, -1);
	bed_take(b);
	assert_int_equal(bed_size(b, "offsets"), 16384);
}

static int count(void *arg, const struct mq_member_facts *f)
{
	(void)f;
	++*(int *)arg;
	return 0;
}

/* It would be taken for dead, and all that is its own for others' to have. */
static void a_member_that_cannot_be_looked_at_for_want_of_descriptors_is_not_passed_over(void **state)
{
	struct bed *b = *state;
	char rule[160];
	int n = 0;

	OK(mq_member_each(&b->spool, "g", MQ_MEMBER_WISHES, count, &n, &bed_err));
	assert_int_equal(n, 1);
	snprintf(rule, sizeof rule, "openat:1:path=%s:EMFILE,lock_test:1:path=%s:ENOLCK", b->member.name, b->member.name);
	bed_faults(rule);
	assert_int_equal(mq_member_each(&b->spool, "g", MQ_MEMBER_WISHES, count, &n, &bed_err), -EMFILE);
	assert_non_null(strstr(bed_err.text, "group g: cannot look at its members"));
	bed_err = (struct mq_err)MQ_ERR_INIT;
	assert_int_equal(mq_member_each(&b->spool, "g", MQ_MEMBER_WISHES, count, &n, &bed_err), -ENOLCK);
	assert_int_equal(n, 1);
	bed_err = (struct mq_err)MQ_ERR_INIT;
	bed_faults(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(after_a_failed_sync_the_file_is_replaced),
	    BED_TEST(where_that_fails_too_the_next_owner_does_it),
	    BED_TEST(a_failed_write_is_no_end_either),
	    BED_TEST(owners_of_other_partitions_follow),
	    BED_TEST(owners_that_are_other_members_follow),
	    BED_TEST(a_failed_sync_is_one_of_all_owners_of_a_member),
	    BED_TEST(one_partition_let_go_leaves_the_others),
	    BED_TEST(an_owner_after_a_death_writes_again_before_it_syncs),
	    BED_TEST(nobody_owns_a_partition_of_a_deleted_group),
	    BED_TEST(a_torn_first_place_was_never_promised),
	    BED_TEST(a_cut_is_not_forgotten_when_the_file_is_replaced),
	    BED_TEST(a_later_partition_has_no_room_and_no_place_yet),
	    BED_TEST(a_file_that_was_not_made_to_the_end_holds_no_place),
	    BED_TEST(a_member_that_cannot_be_looked_at_for_want_of_descriptors_is_not_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
