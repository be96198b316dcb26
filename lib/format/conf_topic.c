/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/conf_topic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/parse.h"
#include "format/batch.h"
#include "format/conf_keys.h"
#include "format/segment_header.h"

#define AT(member) offsetof(struct mq_topic_conf, member)
#define MS_MAX (INT64_MAX / 1000000) /* so that nanoseconds fit */

enum { SEGMENT_BYTES_MIN = 4096, MESSAGE_BYTES_MAX = 1 << 30, DAY_MS = 86400000 };

/* The order is that of the bits in `set` within one process only: nothing on disk depends on it. */
static const struct mq_conf_key KEYS[] = {
	{"retention.ms", MQ_CONF_MS, AT(retention_ms), -1, MS_MAX, -1, NULL},
	{"retention.bytes", MQ_CONF_BYTES, AT(retention_bytes), -1, INT64_MAX, -1, NULL},
	{"segment.bytes", MQ_CONF_BYTES, AT(segment_bytes), SEGMENT_BYTES_MIN, INT64_MAX / 2, 1 << 30, NULL},
	{"segment.ms", MQ_CONF_MS, AT(segment_ms), 1, MS_MAX, 7ll * DAY_MS, NULL},
	{"max.message.bytes", MQ_CONF_BYTES, AT(max_message_bytes), 1, MESSAGE_BYTES_MAX, 1 << 20, NULL},
	{"compression.type", MQ_CONF_WORD, AT(compression), 0, 0, 0, "none|zstd"},
	{"min.ack", MQ_CONF_WORD, AT(min_ack), 0, 0, 0, "none|written|durable"},
	{"max.bytes", MQ_CONF_BYTES, AT(max_bytes), -1, INT64_MAX, -1, NULL},
	{"max.messages", MQ_CONF_COUNT, AT(max_messages), -1, INT64_MAX, -1, NULL},
	{"when.full", MQ_CONF_WORD, AT(when_full), 0, 0, 0, "block|fail|drop-oldest"},
	{"cleanup.policy", MQ_CONF_WORD, AT(cleanup), 0, 0, 0, "delete|compact|compact,delete"},
	{"min.cleanable.dirty.ratio", MQ_CONF_RATIO, AT(dirty_millionths), 0, 1000000, 500000, NULL},
	{"delete.retention.ms", MQ_CONF_MS, AT(delete_retention_ms), -1, MS_MAX, DAY_MS, NULL},
	{"ttl.ms", MQ_CONF_MS, AT(ttl_ms), -1, MS_MAX, -1, NULL},
	{"expired.dead", MQ_CONF_WORD, AT(expired_dead), 0, 0, 0, "false|true"},
	{"min.insync.replicas", MQ_CONF_COUNT, AT(min_insync_replicas), 1, 100, 2, NULL},
	{"dedupe.ms", MQ_CONF_MS, AT(dedupe_ms), -1, MS_MAX, -1, NULL},
	{"dedupe.count", MQ_CONF_COUNT, AT(dedupe_count), -1, INT64_MAX, -1, NULL},
};
enum { N_KEYS = sizeof KEYS / sizeof KEYS[0] };
_Static_assert(N_KEYS <= 32, "a bit of `set` for each key");

void mq_topic_conf_init(struct mq_topic_conf *c, const struct mq_topic_conf *defaults)
{
	memset(c, 0, sizeof *c);
	for (size_t i = 0; i < N_KEYS; i++)
		if (defaults)
			*(int64_t *)(void *)((char *)c + KEYS[i].at) = mq_conf_key_value(&KEYS[i], defaults);
		else
			mq_conf_key_default(&KEYS[i], c);
}

void mq_topic_conf_release(struct mq_topic_conf *c)
{
	if (c)
		mq_buf_release(&c->kept);
}

