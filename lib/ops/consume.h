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
 *   consume_once    what of them was done before, by its id
 *   consume_group   membership, commits
 *   consume_take    a partition taken, or left to others
 *   consume_probe   when which partitions are tried for
 *   consume_plan    what of it is to go to which member
 *   consume_share*  partitions had with others, record by record (--share)
 *   consume_speed   when records go that keep their distances
 *   consume_move    what goes elsewhere as a place moves
 *   consume_parcel  what tasks leave, until then
 *   consume_to      records to another topic
 *   consume_copy    what goes to another topic without a group: a run (replay_run.h)
 *   consume_drain   the end, where the whole group is to have reached it
 *   consume_discard a backlog that goes to nobody
 *   consume_barrier what waits until others are done, since the topic has grown
 *   consume_grow    partitions that came meanwhile
 *   consume_manual  positions printed, acknowledged from outside
 *   consume_loop    reads, hands out, commits, sleeps
 *   consume_sleep   what may end a sleep
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
#include "ops/retry.h"
#include "ops/sink.h"

struct mq_copies;
struct mq_copying;
struct mq_drain;
struct mq_handlers;
struct mq_move;
struct mq_task;
struct mq_to;

struct mq_passed { /* offsets that nobody has to acknowledge */
	uint64_t from, to;
};

/* What a member has of a partition that it shares. */
struct mq_shared {
	bool on;
	uint64_t end;                 /* as mq_feed's, which is that of the run meanwhile */
	uint64_t run_from, run_to;    /* taken, and not all given out; mq_feed's next is not below run_to: nothing is */
	uint64_t told;                /* of the run all below is a task's, or was given, or is done */
	uint64_t wish;                /* so many offsets at once, since few of them were wanted */
	uint64_t handled;             /* records of killed members whose handlers live */
	uint16_t attempt;             /* of the run */
	bool peeks;                   /* nothing that is lost is told */
	bool stale;                   /* others may have changed what is known */
	bool full;                    /* so much is in the hands of all that nothing more is given out */
	bool unwritten;               /* something was done, or given back */
	bool gave_back;               /* something, and it was not looked for since */
	bool over;                    /* nothing more is to be had */
	bool looked;                  /* no intent is open that a member left before this one came */
	bool busy;                    /* members are gone, and another one moves records now: what they had waits */
	struct mq_task *leaving;      /* done, and leave something: in the order of their offsets */
	uint64_t leaving_n;           /* offsets of these */
	bool move_failed;
};

/* One partition. */
struct mq_feed {
	const char *topic;
	uint32_t partition;
	size_t topic_nth;             /* in the request */
	size_t nth;                   /* of all that are read: c->feeds[nth] */
	int64_t ttl_us;               /* of the topic; 0: none */
	bool expired_dead;            /* what has expired is a dead letter, where a handler would have got it */
	bool over;                    /* so it is with the record that was had last */
	uint64_t end;                 /* excluded; UINT64_MAX: it goes on */
	struct mq_source *source;     /* NULL: not open */
	struct mq_owner *owner;       /* of a group */
	uint64_t next;                /* the next offset to look at */
	uint64_t done;                /* all below is done */
	uint64_t committed;           /* what the owner was told last */
	uint64_t given;               /* up to here the sink has it, or nobody gets it */
	uint64_t lost, lost_to;       /* offsets lost that the owner was not told of; behind the last of them */
	struct {                      /* records that had expired and the owner was not told of: n of them below `to`, and those */
		uint64_t n, to, more, more_to; /* ... met since, of which the place cannot be past when it is not past these */
		uint64_t seen;        /* all below was looked at before */
	} expired;
	bool unsynced;
	bool armed;
	bool nearly_free;             /* nobody owned it when that was asked last, or planned */
	bool left;                    /* it was given up on: somebody else reads it */
	enum mq_whose whose;          /* by the group's plan */
	bool asks, leaving;           /* its owner is asked for it; it goes to another member when nothing of it is in flight */
	struct mq_shared shared;
	char token[40];
	/* the topic has grown */
	bool grown;                   /* it came while we read: from its beginning */
	bool paused;                  /* in turn: what is left of it is of a later generation than others have to come */
	bool barred, told_barred;     /* the view waits for others */
	size_t barrier;               /* for which; those before are passed */
	uint64_t barrier_looked;      /* c->wakes, when others' places were looked at */
	uint32_t met;                 /* as its source: the last growth it met the beginning of, and whether … */
	bool met_void;                /* … batches behind show that it came to nothing */
	uint64_t ring_from, ring_to;  /* others may wait for this place to reach them; ring_to 0: nobody */
	/* the batch at hand */
	bool viewing, walking;
	struct mq_view view;
	const uint8_t *raw;           /* the view's plain lines from f->next on; NULL: not looked for yet */
	struct mq_walk walk;
	struct mq_body body;
	/* handlers: what was taken and is not done, in order */
	struct mq_task *first_task, *last_task;
	unsigned waiting;             /* of these, not begun */
	unsigned again;               /* of these, failed before */
	unsigned tasks;               /* of one that is shared, all of them */
	uint64_t held;                /* records in tasks, which the place has not passed */
	struct mq_copying *copying;   /* consume_copy.h; NULL: nothing of it is copied now */
	uint64_t kept;                /* of a drain that archives: below this it has; 0: nothing */
	struct mq_move *move;         /* consume_move.h; NULL: nothing was moved */
	struct mq_once_topic *once;   /* --once: what is known of ids in its topic; NULL: none was met yet */
	/* manual */
	struct mq_passed *passed;
	size_t passed_at, passed_n, passed_cap;
};

