/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/assign_set.h"

#include <inttypes.h>

#include "base/parse.h"

/* One "A" or "A-B" at *text; it is left behind. */
static bool parse_one(const char **text, const char *end, uint64_t *ret_first, uint64_t *ret_last)
{
	size_t used;

	if (mq_to_u64_prefix(*text, (size_t)(end - *text), ret_first, &used) < 0)
		return false;
	*text += used;
	*ret_last = *ret_first;
	if (*text < end && **text == '-') {
		++*text;
		if (mq_to_u64_prefix(*text, (size_t)(end - *text), ret_last, &used) < 0)
			return false;
		*text += used;
	}
	return *ret_first <= *ret_last && *ret_last < MQ_PARTITIONS_MAX;
}

int mq_assign_set_parse(struct mq_assign_set *ret, const char *text, size_t len, struct mq_err *err)
{
	const char *at = text, *end = text + len;
	struct mq_assign_set s = {{0}};
	uint64_t first, last;

	while (parse_one(&at, end, &first, &last)) {
		for (uint64_t p = first; p <= last; p++)
			s.bits[p / 64] |= UINT64_C(1) << p % 64;
		if (at == end) {
			*ret = s;
			return 0;
		}
		if (*at++ != ',')
			break;
	}
	return mq_err_set(err, MQ_EUSAGE, "'%.*s': must be partitions from 0 to %d, as 0-3,8", (int)(len > 200 ? 200 : len), text,
	                  MQ_PARTITIONS_MAX - 1);
}

int mq_assign_set_print(const struct mq_assign_set *s, struct mq_buf *out)
{
	const char *comma = "";
	int rc = 0;

	for (uint32_t p = 0, last; rc == 0 && p < MQ_PARTITIONS_MAX; p = last + 1) {
		last = p;
		if (!mq_assign_set_has(s, p))
			continue;
		while (mq_assign_set_has(s, last + 1))
			last++;
		rc = mq_buf_printf(out, "%s%" PRIu32, comma, p);
		if (rc == 0 && last > p)
			rc = mq_buf_printf(out, "-%" PRIu32, last);
		comma = ",";
	}
	return rc;
}

int32_t mq_assign_set_meet(const struct mq_assign_set *a, const struct mq_assign_set *b)
{
	for (int32_t i = 0; i < MQ_ASSIGN_SET_WORDS; i++)
		if (a->bits[i] & b->bits[i])
			return i * 64 + __builtin_ctzll(a->bits[i] & b->bits[i]);
	return -1;
}
