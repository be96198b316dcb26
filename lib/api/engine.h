/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an engine must do for the verbs of mq.h: keep topics, append batches, give them back in order,
 * say how safe they are, and keep a group's place.  The spool is one engine (spool/engine.c), a
 * test's memory is another (tests/engine_mem.c), a Kafka cluster can be a third.  The verbs in ops/
 * know nothing else of where records live.
 *
 * Handles: `mq_store` an open spool, `mq_appender` one partition to write to, `mq_source` one
 * partition to read from, `mq_owner` a group's hold on one partition, `mq_member` membership of a
 * group.  An engine embeds them as the first member of its own structs.  Every call returns 0 (or
 * what is said) or a negative code with *err filled.  Handles are for one thread, except that
 * `wait_durable` may run in a second thread while the first appends to the same appender.
 */
#ifndef MQ_API_ENGINE_H
#define MQ_API_ENGINE_H

#include "api/engine_facts.h"
#include "base/buf.h"
#include "base/err.h"
#include "format/conf_topic.h"
#include "format/ids.h"
#include "format/record.h"
#include "sys/patience.h"
#include "sys/wait.h"

struct mq_engine;
struct mq_retain;
struct mq_store {
	const struct mq_engine *engine;
	/* What the session wants to hear of repairs and losses; set after store_open, NULL: nobody listens. */
	void (*notice)(void *arg, int level, const char *text);
	void *notice_arg;
	/* For locks that other processes hold; set as notice is.  Where it ends: -ETIMEDOUT. */
	struct mq_patience patience;
	/* The verb at work only looks: what killed processes left to be done stays so, and nothing is written. */
	bool looks;
};
struct mq_appender { const struct mq_engine *engine; };
struct mq_source { const struct mq_engine *engine; };
struct mq_owner { const struct mq_engine *engine; };
struct mq_member { const struct mq_engine *engine; };
struct mq_once { const struct mq_engine *engine; };
struct mq_dedupe { const struct mq_engine *engine; };
struct mq_waiting { const struct mq_engine *engine; };

struct mq_engine {
	const char *scheme;       /* "file", "mem", … */

	int (*store_open)(struct mq_store **ret, const char *where, bool create, struct mq_err *err);
	void (*store_close)(struct mq_store *s);
	/* Before sleeping for a store that is not there yet.  1: none is; w has what tells of one, as far as that can be told, so
	 * the caller looks again by the clock, too; *ret_fd is his to close when he has released w.  0: something is there:
	 * store_open says what.  NULL: the engine knows of no such wait. */
	int (*store_await)(const char *where, struct mq_wait *w, int *ret_fd, struct mq_err *err);

