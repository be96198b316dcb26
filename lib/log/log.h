/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One partition: a chain of segments with one append lock, a published tail and durable marks.
 *
 * Locks, in the file `lock` (opened by writers only; never written, unlinked or replaced):
 *   byte 0       append: held for one batch, a roll, a recovery, a close
 *   bytes 1..4   sync m: held by the leader of a group commit while it syncs and notes it in mark m
 * and in `bell`: byte 0, read-locked by a reader that is about to sleep.
 *
 * Order of calls of an append (a crash between any two leaves what is said):
 *   lock append
 *   read the tail; same file, boot, mount, segment?      else recover (log/recover.c)
 *   write header and body at the tail                    bytes behind the tail: written over
 *   publish the tail                                     written; visible when nobody asked for more
 *   unlock
 *   lead or await a sync: note "started", fdatasync, note "finished" with the new mark
 *   ring the bell if someone sleeps
 */
#ifndef MQ_LOG_LOG_H
#define MQ_LOG_LOG_H

#include <pthread.h>

#include "base/buf.h"
#include "log/chain.h"
#include "log/producers.h"
#include "log/state_file.h"
#include "segment/index.h"
#include "sys/patience.h"

enum {
	MQ_LOG_APPEND_BYTE = 0,
	MQ_LOG_SYNC_BYTE = 1,
	MQ_LOG_WRITE_OUT_BYTES = 8 << 20,   /* rule 1: write-out of unsynced bytes starts here … */
	MQ_LOG_UNSYNCED_MAX_BYTES = 64 << 20, /* … and whoever passes this leads a sync; who waits beside begins at half of it */
};

struct mq_log_options {
	uint8_t topic_id[16];
	uint32_t partition;
	uint32_t topic_generation;
	uint64_t segment_bytes;
	int64_t segment_ms;       /* 0: by size alone */
	enum mq_ack min_ack;
	uint64_t max_messages, max_bytes; /* from the log start on; 0: no limit */
	bool drop_oldest;         /* at the limit the log start moves; else MQ_EAGAIN */
	unsigned mode;            /* of files */
	bool copied;              /* a copy of a partition: marks witness nothing beyond what its files hold (rule 10) */
	const struct mq_patience *patience; /* for the append lock, and for syncs of others; borrowed; NULL: for ever */
	const char *label;        /* "orders:3", borrowed, for reasons */
	/* What commit slots know: raises *pos and *offset to the highest durable mark they carry for the segment, and
	 * *committed to the highest offset committed.  Asked only in recovery. */
	int (*witness)(void *arg, const struct mq_segment_id *segment, uint64_t *pos, uint64_t *offset, uint64_t *committed);
	void *witness_arg;
	/* The last generation of the partition count that topic.conf knows now.  Asked only in recovery, under the append lock, so
	 * none begins meanwhile.  NULL: topic_generation. */
	int (*generation)(void *arg, uint32_t *ret, struct mq_err *err); /* arg: witness_arg */
	/* Something worth saying that is no failure: a repair, offsets lost. */
	void (*notice)(void *arg, const char *text);
	void *notice_arg;
};

struct mq_log {
	struct mq_log_options opt;
	int dir;                  /* owned */
	int lock, bell;           /* owned */
	const struct mq_patience *patience; /* as it was opened with: for who waits in a second thread */
	bool locked;              /* the append lock is held by this handle */
	bool begins;              /* it was seen that the log start is there */
	bool broken;              /* a step failed half-way: this handle does no more */
	bool crowded;             /* under lead: this one slept while another led, and has not led since */
	bool doubt;               /* the next sync is a recovery's: an earlier one may have failed and nobody noted it */
	struct mq_state_file state;
	struct mq_segment head;
	struct mq_tail tail;      /* as last read or published under the lock */
	uint64_t tail_seq;
	_Atomic uint64_t durable_pos; /* of head, a lower bound; raised by whoever syncs */
	_Atomic uint64_t wrote_out;   /* of head: write-out was started up to here */
	struct { uint64_t records, bytes; } room; /* set by -E2BIG: of the batch refused, what may come in one batch */
	uint32_t stale;           /* set by -ESTALE: the generation that began here; 0: a mover's entry is gone */
	uint32_t looked_up;       /* generations up to this one are told by what topic.conf says, and it was looked at; the caller's */
	uint64_t start_due;       /* the log start with the batch at hand; 0: as it is */
	struct { uint64_t from, next; } own; /* offsets that this handle wrote last, without others' between them */
	struct mq_producers producers;
	struct mq_scan scan;
	/* In this process, where a second thread may wait: who holds the append lock; who leads a sync, or changes head or
	 * state.  Taken in this order. */
	pthread_mutex_t append, lead;
};

/* Where a batch ended: what to wait for. */
struct mq_log_ticket {
	struct mq_segment_id segment;
	uint64_t end_pos;
	uint64_t base_offset, next_offset;
	bool visible;             /* visible as soon as it was written */
	bool due;                 /* so much is unsynced that someone ought to call mq_log_wait, whatever was asked */
};

