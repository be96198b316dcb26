/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold of average, circle, sticky and the ring, on 10,000 random cases each. */
#include "test_spool_assign.h"

/* The place of a member that joins among the others moves theirs: owners are told anew. */
static void renumber(struct bed *b, int32_t from, int32_t by)
{
	for (uint32_t p = 0; p < b->partitions; p++)
		if (b->now[p] >= from)
			b->now[p] += by;
}

static void take_out(struct bed *b, size_t m)
{
	for (uint32_t p = 0; p < b->partitions; p++)
		if (b->now[p] == (int32_t)m)
			b->now[p] = -1;
	b->n--;
	for (size_t i = m; i < b->n; i++)
		b->member[i] = b->member[i + 1];
	renumber(b, (int32_t)m + 1, -1);
}

static void put_in(struct bed *b, size_t m, const struct mq_assign_member *new)
{
	for (size_t i = b->n; i > m; i--)
		b->member[i] = b->member[i - 1];
	b->member[m] = *new;
	b->n++;
	renumber(b, (int32_t)m, 1);
}

static uint32_t moves(const struct bed *b)
{
	uint32_t n = 0;
	for (uint32_t p = 0; p < b->partitions; p++)
		n += b->now[p] >= 0 && b->now[p] < (int32_t)b->n && b->now[p] != b->owner[p];
	return n;
}

static void average_circle_and_sticky_give_all_balanced_within_one(struct bed *b)
{
	for (int64_t strategy = MQ_ASSIGN_AVERAGE; strategy <= MQ_ASSIGN_STICKY; strategy++) {
		bed_assign(b, strategy);
		must_balance(b, NULL, NULL);
	}
}

static void circle_and_sticky_balance_all_topics_together_and_average_each(struct bed *b)
{
	unsigned char in[PARTITIONS_MAX] = {0};
	uint32_t first = 0;

	bed_split(b);
	bed_assign(b, MQ_ASSIGN_CIRCLE);
	must_balance(b, NULL, NULL);
	bed_assign(b, MQ_ASSIGN_STICKY);
	must_balance(b, NULL, NULL);
	bed_assign(b, MQ_ASSIGN_AVERAGE);
	for (size_t t = 0; t < b->n_topics; first += b->topic[t++].partitions) {
		memset(in + first, 1, b->topic[t].partitions);
		must_balance(b, in, NULL);
		memset(in + first, 0, b->topic[t].partitions);
	}
}

static void the_ring_of_a_topic_knows_of_no_other(struct bed *b)
{
	int32_t together[PARTITIONS_MAX];
	uint32_t first = 0;

	bed_split(b);
	bed_assign(b, MQ_ASSIGN_HASH);
	memcpy(together, b->owner, sizeof together);
	for (size_t t = 0; t < b->n_topics; first += b->topic[t++].partitions) {
		b->partitions = b->topic[t].partitions;
		bed_assign_topic(b, b->topic[t].name);
		MUST(b, memcmp(together + first, b->owner, b->partitions * sizeof together[0]) == 0);
	}
}

static void average_gives_ranges_and_circle_turns(struct bed *b)
{
	bed_assign(b, MQ_ASSIGN_AVERAGE);
	for (uint32_t p = 1; p < b->partitions; p++)
		MUST(b, b->owner[p] == b->owner[p - 1] || b->owner[p] == b->owner[p - 1] + 1);
	for (size_t m = 1; m < b->n; m++)
		MUST(b, bed_count(b, b->owner, (int32_t)m) <= bed_count(b, b->owner, (int32_t)m - 1));
	bed_assign(b, MQ_ASSIGN_CIRCLE);
	for (uint32_t p = 0; p < b->partitions; p++)
		MUST(b, b->owner[p] == (int32_t)(p % b->n));
}