	/* topics */
	int (*topic_list)(struct mq_store *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);
	int (*topic_facts)(struct mq_store *s, const char *topic, struct mq_topic_facts *ret, struct mq_err *err); /* MQ_ENOTOPIC */
	/* What a topic will be that the first record makes: input is checked against it before anything is made. */
	int (*topic_presume)(struct mq_store *s, struct mq_topic_facts *ret, struct mq_err *err);
	/* set: "key=value" strings.  MQ_EUSAGE for a bad name, key or value; -EEXIST when it is there. */
	int (*topic_create)(struct mq_store *s, const char *topic, uint32_t partitions, const char *const *set, size_t n,
	                    bool dry_run, struct mq_err *err);
	/* The same, but 0 when it is there already, however many partitions (0: the default) it has; MQ_ENOTOPIC where
	 * auto.create.topics=false. */
	int (*topic_auto_create)(struct mq_store *s, const char *topic, uint32_t partitions, struct mq_err *err);
	int (*topic_set)(struct mq_store *s, const char *topic, const char *const *set, size_t n, bool dry_run, struct mq_err *err);
	/* More partitions: *ret_before, how many there were, and *ret_generation; begins (NULL: nobody asks) gets where it has grown
	 * a uint64_t for each partition, the offset at which the generation begins there.  MQ_EUSAGE where that cannot be.  NULL: none can. */
	int (*topic_grow)(struct mq_store *s, const char *topic, uint32_t partitions, bool no_barrier, bool dry_run,
	                  uint32_t *ret_before, uint32_t *ret_generation, struct mq_buf *begins, struct mq_err *err);
	int (*topic_conf)(struct mq_store *s, const char *topic,
	                  int (*fn)(void *arg, const char *key, const char *value, bool is_default), void *arg, struct mq_err *err);
	int (*topic_delete)(struct mq_store *s, const char *topic, bool force, bool dry_run, struct mq_err *err);
	/* An internal topic: what a verb keeps of a group's dealings with a topic, durable and shipped like any (spool/internal.h).
	 * kind: letters, at most 16.  ret_name: its name, which appender_open, source_open, bounds, set_log_start and producer_hold
	 * take like a user's; all else refuses it, so no user reaches one.  Partition p of it belongs to p of the topic; it has as
	 * many, and gets more when this is called (with create) after the topic grew.  A topic made again under its name has a new
	 * one.  MQ_ENOTOPIC: there is no such topic, or (without create) none of this kind was made yet.  NULL: the engine keeps
	 * none, and a verb that needs one says so. */
	int (*internal_open)(struct mq_store *s, const char *kind, const char *topic, const char *group, bool create,
	                     char ret_name[201], struct mq_topic_facts *ret, struct mq_err *err);
	/* Facts of one that is there, by the name given so. */
	int (*internal_facts)(struct mq_store *s, const char *name, struct mq_topic_facts *ret, struct mq_err *err);
	int (*set_log_start)(struct mq_store *s, const char *topic, uint32_t p, uint64_t offset, bool dry_run, struct mq_err *err);
	int (*bounds)(struct mq_store *s, const char *topic, uint32_t p, struct mq_bounds *ret, struct mq_err *err);

	/* writing */
	int (*appender_open)(struct mq_store *s, const char *topic, uint32_t p, struct mq_appender **ret, struct mq_err *err);
	void (*appender_close)(struct mq_appender *a);
	/*
	 * Append one batch.  The verb fills kind, zip, ack, lengths, body_crc, count, times, who, and topic_generation: that of the
	 * facts by which it chose the partition; the engine fills offsets (count of them), epoch and watermark.  In whole or not at all.
	 * -ESTALE: nothing was written, the topic has grown since: look at its facts, choose again, and append what goes here again.
	 * -ENOSPC, or MQ_EAGAIN when the topic's limit is reached: nothing was written, the same call may be
	 * made again.  -E2BIG: nothing was written, but a part of it may be: append_room says how much.  MQ_EINPUT: a single
	 * record that no state of the topic has room for.  A producer's batch whose number is not above the last one held:
	 * MQ_EAGAIN never; -EEXIST.
	 */
	int (*append)(struct mq_appender *a, const struct mq_batch *b, const void *body, struct mq_ticket *ret, struct mq_err *err);
	/* What lies below `offset` is needed no more: the log start goes there, durably, and the room it took may be had again.  NULL:
	 * with retention alone. */
	int (*append_trim)(struct mq_appender *a, uint64_t offset, struct mq_err *err);
	/* What the -E2BIG just given would have let in. */
	void (*append_room)(struct mq_appender *a, struct mq_room *ret);
	/* Return when the batch of the ticket is visible (level written) or durable; MQ_EBROKEN: its outcome is unknown. */
	int (*wait_durable)(struct mq_appender *a, const struct mq_ticket *t, enum mq_ack level, struct mq_err *err);
	/* A ticket for all that the partition holds now, whoever wrote it: what a named producer stored in an earlier run is awaited
	 * by it. */
	int (*appender_mark)(struct mq_appender *a, struct mq_ticket *ret, struct mq_err *err);
	/* Sleep until space may be there again or the deadline (CLOCK_MONOTONIC, ns; -1 none) passed: 0, or MQ_EAGAIN.  Whatever
	 * was appended before is made visible first, so that it can be read and purged.  Then the limit goes as the topic's
	 * configuration has it now. */
	int (*wait_space)(struct mq_appender *a, int64_t deadline_ns, struct mq_err *err);
	/* Named producers.  Take the name for this store (held until the store closes): MQ_EAGAIN when another process has it. */
	int (*producer_hold)(struct mq_store *s, const char *topic, const char *name, struct mq_err *err);
	/* What this partition holds of it: id (registering the name when new), generation, last number (0: nothing), last base. */
	int (*producer_find)(struct mq_appender *a, const char *name, struct mq_who *ret, struct mq_err *err);
	/* Of one that was found: what this partition got of it under one generation of the partition count, its last number (0:
	 * nothing) and where its last batch begins.  NULL: there is but one generation. */
	void (*producer_held)(struct mq_appender *a, const struct mq_who *who, uint32_t generation, uint64_t *ret_number,
	                      uint64_t *ret_last_base);
	/*
	 * Movers (ops/transfer.h): what this partition holds of one, by its name: who of its batches, with the last number that is
	 * held, and its last batch's base as source_start.  mover_look: 1, or 0 where nothing is known of it.  mover_open: for one
	 * of this generation; registered with that number when nothing is known, raised when it was an older one: from then on
	 * `append` refuses the older ones' batches (MQ_EDENIED), as this does where it is a newer one already.  A mover's batch
	 * whose number is held already: -EEXIST; one of a mover whose entry has gone meanwhile: -ESTALE.
	 * NULL: the engine has no transfers.
	 */
	int (*mover_look)(struct mq_appender *a, const char *name, struct mq_who *ret, struct mq_err *err);
	int (*mover_open)(struct mq_appender *a, const char *name, uint32_t generation, uint64_t number, struct mq_who *ret,
	                  struct mq_err *err);

