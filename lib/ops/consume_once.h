/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --once: a record whose id the group has done within the window counts as done.
 *
 *   mq_once_knows    as a record is taken: was its id done?  then it is passed over.  Else the task remembers the id.
 *   mq_once_gate     as a task is to begin: its ids are locked, and looked for again, since another member may have done one
 *   mq_once_hold     its handler inherits the locks, in the description that it has anyway
 *   mq_once_end      it ended: done, then its ids wait to be marked; not done, then they are let go
 *   mq_once_mark     those that wait are marked, all at once, and let go
 *   mq_once_settle   marks are durable: the places move
 *
 * What must stay true:
 *   1. From look to mark the lock of an id is held, and by its handler as long as that lives: of one id two records never
 *      are at work at once, in whatever partitions.
 *   2. A place moves past a record when its mark is durable.
 *   3. Who cannot have all locks of a task holds none of it, and takes them in the order of their keys: of those who want the
 *      same, one goes on.
 */
#ifndef MQ_OPS_CONSUME_ONCE_H
#define MQ_OPS_CONSUME_ONCE_H

#include "ops/handler.h"

/* A record in a task. */
struct mq_once_rec {
	struct mq_once_rec *next_held; /* in the same bucket */
	uint64_t offset;
	int64_t time_us;
	uint32_t attempts;
	bool has_id;
	bool held;                    /* its key is locked, by this one */
	bool done;                    /* by another, it turned out */
	uint32_t id_len;
	size_t id_at;                 /* in the task's ids */
	uint64_t key, seen;
	uint64_t bytes;               /* of the payload */
	size_t input_end;             /* its bytes of the task's input end here */
};

/* Ids done in one topic. */
struct mq_once_topic {
	const char *topic;
	struct mq_once *ids;
	struct mq_once_topic *next;
	bool wanted;                  /* one is at work at an id that is wanted here, in another member */
	bool awaits;                  /* that was said */
	bool unsynced;
	bool stale;                   /* what others marked since may be looked at */
	size_t held_n;                /* keys that are locked */
};

enum { MQ_ONCE_BUCKETS = 256 };
struct mq_once_state {
	struct mq_once_topic *topics;
	struct mq_once_rec *held[MQ_ONCE_BUCKETS]; /* by key */
	struct mq_task *due, *due_last; /* done, the place is to move past them; */
	struct mq_task *unmarked;     /* from this one on not marked */
	int64_t pause_ns, again_ns;   /* nobody may tell that an id is free: look then; 0: none is wanted */
	int64_t wanted_ns;            /* since when one is */
	bool told_wanted, told_no_id;
};

/* consume_once.c */
int mq_once_start(struct mq_consume *c);
void mq_once_free(struct mq_consume *c);
/* 1: passed over.  0: r is to be added to the task next. */
int mq_once_knows(struct mq_consume *c, struct mq_feed *f, struct mq_task *t, const struct mq_rec *r);
/* r was added to the task. */
int mq_once_added(struct mq_consume *c, struct mq_task *t, const struct mq_rec *r);
void mq_once_task_release(struct mq_task *t);

/* consume_once_gate.c */
enum { MQ_ONCE_WAIT, MQ_ONCE_GO, MQ_ONCE_SKIP };
/* MQ_ONCE_SKIP: nothing is left of it. */
int mq_once_gate(struct mq_consume *c, struct mq_task *t);
void mq_once_let_go(struct mq_consume *c, struct mq_task *t);
int mq_once_hold(struct mq_consume *c, struct mq_task *t, int fd, bool on);
/* All that may begin was looked at. */
int mq_once_looked(struct mq_consume *c);
/* A member went or came. */
void mq_once_stir(struct mq_consume *c);
void mq_once_arm(struct mq_consume *c, int64_t *deadline_ns);

/* consume_once_done.c */
void mq_once_end(struct mq_consume *c, struct mq_task *t, bool done);
int mq_once_mark(struct mq_consume *c);
int mq_once_settle(struct mq_consume *c);

#endif
