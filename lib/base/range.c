/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/range.h"

#include <string.h>

#include "base/name.h"
#include "base/parse.h"
#include "base/when.h"

static int to_time(const char *text, int64_t now_us, struct mq_point *ret, struct mq_err *err)
{
	int rc = mq_to_when(text, now_us, &ret->time_us, err);
	if (rc < 0)
		return rc;
	ret->kind = rc == MQ_WHEN_ASK_DATE ? MQ_POINT_DATE : MQ_POINT_TIME;
	size_t len = strlen(text + 1);
	if (len >= sizeof ret->text)
		return mq_err_set(err, MQ_EUSAGE, "'%s' is too long for a time", text);
	memcpy(ret->text, text + 1, len + 1);
	return 0;
}

int mq_to_point(const char *text, int64_t now_us, struct mq_point *ret, struct mq_err *err)
{
	static const struct {
		const char *name;
		enum mq_point_kind kind;
	} words[] = {
	    {"beginning", MQ_POINT_BEGINNING}, {"end", MQ_POINT_END}, {"stored", MQ_POINT_STORED}};
	struct mq_point p = {.kind = MQ_POINT_OFFSET};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(text, words[i].name) == 0) {
			p.kind = words[i].kind;
			*ret = p;
			return 0;
		}
	int rc = 0;
	if (*text == '@') {
		rc = to_time(text, now_us, &p, err);
	} else {
		p.kind = *text == '-' ? MQ_POINT_FROM_END : MQ_POINT_OFFSET;
		if (mq_to_u64(*text == '-' ? text + 1 : text, &p.n, NULL) < 0)
			rc = mq_err_set(err, MQ_EUSAGE,
			                "'%s' is not a place: an offset, beginning, end, stored, -N or @TIME", text);
	}
	if (rc == 0)
		*ret = p;
	return rc;
}

int mq_to_range(const char *text, int64_t now_us, struct mq_range *ret, struct mq_err *err)
{
	enum { SIDE_MAX = 128 };
	struct mq_range r = {.start = {.kind = MQ_POINT_BEGINNING}, .end = {.kind = MQ_POINT_END}};
	const char *dots = strstr(text, ".."), *end = dots ? dots + 2 : "";
	size_t start_len = dots ? (size_t)(dots - text) : strlen(text);
	char start[SIDE_MAX];

	if (start_len >= sizeof start)
		return mq_err_set(err, MQ_EUSAGE, "'%.40s...' is too long for a range", text);
	memcpy(start, text, start_len);
	start[start_len] = 0;
	r.has_end = dots;
	int rc = *start || !dots ? mq_to_point(start, now_us, &r.start, err) : 0;
	if (rc == 0 && *end)
		rc = mq_to_point(end, now_us, &r.end, err);
	if (rc < 0)
		return rc;
	if (r.start.kind == MQ_POINT_OFFSET && r.end.kind == MQ_POINT_OFFSET && r.end.n < r.start.n)
		return mq_err_set(err, MQ_EUSAGE, "the range %s ends before its start", text);
	*ret = r;
	return 0;
}

int mq_to_operand(const char *text, struct mq_operand_parts *ret, struct mq_err *err)
{
	struct mq_operand_parts o = {.partition = -1};
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	if (len >= sizeof o.topic)
		return mq_err_set(err, MQ_EUSAGE, "topic name of %zu bytes: %d at most", len, MQ_NAME_MAX);
	memcpy(o.topic, text, len);
	o.topic[len] = 0;
	int rc = mq_name_check(o.topic, "topic", err);
	if (rc < 0)
		return rc;
	if (colon) {
		uint64_t partition;
		size_t used;
		const char *p = colon + 1;
		if (mq_to_u64_prefix(p, strlen(p), &partition, &used) < 0 || partition > INT32_MAX ||
		    (p[used] && (p[used] != ':' || !p[used + 1])))
			return mq_err_set(err, MQ_EUSAGE, "'%s' is not TOPIC[:PARTITION[:OFFSET]]", text);
		o.partition = (int64_t)partition;
		o.offset = p[used] ? p + used + 1 : NULL;
	}
	*ret = o;
	return 0;
}