/* Make an empty partition in the directory dir (empty, not yet under its name): lock, bell, state, start and
 * a first segment, all synced, the directory too. */
int mq_log_create(int dir, const struct mq_log_options *opt, struct mq_err *err);

/* Open for writing.  dir is duplicated.  The options' strings must outlive the log. */
int mq_log_open(struct mq_log *ret, int dir, const struct mq_log_options *opt, struct mq_err *err);
void mq_log_release(struct mq_log *log);

/*
 * Append one batch: b has all but base_offset, next_offset, epoch, durable_pos (filled in
 * here); the number of offsets is b->count.  -ESTALE: nothing was written; log->stale has begun here, a later generation than the one
 * that b was routed by.  Does topic.conf not know it, it came to nothing: log->looked_up = log->stale, and the same call may come again.  0: written and published.  MQ_EAGAIN (the topic is full), -ENOSPC, -EDQUOT: nothing was written and the same
 * call may come again.  -E2BIG: nothing was written, log->room says what of it the limits let in as one batch; MQ_EINPUT: one record
 * that they never let in.  -ETIMEDOUT: nothing was written, another process holds the append lock.  -EEXIST: a producer's number that is held already.  MQ_ENOTOPIC: the topic is gone.
 */
int mq_log_append(struct mq_log *log, const struct mq_batch *b, const void *body, struct mq_log_ticket *ret,
                  struct mq_err *err);

/* Wait until the ticket's batch is visible (MQ_ACK_WRITTEN) or durable (MQ_ACK_DURABLE), or for nothing (MQ_ACK_NONE); where much is unsynced, begin to
 * write it out.  MQ_EBROKEN: its segment was
 * closed below it, or no sync of it ended in time, the outcome is unknown.  May run in a second thread beside mq_log_append. */
int mq_log_wait(struct mq_log *log, const struct mq_log_ticket *t, enum mq_ack level, struct mq_err *err);

/* Lead a sync of all that is published, however long it takes: before a hand-over or an end. */
int mq_log_sync(struct mq_log *log, struct mq_err *err);

/* register.c: the entry of a named producer in this partition, registering it when new. */
int mq_log_producer(struct mq_log *log, enum mq_who_kind kind, const char *name, struct mq_producer *ret,
                    struct mq_err *err);
/* 1: the table has it; 0: it never was here, or its entry had no room in a snapshot. */
int mq_log_look_producer(struct mq_log *log, enum mq_who_kind kind, const char *name, struct mq_producer *ret, struct mq_err *err);
/* The entry of a mover, for one of this generation: made with that number when there is none, raised when it is of an older
 * generation, so that from then on nothing of that one is let in.  MQ_EDENIED: it is of a newer one. */
int mq_log_open_mover(struct mq_log *log, const char *name, uint32_t generation, uint64_t number, struct mq_producer *ret,
                      struct mq_err *err);

/* Under the append lock and for ever: no append comes after it.  For deleting the topic: whatever it holds, damaged,
 * torn or without a segment, and however full the disk. */
int mq_log_retire(struct mq_log *log, struct mq_err *err);
/* Can the append lock be had?  -ETIMEDOUT, -EINTR: not in time. */
int mq_log_await(struct mq_log *log, struct mq_err *err);

/* trim.c: what lies below `offset` goes: the log start moves there, durably, and then segments that lie whole below it are removed. */
int mq_log_trim(struct mq_log *log, uint64_t offset, struct mq_err *err);

/* Make sure that the tail is trusted, recovering when it is not. */
int mq_log_settle(struct mq_log *log, struct mq_err *err);

/* The same, and all that killed processes began here is finished, their syncs too. */
int mq_log_finish(struct mq_log *log, struct mq_err *err);

/* The append lock of the partition in dir, for who changes its files and not its log, with signals held: descriptor, which
 * mq_log_let_go_append takes back.  -ETIMEDOUT: it was not to be had in time; -EINTR: an end was asked meanwhile. */
int mq_log_hold_append(int dir, const struct mq_patience *patience, struct mq_err *err);
void mq_log_let_go_append(int fd);

/*
 * generation.c: a further generation of the partition count begins.  In each partition, ascending: mq_log_generation_take, which
 * settles the log, keeps the append lock with one descriptor and says where the log ends; then in each mq_log_generation_put,
 * which appends and syncs; then, whatever happened, mq_log_generation_end in each that was taken, which rings and lets go.  A
 * generation that topic.conf does not know afterwards is void.
 */
int mq_log_generation_take(struct mq_log *log, uint64_t *ret_end, struct mq_err *err);
int mq_log_generation_put(struct mq_log *log, int dir, uint32_t number, const void *body, size_t len, struct mq_err *err);
void mq_log_generation_end(struct mq_log *log, int dir);
/* The partition's bell, once more; dir: its directory. */
void mq_log_ring_at(int dir);

#endif
