/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who of a group's living members is to own which partition of a topic: a pure function, so that every member finds the same
 * without being told.
 *
 *     int32_t owner[partitions];
 *     rc = mq_assign(&conf, "orders", members, n, partitions, now, owner, err);
 *
 * It depends on the names of members (for `room`, `nearby` and `config` on their rooms and hosts), on who owns what now (`sticky`
 * alone) and on the configuration; on no clock, no locale, no order of coming.  The topic's name enters the ring's positions and
 * nothing else, and what one topic's members do moves nothing in another.
 *
 *   average  ranges; the first ones take one more.  RocketMQ's AllocateMessageQueueAveragely, Kafka's RangeAssignor.
 *   circle   one each in turn.  RocketMQ's AllocateMessageQueueAveragelyByCircle, Kafka's RoundRobinAssignor.
 *   sticky   balanced within one, and of all such the fewest partitions taken from a living owner; what is free goes where
 *            `circle` would put it, if it can.  With nobody owning anything it is `circle`; the worked examples of Kafka's
 *            StickyAssignor hold.
 *   hash     a ring with virtual nodes: the next node at or after a partition's position has it.  A member that leaves moves its own
 *            partitions only, one that joins takes only what becomes its own; not balanced within one.  RocketMQ's
 *            AllocateMessageQueueConsistentHash, with other positions.
 *   room     partitions of a room to its members, by strategy.within.  Nobody's: those of a room without members, and of no room.
 *   nearby   the same; what would be nobody's is spread over all members, by strategy.within.  RocketMQ's AllocateMachineRoomNearby,
 *            but that spreads each deserted room by itself, so that the first members gain from each.
 *   config   what assign.NAME says.  A partition named for no living member is nobody's; for several, the first member's by name.
 *
 * sticky promises more: (1) what it answers is a fixed point of it; (2) where owners follow its answer in any order, one partition at a
 * time, let go first and taken later or at once, it answers the same at each step: requests do not wander while partitions do.
 * (2) holds because kept are the lowest of an owner, one more goes to the same members meanwhile, and the free ones are given
 * out in runs: see assign_sticky.c.
 *
 * Time: O(partitions + members), for `hash` times log(partitions) and virtual.nodes, for `config` members x rules.  10,000 partitions
 * x 1,000 members take some milliseconds.
 */
#ifndef MQ_SPOOL_ASSIGN_H
#define MQ_SPOOL_ASSIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "spool/assign_conf.h"

struct mq_assign_member {
	const char *name; /* 16 hexadecimal digits, of no other member */
	const char *host;
	const char *room; /* "": none */
};

/* members: those that read this topic, count, and live, by rising name.  owner_now: of each partition an index into members; any other
 * value, as -1, is nobody or somebody who is no member; NULL: all are nobody's.  ret_owner: an index, or -1, for each partition.
 * 0 or -ENOMEM. */
int mq_assign(const struct mq_assign_conf *conf, const char *topic, const struct mq_assign_member *members, size_t n_members,
              uint32_t partitions, const int32_t *owner_now, int32_t *ret_owner, struct mq_err *err);

#endif