struct mq_given { /* bytes given to the sink: when they are done, `next` is */
	struct mq_feed *feed;
	uint64_t bytes, from, next; /* from: of a shared one */
};

struct mq_known { /* of a topic of the request */
	uint32_t generation, partitions;
};

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
	int64_t speed_from_us, speed_at_ns; /* of req->speed: the earliest record, and when it went */
	struct mq_feed **feeds;       /* each stays where it is: there may come more */
	size_t feeds_n, feeds_cap, turn;
	struct mq_known *known;       /* by topic */
	bool growth_due;              /* a topic may have more partitions than are known */
	uint64_t wakes;               /* sleeps that have ended, and what came about for those who wait for others' places */
	bool stirred;                 /* the latter, since the step began: one more is due before it sleeps */
	int64_t acks_ns;              /* so long what has grown waits for acknowledgements, without follow; 0: nothing does */
	int64_t places_ns;            /* when shared places that others wait for are looked at again; 0: there is none */
	uint32_t round, next_round;   /* in turn: batches of this generation and earlier ones; what comes then, 0: nothing */
	uint64_t left_count;          /* records that may still be given out */
	uint64_t allowed;             /* of these, so many the pace has let go */
	struct mq_sink sink;
	struct mq_buf spare;          /* for forms */
	struct mq_given *given;       /* in a group */
	size_t given_at, given_n, given_cap;
	struct mq_member *member;
	struct {
		bool look;                /* some may have died */
		int64_t listened_ns;
		int64_t again_ns, pause_ns; /* handlers of killed members are looked for then; -1: there are none */
		unsigned looks; /* since others were heard of last */
	} share;
	int64_t began_ns;
	int64_t take_again_ns;        /* a freed partition is probed again then; -1: not */
	unsigned takes;               /* how often in a row, as far as that matters */
	int64_t count_at_ns;          /* from then on this member counts; -1: it does; 0: its engine plans nothing */
	bool plan_due;                /* something of the group has changed */
	bool plan_asked;              /* somebody may ask for something */
	bool plan_found;              /* that something is free */
	int plan_members;             /* how many there were */
	int64_t plan_next_ns;         /* it is computed then at the earliest; */
	int64_t plan_sure_ns;         /* before this, it is computed once more */
	int64_t plan_latest_ns;       /* so long it may be put off for more news */
	int64_t synced_ns;            /* when commits were last synced */
	bool unsynced;                /* some are not */
	int64_t sink_synced_ns;       /* when a file was */
	int64_t look_ns;              /* how long the sink is left alone, growing while nothing moves */
	int64_t active_ns;            /* since when nothing came; 0: something did */
	struct mq_handlers *handlers; /* NULL: to the sink */
	struct mq_retry retry;
	struct mq_once_state *once;   /* NULL: without --once */
	struct mq_drain *drain;       /* NULL: it is none */
	struct mq_to *to;             /* NULL: nothing goes to another topic */
	struct mq_copies *copies;     /* consume_copy.h; NULL: it is no run */
	struct mq_waits *waits;       /* consume_waits.c; NULL: it does not follow */
	struct {
		unsigned pending;         /* partitions that something was put of, and their places wait for it */
		uint64_t bytes;           /* of that */
		uint64_t left_bytes;      /* of what tasks leave, and no place has passed */
		int64_t due_ns, last_ns, pause_ns;
		int64_t busy_ns;          /* another member has the lock of a shared partition's mover: not before */
	} moves;
	struct mq_wait wait;          /* for members always, for the rest while armed */
	bool armed, armed_reading;    /* sleepers are announced; sources among them */
	bool listens;                 /* `wait` is there, and tells of members, armed or not */
	int64_t heard_ns;             /* when it was asked last */
	int armed_members;            /* slots from 0 on that tell of members; */
	int armed_waits;              /* from there on, of rooms in which records wait; */
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
/* The next offset to look at is another one of the view, or what follows it. */
void mq_feed_turn(struct mq_feed *f, uint64_t offset);
/* Or one anywhere: what is lost there is told. */
int mq_feed_seek(struct mq_consume *c, struct mq_feed *f, uint64_t offset);
/* The next record of the view that is wanted: 1; 0: the view is used up.  f->next moves behind it, and behind all passed over.
 * f->over: it has expired, and is to be a dead letter. */
