/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The segment header (512 bytes) and the names of segment files.  Byte table: mq-spool(5).
 */
#ifndef MQ_FORMAT_SEGMENT_HEADER_H
#define MQ_FORMAT_SEGMENT_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/batch.h"

enum { MQ_SEGMENT_HEADER_LEN = 512, MQ_SEGMENT_NAME_MAX = 20 + 1 + 8 + 4 + 1 };

enum mq_segment_reason {
	MQ_SEGMENT_FIRST = 0,
	MQ_SEGMENT_ROLL = 1,
	MQ_SEGMENT_CLOSED = 2,  /* the predecessor's sync failed */
	MQ_SEGMENT_DAMAGE = 3,  /* the predecessor's end does not verify */
	MQ_SEGMENT_EPOCH = 4,
	MQ_SEGMENT_COMPACT = 5,
};

/* An ignore bit of one that stands for others: what came before it could not all be read when it was made. */
enum { MQ_SEGMENT_BESIDE_DAMAGE = 1 };

struct mq_segment_id {
	uint8_t b[16];
};

struct mq_segment_header {
	uint32_t refuse, ignore;
	struct mq_segment_id id;
	uint8_t topic_id[16];
	uint32_t partition;
	enum mq_segment_reason reason;
	uint64_t base_offset;
	struct mq_epoch epoch;
	int64_t created_us;
	struct mq_segment_id pred_id; /* all zero: none */
	uint64_t pred_base;
	uint64_t pred_end_pos;
	uint64_t pred_end_offset;
	uint64_t born_end_pos; /* bytes of this file synced before it was named, ≥ 512 */
	uint64_t born_end_offset;
	/* Of one that stands for others, those from pred's end to this one's, its own: */
	struct mq_segment_id stands_id; /* the last of them that a successor names, and the end that it tells */
	uint64_t stands_end_pos;
	uint64_t clean_offset; /* keys below were looked for in what came before them; at most born_end_offset */
	int64_t written_us;    /* when the youngest of them was written last, by the file system */
	uint32_t round;        /* of two that stand for the same, the higher */
	bool blind; /* not from the file, whose header does not verify: only id and base are known, from others */
};

void mq_segment_header_encode(const struct mq_segment_header *h, uint8_t ret_bytes[MQ_SEGMENT_HEADER_LEN]);

/* 0, MQ_EDAMAGE (does not verify) or MQ_ECONFIG (a newer format, an unknown refuse bit). */
int mq_segment_header_decode(const uint8_t bytes[MQ_SEGMENT_HEADER_LEN], struct mq_segment_header *ret,
                             struct mq_err *err);

bool mq_segment_id_equal(const struct mq_segment_id *a, const struct mq_segment_id *b);
bool mq_segment_id_none(const struct mq_segment_id *a);

/* What a name shows of a segment that stands for others: a mark that ids of other segments do not have, so that a look at the names
 * finds them, and two bytes of the id of the last segment it stands for, so that few are opened in vain. */
void mq_segment_id_mark(struct mq_segment_id *id, const struct mq_segment_id *stands_for);
void mq_segment_id_unmark(struct mq_segment_id *id);
bool mq_segment_id_marked(const uint8_t id4[4]);
bool mq_segment_id_marked_for(const uint8_t id4[4], const struct mq_segment_id *stands_for);

/* "00000000000000004096.1f0c22ab.seg"; suffix is "seg" or "idx". */
void mq_segment_name(uint64_t base, const struct mq_segment_id *id, const char *suffix,
                     char ret_name[MQ_SEGMENT_NAME_MAX]);

/* True for a well-formed segment file name of that suffix; ret_id4 are the four bytes it shows. */
bool mq_segment_name_parse(const char *name, const char *suffix, uint64_t *ret_base, uint8_t ret_id4[4]);

#endif
