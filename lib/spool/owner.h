/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A member's hold on partitions.  The kernel's lock is the hold: it goes with the process.
 *
 * What is open of the group's place in a topic is shared by all partitions that a member owns there: the bytes of `locks` that
 * say so belong to one description, and are let go one by one.  What else an owner opens, it can close between two commits.
 */
#ifndef MQ_SPOOL_OWNER_H
#define MQ_SPOOL_OWNER_H

#include "log/slots.h"
#include "spool/group.h"
#include "spool/member.h"

struct mq_group_share {
	struct mq_group_topic g;
	struct mq_membership *m;
	struct mq_group_share *next;
	unsigned owners;
	int bell;               /* for what others do to a place; -1 until armed */
	bool gone;              /* nothing more is taken in it: the group was deleted, perhaps made again */
};

struct mq_ownership {
	struct mq_group_share *share; /* NULL: nothing is taken */
	struct mq_group_topic *g;     /* of the share */
	uint32_t partition;
	uint32_t area;          /* of its place, whose byte is ours */
	uint32_t generation;    /* of this ownership: rises with each eviction, and never comes again */
	unsigned offsets_no;    /* g->offsets_no, as `slots` goes by it */
	struct mq_slots slots;
	struct mq_commit commit; /* the last written */
	uint64_t expired_more;  /* for the next one to count */
	struct mq_state_file state; /* of the partition: for the mark a commit carries; opened by the next one */
	bool locked;            /* the byte is ours */
	bool taken;
	bool died_before;       /* the owner before did not let go: its last sync may have failed, and nobody noted it */
	bool passed_over;       /* the place was set by hand meanwhile, or: nothing is written any more */
	bool evicted;           /* that is why: its generation does not count any more */
};

/* 1: taken; m and t must outlive it.  0: somebody else's, or a handler of a killed owner still lives.  A place that was never
 * set begins at start_offset, durably. */
int mq_ownership_take(struct mq_ownership *ret, struct mq_membership *m, struct mq_topic *t, uint32_t p,
                      uint64_t start_offset, struct mq_err *err);
/* It is held alone: from now on others may have it, too, who join. */
int mq_ownership_share(struct mq_ownership *o, struct mq_err *err);
/* 1: shared with those who have it already, and o->commit is the place as it is; it is moved as claims.h says.  0: somebody has it
 * alone, or nobody has it. */
int mq_ownership_join(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, uint32_t p, struct mq_err *err);
/* Is the group's directory still the one of that name?  MQ_ENOTOPIC. */
int mq_ownership_named(struct mq_ownership *o, struct mq_err *err);
/* commit.c.  A commit is written, not synced.  MQ_EAGAIN: the place was set by hand meanwhile (mq_offsets_force_seek), or its
 * owner evicted (evict.h).  Where a write or sync fails, the file is replaced, and that is told by the spool's notice alone. */
int mq_ownership_begin(struct mq_ownership *o, uint64_t start_offset, struct mq_err *err); /* -ESTALE: its generation is over */
/* Is it still ours, and our generation the highest?  Cheap: two calls.  MQ_EAGAIN as above.  0 says that it was so a moment ago;
 * after mq_ownership_sync it says more: all that was committed before is in the place of whoever owns it next. */
int mq_ownership_look(struct mq_ownership *o, struct mq_err *err);
/* The same, and is the group's directory still the one of that name?  A deletion may have ended half-way.  MQ_ENOTOPIC. */
int mq_ownership_holds(struct mq_ownership *o, struct mq_err *err);
int mq_ownership_commit(struct mq_ownership *o, uint64_t offset, uint64_t lost_more, struct mq_err *err);
int mq_ownership_sync(struct mq_ownership *o, struct mq_err *err);
void mq_ownership_release(struct mq_ownership *o);
/* Close what it alone has open: the next commit opens that again. */
void mq_ownership_rest(struct mq_ownership *o);
/* The bell that is rung after something was done to a place of its group in its topic: to be watched. */
int mq_ownership_bell(struct mq_ownership *o);

/* A descriptor of its own, with a read lock that keeps others from taking the partition, for one handler to inherit.  The
 * caller unlocks the file through it when the handler was reaped, and closes it. */
int mq_ownership_handler_fd(struct mq_ownership *o, struct mq_err *err);

/* What a printed position carries so that a stranger's is refused: the topic's id, generation and seek count. */
void mq_ownership_token(const struct mq_group_topic *g, const struct mq_commit *c, char ret[40]);

/* Acknowledgements from outside: take them into the place (an owner), or add them (anyone).  n offsets, any order; the
 * first *ret_done of them are durable, whatever is returned.  MQ_EDENIED: generation and seek count are not those of `now`
 * any more. */
int mq_acks_merge(struct mq_ownership *o, struct mq_err *err);
int mq_acks_add(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                size_t *ret_done, struct mq_err *err);
int mq_acks_count(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, uint64_t *ret, struct mq_err *err);

/* Set the place by hand: counts a seek, so that positions printed before are refused. */
int mq_ownership_seek(struct mq_ownership *o, uint64_t offset, struct mq_err *err);

#endif