int mq_topic_conf_add_generation(struct mq_topic_conf *c, uint32_t number, uint32_t partitions, struct mq_err *err)
{
	const struct mq_topic_generation *last = c->n_generations ? &c->generations[c->n_generations - 1] : NULL;
	if (partitions < 1 || partitions > MQ_PARTITIONS_MAX)
		return mq_err_set(err, MQ_EUSAGE, "%" PRIu32 " partitions: must be 1 to %d", partitions,
		                  MQ_PARTITIONS_MAX);
	if (last && partitions <= last->partitions)
		return mq_err_set(err, MQ_EUSAGE, "%" PRIu32 " partitions: there are %" PRIu32 ", and there can only be more",
		                  partitions, last->partitions);
	if (last && number <= last->number)
		return mq_err_set(err, MQ_EUSAGE, "generation %" PRIu32 " comes after %" PRIu32, number, last->number);
	if (c->n_generations == MQ_GENERATIONS_MAX)
		return mq_err_set(err, MQ_EUSAGE, "the number of partitions was changed %d times: no more",
		                  MQ_GENERATIONS_MAX - 1);
	c->generations[c->n_generations++] = (struct mq_topic_generation){number, partitions, false};
	c->partitions = partitions;
	return 0;
}

/* "1:8" or "1:8/no-barrier": 0 and what was used of the text, or negative. */
static int parse_generation(const char *text, const char *end, struct mq_topic_generation *ret, size_t *ret_used)
{
	static const char free_of_order[] = "/no-barrier";
	const size_t len = sizeof free_of_order - 1;
	const char *at = text;
	uint64_t number, partitions;
	size_t used;

	if (mq_to_u64_prefix(at, (size_t)(end - at), &number, &used) < 0 || number > UINT32_MAX)
		return MQ_EUSAGE;
	at += used;
	if (at == end || *at++ != ':' || mq_to_u64_prefix(at, (size_t)(end - at), &partitions, &used) < 0 || partitions > UINT32_MAX)
		return MQ_EUSAGE;
	at += used;
	*ret = (struct mq_topic_generation){(uint32_t)number, (uint32_t)partitions, false};
	if ((size_t)(end - at) >= len && memcmp(at, free_of_order, len) == 0) {
		ret->no_barrier = true;
		at += len;
	}
	*ret_used = (size_t)(at - text);
	return 0;
}

/* "0:4,1:8": number:partitions. */
static int parse_generations(struct mq_topic_conf *c, const char *text, size_t len, struct mq_err *err)
{
	const char *end = text + len;
	c->n_generations = 0;
	for (;;) {
		struct mq_topic_generation g;
		size_t used;
		if (parse_generation(text, end, &g, &used) < 0)
			break;
		text += used;
		int rc = mq_topic_conf_add_generation(c, g.number, g.partitions, err);
		if (rc < 0)
			return rc;
		c->generations[c->n_generations - 1].no_barrier = g.no_barrier;
		if (text == end)
			return 0;
		if (*text++ != ',')
			break;
	}
	return mq_err_set(err, MQ_EUSAGE, "generations: must be NUMBER:PARTITIONS,... with both rising");
}

static int parse_growing(struct mq_topic_conf *c, const char *text, size_t len, struct mq_err *err)
{
	size_t used;
	if (parse_generation(text, text + len, &c->growing, &used) < 0 || used != len || c->growing.partitions < 1 ||
	    c->growing.partitions > MQ_PARTITIONS_MAX)
		return mq_err_set(err, MQ_EUSAGE, "growing: must be NUMBER:PARTITIONS");
	return 0;
}

/* What is parsed into, and what was seen beside the table's keys. */
struct seen {
	struct mq_topic_conf *c;
	bool id;
	uint64_t partitions; /* 0: not there */
};

