/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A member that shares partitions with others (--share): each record goes to one of them, whoever has time for it.
 *
 * Who shares p holds a read lock on its owner's byte, so that nobody owns it alone meanwhile.  Which record is whose stands in
 * claimed.P: a claim counts as long as its member lives (byte 0 of its file), or a handler of the record does (a byte of
 * its own, see MQ_GROUP_SHARED_BYTE, through a description that the handler inherits).  A claim is looked for without a lock
 * and made under one, after a look at what came meanwhile; so nothing is handled by two at once.
 *
 * What is done, and given back, is gathered and written with the next claim, or by mq_claims_write: written survives every
 * process, synced (mq_claims_sync) survives a power cut.  The group's place follows the lowest record that is not done, now and
 * then and at the end (mq_claims_place).
 *
 * Records that go elsewhere as they are done (ops/transfer.h) are moved by one of those who share at a time, who holds the mover's
 * byte from a look whether he was evicted, over the intent and what it puts, to its being written here as done.  So who finds a
 * member gone takes that byte before he gives out what that one had, and finishes an intent that it left; without it he does not.
 *
 *   alone at first: mq_ownership_take, mq_claims_begin, mq_ownership_share
 *   others there:   mq_ownership_join, mq_claims_join
 *   mq_claims_next, look whether there is a record, mq_claims_take; mq_claims_done or _give_back; …
 *   mq_claims_sync, mq_claims_place, mq_claims_release, mq_ownership_release
 */
#ifndef MQ_SPOOL_CLAIMS_H
#define MQ_SPOOL_CLAIMS_H

#include "spool/claims_file.h"
#include "spool/owner.h"

struct mq_claims {
	struct mq_ownership *o;      /* borrowed; NULL: not open */
	uint64_t me;
	struct mq_claims_file file;
	struct mq_claims_ranges r;
	unsigned opened;             /* how often a file was */
	struct mq_claim *queue;      /* to be written */
	size_t queued, queue_cap;
	uint64_t mine;               /* offsets, by what was written */
	uint64_t placed;             /* the place was moved up to here, as far as this member knows */
	uint64_t lost;               /* passed and not counted in the place yet */
	bool unsynced, evicted;
	unsigned damaged;            /* so many parts of the file did not verify and were made anew */
};

struct mq_claim_taken {
	uint64_t from, to;
	uint16_t attempt;            /* how often it was given back as failed */
};

/* o was taken and is held alone: what is there is made whole. */
int mq_claims_begin(struct mq_claims *c, struct mq_ownership *o, struct mq_err *err);
/* o was joined.  1; 0: not now, those who share it are about to end. */
int mq_claims_join(struct mq_claims *c, struct mq_ownership *o, struct mq_err *err);
void mq_claims_release(struct mq_claims *c);

/* The lowest offsets that nobody has: 1; 0: none, as long as so much is at work.  fresh: as others see it now. */
int mq_claims_next(struct mq_claims *c, bool fresh, uint64_t *ret_from, uint64_t *ret_to, struct mq_err *err);
/* Take n of the lowest, or fewer: not from `limit` on.  0: there are none.  MQ_EAGAIN: this member was evicted, or the place
 * set by hand; MQ_EDAMAGE.  After these it has nothing to do here any more. */
int mq_claims_take(struct mq_claims *c, uint64_t limit, uint64_t n, struct mq_claim_taken *ret, struct mq_err *err);
/* It is still this member's, before it begins: MQ_EAGAIN, MQ_EDAMAGE. */
int mq_claims_hold(struct mq_claims *c, uint64_t from, struct mq_err *err);
/* Offsets that were taken, or that hold nothing. */
int mq_claims_done(struct mq_claims *c, uint64_t from, uint64_t to, struct mq_err *err);
/* By whoever holds the mover: these are done, whoever has them. */
int mq_claims_moved(struct mq_claims *c, uint64_t from, uint64_t to, struct mq_err *err);
int mq_claims_give_back(struct mq_claims *c, uint64_t from, uint64_t to, bool counted, struct mq_err *err);
int mq_claims_write(struct mq_claims *c, struct mq_err *err);
int mq_claims_sync(struct mq_claims *c, struct mq_err *err);

/* claims_mover.c: 1: it is ours to move records out of the partition; 0: another does, now. */
int mq_claims_mover_take(struct mq_claims *c, struct mq_err *err);
void mq_claims_mover_leave(struct mq_claims *c);
/* The place as it is written; offsets may be above it that are done.  MQ_EAGAIN: it was set by hand, or taken from its owners. */
int mq_claims_now(struct mq_claims *c, struct mq_commit *ret, struct mq_err *err);

/* claims_life.c: 1: members that are gone have claims still, as far as was read. */
int mq_claims_has_dead(struct mq_claims *c, struct mq_err *err);
/* claims of members that are gone are free; *ret_handled: offsets whose handler lives on. */
int mq_claims_look(struct mq_claims *c, uint64_t *ret_handled, struct mq_err *err);
/* For one handler of these, to inherit: as mq_ownership_handler_fd. */
int mq_claims_handler_fd(struct mq_claims *c, uint64_t from, uint64_t to, struct mq_err *err);
/* The same handler has these, too, or no longer. */
int mq_claims_handler_hold(struct mq_claims *c, int fd, uint64_t from, uint64_t to, bool on, struct mq_err *err);
/* claims_place.c: move the group's place durably, unless somebody else does, or just did.  last: it will not be asked again. */
int mq_claims_place(struct mq_claims *c, bool last, struct mq_err *err);
/* Is the group still there, and the place this member's to follow?  MQ_ENOTOPIC, MQ_EAGAIN. */
int mq_claims_holds(struct mq_claims *c, struct mq_err *err);
/* o is owned alone: what was shared before is done as far as the place tells, then. */
int mq_claims_fold(struct mq_ownership *o, struct mq_err *err);

struct mq_claims_numbers {
	bool any;                    /* it was shared since the place was set */
	uint64_t base;               /* all below is done */
	uint64_t top;                /* nothing from here on was given out */
	uint64_t in_flight;          /* given out, to members that live */
	uint64_t done_above;         /* beyond base */
};
/* As they are now.  members: the directory of them; -1: everybody is believed to live. */
int mq_claims_count(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, int members, struct mq_claims_numbers *ret,
                    struct mq_err *err);

/* Is it of this topic and seek?  Of an earlier generation, which ended by an eviction, what is done counts, and nothing else. */
bool mq_claims_go_with(const struct mq_claims_head *h, const struct mq_commit *c);

#endif