	/* reading */
	int (*source_open)(struct mq_store *s, const char *topic, uint32_t p, struct mq_source **ret, struct mq_err *err);
	void (*source_close)(struct mq_source *r);
	/* Next batch given is the one that holds `offset`, or the first after it.  Below the log start: goes there and sets *ret_lost. */
	int (*source_seek)(struct mq_source *r, uint64_t offset, struct mq_loss *ret_lost, struct mq_err *err);
	/* First offset whose record time is ≥ time_us (running maximum), or the visible end. */
	int (*source_find_time)(struct mq_source *r, int64_t time_us, uint64_t *ret_offset, struct mq_err *err);
	/* 1: a data batch.  0: at the visible end.  MQ_EDAMAGE: offsets were lost (ret_loss); the next call goes on behind them. */
	int (*source_next)(struct mq_source *r, struct mq_view *ret, struct mq_loss *ret_loss, struct mq_err *err);
	/* The last growth of the topic of which this source has met the beginning, whether or not it came about: its generation (0:
	 * none), and the offset there.  NULL: nothing grows. */
	uint32_t (*source_met)(struct mq_source *r, uint64_t *ret_offset);
	int (*source_bounds)(struct mq_source *r, struct mq_bounds *ret, struct mq_err *err);
	/* Before sleeping: announce it, add what to watch to w.  The caller then looks once more (source_next), and only when
	 * that gives 0 waits.  source_disarm after waking. */
	int (*source_arm)(struct mq_source *r, struct mq_wait *w, struct mq_err *err);
	void (*source_disarm)(struct mq_source *r);
	/* Before sleeping for a topic that is not there yet. */
	int (*store_arm)(struct mq_store *s, struct mq_wait *w, struct mq_err *err);

