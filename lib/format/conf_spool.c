/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/conf_spool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/conf.h"
#include "base/parse.h"
#include "format/conf_keys.h"

#define AT(member) offsetof(struct mq_spool_conf, member)

static const struct mq_conf_key KEYS[] = {
    {"mode", MQ_CONF_OCTAL, AT(mode), 0600, 0666, 0640, NULL},
    {"auto.create.topics", MQ_CONF_WORD, AT(auto_create), 0, 0, 1, "false|true"},
    {"allow.any.filesystem", MQ_CONF_WORD, AT(any_filesystem), 0, 0, 0, "false|true"},
    {"num.partitions", MQ_CONF_COUNT, AT(num_partitions), 1, MQ_PARTITIONS_MAX, 1, NULL},
    {"auto.commit.interval.ms", MQ_CONF_MS, AT(commit_interval_ms), 0, INT64_MAX / 1000000, 5000, NULL},
    {"offsets.retention.minutes", MQ_CONF_COUNT, AT(offsets_minutes), 1, INT64_MAX / 60000000, 7 * 24 * 60, NULL},
};
enum { N_KEYS = sizeof KEYS / sizeof KEYS[0] };

static const char DEFAULT[] = "default.";
enum { DEFAULT_LEN = sizeof DEFAULT - 1, KEY_MAX = 64, VALUE_MAX = 64 };

void mq_spool_conf_init(struct mq_spool_conf *c)
{
	memset(c, 0, sizeof *c);
	for (size_t i = 0; i < N_KEYS; i++)
		mq_conf_key_default(&KEYS[i], c);
	mq_topic_conf_init(&c->defaults, NULL);
}

void mq_spool_conf_release(struct mq_spool_conf *c)
{
	if (!c)
		return;
	mq_buf_release(&c->kept);
	mq_topic_conf_release(&c->defaults);
}

static bool is_default(const char *key, size_t len)
{
	return len > DEFAULT_LEN && memcmp(key, DEFAULT, DEFAULT_LEN) == 0;
}

/* 1: the key is in the table, or is a topic's default that this version knows; 0: unknown; MQ_EUSAGE. */
static int set_known(struct mq_spool_conf *c, const char *key, size_t key_len, const char *value, size_t value_len,
                     struct mq_err *err)
{
	const struct mq_conf_key *k = mq_conf_key_find(KEYS, N_KEYS, key, key_len);
	if (k) {
		int rc = mq_conf_key_set(k, c, value, value_len, err);
		if (rc < 0)
			return rc;
		c->set |= 1u << (k - KEYS);
		return 1;
	}
	if (!is_default(key, key_len) || !mq_topic_conf_knows(key + DEFAULT_LEN, key_len - DEFAULT_LEN))
		return 0;
	char topic_key[KEY_MAX], text[VALUE_MAX];
	if (value_len >= sizeof text)
		return mq_err_set(err, MQ_EUSAGE, "a value of %zu bytes is too long", value_len);
	memcpy(topic_key, key + DEFAULT_LEN, key_len - DEFAULT_LEN);
	topic_key[key_len - DEFAULT_LEN] = 0;
	memcpy(text, value, value_len);
	text[value_len] = 0;
	int rc = mq_topic_conf_set(&c->defaults, topic_key, text, err);
	return rc < 0 ? rc : 1;
}

struct seen {
	struct mq_spool_conf *c;
	bool format, id;
};

static int parse_format(const struct mq_conf_item *item, struct mq_err *err)
{
	uint64_t format;
	size_t used;
	if (mq_to_u64_prefix(item->value, item->value_len, &format, &used) < 0 || used != item->value_len)
		return mq_err_set(err, MQ_EUSAGE, "format: must be a number");
	if (format != MQ_SPOOL_FORMAT)
		return mq_err_set(err, MQ_EUSAGE, "the spool has format %" PRIu64 ", which needs %s mq", format,
		                  format > MQ_SPOOL_FORMAT ? "a newer" : "another");
	return 0;
}

