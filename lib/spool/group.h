/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A group's place in a topic: groups/GROUP/topics/TOPIC/
 *
 *   locks       byte a * 2^26 + p: who holds it owns partition p, if area a is the one that counts (areas.h)
 *               byte 2^32 + a * 2^26 + p: read-locked through a description that each of its handlers inherits (rule 13)
 *               byte 2^33 + p: short, while acked.p or claimed.p is changed, or p's owner evicted (evict.h)
 *               byte 2^35 + p: read-locked by a member that asks for p (plan.h)
 *               byte 2^36 + p: held by that one of those who share p that moves its place (claims.h)
 *               bytes 2^40 + h, 2^41 + h and 2^42: of ids at work (once.h)
 *               byte 2^43 + a * 2^40 + p * 2^24 + the offset's low 24 bits: where p is shared, read-locked through a description
 *               that the handler of that record inherits
 *               byte 2^55: who drains the topic for the group
 *               byte 2^56 + a * 2^26 + p: held by that one of those who share p that moves records out of it (claims.h)
 *               byte 2^34: of `offsets`: alone while it is replaced, with others while it is synced
 *   offsets     two slots of each partition, at p * 8192, and as many of each generation of its ownership behind them
 *   offsets.failed  a sync of it failed: whoever comes next replaces it
 *   owners      a line of text of each partition's last owner, 128 bytes at p * 128; left there by one that died.  owners.A: of
 *               area A, made by the first eviction that goes there
 *   acked.P     acknowledgements from outside (mq-group commit) above the committed offset
 *   claimed.P   who works at what, and what is done, where partition P is shared (claims.h)
 *   bell        rung after acked.P was changed, a place was set by hand, or all this was given another name to be removed
 *
 * Every slot names the topic's id: a topic deleted and made again starts clean (rule 4).
 */
#ifndef MQ_SPOOL_GROUP_H
#define MQ_SPOOL_GROUP_H

#include "base/name.h"
#include "spool/topic.h"
#include "sys/sys.h"

#define MQ_GROUP_HANDLER_BYTE (UINT64_C(1) << 32)
#define MQ_GROUP_ACKED_BYTE (UINT64_C(1) << 33)
#define MQ_GROUP_OFFSETS_BYTE (UINT64_C(1) << 34)
#define MQ_GROUP_ASKED_BYTE (UINT64_C(1) << 35)
#define MQ_GROUP_ONCE_BYTE (UINT64_C(1) << 40)
#define MQ_GROUP_ONCE_HANDLER_BYTE (UINT64_C(1) << 41)
#define MQ_GROUP_ONCE_WAITS_BYTE (UINT64_C(1) << 42)
#define MQ_GROUP_DRAIN_BYTE (UINT64_C(1) << 55)
#define MQ_GROUP_MOVER_BYTE (UINT64_C(1) << 56)
#define MQ_GROUP_PLACE_BYTE (UINT64_C(1) << 36)
#define MQ_GROUP_SHARED_BYTE (UINT64_C(1) << 43)
#define MQ_GROUP_SHARED_LEN (UINT64_C(1) << 24) /* of a partition */
enum { MQ_GROUP_OWNER_LEN = 128 };

static inline uint64_t mq_group_owner_byte(uint32_t area, uint32_t p)
{
	return (uint64_t)area << 26 | p;
}
static inline uint64_t mq_group_handler_byte(uint32_t area, uint32_t p)
{
	return MQ_GROUP_HANDLER_BYTE + mq_group_owner_byte(area, p);
}
static inline uint64_t mq_group_mover_byte(uint32_t area, uint32_t p)
{
	return MQ_GROUP_MOVER_BYTE + mq_group_owner_byte(area, p);
}
/* Of two records 2^24 apart the later one is believed to be handled while the earlier one is. */
static inline uint64_t mq_group_shared_byte(uint32_t area, uint32_t p, uint64_t offset)
{
	return MQ_GROUP_SHARED_BYTE + ((uint64_t)area << 40) + p * MQ_GROUP_SHARED_LEN + offset % MQ_GROUP_SHARED_LEN;
}

