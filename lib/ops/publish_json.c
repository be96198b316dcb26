/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as input: an object a line, as mq-consume --json prints them.  Where a record was (topic, partition,
 * offset) is passed over, so that records of one topic go into another; what it carries is taken.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/when.h"
#include "ops/b64.h"
#include "ops/publish.h"

struct job {
	struct mq_publish *pub;
	struct mq_input *in;
	struct mq_buf headers, bytes[4]; /* decoded from base64: payload, key, id, tag */
};

static int refuse(struct job *j, const char *what, const char *why)
{
	return mq_err_set(j->pub->err, MQ_EINPUT, "%s: line %llu: %s%s%s", j->in->name, (unsigned long long)j->pub->record_no,
	                  what ? what : "", what ? ": " : "", why);
}

/* A member as text, or as base64 under the name with _b64; null and absent are none. */
static int take_text(struct job *j, const json_t *o, const char *name, struct mq_buf *store, const char **ret,
                     uint32_t *ret_len)
{
	char b64_name[32];
	size_t n = strlen(name);
	json_t *text = json_object_get(o, name), *b64;

	memcpy(b64_name, name, n);
	memcpy(b64_name + n, "_b64", 5);
	b64 = json_object_get(o, b64_name);
	if (json_is_null(text))
		text = NULL;
	if (b64 && !json_is_null(b64)) {
		if (text)
			return refuse(j, name, "given as text and as base64");
		mq_buf_clear(store);
		int rc = json_is_string(b64) ? mq_b64_decode(store, json_string_value(b64), json_string_length(b64)) : -EINVAL;
		if (rc < 0)
			return rc == -ENOMEM ? mq_publish_no_memory(j->pub) : refuse(j, b64_name, "not base64");
		*ret = store->p;
		*ret_len = (uint32_t)store->len;
		return 0;
	}
	if (!text)
		return 0;
	if (!json_is_string(text))
		return refuse(j, name, "not a string");
	*ret = json_string_value(text);
	*ret_len = (uint32_t)json_string_length(text);
	return 0;
}

static int add_header(struct job *j, const char *name, size_t name_len, const char *value, size_t value_len)
{
	if (name_len == 0 || name_len > UINT16_MAX)
		return refuse(j, "headers", "a name has 1 to 65535 bytes");
	if (j->headers.len + name_len + value_len > j->pub->facts.max_message_bytes)
		return mq_publish_too_large(j->pub, j->in);
	return mq_header_append(&j->headers, name, name_len, value, value_len) < 0 ? mq_publish_no_memory(j->pub) : 0;
}

/* {"name": "value"}, or where names repeat [["name", "value"], …]; values of headers_b64 are base64. */
static int take_header(struct job *j, const char *name, size_t name_len, const json_t *value, bool b64)
{
	if (!json_is_string(value))
		return refuse(j, "headers", "a value is not a string");
	if (!b64)
		return add_header(j, name, name_len, json_string_value(value), json_string_length(value));
	mq_buf_clear(&j->bytes[0]);
	if (mq_b64_decode(&j->bytes[0], json_string_value(value), json_string_length(value)) < 0)
		return refuse(j, "headers_b64", "not base64");
	return add_header(j, name, name_len, j->bytes[0].p, j->bytes[0].len);
}