	/* groups */
	int (*group_list)(struct mq_store *s, int (*fn)(void *arg, const char *group), void *arg, struct mq_err *err);
	int (*group_topics)(struct mq_store *s, const char *group, int (*fn)(void *arg, const char *topic), void *arg, struct mq_err *err);
	/* topic NULL: the whole group. */
	int (*group_delete)(struct mq_store *s, const char *group, const char *topic, bool force, bool dry_run, struct mq_err *err);
	/* Of each partition [from, to), whose facts are there or why not (then facts are NULL; fn returns 0 to go on).  sum: of them
	 * only place, owned, owner_unknown and share.base are wanted.  What group_place, group_owner and group_share tell of one at
	 * a time, for far less; NULL: only they do. */
	int (*group_walk)(struct mq_store *s, const char *group, const char *topic, uint32_t from, uint32_t to, bool sum,
	                  int (*fn)(void *arg, uint32_t p, const struct mq_part_facts *facts, const struct mq_err *why), void *arg,
	                  struct mq_err *err);
	int (*group_place)(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_place *ret, struct mq_err *err);
	/* Whether the partition is owned: 1 and the member's pid and name (pid -1: unknown), 0. */
	int (*group_owner)(struct mq_store *s, const char *group, const char *topic, uint32_t p, int64_t *ret_pid,
	                   char ret_member[64], bool *ret_handler_left, struct mq_err *err);
	/* fn for each member that lives, by name.  NULL: the engine cannot tell. */
	int (*group_members)(struct mq_store *s, const char *group, int (*fn)(void *arg, const struct mq_member_info *m), void *arg,
	                     struct mq_err *err);
	int (*member_join)(struct mq_store *s, const char *group, const struct mq_wish *wish, struct mq_member **ret,
	                   struct mq_err *err);
	void (*member_leave)(struct mq_member *m);
	/* From now on it counts where partitions are assigned.  This and what follows up to member_ring: NULL where the engine assigns
	 * nothing, and whoever is first has a partition until it leaves. */
	int (*member_count)(struct mq_member *m, struct mq_err *err);
	/* 1: a member may only have what is planned for it, also before it counts. */
	int (*member_strict)(struct mq_member *m, struct mq_err *err);
	/* Compute whose each partition of each topic it reads is to be; then ask for one.  How many members count. */
	int (*member_plan)(struct mq_member *m, struct mq_err *err);
	enum mq_whose (*member_plan_of)(struct mq_member *m, const char *topic, uint32_t p);
	/* At news: MQ_EAGAIN: it was evicted, and is to end. */
	int (*member_look)(struct mq_member *m, struct mq_err *err);
	/* Before owner_take, which is dear.  had: who had it when that was computed.  may_be_free: false: somebody has it now. */
	enum mq_had (*member_had)(struct mq_member *m, const char *topic, uint32_t p);
	bool (*member_may_be_free)(struct mq_member *m, const char *topic, uint32_t p);
	/* Ask whoever has a partition for it, or no longer. */
	int (*member_ask)(struct mq_member *m, const char *topic, uint32_t p, bool on, struct mq_err *err);
	/* 1: another member asks for it. */
	int (*member_asked)(struct mq_member *m, const char *topic, uint32_t p, struct mq_err *err);
	/* Wake all members. */
	int (*member_ring)(struct mq_member *m, struct mq_err *err);
	/* Sleep for other members' comings and goings. */
	int (*member_arm)(struct mq_member *m, struct mq_wait *w, struct mq_err *err);
	/* 1: this member owns the partition now; 0: somebody else does, or a killed owner's handler still lives.  A group that has
	 * no place there gets one with it, durably: *start, or the log start where that is NULL or below it; whoever was quicker
	 * stands.  MQ_EINPUT: *start lies behind the end. */
	int (*owner_take)(struct mq_member *m, const char *topic, uint32_t p, const uint64_t *start, struct mq_owner **ret,
	                  struct mq_err *err);
	int (*owner_place)(struct mq_owner *o, struct mq_place *ret, struct mq_err *err);
	/* Record numbers acknowledged above the place by `mq-group commit`: merged into it; the new place comes back. */
	int (*owner_merge_acks)(struct mq_owner *o, struct mq_place *ret, struct mq_err *err);
	/* n records at or above the place are done, rising, each once, whatever lies between them: durable, and the place moves as far
	 * as all before it is done (owner_place says where).  What is done already may come again.  MQ_EAGAIN, -ENOSPC: there is no
	 * room for so many above the place; some may be done, and the same call may be made again.  MQ_EDENIED: evicted.  NULL: the
	 * engine knows a place and nothing above it. */
	int (*owner_set)(struct mq_owner *o, const uint64_t *offsets, size_t n, struct mq_err *err);
	/* Add to w the owner's wake-up on what others do to its place: acknowledgements, a place set by hand, the group's end.
	 * One owner's is that of all in its topic. */
	int (*owner_arm)(struct mq_owner *o, struct mq_wait *w, struct mq_err *err);
	/* After waking, and before anything is given out: is the place still this owner's to move, its generation (owner_place) still
	 * the highest?  Cheap.  MQ_EAGAIN: it was evicted, or the place set by hand; MQ_ENOTOPIC: the group was deleted, which is
	 * asked with `whole`, and once for all owners in a topic. */
	int (*owner_look)(struct mq_owner *o, bool whole, struct mq_err *err);
	int (*owner_commit)(struct mq_owner *o, uint64_t offset, uint64_t lost_more, struct mq_err *err); /* written, not synced */
	/* n records more had expired: the next commit counts them, and its slot holds the sum.  NULL: the engine counts none. */
	void (*owner_expired)(struct mq_owner *o, uint64_t n);
	/* 0: durable, and in the place of whoever owns it next, evicted or not. */
	int (*owner_sync)(struct mq_owner *o, struct mq_err *err);
	/* Wake the group's other owners in the topic: they may wait for this one's place.  NULL: nobody waits. */
	void (*owner_ring)(struct mq_owner *o);
	/* A descriptor of its own that holds, with others of its kind, the lock of what is being handled, for one handler to
	 * inherit; -1: the engine has none.  It is the caller's: when the handler has been reaped he unlocks the whole file
	 * through it (a descendant may still have it) and closes it. */
	int (*owner_handler_fd)(struct mq_owner *o, struct mq_err *err);
	void (*owner_release)(struct mq_owner *o);  /* syncs, then lets go; the last failure is lost: sync first */
	/* Sharing: several members have a partition at once, record by record.  All of these or none; NULL: the engine cannot.
	 * 1: this member is one of them, and for what it holds owner_place, owner_arm, owner_look, owner_sync and owner_release
	 * do what they say (of claims: what was given back is written, what is not was not; owner_commit counts what was lost, its
	 * place follows what all have done).  0: somebody has it alone, or is about to begin.  *ret_damaged: what was written of
	 * claims did not verify there, so that done records may be given out again. */
	int (*share_take)(struct mq_member *m, const char *topic, uint32_t p, const uint64_t *start, struct mq_owner **ret,
	                  unsigned *ret_damaged, struct mq_err *err);
	/* 1: the lowest offsets that nobody has, whether there are records or not (*ret_to UINT64_MAX: no end); 0: none, for so many
	 * are at work.  fresh: as all see it now. */
	int (*share_next)(struct mq_owner *o, bool fresh, uint64_t *ret_from, uint64_t *ret_to, struct mq_err *err);
	/* 1: n of them, or fewer, none from `limit` on, are this member's; 0: others were quicker.  This and what follows: MQ_EAGAIN
	 * where the member was evicted or the place set by hand, MQ_EDAMAGE; then it has lost all it had. */
	int (*share_claim)(struct mq_owner *o, uint64_t limit, uint64_t n, struct mq_claimed *ret, struct mq_err *err);
	/* Before one is begun: is it still? */
	int (*share_holds)(struct mq_owner *o, uint64_t offset, struct mq_err *err);
	/* Gathered; written by the next claim, or by share_write, and durable after owner_sync.  give_back: others may have it. */
	int (*share_done)(struct mq_owner *o, uint64_t from, uint64_t to, struct mq_err *err);
	int (*share_give_back)(struct mq_owner *o, uint64_t from, uint64_t to, bool counted, struct mq_err *err);
	int (*share_write)(struct mq_owner *o, struct mq_err *err);
	/* What members had that are gone is free.  *ret_handled: records of theirs whose handlers live on. */
	int (*share_look)(struct mq_owner *o, uint64_t *ret_handled, struct mq_err *err);
	/* 1: there are such members, or were a moment ago. */
	int (*share_has_dead)(struct mq_owner *o, struct mq_err *err);
	/* The lock of the partition's mover, which one of those who share has from a look whether it was evicted to the end of a
	 * transfer, and share_look is called under, after an open intent was finished: owner_set and owner_commit (what is below
	 * `offset`) are then for all, whoever has the records.  take: 1: it is this one's; 0: another member's, now. */
	int (*share_mover)(struct mq_owner *o, bool take, struct mq_err *err);
	/* As owner_handler_fd, for these. */
	int (*share_handler_fd)(struct mq_owner *o, uint64_t from, uint64_t to, struct mq_err *err);
	/* Of a handler that lives on: it has these, too, or no longer. */
	int (*share_handler_hold)(struct mq_owner *o, int fd, uint64_t from, uint64_t to, bool on, struct mq_err *err);
	/* A descriptor of the caller's: while it is open nobody else has one for that group and topic.  MQ_EAGAIN: somebody has.  NULL:
	 * the engine is of one process. */
	int (*group_drain_fd)(struct mq_store *s, const char *group, const char *topic, struct mq_err *err);
	int (*group_share)(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_share_facts *ret,
	                   struct mq_err *err);
	/* Acknowledge from outside: takes the partition itself where nobody owns it.  token as owner_token gave it; MQ_EDENIED when
	 * it is another topic's, generation's or seek's. */
	int (*owner_token)(struct mq_owner *o, char ret_token[40], struct mq_err *err);
	int (*group_ack)(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *token,
	                 const uint64_t *offsets, size_t n, struct mq_err *err);
	/* As mq_rebalance; topics are the caller's to choose from.  NULL: the engine assigns nothing. */
	int (*group_assign)(struct mq_store *s, const struct mq_rebalance_request *req, struct mq_rebalance_report *ret,
	                    struct mq_err *err);
	/* Set a group's place by hand; the partition must be free, or force. */
	int (*group_seek)(struct mq_store *s, const char *group, const char *topic, uint32_t p, uint64_t offset, bool force,
	                  struct mq_err *err);

