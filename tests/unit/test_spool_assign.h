/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of assignment share: members, an owner of each partition, and random cases.  Case i is the same in each run. */
#ifndef TEST_SPOOL_ASSIGN_H
#define TEST_SPOOL_ASSIGN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spool/assign.h"

enum { CASES = 10000, MEMBERS_MAX = 40, PARTITIONS_MAX = 300, ROOMS = 5 };

static const char *const ROOM_NAMES[ROOMS] = {"", "a", "b", "c", "d"};

struct bed {
	struct mq_assign_conf conf;
	struct mq_assign_member member[MEMBERS_MAX];
	char name[MEMBERS_MAX][17], host[MEMBERS_MAX][8];
	size_t n;
	uint32_t partitions;
	int32_t now[PARTITIONS_MAX], owner[PARTITIONS_MAX];
	uint64_t random;
	unsigned number; /* of the case */
};

/* xorshift64* */
static inline uint64_t any(struct bed *b, uint64_t below)
{
	b->random ^= b->random >> 12;
	b->random ^= b->random << 25;
	b->random ^= b->random >> 27;
	return b->random * UINT64_C(0x2545f4914f6cdd1d) % below;
}

static inline void bed_start(struct bed *b)
{
	memset(b, 0, sizeof *b);
	mq_assign_conf_init(&b->conf);
	memset(b->now, 0xff, sizeof b->now);
}

static inline void bed_join(struct bed *b, const char *name, const char *host, const char *room)
{
	size_t i = b->n++;

	assert_true(i < MEMBERS_MAX);
	snprintf(b->name[i], sizeof b->name[i], "%.16s", name);
	snprintf(b->host[i], sizeof b->host[i], "%.7s", host);
	b->member[i] = (struct mq_assign_member){b->name[i], b->host[i], room};
}

static inline void bed_assign(struct bed *b, int64_t strategy)
{
	b->conf.strategy = strategy;
	assert_int_equal(mq_assign(&b->conf, "t", b->member, b->n, b->partitions, b->now, b->owner, NULL), 0);
}

/* The owners found become those there are. */
static inline void bed_follow(struct bed *b)
{
	memcpy(b->now, b->owner, sizeof b->now);
}

static inline int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static inline void bed_members(struct bed *b, size_t n)
{
	char name[MEMBERS_MAX][17], host[8];

	for (size_t i = 0; i < n; i++)
		snprintf(name[i], sizeof name[i], "%016llx", (unsigned long long)any(b, UINT64_MAX));
	qsort(name, n, sizeof name[0], by_text);
	for (size_t i = 0; i < n; i++) {
		snprintf(host, sizeof host, "%c%c", (char)('a' + any(b, 3)), (char)('a' + any(b, 3)));
		bed_join(b, name[i], host, ROOM_NAMES[any(b, ROOMS)]);
	}
}

/* Members and partitions, mostly few; owners: nobody, anybody, or somebody in most places; also those who are gone. */
static inline void bed_case(struct bed *b, unsigned number, size_t n_max, uint32_t p_max)
{
	bed_start(b);
	b->number = number;
	b->random = (number + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
	(void)any(b, 2);
	bed_members(b, 1 + any(b, any(b, 4) ? (n_max + 2) / 3 : n_max));
	b->partitions = (uint32_t)any(b, any(b, 4) ? p_max / 4 + 2 : p_max + 1);
	uint64_t kind = any(b, 4);
	for (uint32_t p = 0; kind && p < b->partitions; p++)
		b->now[p] = kind == 1 ? (int32_t)any(b, b->n + 3) - 1
		                      : (int32_t)(any(b, 4) ? any(b, 1 + b->n / kind) : any(b, b->n));
}

static inline uint32_t bed_count(const struct bed *b, const int32_t *owner, int32_t member)
{
	uint32_t n = 0;
	for (uint32_t p = 0; p < b->partitions; p++)
		n += owner[p] == member;
	return n;
}

#define MUST(b, what) \
	do { \
		if (!(what)) \
			fail_msg("case %u (%zu members, %u partitions): not %s", (b)->number, (b)->n, (b)->partitions, #what); \
	} while (0)

/* All of those in the set (NULL: all), among the members in the room (NULL: all), balanced within one, and nothing left. */
static inline void must_balance(const struct bed *b, const unsigned char *in, const char *room)
{
	uint32_t n = 0, members = 0, given = 0;

	for (uint32_t p = 0; p < b->partitions; p++)
		n += !in || in[p];
	for (size_t m = 0; m < b->n; m++)
		members += !room || !strcmp(b->member[m].room, room);
	for (size_t m = 0; m < b->n; m++) {
		uint32_t has = 0;
		for (uint32_t p = 0; p < b->partitions; p++)
			has += (!in || in[p]) && b->owner[p] == (int32_t)m;
		given += has;
		if (!room || !strcmp(b->member[m].room, room))
			MUST(b, has == n / members || has == n / members + (n % members != 0));
		else
			MUST(b, has == 0);
	}
	MUST(b, given == n);
}

#endif
