/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How mq_publish() is put together.
 *
 *   input forms     cut the input into records (publish_lines, publish_json, publish_frame, publish_whole)
 *   publish_route   decides the partition, gathers records in a builder a partition
 *   publish_reroute decides anew, when the topic has grown meanwhile
 *   publish_named   numbers the records of a named producer, skips what is held
 *   publish_dedupe  leaves out records whose ids a topic has that stores one of each
 *   publish_send    makes a batch and appends it, waits for space
 *   publish_parts   cuts one that the topic's limits let in only in parts
 *   publish_wait    what was sent, until it is as safe as asked; the sync thread
 *   publish_confirm tells it, in input order
 *
 * What must stay true:
 *   1. In a partition records keep the order of the input.
 *   2. A record is confirmed when its batch, and all of its partition before it in this run, is as safe as asked.
 *   3. Before a read that may stand still nothing read before is left unsent or unconfirmed.
 *   4. After a failed append or wait nothing more is appended.
 */
#ifndef MQ_OPS_PUBLISH_H
#define MQ_OPS_PUBLISH_H

#include "api/engine.h"
#include "api/mq.h"
#include "format/zip.h"
#include "ops/input.h"
#include "ops/pace.h"
#include "ops/syncer.h"
#include "sys/handles.h"

/* Batches that lie one behind the other, appended and not confirmed yet; or records that were held before. */
struct mq_sent {
	struct mq_ticket ticket;
	uint64_t offset, count; /* records of it not confirmed yet */
	uint32_t partition;     /* placed: where it is */
	bool skipped, handed, done;
	bool placed;            /* skipped, and it is known where the one is that is held */
};

struct mq_held; /* what a named producer has in the log: publish_held.c */
struct mq_span { /* what a partition got of it under one generation of the partition count */
	uint64_t number;      /* the last one at the start; 0: nothing */
	uint64_t last_base;   /* of the batch that holds it */
	struct mq_held *held; /* what is held, once something is skipped */
};

/* One partition written to. */
struct mq_out {
	uint32_t partition;
	struct mq_appender *appender; /* NULL: closed */
	struct mq_handle handle;      /* of its descriptors */
	struct mq_records records;
	struct mq_buf ordinals;       /* uint64_t: of each record in it, how many were routed before it */
	uint32_t timed;               /* records in it that brought their time */
	uint64_t last_sequence;       /* of those in it */
	struct mq_who who;
	bool found;                   /* a named producer: who and spans are known */
	struct mq_span *spans;        /* by generation, as facts has them */
	uint32_t n_spans;
	struct mq_sent *sent;
	size_t sent_at, sent_n, sent_cap;
	bool dirty;                   /* some of sent is not handed to anybody who waits for it */
	struct mq_out *next_dirty, *next_full;
	bool full;                    /* its builder holds something */
};

struct mq_run { /* records one behind the other in the input that went to one partition */
	struct mq_out *out;
	uint64_t count;
};

struct mq_dup { /* a record that is not stored, since one of its id is */
	uint64_t before;    /* so many of the load are stored before it */
	int64_t twin;       /* it is the second of this one of those; -1: the first lies there: */
	uint32_t partition;
	uint64_t offset;
	bool durable;
};

struct mq_sent_part {   /* of a load */
	struct mq_ticket ticket;
	uint64_t count;
};

struct mq_dedupe_state {
	struct mq_dedupe *handle;     /* NULL: no id was met */
	bool locked;                  /* between look and append: nobody waits here, and nothing is told */
	struct mq_records kept;       /* of the load, what is stored; */
	struct mq_buf parts;          /* struct mq_sent_part: was stored, in order; */
	struct mq_dup *dups;          /* is not */
	size_t n_dups, cap;
};

