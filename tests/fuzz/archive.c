/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: an archive, whose manifest and segments somebody wrote on purpose.
 *
 * The input is a manifest, a newline-free text up to the first NUL byte, and behind it the bytes of segments.  Each file that the manifest
 * lists becomes a member of just the name and size that it claims, as far as there are bytes: so the fuzzer need not find tar's
 * checksums.  What must hold: nothing is read outside of what was given, and reading ends.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/archive.h"
#include "sys/sys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mq_buf image;

static ssize_t image_pread(int fd, void *buf, size_t len, uint64_t at)
{
	(void)fd;
	if (at >= image.len)
		return 0;
	if (len > image.len - at)
		len = image.len - at;
	memcpy(buf, image.p + at, len);
	return (ssize_t)len;
}

static const struct mq_sys fuzz_sys = {.pread = image_pread};
const struct mq_sys *mq_sys = &fuzz_sys;

/* ustar: a header of 512 bytes, the file, and zeros up to the next 512. */
static void add_member(const char *name, uint64_t claimed, const uint8_t *bytes, size_t n)
{
	char h[512] = {0};
	unsigned sum = 0;

	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "%07o", 0640);
	snprintf(h + 108, 8, "%07o", 0);
	snprintf(h + 116, 8, "%07o", 0);
	snprintf(h + 124, 12, "%011llo", (unsigned long long)(claimed & 0777777777));
	snprintf(h + 136, 12, "%011o", 0);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof h; i++)
		sum += (uint8_t)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	if (mq_buf_add(&image, h, sizeof h) < 0 || mq_buf_add(&image, bytes, n) < 0)
		abort();
	while (image.len % 512)
		if (mq_buf_add_byte(&image, 0) < 0)
			abort();
}

static void read_all(void)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_archive_view v;
	struct mq_archive *a;
	int rc = mq_archive_open(&a, 0, "fuzzed", &err);

	if (rc < 0)
		return;
	for (size_t i = 0; rc == 0 && i < mq_archive_manifest(a)->n_segments; i++) {
		rc = mq_archive_go(a, i, &err);
		while (rc == 0 && (rc = mq_archive_next(a, &v, &err)) == 1)
			rc = v.batch.stored_len > MQ_ARCHIVE_BATCH_MAX ? 1 : 0;
		if (rc == 1)
			abort();
	}
	mq_archive_release(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, 0, size);
	size_t text = nul ? (size_t)(nul - data) : size, at = nul ? text + 1 : size;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_manifest m;

	mq_buf_clear(&image);
	add_member("manifest.json", text, data, text);
	if (mq_manifest_parse(&m, (const char *)data, text, &err) == 0) {
		for (size_t i = 0; i < m.n_segments; i++) {
			char name[MQ_ARCHIVE_NAME_MAX];
			uint64_t n = m.segment[i].bytes < size - at ? m.segment[i].bytes : size - at;

			mq_archive_member(&m, &m.segment[i], name);
			add_member(name, m.segment[i].bytes, data + at, (size_t)n);
			at += (size_t)n;
		}
		mq_manifest_release(&m);
	}
	read_all();
	return 0;
}
