/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * claimed.P as it is read and written (format/claim.h has the bytes).
 *
 * It is appended to, and changed in any other way, under byte 2^33 + p of `locks`; it is read by anybody at any time, each
 * time from where he stood, so that the cost of a record does not grow with the backlog, nor with what was done before.
 *
 *   a half that is full                    the other half, without its head: the state as it is, then zeros; synced
 *   MQ_CLAIM_CLOSED behind its last slot   nothing is appended to it any more
 *   the head of the other half             its epoch is the next one, and counts; synced
 *
 * A member that dies between the last two leaves a half that is closed, and no other: the next one that has something to
 * append does the same again.  A half is written over only when the other one is durable.
 *
 * After a failed sync the file is replaced: claimed.P.failed made, MQ_CLAIM_MOVED put behind its last slot, a new one over its
 * name, claimed.P.failed removed.  A member that dies between two of these leaves it to the next one.
 */
#ifndef MQ_SPOOL_CLAIMS_FILE_H
#define MQ_SPOOL_CLAIMS_FILE_H

#include "spool/claims_ranges.h"
#include "spool/group.h"

struct mq_claims_file {
	struct mq_group_topic *g;    /* borrowed */
	uint32_t partition;
	int fd;                      /* owned; -1: not open */
	struct mq_claims_head head;  /* of the half that counts */
	unsigned half;
	uint32_t next;               /* the first slot not read */
	uint8_t last[MQ_CLAIM_LEN];  /* the bytes before it: whether they are still there tells whether the half is the same */
	bool closed;                 /* nothing is appended to it, and what comes after it is not there yet */
	bool moved;                  /* that is another file, not the other half */
	unsigned bad;                /* slots and heads that did not verify when all was read */
	uint64_t bad_at;             /* the first of them */
};

/* Open and read all of it into r, which is of nothing before.  -ENOENT: there is none.  MQ_EDAMAGE: neither head verifies.
 * What else does not verify is counted, and the rest taken. */
int mq_claims_file_open(struct mq_claims_file *f, struct mq_group_topic *g, uint32_t p, struct mq_claims_ranges *r, struct mq_err *err);
void mq_claims_file_release(struct mq_claims_file *f);

/* What came since.  1: it goes on elsewhere, mq_claims_file_open again.  locked:
 * what does not verify is damage, otherwise perhaps just being written. */
int mq_claims_file_read(struct mq_claims_file *f, struct mq_claims_ranges *r, bool locked, struct mq_err *err);

/* Under the lock, after a locked read: slots left before the half must be changed; append, in one write; change the half. */
uint32_t mq_claims_file_left(const struct mq_claims_file *f);
int mq_claims_file_append(struct mq_claims_file *f, const struct mq_claim *c, size_t n, struct mq_err *err);
int mq_claims_file_turn(struct mq_claims_file *f, const struct mq_claims_head *head, const struct mq_claims_ranges *r,
                        struct mq_err *err);

/* A new one with this state takes the name, durably.  Under the lock, or where nobody else shares. */
int mq_claims_file_put(struct mq_group_topic *g, uint32_t p, const struct mq_claims_head *head, const struct mq_claims_ranges *r,
                       struct mq_err *err);
/* The same after a failed sync of f, which is the old one still; under the lock. */
int mq_claims_file_replace(struct mq_claims_file *f, const struct mq_claims_ranges *r, struct mq_err *err);
/* A sync failed, and nobody replaced it. */
bool mq_claims_file_failed(struct mq_group_topic *g, uint32_t p);

#endif
