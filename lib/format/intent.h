/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An intent: all that finishing a transfer needs, as the payload of one record of the internal topic intents@TOPIC@GROUP, in
 * the partition of its source.  Byte tables: mq-spool(5).
 *
 * Making:   mq_intent_begin(&buf, &intent); mq_intent_add(&buf, &target) … n_targets times
 * Reading:  mq_intent_open(&walk, payload, len, &intent, err); while (mq_intent_next(&walk, &target) > 0) …
 */
#ifndef MQ_FORMAT_INTENT_H
#define MQ_FORMAT_INTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/batch.h"

enum { MQ_INTENT_SET_MAX = 4096 };

struct mq_intent {
	bool copies;         /* targets hold positions of the source, else bodies */
	bool carry;          /* copies are for the mover's group alone, where they were not for one before */
	bool open_ended;     /* once all of this is done the mover may have gone on, into these targets alone, without another intent:
	                      * a batch there whose number is last_number + n has done the source up to source_end + n */
	uint32_t n_targets;
	uint32_t n_set;      /* 0: all of the range counts as done; else these alone, taken out of their order: */
	const uint8_t *set;  /* n_set x u32 little-endian: offset - source_start, rising.  Reading: borrowed */
	uint32_t generation; /* of the mover */
	uint32_t seeks;      /* seek count of the group's place: of another count, the range is done and moves no place */
	uint64_t source_start, source_end; /* the range that counts as done; less than 2^32 long */
	uint64_t number, last_number;      /* the mover's before the first record, and of the last one */
};

/* One partition: its records have the numbers above `number`, in order.  Of an open-ended intent it may have none. */
struct mq_intent_target {
	uint8_t topic_id[16];
	char topic[201];
	uint32_t partition;
	uint64_t who_id;      /* the mover's in that partition when this was made */
	uint64_t end;         /* where the partition ended then: none of the records lies before */
	uint64_t number;
	uint32_t count;
	enum mq_batch_kind kind; /* of the body */
	int64_t base_time_us, max_time_us;
	uint32_t len;
	const uint8_t *data;  /* the body, or count x u32 little-endian: offset - source_start, rising.  Reading: borrowed */
};

/* 0 or -ENOMEM, the buffer as it was. */
int mq_intent_begin(struct mq_buf *out, const struct mq_intent *i);
int mq_intent_add(struct mq_buf *out, const struct mq_intent_target *t);

struct mq_intent_walk {
	const uint8_t *at, *end;
	struct mq_intent intent;
	uint32_t left;
	uint64_t number;
};
/* 0, MQ_EDAMAGE (it contradicts itself), MQ_ECONFIG (a newer format). */
int mq_intent_open(struct mq_intent_walk *w, const void *payload, size_t len, struct mq_intent *ret, struct mq_err *err);
/* 1 and a target, 0 at the end, MQ_EDAMAGE. */
int mq_intent_next(struct mq_intent_walk *w, struct mq_intent_target *ret);

#endif