static int take_headers(struct job *j, json_t *headers, bool b64)
{
	const char *name;
	json_t *value;
	size_t i;
	int rc = 0;

	if (!headers || json_is_null(headers))
		return 0;
	if (json_is_object(headers)) {
		json_object_foreach (headers, name, value) {
			rc = take_header(j, name, strlen(name), value, b64);
			if (rc < 0)
				return rc;
		}
		return 0;
	}
	if (!json_is_array(headers))
		return refuse(j, "headers", "not an object of strings");
	json_array_foreach (headers, i, value) {
		const json_t *n = json_array_get(value, 0);
		if (json_array_size(value) != 2 || !json_is_string(n))
			return refuse(j, "headers", "not an array of [name, value]");
		rc = take_header(j, json_string_value(n), json_string_length(n), json_array_get(value, 1), b64);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int take_timestamp(struct job *j, const char *name, const json_t *t, int64_t *ret)
{
	if (!t || json_is_null(t))
		return 0;
	if (json_is_number(t)) {
		double us = json_number_value(t) * 1e6;
		if (!(us > 0 && us < 9e18))
			return refuse(j, name, "not a time: seconds since 1970, or RFC 3339");
		*ret = json_is_integer(t) ? json_integer_value(t) * 1000000 : (int64_t)us;
		return 0;
	}
	if (!json_is_string(t) || mq_to_when(json_string_value(t), 0, ret, NULL) != 0 || *ret <= 0)
		return refuse(j, name, "not a time: RFC 3339, or seconds since 1970");
	return 0;
}

/* Records without a version are as people write them; another one may mean something else by the same names. */
static int check_version(struct job *j, const json_t *v)
{
	if (!v || json_is_null(v) || (json_is_integer(v) && json_integer_value(v) == 1))
		return 0;
	return refuse(j, "v", "not 1, the one version that is known here");
}

static int take_object(struct job *j, const json_t *o)
{
	struct mq_rec r = j->pub->common;
	int rc = check_version(j, json_object_get(o, "v"));

	r.payload = NULL;
	if (rc == 0)
		rc = take_headers(j, json_object_get(o, "headers"), false);
	if (rc == 0)
		rc = take_headers(j, json_object_get(o, "headers_b64"), true);
	if (rc == 0)
		rc = take_text(j, o, "payload", &j->bytes[0], &r.payload, &r.payload_len);
	if (rc == 0 && !r.payload)
		rc = refuse(j, NULL, "no payload");
	if (rc == 0)
		rc = take_text(j, o, "key", &j->bytes[1], &r.key, &r.key_len);
	if (rc == 0)
		rc = take_text(j, o, "id", &j->bytes[2], &r.id, &r.id_len);
	if (rc == 0)
		rc = take_text(j, o, "tag", &j->bytes[3], &r.tag, &r.tag_len);
	if (rc == 0)
		rc = take_timestamp(j, "timestamp", json_object_get(o, "timestamp"), &r.time_us);
	if (rc == 0)
		rc = take_timestamp(j, "expiry", json_object_get(o, "expiry"), &r.expiry_us);
	if (rc < 0)
		return rc;
	uint32_t max = j->pub->facts.max_message_bytes;
	if (r.payload_len > max || r.key_len > max || r.id_len > max || r.tag_len > max)
		return mq_publish_too_large(j->pub, j->in);
	if (j->headers.len) {
		r.headers = j->headers.p;
		r.headers_len = (uint32_t)j->headers.len;
	}
	return mq_publish_record(j->pub, &r);
}

static int take_line(struct job *j, const char *line, size_t len)
{
	json_error_t why;
	json_t *o = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
	int rc;

	mq_buf_clear(&j->headers);
	if (!o)
		rc = refuse(j, "not JSON", why.text);
	else if (!json_is_object(o))
		rc = refuse(j, NULL, "not a JSON object");
	else
		rc = take_object(j, o);
	json_decref(o);
	return rc;
}

/* Escapes and base64 make text longer than what it means, by six times at most. */
static size_t line_max(const struct mq_publish *pub)
{
	return (size_t)6 * pub->facts.max_message_bytes + (1 << 20);
}

int mq_publish_json(struct mq_publish *pub, struct mq_input *in)
{
	struct job j = {.pub = pub, .in = in};
	const char *line;
	size_t len;
	int rc;

	while ((rc = mq_input_line(in, "\n", 1, line_max(pub), &line, &len, pub->err)) > 0) {
		pub->record_no++;
		rc = take_line(&j, line, len);
		if (rc < 0)
			break;
	}
	if (rc == MQ_EINPUT && !pub->err->code) {
		pub->record_no++;
		rc = mq_publish_too_large(pub, in);
	}
	mq_buf_release(&j.headers);
	for (int i = 0; i < 4; i++)
		mq_buf_release(&j.bytes[i]);
	return rc;
}
