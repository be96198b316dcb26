/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How delivery out of a waiting room is put together.
 *
 *   room          a topic's room, its partitions; when something is due next
 *   room_read     the record at an offset
 *   room_deliver  note, appends, durable: killed anywhere, the next one finishes the last note before anything else
 *   room_ids      what the topic has by its id already
 *   room_list     what waits; cancelling
 *   room_empty    the few that keep what lies behind them go to the end
 */
#ifndef MQ_OPS_ROOM_PRIVATE_H
#define MQ_OPS_ROOM_PRIVATE_H

#include "format/room_note.h"
#include "ops/body.h"
#include "ops/room.h"

struct mq_room_reader {
	struct mq_source *source;
	struct mq_body body;
	struct mq_view view;
	struct mq_walk walk;
	uint64_t at;             /* the walk gives this offset next, or one behind it */
	bool viewed;
};

struct mq_room_part {
	uint32_t partition;
	struct mq_waiting *waiting;    /* NULL: closed */
	struct mq_appender *log, *target; /* NULL: not open */
	struct mq_room_reader reader;
	struct mq_source *bell;        /* armed; NULL: not */
	struct mq_who who;             /* of the mover in the target */
	uint64_t number;               /* its last one that a note gave */
	uint64_t settled;              /* 1 + offset of the last note known to be finished; 0: none */
	struct mq_ids_entry head;      /* of a listing; there, if have is 1 */
	int have;
	bool begun;                    /* the last note may not be finished */
	int64_t due_us;                /* of the first that waits; INT64_MAX: nothing */
};

struct mq_rooms {
	struct mq *mq;
	const struct mq_engine *engine;
	char topic[201], name[201];    /* of the room */
	char mover[33];                /* the room's id */
	struct mq_topic_facts facts, target; /* of the room; of the topic */
	struct mq_room_part *parts;
	uint32_t n;
	int64_t retry_ns;              /* when to look again, since something is late; 0: nothing is */
	int64_t reread_ns;             /* when the number of partitions was last asked for */
	struct mq_records records;
	struct mq_buf payload;
	struct mq_dedupe *ids;         /* NULL: nothing was looked for yet */
	bool looks;                    /* its lock is held */
	uint64_t id[MQ_ROOM_NOTE_MAX]; /* hashes, of those in records */
	uint32_t n_ids;
};

/* room.c */
int mq_rooms_open_part(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err);
void mq_rooms_close_part(struct mq_rooms *r, struct mq_room_part *part);
/* The log of the room, to write notes to. */
int mq_rooms_log(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err);
/* A note as a record of the room, durably. */
int mq_rooms_note(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, const uint64_t *offsets,
                  struct mq_err *err);
/* And before it, in the same batch, what is in r->records. */
int mq_rooms_note_behind(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, const uint64_t *offsets,
                         struct mq_ticket *ret, struct mq_err *err);

/* room_read.c.  1: the record, until the next call; 0: it is not held any more, or damaged. */
int mq_room_read(struct mq_room_reader *r, struct mq_rooms *rooms, uint32_t p, uint64_t offset, struct mq_rec *ret, struct mq_err *err);
void mq_room_reader_release(struct mq_room_reader *r);

/* room_ids.c.  Between begin and end nobody else stores an id that is looked for. */
enum { MQ_ROOM_ID_NEW, MQ_ROOM_ID_HELD, MQ_ROOM_ID_UNSAFE /* held, but what is held may not last */, MQ_ROOM_ID_TWIN /* of one in this batch, perhaps */ };
int mq_rooms_ids_begin(struct mq_rooms *r, struct mq_err *err);
void mq_rooms_ids_end(struct mq_rooms *r);
/* One of these, or an error.  *ret_partition: where it is held. */
int mq_rooms_ids_look(struct mq_rooms *r, const struct mq_rec *rec, uint32_t *ret_partition, struct mq_err *err);

/* room_deliver.c.  Under the lock: all that was ever written is known; what was begun is finished. */
int mq_rooms_look(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err);
int mq_rooms_settle(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err);
/* 1: something was delivered. */
int mq_rooms_deliver_part(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err);

#endif
