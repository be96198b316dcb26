/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spool.conf: what a directory must hold to be a spool, and what its owner decided for all topics.
 * Topic defaults stand in it as "default.KEY=VALUE" with the keys of topic.conf.
 */
#ifndef MQ_FORMAT_CONF_SPOOL_H
#define MQ_FORMAT_CONF_SPOOL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/conf_topic.h"

enum { MQ_SPOOL_FORMAT = 1 };

struct mq_spool_conf {
	uint8_t id[16];
	uint64_t inode;           /* of the spool's directory when it was made: another one is a copy, and witnesses nothing */

	int64_t mode;             /* mode: 0640, or 0660 where a group writes */
	int64_t auto_create;      /* auto.create.topics: 0, 1 */
	int64_t any_filesystem;   /* allow.any.filesystem: 1 also where locks may not meet (NFS …); then polled */
	int64_t num_partitions;   /* num.partitions: of a topic made without saying how many */
	int64_t commit_interval_ms; /* auto.commit.interval.ms */
	int64_t offsets_minutes;  /* offsets.retention.minutes: a group not seen for so long holds nothing */
	struct mq_topic_conf defaults; /* of topics; without id and partitions */

	uint32_t set;
	struct mq_buf kept;
};

void mq_spool_conf_init(struct mq_spool_conf *c);
void mq_spool_conf_release(struct mq_spool_conf *c);

/* MQ_ECONFIG: a bad file, or a newer format.  format and id must be there; inode 0 where it is not. */
int mq_spool_conf_parse(struct mq_spool_conf *c, const char *text, size_t len, struct mq_err *err);
/* MQ_EUSAGE: no such key, or a bad value. */
int mq_spool_conf_set(struct mq_spool_conf *c, const char *key, const char *value, struct mq_err *err);
int mq_spool_conf_print(const struct mq_spool_conf *c, struct mq_buf *out);

#endif
