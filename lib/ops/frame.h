/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames: records of any bytes with all they carry, so that nothing is lost on the way through a pipe.
 * A frame is a line of numbers, then the bytes that they measure, one behind the other:
 *
 *     mqf1 KEY HEADERS ID TAG PAYLOAD TIME EXPIRY\n
 *     key bytes, header bytes, id bytes, tag bytes, payload bytes
 *
 * KEY … PAYLOAD are lengths in bytes, in decimal digits; "-" is "has none", as against 0, "is empty"; a payload
 * is always there.  TIME is when the record was made and EXPIRY when consumers begin to skip it, in
 * microseconds since 1970; "-" for none: the time of publishing, and never.  A line may end behind PAYLOAD.
 * Header bytes are any number of: u16 length of a name, name, u32 length of a value, value; both little-endian.
 * Writing one in Python:
 *
 *     def frame(payload, key=None):
 *         out.write(b"mqf1 %s - - - %d\n" % (b"-" if key is None else b"%d" % len(key), len(payload)))
 *         out.write((key or b"") + payload)
 */
#ifndef MQ_OPS_FRAME_H
#define MQ_OPS_FRAME_H

#include "base/buf.h"
#include "format/record.h"

enum { MQ_FRAME_LINE_MAX = 160 };

/* Add the frame.  0 or -ENOMEM. */
int mq_frame_write(struct mq_buf *out, const struct mq_rec *r);

/* The line, without its newline: sets the lengths, the times, and a pointer that is not NULL for what is there.  0, or
 * MQ_EINPUT with *ret_bad the position of the first byte that is wrong. */
int mq_frame_parse(const char *line, size_t len, struct mq_rec *ret, size_t *ret_bad);

/* Bytes behind the line. */
uint64_t mq_frame_body_len(const struct mq_rec *r);

/* Point r into the bytes.  MQ_EINPUT: the headers do not fit their length; *ret_bad as above, in the bytes. */
int mq_frame_point(struct mq_rec *r, const char *bytes, size_t *ret_bad);

#endif