	/* Of one id a topic whose facts say `dedupe` stores one record within its window.  All NULL: the engine knows of no such topics.
	 * A verb locks, has the engine catch up, finds, appends what was not found, lets go, and then waits. */
	int (*dedupe_open)(struct mq_store *s, const char *topic, struct mq_dedupe **ret, struct mq_err *err);
	void (*dedupe_close)(struct mq_dedupe *d);
	/* One at a time for a topic.  -ETIMEDOUT, -EINTR. */
	int (*dedupe_lock)(struct mq_dedupe *d, struct mq_err *err);
	void (*dedupe_unlock)(struct mq_dedupe *d);
	/* partitions: how many the verb's facts tell of. */
	int (*dedupe_catch_up)(struct mq_dedupe *d, uint32_t partitions, struct mq_err *err);
	/* 1: it is stored, there; *ret_durable: and durable. */
	int (*dedupe_find)(struct mq_dedupe *d, const void *id, size_t len, uint32_t *ret_partition, uint64_t *ret_offset,
	                   bool *ret_durable, struct mq_err *err);
	/* Not under the lock: until what the partition holds is as safe as that. */
	int (*dedupe_await)(struct mq_dedupe *d, uint32_t partition, enum mq_ack level, struct mq_err *err);

	/* Ids done by a group in a topic.  All NULL: the engine remembers none.  A member locks the key of an id, looks, handles,
	 * marks, lets go, syncs, and only then moves its place. */
	int (*once_open)(struct mq_member *m, const char *topic, int64_t window_us, struct mq_once **ret, struct mq_err *err);
	void (*once_close)(struct mq_once *o);
	/* Which lock is an id's: two that share one wait for each other. */
	uint64_t (*once_key)(const struct mq_once *o, const void *id, size_t len);
	/* 1: this handle's, and who has more than one record at work knows himself what he holds; 0: another's. */
	int (*once_lock)(struct mq_once *o, uint64_t key, struct mq_err *err);
	/* n that are this handle's.  1: a handler of a member that was killed is at one of them. */
	int (*once_handled)(struct mq_once *o, const uint64_t *keys, size_t n, struct mq_err *err);
	/* n are let go, keys NULL: all that this handle has; who waits for one is woken, by what owner_arm tells of. */
	void (*once_unlock)(struct mq_once *o, const uint64_t *keys, size_t n);
	/* Say that one is waited for, or no longer; then try once more before the sleep. */
	int (*once_await)(struct mq_once *o, bool on, struct mq_err *err);
	/* The descriptor of owner_handler_fd, which a handler inherits, holds the key, or no longer. */
	int (*once_handler)(struct mq_once *o, int fd, uint64_t key, bool on, struct mq_err *err);
	/* 1: done within the window.  fresh: by all that is marked by now, else by what was known at the last such look.  *seen: up
	 * to where this was looked at before, 0 at first; then, up to where now. */
	int (*once_look)(struct mq_once *o, const void *id, size_t len, bool fresh, uint64_t *seen, struct mq_err *err);
	/* These are done: seen by all members from now on. */
	int (*once_mark)(struct mq_once *o, const struct mq_id_done *done, size_t n, struct mq_err *err);
	/* All that was marked is durable. */
	int (*once_sync)(struct mq_once *o, struct mq_err *err);