int mq_feed_record(struct mq_consume *c, struct mq_feed *f, struct mq_rec *ret);
/* The owner is to count what has expired below `to`. */
void mq_feed_count_expired(struct mq_consume *c, struct mq_feed *f, uint64_t to);
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

/* --- consume_speed.c ------------------------------------------------------------------------ */

/* All feeds are open: the clock begins. */
int mq_speed_begin(struct mq_consume *c);
/* May a record of that time go?  Else c->pace_until_ns says when. */
bool mq_speed_lets(struct mq_consume *c, int64_t time_us);

/* --- consume_await.c ------------------------------------------------------------------------ */

/* c->store, waited for where mq_open was to await it.  Both: -EINTR, and no reason: it did not come before a stop, or in
 * until_idle_ns. */
int mq_consume_open_spool(struct mq_consume *c);
int mq_consume_await_topic(struct mq_consume *c, const char *topic, struct mq_topic_facts *ret);

/* --- consume_setup.c ------------------------------------------------------------------------ */

/* Request to feeds; waits for topics where it is asked. */
int mq_consume_setup(struct mq_consume *c);
/* A partition more to read; NULL: it is read already. */
int mq_consume_add_feed(struct mq_consume *c, size_t topic_nth, uint32_t partition, const struct mq_topic_facts *facts,
                        struct mq_feed **ret);
/* Where f begins without a group's place. */
int mq_consume_start(struct mq_consume *c, struct mq_feed *f, const uint64_t *stored, uint64_t *ret);

/* --- consume_take.c ------------------------------------------------------------------------- */

/* 1: *ret is where the group stands in f's partition; 0: it never was there. */
int mq_group_stood(struct mq_consume *c, const struct mq_feed *f, uint64_t *ret);
/* 1: f is this member's, and begins where the group stands.  0: it is another's, or not to be had by this one. */
int mq_take(struct mq_consume *c, struct mq_feed *f);
/* That it was not.  Without follow: is it worth while to wait for it?  Else f->left. */
int mq_take_or_leave(struct mq_consume *c, struct mq_feed *f);

/* --- consume_probe.c ------------------------------------------------------------------------ */

/* Take what is free, if it is time to try.  1: something was taken. */
int mq_group_take(struct mq_consume *c);
/* Somebody came or went: what is not free yet may be so in a moment. */
void mq_group_stir(struct mq_consume *c);

#define MQ_COMMIT_INTERVAL_NS INT64_C(5000000000) /* auto.commit.interval.ms */

/* --- consume_group.c ------------------------------------------------------------------------ */

