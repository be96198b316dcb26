/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify every byte of a spool, of a topic, or of one partition, and tell what is not as it was written.
 *
 * Needs no lock and no permission to write, and may run while others publish: where `state` is trusted its tail says
 * what was published, and what lies behind is nobody's business.  Memory: the greatest batch met and a few buffers.
 *
 * What was promised is told from what was not as in recovery (DESIGN, "Torn, hole or damage"): a bad place below the
 * witness is damage; above it the log ends there, and that end is torn.
 *
 * With `mend`: stray temporary files go; index files are made anew; `state` and `producers` that do not hold are made
 * anew from the log, under the append lock; the log is let step past a torn end, and what killed publishers left to be done
 * first is done.  Segments, configuration, offsets are
 * never touched: nobody can know what stood there.
 */
#ifndef MQ_SPOOL_CHECK_H
#define MQ_SPOOL_CHECK_H

#include "spool/spool.h"

enum mq_check_kind {
	MQ_CHECK_DAMAGE, /* acknowledged bytes that do not verify */
	MQ_CHECK_TORN,   /* an end nobody was promised */
	MQ_CHECK_DEAD,   /* a file, or bytes of one, that are not in the log */
	MQ_CHECK_CACHE,  /* stale or bad, and can be made anew */
	MQ_CHECK_CONFIG, /* a configuration, a log start or a group's place that does not hold */
	MQ_CHECK_LOST,   /* a control batch says that offsets were lost here */
	MQ_CHECK_NEWER,  /* of a format that this mq does not know: nothing is said of what it holds */
	MQ_CHECK_LEFT,   /* not in the log either, and no news: kills, failed syncs and purges leave it */
	MQ_CHECK_KINDS,
};

/* Strings are valid during the call. */
struct mq_check_finding {
	enum mq_check_kind kind;
	const char *what;     /* path relative to the spool */
	uint64_t position, length;
	uint64_t offset_from, offset_to; /* to excluded; both 0: none */
	bool mended;
	const char *text;     /* one sentence; with mend it ends in why this was not mended */
};

struct mq_check_options {
	const char *topic;    /* NULL: all, and what is no topic's */
	int64_t partition;    /* of that topic; -1: all */
	bool mend;
	bool dry_run;         /* with mend: say what would be */
	int (*found)(void *arg, const struct mq_check_finding *f); /* 0 to go on; anything else ends it and is returned */
	void (*progress)(void *arg, uint64_t bytes_done, uint64_t bytes_all); /* of segments; NULL */
	void *arg;
};

struct mq_check_sums {
	uint64_t topics, partitions, segments, batches, records, bytes; /* verified */
	uint64_t found[MQ_CHECK_KINDS], mended;
};

/* 0 also where something was found.  Negative: the check itself could not go on (no permission, no such topic); -ETIMEDOUT: it
 * did to its end, and what it could not mend for want of a lock was told. */
int mq_spool_check(struct mq_spool *s, const struct mq_check_options *opt, struct mq_check_sums *ret, struct mq_err *err);

#endif
