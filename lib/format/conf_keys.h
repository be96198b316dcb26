/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of configuration keys over the int64_t members of a struct: one place for each key's name,
 * bounds, default and way of being written.  conf_topic and conf_spool are two such tables.
 *
 * In files and on command lines alike, *.bytes take "64K" and *.ms take "7d"; printed they are plain
 * numbers, as Kafka's.
 */
#ifndef MQ_FORMAT_CONF_KEYS_H
#define MQ_FORMAT_CONF_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"

enum mq_conf_type {
	MQ_CONF_COUNT,
	MQ_CONF_BYTES,
	MQ_CONF_MS,
	MQ_CONF_WORD,  /* one of words: "none|zstd", the value is its place */
	MQ_CONF_OCTAL,
	MQ_CONF_RATIO, /* 0 to 1 in decimals, the value is in millionths */
};

struct mq_conf_key {
	const char *name;
	enum mq_conf_type type;
	size_t at;            /* offset of an int64_t in the struct */
	int64_t min, max;     /* min -1: "-1" means none */
	int64_t normal;       /* the default */
	const char *words;    /* of MQ_CONF_WORD */
};

void mq_conf_key_default(const struct mq_conf_key *k, void *conf);
int64_t mq_conf_key_value(const struct mq_conf_key *k, const void *conf);

/* Set the member from text.  0, or MQ_EUSAGE with a reason that names the key and what is right. */
int mq_conf_key_set(const struct mq_conf_key *k, void *conf, const char *text, size_t len, struct mq_err *err);

/* Add the value as it stands in a file.  0 or -ENOMEM. */
int mq_conf_key_print(const struct mq_conf_key *k, const void *conf, struct mq_buf *out);

/* Add a line for each of the n keys whose bit is in `set`.  0 or -ENOMEM. */
int mq_conf_keys_print(const struct mq_conf_key *keys, size_t n, uint32_t set, const void *conf, struct mq_buf *out);

/* The key of that name among n; NULL. */
const struct mq_conf_key *mq_conf_key_find(const struct mq_conf_key *keys, size_t n, const char *name, size_t len);

/* fn for each item of a file's text; its comments are added to `comments`.  A value that fn refuses with MQ_EUSAGE is
 * MQ_ECONFIG here, with the line: in a file it is the file that is wrong. */
int mq_conf_each(const char *text, size_t len, struct mq_buf *comments,
                 int (*fn)(void *arg, const struct mq_conf_item *item, struct mq_err *err), void *arg, struct mq_err *err);

/*
 * The last line of a file that mq wrote: "sum=" and the CRC32C of all text before it, 8 hexadecimal digits.  Readers pass over
 * it, for people may edit these files; mq-check tells where it does not hold, since a slip of the hand and a
 * flipped bit look alike.
 */
int mq_conf_seal(struct mq_buf *out, size_t from); /* of the text from there on; 0 or -ENOMEM */
bool mq_conf_sealed(const char *text, size_t len);

#endif
