/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/zip.h"

#include <errno.h>
#include <zstd.h>

enum { LEVEL = 1 }; /* the fastest: a queue is written once and read about once */

void mq_zip_release(struct mq_zip *z)
{
	if (!z)
		return;
	ZSTD_freeCCtx(z->pack);
	ZSTD_freeDCtx(z->unpack);
	*z = (struct mq_zip)MQ_ZIP_INIT;
}

int mq_zip_pack(struct mq_zip *z, const void *bytes, size_t n, struct mq_buf *out)
{
	if (!z->pack && !(z->pack = ZSTD_createCCtx()))
		return -ENOMEM;
	mq_buf_clear(out);
	int rc = mq_buf_reserve(out, ZSTD_compressBound(n));
	if (rc < 0)
		return rc;
	size_t len = ZSTD_compressCCtx(z->pack, out->p, out->cap, bytes, n, LEVEL);
	if (ZSTD_isError(len))
		return -ENOMEM; /* with room for the worst, nothing else is left */
	out->len = len;
	return 0;
}

int mq_zip_unpack(struct mq_zip *z, const void *frame, size_t n, uint32_t raw_len, struct mq_buf *out,
                  struct mq_err *err)
{
	if (!z->unpack && !(z->unpack = ZSTD_createDCtx()))
		return mq_err_set(err, -ENOMEM, "no memory to decompress a batch");
	/* Several frames in a row would decompress as one: the format has one. */
	size_t frame_len = ZSTD_findFrameCompressedSize(frame, n);
	if (ZSTD_isError(frame_len) || frame_len != n)
		return mq_err_set(err, MQ_EDAMAGE, "the batch's body is not one zstd frame");
	mq_buf_clear(out);
	if (mq_buf_reserve(out, raw_len) < 0)
		return mq_err_set(err, -ENOMEM, "no memory for a batch of %u bytes", raw_len);
	size_t len = ZSTD_decompressDCtx(z->unpack, out->p, raw_len, frame, n);
	if (ZSTD_isError(len))
		return mq_err_set(err, MQ_EDAMAGE, "the batch does not decompress: %s", ZSTD_getErrorName(len));
	if (len != raw_len)
		return mq_err_set(err, MQ_EDAMAGE, "the batch decompresses to %zu bytes instead of %u", len, raw_len);
	out->len = len;
	return 0;
}