	/* One partition of a waiting room (spool/room.h), by the name that internal_open gave.  All NULL: the engine keeps none. */
	int (*room_open)(struct mq_store *s, const char *room, uint32_t p, struct mq_waiting **ret, struct mq_err *err);
	void (*room_close)(struct mq_waiting *w); /* NULL, too */
	/* 1: this process delivers and cancels, until room_unlock; 0: another does.  wait: as long as patience says. */
	int (*room_lock)(struct mq_waiting *w, bool wait, struct mq_err *err);
	void (*room_unlock)(struct mq_waiting *w);
	/* Take in what was stored since.  When the first is due (us); INT64_MAX: nothing waits. */
	int (*room_look)(struct mq_waiting *w, int64_t *ret_due_us, struct mq_err *err);
	/* 1: what waits, from the first one on after each room_look; `hash` is when it is due.  0: that was all. */
	int (*room_next)(struct mq_waiting *w, struct mq_ids_entry *ret, struct mq_err *err);
	void (*room_marks)(struct mq_waiting *w, struct mq_room_marks *ret);

	/* Whoever owns p owns it no more, though it lives, and what a killed owner's handler holds is given up: its generation is over.
	 * member: a name, or the number of a process, and nobody else's is touched; NULL: anybody's.  1: done, or to be done (dry_run);
	 * 0: there is nobody; or, but for a dry run, the generation that would begin is not the one that *ret says, if it says any.  MQ_EAGAIN: it cannot be done before some who were evicted are gone.  NULL, both: the engine has no
	 * generations. */
	int (*group_evict)(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *member, bool dry_run,
	                   struct mq_evicted *ret, struct mq_err *err);
	/* And a member altogether: nothing is assigned to it any more.  1, 0 as above. */
	int (*group_evict_member)(struct mq_store *s, const char *group, const char *member, bool dry_run, struct mq_evicted *ret,
	                          struct mq_err *err);

