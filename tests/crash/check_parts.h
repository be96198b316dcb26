/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the check ask of each other. */
#ifndef MQ_TESTS_CRASH_CHECK_PARTS_H
#define MQ_TESTS_CRASH_CHECK_PARTS_H

#include "check.h"
#include "reading.h"
#include "spool/spool.h"

struct checking {
	const struct state *s;
	struct mq_spool *spool;
	const char *path;     /* of it */
	struct mq_topic topic;
	uint64_t lost_batch;  /* of the partition in hand, in this reading; UINT64_MAX: none so far */
	char *why;
	size_t len;
};

/* A topic of that name, as made last. */
struct story {
	const char *name;
	size_t from;          /* entry of the trace where it began to be made */
	bool made, removing, gone;
};

/* All that is there, and all that was promised is. */
int read_all(struct checking *k, const struct story *y, struct mq_topic *t, struct reading *ret, const char *when);

__attribute__((format(printf, 2, 3))) int wrong(struct checking *k, const char *fmt, ...);

struct story story_of(const struct state *s, const char *topic);
/* The next fact of this story; NULL to begin with, NULL at the end. */
const struct fact *fact_next(const struct state *s, const struct story *y, const struct fact *f);

/* What members that share have done: end as check_groups. */
int check_share(struct checking *k, const struct story *y, struct mq_topic *t, const char *group, uint64_t end);
/* Ids that a group has done, the same. */
int check_once(struct checking *k, const struct story *y, struct mq_topic *t, const char *group, uint64_t end);
int check_groups(struct checking *k, const struct story *y, struct mq_topic *t, uint64_t end);
/* A topic that grows, all of it. */
bool is_grown(const struct checking *k, const struct story *y);
int check_grown(struct checking *k, const struct story *y, struct mq_topic *t);
/* A topic that is compacted, or was about to be. */
bool is_compacted(const struct checking *k, const struct story *y);
/* Has the record that was acknowledged there gone for one of its key that came later, or as a tombstone? */
bool is_overtaken(const struct checking *k, const struct story *y, const struct reading *r, const struct fact_record *want);
/* Nothing that a tombstone hid is there without it. */
int expect_no_ghosts(struct checking *k, const struct story *y, const struct reading *r, const char *when);
/* Compacted once more, and what is dead gone: the last of each key is there. */
int check_compacted(struct checking *k, const struct story *y, struct mq_topic *t);
/* What went below the log start is in an archive. */
int check_archives(struct checking *k, const struct story *y, struct mq_topic *t);
/* What is to come later: it waits, has come, or was cancelled; and then comes. */
int check_delays(struct checking *k);
int check_moves(struct checking *k);
int check_producers(struct checking *k, const struct story *y, struct mq_topic *t, const struct reading *r);


/* ---- what is moved by transfers (check_moves.c) ---- */
enum { PILE_MAX = 64, PILE_LEN_MAX = 64 };
struct moved_pile {
	unsigned n;
	uint64_t offset[PILE_MAX];
	char payload[PILE_MAX][PILE_LEN_MAX + 1];
};
struct mq;
/* All that a reader gets of a topic's partition 0. */
int pile_take(struct mq *mq, const char *topic, struct moved_pile *ret, struct mq_err *err);
unsigned pile_count(const struct moved_pile *p, const char *payload);
/* What was begun to be moved of t for g is finished: the place of who takes the source now. */
int pile_place(struct mq *mq, uint64_t *ret, struct mq_err *err);
/* Dead letters, and copies of a run. */
int check_letters(struct checking *k);

#endif
