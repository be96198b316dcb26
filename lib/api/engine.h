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

#include "base/buf.h"
#include "base/err.h"
#include "format/batch.h"
#include "format/record.h"
#include "sys/patience.h"
#include "sys/wait.h"

struct mq_engine;
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

/* Where an appended batch ends, opaque to the verbs but for `visible`. */
struct mq_ticket {
	uint8_t segment[16];
	uint64_t end_pos;
	uint64_t base_offset, next_offset;
	bool durable_already; /* nothing to wait for at the level asked, and nothing that ought to be done beside the next batch */
};

/* What a topic's limits let in as one batch: so many records, so many bytes of body as it is stored. */
struct mq_room {
	uint64_t records, bytes;
};

/* What a verb needs to know of a topic; text values of topic.conf come by `conf_get`. */
struct mq_topic_facts {
	uint8_t id[16];
	uint32_t partitions;
	uint32_t generation;       /* of the partition count */
	uint32_t max_message_bytes;
	enum mq_batch_zip zip;
	enum mq_ack min_ack;
	bool replicated;
	enum { MQ_FULL_BLOCK, MQ_FULL_FAIL, MQ_FULL_DROP_OLDEST } when_full;
	int64_t ttl_us;            /* 0: none */
};

struct mq_bounds {
	uint64_t log_start, stored, visible, durable, written; /* offsets */
	uint64_t bytes;
	uint32_t segments;
	struct mq_epoch epoch;
};

/* A batch as read: verified; the body as stored.  Valid until the next call on the source. */
struct mq_view {
	struct mq_batch batch;
	const uint8_t *body;     /* stored_len bytes */
	uint64_t first_offset;   /* records below it are not wanted (a seek into the batch, the log start) */
};

/* A hole that a reader stepped around. */
struct mq_loss {
	uint64_t from, to;       /* offsets lost, to excluded; from = to: it held no records */
	bool damage;             /* false: told by a control batch or header, seen before */
	char where[80];          /* for people: the place of the damage; may be empty */
};

struct mq_place {             /* a group's committed place */
	uint64_t offset;
	bool set;                 /* false: none yet */
	uint32_t generation, seeks;
	uint64_t lost;
	uint64_t acked_above;     /* acknowledged beyond it from outside */
};

struct mq_member_info;       /* mq.h */

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
	/* The same, but 0 when it is there already; MQ_ENOTOPIC where auto.create.topics=false. */
	int (*topic_auto_create)(struct mq_store *s, const char *topic, struct mq_err *err);
	int (*topic_set)(struct mq_store *s, const char *topic, const char *const *set, size_t n, bool dry_run, struct mq_err *err);
	int (*topic_conf)(struct mq_store *s, const char *topic,
	                  int (*fn)(void *arg, const char *key, const char *value, bool is_default), void *arg, struct mq_err *err);
	int (*topic_delete)(struct mq_store *s, const char *topic, bool force, bool dry_run, struct mq_err *err);
	int (*set_log_start)(struct mq_store *s, const char *topic, uint32_t p, uint64_t offset, bool dry_run, struct mq_err *err);
	int (*bounds)(struct mq_store *s, const char *topic, uint32_t p, struct mq_bounds *ret, struct mq_err *err);

	/* writing */
	int (*appender_open)(struct mq_store *s, const char *topic, uint32_t p, struct mq_appender **ret, struct mq_err *err);
	void (*appender_close)(struct mq_appender *a);
	/*
	 * Append one batch.  The verb fills kind, zip, ack, lengths, body_crc, count, times, and who; the
	 * engine fills offsets (count of them), epoch, generation and watermark.  In whole or not at all.
	 * -ENOSPC, or MQ_EAGAIN when the topic's limit is reached: nothing was written, the same call may be
	 * made again.  -E2BIG: nothing was written, but a part of it may be: append_room says how much.  MQ_EINPUT: a single
	 * record that no state of the topic has room for.  A producer's batch whose number is not above the last one held:
	 * MQ_EAGAIN never; -EEXIST.
	 */
	int (*append)(struct mq_appender *a, const struct mq_batch *b, const void *body, struct mq_ticket *ret, struct mq_err *err);
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

	/* reading */
	int (*source_open)(struct mq_store *s, const char *topic, uint32_t p, struct mq_source **ret, struct mq_err *err);
	void (*source_close)(struct mq_source *r);
	/* Next batch given is the one that holds `offset`, or the first after it.  Below the log start: goes there and sets *ret_lost. */
	int (*source_seek)(struct mq_source *r, uint64_t offset, struct mq_loss *ret_lost, struct mq_err *err);
	/* First offset whose record time is ≥ time_us (running maximum), or the visible end. */
	int (*source_find_time)(struct mq_source *r, int64_t time_us, uint64_t *ret_offset, struct mq_err *err);
	/* 1: a data batch.  0: at the visible end.  MQ_EDAMAGE: offsets were lost (ret_loss); the next call goes on behind them. */
	int (*source_next)(struct mq_source *r, struct mq_view *ret, struct mq_loss *ret_loss, struct mq_err *err);
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
	int (*group_place)(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_place *ret, struct mq_err *err);
	/* Whether the partition is owned: 1 and the member's pid and name (pid -1: unknown), 0. */
	int (*group_owner)(struct mq_store *s, const char *group, const char *topic, uint32_t p, int64_t *ret_pid,
	                   char ret_member[64], bool *ret_handler_left, struct mq_err *err);
	/* fn for each member that lives, by name.  NULL: the engine cannot tell. */
	int (*group_members)(struct mq_store *s, const char *group, int (*fn)(void *arg, const struct mq_member_info *m), void *arg,
	                     struct mq_err *err);
	int (*member_join)(struct mq_store *s, const char *group, struct mq_member **ret, struct mq_err *err);
	void (*member_leave)(struct mq_member *m);
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
	/* Add to w the owner's wake-up on what others do to its place: acknowledgements, a place set by hand, the group's end.
	 * One owner's is that of all in its topic. */
	int (*owner_arm)(struct mq_owner *o, struct mq_wait *w, struct mq_err *err);
	/* After waking: is the place still this owner's to move?  MQ_EAGAIN: it was set by hand; MQ_ENOTOPIC: the group was deleted,
	 * which is asked with `whole`, and once for all owners in a topic. */
	int (*owner_look)(struct mq_owner *o, bool whole, struct mq_err *err);
	int (*owner_commit)(struct mq_owner *o, uint64_t offset, uint64_t lost_more, struct mq_err *err); /* written, not synced */
	int (*owner_sync)(struct mq_owner *o, struct mq_err *err);
	/* A descriptor of its own that holds, with others of its kind, the lock of what is being handled, for one handler to
	 * inherit; -1: the engine has none.  It is the caller's: when the handler has been reaped he unlocks the whole file
	 * through it (a descendant may still have it) and closes it. */
	int (*owner_handler_fd)(struct mq_owner *o, struct mq_err *err);
	void (*owner_release)(struct mq_owner *o);  /* syncs, then lets go; the last failure is lost: sync first */
	/* Acknowledge from outside: takes the partition itself where nobody owns it.  token as owner_token gave it; MQ_EDENIED when
	 * it is another topic's, generation's or seek's. */
	int (*owner_token)(struct mq_owner *o, char ret_token[40], struct mq_err *err);
	int (*group_ack)(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *token,
	                 const uint64_t *offsets, size_t n, struct mq_err *err);
	/* Set a group's place by hand; the partition must be free, or force. */
	int (*group_seek)(struct mq_store *s, const char *group, const char *topic, uint32_t p, uint64_t offset, bool force,
	                  struct mq_err *err);

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
