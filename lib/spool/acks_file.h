/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * acked.P: acknowledgements from outside above the committed offset, entries of 24 bytes
 *
 *   u64 offset, u32 generation, u32 seeks, u32 first 4 bytes of the topic id, u32 CRC32C of the 20 before, seeded
 *   with the entry's position
 *
 * One counts whose topic and seek count are the place's, its generation not above: what was acknowledged is done, whoever owned
 * the partition then.
 *
 * Read and changed under byte 2^33 + p of `locks`, and opened by name under it; whoever only counts reads without.  An
 * entry that does not verify was promised to nobody: who adds one syncs before the answer.
 *
 * The first MQ_ACKS_SLOTS entries are the room: allocated with the file, each zero while it is free, filled wherever one is,
 * made zero again by the owner when its place is durably beyond them.  So what is acknowledged about in order never needs
 * space that a full disk refuses.  What the room does not hold is added at the end.  The last MQ_ACKS_KEPT free ones are for
 * the record at the place alone: it is always taken, and the others need it first.
 *
 * The name is durable before an entry is: who finds the room empty, or the file's length no multiple of 24, syncs the
 * directory first.  A file made anew beside it gets its name with one zero byte behind its entries, so that none is ever
 * promised in a file that the power cut takes back.
 */
#ifndef MQ_SPOOL_ACKS_FILE_H
#define MQ_SPOOL_ACKS_FILE_H

#include "spool/group.h"

enum {
	MQ_ACK_LEN = 24,
	MQ_ACKS_SLOTS = 170, /* in a block of 4096 bytes */
	MQ_ACKS_KEPT = 16,
	MQ_ACKS_ROOM = MQ_ACKS_SLOTS * MQ_ACK_LEN,
	MQ_ACKS_MAX = 64 << 20,
};

struct mq_acks {
	uint64_t *offset; /* owned: at or above the place, rising, each once */
	size_t n, cap;
	uint64_t size;    /* of the file, bytes; 0: there is none */
	size_t used;      /* of the room: entries that are not free */
};

/* Of the file, however long, only what counts for `now` is kept in memory. */
int mq_acks_read(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, struct mq_acks *ret, struct mq_err *err);
void mq_acks_release(struct mq_acks *a);

/* The first of them that are durable are counted, whatever is returned.  MQ_EAGAIN: MQ_ACKS_MAX is reached, and the record at the
 * place is not among them.  -ENOSPC, -EDQUOT: the room is full, and there is no other. */
int mq_acks_append(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                   size_t *ret_done, struct mq_err *err);
/* The file anew, with the first n of a alone. */
int mq_acks_rewrite(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                    struct mq_err *err);

/* acks_room.c */
struct mq_acks_room {
	uint8_t entry[MQ_ACKS_ROOM];
	size_t slots;         /* that the file has */
	size_t used;
	size_t changed, upto; /* bytes to be written, from .. upto */
};

/* The file for adding, made with its room where it is missing; where the disk has none, without: descriptor. */
int mq_acks_open(struct mq_group_topic *g, uint32_t p);
int mq_acks_room_read(struct mq_acks_room *r, int fd, uint64_t size);
/* false: there is no slot for it. */
bool mq_acks_room_add(struct mq_acks_room *r, const struct mq_commit *now, uint64_t offset);
/* What does not count any more goes; how many. */
size_t mq_acks_room_clear(struct mq_acks_room *r, const struct mq_commit *now);
int mq_acks_room_write(struct mq_acks_room *r, int fd);

/* acks_file.c */
void mq_ack_encode(uint8_t e[MQ_ACK_LEN], uint64_t at, uint64_t offset, const struct mq_commit *now);
bool mq_ack_decode(const uint8_t e[MQ_ACK_LEN], uint64_t at, const struct mq_commit *now, uint64_t *ret_offset);
bool mq_ack_free(const uint8_t e[MQ_ACK_LEN]);
int mq_acks_write_at(int fd, const uint8_t *bytes, size_t len, uint64_t at);

#endif
