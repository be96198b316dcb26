/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies compressed by zstd: one frame, with its checksum left out (the batch has its own). */
#ifndef MQ_FORMAT_ZIP_H
#define MQ_FORMAT_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Keeps its working memory between calls; zero it to begin. */
struct mq_zip {
	void *pack, *unpack;
};
#define MQ_ZIP_INIT {0, 0}
void mq_zip_release(struct mq_zip *z);

/* Replace out's contents by the frame.  0 or -ENOMEM.  When it is not shorter than n the caller had better
 * store the body plain. */
int mq_zip_pack(struct mq_zip *z, const void *bytes, size_t n, struct mq_buf *out);

/* Replace out's contents by exactly raw_len bytes.  raw_len is what the batch header says, and the only size
 * believed: MQ_EDAMAGE when the frame gives more, less or nonsense, or bytes follow it. */
int mq_zip_unpack(struct mq_zip *z, const void *frame, size_t n, uint32_t raw_len, struct mq_buf *out,
                  struct mq_err *err);

#endif