/* The fewest moves of all balanced assignments, by trying each of the members^partitions there are. */
static uint32_t fewest_of_all(const struct bed *b)
{
	uint32_t all = 1, fewest = UINT32_MAX, floor = b->partitions / (uint32_t)b->n, some = b->partitions % (uint32_t)b->n != 0;

	for (uint32_t p = 0; p < b->partitions; p++)
		all *= (uint32_t)b->n;
	for (uint32_t a = 0; a < all; a++) {
		struct bed try = {.n = b->n, .partitions = b->partitions};
		uint32_t rest = a, balanced = 1;
		for (uint32_t p = 0; p < b->partitions; p++, rest /= (uint32_t)b->n) {
			try.owner[p] = (int32_t)(rest % b->n);
			try.now[p] = b->now[p];
		}
		for (size_t m = 0; m < b->n; m++) {
			uint32_t has = bed_count(&try, try.owner, (int32_t)m);
			balanced &= has == floor || has == floor + some;
		}
		if (balanced && moves(&try) < fewest)
			fewest = moves(&try);
	}
	return fewest;
}

static void sticky_moves_no_more_than_any_balanced_assignment(struct bed *b)
{
	bed_split(b);
	bed_assign(b, MQ_ASSIGN_STICKY);
	MUST(b, moves(b) == fewest_of_all(b));
}

/* The flow of partitions from members who own them, each through a target of n/m or one more, of which there are n%m: the most
 * that can stay, found member by member for each number of larger targets used so far. */
static uint32_t most_kept(const struct bed *b)
{
	uint32_t floor = b->partitions / (uint32_t)b->n, more = b->partitions % (uint32_t)b->n;
	int64_t best[MEMBERS_MAX + 1];

	best[0] = 0;
	for (size_t k = 1; k <= more; k++)
		best[k] = INT64_MIN / 2;
	for (size_t m = 0; m < b->n; m++) {
		uint32_t has = bed_count(b, b->now, (int32_t)m);
		for (size_t k = more + 1; k-- > 0;) {
			int64_t small = best[k] + (has < floor ? has : floor);
			int64_t large = k ? best[k - 1] + (has < floor + 1 ? has : floor + 1) : INT64_MIN / 2;
			best[k] = small > large ? small : large;
		}
	}
	return (uint32_t)best[more];
}

static void sticky_moves_as_few_as_the_greatest_flow_leaves(struct bed *b)
{
	uint32_t owned = 0;
	bed_split(b);
	bed_assign(b, MQ_ASSIGN_STICKY);
	for (size_t m = 0; m < b->n; m++)
		owned += bed_count(b, b->now, (int32_t)m);
	MUST(b, moves(b) == owned - most_kept(b));
}

static void sticky_applied_twice_moves_nothing(struct bed *b)
{
	bed_split(b);
	bed_assign(b, MQ_ASSIGN_STICKY);
	bed_follow(b);
	bed_assign(b, MQ_ASSIGN_STICKY);
	MUST(b, memcmp(b->now, b->owner, b->partitions * sizeof b->now[0]) == 0);
}

/* Owners let go and take in any order, and each who looks meanwhile finds the same. */
static void sticky_answers_the_same_while_owners_follow_it(struct bed *b)
{
	int32_t aim[PARTITIONS_MAX];

	bed_split(b);
	bed_assign(b, MQ_ASSIGN_STICKY);
	memcpy(aim, b->owner, sizeof aim);
	for (uint32_t step = 0; step < 3 * b->partitions; step++) {
		uint32_t p = (uint32_t)any(b, b->partitions);
		if (b->now[p] == aim[p])
			continue;
		b->now[p] = b->now[p] < 0 || any(b, 2) ? aim[p] : -1;
		bed_assign(b, MQ_ASSIGN_STICKY);
		MUST(b, memcmp(aim, b->owner, b->partitions * sizeof aim[0]) == 0);
	}
}

static void one_that_joins_takes_its_share_and_moves_nothing_else(struct bed *b)
{
	bed_split(b);
	if (b->n == 1)
		return;
	size_t m = any(b, b->n);
	struct mq_assign_member late = b->member[m];
	take_out(b, m);
	bed_assign(b, MQ_ASSIGN_STICKY);
	bed_follow(b);
	put_in(b, m, &late);
	bed_assign(b, MQ_ASSIGN_STICKY);
	MUST(b, moves(b) <= (b->partitions + b->n - 1) / b->n);
	MUST(b, moves(b) == bed_count(b, b->owner, (int32_t)m));
	must_balance(b, NULL, NULL);
}

