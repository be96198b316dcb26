/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * acked.P: acknowledgements from outside above the committed offset, entries of 24 bytes
 *
 *   u64 offset, u32 generation, u32 seeks, u32 first 4 bytes of the topic id, u32 CRC32C of the 20 before, seeded
 *   with the entry's position
 *
 * Read and changed under byte 2^33 + p of `locks`, and opened by name under it; whoever only counts reads without.  An
 * entry that does not verify was promised to nobody: who adds one syncs before the answer.
 *
 * The name is durable before an entry is: who finds the file empty, or its length no multiple of 24, syncs the directory
 * first.  A file made anew beside it gets its name with one zero byte behind its entries, so the next entry, which is
 * written over that byte, is never promised in a file that the power cut takes back.
 */
#ifndef MQ_SPOOL_ACKS_FILE_H
#define MQ_SPOOL_ACKS_FILE_H

#include "spool/group.h"

enum { MQ_ACK_LEN = 24, MQ_ACKS_MAX = 64 << 20 };

struct mq_acks {
	uint64_t *offset; /* owned: at or above the place, rising, each once */
	size_t n, cap;
	uint64_t size;    /* of the file, bytes; 0: there is none */
};

/* Of the file, however long, only what counts for `now` is kept in memory. */
int mq_acks_read(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, struct mq_acks *ret, struct mq_err *err);
void mq_acks_release(struct mq_acks *a);

/* Durable when it returns 0.  MQ_EAGAIN: MQ_ACKS_MAX is reached, and the record at the place is not among them. */
int mq_acks_append(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                   struct mq_err *err);
/* The file anew, with the first n of a alone. */
int mq_acks_rewrite(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                    struct mq_err *err);
int mq_acks_remove(struct mq_group_topic *g, uint32_t p, struct mq_err *err);

#endif