static int parse_item(void *arg, const struct mq_conf_item *item, struct mq_err *err)
{
	struct seen *seen = arg;
	struct mq_topic_conf *c = seen->c;
	const struct mq_conf_key *k = mq_conf_key_find(KEYS, N_KEYS, item->key, item->key_len);

	if (k) {
		c->set |= 1u << (k - KEYS);
		return mq_conf_key_set(k, c, item->value, item->value_len, err);
	}
	if (mq_conf_key_is(item, "id")) {
		seen->id = true;
		if (mq_to_hex(item->value, item->value_len, c->id, sizeof c->id) < 0)
			return mq_err_set(err, MQ_EUSAGE, "id: must be 32 hexadecimal digits");
		return 0;
	}
	if (mq_conf_key_is(item, "of")) {
		if (mq_to_hex(item->value, item->value_len, c->of, sizeof c->of) < 0)
			return mq_err_set(err, MQ_EUSAGE, "of: must be 32 hexadecimal digits");
		return 0;
	}
	if (mq_conf_key_is(item, "internal")) {
		if (item->value_len > MQ_INTERNAL_TEXT_MAX)
			return mq_err_set(err, MQ_EUSAGE, "internal: longer than %d bytes", MQ_INTERNAL_TEXT_MAX);
		snprintf(c->internal, sizeof c->internal, "%.*s", (int)item->value_len, item->value);
		return 0;
	}
	if (mq_conf_key_is(item, "sum"))
		return 0; /* mq-check looks at it */
	if (mq_conf_key_is(item, "generations"))
		return parse_generations(c, item->value, item->value_len, err);
	if (mq_conf_key_is(item, "growing"))
		return parse_growing(c, item->value, item->value_len, err);
	if (mq_conf_key_is(item, "partitions")) {
		size_t used;
		if (mq_to_u64_prefix(item->value, item->value_len, &seen->partitions, &used) < 0 ||
		    used != item->value_len || seen->partitions < 1 || seen->partitions > MQ_PARTITIONS_MAX)
			return mq_err_set(err, MQ_EUSAGE, "partitions: must be 1 to %d", MQ_PARTITIONS_MAX);
		return 0;
	}
	int rc = mq_buf_add(&c->kept, item->line, item->line_len);
	return rc < 0 ? rc : mq_buf_add_byte(&c->kept, '\n');
}

int mq_topic_conf_parse(struct mq_topic_conf *c, const char *text, size_t len, struct mq_err *err)
{
	struct seen seen = {c, false, 0};
	int rc = mq_conf_each(text, len, &c->kept, parse_item, &seen, err);

	if (rc < 0)
		return rc;
	if (!seen.id)
		return mq_err_set(err, MQ_ECONFIG, "no id in it");
	if (!seen.partitions && !c->n_generations)
		return mq_err_set(err, MQ_ECONFIG, "no partitions in it");
	if (!c->n_generations)
		return mq_topic_conf_add_generation(c, 0, (uint32_t)seen.partitions, err);
	if (seen.partitions && seen.partitions != c->partitions)
		return mq_err_set(err, MQ_ECONFIG, "partitions=%" PRIu64 " but the last of generations has %" PRIu32,
		                  seen.partitions, c->partitions);
	if (c->growing.partitions && c->growing.number < mq_topic_conf_generation(c))
		return mq_err_set(err, MQ_ECONFIG, "growing=%" PRIu32 " but the last of generations is %" PRIu32, c->growing.number,
		                  mq_topic_conf_generation(c));
	return 0;
}

/* A limit below the smallest segment of one record would only say "full" for ever.  Asked where it is set: a file that has
 * one is no reason to refuse the topic. */
static int check_limit(const struct mq_topic_conf *c, struct mq_err *err)
{
	const int least = MQ_SEGMENT_HEADER_LEN + MQ_BATCH_HEADER_LEN + 1;

	if (c->max_bytes <= 0 || c->max_bytes >= least)
		return 0;
	return mq_err_set(err, MQ_EUSAGE, "max.bytes=%" PRId64 ": the smallest record with what is around it takes %d; -1 for none",
	                  c->max_bytes, least);
}

