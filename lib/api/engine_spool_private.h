/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the spool's engine share: engine_spool.c (store, topics, the table), engine_spool_write.c,
 * engine_spool_read.c, engine_spool_group.c, engine_spool_ack.c, engine_spool_claims.c, engine_spool_share.c.  Each function is the table's of its name; engine.h says what it does.
 */
#ifndef MQ_API_ENGINE_SPOOL_PRIVATE_H
#define MQ_API_ENGINE_SPOOL_PRIVATE_H

#include <errno.h>

#include "api/engine_spool.h"
#include "spool/claims.h"
#include "spool/group.h"
#include "spool/member.h"
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

void mq_engine_spool_fill_facts(const struct mq_topic_conf *c, struct mq_topic_facts *ret);
/* A topic that a user named: an internal one is none. */
int mq_engine_spool_open_users(struct mq_topic *ret, struct mq_store *s, const char *topic, struct mq_err *err);
/* engine_spool_delete.c */
int mq_engine_spool_topic_delete(struct mq_store *s, const char *topic, bool force, bool dry_run, struct mq_err *err);
/* engine_spool_internal.c */
int mq_engine_spool_internal_open(struct mq_store *s, const char *kind, const char *topic, const char *group, bool create,
                                  char ret_name[201], struct mq_topic_facts *ret, struct mq_err *err);
int mq_engine_spool_internal_facts(struct mq_store *s, const char *name, struct mq_topic_facts *ret, struct mq_err *err);

/* engine_spool_share.c: the topic of that name, opened anew, or where that is the one that is open already, that one. */
int mq_engine_spool_share_topic(struct store *s, const char *name, struct shared_topic **ret, struct mq_err *err);
/* What was just read of a topic: where it has grown since it was opened to be shared, that goes for all who share it.  t is to be
 * released, and nothing else. */
void mq_engine_spool_topic_read(struct store *s, struct mq_topic *t);
void mq_engine_spool_leave_topic(struct store *s, struct shared_topic *t);

/* engine_spool_grow.c */
int mq_engine_spool_topic_grow(struct mq_store *s, const char *topic, uint32_t partitions, bool no_barrier, bool dry_run,
                               uint32_t *ret_before, uint32_t *ret_generation, struct mq_buf *begins, struct mq_err *err);

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
void mq_engine_spool_producer_held(struct mq_appender *ap, const struct mq_who *who, uint32_t generation, uint64_t *ret_number,
                                   uint64_t *ret_last_base);
int mq_engine_spool_producer_find(struct mq_appender *ap, const char *name, struct mq_who *ret, struct mq_err *err);
int mq_engine_spool_append_trim(struct mq_appender *ap, uint64_t offset, struct mq_err *err);
int mq_engine_spool_mover_look(struct mq_appender *ap, const char *name, struct mq_who *ret, struct mq_err *err);
int mq_engine_spool_mover_open(struct mq_appender *ap, const char *name, uint32_t generation, uint64_t number, struct mq_who *ret,
                               struct mq_err *err);

/* ---- reading ---- */
int mq_engine_spool_source_open(struct mq_store *s, const char *topic, uint32_t p, struct mq_source **ret, struct mq_err *err);
void mq_engine_spool_source_close(struct mq_source *sp);
int mq_engine_spool_source_seek(struct mq_source *sp, uint64_t offset, struct mq_loss *ret_lost, struct mq_err *err);
int mq_engine_spool_source_next(struct mq_source *sp, struct mq_view *ret, struct mq_loss *ret_loss, struct mq_err *err);
int mq_engine_spool_source_find_time(struct mq_source *sp, int64_t time_us, uint64_t *ret_offset, struct mq_err *err);
uint32_t mq_engine_spool_source_met(struct mq_source *sp, uint64_t *ret_offset);
int mq_engine_spool_source_bounds(struct mq_source *sp, struct mq_bounds *ret, struct mq_err *err);
int mq_engine_spool_source_arm(struct mq_source *sp, struct mq_wait *w, struct mq_err *err);
void mq_engine_spool_source_disarm(struct mq_source *sp);