	/* Retention.  retain_begin: MQ_EAGAIN: another one is at work, or the clock jumped since it was last looked at (force passes); looks
	 * of the store: nothing is locked or written.  retain_end lets go of that, and keeps what was noted, or says why not.  NULL, all
	 * of them: the engine keeps everything, or does it by itself. */
	int (*retain_begin)(struct mq_store *s, bool force, struct mq_retain **ret, struct mq_err *err);
	int (*retain_end)(struct mq_retain *r, struct mq_err *err);
	/* How long a group that nobody saw holds what it has not read. */
	int64_t (*retain_patience_us)(const struct mq_retain *r);
	/* From one run to the next: "seen" and "told" of a group, microseconds since 1970; 0: never. */
	int64_t (*retain_noted)(const struct mq_retain *r, const char *what, const char *group);
	int (*retain_note)(struct mq_retain *r, const char *what, const char *group, int64_t time_us, struct mq_err *err);
	/* fn for the name of each internal topic. */
	int (*internal_list)(struct mq_store *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);
	/* fn for each part of a partition, oldest first, but for the one that is appended to; it returns 0 to go on.  timed: batch_us is
	 * wanted. */
	int (*old_parts)(struct mq_store *s, const char *topic, uint32_t p, bool timed, int (*fn)(void *arg, const struct mq_old_part *o),
	                 void *arg, struct mq_err *err);
	/* The offsets from `from` up to *to, whole parts, are in an archive in the directory dir, durably; *to is lowered to where
	 * one ends that was there already.  NULL: there are no archives. */
	int (*archive)(struct mq_store *s, const char *topic, uint32_t p, uint64_t from, uint64_t *to, const char *dir, struct mq_err *err);
	/* The spans (rising) of what a group has before it are in an archive at `path`, a file or a directory, durably; each `to` is lowered
	 * to where one ends that was there already.  *ret_last: what is left cannot go there.  NULL: there are no archives. */
	int (*archive_backlog)(struct mq_store *s, const char *topic, const char *group, struct mq_part_span *span, size_t n, const char *path,
	                       bool *ret_last, struct mq_err *err);
	/* Raise the log start to *offset, durably, while no group can register; settle sees those there are, may lower *offset, and
	 * answers 0. */
	int (*raise_log_start)(struct mq_store *s, const char *topic, uint32_t p, uint64_t *offset,
	                       int (*settle)(void *arg, uint64_t *offset, struct mq_err *err), void *arg, struct mq_err *err);
	/* What lies whole below a log start that was raised goes, the oldest first, and what is of no log and older than a day. */
	int (*remove_old)(struct mq_store *s, const char *topic, uint32_t p, uint64_t below, struct mq_gone *sum, struct mq_err *err);