int mq_group_join(struct mq_consume *c);
/* Others may have done something to the places of what is owned: are they still this member's to move? */
int mq_group_look(struct mq_consume *c);
/* Before something of f is given out: who was stopped meanwhile may have been evicted. */
int mq_group_owns(struct mq_consume *c, const struct mq_feed *f);
/* Commit f->done, if it moved. */
int mq_group_commit_feed(struct mq_consume *c, struct mq_feed *f);
/* What was passed over up to f->next, and given to nobody, is done when all before it is. */
int mq_group_pass(struct mq_consume *c, struct mq_feed *f);
/* At most once: the place of f is f->next, durably, before what lies below is given out. */
int mq_group_commit_now(struct mq_consume *c, struct mq_feed *f);
/* Sync commits, if it is time or `now`. */
int mq_group_sync(struct mq_consume *c, bool now);
int mq_group_release(struct mq_consume *c);

/* --- consume_drain.c ------------------------------------------------------------------------ */

/* What is to be done is known: nobody else drains it from here on.  MQ_EAGAIN: somebody does. */
int mq_drain_begin(struct mq_consume *c);
void mq_drain_end(struct mq_consume *c);
/* 1: the group's place in f's partition has passed f->end, whoever moved it. */
int mq_drain_passed(struct mq_consume *c, const struct mq_feed *f);
/* consume_discard.c: all of f up to its end is done, archived before where that is asked.  1: there was something. */
int mq_drain_discard(struct mq_consume *c, struct mq_feed *f);
/* Tell how far it is, if it is time or `now`; when it is time, -1: never. */
int mq_drain_tell(struct mq_consume *c, bool now);
int64_t mq_drain_due(const struct mq_consume *c);

/* consume_waits.c: records that wait until they are due. */
int mq_waits_begin(struct mq_consume *c);
void mq_waits_end(struct mq_consume *c);
int mq_waits_listen(struct mq_consume *c);
void mq_waits_deaf(struct mq_consume *c);
void mq_waits_heard(struct mq_consume *c);
/* When the first is due, CLOCK_MONOTONIC; -1: nobody knows of any. */
int64_t mq_waits_due(const struct mq_consume *c);
/* 1: something was delivered, or there is more to look at. */
int mq_waits_step(struct mq_consume *c);
/* consume_sleep.c: what waits is watched from now on as mq_waits_listen says. */
int mq_sleep_listen_anew(struct mq_consume *c);

/* --- consume_plan.c ------------------------------------------------------------------------- */

/* Become a member; from now on the plan counts. */
int mq_plan_join(struct mq_consume *c);
/* Count, plan, ask, give, as far as it is time.  1: partitions were given, or found to be free. */
int mq_plan_step(struct mq_consume *c);
/* News: it is to compute, at once and when what was told of is sure to be so; or once, wait_ns later than that. */
void mq_plan_stir(struct mq_consume *c, int64_t wait_ns);
/* When it is to compute; -1: there is no reason to. */
int64_t mq_plan_due(const struct mq_consume *c);
/* 1: f may be taken if it is free.  0: it is another's, who asks for it or alone may have it. */
int mq_plan_lets(struct mq_consume *c, const struct mq_feed *f);
/* f was taken. */
int mq_plan_taken(struct mq_consume *c, struct mq_feed *f);

/* --- consume_share.c ------------------------------------------------------------------------ */

int mq_share_begin(struct mq_consume *c);
/* As the engine's: f->owner. */
int mq_share_take(struct mq_consume *c, struct mq_feed *f, const uint64_t *start);
/* Somebody has f who shares it, and this one does not, or the other way round: told, if `tell`, once. */
bool mq_share_otherwise(struct mq_consume *c, const struct mq_feed *f, bool tell);
/* How many records of f may be taken now. */
uint64_t mq_share_wants(const struct mq_consume *c, const struct mq_feed *f);
/* There is room for more, of some partition. */
bool mq_share_room(const struct mq_consume *c);
/* Take what there is room for, and give it out.  1: something was. */
int mq_share_pump(struct mq_consume *c, struct mq_feed *f);
/* What lies between the last task and this one (NULL: and f->next) was not wanted. */
int mq_share_filled(struct mq_consume *c, struct mq_feed *f, const struct mq_task *t);
int mq_share_given(struct mq_consume *c, const struct mq_given *g);
/* Its records are done, or others' to have; t is freed. */
int mq_share_task_ended(struct mq_consume *c, struct mq_task *t, bool done);
int mq_share_write(struct mq_consume *c);
/* Look for members that died, if some may have. */
int mq_share_watch(struct mq_consume *c);
/* Members came or went. */
void mq_share_stir(struct mq_consume *c);
/* The place's bell: something may be had again. */
void mq_share_rung(struct mq_consume *c);
/* Is what is done to places to be heard, and looked for, in this wait? */
bool mq_share_listens(struct mq_consume *c);
/* All that was not begun is others' to have. */
int mq_share_leave(struct mq_consume *c);