/* ---- groups ---- */
struct group_handle {
	struct mq_topic t;
	struct mq_group_topic g;
};

/* What a member has of a partition: alone, or claims in it. */
struct owner {
	struct mq_owner base;
	struct store *store;      /* borrowed */
	struct shared_topic *topic;
	struct mq_ownership o;
	struct mq_claims claims;  /* .o NULL: it is had alone */
	struct mq_handle handle;  /* of what it alone has open */
};
enum { MQ_ENGINE_OWNER_FDS = 2 };

static inline struct mq_claims *mq_engine_spool_claims_of(struct mq_owner *o)
{
	struct mq_claims *c = &((struct owner *)o)->claims;

	return c->o ? c : NULL;
}

/* What it commits opens what it needs; others are closed before. */
struct mq_ownership *mq_engine_spool_owner_at_work(struct mq_owner *op);
void mq_engine_spool_owner_rest(struct mq_handle *h);
/* Where a group begins that has no place. */
int mq_engine_spool_find_start(struct mq_topic *t, uint32_t p, const uint64_t *asked, uint64_t *ret, struct mq_err *err);

/* engine_spool_claims.c */
int mq_engine_spool_share_take(struct mq_member *mp, const char *topic, uint32_t p, const uint64_t *start, struct mq_owner **ret,
                               unsigned *ret_damaged, struct mq_err *err);
int mq_engine_spool_share_next(struct mq_owner *op, bool fresh, uint64_t *ret_from, uint64_t *ret_to, struct mq_err *err);
int mq_engine_spool_share_claim(struct mq_owner *op, uint64_t limit, uint64_t n, struct mq_claimed *ret, struct mq_err *err);
int mq_engine_spool_share_holds(struct mq_owner *op, uint64_t offset, struct mq_err *err);
int mq_engine_spool_share_done(struct mq_owner *op, uint64_t from, uint64_t to, struct mq_err *err);
int mq_engine_spool_share_give_back(struct mq_owner *op, uint64_t from, uint64_t to, bool counted, struct mq_err *err);
int mq_engine_spool_share_write(struct mq_owner *op, struct mq_err *err);
int mq_engine_spool_share_sync(struct mq_owner *op, struct mq_err *err);
int mq_engine_spool_share_look(struct mq_owner *op, uint64_t *ret_handled, struct mq_err *err);
int mq_engine_spool_share_has_dead(struct mq_owner *op, struct mq_err *err);
int mq_engine_spool_share_mover(struct mq_owner *op, bool take, struct mq_err *err);
int mq_engine_spool_share_handler_fd(struct mq_owner *op, uint64_t from, uint64_t to, struct mq_err *err);
int mq_engine_spool_share_handler_hold(struct mq_owner *op, int fd, uint64_t from, uint64_t to, bool on, struct mq_err *err);
int mq_engine_spool_group_drain_fd(struct mq_store *s, const char *group, const char *topic, struct mq_err *err);
int mq_engine_spool_group_share(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_share_facts *ret,
                                struct mq_err *err);

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
/* engine_spool_walk.c */
int mq_engine_spool_group_walk(struct mq_store *s, const char *group, const char *topic, uint32_t from, uint32_t to, bool sum,
                               int (*fn)(void *arg, uint32_t p, const struct mq_part_facts *facts, const struct mq_err *why), void *arg,
                               struct mq_err *err);
/* engine_spool_assign.c */
int mq_engine_spool_group_assign(struct mq_store *s, const struct mq_rebalance_request *req, struct mq_rebalance_report *ret,
                                 struct mq_err *err);