	/* Of each key all but the last record goes, of what is not appended to any more, where enough of it came since the last time; of
	 * a store that is only looked at, what would be looked through is counted.  What lies whole below `below` is to go anyway.
	 * stopping(arg): -EINTR soon. */
	int (*compact)(struct mq_store *s, struct mq_retain *r, const char *topic, uint32_t p, uint64_t below,
	               bool (*stopping)(void *arg), void *arg, struct mq_compacted_parts *sum, struct mq_err *err);

	/* checking: as mq.h says; NULL where the engine has nothing to check. */
	int (*check)(struct mq_store *s, const void *check_request, void *check_report, struct mq_err *err);
};

/* The registry: a static list, filled by the program or by a module before the first open.  A `where` with "scheme:" in front
 * finds that scheme, anything else the engine of scheme "file". */
void mq_engine_register(const struct mq_engine *e);
const struct mq_engine *mq_engine_for(const char *where);

/* The session behind mq.h, as ops/ sees it. */
struct mq {
	struct mq_store *store;
	char *awaited;         /* where a store is to be waited for; NULL: nowhere */
	struct mq_err err;
	void (*notice)(void *arg, int level, const char *text);
	void *notice_arg;
	int64_t timeout_ns;
	volatile int stop;
	struct mq_buf scratch; /* strings handed out, until the next call */
	struct mq_buf operand; /* what mq_parse_operand's result leads into */
	int stop_pipe[2];      /* readable once stop was asked; -1: nobody waited yet */
};

/* Was an end asked, of this session or of the process? */
bool mq_stopping(const struct mq *mq);
/* A descriptor that becomes readable when mq_stop() is called, to poll beside others.  Look at mq_stopping() after the
 * first call and before waiting. */
int mq_stop_fd(struct mq *mq);
/* What MQ_OPEN_AWAIT put off.  0: the store is open; 1: none is there yet, as store_await says it. */
int mq_open_awaited(struct mq *mq, struct mq_wait *w, int *ret_fd);
/* A time as date(1) understands it, in microseconds. */
int mq_ask_date(struct mq *mq, const char *text, int64_t *ret_us);

#endif
