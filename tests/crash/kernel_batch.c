/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

static uint64_t mix(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

void kernel_batch_make(uint64_t id, struct mq_batch *ret, uint8_t *body)
{
	uint64_t s = id * 0x9e3779b97f4a7c15u | 1, word;
	uint32_t len, records;

	(void)mix(&s);
	len = 1u << (mix(&s) % 19); /* 1 B to 256 KiB, each power of two as often */
	len += (uint32_t)(mix(&s) % len);
	if (len > KERNEL_BODY_MAX)
		len = KERNEL_BODY_MAX;
	records = len > 16 ? 1 + (uint32_t)(mix(&s) % 4) : 1;
	for (uint32_t at = 0; at < len; at += (uint32_t)sizeof word) {
		word = mix(&s) | 0x8080808080808080u; /* no byte of it ends a line */
		memcpy(body + at, &word, len - at < sizeof word ? len - at : sizeof word);
	}
	for (uint32_t at = 0; at + 8 <= len; at += 256)
		memcpy(body + at, "mqKernel", 8);
	for (uint32_t i = 1; i < records; i++)
		body[len / records * i] = '\n';
	body[len - 1] = '\n';
	records = 0;
	for (uint32_t at = 0; at < len; at++)
		records += body[at] == '\n';
	*ret = (struct mq_batch){.kind = MQ_BATCH_LINES,
	                         .stored_len = len,
	                         .raw_len = len,
	                         .count = records,
	                         .base_time_us = (int64_t)id,
	                         .body_crc = mq_crc32c(0, body, len)};
}

static void tell(void *arg, const char *text)
{
	(void)arg;
	if (getenv("KERNEL_NOTICES"))
		fprintf(stderr, "notice: %s\n", text);
}

struct mq_log_options kernel_options(void)
{
	struct mq_log_options opt = {.segment_bytes = 600 * 1024, .mode = 0640, .label = "crash/0", .notice = tell};

	memset(opt.topic_id, 7, sizeof opt.topic_id);
	return opt;
}