/* consume_share_move.c.  t, which is in no list, is done and leaves something: it goes with the next transfer. */
int mq_share_move_task(struct mq_consume *c, struct mq_task *t);
/* What is pending goes, but of partitions that another member moves records out of; wait: of these, too. */
int mq_share_move_all(struct mq_consume *c, bool wait);
void mq_share_move_free(struct mq_consume *c);

/* --- consume_barrier.c ---------------------------------------------------------------------- */

/* f has a new view, or its source is at the end: has it met the beginning of a generation? */
int mq_barrier_meet(struct mq_consume *c, struct mq_feed *f);
/* 1: the view may be given out.  0: others are to be done before. */
int mq_barrier_lets(struct mq_consume *c, struct mq_feed *f);
/* f's place was committed: who waits for it is woken. */
int mq_barrier_committed(struct mq_consume *c, struct mq_feed *f);

/* The same of places that are had with others. */
int mq_barrier_shared(struct mq_consume *c);
/* What has grown and waits for others looks again, before anybody sleeps. */
void mq_barrier_stir(struct mq_consume *c);
/* A partition whose place others may wait for is not there yet. */
bool mq_barrier_is_due(const struct mq_consume *c);
/* Nothing else is to be done: what the output's reader has taken counts as done, where others may wait for that. */
int mq_barrier_drain(struct mq_consume *c);

/* --- consume_grow.c ------------------------------------------------------------------------- */

/* A sleep has ended: may there be more partitions? */
void mq_grow_heard(struct mq_consume *c);
/* Read them, too.  1: some came. */
int mq_grow_step(struct mq_consume *c);

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
int mq_manual_merge_of(struct mq_consume *c, struct mq_feed *f);
/* All of f is printed, and acknowledgements are waited for no longer: who reads positions may wait for their end. */
bool mq_manual_is_over(struct mq_consume *c, const struct mq_feed *f);
int mq_manual_finish(struct mq_consume *c);

/* --- consume_sleep.c ------------------------------------------------------------------------- */

/* May more be read, if it comes? */
bool mq_sleep_reads(const struct mq_consume *c);
/* Announce the sleep, and gather everything that may end it: then look again, and only then sleep. */
int mq_sleep_arm(struct mq_consume *c);
void mq_sleep_disarm(struct mq_consume *c);
int mq_sleep(struct mq_consume *c);
/* A member that has much to do does not sleep, and others may wait for what is to be theirs. */
int mq_sleep_hear(struct mq_consume *c);

/* --- consume_loop.c ------------------------------------------------------------------------- */

int mq_consume_run(struct mq_consume *c);

/* --- handler.c ------------------------------------------------------------------------------ */

int mq_handlers_start(struct mq_consume *c);
/* There are more feeds than there were. */
int mq_handlers_more(struct mq_consume *c);
/* Nothing of f is left to take now: its place moves past what nobody wanted, as far as what lies before is done. */
int mq_handlers_pass(struct mq_consume *c, struct mq_feed *f);
/* Take records of f while there is room.  1: some were. */
int mq_handlers_feed(struct mq_consume *c, struct mq_feed *f);
/* Begin, feed, reap, kill.  1: something happened. */
int mq_handlers_work(struct mq_consume *c);
bool mq_handlers_room(const struct mq_consume *c);
/* So much of f is held that nothing more of it should be taken. */
bool mq_handlers_far_ahead(const struct mq_consume *c, const struct mq_feed *f);
bool mq_handlers_idle(const struct mq_consume *c);
/* Nothing of f, which is leaving, is in any handler's hand. */
bool mq_handlers_let_go(const struct mq_consume *c, const struct mq_feed *f);
/* A handler said that it is enough, or failed. */
bool mq_handlers_enough(const struct mq_consume *c);
/* The wait is over. */
void mq_handlers_hear(struct mq_consume *c);
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
