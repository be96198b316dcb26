/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dead letters: records that a group gave up on, in TOPIC.dead, and what they say of it.
 *
 * A dead letter is the record as it was, payload, key, id, tag, time and headers, for everybody and without an end, and in
 * headers (texts, but for mq-stderr, which is bytes):
 *
 *     mq-origin         TOPIC:PARTITION:OFFSET, where it was read first
 *     mq-group          the group that gave up
 *     mq-reason         rejected, failed, timed out; expired, before a handler had it
 *     mq-attempts       how often it was handled
 *     mq-first-failure  when that failed first, and last: RFC 3339
 *     mq-last-failure
 *     mq-status         exit status of the last handler, or "signal N"; not where there is none
 *     mq-said           what a coproc's answer said behind its first word; not where it said nothing
 *     mq-stderr         the last 4096 bytes at most that the handler wrote there; not where it wrote none
 *
 * One that is put back to be tried again carries its origin and its first failure alone, and the number of attempts in a
 * column of its own.  They are believed of a record that is for a group alone, which nobody but mq makes.
 *
 * TOPIC.dead is a topic like any other, made with one partition by its first dead letter.  One that is called so already has
 * none of its own: what cannot be handled there stays there.
 */
#ifndef MQ_OPS_DEAD_H
#define MQ_OPS_DEAD_H

#include "base/name.h"
#include "format/record.h"

enum { MQ_DEAD_STDERR_MAX = 4096, MQ_DEAD_SAID_MAX = 200 };

struct mq_failure {
	const char *reason;         /* a constant */
	int status, signal;         /* of the handler; -1 and 0: none */
	uint32_t attempts;          /* this one too */
	int64_t first_us, last_us;  /* by the clock; first 0: this was the first, as far as the record does not say otherwise */
	char said[MQ_DEAD_SAID_MAX];
	size_t stderr_len;
	char stderr_end[MQ_DEAD_STDERR_MAX];
};

/* The topic of another one's dead letters.  False: it can have none, being one itself, or by the length of its name. */
bool mq_dead_topic(const char *topic, char ret[MQ_NAME_MAX + 1]);

/* The dead letter of r, which is the record at r->offset of that partition.  It borrows r's memory, and that of `headers`, which
 * is cleared first.  -ENOMEM; MQ_EINPUT: a header could not be. */
int mq_dead_letter(struct mq_buf *headers, const struct mq_rec *r, const char *topic, uint32_t partition, const char *group,
                   const struct mq_failure *why, struct mq_rec *ret);

/* The same of one that is to come back to this group at due_us. */
int mq_dead_retry(struct mq_buf *headers, const struct mq_rec *r, const char *topic, uint32_t partition, const char *group,
                  const struct mq_failure *why, int64_t due_us, struct mq_rec *ret);

/* The headers of r without those above, into `headers`, which is cleared first. */
int mq_dead_strip(struct mq_buf *headers, const struct mq_rec *r);

/* dead_back.c.  Is it a dead letter of that topic, which that group (NULL: any) gave up on? */
bool mq_dead_is_of(const struct mq_rec *r, const char *topic, const char *group);

/* What goes back of such a letter: the record without what it says of its death, as a new one, for the group that gave up alone,
 * with one header more, mq-replays, which counts; and the partition that it came from.  It borrows as mq_dead_letter does.
 * MQ_EINPUT: it is none. */
int mq_dead_back(struct mq_buf *headers, const struct mq_rec *r, const char *topic, struct mq_rec *ret, uint32_t *ret_partition);

/* A record that was discarded goes back, for that group alone, in the same way. */
int mq_dead_again(struct mq_buf *headers, const struct mq_rec *r, const char *group, struct mq_rec *ret);

/* Is it a name that mq gives headers itself? */
bool mq_dead_reserved(const char *name, size_t len);

#endif