struct mq_group_topic {
	struct mq_topic *topic; /* borrowed */
	int dir;                /* owned */
	int locks, offsets;     /* owned; locks -1 where this user may not */
	unsigned offsets_no;    /* which file `offsets` is: counts those that took its place */
	bool offsets_failed;    /* a write or sync of it failed: the kernel tells that once a description, so nobody else may go by it */
	bool told_holder;       /* it was told whose lock is waited for */
	char group[MQ_NAME_MAX + 1];
	uint32_t group_sum;     /* of the group's name, for tokens */
	char label[448];        /* "group billing, orders" */
};

/* s->groups is not open: why. */
int mq_groups_closed(const struct mq_spool *s, struct mq_err *err);

/* create: make what is missing.  Without it MQ_ENOTOPIC where the group never read this topic. */
int mq_group_topic_open(struct mq_group_topic *ret, struct mq_topic *t, const char *group, bool create, struct mq_err *err);
void mq_group_topic_release(struct mq_group_topic *g);

/* `offsets` was made with room for so many partitions: those that the topic began with. */
uint32_t mq_group_made_for(const struct mq_group_topic *g);

/* `offsets` was made for a former topic of this name, and nobody has a place in this one: no place can have been cut off it.
 * mq_group_topic_widen: then it has room for this one, durably, which is to be before the first place in it is written. */
bool mq_group_topic_former(const struct mq_group_topic *g);
int mq_group_topic_widen(const struct mq_group_topic *g, struct mq_err *err);

/* Of a partition where the group has no place, *ret: it had one before the topic grew by this, where the keys came from.  So what
 * is here it has not read, from the beginning. */
int mq_group_topic_grown(const struct mq_group_topic *g, uint32_t p, bool *ret, struct mq_err *err);

/* The committed place of partition p: *ret_which -1 where there is none for this topic's id.  MQ_EDAMAGE: nobody can know it. */
int mq_group_topic_read(struct mq_group_topic *g, uint32_t p, struct mq_commit *ret, int *ret_which, uint64_t *ret_seq,
                        struct mq_err *err);

int mq_group_each(struct mq_spool *s, int (*fn)(void *arg, const char *group), void *arg, struct mq_err *err);
int mq_group_each_topic(struct mq_spool *s, const char *group, int (*fn)(void *arg, const char *topic), void *arg,
                        struct mq_err *err);
/* topic NULL: the whole group.  MQ_EAGAIN where a partition is owned, unless force. */
int mq_group_remove(struct mq_spool *s, const char *group, const char *topic, bool force, bool dry_run, struct mq_err *err);

/* What all groups' commits witness of a partition's segment, and the highest offset committed.  -EBUSY (75, but
 * not the full topic that MQ_EAGAIN tells of) where they cannot be read now or by this user. */
int mq_group_witness(struct mq_topic *t, uint32_t p, const struct mq_segment_id *segment, uint64_t *pos, uint64_t *offset,
                     uint64_t *committed);

/* 1: somebody has this partition who shares it (claims.h); 0: nobody, or one alone. */
int mq_group_is_shared(struct mq_group_topic *g, uint32_t p, struct mq_err *err);

/* group_lock.c: the write lock of a byte that is held for as long as its holder lives.  -EAGAIN: somebody has it. */
int mq_group_try_byte(int fd, uint64_t byte);
/* A short lock; signals are held off until it is given back.  -EINTR: a signal came while somebody else had it.  Who waits for
 * more than a second is told, once, for whom.  mq_group_queue: the same of one that many wait for all the time, and nobody is told. */
int mq_group_lock(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte, const char *what, struct mq_err *err);
int mq_group_queue(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte, const char *what, struct mq_err *err);
void mq_group_unlock(struct mq_group_topic *g, uint64_t byte);

/* Wake the owners, who look for acknowledgements, for a place set by hand, and for whether the group is still there.  dir: its
 * topic's. */
void mq_group_ring(int dir);

/* Who owns p.  1: owned; the owner's line ("PID MEMBER") goes to ret_line.  *ret_handler: a handler's lock is held. */
int mq_group_owner(struct mq_group_topic *g, uint32_t p, char ret_line[MQ_GROUP_OWNER_LEN], bool *ret_handler,
                   struct mq_err *err);
/* The same of one area, whether or not it is the one that counts. */
int mq_group_owner_in(struct mq_group_topic *g, uint32_t area, uint32_t p, char ret_line[MQ_GROUP_OWNER_LEN], bool *ret_handler,
                      struct mq_err *err);
/* The file of an area's owners' lines. */
void mq_group_owners_name(uint32_t area, char ret[24]);

#endif
