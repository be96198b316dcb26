/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold of room, nearby and config, on 10,000 random cases each. */
#include <fnmatch.h>

#include "base/buf.h"
#include "test_spool_assign.h"

/* A case in which most partitions are in a room; ret_room[p] is an index into ROOM_NAMES, 0: none. */
static void rooms_case(struct bed *b, unsigned char *ret_room)
{
	char key[16], *text;
	struct mq_buf set[ROOMS] = {{0}};

	b->conf.within = (int64_t)any(b, MQ_ASSIGN_STICKY + 1);
	uint64_t rooms = 1 + any(b, ROOMS);
	for (uint32_t p = 0; p < b->partitions + 10; p++) { /* also some that the topic does not have */
		uint64_t room = any(b, rooms);
		ret_room[p] = (unsigned char)room;
		if (room)
			assert_int_equal(mq_buf_printf(&set[room], "%s%u", set[room].len ? "," : "", p), 0);
	}
	for (size_t r = 1; r < ROOMS; r++) {
		assert_int_equal(mq_buf_add_byte(&set[r], 0), 0);
		text = set[r].p;
		snprintf(key, sizeof key, "room.%s", ROOM_NAMES[r]);
		assert_int_equal(mq_assign_conf_set(&b->conf, key, text, NULL), 0);
		mq_buf_release(&set[r]);
	}
}

static bool inhabited(const struct bed *b, size_t room)
{
	for (size_t m = 0; room && m < b->n; m++)
		if (!strcmp(b->member[m].room, ROOM_NAMES[room]))
			return true;
	return false;
}

/* Of each room that has members all partitions are its members', balanced within one. */
static void must_balance_rooms(const struct bed *b, const unsigned char *room)
{
	unsigned char in[PARTITIONS_MAX];

	for (size_t r = 1; r < ROOMS; r++) {
		for (uint32_t p = 0; p < b->partitions; p++)
			in[p] = room[p] == r;
		if (inhabited(b, r))
			must_balance(b, in, ROOM_NAMES[r]);
	}
}

static void room_gives_a_partition_to_its_room_or_nobody(struct bed *b)
{
	unsigned char room[PARTITIONS_MAX];

	rooms_case(b, room);
	bed_assign(b, MQ_ASSIGN_ROOM);
	for (uint32_t p = 0; p < b->partitions; p++)
		if (inhabited(b, room[p]))
			MUST(b, b->owner[p] >= 0 && !strcmp(b->member[b->owner[p]].room, ROOM_NAMES[room[p]]));
		else
			MUST(b, b->owner[p] == -1);
	must_balance_rooms(b, room);
}

static void nearby_gives_a_room_its_own_and_spreads_the_rest_over_all(struct bed *b)
{
	unsigned char room[PARTITIONS_MAX], rest[PARTITIONS_MAX];

	rooms_case(b, room);
	bed_assign(b, MQ_ASSIGN_NEARBY);
	for (uint32_t p = 0; p < b->partitions; p++) {
		rest[p] = !inhabited(b, room[p]);
		MUST(b, rest[p] || !strcmp(b->member[b->owner[p]].room, ROOM_NAMES[room[p]]));
	}
	must_balance_rooms(b, room);
	must_balance(b, rest, NULL);
}

static void nearby_with_sticky_applied_twice_moves_nothing(struct bed *b)
{
	unsigned char room[PARTITIONS_MAX];

	rooms_case(b, room);
	b->conf.within = MQ_ASSIGN_STICKY;
	bed_assign(b, MQ_ASSIGN_NEARBY);
	bed_follow(b);
	bed_assign(b, MQ_ASSIGN_NEARBY);
	MUST(b, memcmp(b->now, b->owner, b->partitions * sizeof b->now[0]) == 0);
}

struct rule {
	char pattern[8];
	uint32_t first, last;
};

static size_t rules_case(struct bed *b, struct rule *rules)
{
	char key[16], value[64];
	size_t n;

	n = any(b, 6);
	for (size_t r = 0; r < n; r++) {
		size_t len = 1 + any(b, 4);
		for (size_t i = 0; i < len; i++)
			rules[r].pattern[i] = "abc*?"[any(b, 5)];
		rules[r].pattern[len] = 0;
		if (b->n && !any(b, 5))
			snprintf(rules[r].pattern, sizeof rules[r].pattern, "%.6s*", b->member[any(b, b->n)].name);
		rules[r].first = (uint32_t)any(b, b->partitions + 5);
		rules[r].last = rules[r].first + (uint32_t)any(b, 20);
		snprintf(key, sizeof key, "assign.%zu", r);
		snprintf(value, sizeof value, "%.7s:%u-%u", rules[r].pattern, rules[r].first, rules[r].last);
		assert_int_equal(mq_assign_conf_set(&b->conf, key, value, NULL), 0);
	}
	return n;
}

static bool names(const struct rule *rule, const struct mq_assign_member *m, uint32_t p)
{
	return p >= rule->first && p <= rule->last && (!fnmatch(rule->pattern, m->host, 0) || !fnmatch(rule->pattern, m->name, 0));
}

static void config_gives_a_partition_to_the_first_member_named_for_it_or_nobody(struct bed *b)
{
	struct rule rules[6];

	size_t n = rules_case(b, rules);
	bed_assign(b, MQ_ASSIGN_CONFIG);
	for (uint32_t p = 0; p < b->partitions; p++) {
		int32_t want = -1;
		for (size_t m = b->n; m-- > 0;)
			for (size_t r = 0; r < n; r++)
				if (names(&rules[r], &b->member[m], p))
					want = (int32_t)m;
		MUST(b, b->owner[p] == want);
	}
}

static const struct law laws[] = {
    LAW(room_gives_a_partition_to_its_room_or_nobody, MEMBERS_MAX / 2, PARTITIONS_MAX / 4),
    LAW(nearby_gives_a_room_its_own_and_spreads_the_rest_over_all, MEMBERS_MAX / 2, PARTITIONS_MAX / 4),
    LAW(nearby_with_sticky_applied_twice_moves_nothing, MEMBERS_MAX / 2, PARTITIONS_MAX / 4),
    LAW(config_gives_a_partition_to_the_first_member_named_for_it_or_nobody, MEMBERS_MAX / 2, PARTITIONS_MAX / 4),
};

int main(void)
{
	return try_laws("spool_assign_rooms", laws, sizeof laws / sizeof *laws, NULL, 0);
}
