/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs share. */
#ifndef MQ_OPS_OPS_H
#define MQ_OPS_OPS_H

#include "api/engine.h"
#include "api/mq.h"
#include "base/buf.h"
#include "base/range.h"

/* Forget the last reason; MQ_EUSAGE when no spool is open. */
int mq_ops_begin(struct mq *mq);

/* The same of a verb that writes nothing; mq_ops_looked ends it, and passes rc on. */
int mq_ops_look(struct mq *mq);
int mq_ops_looked(struct mq *mq, int rc);

/* A line for mq_set_notice's function, if there is one. */
void mq_ops_notice(struct mq *mq, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Is it for want of room, so that it may be tried again when there is some? */
bool mq_ops_is_full(int rc);

/* The partitions [*ret_from, *ret_to) of a topic that `partition` (-1: all) means; MQ_ENOTOPIC. */
int mq_ops_partitions(struct mq *mq, const char *topic, int64_t partition, uint32_t *ret_from, uint32_t *ret_to);

/* A place as text ("end", "-5", "@-1h" …) as an offset of one partition.  source: where to look for a time; stored: what
 * "stored" means, NULL: nothing. */
int mq_ops_point(struct mq *mq, const struct mq_point *point, struct mq_source *source, const struct mq_bounds *bounds,
                 const uint64_t *stored, uint64_t *ret);
/* Turn a DATE into a TIME. */
int mq_ops_settle_point(struct mq *mq, struct mq_point *point);
/* "START..END" as it was typed, with dates settled. */
int mq_ops_range(struct mq *mq, const char *text, struct mq_range *ret);
/* Both at once for a partition that is not being read: opens it where it must. */
int mq_ops_place(struct mq *mq, const char *topic, uint32_t p, const char *text, const uint64_t *stored, uint64_t *ret,
                 struct mq_bounds *ret_bounds);

/* A list of names, each ended by a NUL: what an engine calls back with, kept, and then in the order of their bytes. */
struct mq_ops_names {
	struct mq_buf buf;  /* the caller releases it */
	struct mq_err *err; /* borrowed */
};
int mq_ops_keep_name(void *names, const char *name);
int mq_ops_sort_names(struct mq_ops_names *names);

/* The output could not be written: 74 whatever the reason, since trying again later helps no one. */
int mq_ops_output_failed(struct mq_err *err, int code);

#endif
