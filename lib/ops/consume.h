/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How mq_consume() is put together.
 *
 *   consume_await   what is not there yet
 *   consume_feed    one partition being read: batches, records, what was lost
 *   filter, where   which records are wanted
 *   consume_write   records to a descriptor, in the forms of mq.h (form_*.c)
 *   sink            the descriptor, and what of it is done
 *   handler_*       records to commands
 *   consume_group   membership, partitions taken and given back, commits
 *   consume_manual  positions printed, acknowledged from outside
 *   consume_loop    reads, hands out, commits, sleeps
 *
 * What must stay true:
 *   1. A group's place moves past a record only when it and all before it in its partition are done (or
 *      filtered out, expired, lost).
 *   2. Before a sleep: announce, look again, and only then wait.
 *   3. Without `follow` the end is where it was at the start, whoever publishes meanwhile.
 */
#ifndef MQ_OPS_CONSUME_H
#define MQ_OPS_CONSUME_H

#include "ops/body.h"
#include "ops/filter.h"
#include "ops/ops.h"
#include "ops/pace.h"
#include "ops/sink.h"

struct mq_passed { /* offsets that nobody has to acknowledge */
	uint64_t from, to;
};

/* One partition. */
struct mq_feed {
	const char *topic;
	uint32_t partition;
	int64_t ttl_us;               /* of the topic; 0: none */
	uint64_t end;                 /* excluded; UINT64_MAX: it goes on */
	struct mq_source *source;     /* NULL: not open */
	struct mq_owner *owner;       /* of a group */
	uint64_t next;                /* the next offset to look at */
	uint64_t done;                /* all below is done */
	uint64_t committed;           /* what the owner was told last */
	uint64_t given;               /* up to here the sink has it, or nobody gets it */
	uint64_t lost, lost_to;       /* offsets lost that the owner was not told of; behind the last of them */
	bool unsynced;
	bool armed;
	bool left;                    /* it was given up on: somebody else reads it */
	char token[40];
	/* the batch at hand */
	bool viewing, walking;
	struct mq_view view;
	const uint8_t *raw;           /* the view's plain lines from f->next on; NULL: not looked for yet */
	struct mq_walk walk;
	struct mq_body body;
	/* handlers: what was taken and is not done, in order */
	struct mq_task *first_task, *last_task;
	unsigned waiting;             /* of these, not begun */
	/* manual */
	struct mq_passed *passed;
	size_t passed_at, passed_n, passed_cap;
};

struct mq_given { /* bytes given to the sink: when they are done, `next` is */
	struct mq_feed *feed;
	uint64_t bytes, next;
};

struct mq_handlers;
struct mq_task;

struct mq_consume {
	struct mq *mq;
	const struct mq_engine *engine;
	struct mq_store *store;
	const struct mq_consume_request *req;
	struct mq_consume_report report;
	struct mq_err *err;
	struct mq_range range;
	struct mq_filter filter;
	struct mq_pace pace;
	int64_t pace_until_ns;        /* nothing goes before; 0: free to go */
	struct mq_feed *feeds;
	size_t feeds_n, feeds_cap, turn;
	uint64_t left_count;          /* records that may still be given out */
	uint64_t allowed;             /* of these, so many the pace has let go */
	struct mq_sink sink;
	struct mq_buf spare;          /* for forms */
	struct mq_given *given;       /* in a group */
	size_t given_at, given_n, given_cap;
	struct mq_member *member;
	int64_t began_ns;
	int64_t take_again_ns;        /* a freed partition is probed again then; -1: not */
	unsigned takes;               /* how often in a row, as far as that matters */
	int64_t synced_ns;            /* when commits were last synced */
	bool unsynced;                /* some are not */
	int64_t sink_synced_ns;       /* when a file was */
	int64_t look_ns;              /* how long the sink is left alone, growing while nothing moves */
	int64_t active_ns;            /* when the last record came */
	struct mq_handlers *handlers; /* NULL: to the sink */
	struct mq_wait wait;          /* while armed */
	bool armed, armed_reading;    /* sleepers are announced; sources among them */
	int armed_members;            /* slots from 0 on that tell of members; */
	int armed_places;             /* from there on, of what was done to places; */
	int armed_out;                /* the sink's number */
	int64_t armed_deadline_ns;
	unsigned busy;                /* steps in a row that did something */
	bool takes_news;              /* partitions were taken: what is armed is not all */
	bool look_again;              /* at the places of what is owned */
	bool told_place, told_held;   /* said once: -o is not used; others hold partitions */
	bool told_lost;               /* the same: records are not held any more */
	bool told_waiting;            /* said, too: that topics[0] and its spool are waited for */
	bool ended;                   /* nothing more is to be read */
	char damage[400];             /* the first damage passed */
};

int mq_consume_no_memory(struct mq_consume *c);

/* --- consume_feed.c ------------------------------------------------------------------------- */

/* Begin to read at `offset`. */
int mq_feed_open(struct mq_consume *c, struct mq_feed *f, uint64_t offset);
void mq_feed_close(struct mq_consume *c, struct mq_feed *f);
/* 1: f->view holds something at or above f->next and below f->end; 0: nothing there now, or the end is reached. */
int mq_feed_look(struct mq_consume *c, struct mq_feed *f);
bool mq_feed_ended(const struct mq_feed *f);
/* The next record of the view that is wanted: 1; 0: the view is used up.  f->next moves behind it, and behind all passed over. */
int mq_feed_record(struct mq_consume *c, struct mq_feed *f, struct mq_rec *ret);
/* Whole lines of the view, as many as `most`, when it is plain lines that no filter looks at: 1; 0: it is not so, use
 * mq_feed_record. */
