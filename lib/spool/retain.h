/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What retention keeps of itself in the spool's directory, and its one act on a partition.
 *
 *   retain.lock    byte 0: mq-retain is at work, one in a spool
 *   retain.seen    text, replaced whole: the clocks at the last look, and of groups when each was last seen.  Without it nothing is lost:
 *                  a clock that jumped before is not noticed, and a group that is idle counts from its last commit
 *
 *     boot=32 hex digits      of this boot (/proc/sys/kernel/random/boot_id)
 *     real=, up=              CLOCK_REALTIME and CLOCK_BOOTTIME, microseconds
 *     seen.GROUP=             a member lived, microseconds since 1970
 *     told.GROUP=             it was told that the group, last seen then, holds nothing any more
 *
 * Killed anywhere, the next one finds what is below the log start, and removes it (log/old.h).
 */
#ifndef MQ_SPOOL_RETAIN_H
#define MQ_SPOOL_RETAIN_H

#include "base/buf.h"
#include "spool/topic.h"

struct mq_retain {
	struct mq_spool *spool; /* borrowed */
	int lock;               /* owned; -1: none */
	struct mq_buf seen;     /* text */
	bool looks;             /* nothing is written */
};

/* MQ_EAGAIN: another one is at work; or the clock jumped since the last look (force passes).  looks: neither is locked nor
 * written. */
int mq_retain_begin(struct mq_retain *ret, struct mq_spool *s, bool force, bool looks, struct mq_err *err);
/* What was noted is kept.  MQ_E… where that failed: harmless, and worth a word. */
int mq_retain_end(struct mq_retain *r, struct mq_err *err);

/* "seen" or "told" of a group: microseconds since 1970, 0: never. */
int64_t mq_retain_noted(const struct mq_retain *r, const char *what, const char *group);
int mq_retain_note(struct mq_retain *r, const char *what, const char *group, int64_t time_us, struct mq_err *err);

/* Raise the log start to *offset, durably.  Under the topic's lock, which a group's registration takes, too, so that what `settle`
 * sees of groups is all there is; it may lower *offset, and answers 0.  An offset below the log start raises nothing, and what was
 * there is durable. */
int mq_retain_raise(struct mq_topic *t, uint32_t p, uint64_t *offset, int (*settle)(void *arg, uint64_t *offset, struct mq_err *err),
                    void *arg, struct mq_err *err);

#endif
