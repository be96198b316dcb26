/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose the partitions of topics are to be: what every member of a group computes by itself from the same facts, and how one
 * asks another for what is to be its own.
 *
 * The lock alone says whose a partition is.  A plan moves nothing: who owns what is to be another's lets go when one asks for
 * it, and not before; who wants what is to be its own asks, and takes it when it is free.  A request is a lock as well (read,
 * byte 2^35 + p of `locks`), so it goes with who made it.  Two members that see the group at different moments may disagree:
 * then one asks and the other keeps, until both look again.
 *
 *   mq_plan_open; mq_plan_add each topic; at each news of the group mq_plan_make, then mq_plan_of, _ask, _asked; mq_plan_release
 */
#ifndef MQ_SPOOL_PLAN_H
#define MQ_SPOOL_PLAN_H

#include "spool/group.h"
#include "spool/member.h"

enum mq_plan_whose {
	MQ_PLAN_ANYBODYS, /* no member counts yet: whoever comes first */
	MQ_PLAN_MINE,
	MQ_PLAN_OTHERS,
	MQ_PLAN_NOBODYS,  /* not to be had by this one, though it be free: the strategy says who may, if anybody */
};

enum { MQ_PLAN_WHOSE = 3, MQ_PLAN_AREA_SHIFT = 2, MQ_PLAN_AREA = 7, MQ_PLAN_FREE = 0x20, MQ_PLAN_HELD = 0x80 }; /* of a byte of `whose` */

struct mq_plan_topic {
	struct mq_topic *t;       /* borrowed */
	struct mq_group_topic g;  /* its own descriptions: locks of this member's owners show through them as any other's */
	uint32_t n;               /* partitions */
	uint8_t *whose;           /* owned: of each: enum mq_plan_whose, the area that counted, and whether nobody or another living member had it */
};

struct mq_plan {
	struct mq_membership *m;      /* borrowed */
	struct mq_plan_topic *topics; /* owned; by rising name */
	size_t n, cap;
	size_t members;               /* that counted when it was computed last */
};

/* m must outlive it. */
void mq_plan_open(struct mq_plan *ret, struct mq_membership *m);
/* Every topic that the member reads, in any order; t must outlive the plan.  One that is there already: nothing. */
int mq_plan_add(struct mq_plan *plan, struct mq_topic *t, struct mq_err *err);
void mq_plan_release(struct mq_plan *plan);

/* The topic of that name; NULL. */
struct mq_plan_topic *mq_plan_find(const struct mq_plan *plan, const char *topic);

/* 1: by the group's strategy a member may have what it assigns to it and nothing else, so that it plans before it takes anything,
 * and before it counts. */
int mq_plan_strict(struct mq_spool *s, const char *group, struct mq_err *err);

/* Compute, for all topics at once.  Before the first time all are anybody's.  MQ_ECONFIG: group.conf does not hold.  MQ_ENOTOPIC: the
 * group was deleted.  MQ_EAGAIN: this member was evicted from it. */
int mq_plan_make(struct mq_plan *plan, struct mq_err *err);
static inline enum mq_plan_whose mq_plan_of(const struct mq_plan_topic *topic, uint32_t p)
{
	return p < topic->n ? (enum mq_plan_whose)(topic->whose[p] & MQ_PLAN_WHOSE) : MQ_PLAN_ANYBODYS;
}
/* Had another living member p when this was computed? */
static inline bool mq_plan_held(const struct mq_plan_topic *topic, uint32_t p)
{
	return p < topic->n && topic->whose[p] & MQ_PLAN_HELD;
}
/* Did nobody have it? */
static inline bool mq_plan_free(const struct mq_plan_topic *topic, uint32_t p)
{
	return p < topic->n && topic->whose[p] & MQ_PLAN_FREE;
}
/* One call of the kernel.  False: somebody has p now, or had it when it was evicted, since when nothing was computed. */
bool mq_plan_may_be_free(const struct mq_plan_topic *topic, uint32_t p);

/* Ask for a partition, or no longer.  Nobody is woken: mq_membership_ring. */
int mq_plan_ask(struct mq_plan_topic *topic, uint32_t p, bool on, struct mq_err *err);
/* 1: another member asks for it. */
int mq_plan_asked(struct mq_plan_topic *topic, uint32_t p, struct mq_err *err);

#endif
