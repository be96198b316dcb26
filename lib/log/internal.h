/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of log/ ask of each other. */
#ifndef MQ_LOG_INTERNAL_H
#define MQ_LOG_INTERNAL_H

#include "log/log.h"

/* lock.c: the append lock, with stop signals held back, and what is checked on entering: the state file is
 * still the one in the directory, the tail holds, the head is open.  Recovers when it must. */
int mq_log_enter(struct mq_log *log, struct mq_err *err);
/* The same for what can wait for the next one: -ETIMEDOUT where the lock does not come at once. */
int mq_log_enter_soon(struct mq_log *log, struct mq_err *err);
void mq_log_leave(struct mq_log *log);
/* From now on this is the head, with what it was born with durable; takes what *s owns.  Under the append lock. */
void mq_log_set_head(struct mq_log *log, const struct mq_segment *s);
/* mq_log_enter, but nothing is asked of what the log holds: only state and its tail are looked at (tail_seq 0: there is none). */
int mq_log_enter_as_it_is(struct mq_log *log, struct mq_err *err);

/* lock.c: it is held already: look around as one who has just got it. */
int mq_log_look_around(struct mq_log *log, struct mq_err *err);

/* lock.c: the log start, under the append lock; MQ_ECONFIG where its file is missing. */
int mq_log_start(struct mq_log *log, uint64_t *ret, struct mq_err *err);

/* sync.c: sync all that is published, under the append lock (a roll's), noting it.  Failure leaves "started". */
int mq_log_sync_locked(struct mq_log *log, struct mq_err *err);

/* sync_lead.c: sync all that is published, holding sync byte m and log->lead.  1: the head is another by now, or who may not read
 * it finds another at work: look again. */
int mq_log_lead(struct mq_log *log, int m, const struct mq_log_ticket *ticket, struct mq_err *err);

/* sync_unknown.c: the ticket's segment is no longer the head: 1, its successor says that the batch lies before its end. */
int mq_log_fate(struct mq_log *log, const struct mq_tail *t, const struct mq_log_ticket *ticket, struct mq_err *err);
/* The others return MQ_EBROKEN. */
int mq_log_unknown(struct mq_log *log, const struct mq_log_ticket *ticket, int rc, struct mq_err *err);
int mq_log_too_late(const struct mq_log_ticket *ticket, const struct mq_patience *p, struct mq_err *err);

/* write_only.c: -EBUSY where there is a repair to make first and this user may not read the log; under the append lock. */
int mq_log_leave_repairs(struct mq_log *log, struct mq_err *err);
/* The same of syncs of head that others began and did not finish, under log->lead.  0: those who did are at work, or none is left. */
int mq_log_others_syncs(struct mq_log *log, struct mq_err *err);
int mq_log_cannot_look(const char *what, struct mq_err *err);

/* recover.c: the tail does not hold, or a roll was under way.  Under the append lock. */
int mq_log_recover(struct mq_log *log, struct mq_err *err);
/* Write the verified batches of head in [from, to) again, same bytes, same place, through head.fd.  MQ_EDAMAGE
 * where one no longer verifies. */
int mq_log_write_again(struct mq_log *log, struct mq_scan *scan, uint64_t from, uint64_t to, struct mq_err *err);

/* on_disk.c: after that, and a sync that succeeded: are the batches of head in [from, to) on the disk?  0, or the reason
 * why not, or why nobody can tell. */
int mq_log_on_disk(struct mq_log *log, uint64_t from, uint64_t to, struct mq_err *err);
/* The same of all bytes in [from, to), whatever they are: what was not published. */
int mq_log_rest_on_disk(struct mq_log *log, uint64_t from, uint64_t to, struct mq_err *err);

/* successor.c: the one act.  A new segment that follows the head. */
struct mq_successor {
	enum mq_segment_reason reason;
	uint64_t pred_end_pos;      /* where the head ends from now on */
	uint64_t pred_end_offset;
	uint64_t copy_to;           /* batches in [pred_end_pos, copy_to) are taken over; pred_end_pos: none */
	uint64_t next_offset_min;   /* the first fresh offset is not below this: a gap batch covers the difference */
	bool new_incarnation;
	bool unacknowledged;        /* nothing of that was durable: the marks say it.  A recovery that lost them does not know */
};
int mq_log_succeed(struct mq_log *log, const struct mq_successor *how, struct mq_err *err);
/* The head's sync failed: close it at its durable mark by a successor that takes over what verifies. */
int mq_log_close_failed(struct mq_log *log, const struct mq_segment_id *failed, struct mq_err *err);
/* Sync all that is published, under the append lock.  1: that failed, and the head was closed: a new one holds what verifies. */
int mq_log_sync_or_close(struct mq_log *log, struct mq_err *err);
/* Roll if the head is full or old for a batch of len bytes. */
int mq_log_roll_if_due(struct mq_log *log, uint64_t len, int64_t now_us, struct mq_err *err);

/* append.c: mq_log_append, under the append lock, of a batch that may be filled in. */
int mq_log_append_locked(struct mq_log *log, struct mq_batch *b, const void *body, struct mq_log_ticket *ret, struct mq_err *err);

/* append.c: start the write-out of what was written up to the ticket, or lead its sync, where it has become much (rule 1). */
int mq_log_write_behind(struct mq_log *log, const struct mq_log_ticket *t, struct mq_err *err);

/* The same: a sync was led.  Make visible what was appended meanwhile without asking for one, if nobody else waits.  What
 * fails here shows to the next publisher; so does what would have to wait for one who was stopped with the lock. */
void mq_log_show_rest(struct mq_log *log);

/* limit.c: room for the batch below the topic's limits; else MQ_EAGAIN (full), -E2BIG (log->room says what of it would
 * fit), or MQ_EINPUT (one record that never will).  check_size asks what no waiting and no dropping mends, before a roll. */
int mq_log_check_size(struct mq_log *log, const struct mq_batch *b, struct mq_err *err);
int mq_log_make_room(struct mq_log *log, const struct mq_batch *b, struct mq_err *err);
/* What must go for the batch goes, when that is written and not published. */
int mq_log_drop_oldest(struct mq_log *log, struct mq_err *err);

/* measure.c: bytes of the segments that hold anything at or above log_start, the head's up to its tail; and where the oldest
 * of them ends (UINT64_MAX: it is the head). */
int mq_log_measure(struct mq_log *log, uint64_t log_start, uint64_t *ret_bytes, uint64_t *ret_oldest_end, struct mq_err *err);

/* bell.c */
void mq_log_ring(struct mq_log *log);

void mq_log_notice(struct mq_log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int64_t mq_log_now_us(void);

#endif