/* engine_spool_plan.c */
struct member_plan;
struct spool_member {
	struct mq_member base;
	struct store *store;      /* borrowed */
	struct mq_membership m;
	char *topics;             /* what it reads: each ended by a NUL, and one more at the end */
	struct member_plan *plan; /* NULL: not made yet */
};
void mq_engine_spool_forget_plan(struct spool_member *m);
int mq_engine_spool_member_count(struct mq_member *mp, struct mq_err *err);
int mq_engine_spool_member_strict(struct mq_member *mp, struct mq_err *err);
int mq_engine_spool_member_plan(struct mq_member *mp, struct mq_err *err);
enum mq_whose mq_engine_spool_member_plan_of(struct mq_member *mp, const char *topic, uint32_t p);
int mq_engine_spool_member_look(struct mq_member *m, struct mq_err *err);
enum mq_had mq_engine_spool_member_had(struct mq_member *m, const char *topic, uint32_t p);
bool mq_engine_spool_member_may_be_free(struct mq_member *m, const char *topic, uint32_t p);
int mq_engine_spool_member_ask(struct mq_member *mp, const char *topic, uint32_t p, bool on, struct mq_err *err);
int mq_engine_spool_member_asked(struct mq_member *mp, const char *topic, uint32_t p, struct mq_err *err);
int mq_engine_spool_member_ring(struct mq_member *mp, struct mq_err *err);

int mq_engine_spool_group_members(struct mq_store *s, const char *group, int (*fn)(void *arg, const struct mq_member_info *m),
                                  void *arg, struct mq_err *err);
int mq_engine_spool_group_owner(struct mq_store *s, const char *group, const char *topic, uint32_t p, int64_t *ret_pid,
                                char ret_member[64], bool *ret_handler_left, struct mq_err *err);
int mq_engine_spool_member_join(struct mq_store *s, const char *group, const struct mq_wish *wish, struct mq_member **ret,
                                struct mq_err *err);
void mq_engine_spool_member_leave(struct mq_member *mp);
int mq_engine_spool_member_arm(struct mq_member *mp, struct mq_wait *w, struct mq_err *err);
int mq_engine_spool_owner_take(struct mq_member *mp, const char *topic, uint32_t p, const uint64_t *start, struct mq_owner **ret,
                               struct mq_err *err);
int mq_engine_spool_owner_place(struct mq_owner *op, struct mq_place *ret, struct mq_err *err);
int mq_engine_spool_owner_merge_acks(struct mq_owner *op, struct mq_place *ret, struct mq_err *err);
int mq_engine_spool_owner_set(struct mq_owner *op, const uint64_t *offsets, size_t n, struct mq_err *err);
int mq_engine_spool_owner_arm(struct mq_owner *op, struct mq_wait *w, struct mq_err *err);
int mq_engine_spool_owner_look(struct mq_owner *op, bool whole, struct mq_err *err);
int mq_engine_spool_owner_commit(struct mq_owner *op, uint64_t offset, uint64_t lost_more, struct mq_err *err);
void mq_engine_spool_owner_expired(struct mq_owner *op, uint64_t n);
int mq_engine_spool_owner_sync(struct mq_owner *op, struct mq_err *err);
void mq_engine_spool_owner_ring(struct mq_owner *op);
int mq_engine_spool_owner_handler_fd(struct mq_owner *op, struct mq_err *err);
void mq_engine_spool_owner_release(struct mq_owner *op);
int mq_engine_spool_owner_token(struct mq_owner *op, char ret_token[40], struct mq_err *err);
int mq_engine_spool_group_ack(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *token,
                              const uint64_t *offsets, size_t n, struct mq_err *err);
int mq_engine_spool_group_seek(struct mq_store *s, const char *group, const char *topic, uint32_t p, uint64_t offset,
                               bool force, struct mq_err *err);

/* ---- ids done ---- */
int mq_engine_spool_once_open(struct mq_member *mp, const char *topic, int64_t window_us, struct mq_once **ret, struct mq_err *err);
void mq_engine_spool_once_close(struct mq_once *op);
uint64_t mq_engine_spool_once_key(const struct mq_once *op, const void *id, size_t len);
int mq_engine_spool_once_lock(struct mq_once *op, uint64_t key, struct mq_err *err);
void mq_engine_spool_once_unlock(struct mq_once *op, const uint64_t *keys, size_t n);
int mq_engine_spool_once_await(struct mq_once *op, bool on, struct mq_err *err);
int mq_engine_spool_once_handler(struct mq_once *op, int fd, uint64_t key, bool on, struct mq_err *err);
int mq_engine_spool_once_handled(struct mq_once *op, const uint64_t *keys, size_t n, struct mq_err *err);
int mq_engine_spool_once_look(struct mq_once *op, const void *id, size_t len, bool fresh, uint64_t *seen, struct mq_err *err);
int mq_engine_spool_once_mark(struct mq_once *op, const struct mq_id_done *done, size_t n, struct mq_err *err);
int mq_engine_spool_once_sync(struct mq_once *op, struct mq_err *err);

