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

enum { CASES = 10000, MEMBERS_MAX = 40, PARTITIONS_MAX = 300, TOPICS_MAX = 6, ROOMS = 5 };

static const char *const ROOM_NAMES[ROOMS] = {"", "a", "b", "c", "d"};

struct bed {
	struct mq_assign_conf conf;
	struct mq_assign_member member[MEMBERS_MAX];
	char name[MEMBERS_MAX][17], host[MEMBERS_MAX][8];
	size_t n;
	uint32_t partitions;
	struct mq_assign_topic topic[TOPICS_MAX];
	size_t n_topics; /* 0: all are of topic t */
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
	const struct mq_assign_topic t = {"t", b->partitions};

	b->conf.strategy = strategy;
	assert_int_equal(mq_assign(&b->conf, b->n_topics ? b->topic : &t, b->n_topics ? b->n_topics : 1, b->member, b->n, b->now,
	                           b->owner, NULL),
	                 0);
}

/* As one of one topic where nobody owns anything. */
static inline void bed_assign_topic(struct bed *b, const char *name)
{
	assert_int_equal(mq_assign(&b->conf, &(struct mq_assign_topic){name, b->partitions}, 1, b->member, b->n, NULL, b->owner, NULL), 0);
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

/* The same partitions, of several topics. */
static inline void bed_split(struct bed *b)
{
	static const char *const names[TOPICS_MAX] = {"a", "b", "c", "d", "e", "f"};
	uint32_t left = b->partitions;

	b->n_topics = 1 + any(b, TOPICS_MAX);
	for (size_t t = 0; t < b->n_topics; t++) {
		uint32_t n = t + 1 < b->n_topics ? (uint32_t)any(b, any(b, 2) ? left + 1 : left / 4 + 1) : left;
		b->topic[t] = (struct mq_assign_topic){names[t], n};
		left -= n;
	}
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

/* What must hold of every case; the rest of the numbers are how many members and partitions it may have. */
struct law {
	const char *name;
	void (*holds)(struct bed *b);
	size_t n_max;
	uint32_t p_max;
};
#define LAW(f, n_max, p_max) {#f, f, n_max, p_max}

static inline void try_law(void **state)
{
	const struct law *law = *state;
	static struct bed b;

	for (unsigned i = 0; i < CASES; i++) {
		bed_case(&b, i, law->n_max, law->p_max);
		law->holds(&b);
		mq_assign_conf_release(&b.conf);
	}
}

/* more: tests that are about one case. */
static inline int try_laws(const char *name, const struct law *laws, size_t n_laws, const struct CMUnitTest *more, size_t n_more)
{
	struct CMUnitTest tests[32] = {{0}};
	size_t n = 0;

	assert_true(n_laws + n_more <= sizeof tests / sizeof *tests);
	for (size_t i = 0; i < n_laws; i++)
		tests[n++] = (struct CMUnitTest){laws[i].name, try_law, NULL, NULL, (void *)(uintptr_t)&laws[i]};
	for (size_t i = 0; i < n_more; i++)
		tests[n++] = more[i];
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

#endif
