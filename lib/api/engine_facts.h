/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an engine tells of what it keeps, and is told (engine.h): topics, logs, places, members. */
#ifndef MQ_API_ENGINE_FACTS_H
#define MQ_API_ENGINE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/batch.h"
#include "format/conf_topic.h"
#include "format/control.h"

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
	uint32_t generation;       /* of the partition count: of the last of those that follow */
	struct mq_topic_generation generations[MQ_GENERATIONS_MAX];
	uint32_t n_generations;
	uint32_t max_message_bytes;
	enum mq_batch_zip zip;
	enum mq_ack min_ack;
	bool replicated;
	enum { MQ_FULL_BLOCK, MQ_FULL_FAIL, MQ_FULL_DROP_OLDEST } when_full;
	int64_t ttl_us;            /* 0: none */
	bool expired_dead;         /* what a handler would have got, had it not expired, becomes a dead letter */
	int64_t retention_us, retention_bytes; /* -1: without limit */
	bool dedupe;               /* ids are looked for before a record that has one is stored */
	bool deletes, compacts;    /* cleanup.policy: old records go; of each key all but the last one */
};

/* What lies in one piece that is not appended to any more, and goes as a whole. */
struct mq_old_part {
	uint64_t base, end;        /* offsets */
	uint64_t bytes;
	int64_t batch_us, file_us; /* when it was written last, by its writer's clock and by the file system's; INT64_MIN: nobody can tell */
};

struct mq_part_span {               /* of a partition */
	uint32_t partition;
	uint64_t from, to;         /* offsets */
};

struct mq_gone {               /* parts that were removed, added up */
	uint64_t parts, bytes;     /* of the log */
	uint64_t dead, dead_bytes; /* of no log any more */
};

struct mq_compacted_parts {    /* added up */
	uint64_t parts, bytes;     /* for which others stand now */
	uint64_t made_bytes;       /* of those */
	uint64_t records;          /* that went */
	uint64_t damaged;          /* parts that do not verify, and stay */
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
	/* The topic has grown right before it, perhaps more than once: up to where other partitions are to be done before this is
	 * given out, or the order of keys is lost. */
	const struct mq_barrier *barriers;
	size_t n_barriers;
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
	uint32_t generation;      /* of the partition's ownership: it rises with each eviction, and durably, before its owner acts */
	uint32_t seeks;
	uint64_t lost, expired;   /* passed so far */
	uint64_t acked_above;     /* acknowledged beyond it from outside */
	int64_t time_us;          /* when it was committed; 0: not known */
	bool grown;               /* not set, and the partition came when the group read the topic already: at the beginning */
};

struct mq_room_marks {        /* of a partition of a waiting room, at the last look */
	uint64_t seen;            /* up to where it was looked at */
	uint64_t floor;           /* what lies below is needed no more */
	bool delivered;           /* something was, and */
	uint64_t last;            /* this is the note of the last delivery */
};

struct mq_claimed {           /* of a shared partition */
	uint64_t from, to;
	uint16_t attempt;         /* how often it was given back as failed */
};

struct mq_share_facts {
	bool now;                 /* members share it at this moment */
	bool ever;                /* it was shared since the group's place was set, and what follows is known */
	uint64_t base;            /* all below is done */
	uint64_t in_flight, done_above; /* records given out; done beyond base */
};

/* What a group has of one partition. */
struct mq_part_facts {
	struct mq_place place;
	bool owned, owner_unknown; /* unknown: not for this user to ask */
	int64_t pid;              /* of the owner; -1: unknown */
	char member[64];          /* its name; empty: unknown */
	bool handler_left;        /* nobody's, and a killed owner's handler holds it */
	struct mq_share_facts share;
	struct mq_err share_why;  /* with a code: nothing but share.now is known of that */
	const struct mq_group_holder *holders; /* who else holds it; valid during the call */
	size_t n_holders;
};

struct mq_group_holder;      /* mq.h; and these */
struct mq_member_info;
struct mq_rebalance_request;
struct mq_rebalance_report;

/* What a member says of itself as it joins; borrowed for the call. */
struct mq_wish {
	const char *const *topics; /* what it is going to read: TOPIC, or TOPIC:P where it wants that partition and no other */
	size_t n_topics;
	const char *room;          /* where it runs, as its user calls it; NULL: nowhere */
};

struct mq_evicted {           /* who was */
	char member[64];          /* name; empty: unknown */
	int64_t pid;              /* -1: unknown */
	bool handler_left;        /* not it, which is dead, but a handler of its own */
	uint32_t generation;      /* the one that begins */
};

enum mq_had { MQ_HAD_OTHERWISE, MQ_HAD_BY_NOBODY, MQ_HAD_BY_MEMBER };                     /* member: a living one, another */
enum mq_whose { MQ_WHOSE_ANYBODYS, MQ_WHOSE_MINE, MQ_WHOSE_OTHERS, MQ_WHOSE_NOBODYS }; /* as enum mq_plan_whose */

#endif
