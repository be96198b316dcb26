/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topic: a directory with topic.conf and a directory per partition.  It comes into being whole, by the
 * rename of a directory made beside it, and goes by a rename away: no process ever sees half of one.
 */
#ifndef MQ_SPOOL_TOPIC_H
#define MQ_SPOOL_TOPIC_H

#include "format/conf_topic.h"
#include "log/cursor.h"
#include "log/log.h"
#include "spool/spool.h"

struct mq_topic {
	struct mq_spool *spool; /* borrowed */
	int dir;                /* owned */
	char name[201];
	struct mq_topic_conf conf;
};

/* MQ_ENOTOPIC where there is none, MQ_EUSAGE for a bad name.  That of an internal topic (internal.h) is a good one here: who
 * has a user's checks it before. */
int mq_topic_open(struct mq_topic *ret, struct mq_spool *s, const char *name, struct mq_err *err);
void mq_topic_release(struct mq_topic *t);
/* Write its configuration: under the topic's lock. */
int mq_topic_put_conf(const struct mq_topic *t, struct mq_err *err);
/* Make partition p whole, as t->conf says, in the place of whatever has its number.  Its name is not synced. */
int mq_topic_add_partition(const struct mq_topic *t, uint32_t p, struct mq_err *err);
/* Its configuration as it is now. */
int mq_topic_reread(struct mq_topic *t, struct mq_err *err);

/* set: "key=value".  -EEXIST where it is there; partitions 0: the spool's default. */
int mq_topic_make(struct mq_spool *s, const char *name, uint32_t partitions, const char *const *set, size_t n,
                  bool dry_run, struct mq_err *err);
/* internal.h: name, and what it says of itself. */
int mq_topic_make_internal(struct mq_spool *s, const char *name, const char *whole, const uint8_t of[16], uint32_t partitions,
                           struct mq_err *err);
/* Give it as many partitions, whole and named durably before topic.conf tells of them.  Nothing is put into the others, so it is
 * for internal topics alone; under a lock on `named`. */
int mq_topic_widen(struct mq_topic *t, uint32_t partitions, struct mq_err *err);
int mq_topic_change(struct mq_topic *t, const char *const *set, size_t n, bool dry_run, struct mq_err *err);
/* topic_life.c.  Is it one that was deleted, by a process that was killed at it?  That is finished, unless we only look, and
 * MQ_ENOTOPIC told. */
int mq_topic_alive(struct mq_topic *t, struct mq_err *err);
/* The same, and its name lasts: before the first acknowledgement in it.  Costs a call where that is known. */
int mq_topic_settle(struct mq_topic *t, struct mq_err *err);
int mq_topic_sync_name(struct mq_spool *s, int topic_dir, struct mq_err *err);
/* The topic's lock: who has it alone changes topic.conf, which was read again under it, and deletes the topic.  Before any
 * partition's.  A descriptor, that is closed to let it go.  MQ_ENOTOPIC, -ETIMEDOUT, -EINTR; wait false: -EAGAIN, and no reason. */
int mq_topic_hold(struct mq_topic *t, bool wait, struct mq_err *err);
/* No append comes after it; its files are removed. */
int mq_topic_remove(struct mq_topic *t, struct mq_err *err);
/* A file of the topic is not there (rc -ENOENT): MQ_ENOTOPIC, it was deleted meanwhile; MQ_ECONFIG, somebody took the file
 * away.  Any other rc is returned as it is. */
int mq_topic_lacks(const struct mq_topic *t, int rc, struct mq_err *err);
int mq_topic_each(struct mq_spool *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);

/* Hold a producer's name in this topic until the spool is released: a byte of the file producers.lock, chosen by the
 * name's hash, so that two names may meet in one and then merely wait for each other.  MQ_EAGAIN: another process has it. */
int mq_topic_hold_producer(struct mq_spool *s, const char *topic, const char *name, struct mq_err *err);

/* A partition of it, to write and to read.  MQ_ENOTOPIC for a number there is not.  The log's label and witness live in
 * *ret_hold, which must outlive it. */
struct mq_partition {
	struct mq_topic *topic; /* borrowed */
	uint32_t number;
	char label[224];        /* "orders:3" */
};
int mq_partition_dir(const struct mq_topic *t, uint32_t p, struct mq_err *err);
int mq_partition_log(struct mq_partition *ret_hold, struct mq_topic *t, uint32_t p, struct mq_log *ret, struct mq_err *err);
/* What the topic's configuration says of segments and limits goes for the log from now on. */
void mq_partition_follow_conf(const struct mq_topic *t, struct mq_log *log);
/* Where this process may write and `state` does not hold, it is settled first; where it may not, or we only look, what
 * verifies is shown. */
int mq_partition_cursor(struct mq_topic *t, uint32_t p, struct mq_cursor *ret, struct mq_err *err);
/* Advance and sync the log start. */
int mq_partition_purge(struct mq_topic *t, uint32_t p, uint64_t offset, struct mq_err *err);

#endif
