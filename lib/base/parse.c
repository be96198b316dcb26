/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/parse.h"

#include <errno.h>
#include <string.h>

static const int64_t SECOND = 1000000000;

int mq_to_u64_prefix(const char *text, size_t len, uint64_t *ret, size_t *ret_used)
{
	uint64_t v = 0;
	size_t i = 0;
	for (; i < len && text[i] >= '0' && text[i] <= '9'; i++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
			return -ERANGE;
	if (i == 0)
		return -EINVAL;
	*ret = v;
	*ret_used = i;
	return 0;
}

int mq_to_u64(const char *text, uint64_t *ret, struct mq_err *err)
{
	uint64_t v;
	size_t used;
	int rc = mq_to_u64_prefix(text, strlen(text), &v, &used);
	if (rc == -ERANGE)
		return mq_err_set(err, MQ_EUSAGE, "'%s' is too large a number", text);
	if (rc < 0 || text[used])
		return mq_err_set(err, MQ_EUSAGE, "'%s' is not a number", text);
	*ret = v;
	return 0;
}

int mq_to_size(const char *text, uint64_t *ret_bytes, struct mq_err *err)
{
	static const char units[] = "KMGT";
	uint64_t v;
	size_t used;
	int rc = mq_to_u64_prefix(text, strlen(text), &v, &used);
	unsigned shift = 0;
	if (rc == 0 && text[used]) {
		char upper = (char)(text[used] & ~0x20);
		const char *unit = memchr(units, upper, sizeof units - 1);
		if (!unit || text[used + 1])
			rc = -EINVAL;
		else
			shift = 10 * (unsigned)(unit - units + 1);
	}
	if (rc == -EINVAL)
		return mq_err_set(err, MQ_EUSAGE, "'%s' is not a size: as 4096, 64K, 10M, 1G", text);
	if (rc < 0 || v > UINT64_MAX >> shift)
		return mq_err_set(err, MQ_EUSAGE, "'%s' is too large a size", text);
	*ret_bytes = v << shift;
	return 0;
}

/* "12", "1.5": the whole and up to nine digits behind the point, in 1e-9.  Returns where it ends; NULL. */
static const char *decimal(const char *text, uint64_t *ret_whole, uint32_t *ret_nanos)
{
	size_t used;
	uint32_t nanos = 0;
	if (mq_to_u64_prefix(text, strlen(text), ret_whole, &used) < 0)
		return NULL;
	text += used;
	if (*text == '.') {
		int digits = 0;
		for (text++; *text >= '0' && *text <= '9'; text++, digits++)
			if (digits < 9)
				nanos = nanos * 10 + (uint32_t)(*text - '0');
		if (digits == 0)
			return NULL;
		for (; digits < 9; digits++)
			nanos *= 10;
	}
	*ret_nanos = nanos;
	return text;
}

static int64_t unit_ns(const char *unit)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {{"", 1000000000},  {"ns", 1},          {"us", 1000},           {"ms", 1000000},
	             {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(units[i].name, unit) == 0)
			return units[i].ns;
	return 0;
}

int mq_to_duration(const char *text, int64_t *ret_ns, struct mq_err *err)
{
	uint64_t whole;
	uint32_t nanos;
	const char *unit = decimal(text, &whole, &nanos);
	int64_t ns = unit ? unit_ns(unit) : 0, sum;
	if (ns == 0)
		return mq_err_set(err, MQ_EUSAGE, "'%s' is not a time span: as 300ms, 10s, 5m, 2h, 7d", text);
	int64_t part = (int64_t)((unsigned __int128)nanos * (uint64_t)ns / (uint64_t)SECOND);
	if (__builtin_mul_overflow(whole, ns, &sum) || __builtin_add_overflow(sum, part, &sum))
		return mq_err_set(err, MQ_EUSAGE, "'%s' is too long a time span", text);
	*ret_ns = sum;
	return 0;
}

int mq_to_rate(const char *text, double *ret_per_second, struct mq_err *err)
{
	uint64_t whole;
	uint32_t nanos;
	const char *unit = decimal(text, &whole, &nanos);
	double seconds = 0;
	if (unit && (!*unit || strcmp(unit, "/s") == 0))
		seconds = 1;
	else if (unit && strcmp(unit, "/m") == 0)
		seconds = 60;
	else if (unit && strcmp(unit, "/h") == 0)
		seconds = 3600;
	if (seconds == 0 || (whole == 0 && nanos == 0))
		return mq_err_set(err, MQ_EUSAGE, "'%s' is not a rate: as 500/s, 30/m, 0.5/s", text);
	*ret_per_second = ((double)whole + nanos / 1e9) / seconds;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mq_to_hex(const char *text, size_t len, uint8_t *ret_bytes, size_t n)
{
	if (len != 2 * n)
		return MQ_EUSAGE;
	for (size_t i = 0; i < len; i++)
		if (hex_digit(text[i]) < 0)
			return MQ_EUSAGE;
	for (size_t i = 0; i < n; i++)
		ret_bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return 0;
}

void mq_hex(const uint8_t *bytes, size_t n, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		*ret_text++ = digits[bytes[i] >> 4];
		*ret_text++ = digits[bytes[i] & 15];
	}
	*ret_text = 0;
}