struct mq_publish {
	struct mq *mq;
	const struct mq_engine *engine;
	const struct mq_publish_request *req;
	struct mq_publish_report report;
	struct mq_err *err;
	struct mq_topic_facts facts;  /* of `into` */
	const char *into;             /* where records are stored: the topic, or the room in which they wait until they are due */
	char room[201];
	bool topic_there;
	enum mq_ack ack;
	struct mq_rec common;         /* what every record carries */
	struct mq_buf headers;        /* those of the request */
	uint32_t robin;               /* the partition of records without a key */
	struct mq_out **outs;         /* by partition; NULL: not used yet */
	struct mq_out *dirty, *full;  /* lists of them */
	struct mq_handles handles;    /* of those that are open */
	uint64_t full_bytes;          /* in all builders */
	uint64_t record_no;           /* the input's current record, from 1 */
	uint64_t routed;              /* records that have a partition */
	uint64_t sequence;            /* of a named producer: of the last record taken */
	bool sending_failed;          /* rule 4 */
	struct mq_zip zip;
	struct mq_buf zipped;
	struct mq_records part;       /* of a batch that goes in parts */
	uint32_t part_sent;           /* of what mq_publish_send was given last: records that were stored, whatever it answered */
	struct mq_dedupe_state dedupe;
	struct mq_pace pace;
	struct mq_syncer syncer;
	struct mq_run *runs;          /* only for confirmations */
	size_t runs_at, runs_n, runs_cap;
};

/* publish.c: the topic's facts are known after this, and it exists unless this is a dry run. */
int mq_publish_topic(struct mq_publish *pub);
/* The facts by which partitions are chosen, as they are now. */
int mq_publish_facts(struct mq_publish *pub, struct mq_topic_facts *ret);
/* Do records of this run wait? */
static inline bool mq_publish_delays(const struct mq_publish_request *req)
{
	return req->delay_ns > 0 || req->due_us > 0;
}
/* Out of memory, said. */
int mq_publish_no_memory(struct mq_publish *pub);

/* Input forms: read all of it.  publish_lines.c, publish_json.c, publish_frame.c, publish_whole.c */
int mq_publish_lines(struct mq_publish *pub, struct mq_input *in);
int mq_publish_json(struct mq_publish *pub, struct mq_input *in);
int mq_publish_frames(struct mq_publish *pub, struct mq_input *in);
int mq_publish_whole(struct mq_publish *pub, struct mq_input *in);
/* MQ_EINPUT: the current record is larger than the topic takes. */
int mq_publish_too_large(struct mq_publish *pub, struct mq_input *in);

/* publish_route.c: one record, with all it carries; or whole lines that carry nothing else. */
int mq_publish_record(struct mq_publish *pub, const struct mq_rec *r);
int mq_publish_plain_lines(struct mq_publish *pub, const char *lines, size_t len, size_t count);
/* Send what the builders hold. */
int mq_publish_flush(struct mq_publish *pub);
/* --ttl counts from when a record was read, or is due; --delay from when it was read. */
void mq_publish_set_expiry(struct mq_publish *pub);
/* The hook of mq_input: rule 3. */
int mq_publish_before_read(void *pub, struct mq_input *in);
/* The partition `p`, ready to be written to. */
int mq_publish_out(struct mq_publish *pub, uint32_t p, struct mq_out **ret);
/* The same, not open perhaps. */
int mq_publish_find_out(struct mq_publish *pub, uint32_t p, struct mq_out **ret);
/* Where a record goes (NULL: one without a key) while there are so many partitions. */
uint32_t mq_publish_choose(const struct mq_publish *pub, const struct mq_rec *r, uint32_t partitions);
/* Put it into the builder.  1: there is no room beside the others. */
int mq_publish_gather(struct mq_publish *pub, struct mq_out *out, const struct mq_rec *r, uint64_t ordinal, uint64_t sequence);
int mq_publish_send_builder(struct mq_publish *pub, struct mq_out *out);

/* publish_reroute.c: the topic has grown (-ESTALE): learn its facts, and put what no batch holds yet into the builders of the
 * partitions that it goes to now.  in_flight: the builder whose load was refused, part_sent of it were stored; NULL: none. */
int mq_publish_reroute(struct mq_publish *pub, struct mq_out *in_flight);

/* publish_named.c */
int mq_publish_hold(struct mq_publish *pub);
/* MQ_EINPUT: the topic holds numbers up to `last`, and --seq leaves some out. */
int mq_publish_check_gap(struct mq_publish *pub, uint64_t last);
int mq_publish_find(struct mq_publish *pub, struct mq_out *out);
/* Other partitions go with other generations: forget what is known of this one. */
void mq_publish_forget(struct mq_out *out);