static void one_that_leaves_moves_what_it_had_and_nothing_else(struct bed *b)
{
	bed_split(b);
	if (b->n == 1)
		return;
	bed_assign(b, MQ_ASSIGN_STICKY);
	bed_follow(b);
	take_out(b, any(b, b->n));
	bed_assign(b, MQ_ASSIGN_STICKY);
	MUST(b, moves(b) == 0);
	must_balance(b, NULL, NULL);
}

/* Where a host is, what a room is called and who owned what is nothing to them. */
static void what_does_not_matter_changes_nothing(struct bed *b)
{
	static const int64_t strategies[] = {MQ_ASSIGN_AVERAGE, MQ_ASSIGN_CIRCLE, MQ_ASSIGN_HASH, MQ_ASSIGN_STICKY};
	int32_t before[PARTITIONS_MAX];

	for (size_t k = 0; k < sizeof strategies / sizeof strategies[0]; k++) {
		struct bed one = *b;

		bed_assign(&one, strategies[k]);
		memcpy(before, one.owner, sizeof before);
		for (size_t m = 0; m < one.n; m++)
			one.member[m].host = one.member[m].room = "elsewhere";
		if (strategies[k] != MQ_ASSIGN_STICKY)
			memset(one.now, 0, sizeof one.now);
		bed_assign(&one, strategies[k]);
		MUST(&one, memcmp(before, one.owner, one.partitions * sizeof before[0]) == 0);
	}
}

/* From the ring with all to the one without m: what another one has stays.  Read backwards it is what holds of one that joins. */
static void on_the_ring_only_the_partitions_of_one_that_comes_or_goes_move(struct bed *b)
{
	b->conf.virtual_nodes = 1 + (int64_t)any(b, 30);
	if (b->n == 1)
		return;
	bed_assign(b, MQ_ASSIGN_HASH);
	for (uint32_t p = 0; p < b->partitions; p++)
		MUST(b, b->owner[p] >= 0 && b->owner[p] < (int32_t)b->n);
	bed_follow(b);
	take_out(b, any(b, b->n));
	bed_assign(b, MQ_ASSIGN_HASH);
	MUST(b, moves(b) == 0);
	for (uint32_t p = 0; p < b->partitions; p++)
		MUST(b, b->owner[p] >= 0 && b->owner[p] < (int32_t)b->n);
}

