/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The transfer: take these records from here, put those there, count the first as done; all of it or none, however often it is
 * killed.  From one partition that a group reads, in order or not, to any partitions of any topics.
 *
 *     struct mq_transfer_source from = {.group = g, .topic = t, .partition = p, .owner = o};
 *     rc = mq_transfer_open(&x, mq, &from, true, err);            finishes what another began
 *     for (at = mq_transfer_place(x); there is more; ) {
 *             mq_transfer_begin(x, at);
 *             mq_transfer_put(x, topic, partition, &record) …     or mq_transfer_copy; 1: full, this one comes with the next
 *             rc = mq_transfer_commit(x, at = behind the last one taken, err);
 *     }
 *     mq_transfer_close(x);
 *
 * Who may: the owner of the source, and he alone; nothing else moves the place meanwhile.  A transfer begins at the place.
 *
 * Out of order: mq_transfer_begin_set(x, lowest) instead of begin, and mq_transfer_commit_set(x, offsets, n, err) instead of
 * commit: these are done, and what lies between them is not.  The place follows what is done, and mq_transfer_place says it.
 * Its intent holds the offsets; they become acknowledgements (acked.P) after the appends are durable, synced; who comes after
 * one that was killed acknowledges them again, which changes nothing.  Such a transfer always has an intent.
 *
 * What it promises.  When commit returns 0 all targets hold the records durably, once, and the group's place is behind the
 * source's.  When it fails, or the process or the power, either nothing has happened, or there is an intent; then the targets
 * may hold some of it already, and whoever owns the source next finishes it before anything else (mq_transfer_open with
 * create false costs next to nothing where there is none).  So no handler runs twice for what it gave out as an intent.
 *
 * What it costs.  One batch into one partition is that batch, and one sync, from a run's second transfer into that partition on
 * (and of 64 partitions at most); any other has an intent in front of it, and a sync for each partition more.
 *
 * How.  The mover is the group's source partition.  Its records have numbers that count up, and its generation rises with every
 * eviction of an owner and every place set by hand.  The intent (format/intent.h) goes to the internal topic
 * intents@TOPIC@GROUP, durably; then the appends, each carrying mover, generation, number and source range; then they are made
 * durable; then the place moves.  A target's producer table has the mover's last number, so finishing is a look-up per target;
 * a log is read from where it ended when the intent was made only where the table had no room for the entry any more.  An owner
 * that was evicted and wakes at any point is refused: by the intents' partition, which its successor has raised to its own
 * generation, or by the targets, where the number is held.
 *
 * Without an intent of its own a batch goes where the last intent says that more may come, and its number says how far the source
 * is done with it: so the next owner knows where to look, and a look-up tells him the place.
 *
 * One intent is open at a time: a record of it is closed by the next one, or by a place behind its range; that of a set by the
 * next one, which mq_transfer_close writes, of nothing.  Of a place that was
 * set by hand meanwhile it is finished all the same, and the place stays.  Copies are read again from the source, so that the
 * intent is small: what would remove records asks mq_transfer_hold.
 *
 * Records that carry a group are for that group alone; others step over them.
 *
 * A handle is for one thread, lives as long as its owner, and after a failure of commit other than MQ_EAGAIN, -ENOSPC and
 * -EDQUOT (a target is full: commit again, with the same end) may only be closed.
 */
#ifndef MQ_OPS_TRANSFER_H
#define MQ_OPS_TRANSFER_H

#include "ops/ops.h"

enum {
	MQ_TRANSFER_BYTES_MAX = 16 << 20,  /* of one; a longer move is a run of many */
	MQ_TRANSFER_LINES_MAX = 64 << 20,  /* of lines as they lie, which are nowhere kept */
	MQ_TRANSFER_RECORDS_MAX = 1 << 20,
	MQ_TRANSFER_TARGETS_MAX = 64,
	MQ_TRANSFER_SET_MAX = 4096, /* offsets of a set */
};

struct mq_transfer;

/* In place of a group: one run through a range, by whoever holds it (replay_run.h).  Its place is what its intents say; what was
 * passed and not put anywhere is read again by who goes on with it. */
struct mq_transfer_run {
	uint32_t number; /* rises with each run through the topic */
	uint64_t start;  /* of the range in this partition */
	bool restores;   /* what it reads is in archives (restore.h): its places are none of the topic's, and it puts no copies */
};

