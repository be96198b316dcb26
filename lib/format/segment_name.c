/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/segment_header.h"

enum { BASE_DIGITS = 20, ID_DIGITS = 8 };

void mq_segment_name(uint64_t base, const struct mq_segment_id *id, const char *suffix,
                     char ret_name[MQ_SEGMENT_NAME_MAX])
{
	snprintf(ret_name, MQ_SEGMENT_NAME_MAX, "%020" PRIu64 ".%02x%02x%02x%02x.%.3s", base, id->b[0],
	         id->b[1], id->b[2], id->b[3], suffix);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly the names that mq_segment_name makes: anything else in the directory is not ours. */
bool mq_segment_name_parse(const char *name, const char *suffix, uint64_t *ret_base, uint8_t ret_id4[4])
{
	uint64_t base = 0;
	uint8_t id4[4] = {0};

	if (strlen(name) != BASE_DIGITS + 1 + ID_DIGITS + 1 + strlen(suffix))
		return false;
	for (int i = 0; i < BASE_DIGITS; i++, name++)
		if (*name < '0' || *name > '9' || __builtin_mul_overflow(base, 10u, &base) ||
		    __builtin_add_overflow(base, (uint64_t)(*name - '0'), &base))
			return false;
	if (*name++ != '.')
		return false;
	for (int i = 0; i < ID_DIGITS; i++, name++) {
		int digit = hex_digit(*name);
		if (digit < 0)
			return false;
		id4[i / 2] = (uint8_t)(id4[i / 2] << 4 | digit);
	}
	if (*name++ != '.' || strcmp(name, suffix) != 0)
		return false;
	*ret_base = base;
	memcpy(ret_id4, id4, sizeof id4);
	return true;
}