/* engine_spool_check.c */
int mq_engine_spool_check(struct mq_store *s, const void *check_request, void *check_report, struct mq_err *err);

/* engine_spool_retain.c */
int mq_engine_spool_retain_begin(struct mq_store *s, bool force, struct mq_retain **ret, struct mq_err *err);
int mq_engine_spool_retain_end(struct mq_retain *r, struct mq_err *err);
int64_t mq_engine_spool_retain_patience_us(const struct mq_retain *r);
int mq_engine_spool_internal_list(struct mq_store *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);
int mq_engine_spool_old_parts(struct mq_store *s, const char *topic, uint32_t p, bool timed,
                              int (*fn)(void *arg, const struct mq_old_part *o), void *arg, struct mq_err *err);
int mq_engine_spool_archive_backlog(struct mq_store *s, const char *topic, const char *group, struct mq_part_span *span, size_t n,
                                    const char *path, bool *ret_last, struct mq_err *err);
int mq_engine_spool_archive(struct mq_store *s, const char *topic, uint32_t p, uint64_t from, uint64_t *to, const char *dir,
                            struct mq_err *err);
int mq_engine_spool_raise_log_start(struct mq_store *s, const char *topic, uint32_t p, uint64_t *offset,
                                    int (*settle)(void *arg, uint64_t *offset, struct mq_err *err), void *arg, struct mq_err *err);
int mq_engine_spool_remove_old(struct mq_store *s, const char *topic, uint32_t p, uint64_t below, struct mq_gone *sum,
                               struct mq_err *err);
int mq_engine_spool_compact(struct mq_store *s, struct mq_retain *r, const char *topic, uint32_t p, uint64_t below,
                            bool (*stopping)(void *arg), void *arg, struct mq_compacted_parts *sum, struct mq_err *err);
/* engine_spool_room.c */
int mq_engine_spool_room_open(struct mq_store *s, const char *room, uint32_t p, struct mq_waiting **ret, struct mq_err *err);
void mq_engine_spool_room_close(struct mq_waiting *w);
int mq_engine_spool_room_lock(struct mq_waiting *w, bool wait, struct mq_err *err);
void mq_engine_spool_room_unlock(struct mq_waiting *w);
int mq_engine_spool_room_look(struct mq_waiting *w, int64_t *ret_due_us, struct mq_err *err);
int mq_engine_spool_room_next(struct mq_waiting *w, struct mq_ids_entry *ret, struct mq_err *err);
void mq_engine_spool_room_marks(struct mq_waiting *w, struct mq_room_marks *ret);

/* engine_spool_dedupe.c */
int mq_engine_spool_dedupe_open(struct mq_store *s, const char *topic, struct mq_dedupe **ret, struct mq_err *err);
void mq_engine_spool_dedupe_close(struct mq_dedupe *dp);
int mq_engine_spool_dedupe_lock(struct mq_dedupe *dp, struct mq_err *err);
void mq_engine_spool_dedupe_unlock(struct mq_dedupe *dp);
int mq_engine_spool_dedupe_catch_up(struct mq_dedupe *dp, uint32_t partitions, struct mq_err *err);
int mq_engine_spool_dedupe_find(struct mq_dedupe *dp, const void *id, size_t len, uint32_t *ret_partition, uint64_t *ret_offset,
                                bool *ret_durable, struct mq_err *err);
int mq_engine_spool_dedupe_await(struct mq_dedupe *dp, uint32_t partition, enum mq_ack level, struct mq_err *err);

/* engine_spool_evict.c */
int mq_engine_spool_group_evict(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *member,
                                bool dry_run, struct mq_evicted *ret, struct mq_err *err);
int mq_engine_spool_group_evict_member(struct mq_store *s, const char *group, const char *member, bool dry_run,
                                       struct mq_evicted *ret, struct mq_err *err);

#endif
