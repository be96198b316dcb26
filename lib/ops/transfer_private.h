/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the transfer is put together.
 *
 *   transfer          the mover; records gathered; the act
 *   transfer_intent   what is durable of it: written, found again, finished
 *   transfer_target   one partition that records go to
 *   transfer_set      records that are taken out of their order
 *   transfer_source   a group's place, or a run's
 *   transfer_direct   a transfer of one batch into one partition: that batch, without an intent of its own
 *   transfer_lines    lines of the source as they lie there, without a look into them
 *   transfer_hold     what must not be removed
 */
#ifndef MQ_OPS_TRANSFER_PRIVATE_H
#define MQ_OPS_TRANSFER_PRIVATE_H

#include <string.h>

#include "format/intent.h"
#include "format/zip.h"
#include "ops/body.h"
#include "ops/syncer.h"
#include "ops/transfer.h"

enum { MQ_TRANSFER_STALE_MAX = 8 }; /* growths in a row */

struct mq_transfer_target {
	struct mq_intent_target now;     /* of the transfer at hand; count 0: it has no part in it */
	struct mq_appender *appender;    /* NULL: not open */
	struct mq_who who;               /* of the mover there */
	bool open_ended;                 /* the last intent names it as one that may be appended to without another */
	uint32_t generation;             /* of the topic's partition count */
	enum mq_batch_zip zip;
	bool gone;                       /* the topic is no more */
	struct mq_records records;       /* put, or to be appended */
	struct mq_buf positions;
	int64_t now_us;                  /* of records without a time */
	struct mq_ticket ticket;         /* of the last batch appended */
	bool appended;
};

/* transfer_source.c: how a kind of source is asked, and told what is done. */
struct mq_transfer_kind {
	int (*place)(struct mq_transfer *t, struct mq_place *ret, struct mq_err *err);
	int (*commit)(struct mq_transfer *t, uint64_t end, uint64_t lost, struct mq_err *err); /* written */
	int (*sync)(struct mq_transfer *t, struct mq_err *err);
	int (*set)(struct mq_transfer *t, const uint64_t *offsets, size_t n, struct mq_err *err); /* as owner_set */
};
extern const struct mq_transfer_kind mq_transfer_of_owner, mq_transfer_of_run;

struct mq_transfer {
	struct mq *mq;
	const struct mq_engine *engine;
	struct mq_transfer_source from;
	const struct mq_transfer_kind *kind;
	char intents[201];               /* the internal topic */
	char name[64];                   /* the mover's: the internal topic's id, and the partition */
	struct mq_appender *log;         /* of its partition */
	struct mq_who who;               /* the mover's there */
	uint8_t log_segment[16];         /* where it last wrote */
	uint32_t log_generation;         /* of the intents' partition count */
	uint32_t generation, seeks;      /* of the mover; of the place */
	uint64_t place, lost;
	uint64_t origin;                 /* what positions of copies count from: the place, or the lowest of a set */
	struct mq_buf set;               /* of the transfer at hand: offset - origin, in 4 bytes */
	bool set_open;                   /* the last intent is of a set, or of a run, which nothing has closed: no place tells of it */
	struct { uint64_t place, number; } base; /* of the last intent: where it ends, its last number */
	bool open_ended;                 /* it is */
	bool again;                      /* this is not the first transfer: more of them will come */
	struct mq_intent intent;         /* at hand */
	bool made, broken;
	char full[201];                  /* the target that was full when it was tried last; "": none */
	uint32_t full_partition;
	struct mq_transfer_target *targets[MQ_TRANSFER_TARGETS_MAX];
	size_t n_targets, bytes, records;
	struct mq_transfer_target *chain; /* lines are on their way there; NULL: nowhere */
	uint64_t chain_end;
	struct mq_syncer syncer;         /* of what is on its way, this is being synced: */
	size_t chain_synced;             /* of t->bytes */
	uint64_t source_settled;         /* the source is durable up to there, for certain */
	struct mq_buf payload;           /* of the intent at hand */
	struct mq_records one;
	struct mq_zip zip;
	struct mq_buf zipped;
	struct mq_body body;
};

