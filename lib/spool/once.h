/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ids that a group has done in a topic (mq-consume --once): records of the internal topic once@TOPIC@GROUP, all in its
 * partition 0, so that one sync serves all that were done meanwhile, in whatever partition, by whichever member, and the
 * growth of the topic changes nothing.
 *
 *   lock the id's byte → look → (it is done: let go) or handle it → mark → let go → sync → the group's place moves
 *
 * A mark is seen by all as soon as it is written; the place goes past its record when it is durable.  What is looked up
 * is told in ids_look.h.
 *
 * Locks in the group's `locks`: byte 2^40 + h, h the low 40 bits of the id's hash, written: a member is between look and
 * mark; 2^41 + h, read: a handler of it lives, through the description that it inherited; 2^42, read: somebody waits for a
 * byte of the first kind, and is rung for when one is let go.
 */
#ifndef MQ_SPOOL_ONCE_H
#define MQ_SPOOL_ONCE_H

#include "format/record.h"
#include "spool/group.h"
#include "spool/ids_look.h"

enum { MQ_ONCE_UNIT_LOG2 = 16, MQ_ONCE_LEVEL_MAX = 6 };

struct mq_once_ids {
	struct mq_topic topic;      /* the internal one */
	struct mq_group_topic group; /* descriptions of its own */
	struct mq_partition part;
	struct mq_log log;
	bool log_open;
	struct mq_ids_look ids;     /* what is marked; seen as soon as it is written */
	struct mq_records records;  /* of the next mark */
	struct mq_log_ticket ticket; /* of the last one */
	bool unsynced;
};

/* t is the users' topic, borrowed.  unit_log2: MQ_ONCE_UNIT_LOG2, but for a test. */
int mq_once_ids_open(struct mq_once_ids *ret, struct mq_topic *t, const char *group, int64_t window_us, unsigned unit_log2,
                     struct mq_err *err);
void mq_once_ids_release(struct mq_once_ids *o);

uint64_t mq_once_ids_hash(const struct mq_once_ids *o, const void *id, size_t len);
/* Which lock is its: the low 40 bits of the hash. */
uint64_t mq_once_ids_key(const struct mq_once_ids *o, const void *id, size_t len);

/* 1: it was done within the window.  Offsets below *seen were looked at before (0: none), and all are below the new one. */
int mq_once_ids_look(struct mq_once_ids *o, const void *id, size_t len, uint64_t *seen, struct mq_err *err);
/* The same, of what was known when it was looked last: of many ids whose locks are held all but the first. */
int mq_once_ids_look_known(struct mq_once_ids *o, const void *id, size_t len, uint64_t *seen, struct mq_err *err);
/* These are done; seen by all, not durable. */
int mq_once_ids_mark(struct mq_once_ids *o, const struct mq_id_done *done, size_t n, struct mq_err *err);
/* All that was marked is durable. */
int mq_once_ids_sync(struct mq_once_ids *o, struct mq_err *err);

/* once_lock.c.  1: ours; 0: another member is at an id of this key, or a handler of a killed one lives. */
int mq_once_ids_lock(struct mq_once_ids *o, uint64_t key, struct mq_err *err);
/* The same in two steps, for many: the bytes, and then once whether handlers of killed members live of any of them (1, 0). */
int mq_once_ids_try(struct mq_once_ids *o, uint64_t key, struct mq_err *err);
int mq_once_ids_handled(struct mq_once_ids *o, const uint64_t *keys, size_t n, struct mq_err *err);
void mq_once_ids_unlock(struct mq_once_ids *o, uint64_t key);
void mq_once_ids_unlock_all(struct mq_once_ids *o);
/* After unlocking: wake who waits. */
void mq_once_ids_ring(struct mq_once_ids *o);
/* Say that we wait for a byte, or no longer: look once more before the sleep. */
int mq_once_ids_await(struct mq_once_ids *o, bool on, struct mq_err *err);
/* The description fd, which a handler inherits (mq_ownership_handler_fd), tells that one of it lives, or no longer. */
int mq_once_ids_handler(struct mq_once_ids *o, int fd, uint64_t key, bool on, struct mq_err *err);

#endif
