/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who of a group's living members is to own which partition of the topics that they read together: a pure function, so that
 * every member finds the same without being told.
 *
 *     int32_t owner[partitions of all these topics, one topic's behind the other's];
 *     rc = mq_assign(&conf, topics, n_topics, members, n, now, owner, err);
 *
 * It depends on the names of topics and members (for `room`, `nearby` and `config` on their rooms and hosts), on who owns what now
 * (`sticky` alone) and on the configuration; on no clock, no locale, no order of coming.  Topics that the same members read are
 * given out in one: a group of many topics with one partition each would have all of them at its first member otherwise.  What
 * the readers of one topic do moves nothing in another that other members read.
 *
 *   average  ranges, in each topic by itself; the first ones take one more.  RocketMQ's AllocateMessageQueueAveragely, Kafka's
 *            RangeAssignor, which this is true to: partition p of two topics of one width goes to one member, so that they can be
 *            joined, and of topics with few partitions the first members have more.
 *   circle   one each in turn, over all topics.  RocketMQ's AllocateMessageQueueAveragelyByCircle, Kafka's RoundRobinAssignor.
 *   sticky   balanced within one, over all topics, and of all such the fewest partitions taken from a living owner; what is free goes where
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

struct mq_assign_topic {
	const char *name;
	uint32_t partitions;
};

/* topics: by rising name.  members: those that read all of them, count, and live, by rising name.  owner_now: of each partition an index into members; any other
 * value, as -1, is nobody or somebody who is no member; NULL: all are nobody's.  ret_owner: an index, or -1, for each partition.
 * 0 or -ENOMEM. */
int mq_assign(const struct mq_assign_conf *conf, const struct mq_assign_topic *topics, size_t n_topics,
              const struct mq_assign_member *members, size_t n_members, const int32_t *owner_now, int32_t *ret_owner,
              struct mq_err *err);

#endif
