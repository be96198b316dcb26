/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * topic.conf: a topic's id, its partitions and what its owner set.
 *
 *     struct mq_topic_conf c;
 *     mq_topic_conf_init(&c, NULL);
 *     rc = mq_topic_conf_parse(&c, text, len, err);   … mq_topic_conf_release(&c);
 *
 * Only keys that were set are printed, so a default that changes later changes for everybody who did
 * not decide.  Keys that this version does not know, and comments, are kept as they came; a user
 * cannot set them.
 */
#ifndef MQ_FORMAT_CONF_TOPIC_H
#define MQ_FORMAT_CONF_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/batch.h"

enum { MQ_PARTITIONS_MAX = 10000, MQ_GENERATIONS_MAX = 64, MQ_INTERNAL_TEXT_MAX = 440 };

enum mq_when_full { MQ_WHEN_FULL_BLOCK, MQ_WHEN_FULL_FAIL, MQ_WHEN_FULL_DROP_OLDEST };
enum mq_cleanup { MQ_CLEANUP_DELETE, MQ_CLEANUP_COMPACT, MQ_CLEANUP_COMPACT_DELETE };

/* A generation of the partition count: batches carry the number they were routed under. */
struct mq_topic_generation {
	uint32_t number, partitions;
	bool no_barrier; /* it began without one: the order of a key's records across it was given up */
};

struct mq_topic_conf {
	uint8_t id[16];
	uint8_t of[16];                          /* of an internal topic: the id of the topic it belongs to */
	char internal[MQ_INTERNAL_TEXT_MAX + 1]; /* and what it is; else empty */
	uint32_t partitions; /* those of the last generation */
	uint32_t n_generations;
	struct mq_topic_generation generations[MQ_GENERATIONS_MAX]; /* numbers rise; the last one holds */
	/* A growth that was begun.  Its number is above the last one's: it did not come about, and no other may have that number.
	 * The last one's: it did, and this file may not be durable yet.  partitions 0: none. */
	struct mq_topic_generation growing;

	/* Every one an int64_t, so that one table describes them; -1: none. */
	int64_t retention_ms;         /* retention.ms */
	int64_t retention_bytes;      /* retention.bytes */
	int64_t segment_bytes;        /* segment.bytes; see mq_topic_conf_segment_bytes */
	int64_t segment_ms;           /* segment.ms */
	int64_t max_message_bytes;    /* max.message.bytes */
	int64_t compression;          /* compression.type: enum mq_batch_zip */
	int64_t min_ack;              /* min.ack: enum mq_ack */
	int64_t max_bytes;            /* max.bytes */
	int64_t max_messages;         /* max.messages */
	int64_t when_full;            /* when.full: enum mq_when_full */
	int64_t cleanup;              /* cleanup.policy: enum mq_cleanup */
	int64_t dirty_millionths;     /* min.cleanable.dirty.ratio */
	int64_t delete_retention_ms;  /* delete.retention.ms */
	int64_t ttl_ms;               /* ttl.ms */
	int64_t expired_dead;         /* expired.dead: 0, 1 */
	int64_t min_insync_replicas;  /* min.insync.replicas */
	int64_t dedupe_ms;            /* dedupe.ms */
	int64_t dedupe_count;         /* dedupe.count */

	uint32_t set;        /* bit i: key i of the table was set */
	struct mq_buf kept;  /* lines not understood */
};

/* defaults: another topic's conf to take what is not set from (the spool's); NULL: the built-in ones. */
void mq_topic_conf_init(struct mq_topic_conf *c, const struct mq_topic_conf *defaults);
void mq_topic_conf_release(struct mq_topic_conf *c);

/* Read a file's text into c, which was just init'ed.  id and partitions must be there.  MQ_ECONFIG with line and
 * reason; -ENOMEM. */
int mq_topic_conf_parse(struct mq_topic_conf *c, const char *text, size_t len, struct mq_err *err);

/* As a user asks: a known key that may be set, a value within its bounds; else MQ_EUSAGE, c unchanged. */
int mq_topic_conf_set(struct mq_topic_conf *c, const char *key, const char *value, struct mq_err *err);
/* The same from "KEY=VALUE". */
int mq_topic_conf_set_pair(struct mq_topic_conf *c, const char *pair, struct mq_err *err);

/* The first generation (0), or a further one, with a number not used before.  MQ_EUSAGE: not more than before, or too many. */
int mq_topic_conf_add_generation(struct mq_topic_conf *c, uint32_t number, uint32_t partitions, struct mq_err *err);
static inline uint32_t mq_topic_conf_generation(const struct mq_topic_conf *c)
{
	return c->n_generations ? c->generations[c->n_generations - 1].number : 0;
}

/* Add the file's text to out. */
int mq_topic_conf_print(const struct mq_topic_conf *c, struct mq_buf *out);

/* True for a key that a user may set. */
bool mq_topic_conf_knows(const char *key, size_t len);

/* Step through all keys a user may set: i from 0; 1, 0 at the end, -ENOMEM.  value is replaced and NUL-terminated. */
int mq_topic_conf_at(const struct mq_topic_conf *c, size_t i, const char **ret_key, struct mq_buf *value,
                     bool *ret_is_default);

/* Where a segment rolls: segment.bytes, and never more than an eighth of max.bytes. */
static inline uint64_t mq_topic_conf_segment_bytes(const struct mq_topic_conf *c)
{
	int64_t eighth = c->max_bytes / 8;
	return (uint64_t)(c->max_bytes > 0 && eighth < c->segment_bytes ? eighth : c->segment_bytes);
}

#endif
