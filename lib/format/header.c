/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The headers of a record: a blob of (u16 name length, name, u32 value length, value)*. */
#include "base/bytes.h"
#include "format/record.h"

int mq_header_append(struct mq_buf *blob, const char *name, size_t name_len, const char *value, size_t value_len)
{
	if (name_len > UINT16_MAX || value_len > MQ_BATCH_BODY_MAX)
		return MQ_EINPUT;
	uint8_t len[4];
	int rc = mq_buf_reserve(blob, 2 + name_len + 4 + value_len); /* all of it or none */
	if (rc < 0)
		return rc;
	mq_put_le16(len, (uint16_t)name_len);
	mq_buf_add(blob, len, 2);
	mq_buf_add(blob, name, name_len);
	mq_put_le32(len, (uint32_t)value_len);
	mq_buf_add(blob, len, 4);
	mq_buf_add(blob, value, value_len);
	return 0;
}

int mq_header_next(const char **at, const char *end, struct mq_header_view *ret)
{
	const char *p = *at;
	if (p == end)
		return 0;
	if (end - p < 2)
		return MQ_EDAMAGE;
	uint32_t name_len = mq_get_le16(p);
	p += 2;
	if ((size_t)(end - p) < (size_t)name_len + 4)
		return MQ_EDAMAGE;
	const char *name = p;
	p += name_len;
	uint32_t value_len = mq_get_le32(p);
	p += 4;
	if ((size_t)(end - p) < value_len)
		return MQ_EDAMAGE;
	*ret = (struct mq_header_view){name, p, name_len, value_len};
	*at = p + value_len;
	return 1;
}
