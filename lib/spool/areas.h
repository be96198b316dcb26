/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The areas of a partition's place in `offsets`, and which of them counts.
 *
 * An eviction gives the partition's ownership a new generation: the place goes on in another area, with lock bytes of its own, and
 * what the evicted owner writes when it wakes lies in an area where nobody reads.  Area a lies 512 * a into both blocks of the
 * partition; area 0 is where a group begins.  The area that counts is that of the highest generation, and who holds its
 * owner's byte owns the partition: mq_areas_read is the only one to decide that.
 *
 * An area's first slot is written before its second, and the second only while the first is durable.  So
 *
 *   first bad, second never written    nothing was there: it was torn while the area was made
 *   one bad, one good                  the good one counts, and may be older
 *   otherwise, and none is good        nobody can know what it said, and it may have been the highest: stop loudly
 *
 * Areas are first used in the order of their numbers, so behind one that was never used a cut has taken none.
 */
#ifndef MQ_SPOOL_AREAS_H
#define MQ_SPOOL_AREAS_H

#include "spool/group.h"

enum mq_slot_is {
	MQ_SLOT_NEVER, /* written */
	MQ_SLOT_GOOD,
	MQ_SLOT_BAD,
	MQ_SLOT_CUT,   /* it lies behind the end of a file that was made with room for it */
};

struct mq_area {
	struct mq_commit commit; /* of the better slot, if one is good */
	uint64_t seq;            /* its sequence; 0: none is good */
	int which;               /* its number, 0 or 1; -1 */
	bool whole;              /* both slots are of that generation, so that the one written first was synced */
	enum mq_slot_is is[2];
};

struct mq_areas {
	struct mq_area area[MQ_SLOT_AREAS];
	int counts;              /* the area of the highest generation; -1: no place was ever written */
	bool cut;                /* of what counts, a cut has left one slot, which may be the older one */
	bool torn;               /* the first place of all was torn, or a bit of it has flipped: none counts */
};

/* Quietly.  made: the file was made with room for p.  MQ_EDAMAGE: nobody can know which one counts; *ret is filled all the same. */
int mq_areas_read(const struct mq_group_topic *g, uint32_t p, bool made, struct mq_areas *ret, struct mq_err *err);

/* The place that counts, as mq_group_topic_read gives it, and nobody is told of what was met. */
int mq_group_topic_peek(const struct mq_group_topic *g, uint32_t p, struct mq_commit *ret, int *ret_which, uint64_t *ret_seq,
                        struct mq_err *err);
/* All areas, as mq_group_topic_peek goes by them; *ret is filled where it is MQ_EDAMAGE, too. */
int mq_group_topic_areas(const struct mq_group_topic *g, uint32_t p, struct mq_areas *ret, struct mq_err *err);

#endif
