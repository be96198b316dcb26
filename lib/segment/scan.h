/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading batches of one segment in order, verified, through one buffer.
 *
 * The buffer is a window on the file: a batch that lies in it whole is given without copying, the
 * next read fetches what is missing and the header behind it.  Memory: the greatest batch met plus
 * MQ_SCAN_CHUNK.
 */
#ifndef MQ_SEGMENT_SCAN_H
#define MQ_SEGMENT_SCAN_H

#include "segment/segment.h"

enum { MQ_SCAN_CHUNK = 256 * 1024 };

struct mq_scan {
	const struct mq_segment *seg; /* borrowed */
	uint8_t *buf;
	size_t cap, len;   /* bytes of the window */
	uint64_t at;       /* file position of buf[0] */
};

void mq_scan_init(struct mq_scan *s);
void mq_scan_release(struct mq_scan *s);
/* Look at another segment, or at this one anew (bytes behind a former end may have changed). */
void mq_scan_reset(struct mq_scan *s, const struct mq_segment *seg);

/*
 * The batch at pos, which must end at or before limit.  1: header and body verify; *ret_body points at
 * stored_len bytes until the next call.  0: nothing can start here (pos + header > limit, or the file
 * ends).  MQ_EDAMAGE: it does not verify or leads beyond limit; *ret then holds the header when that
 * alone verified (stored_len and offsets are trustworthy), else count 0 and stored_len 0.
 * Other negatives: the kernel's.
 */
int mq_scan_batch(struct mq_scan *s, uint64_t pos, uint64_t limit, struct mq_batch *ret, const uint8_t **ret_body,
                  struct mq_err *err);

/* The header alone, not the body: for hopping.  As above. */
int mq_scan_header(struct mq_scan *s, uint64_t pos, uint64_t limit, struct mq_batch *ret, struct mq_err *err);

/* The first place in [from, limit) where a whole batch verifies: 1 and *ret_pos, or 0. */
int mq_scan_resync(struct mq_scan *s, uint64_t from, uint64_t limit, uint64_t *ret_pos, struct mq_err *err);

#endif
