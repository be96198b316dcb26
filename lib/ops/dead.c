/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/dead.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/when.h"

static const char suffix[] = ".dead", reserved[] = "mq-";

bool mq_dead_topic(const char *topic, char ret[MQ_NAME_MAX + 1])
{
	size_t len = strlen(topic), end = sizeof suffix - 1;

	if (len + end > MQ_NAME_MAX || (len >= end && strcmp(topic + len - end, suffix) == 0))
		return false;
	memcpy(ret, topic, len);
	memcpy(ret + len, suffix, end + 1);
	return true;
}

bool mq_dead_reserved(const char *name, size_t len)
{
	return len >= sizeof reserved - 1 && memcmp(name, reserved, sizeof reserved - 1) == 0;
}

/* --- headers -------------------------------------------------------------------------------- */

static bool is_named(const struct mq_header_view *h, const char *name)
{
	return h->name_len == strlen(name) && memcmp(h->name, name, h->name_len) == 0;
}

static bool is_of_failure(const struct mq_header_view *h)
{
	static const char *const names[] = {"mq-origin", "mq-group", "mq-reason", "mq-attempts", "mq-first-failure", "mq-last-failure",
	                                    "mq-status", "mq-said", "mq-stderr"};
	for (size_t i = 0; mq_dead_reserved(h->name, h->name_len) && i < sizeof names / sizeof *names; i++)
		if (is_named(h, names[i]))
			return true;
	return false;
}

int mq_dead_strip(struct mq_buf *headers, const struct mq_rec *r)
{
	const char *at = r->headers;
	struct mq_header_view h;
	int rc = 0;

	mq_buf_clear(headers);
	while (rc == 0 && at && mq_header_next(&at, r->headers + r->headers_len, &h) > 0)
		if (!is_of_failure(&h))
			rc = mq_header_append(headers, h.name, h.name_len, h.value, h.value_len);
	return rc;
}

/* What a record that was put back says of itself. */
static bool find_believed(const struct mq_rec *r, const char *name, struct mq_header_view *ret)
{
	const char *at = r->group ? r->headers : NULL;

	while (at && mq_header_next(&at, r->headers + r->headers_len, ret) > 0)
		if (is_named(ret, name))
			return true;
	return false;
}

static int add(struct mq_buf *headers, const char *name, const char *value, size_t len)
{
	return mq_header_append(headers, name, strlen(name), value, len);
}

static int add_text(struct mq_buf *headers, const char *name, const char *value)
{
	return *value ? add(headers, name, value, strlen(value)) : 0;
}

static int add_time(struct mq_buf *headers, const char *name, int64_t us)
{
	char text[MQ_WHEN_TEXT_MAX];

	mq_when_format(us, text);
	return add_text(headers, name, text);
}

/* Where it was read first, and when it failed first. */
static int add_beginning(struct mq_buf *headers, const struct mq_rec *r, const char *topic, uint32_t partition,
                         const struct mq_failure *why)
{
	char origin[MQ_NAME_MAX + 40];
	struct mq_header_view h;
	int rc;

	snprintf(origin, sizeof origin, "%s:%" PRIu32 ":%" PRIu64, topic, partition, r->offset);
	rc = find_believed(r, "mq-origin", &h) ? add(headers, "mq-origin", h.value, h.value_len) : add_text(headers, "mq-origin", origin);
	if (rc < 0)
		return rc;
	if (find_believed(r, "mq-first-failure", &h))
		return add(headers, "mq-first-failure", h.value, h.value_len);
	return add_time(headers, "mq-first-failure", why->first_us ? why->first_us : why->last_us);
}

static int add_end(struct mq_buf *headers, const char *group, const struct mq_failure *why)
{
	char attempts[16], status[24] = "";
	int rc = add_text(headers, "mq-group", group);

	snprintf(attempts, sizeof attempts, "%" PRIu32, why->attempts);
	if (why->signal)
		snprintf(status, sizeof status, "signal %d", why->signal);
	else if (why->status >= 0)
		snprintf(status, sizeof status, "%d", why->status);
	if (rc == 0)
		rc = add_text(headers, "mq-reason", why->reason);
	if (rc == 0)
		rc = add_text(headers, "mq-attempts", attempts);
	if (rc == 0)
		rc = add_time(headers, "mq-last-failure", why->last_us);
	if (rc == 0)
		rc = add_text(headers, "mq-status", status);
	if (rc == 0)
		rc = add_text(headers, "mq-said", why->said);
	if (rc == 0 && why->stderr_len)
		rc = add(headers, "mq-stderr", why->stderr_end, why->stderr_len);
	return rc;
}

/* --- records -------------------------------------------------------------------------------- */

static void point_headers(const struct mq_buf *headers, struct mq_rec *ret)
{
	ret->headers = headers->p;
	ret->headers_len = (uint32_t)headers->len;
}

int mq_dead_letter(struct mq_buf *headers, const struct mq_rec *r, const char *topic, uint32_t partition, const char *group,
                   const struct mq_failure *why, struct mq_rec *ret)
{
	int rc = mq_dead_strip(headers, r);

	if (rc == 0)
		rc = add_beginning(headers, r, topic, partition, why);
	if (rc == 0)
		rc = add_end(headers, group, why);
	if (rc < 0)
		return rc;
	*ret = *r;
	point_headers(headers, ret);
	ret->group = NULL;
	ret->group_len = ret->attempts = 0;
	ret->expiry_us = ret->due_us = 0;
	return 0;
}

int mq_dead_retry(struct mq_buf *headers, const struct mq_rec *r, const char *topic, uint32_t partition, const char *group,
                  const struct mq_failure *why, int64_t due_us, struct mq_rec *ret)
{
	int rc = mq_dead_strip(headers, r);

	if (rc == 0)
		rc = add_beginning(headers, r, topic, partition, why);
	if (rc < 0)
		return rc;
	*ret = *r;
	point_headers(headers, ret);
	ret->group = group;
	ret->group_len = (uint32_t)strlen(group);
	ret->attempts = why->attempts;
	ret->due_us = due_us;
	return 0;
}