int mq_transfer_no_memory(struct mq_err *err);

/* wait@TOPIC@: in another topic nothing waits for its time. */
static inline bool mq_transfer_is_room(const char *topic)
{
	return strncmp(topic, "wait@", 5) == 0;
}
/* MQ_EDENIED of an engine: a newer owner is at work. */
int mq_transfer_fenced(const struct mq_transfer *t, int rc, struct mq_err *err);

/* transfer.c.  The mover's number when it has done the source up to `place`: none in a target is above that. */
uint64_t mq_transfer_number(const struct mq_transfer *t, uint64_t place);

/* transfer.c: as the batch that it is where that is enough, else by an intent: t->made. */
int mq_transfer_begin_act(struct mq_transfer *t, uint64_t end, struct mq_err *err);

/* transfer.c: the source's records below `end` last. */
int mq_transfer_settle_source(struct mq_transfer *t, uint64_t end, struct mq_err *err);
/* transfer_lines.c: what is on its way is there for good. */
int mq_transfer_settle_lines(struct mq_transfer *t, uint64_t end, struct mq_err *err);

/* transfer_set.c: what t->intent counts as done is acknowledged, durably, and the place follows. */
int mq_transfer_acknowledge(struct mq_transfer *t, struct mq_err *err);

/* transfer_target.c */
/* MQ_ENOTOPIC, or gone is set where a topic of another id has the name. */
int mq_transfer_open_target(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err);
/* Open, its mover there of our generation, and its end is known. */
int mq_transfer_ready_target(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err);
/* All of x->records as one batch with that number, if the limits of the topic let it in (-E2BIG). */
int mq_transfer_append_whole(struct mq_transfer *t, struct mq_transfer_target *x, uint64_t number, struct mq_err *err);
/* One batch of a kind, with lengths, count and times; crc: of the body, where that is known, or NULL. */
int mq_transfer_append_batch(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_batch *b, const void *body,
                             const uint32_t *crc, uint64_t number, struct mq_err *err);
/* After -ESTALE: what the topic is now, and what x holds; MQ_EAGAIN: a newer owner is at work. */
int mq_transfer_refresh(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err);
/* Append what of x->now is not held. */
int mq_transfer_append(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err);
/* All of it is durable, whoever appended it. */
int mq_transfer_settle(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err);
void mq_transfer_drop_targets(struct mq_transfer *t);
void mq_transfer_free_target(struct mq_transfer_target *x);

/* transfer_direct.c */
/* The one target that a batch may go to as it is; NULL: this needs an intent. */
struct mq_transfer_target *mq_transfer_direct_target(const struct mq_transfer *t);
/* The act, but for the place.  -E2BIG: nothing was appended, and it takes an intent. */
int mq_transfer_direct(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err);

/* transfer_intent.c */
/* The intent of what was gathered, durably. */
int mq_transfer_make(struct mq_transfer *t, struct mq_err *err);
/* What x is to get: body, times. */
int mq_transfer_build(const struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err);
/* The last intent is closed, and nothing comes without another. */
int mq_transfer_end(struct mq_transfer *t, struct mq_err *err);
/* All targets of t->intent hold theirs durably. */
int mq_transfer_finish(struct mq_transfer *t, struct mq_err *err);
/* What x holds of the mover, durably; from now on nothing of an older owner comes. */
int mq_transfer_look(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err);
/* The last record of the intents' partition: 1, and t->payload; 0: there is none. */
int mq_transfer_last(const struct mq_engine *e, struct mq_store *s, const char *intents, uint32_t partition, struct mq_body *body,
                     struct mq_buf *payload, struct mq_err *err);
/* Finish what an earlier owner began. */
int mq_transfer_resume(struct mq_transfer *t, struct mq_err *err);

/* transfer_target.c: sleep a little, 50 ms at most and not beyond the deadline (CLOCK_MONOTONIC, ns; -1: none), until there may be space in
 * what a commit found full.  MQ_EAGAIN: the deadline has passed, or what is full is to fail rather than wait (when.full). */
int mq_transfer_await_space(struct mq_transfer *t, int64_t deadline_ns, struct mq_err *err);

#endif
