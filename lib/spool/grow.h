/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * More partitions for a topic that is in use.  The calls, and what a kill between two of them leaves:
 *
 *   the topic's lock
 *   topic.conf: growing=N:PARTITIONS, synced     the number N is used up; nothing else has changed
 *   the new partitions, whole, their names synced   directories that topic.conf does not name: the next growth makes them anew
 *   all append locks, ascending; where each log ends
 *   the beginning of generation N into each, synced  void, since topic.conf does not know N: publishers look, and go on as before
 *   topic.conf: generations=…,N:PARTITIONS, and still growing=N, named     it has grown; whoever publishes syncs the directory first
 *   the directory synced                         it has grown
 *   topic.conf without growing                   the same
 *   bells rung, locks let go
 *
 * While the locks are held publishers wait.  After it none of them routes by the old number: the append lock shows him that a
 * generation has begun.
 */
#ifndef MQ_SPOOL_GROW_H
#define MQ_SPOOL_GROW_H

#include "base/buf.h"
#include "spool/topic.h"

struct mq_growth {
	uint32_t partitions; /* asked for */
	bool no_barrier;     /* groups may read on without keeping the order of keys across it */
	uint32_t before;     /* set: partitions that there were */
	uint32_t generation; /* set: the number it has; 0 with dry_run */
	struct mq_buf *begins; /* NULL, or gets where it has grown: a uint64_t a partition, the offset at which the generation begins */
};

/* MQ_EUSAGE: not more than there are, more than MQ_PARTITIONS_MAX, too many growths.  MQ_EBROKEN: its outcome is unknown.  Any
 * other failure: the topic is as it was.  t has the new configuration afterwards. */
int mq_grow(struct mq_topic *t, struct mq_growth *g, bool dry_run, struct mq_err *err);

#endif