static int parse_item(void *arg, const struct mq_conf_item *item, struct mq_err *err)
{
	struct seen *seen = arg;
	struct mq_spool_conf *c = seen->c;

	if (mq_conf_key_is(item, "format")) {
		seen->format = true;
		return parse_format(item, err);
	}
	if (mq_conf_key_is(item, "id")) {
		seen->id = true;
		if (mq_to_hex(item->value, item->value_len, c->id, sizeof c->id) < 0)
			return mq_err_set(err, MQ_EUSAGE, "id: must be 32 hexadecimal digits");
		return 0;
	}
	if (mq_conf_key_is(item, "inode")) {
		size_t used;
		if (mq_to_u64_prefix(item->value, item->value_len, &c->inode, &used) < 0 || used != item->value_len)
			return mq_err_set(err, MQ_EUSAGE, "inode: must be a number");
		return 0;
	}
	if (mq_conf_key_is(item, "sum"))
		return 0; /* mq-check looks at it */
	int rc = set_known(c, item->key, item->key_len, item->value, item->value_len, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = mq_buf_add(&c->kept, item->line, item->line_len);
	return rc < 0 ? rc : mq_buf_add_byte(&c->kept, '\n');
}

int mq_spool_conf_parse(struct mq_spool_conf *c, const char *text, size_t len, struct mq_err *err)
{
	struct seen seen = {c, false, false};
	int rc = mq_conf_each(text, len, &c->kept, parse_item, &seen, err);

	if (rc < 0)
		return rc;
	if (!seen.format || !seen.id)
		return mq_err_set(err, MQ_ECONFIG, "no %s in it", seen.format ? "id" : "format");
	return 0;
}

int mq_spool_conf_set(struct mq_spool_conf *c, const char *key, const char *value, struct mq_err *err)
{
	int rc = set_known(c, key, strlen(key), value, strlen(value), err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (!strcmp(key, "format") || !strcmp(key, "id") || !strcmp(key, "inode") || !strcmp(key, "sum"))
		return mq_err_set(err, MQ_EUSAGE, "%s cannot be set", key);
	return mq_err_set(err, MQ_EUSAGE, "no such key: %s", key);
}

static int print_line(const struct mq_conf_key *k, const struct mq_spool_conf *c, struct mq_buf *out)
{
	int rc = mq_buf_printf(out, "%s=", k->name);
	if (rc == 0)
		rc = mq_conf_key_print(k, c, out);
	return rc < 0 ? rc : mq_buf_add_byte(out, '\n');
}

static int print_defaults(const struct mq_spool_conf *c, struct mq_buf *out)
{
	struct mq_buf value = MQ_BUF_INIT;
	const char *key;
	bool unset;
	int rc;
	for (size_t i = 0; (rc = mq_topic_conf_at(&c->defaults, i, &key, &value, &unset)) > 0; i++)
		if (!unset && (rc = mq_buf_printf(out, "%s%s=%s\n", DEFAULT, key, value.p)) < 0)
			break;
	mq_buf_release(&value);
	return rc;
}

int mq_spool_conf_print(const struct mq_spool_conf *c, struct mq_buf *out)
{
	char id[33];
	size_t from = out->len;
	mq_hex(c->id, sizeof c->id, id);
	int rc = mq_buf_printf(out, "format=%d\nid=%s\ninode=%" PRIu64 "\n", MQ_SPOOL_FORMAT, id, c->inode);
	for (size_t i = 0; rc == 0 && i < N_KEYS; i++)
		if (c->set & 1u << i)
			rc = print_line(&KEYS[i], c, out);
	if (rc == 0)
		rc = print_defaults(c, out);
	if (rc == 0)
		rc = mq_buf_add(out, c->kept.p, c->kept.len);
	return rc < 0 ? rc : mq_conf_seal(out, from);
}
