/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * group.conf: how a group's partitions are assigned to its members (assign.h says what each strategy does).
 *
 *     strategy=sticky          average, circle, sticky, hash, room, nearby or config
 *     strategy.within=sticky   with room and nearby: how each room's members share its partitions, and all members the rest;
 *                              average, circle, sticky or hash
 *     virtual.nodes=100        of each member on the ring of hash; 1 to 1000
 *     room.NAME=0-3,8          partitions of a room; a partition is in one room at most
 *     assign.NAME=east-*:0-3   with config: partitions of the members whose host or name matches the pattern before the last
 *                              ':' ('*' any text, '?' any byte).  NAME tells the lines apart and means nothing else
 *
 * They hold for every topic that the group reads: partitions that a topic does not have are passed over.  Of a key that comes twice the
 * last one counts; an empty value of room.NAME and assign.NAME takes the line away.  As in topic.conf only what was set is printed; keys
 * that this version does not know, and comments, are kept as they came; the last line seals the text.
 *
 *     struct mq_assign_conf c;
 *     mq_assign_conf_init(&c);
 *     rc = mq_assign_conf_parse(&c, text, len, err);   … mq_assign_conf_release(&c);
 *
 * A group without the file is one with an empty text.
 */
#ifndef MQ_SPOOL_ASSIGN_CONF_H
#define MQ_SPOOL_ASSIGN_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/name.h"
#include "spool/assign_set.h"

enum { MQ_ASSIGN_RULES_MAX = 256 }; /* room.* lines, and assign.* lines */

enum mq_assign_strategy { /* the order of the words of `strategy`; those up to hash are also the words of strategy.within */
	MQ_ASSIGN_AVERAGE,
	MQ_ASSIGN_CIRCLE,
	MQ_ASSIGN_STICKY,
	MQ_ASSIGN_HASH,
	MQ_ASSIGN_ROOM,
	MQ_ASSIGN_NEARBY,
	MQ_ASSIGN_CONFIG,
};

struct mq_assign_rule {
	char name[MQ_NAME_MAX + 1];
	char pattern[MQ_NAME_MAX + 1]; /* of an assign.NAME */
	struct mq_assign_set set;
};

struct mq_assign_rules { /* as they came first */
	struct mq_assign_rule *v;
	size_t n;
};

struct mq_assign_conf {
	int64_t strategy;      /* enum mq_assign_strategy */
	int64_t within;        /* strategy.within */
	int64_t virtual_nodes; /* virtual.nodes */
	struct mq_assign_rules rooms, assigns;

	uint32_t set;        /* bit i: key i of the table was set */
	struct mq_buf kept;  /* lines not understood */
};

void mq_assign_conf_init(struct mq_assign_conf *c);
void mq_assign_conf_release(struct mq_assign_conf *c);

/* Read a file's text into c, which was just init'ed.  MQ_ECONFIG with line and reason; -ENOMEM. */
int mq_assign_conf_parse(struct mq_assign_conf *c, const char *text, size_t len, struct mq_err *err);

/* As a user asks.  MQ_EUSAGE: no such key, or a bad value; -ENOMEM; c unchanged. */
int mq_assign_conf_set(struct mq_assign_conf *c, const char *key, const char *value, struct mq_err *err);

/* The word of an enum mq_assign_strategy. */
const char *mq_assign_word(int64_t strategy);

/* Add the file's text to out.  0 or -ENOMEM. */
int mq_assign_conf_print(const struct mq_assign_conf *c, struct mq_buf *out);

#endif
