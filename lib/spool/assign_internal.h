/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the strategies ask of each other.
 *
 *   assign.c           which strategy
 *   assign_turns.c     average, circle
 *   assign_sticky.c    sticky
 *   assign_ring.c      hash
 *   assign_room.c      room, nearby: a share for each room
 *   assign_patterns.c  config
 *   assign_conf.c      group.conf
 *   assign_set.c       "0-3,8"
 */
#ifndef MQ_SPOOL_ASSIGN_INTERNAL_H
#define MQ_SPOOL_ASSIGN_INTERNAL_H

#include "spool/assign.h"

struct mq_assign_case {
	const struct mq_assign_conf *conf;
	const struct mq_assign_topic *topics;
	const struct mq_assign_member *members;
	uint32_t n_topics, n_members, partitions;
	const int32_t *now;
	int32_t *owner; /* -1 until given */
};

/* Some partitions, counted over all topics, to be given to some members, at least one; both rising. */
struct mq_assign_share {
	uint32_t *partition, n_partitions;
	uint32_t *member, n_members;
};

/* Who of all members owns partition p now; -1. */
static inline int32_t mq_assign_now(const struct mq_assign_case *c, uint32_t p)
{
	return c->now && c->now[p] >= 0 && (uint32_t)c->now[p] < c->n_members ? c->now[p] : -1;
}

/* Each gives away all of the share.  0 or -ENOMEM. */
int mq_assign_share_out(struct mq_assign_case *c, int64_t strategy, const struct mq_assign_share *s);
/* Of a share whose partitions are all of one topic. */
void mq_assign_average(struct mq_assign_case *c, const struct mq_assign_share *s);
/* The same; first: the topic's partition 0. */
int mq_assign_ring(struct mq_assign_case *c, const struct mq_assign_share *s, const char *topic, uint32_t first);
void mq_assign_circle(struct mq_assign_case *c, const struct mq_assign_share *s);
int mq_assign_sticky(struct mq_assign_case *c, const struct mq_assign_share *s);

/* s has room for all partitions and all members.  rest: nearby. */
int mq_assign_rooms(struct mq_assign_case *c, struct mq_assign_share *s, bool rest);
void mq_assign_patterns(struct mq_assign_case *c);

#endif