static int set_key(struct mq_topic_conf *c, const char *key, size_t key_len, const char *value, struct mq_err *err)
{
	const struct mq_conf_key *k = mq_conf_key_find(KEYS, N_KEYS, key, key_len);
	if (k) {
		int rc = mq_conf_key_set(k, c, value, strlen(value), err);
		if (rc == 0)
			rc = check_limit(c, err);
		if (rc == 0)
			c->set |= 1u << (k - KEYS);
		return rc;
	}
	static const char *const fixed[] = {"id", "partitions", "generations", "growing", "internal", "of", "sum"};
	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		if (strlen(fixed[i]) == key_len && memcmp(key, fixed[i], key_len) == 0)
			return mq_err_set(err, MQ_EUSAGE, "%s cannot be set%s", fixed[i],
			                  strcmp(fixed[i], "partitions") ? "" : ": mq-rebalance TOPIC --partitions N gives a topic more");
	return mq_err_set(err, MQ_EUSAGE, "no such key: %.*s (see CONFIGURATION in mq-topic(1))", (int)(key_len > 200 ? 200 : key_len), key);
}

bool mq_topic_conf_knows(const char *key, size_t len)
{
	return mq_conf_key_find(KEYS, N_KEYS, key, len);
}

int mq_topic_conf_set(struct mq_topic_conf *c, const char *key, const char *value, struct mq_err *err)
{
	return set_key(c, key, strlen(key), value, err);
}

int mq_topic_conf_set_pair(struct mq_topic_conf *c, const char *pair, struct mq_err *err)
{
	const char *equals = strchr(pair, '=');
	if (!equals)
		return mq_err_set(err, MQ_EUSAGE, "'%s' is not KEY=VALUE", pair);
	return set_key(c, pair, (size_t)(equals - pair), equals + 1, err);
}

static int print_generation(const struct mq_topic_generation *g, const char *before, struct mq_buf *out)
{
	return mq_buf_printf(out, "%s%" PRIu32 ":%" PRIu32 "%s", before, g->number, g->partitions, g->no_barrier ? "/no-barrier" : "");
}

int mq_topic_conf_print(const struct mq_topic_conf *c, struct mq_buf *out)
{
	char id[33];
	size_t from = out->len;
	mq_hex(c->id, sizeof c->id, id);
	int rc = mq_buf_printf(out, "id=%s\npartitions=%" PRIu32 "\ngenerations=", id, c->partitions);
	for (uint32_t i = 0; rc == 0 && i < c->n_generations; i++)
		rc = print_generation(&c->generations[i], i ? "," : "", out);
	if (rc == 0 && c->growing.partitions)
		rc = print_generation(&c->growing, "\ngrowing=", out);
	if (rc == 0)
		rc = mq_buf_add_byte(out, '\n');
	if (rc == 0 && c->internal[0]) {
		mq_hex(c->of, sizeof c->of, id);
		rc = mq_buf_printf(out, "internal=%s\nof=%s\n", c->internal, id);
	}
	if (rc == 0)
		rc = mq_conf_keys_print(KEYS, N_KEYS, c->set, c, out);
	if (rc == 0)
		rc = mq_buf_add(out, c->kept.p, c->kept.len);
	return rc < 0 ? rc : mq_conf_seal(out, from);
}

int mq_topic_conf_at(const struct mq_topic_conf *c, size_t i, const char **ret_key, struct mq_buf *value,
                     bool *ret_is_default)
{
	if (i >= N_KEYS)
		return 0;
	mq_buf_clear(value);
	int rc = mq_conf_key_print(&KEYS[i], c, value);
	if (rc == 0)
		rc = mq_buf_add_byte(value, 0);
	if (rc < 0)
		return rc;
	value->len--;
	*ret_key = KEYS[i].name;
	*ret_is_default = !(c->set & 1u << i);
	return 1;
}
