/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of compaction ask of each other. */
#ifndef MQ_LOG_COMPACT_INTERNAL_H
#define MQ_LOG_COMPACT_INTERNAL_H

#include "base/buf.h"
#include "format/record.h"
#include "format/zip.h"
#include "log/compact.h"
#include "log/compact_keys.h"

/* A closed segment, as its own file says. */
struct mq_compact_part {
	struct mq_segment_header h;
	struct mq_segment_id stands_id; /* what a successor names, and the end that it tells */
	uint64_t stands_end_pos;
	uint64_t end_pos, end_offset;
	int64_t written_us;
	bool bad;                       /* it does not verify, or is not whole */
	bool joined;                    /* to the part before it, by ids */
};

/* compact_out.c: what is being written. */
struct mq_compact_out {
	const struct mq_compact_options *opt;
	int dir;                    /* borrowed */
	struct mq_segment seg;
	struct mq_records records;  /* gathered, not yet written: from the offset `from` on, */
	struct mq_batch like;       /* of the last batch they came from, */
	uint64_t first_sequence;    /* and the first of a producer */
	uint64_t from;
	uint64_t made_bytes;        /* of the last one that was named */
	uint64_t wrote_out;         /* write-out was started up to here */
	int64_t max_time_us;
	struct mq_buf index;        /* struct mq_index_entry */
	struct mq_zip zip;
	struct mq_buf packed;
};

void mq_compact_out_init(struct mq_compact_out *o, const struct mq_compact_options *opt, int dir);
void mq_compact_out_release(struct mq_compact_out *o); /* removes what was begun and not named */
/* In place of first up to last.  beside_damage: what comes before them cannot all be read. */
int mq_compact_out_begin(struct mq_compact_out *o, const struct mq_compact_part *first, const struct mq_compact_part *last,
                         bool beside_damage, struct mq_err *err);
int mq_compact_out_record(struct mq_compact_out *o, const struct mq_batch *b, const struct mq_rec *r, struct mq_err *err);
/* Nothing of it stays. */
void mq_compact_out_pass(struct mq_compact_out *o, const struct mq_batch *b);
/* A batch as it is: of control, or one of which all stays. */
int mq_compact_out_batch(struct mq_compact_out *o, const struct mq_batch *b, const uint8_t *body, struct mq_err *err);
/* All is there up to where last ends; clean: what to say of keys. */
int mq_compact_out_end(struct mq_compact_out *o, const struct mq_compact_part *last, uint64_t clean, struct mq_err *err);

/* compact_read.c: the batches of a part, in order.  MQ_EDAMAGE: one does not verify, or offsets are missing; err says which. */
struct mq_compact_reader {
	struct mq_segment seg;
	struct mq_scan scan;
	const struct mq_compact_part *part;
	uint64_t pos, offset;
	struct mq_zip zip;
	struct mq_buf raw;
};
int mq_compact_read_begin(struct mq_compact_reader *r, const struct mq_cursor *c, const struct mq_compact_part *part, struct mq_err *err);
int mq_compact_read_next(struct mq_compact_reader *r, struct mq_batch *ret, const uint8_t **ret_body, struct mq_err *err); /* 1, 0 */
/* Over the records of the batch that was read last. */
int mq_compact_read_walk(struct mq_compact_reader *r, const struct mq_batch *b, const uint8_t *body, struct mq_walk *ret,
                         struct mq_err *err);
void mq_compact_read_end(struct mq_compact_reader *r); /* the memory stays */
void mq_compact_read_release(struct mq_compact_reader *r);
/* What cannot be read is as good as damaged: others go on without it. */
bool mq_compact_is_damage(int rc);

/* A run. */
struct mq_compacting {
	struct mq_cursor *c;
	const struct mq_compact_options *opt;
	struct mq_compacted *sum;
	struct mq_err *err;
	struct mq_compact_part *part; /* owned */
	size_t n;
	struct mq_keys keys;
	uint64_t map_from, map_to;    /* offsets of which the keys were noted */
	struct mq_compact_reader in;
	struct mq_compact_out out;
	struct mq_buf keep;           /* a byte a record of the batch at hand */
	bool whole;                   /* everything below was written anew: tombstones may go */
	int64_t now_us;
};

/* compact_plan.c: what there is, and whether it is worth while: 1, 0. */
int mq_compact_survey(struct mq_compacting *k);
bool mq_compact_due(struct mq_compacting *k);
/* compact_rewrite.c */
int mq_compact_rewrite(struct mq_compacting *k);
/* What was compacted and is small, into one: 1, 0 there was nothing. */
int mq_compact_join(struct mq_compacting *k);

#endif
