/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/conf_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/parse.h"

enum { VALUE_MAX = 64 };

static int64_t *member(const struct mq_conf_key *k, void *conf)
{
	return (int64_t *)(void *)((char *)conf + k->at);
}

void mq_conf_key_default(const struct mq_conf_key *k, void *conf)
{
	*member(k, conf) = k->normal;
}

int64_t mq_conf_key_value(const struct mq_conf_key *k, const void *conf)
{
	return *(const int64_t *)(const void *)((const char *)conf + k->at);
}

/* The place of a word in "none|zstd"; -1. */
static int64_t word_place(const char *words, const char *text)
{
	size_t len = strlen(text);
	for (int64_t place = 0;; place++) {
		size_t n = strcspn(words, "|");
		if (n == len && memcmp(words, text, n) == 0)
			return place;
		if (!words[n])
			return -1;
		words += n + 1;
	}
}

static bool octal(const char *text, uint64_t *ret)
{
	uint64_t v = 0;
	if (!*text || strlen(text) > 6)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '7')
			return false;
		v = v << 3 | (uint64_t)(*text - '0');
	}
	*ret = v;
	return true;
}

/* "0.5", "1": up to six decimals. */
static bool ratio(const char *text, uint64_t *ret)
{
	size_t n = strspn(text, "0123456789");
	uint64_t v = 0, unit = 1000000;

	if (n != 1 || (text[1] && text[1] != '.') || (text[1] == '.' && !text[2]))
		return false;
	v = (uint64_t)(text[0] - '0') * unit;
	for (text += 1 + (text[1] == '.'); *text; text++) {
		unit /= 10;
		if (*text < '0' || *text > '9' || unit == 0)
			return false;
		v += (uint64_t)(*text - '0') * unit;
	}
	*ret = v;
	return true;
}

/* As it is read: "0.5", "1". */
static int print_ratio(int64_t v, struct mq_buf *out)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%" PRId64 ".%06" PRId64, v / 1000000, v % 1000000);

	while (text[n - 1] == '0')
		n--;
	n -= text[n - 1] == '.';
	return mq_buf_add(out, text, (size_t)n);
}

/* "7d" or a number of milliseconds. */
static bool milliseconds(const char *text, uint64_t *ret)
{
	int64_t ns;
	if (mq_to_u64(text, ret, NULL) == 0)
		return true;
	if (mq_to_duration(text, &ns, NULL) < 0 || ns % 1000000)
		return false;
	*ret = (uint64_t)(ns / 1000000);
	return true;
}

static bool number(const struct mq_conf_key *k, const char *text, uint64_t *ret)
{
	switch (k->type) {
	case MQ_CONF_BYTES:
		return mq_to_size(text, ret, NULL) == 0;
	case MQ_CONF_MS:
		return milliseconds(text, ret);
	case MQ_CONF_OCTAL:
		return octal(text, ret);
	case MQ_CONF_RATIO:
		return ratio(text, ret);
	default:
		return mq_to_u64(text, ret, NULL) == 0;
	}
}

static int refuse_number(const struct mq_conf_key *k, const char *text, struct mq_err *err)
{
	static const char *const what[] = {
	    [MQ_CONF_COUNT] = "a number", [MQ_CONF_BYTES] = "a size (as 64K, 1G)",
	    [MQ_CONF_MS] = "milliseconds or a time span (as 7d)", [MQ_CONF_WORD] = "", [MQ_CONF_OCTAL] = "a file mode (as 0640)"};
	const char *format = k->type == MQ_CONF_OCTAL ? "%s=%s: must be %s from %#" PRIo64 " to %#" PRIo64 "%s"
	                                              : "%s=%s: must be %s from %" PRId64 " to %" PRId64 "%s";
	char text_of[512];

	if (k->type == MQ_CONF_RATIO)
		return mq_err_set(err, MQ_EUSAGE, "%s=%s: must be a part of the whole, from 0 to 1 (as 0.5)", k->name, text);
	int64_t least = k->min < 0 ? 0 : k->min;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text_of, sizeof text_of, format, k->name, text, what[k->type], least, k->max,
	         k->min < 0 ? ", or -1 for none" : "");
