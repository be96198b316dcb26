/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/when.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

static const int64_t SECOND_US = 1000000, DAY_S = 86400;

enum { ERA_YEARS = 400, ERA_DAYS = 146097, EPOCH_DAYS = 719468 /* from 0000-03-01 to 1970-01-01 */ };

static int64_t days_from_civil(int64_t y, int m, int d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - (ERA_YEARS - 1)) / ERA_YEARS, yoe = y - era * ERA_YEARS;
	int64_t doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * ERA_DAYS + yoe * 365 + yoe / 4 - yoe / 100 + doy - EPOCH_DAYS;
}

static void civil_from_days(int64_t days, int64_t *ret_y, int *ret_m, int *ret_d)
{
	days += EPOCH_DAYS;
	int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS, doe = days - era * ERA_DAYS;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	*ret_d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_y = yoe + era * ERA_YEARS + (*ret_m <= 2);
}

void mq_when_format(int64_t us, char ret_text[MQ_WHEN_TEXT_MAX])
{
	int64_t s = us / SECOND_US, part = us % SECOND_US, y;
	if (part < 0) {
		part += SECOND_US;
		s--;
	}
	int64_t days = s / DAY_S, rest = s % DAY_S;
	if (rest < 0) {
		rest += DAY_S;
		days--;
	}
	int m, d;
	civil_from_days(days, &y, &m, &d);
	snprintf(ret_text, MQ_WHEN_TEXT_MAX, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%06dZ", y, m, d,
	         (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60), (int)part);
}

/* Exactly n digits; -1.  Moves on. */
static int digits(const char **at, int n)
{
	int v = 0;
	for (int i = 0; i < n; i++) {
		char c = (*at)[i];
		if (c < '0' || c > '9')
			return -1;
		v = v * 10 + c - '0';
	}
	*at += n;
	return v;
}

static bool pass(const char **at, const char *any)
{
	if (!**at || !strchr(any, **at))
		return false;
	(*at)++;
	return true;
}

/* ".5" to microseconds; nothing is 0, a point without digits -1. */
static int64_t fraction_us(const char **at)
{
	int64_t us = 0, unit = SECOND_US / 10;
	if (!pass(at, "."))
		return 0;
	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
		us += (**at - '0') * unit;
	return us;
}

static bool zone_minutes(const char **at, int *ret)
{
	if (pass(at, "Zz")) {
		*ret = 0;
		return true;
	}
	bool west = **at == '-';
	if (!pass(at, "+-"))
		return false;
	int h = digits(at, 2);
	int m = h >= 0 && pass(at, ":") ? digits(at, 2) : -1;
	*ret = west ? -(h * 60 + m) : h * 60 + m;
	return h >= 0 && m >= 0 && h < 24 && m < 60;
}

/* The whole of RFC 3339's date-time and nothing less: a date alone means local midnight, which date(1) knows. */
static bool rfc3339(const char *text, int64_t *ret_us)
{
	static const char days_of[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y, mon, d, h, min, s, zone;
	if ((y = digits(&text, 4)) < 0 || !pass(&text, "-") || (mon = digits(&text, 2)) < 1 || mon > 12 ||
	    !pass(&text, "-") || (d = digits(&text, 2)) < 1 || d > days_of[mon - 1] || !pass(&text, "Tt "))
		return false;
	bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
	if (mon == 2 && d == 29 && !leap)
		return false;
	if ((h = digits(&text, 2)) < 0 || h > 23 || !pass(&text, ":") || (min = digits(&text, 2)) < 0 ||
	    min > 59 || !pass(&text, ":") || (s = digits(&text, 2)) < 0 || s > 60)
		return false;
	int64_t part = fraction_us(&text);
	if (part < 0 || !zone_minutes(&text, &zone) || *text)
		return false;
	int64_t seconds = days_from_civil(y, mon, d) * DAY_S + h * 3600 + (min - zone) * 60 + s;
	*ret_us = seconds * SECOND_US + part;
	return true;
}

/* 0, MQ_WHEN_ASK_DATE where it is no plain number, MQ_EUSAGE out of range. */
static int epoch(const char *text, int64_t *ret_us)
{
	uint64_t s;
	size_t used;
	int64_t us;
	if (mq_to_u64_prefix(text, strlen(text), &s, &used) < 0)
		return MQ_WHEN_ASK_DATE;
	const char *rest = text + used;
	int64_t part = fraction_us(&rest);
	if (part < 0 || *rest)
		return MQ_WHEN_ASK_DATE;
	if (__builtin_mul_overflow(s, SECOND_US, &us) || __builtin_add_overflow(us, part, &us))
		return MQ_EUSAGE;
	*ret_us = us;
	return 0;
}

/* Bare digits that a person would read as another thing than seconds: 2026, 20260131, 1530; milliseconds. */
static int check_epoch(const char *text, const char *given, struct mq_err *err)
{
	size_t len = strlen(text);
	if (strspn(text, "0123456789") != len)
		return 0;
	if (len == 4 || len == 8)
		return mq_err_set(err, MQ_EUSAGE, "'%s' might be a date, a time of day or seconds since 1970: as 2026-01-31, 15:30, %s.0",
		                  given, text);
	if (len > 11)
		return mq_err_set(err, MQ_EUSAGE, "'%s' is too far away: seconds since 1970 are wanted, not milliseconds", given);
	return 0;
}

int mq_to_when(const char *text, int64_t now_us, int64_t *ret_us, struct mq_err *err)
{
	const char *given = text;
	int64_t ns, us;
	if (*text == '@')
		text++;
	if (!*text)
		return mq_err_set(err, MQ_EUSAGE, "'%s' is not a time: as 2024-05-01T12:34:56Z, 1714566896, -1h", given);
	if (strcmp(text, "now") == 0) {
		*ret_us = now_us;
		return 0;
	}
	if (*text == '-' || *text == '+') {
		bool unit = strspn(text + 1, "0123456789.") != strlen(text + 1);
		if (!unit || mq_to_duration(text + 1, &ns, NULL) < 0 ||
		    __builtin_add_overflow(now_us, *text == '-' ? -(ns / 1000) : ns / 1000, &us))
			return mq_err_set(err, MQ_EUSAGE, "'%s' is not a time from now: as -1h, -30s, +5m", given);
		*ret_us = us;
		return 0;
	}
	if (rfc3339(text, ret_us))
		return 0;
	int rc = check_epoch(text, given, err);
	if (rc < 0)
		return rc;
	rc = epoch(text, ret_us);
	if (rc == MQ_EUSAGE)
		return mq_err_set(err, rc, "'%s' is too far away", given);
	const char *at = given == text ? "" : "@";
	if (rc == MQ_WHEN_ASK_DATE && mq_to_duration(text, &ns, NULL) == 0)
		return mq_err_set(err, MQ_EUSAGE, "'%s' might be past or to come: write %s-%s or %s+%s", given, at, text, at, text);
	return rc;
}