struct mq_transfer_source { /* borrowed for as long as the transfer is open */
	const char *group, *topic; /* of a run: group NULL, and no owner */
	uint32_t partition;
	struct mq_owner *owner;
	const struct mq_transfer_run *run;
	const char *of;   /* the topic whose internal topic `topic` is, which its intents go by; NULL: `topic` itself */
	bool as_is;     /* copies are for whom their records are; false: for this group alone, where they were for everybody */
};

/* create false: *ret is NULL where the mover never made an intent.  MQ_EAGAIN: a newer owner is at work, or a target of an open
 * intent is full.  MQ_EUSAGE: the engine has no transfers. */
int mq_transfer_open(struct mq_transfer **ret, struct mq *mq, const struct mq_transfer_source *from, bool create, struct mq_err *err);
void mq_transfer_close(struct mq_transfer *t); /* NULL, too */

/* Where the group stands: what was open is finished. */
uint64_t mq_transfer_place(const struct mq_transfer *t);

/* Nothing is taken yet; a transfer is of copies or of bytes, as its first record says. */
void mq_transfer_begin(struct mq_transfer *t);
/* A record into a partition.  1: there is no room for it in this transfer, and nothing was put. */
int mq_transfer_put(struct mq_transfer *t, const char *topic, uint32_t partition, const struct mq_rec *r, struct mq_err *err);
/* The record of the source at r->offset, as it is, for this group alone unless it is for one already or the source says as_is; in the order of
 * offsets.  Only into a waiting room it takes along when it is due. */
int mq_transfer_copy(struct mq_transfer *t, const char *topic, uint32_t partition, const struct mq_rec *r, struct mq_err *err);
/* Offsets of the source that are damaged and passed over: told with the place that passes them. */
void mq_transfer_lose(struct mq_transfer *t, uint64_t from, uint64_t to);
/* transfer_lines.c: whole lines of the source that carry nothing but one time, from what was moved last up to `end`, appended at once,
 * synced in a thread beside those that follow, and the transfer's when it is committed.  0; MQ_TRANSFER_FULL: commit first, and come again; MQ_TRANSFER_ONE_BY_ONE: copy each (and
 * commit twice, so that more may follow there); a full target, as of commit: come again. */
enum { MQ_TRANSFER_FULL = 1, MQ_TRANSFER_ONE_BY_ONE };
struct mq_transfer_lines {
	const void *lines; /* each ended by a newline */
	uint32_t len, count;
	int64_t time_us;
	uint64_t end;
	bool verified;     /* their CRC32C is known: that of the batch that they are all of */
	uint32_t crc;
};
int mq_transfer_lines(struct mq_transfer *t, const char *topic, uint32_t partition, const struct mq_transfer_lines *l, struct mq_err *err);
/* The act: all from the place up to `end` is done.  With nothing put the place moves, and that is all. */
int mq_transfer_commit(struct mq_transfer *t, uint64_t end, struct mq_err *err);

/* transfer_wait.c: a call answered rc.  Where something is full (mq_ops_is_full) sleep a little, until there may be space; 0: the call may
 * be made again.  Else rc, or MQ_EAGAIN with how it may be gone on with: timeout_ns (-1: none) has passed since the first of these
 * waits, the session is stopping, or what is full is to fail rather than wait (when.full). */
struct mq_transfer_wait { /* zeroes before the first */
	int64_t since_ns;
	bool told;
};
int mq_transfer_await_room(struct mq *mq, struct mq_transfer *t, int rc, int64_t timeout_ns, struct mq_transfer_wait *w, struct mq_err *err);

/* transfer_set.c: as begin; of what is to be copied, and done, nothing lies below `lowest`, and all of it within 2^32 from there. */
void mq_transfer_begin_set(struct mq_transfer *t, uint64_t lowest);
/* The act: these n are done, rising, each once, MQ_TRANSFER_SET_MAX at most.  MQ_EUSAGE: the engine cannot. */
int mq_transfer_commit_set(struct mq_transfer *t, const uint64_t *offsets, size_t n, struct mq_err *err);

/* transfer_hold.c: 1: a partition's records from *ret on must stay, since an intent that is open names them; 0: none. */
int mq_transfer_hold(struct mq *mq, const char *topic, uint32_t partition, uint64_t *ret, struct mq_err *err);
/* For who deletes a topic, or a group's place in it (group NULL: all groups'): MQ_EAGAIN where an intent is open, which would
 * leave half of it done for good. */
int mq_transfer_refuse(struct mq *mq, const char *topic, const char *group, struct mq_err *err);
/* For who deletes a topic: MQ_EAGAIN where an intent of another one's records is open that has it for a target. */
int mq_transfer_refuse_into(struct mq *mq, const char *topic, struct mq_err *err);

#endif