/* FNV-1a, each text with its NUL, and the i-th output of SplitMix64 from there. */
static uint64_t place(const char *topic, const char *name, uint64_t i)
{
	uint64_t x = UINT64_C(14695981039346656037);
	for (size_t k = 0; k <= strlen(topic); k++)
		x = (x ^ (unsigned char)topic[k]) * UINT64_C(1099511628211);
	for (size_t k = 0; name && k <= strlen(name); k++)
		x = (x ^ (unsigned char)name[k]) * UINT64_C(1099511628211);
	x += (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static void the_next_node_on_the_ring_is_the_owner(struct bed *b)
{
	b->conf.virtual_nodes = 1 + (int64_t)any(b, 3);
	bed_assign(b, MQ_ASSIGN_HASH);
	for (uint32_t p = 0; p < b->partitions; p++) {
		uint64_t nearest = UINT64_MAX, from = place("t", NULL, p);
		int32_t owner = -1;
		for (size_t m = 0; m < b->n; m++)
			for (int64_t node = 0; node < b->conf.virtual_nodes; node++) {
				uint64_t away = place("t", b->member[m].name, (uint64_t)node) - from;
				if (away < nearest) {
					nearest = away;
					owner = (int32_t)m;
				}
			}
		MUST(b, b->owner[p] == owner);
	}
}

static void the_ring_spreads_and_another_topics_is_another(void **state)
{
	enum { MEMBERS = 10 };
	struct bed b;
	uint32_t same = 0, all = 0;
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		bed_start(&b);
		b.random = i + 1;
		bed_members(&b, MEMBERS);
		b.partitions = PARTITIONS_MAX;
		bed_assign(&b, MQ_ASSIGN_HASH);
		bed_follow(&b);
		for (int32_t m = 0; m < MEMBERS; m++)
			MUST(&b, bed_count(&b, b.owner, m) >= PARTITIONS_MAX / MEMBERS / 3 &&
			             bed_count(&b, b.owner, m) <= PARTITIONS_MAX / MEMBERS * 3);
		bed_assign_topic(&b, "u");
		all += b.partitions;
		same += b.partitions - moves(&b);
	}
	assert_true(same < all / 5); /* a tenth by chance */
}

static void the_greatest_case_is_given_out_too(void **state)
{
	enum { MEMBERS = 1000 };
	static struct mq_assign_member member[MEMBERS];
	static char name[MEMBERS][17];
	static int32_t owner[MQ_PARTITIONS_MAX];
	static const struct mq_assign_topic t = {"t", MQ_PARTITIONS_MAX};
	struct mq_assign_conf conf;
	uint32_t count[MEMBERS];

	(void)state;
	mq_assign_conf_init(&conf);
	for (int m = 0; m < MEMBERS; m++) {
		snprintf(name[m], sizeof name[m], "%016x", m);
		member[m] = (struct mq_assign_member){name[m], "h", ""};
	}
	for (conf.strategy = MQ_ASSIGN_AVERAGE; conf.strategy <= MQ_ASSIGN_HASH; conf.strategy++) {
		memset(count, 0, sizeof count);
		assert_int_equal(mq_assign(&conf, &t, 1, member, MEMBERS, NULL, owner, NULL), 0);
		for (uint32_t p = 0; p < MQ_PARTITIONS_MAX; p++)
			count[owner[p]]++;
		for (int m = 0; m < MEMBERS && conf.strategy != MQ_ASSIGN_HASH; m++)
			assert_int_equal(count[m], MQ_PARTITIONS_MAX / MEMBERS);
	}
}

static const struct law laws[] = {
    LAW(average_circle_and_sticky_give_all_balanced_within_one, MEMBERS_MAX, PARTITIONS_MAX),
    LAW(circle_and_sticky_balance_all_topics_together_and_average_each, MEMBERS_MAX, PARTITIONS_MAX),
    LAW(average_gives_ranges_and_circle_turns, MEMBERS_MAX, PARTITIONS_MAX),
    LAW(sticky_moves_no_more_than_any_balanced_assignment, 3, 6),
    LAW(sticky_moves_as_few_as_the_greatest_flow_leaves, MEMBERS_MAX, PARTITIONS_MAX),
    LAW(sticky_applied_twice_moves_nothing, MEMBERS_MAX, PARTITIONS_MAX),
    LAW(sticky_answers_the_same_while_owners_follow_it, MEMBERS_MAX / 2, PARTITIONS_MAX / 4),
    LAW(one_that_joins_takes_its_share_and_moves_nothing_else, MEMBERS_MAX, PARTITIONS_MAX),
    LAW(one_that_leaves_moves_what_it_had_and_nothing_else, MEMBERS_MAX, PARTITIONS_MAX),
    LAW(what_does_not_matter_changes_nothing, MEMBERS_MAX, PARTITIONS_MAX / 2),
    LAW(on_the_ring_only_the_partitions_of_one_that_comes_or_goes_move, MEMBERS_MAX, PARTITIONS_MAX),
    LAW(the_ring_of_a_topic_knows_of_no_other, MEMBERS_MAX / 4, PARTITIONS_MAX / 2),
    LAW(the_next_node_on_the_ring_is_the_owner, MEMBERS_MAX / 4, PARTITIONS_MAX / 4),
};

int main(void)
{
	const struct CMUnitTest more[] = {
	    cmocka_unit_test(the_ring_spreads_and_another_topics_is_another),
	    cmocka_unit_test(the_greatest_case_is_given_out_too),
	};
	return try_laws("spool_assign_random", laws, sizeof laws / sizeof *laws, more, sizeof more / sizeof *more);
}
