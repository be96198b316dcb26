/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dead letters go back to where they came from. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "ops/dead.h"
#include "ops/filter.h"

static const char REPLAYS[] = "mq-replays";

static const char *find(const struct mq_rec *r, const char *name, uint32_t *ret_len)
{
	return mq_header_find(r, name, strlen(name), ret_len);
}

static bool is_number(const char *text, size_t len, uint64_t *ret)
{
	size_t used;

	return mq_to_u64_prefix(text, len, ret, &used) == 0 && used == len;
}

/* TOPIC:PARTITION:OFFSET */
static bool parse_origin(const char *origin, size_t len, const char *topic, uint64_t *ret_partition)
{
	size_t n = strlen(topic);
	uint64_t offset;

	if (len <= n || memcmp(origin, topic, n) != 0 || origin[n] != ':')
		return false;
	const char *partition = origin + n + 1, *colon = memchr(partition, ':', len - n - 1);
	return colon && is_number(partition, (size_t)(colon - partition), ret_partition) && *ret_partition <= UINT32_MAX &&
	       is_number(colon + 1, len - (size_t)(colon + 1 - origin), &offset);
}

static bool is_of(const struct mq_rec *r, const char *topic, const char *group, uint64_t *ret_partition)
{
	uint32_t origin_len = 0, group_len = 0;
	const char *origin = find(r, "mq-origin", &origin_len), *its = find(r, "mq-group", &group_len);

	if (!origin || !its || !mq_name_ok(its, group_len) || !parse_origin(origin, origin_len, topic, ret_partition))
		return false;
	return !group || (strlen(group) == group_len && memcmp(group, its, group_len) == 0);
}

bool mq_dead_is_of(const struct mq_rec *r, const char *topic, const char *group)
{
	uint64_t partition;

	return is_of(r, topic, group, &partition);
}

/* Without what it says of its death; how often it was put back already. */
static int take_headers(struct mq_buf *headers, const struct mq_rec *r, uint64_t *ret_replays)
{
	const char *at = r->headers;
	struct mq_header_view h;
	int rc = 0;

	*ret_replays = 0;
	mq_buf_clear(headers);
	while (rc == 0 && at && mq_header_next(&at, r->headers + r->headers_len, &h) > 0) {
		if (!mq_dead_reserved(h.name, h.name_len))
			rc = mq_header_append(headers, h.name, h.name_len, h.value, h.value_len);
		else if (h.name_len == sizeof REPLAYS - 1 && memcmp(h.name, REPLAYS, h.name_len) == 0 &&
		         (!is_number(h.value, h.value_len, ret_replays) || *ret_replays >= UINT32_MAX))
			*ret_replays = 0;
	}
	return rc;
}

int mq_dead_again(struct mq_buf *headers, const struct mq_rec *r, const char *group, struct mq_rec *ret)
{
	uint64_t replays;
	char text[24];
	int rc = take_headers(headers, r, &replays);
	int len = snprintf(text, sizeof text, "%llu", (unsigned long long)replays + 1);

	if (rc == 0)
		rc = mq_header_append(headers, REPLAYS, sizeof REPLAYS - 1, text, (size_t)len);
	if (rc < 0)
		return rc;
	*ret = *r;
	ret->headers = headers->p;
	ret->headers_len = (uint32_t)headers->len;
	ret->group = group;
	ret->group_len = (uint32_t)strlen(group);
	ret->time_us = ret->expiry_us = ret->due_us = 0;
	ret->attempts = 0;
	return 0;
}

int mq_dead_back(struct mq_buf *headers, const struct mq_rec *r, const char *topic, struct mq_rec *ret, uint32_t *ret_partition)
{
	uint64_t partition;
	uint32_t len;

	if (!is_of(r, topic, NULL, &partition))
		return MQ_EINPUT;
	int rc = mq_dead_again(headers, r, "", ret);
	if (rc < 0)
		return rc;
	ret->group = find(r, "mq-group", &len);
	ret->group_len = len;
	*ret_partition = (uint32_t)partition;
	return 0;
}
