/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Eviction: whoever owns a partition owns it no more, though it lives.
 *
 * Under byte 2^33 + p of `locks`, and byte 2^34 with others:
 *
 *   owner byte of a free area taken      an area whose owner's and handler's bytes nobody holds
 *   the place written into that area     with the next generation, where nothing is read yet; killed before: nothing happened
 *   synced                               killed before: it counts, and who takes the partition syncs first (commit.c)
 *   written again, into the other slot   so that no flipped bit brings the former generation back; and it tells that the first
 *                                        one was synced
 *   bytes let go, bells rung
 *
 * What the evicted owner has told as done is in the place: after each sync it looks for this lock and then for its generation
 * (fence, commit.c), so either it sees the new one, or whoever evicts sees what it wrote.  Acknowledgements from outside are
 * added under the same lock, and count on.
 *
 * Between the look at who is to be evicted and the write that does it the owner may let go, and another take the partition: then
 * that one is evicted as it begins.  What it told as done before is in the place, and it tells nothing after, since it fences
 * first; it ends with 75, and what it had in hand is given out to the next.  That costs a run, and loses nothing.
 *
 * Whoever evicts may be stopped with that lock in its hand, and the owner's sync then waits for it.  That wait has no bound of its
 * own: whether the stopped one had read the place before that sync or will read it afterwards, only it knows, and nothing takes back
 * what it is going to write.  So an owner that went on and told its records as done could be wrong; one that gives up
 * (--timeout) ends with 75 and has told nothing.  After a second it says which process it waits for, and mq-group show names
 * that: kill -CONT, or kill it; killed before its write nothing happened, and after it the eviction counts.
 */
#ifndef MQ_SPOOL_EVICT_H
#define MQ_SPOOL_EVICT_H

#include "spool/group.h"
#include "spool/member.h"

struct mq_eviction {
	int64_t pid;          /* of the owner, by the line it wrote; -1: unknown */
	char member[64];      /* the same; empty */
	bool handler_left;    /* the owner is dead, and a handler of its own is not */
	uint32_t generation;  /* the next one, which counts from now on */
};

/* member: by name, or by the number of its process; NULL: whoever it is.  dry_run: say only what would be done.  next: the
 * generation that is to begin, as a dry run gave it; 0: whichever it is.  1: done.  0: no such one owns p alone, or somebody
 * else was quicker.  MQ_EAGAIN: no area is free, and who is in the way. */
int mq_evict(struct mq_group_topic *g, uint32_t p, const char *member, bool dry_run, uint32_t next,
             struct mq_eviction *ret, struct mq_err *err);

/* A living member's file, by its name or process, is taken away: from now on nothing is assigned to it, and it ends when it sees
 * that.  1: *ret says who; 0: there is none. */
int mq_evict_member(struct mq_spool *s, const char *group, const char *member, bool dry_run, struct mq_eviction *ret,
                    struct mq_err *err);
/* Was that done to this one, or has its file lost its name otherwise, alone or with the directory?  MQ_EAGAIN. */
int mq_evict_look(const struct mq_membership *m, struct mq_err *err);
/* Wake all members, as mq_membership_ring does. */
void mq_evict_ring(struct mq_spool *s, const char *group);

#endif
