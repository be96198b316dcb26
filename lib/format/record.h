/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records in a batch body of kind `records`: building one and walking one.  Walking gives the same
 * view for a body of kind `lines`.  Byte table: mq-spool(5).
 *
 * Building:  mq_records_init(&b); mq_records_add(&b, &rec) …; mq_records_finish(&b, &bytes, &len);
 * then mq_records_clear(&b) keeps the memory for the next batch, mq_records_release(&b) gives it up.
 * Walking:   mq_walk_init(&w, batch, raw body, err); while ((rc = mq_walk_next(&w, &rec)) > 0) …
 */
#ifndef MQ_FORMAT_RECORD_H
#define MQ_FORMAT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/batch.h"

enum {
	MQ_COL_LENGTHS = 1 << 0,
	MQ_COL_KEYS = 1 << 1,
	MQ_COL_HEADERS = 1 << 2,
	MQ_COL_TIMES = 1 << 3,
	MQ_COL_IDS = 1 << 4,
	MQ_COL_TAGS = 1 << 5,
	MQ_COL_ATTEMPTS = 1 << 6,
	MQ_COL_OFFSETS = 1 << 7,
	MQ_COL_SEQUENCES = 1 << 8,
	MQ_COL_EXPIRY = 1 << 9,
	MQ_COL_GROUPS = 1 << 10,
	MQ_COL_DUE = 1 << 11,
	MQ_COL_KNOWN = (1 << 12) - 1,
};

/* A record.  Pointers are borrowed: into the caller's memory when building, into the body when
 * walking (valid as long as the body).  A pointer of NULL means "has none", as against empty. */
struct mq_rec {
	const char *payload;
	uint32_t payload_len;
	const char *key;
	uint32_t key_len;
	const char *headers; /* the blob: (u16 name length, name, u32 value length, value)* */
	uint32_t headers_len;
	const char *id;
	uint32_t id_len;
	const char *tag;
	uint32_t tag_len;
	const char *group;
	uint32_t group_len;
	int64_t time_us;   /* 0 when building: the batch's base time */
	int64_t expiry_us; /* 0: never */
	int64_t due_us;    /* when it is to come, of one that waits for that; 0: it is there */
	uint32_t attempts;
	uint64_t offset;   /* walking: absolute.  Building: only with keep_offsets */
	uint64_t sequence; /* of a named producer; only with keep_sequences */
};

struct mq_records {
	uint32_t count;
	uint32_t columns;       /* those that some record needs, so far */
	int64_t max_time_us;    /* greatest time_us given; 0 when none was */
	uint64_t payload_bytes; /* so far */
	uint64_t body_bytes;    /* what finish would give now, at most */
	uint64_t area_bytes;    /* of keys, headers, ids, tags, groups, so far */
	uint32_t row_bytes;     /* of a record in the columns there are */
	struct mq_buf payloads, lengths, keys, key_lens, headers, header_lens, times, ids, id_lens, tags,
	    tag_lens, attempts, offsets, sequences, expiry, groups, group_lens, due, out;
};

void mq_records_init(struct mq_records *b);
void mq_records_clear(struct mq_records *b);
void mq_records_release(struct mq_records *b);

/* 0; -ENOMEM; MQ_EINPUT where the body would pass MQ_BATCH_BODY_MAX.  After a failure nothing is added.
 * A column that appears first with this record is filled up for those before.  Must cost
 * well under 50 ns for a record with a key and a payload of 100 bytes. */
int mq_records_add(struct mq_records *b, const struct mq_rec *r);

/*
 * The body.  base_time_us fills in times that were 0; base_offset and last_sequence are what the
 * offset and sequence columns are relative to (ignored without them: set b->columns |=
 * MQ_COL_OFFSETS / MQ_COL_SEQUENCES before the first add to keep them).  The bytes stay valid until
 * the next call on b.  A column that would say what is so without it (times all base_time_us, offsets
 * base, base+1, …) is left out.  Where no record needs more than its payload, and no payload holds a
 * newline, ret_kind is lines and the bytes are just lines.
 *
 * b holds at least one record.  -ENOMEM; MQ_EINPUT where an offset or a sequence lies out of reach of
 * what it is relative to, or offsets do not rise.
 */
int mq_records_finish(struct mq_records *b, int64_t base_time_us, uint64_t base_offset,
                      uint64_t last_sequence, enum mq_batch_kind *ret_kind, const uint8_t **ret_bytes,
                      uint32_t *ret_len);

struct mq_walk {
	const struct mq_batch *batch;
	const uint8_t *body, *end, *payload;
	const uint8_t *lengths, *key_lens, *keys, *header_lens, *headers, *times, *id_lens, *ids, *tag_lens,
	    *tags, *attempts, *offsets, *sequences, *expiry, *group_lens, *groups, *due;
	uint32_t columns;
	uint32_t index; /* of the record that comes next */
};

/* batch: as decoded; it and the body must outlive the walk.  body: raw_len bytes, decompressed.  All lengths of
 * records are checked here, so that every step after this is cheap; of lines, each step checks its own.
 * MQ_EDAMAGE where one leads outside, MQ_ECONFIG for an unknown column.  A control batch has no records. */
int mq_walk_init(struct mq_walk *w, const struct mq_batch *batch, const uint8_t *body, struct mq_err *err);

/* 1 and a record; 0 at the end; MQ_EDAMAGE where the body contradicts itself. */
int mq_walk_next(struct mq_walk *w, struct mq_rec *ret);

/* Pass over records whose offset is below `offset`; fast for lines (vectors).  0 or MQ_EDAMAGE. */
int mq_walk_skip(struct mq_walk *w, uint64_t offset);

/* Headers: append one to a blob (0, -ENOMEM, MQ_EINPUT for a name above 65,535 bytes); step through one
 * (1, 0 at the end, MQ_EDAMAGE). */
int mq_header_append(struct mq_buf *blob, const char *name, size_t name_len, const char *value, size_t value_len);
struct mq_header_view {
	const char *name, *value;
	uint32_t name_len, value_len;
};
int mq_header_next(const char **at, const char *end, struct mq_header_view *ret);

#endif