#pragma GCC diagnostic pop
	return mq_err_set(err, MQ_EUSAGE, "%s", text_of);
}

int mq_conf_key_set(const struct mq_conf_key *k, void *conf, const char *text, size_t len, struct mq_err *err)
{
	char value[VALUE_MAX];
	uint64_t n;
	if (len >= sizeof value)
		return mq_err_set(err, MQ_EUSAGE, "%s: a value of %zu bytes is too long", k->name, len);
	memcpy(value, text, len);
	value[len] = 0;

	if (k->type == MQ_CONF_WORD) {
		int64_t place = word_place(k->words, value);
		if (place < 0)
			return mq_err_set(err, MQ_EUSAGE, "%s=%s: must be one of %s", k->name, value, k->words);
		*member(k, conf) = place;
		return 0;
	}
	if (k->min < 0 && strcmp(value, "-1") == 0) {
		*member(k, conf) = -1;
		return 0;
	}
	if (!number(k, value, &n) || n > (uint64_t)k->max || (k->min > 0 && n < (uint64_t)k->min))
		return refuse_number(k, value, err);
	*member(k, conf) = (int64_t)n;
	return 0;
}

int mq_conf_key_print(const struct mq_conf_key *k, const void *conf, struct mq_buf *out)
{
	int64_t v = mq_conf_key_value(k, conf);
	if (k->type == MQ_CONF_OCTAL)
		return mq_buf_printf(out, "%04" PRIo64, (uint64_t)v);
	if (k->type == MQ_CONF_RATIO)
		return print_ratio(v, out);
	if (k->type != MQ_CONF_WORD)
		return mq_buf_printf(out, "%" PRId64, v);
	const char *word = k->words;
	for (; v > 0; v--)
		word += strcspn(word, "|") + 1;
	return mq_buf_add(out, word, strcspn(word, "|"));
}

int mq_conf_keys_print(const struct mq_conf_key *keys, size_t n, uint32_t set, const void *conf, struct mq_buf *out)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (!(set & UINT32_C(1) << i))
			continue;
		rc = mq_buf_printf(out, "%s=", keys[i].name);
		if (rc == 0)
			rc = mq_conf_key_print(&keys[i], conf, out);
		if (rc == 0)
			rc = mq_buf_add_byte(out, '\n');
	}
	return rc;
}

const struct mq_conf_key *mq_conf_key_find(const struct mq_conf_key *keys, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(keys[i].name) == len && memcmp(keys[i].name, name, len) == 0)
			return &keys[i];
	return NULL;
}

enum { SEAL_LEN = 4 + 8 + 1 };

static void seal_of(const char *text, size_t len, char ret[SEAL_LEN + 1])
{
	snprintf(ret, SEAL_LEN + 1, "sum=%08" PRIx32 "\n", mq_crc32c(0, text, len));
}

int mq_conf_each(const char *text, size_t len, struct mq_buf *comments,
                 int (*fn)(void *arg, const struct mq_conf_item *item, struct mq_err *err), void *arg, struct mq_err *err)
{
	struct mq_conf_scan s = MQ_CONF_SCAN(len ? text : "", len);
	struct mq_conf_item item;
	int more = 0, rc = mq_conf_comments(s.at, len, comments);

	while (rc == 0 && (more = mq_conf_next(&s, &item, err)) > 0) {
		rc = fn(arg, &item, err);
		if (rc == MQ_EUSAGE) {
			mq_err_prefix(err, "line %u", item.line_no);
			if (err)
				err->code = MQ_ECONFIG;
			rc = MQ_ECONFIG;
		}
	}
	if (rc == -ENOMEM)
		mq_err_set(err, rc, "no memory for a configuration");
	return rc < 0 ? rc : more;
}

int mq_conf_seal(struct mq_buf *out, size_t from)
{
	char line[SEAL_LEN + 1];
	seal_of(out->p + from, out->len - from, line);
	return mq_buf_add(out, line, SEAL_LEN);
}

bool mq_conf_sealed(const char *text, size_t len)
{
	char line[SEAL_LEN + 1];
	if (len < SEAL_LEN)
		return false;
	seal_of(text, len - SEAL_LEN, line);
	return memcmp(text + len - SEAL_LEN, line, SEAL_LEN) == 0;
}
