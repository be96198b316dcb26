/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walking the tree, for one record. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "ops/filter.h"
#include "ops/where_tree.h"

struct value { /* what a field holds */
	bool there;
	struct mq_where_number number;
	const char *text;
	size_t len;
	char own[MQ_WHEN_TEXT_MAX]; /* where the text is made here */
};

struct eval { /* one record's */
	const struct mq_rec *rec;
	json_t *payload;
	bool looked; /* whether the payload is JSON is known */
};

struct mq_where_number mq_where_number(const char *text, size_t len)
{
	struct mq_where_number n = {0};
	char copy[64], *end;

	if (len == 0 || len >= sizeof copy)
		return n;
	memcpy(copy, text, len);
	copy[len] = 0;
	if (strspn(copy, "0123456789+-.eE") < len)
		return n; /* neither "inf" nor 0x10 nor blanks */
	n.real = strtod(copy, &end);
	n.is = *end == 0;
	errno = 0;
	n.n = strtoll(copy, &end, 10);
	n.whole = n.is && *end == 0 && errno == 0;
	return n;
}

static void set_text(struct value *v, const char *text, size_t len)
{
	if (!text)
		return;
	v->there = true;
	v->text = text;
	v->len = len;
	v->number = mq_where_number(text, len);
}

static void set_count(struct value *v, uint64_t n)
{
	snprintf(v->own, sizeof v->own, "%" PRIu64, n);
	set_text(v, v->own, strlen(v->own));
}

static void set_time(struct value *v, int64_t us)
{
	mq_when_format(us, v->own);
	set_text(v, v->own, strlen(v->own));
	v->number = (struct mq_where_number){true, true, us, (double)us};
}

static void set_header(struct value *v, const struct mq_rec *r, const char *name)
{
	uint32_t len = 0;
	const char *value = mq_header_find(r, name, strlen(name), &len);
	set_text(v, value, len);
}

/* a.b.c in nested objects; a member that is called "a.b.c" comes first. */
static const json_t *find_member(const json_t *o, const char *name)
{
	while (o) {
		const json_t *found = json_object_get(o, name);
		const char *dot = found ? NULL : strchr(name, '.');
		char first[256];

		if (!dot || (size_t)(dot - name) >= sizeof first)
			return found;
		memcpy(first, name, (size_t)(dot - name));
		first[dot - name] = 0;
		o = json_object_get(o, first);
		name = dot + 1;
	}
	return NULL;
}

static void set_json(struct value *v, const json_t *j)
{
	if (json_is_string(j)) {
		set_text(v, json_string_value(j), json_string_length(j));
	} else if (json_is_number(j)) {
		if (json_is_integer(j))
			snprintf(v->own, sizeof v->own, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
		else
			snprintf(v->own, sizeof v->own, "%.17g", json_real_value(j));
		set_text(v, v->own, strlen(v->own));
	} else if (json_is_boolean(j)) {
		set_text(v, json_is_true(j) ? "true" : "false", json_is_true(j) ? 4 : 5);
	} else if (json_is_null(j)) {
		set_text(v, "null", 4);
	} else { /* an object or array is there, and equals nothing */
		set_text(v, "", 0);
	}
}

static void find_payload(struct eval *e, const char *name, struct value *v)
{
	const struct mq_rec *r = e->rec;
	if (!e->looked) {
		size_t blanks = 0;
		while (blanks < r->payload_len && strchr(" \t\r\n", r->payload[blanks]) && r->payload[blanks])
			blanks++;
		e->looked = true;
		if (blanks < r->payload_len && r->payload[blanks] == '{')
			e->payload = json_loadb(r->payload, r->payload_len, JSON_ALLOW_NUL, NULL);
	}
	const json_t *found = e->payload ? find_member(e->payload, name) : NULL;
	if (found)
		set_json(v, found);
	else
		set_header(v, r, name);
}

static void find(struct eval *e, const struct mq_where *w, struct value *v)
{
	const struct mq_rec *r = e->rec;
	switch (w->field) {
	case MQ_FIELD_KEY: set_text(v, r->key, r->key_len); break;
	case MQ_FIELD_ID: set_text(v, r->id, r->id_len); break;
	case MQ_FIELD_TAG: set_text(v, r->tag, r->tag_len); break;
	case MQ_FIELD_OFFSET: set_count(v, r->offset); break;
	case MQ_FIELD_TIMESTAMP: set_time(v, r->time_us); break;
	case MQ_FIELD_SIZE: set_count(v, r->payload_len); break;
	case MQ_FIELD_HEADER: set_header(v, r, w->name); break;
	case MQ_FIELD_PAYLOAD: find_payload(e, w->name, v); break;
	}
}

/* Below 0, 0, above: as numbers where both are, else as bytes. */
static int compare(const struct mq_where *w, const struct value *v)
{
	const struct mq_where_number *a = &v->number, *b = &w->number;
	if (a->is && b->is && a->whole && b->whole)
		return (a->n > b->n) - (a->n < b->n);
	if (a->is && b->is)
		return (a->real > b->real) - (a->real < b->real);
	size_t n = v->len < w->value_len ? v->len : w->value_len;
	int rc = n ? memcmp(v->text, w->value, n) : 0;
	return rc ? rc : (v->len > w->value_len) - (v->len < w->value_len);
}

static bool matches(struct mq_where *w, const struct value *v)
{
	mq_buf_clear(&w->scratch);
	if (mq_buf_add(&w->scratch, v->text, v->len) < 0 || mq_buf_add_byte(&w->scratch, 0) < 0)
		return false;
	return regexec(&w->pattern, w->scratch.p, 0, NULL, 0) == 0;
}

enum answer { NO, YES, UNKNOWN }; /* the logic of SQL's NULL */

static enum answer test(struct mq_where *w, struct eval *e)
{
	struct value v = {0};
	find(e, w, &v);
	if (w->op == MQ_WHERE_THERE)
		return v.there;
	if (!v.there)
		return UNKNOWN;
	switch (w->op) {
	case MQ_WHERE_EQ: return compare(w, &v) == 0;
	case MQ_WHERE_NE: return compare(w, &v) != 0;
	case MQ_WHERE_LT: return compare(w, &v) < 0;
	case MQ_WHERE_LE: return compare(w, &v) <= 0;
	case MQ_WHERE_GT: return compare(w, &v) > 0;
	case MQ_WHERE_GE: return compare(w, &v) >= 0;
	case MQ_WHERE_MATCH: return matches(w, &v);
	default: return !matches(w, &v);
	}
}

static enum answer answer(struct mq_where *w, struct eval *e)
{
	if (w->kind == MQ_WHERE_TEST)
		return test(w, e);
	enum answer left = answer(w->left, e), settled = w->kind == MQ_WHERE_AND ? NO : YES;
	if (w->kind == MQ_WHERE_NOT)
		return left == UNKNOWN ? UNKNOWN : left == NO;
	if (left == settled)
		return left;
	enum answer right = answer(w->right, e);
	return left == UNKNOWN && right != settled ? UNKNOWN : right;
}

bool mq_where_holds(struct mq_where *w, const struct mq_rec *r)
{
	struct eval e = {.rec = r};
	enum answer a = answer(w, &e);
	json_decref(e.payload);
	return a == YES;
}
