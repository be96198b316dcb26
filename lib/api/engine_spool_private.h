/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the spool's engine share: engine_spool.c (store, topics, the table), engine_spool_write.c,
 * engine_spool_read.c, engine_spool_group.c, engine_spool_ack.c, engine_spool_share.c.  Each function is the table's of its name; engine.h says what it does.
 */
#ifndef MQ_API_ENGINE_SPOOL_PRIVATE_H
#define MQ_API_ENGINE_SPOOL_PRIVATE_H

#include <errno.h>

#include "api/engine_spool.h"
#include "spool/group.h"
#include "sys/handles.h"

/* A topic that is open for all who read partitions of it, or own them. */
struct shared_topic {
	struct mq_topic t;
	unsigned users;
	struct shared_topic *next;
};

struct store {
	struct mq_store base;
	struct mq_spool spool;
	struct mq_handles handles;   /* of sources and owners */
	struct shared_topic *topics;
};

static inline struct mq_spool *mq_engine_spool_of(struct mq_store *s)
{
	return &((struct store *)s)->spool;
}

static inline int mq_engine_no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "no memory");
}

int mq_engine_spool_bounds(struct mq_store *s, const char *topic, uint32_t p, struct mq_bounds *ret, struct mq_err *err);
/* What a cursor sees now. */
int mq_engine_spool_fill_bounds(struct mq_cursor *c, struct mq_bounds *ret, struct mq_err *err);

/* engine_spool_share.c: the topic of that name, opened anew, or where that is the one that is open already, that one. */
int mq_engine_spool_share_topic(struct store *s, const char *name, struct shared_topic **ret, struct mq_err *err);
void mq_engine_spool_leave_topic(struct store *s, struct shared_topic *t);

/* ---- writing ---- */
int mq_engine_spool_appender_open(struct mq_store *s, const char *topic, uint32_t p, struct mq_appender **ret,
                                  struct mq_err *err);
void mq_engine_spool_appender_close(struct mq_appender *ap);
int mq_engine_spool_append(struct mq_appender *ap, const struct mq_batch *b, const void *body, struct mq_ticket *ret,
                           struct mq_err *err);
void mq_engine_spool_append_room(struct mq_appender *ap, struct mq_room *ret);
int mq_engine_spool_wait_durable(struct mq_appender *ap, const struct mq_ticket *t, enum mq_ack level, struct mq_err *err);
int mq_engine_spool_appender_mark(struct mq_appender *ap, struct mq_ticket *ret, struct mq_err *err);
int mq_engine_spool_wait_space(struct mq_appender *ap, int64_t deadline_ns, struct mq_err *err);
int mq_engine_spool_producer_hold(struct mq_store *s, const char *topic, const char *name, struct mq_err *err);
int mq_engine_spool_producer_find(struct mq_appender *ap, const char *name, struct mq_who *ret, struct mq_err *err);

/* ---- reading ---- */
int mq_engine_spool_source_open(struct mq_store *s, const char *topic, uint32_t p, struct mq_source **ret, struct mq_err *err);
void mq_engine_spool_source_close(struct mq_source *sp);
int mq_engine_spool_source_seek(struct mq_source *sp, uint64_t offset, struct mq_loss *ret_lost, struct mq_err *err);
int mq_engine_spool_source_next(struct mq_source *sp, struct mq_view *ret, struct mq_loss *ret_loss, struct mq_err *err);
int mq_engine_spool_source_find_time(struct mq_source *sp, int64_t time_us, uint64_t *ret_offset, struct mq_err *err);
int mq_engine_spool_source_bounds(struct mq_source *sp, struct mq_bounds *ret, struct mq_err *err);
int mq_engine_spool_source_arm(struct mq_source *sp, struct mq_wait *w, struct mq_err *err);
void mq_engine_spool_source_disarm(struct mq_source *sp);

/* ---- groups ---- */
struct group_handle {
	struct mq_topic t;
	struct mq_group_topic g;
};

/* A group's place in a topic, where there is one: MQ_ENOTOPIC. */
int mq_engine_spool_group_open(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct group_handle *ret,
                               struct mq_err *err);
void mq_engine_spool_group_close(struct group_handle *h);

int mq_engine_spool_group_list(struct mq_store *s, int (*fn)(void *arg, const char *group), void *arg, struct mq_err *err);
int mq_engine_spool_group_topics(struct mq_store *s, const char *group, int (*fn)(void *arg, const char *topic), void *arg,
                                 struct mq_err *err);
int mq_engine_spool_group_delete(struct mq_store *s, const char *group, const char *topic, bool force, bool dry_run,
                                 struct mq_err *err);
int mq_engine_spool_group_place(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_place *ret,
                                struct mq_err *err);
int mq_engine_spool_group_members(struct mq_store *s, const char *group, int (*fn)(void *arg, const struct mq_member_info *m),
                                  void *arg, struct mq_err *err);
int mq_engine_spool_group_owner(struct mq_store *s, const char *group, const char *topic, uint32_t p, int64_t *ret_pid,
                                char ret_member[64], bool *ret_handler_left, struct mq_err *err);
int mq_engine_spool_member_join(struct mq_store *s, const char *group, struct mq_member **ret, struct mq_err *err);
void mq_engine_spool_member_leave(struct mq_member *mp);
int mq_engine_spool_member_arm(struct mq_member *mp, struct mq_wait *w, struct mq_err *err);
int mq_engine_spool_owner_take(struct mq_member *mp, const char *topic, uint32_t p, const uint64_t *start, struct mq_owner **ret,
                               struct mq_err *err);
int mq_engine_spool_owner_place(struct mq_owner *op, struct mq_place *ret, struct mq_err *err);
int mq_engine_spool_owner_merge_acks(struct mq_owner *op, struct mq_place *ret, struct mq_err *err);
int mq_engine_spool_owner_arm(struct mq_owner *op, struct mq_wait *w, struct mq_err *err);
int mq_engine_spool_owner_look(struct mq_owner *op, bool whole, struct mq_err *err);
int mq_engine_spool_owner_commit(struct mq_owner *op, uint64_t offset, uint64_t lost_more, struct mq_err *err);
int mq_engine_spool_owner_sync(struct mq_owner *op, struct mq_err *err);
int mq_engine_spool_owner_handler_fd(struct mq_owner *op, struct mq_err *err);
void mq_engine_spool_owner_release(struct mq_owner *op);
int mq_engine_spool_owner_token(struct mq_owner *op, char ret_token[40], struct mq_err *err);
int mq_engine_spool_group_ack(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *token,
                              const uint64_t *offsets, size_t n, struct mq_err *err);
int mq_engine_spool_group_seek(struct mq_store *s, const char *group, const char *topic, uint32_t p, uint64_t offset,
                               bool force, struct mq_err *err);

#endif