/* publish_held.c.  True: the record of pub->sequence is held (and equal), it was counted as skipped; negative. */
int mq_publish_is_held(struct mq_publish *pub, const struct mq_rec *r);
/* Numbers up to *ret are held of records without a key. */
int mq_publish_held_to(struct mq_publish *pub, uint64_t *ret);
void mq_held_free(struct mq_held *h);

/* publish_send.c: what is to be stored; in one batch, or where the topic's limits want it in several. */
struct mq_load {
	enum mq_batch_kind kind;
	const void *body;
	uint32_t len, count;
	int64_t base_us, max_us;
	uint64_t last_sequence;
};
/* -ESTALE: the topic has grown, and but for pub->part_sent records nothing of it is stored. */
int mq_publish_send(struct mq_publish *pub, struct mq_out *out, const struct mq_load *l);
/* As one batch; -E2BIG: only in parts; -ESTALE. */
int mq_publish_send_batch(struct mq_publish *pub, struct mq_out *out, const struct mq_load *l);
/* publish_parts.c */
int mq_publish_walk(struct mq_publish *pub, const struct mq_load *l, struct mq_batch *ret_batch, struct mq_walk *ret);
int mq_publish_send_parts(struct mq_publish *pub, struct mq_out *out, const struct mq_load *whole);
/* A call that answered rc found no room (mq_ops_is_full): 0 when it may be made again, as when.full and --timeout say.
 * *wait is zero before the first time.  Who waits long is told so; mq_publish_space_came: the wait is over. */
struct mq_space_wait {
	int64_t since_ns, deadline_ns; /* deadline: -1: none */
	bool told;
};
int mq_publish_await_space(struct mq_publish *pub, struct mq_out *out, int rc, struct mq_space_wait *wait);
void mq_publish_space_came(struct mq_publish *pub, const struct mq_out *out, const struct mq_space_wait *wait);
/* Wait until `until_ns`; -EINTR when asked to stop. */
int mq_publish_sleep(struct mq_publish *pub, int64_t until_ns);

/* publish_dedupe.c.  Is this load to be sent by the second one?  That answers as mq_publish_send does. */
bool mq_publish_looks_for_ids(const struct mq_publish *pub, const struct mq_out *out, enum mq_batch_kind kind);
int mq_publish_send_new(struct mq_publish *pub, struct mq_out *out, const struct mq_load *l);
/* A part of what is stored, to be told when the lock is let go. */
int mq_publish_note_part(struct mq_publish *pub, const struct mq_ticket *t, uint64_t count);
void mq_publish_dedupe_end(struct mq_publish *pub);

/* publish_wait.c */
int mq_publish_sent(struct mq_publish *pub, struct mq_out *out, const struct mq_ticket *t, uint64_t count, bool skipped);
/* One that is not stored, since one of its id lies there; safe with t, NULL: it is. */
int mq_publish_sent_before(struct mq_publish *pub, struct mq_out *out, const struct mq_ticket *t, uint32_t partition, uint64_t offset);
/* Let the sync thread wait for what was sent, if it has nothing else to do; confirm what it found safe. */
int mq_publish_hand_over(struct mq_publish *pub);
/* Wait for all that was sent. */
int mq_publish_settle(struct mq_publish *pub);
void mq_publish_wait_end(struct mq_publish *pub);

/* publish_confirm.c */
int mq_publish_note_run(struct mq_publish *pub, struct mq_out *out, uint64_t count);
/* The last n that were noted are not routed yet. */
void mq_publish_unnote_run(struct mq_publish *pub, uint64_t n);
/* Records, by what was routed before each, rising, go elsewhere. */
struct mq_moved {
	uint64_t ordinal;
	struct mq_out *out;
};
int mq_publish_move_runs(struct mq_publish *pub, const struct mq_moved *moved, size_t n);
void mq_publish_confirm(struct mq_publish *pub);
/* All that is left was not stored, for this reason; `more` records of the input beyond what was routed. */
void mq_publish_confirm_rest(struct mq_publish *pub, uint64_t more);

#endif
