/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/conf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **start, const char **end)
{
	while (*start < *end && blank(**start))
		(*start)++;
	while (*end > *start && blank((*end)[-1]))
		(*end)--;
}

static bool key_ok(const char *key, size_t len)
{
	static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	for (size_t i = 0; i < len; i++)
		if (!memchr(legal, key[i], sizeof legal - 1))
			return false;
	return len > 0;
}

static bool value_ok(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
			return false;
	return true;
}

/* Split a line that is neither blank nor a comment.  NULL, or what is wrong. */
static const char *split(const char *start, const char *end, struct mq_conf_item *ret)
{
	const char *equals = memchr(start, '=', (size_t)(end - start));
	if (!equals)
		return "no '=' in it";
	const char *key_end = equals, *value = equals + 1;
	trim(&start, &key_end);
	trim(&value, &end);
	if (!key_ok(start, (size_t)(key_end - start)))
		return "a bad key";
	if (!value_ok(value, (size_t)(end - value)))
		return "control bytes in its value";
	ret->key = start;
	ret->key_len = (size_t)(key_end - start);
	ret->value = value;
	ret->value_len = (size_t)(end - value);
	return NULL;
}

int mq_conf_next(struct mq_conf_scan *s, struct mq_conf_item *ret, struct mq_err *err)
{
	while (s->at < s->end) {
		const char *line = s->at, *nl = memchr(line, '\n', (size_t)(s->end - line));
		const char *end = nl ? nl : s->end, *start = line, *stop = end;
		s->at = nl ? nl + 1 : s->end;
		s->line_no++;
		trim(&start, &stop);
		if (start == stop || *start == '#')
			continue;
		struct mq_conf_item item = {.line = line, .line_len = (size_t)(end - line), .line_no = s->line_no};
		const char *why = split(start, stop, &item);
		if (why)
			return mq_err_set(err, MQ_ECONFIG, "line %u: %s", s->line_no, why);
		*ret = item;
		return 1;
	}
	return 0;
}

int mq_conf_comments(const char *text, size_t len, struct mq_buf *out)
{
	const char *end = text + len;
	int rc = 0;
	while (rc == 0 && text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text)), *stop = nl ? nl : end, *start = text;
		trim(&start, &stop);
		if (start < stop && *start == '#')
			rc = mq_buf_printf(out, "%.*s\n", (int)(stop - start), start);
		text = nl ? nl + 1 : end;
	}
	return rc;
}

int mq_conf_key_is(const struct mq_conf_item *item, const char *key)
{
	return item->key_len == strlen(key) && memcmp(item->key, key, item->key_len) == 0;
}

int mq_conf_value_is(const struct mq_conf_item *item, const char *value)
{
	return item->value_len == strlen(value) && memcmp(item->value, value, item->value_len) == 0;
}

int mq_conf_get(const char *text, size_t len, const char *key, struct mq_conf_item *ret, struct mq_err *err)
{
	if (len == 0)
		return 0;
	struct mq_conf_scan s = MQ_CONF_SCAN(text, len);
	struct mq_conf_item item;
	int rc, found = 0;
	while ((rc = mq_conf_next(&s, &item, err)) > 0)
		if (mq_conf_key_is(&item, key)) {
			*ret = item;
			found = 1;
		}
	return rc < 0 ? rc : found;
}

int mq_conf_set(struct mq_buf *text, const char *key, const char *value, struct mq_err *err)
{
	struct mq_conf_item old;
	const char *start = value, *end = value + strlen(value);
	trim(&start, &end);
	if (!key_ok(key, strlen(key)) || !value_ok(value, strlen(value)) || (size_t)(end - start) != strlen(value))
		return mq_err_set(err, MQ_EUSAGE, "'%s=%s' does not fit on a line", key, value);
	int found = mq_conf_get(text->p, text->len, key, &old, err);
	if (found < 0)
		return found;

	struct mq_buf out = MQ_BUF_INIT;
	size_t before = found ? (size_t)(old.line - text->p) : text->len;
	size_t after = found ? before + old.line_len : text->len;
	int rc = mq_buf_add(&out, text->p, before);
	if (rc == 0 && !found && before && text->p[before - 1] != '\n')
		rc = mq_buf_add_byte(&out, '\n');
	if (rc == 0)
		rc = mq_buf_printf(&out, found ? "%s=%s" : "%s=%s\n", key, value);
	if (rc == 0 && found)
		rc = mq_buf_add(&out, text->p + after, text->len - after);
	if (rc < 0) {
		mq_buf_release(&out);
		return rc;
	}
	mq_buf_release(text);
	*text = out;
	return 0;
}
