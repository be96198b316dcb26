/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What records leave behind when the place of their partition passes them: put elsewhere and done, in one transfer.
 *
 * A task of a partition that this member owns is done, or it is done and leaves parcels: records for partitions of other topics
 * (what its handler printed, a dead letter, a retry).  Whoever knows what becomes of a task says so before it ends:
 *
 *     rc = mq_move_leave(c, t, "orders.dead", 0, &record);     as often as it takes; the record is copied
 *     rc = mq_task_end(c, t, true);                            done: the place may pass it, and takes the parcels along
 *
 * and that is all he does.  Tasks end in any order; the place passes them in theirs, and as many as stand together go in one
 * transfer (ops/transfer.h), where otherwise it would be owner_commit.  Killed anywhere: either the place stands before the task
 * and nothing was put, so it is given out again; or it is behind it and all is put, once.  So a handler may run again as long as
 * the transfer is not begun, and never after that.
 *
 * When it goes: soon, but not for each task, since it waits for the disk: when nothing is in any handler's hands, when the last
 * transfer's time has passed a few times over, when it is full, and always before the partition is let go.
 *
 * A topic that is full is waited for right there, so nothing more is read: until there is room, a stop (75: what was not moved
 * is given out again) or --timeout (75).  One that is to fail when it is full (when.full) fails at once.
 *
 * Parcels of one task go together: 16 MiB and 64 partitions at most, and mq_move_leave refuses what is more.
 *
 * A partition that is shared (--share) has no place that its tasks wait for: consume_share_move.c.
 *
 * The topic must be there (engine: topic_auto_create, topic_create), and its limits must let the record in.
 */
#ifndef MQ_OPS_CONSUME_MOVE_H
#define MQ_OPS_CONSUME_MOVE_H

#include "ops/handler.h"
#include "ops/transfer.h"

/* One of them: consume_parcel.c. */
struct mq_parcel {
	struct mq_parcel *next;
	const char *topic;
	uint32_t partition;
	struct mq_rec r;
	char bytes[];
};

struct mq_move; /* of a feed: NULL while nothing of it was moved */

/* MQ_EINPUT: too much for one task, with the reason; the task then has what it had. */
int mq_move_leave(struct mq_consume *c, struct mq_task *t, const char *topic, uint32_t partition, const struct mq_rec *r);
/* It leaves nothing after all. */
void mq_move_forget(struct mq_consume *c, struct mq_task *t);

/* What was put, as the report tells it: nothing is, before its transfer has ended. */
struct mq_put {
	uint64_t dead, parked;
};
void mq_put_add(struct mq_put *p, const struct mq_task *t);
/* It is put; *p is empty again. */
void mq_put_tell(struct mq_consume *c, struct mq_put *p);

/* What a record costs in a transfer. */
size_t mq_move_size_of(const struct mq_rec *r);

/* A full topic that is waited for: the topics that it may be. */
struct mq_move_wait {
	int64_t since_ns, pause_ns;
	bool told;
	const char (*topics)[201]; /* borrowed */
	size_t n_topics;
};
/* What was tried of f said rc.  0: there was no room, and it may be tried again; else rc, or why it is not. */
int mq_move_await_room(struct mq_consume *c, struct mq_feed *f, int rc, struct mq_move_wait *w);
/* Until a stop, at most. */
int mq_move_nap(struct mq_consume *c, int64_t ns);
/* A transfer that was begun then is over. */
void mq_move_took(struct mq_consume *c, int64_t began_ns);

/* --- for the rest of the consumer ----------------------------------------------------------- */

/* f was just taken: what a former owner began to move is moved before anything else. */
int mq_move_finish(struct mq_consume *c, struct mq_feed *f);
/* The place of f, f->done, is about to pass t: its parcels go with it. */
int mq_move_task(struct mq_consume *c, struct mq_feed *f, const struct mq_task *t);
/* The same of the record as it is, for everybody; the place has passed all before it. */
int mq_move_copy(struct mq_consume *c, struct mq_feed *f, const char *topic, uint32_t partition, const struct mq_rec *r);
/* The same of whole lines, up to the offset `end`: 1: copy them one by one. */
int mq_move_lines(struct mq_consume *c, struct mq_feed *f, const char *topic, uint32_t partition, const struct mq_transfer_lines *l,
                  uint64_t begin);
/* What is pending should go now: it is one of the first, after which lines go as they lie. */
bool mq_move_is_first(const struct mq_feed *f);
/* Something is put, and the place waits for that. */
bool mq_move_is_pending(const struct mq_feed *f);
/* In place of owner_commit, where f->move is there: 0, and the place is `end`. */
int mq_move_commit(struct mq_consume *c, struct mq_feed *f, uint64_t end, uint64_t lost);
/* Commit what is pending, if it is time; idle: nothing else is to be done. */
int mq_move_step(struct mq_consume *c, bool idle);
/* When it is time; -1: nothing is pending. */
int64_t mq_move_due(const struct mq_consume *c);
/* So much is left by tasks that wait for others before them that no more of these should be begun. */
bool mq_move_is_much(const struct mq_consume *c);
/* Commit all that is pending, of one or (NULL) of all: before it is let go, and at the end. */
int mq_move_flush(struct mq_consume *c, struct mq_feed *f);
/* Before the owner goes. */
void mq_move_close(struct mq_consume *c, struct mq_feed *f);

#endif