int mq_feed_lines(struct mq_consume *c, struct mq_feed *f, uint64_t most, const char **ret, size_t *ret_len, uint64_t *ret_count);

/* --- consume_write.c ------------------------------------------------------------------------ */

/* Check the form before anything is read. */
int mq_write_check(struct mq_consume *c);
/* The view of f to the sink, as far as count and pace let it.  1: something was done, 0: paced. */
int mq_write_view(struct mq_consume *c, struct mq_feed *f);
/* One record in the request's form, with its delimiter.  MQ_EINPUT: it cannot be shown in it. */
int mq_write_record(struct mq_consume *c, const struct mq_feed *f, const struct mq_rec *r, struct mq_buf *out);
/* How many records of n may go now. */
uint64_t mq_consume_allow(struct mq_consume *c, uint64_t n);

/* --- consume_await.c ------------------------------------------------------------------------ */

/* c->store, waited for where mq_open was to await it.  Both: -EINTR, and no reason: it did not come before a stop, or in
 * until_idle_ns. */
int mq_consume_open_spool(struct mq_consume *c);
int mq_consume_await_topic(struct mq_consume *c, const char *topic, struct mq_topic_facts *ret);

/* --- consume_setup.c ------------------------------------------------------------------------ */

/* Request to feeds; waits for topics where it is asked. */
int mq_consume_setup(struct mq_consume *c);
/* Where f begins without a group's place. */
int mq_consume_start(struct mq_consume *c, struct mq_feed *f, const uint64_t *stored, uint64_t *ret);

/* --- consume_group.c ------------------------------------------------------------------------ */

int mq_group_join(struct mq_consume *c);
/* 1: *ret is where the group stands in f's partition; 0: it never was there. */
int mq_group_stood(struct mq_consume *c, const struct mq_feed *f, uint64_t *ret);
/* Take what is free.  1: something was taken. */
int mq_group_take(struct mq_consume *c);
/* Somebody came or went: what is not free yet may be so in a moment. */
void mq_group_stir(struct mq_consume *c);
/* Others may have done something to the places of what is owned: are they still this member's to move? */
int mq_group_look(struct mq_consume *c);
/* Commit f->done, if it moved. */
int mq_group_commit_feed(struct mq_consume *c, struct mq_feed *f);
/* What was passed over up to f->next, and given to nobody, is done when all before it is. */
int mq_group_pass(struct mq_consume *c, struct mq_feed *f);
/* At most once: the place of f is f->next, durably, before what lies below is given out. */
int mq_group_commit_now(struct mq_consume *c, struct mq_feed *f);
/* Sync commits, if it is time or `now`. */
int mq_group_sync(struct mq_consume *c, bool now);
int mq_group_release(struct mq_consume *c);

/* --- consume_given.c ------------------------------------------------------------------------ */

/* The place of f is f->next when all given to the sink so far is done. */
int mq_group_given(struct mq_consume *c, struct mq_feed *f);
/* Commit what of it is done.  idle: there is nothing else to do. */
int mq_given_commit(struct mq_consume *c, bool idle);
/* When to look again; -1: nothing is outstanding. */
int64_t mq_given_deadline(struct mq_consume *c);
/* At the end: wait until the reader has it all. */
int mq_given_drain(struct mq_consume *c);

/* --- consume_manual.c ----------------------------------------------------------------------- */

int mq_manual_pass(struct mq_consume *c, struct mq_feed *f, uint64_t from, uint64_t to);
int mq_manual_merge(struct mq_consume *c);
int mq_manual_finish(struct mq_consume *c);

/* --- consume_loop.c ------------------------------------------------------------------------- */

int mq_consume_run(struct mq_consume *c);

/* --- handler.c ------------------------------------------------------------------------------ */

int mq_handlers_start(struct mq_consume *c);
/* Nothing of f is left to take now: its place moves past what nobody wanted, as far as what lies before is done. */
int mq_handlers_pass(struct mq_consume *c, struct mq_feed *f);
/* Take records of f while there is room.  1: some were. */
int mq_handlers_feed(struct mq_consume *c, struct mq_feed *f);
/* Begin, feed, reap, kill.  1: something happened. */
int mq_handlers_work(struct mq_consume *c);
bool mq_handlers_room(const struct mq_consume *c);
bool mq_handlers_idle(const struct mq_consume *c);
/* A handler said that it is enough, or failed. */
bool mq_handlers_enough(const struct mq_consume *c);
/* What to wait for; *deadline_ns is lowered. */
int mq_handlers_arm(struct mq_consume *c, struct mq_wait *w, int64_t *deadline_ns);
/* Nothing more will be given. */
void mq_handlers_stop(struct mq_consume *c);
/* Something failed beside them (c->err): nothing is begun any more. */
void mq_handlers_abort(struct mq_consume *c);
/* 0, or why a failure ended it. */
int mq_handlers_result(struct mq_consume *c);
void mq_handlers_free(struct mq_consume *c);

#endif
