/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/intent.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/name.h"

static const uint8_t MAGIC[8] = {'m', 'q', 'I', 'n', 't', 'e', 'n', 't'};

enum { /* the intent, mq-spool(5) */
	AT_VERSION = 8,
	AT_FLAGS = 10,
	AT_TARGETS = 12,
	AT_GENERATION = 16,
	AT_SEEKS = 20,
	AT_START = 24,
	AT_END = 32,
	AT_NUMBER = 40,
	AT_LAST_NUMBER = 48,
	AT_SET = 56,
	AT_SPARE = 60,
	HEAD = 64,
	VERSION = 1,
	COPIES = 1,
	CARRY = 2,
	OPEN_ENDED = 4,
	SET = 8,
};

enum { /* a target */
	T_TOPIC_ID = 0,
	T_PARTITION = 16,
	T_COUNT = 20,
	T_WHO_ID = 24,
	T_NUMBER = 32,
	T_END = 40,
	T_BASE_TIME = 48,
	T_MAX_TIME = 56,
	T_KIND = 64,
	T_LEN = 68,
	T_NAME_LEN = 72,
	T_HEAD = 80,
};

int mq_intent_begin(struct mq_buf *out, const struct mq_intent *i)
{
	uint8_t b[HEAD] = {0};

	assert(i->source_start <= i->source_end && i->source_end - i->source_start <= UINT32_MAX && i->number <= i->last_number);
	assert(!i->n_set || (!i->open_ended && i->n_set <= MQ_INTENT_SET_MAX));
	if (mq_buf_reserve(out, sizeof b + 4 * (size_t)i->n_set) < 0)
		return -ENOMEM;
	memcpy(b, MAGIC, sizeof MAGIC);
	mq_put_le16(b + AT_VERSION, VERSION);
	mq_put_le16(b + AT_FLAGS, (uint16_t)((i->copies ? COPIES : 0) | (i->carry ? CARRY : 0) | (i->open_ended ? OPEN_ENDED : 0) |
	                                      (i->n_set ? SET : 0)));
	mq_put_le32(b + AT_TARGETS, i->n_targets);
	mq_put_le32(b + AT_GENERATION, i->generation);
	mq_put_le32(b + AT_SEEKS, i->seeks);
	mq_put_le64(b + AT_START, i->source_start);
	mq_put_le64(b + AT_END, i->source_end);
	mq_put_le64(b + AT_NUMBER, i->number);
	mq_put_le64(b + AT_LAST_NUMBER, i->last_number);
	mq_put_le32(b + AT_SET, i->n_set);
	mq_buf_add(out, b, sizeof b);
	if (i->n_set)
		mq_buf_add(out, i->set, 4 * (size_t)i->n_set);
	return 0;
}

int mq_intent_add(struct mq_buf *out, const struct mq_intent_target *t)
{
	uint8_t b[T_HEAD] = {0};
	size_t name_len = strlen(t->topic);
	int rc = mq_buf_reserve(out, sizeof b + name_len + t->len); /* all of it or none */

	if (rc < 0)
		return rc;
	memcpy(b + T_TOPIC_ID, t->topic_id, sizeof t->topic_id);
	mq_put_le32(b + T_PARTITION, t->partition);
	mq_put_le32(b + T_COUNT, t->count);
	mq_put_le64(b + T_WHO_ID, t->who_id);
	mq_put_le64(b + T_NUMBER, t->number);
	mq_put_le64(b + T_END, t->end);
	mq_put_le64(b + T_BASE_TIME, (uint64_t)t->base_time_us);
	mq_put_le64(b + T_MAX_TIME, (uint64_t)t->max_time_us);
	mq_put_le32(b + T_KIND, (uint32_t)t->kind);
	mq_put_le32(b + T_LEN, t->len);
	b[T_NAME_LEN] = (uint8_t)name_len;
	mq_buf_add(out, b, sizeof b);
	mq_buf_add(out, t->topic, name_len);
	mq_buf_add(out, t->data, t->len);
	return 0;
}

static bool zeros(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* Rising, and within the range. */
static bool rising(const uint8_t *p, uint32_t n, uint64_t range)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = mq_get_le32(p + 4 * (size_t)i);

		if (at >= range || (i > 0 && at <= mq_get_le32(p + 4 * (size_t)(i - 1))))
			return false;
	}
	return true;
}

/* Its range ends with the last of them. */
static bool set_ok(const struct mq_intent *i, size_t left)
{
	uint64_t range = i->source_end - i->source_start;

	return !i->open_ended && i->n_set > 0 && i->n_set <= MQ_INTENT_SET_MAX && left >= 4 * (size_t)i->n_set &&
	       rising(i->set, i->n_set, range) && mq_get_le32(i->set + 4 * (size_t)(i->n_set - 1)) + UINT64_C(1) == range;
}

int mq_intent_open(struct mq_intent_walk *w, const void *payload, size_t len, struct mq_intent *ret, struct mq_err *err)
{
	const uint8_t *p = payload;
	unsigned flags;

	if (len < HEAD || memcmp(p, MAGIC, sizeof MAGIC) != 0)
		return mq_err_set(err, MQ_EDAMAGE, "this is no intent");
	flags = mq_get_le16(p + AT_FLAGS);
	if (mq_get_le16(p + AT_VERSION) != VERSION || flags & ~(unsigned)(COPIES | CARRY | OPEN_ENDED | SET))
		return mq_err_set(err, MQ_ECONFIG, "an intent of a newer mq");
	struct mq_intent i = {
	    .copies = flags & COPIES,
	    .carry = flags & CARRY,
	    .open_ended = flags & OPEN_ENDED,
	    .n_targets = mq_get_le32(p + AT_TARGETS),
	    .n_set = mq_get_le32(p + AT_SET),
	    .set = p + HEAD,
	    .generation = mq_get_le32(p + AT_GENERATION),
	    .seeks = mq_get_le32(p + AT_SEEKS),
	    .source_start = mq_get_le64(p + AT_START),
	    .source_end = mq_get_le64(p + AT_END),
	    .number = mq_get_le64(p + AT_NUMBER),
	    .last_number = mq_get_le64(p + AT_LAST_NUMBER),
	};
	if (i.source_end < i.source_start || i.source_end - i.source_start > UINT32_MAX || i.last_number < i.number ||
	    !zeros(p + AT_SPARE, HEAD - AT_SPARE) || (flags & SET ? !set_ok(&i, len - HEAD) : i.n_set != 0))
		return mq_err_set(err, MQ_EDAMAGE, "the intent contradicts itself");
	*w = (struct mq_intent_walk){p + HEAD + 4 * (size_t)i.n_set, p + len, i, i.n_targets, i.number};
	*ret = i;
	return 0;
}

static bool positions_ok(const struct mq_intent *i, const struct mq_intent_target *t)
{
	return t->len == (uint64_t)t->count * 4 && rising(t->data, t->count, i->source_end - i->source_start);
}

int mq_intent_next(struct mq_intent_walk *w, struct mq_intent_target *ret)
{
	const uint8_t *p = w->at;
	size_t name_len;

	if (w->left == 0)
		return w->at == w->end && w->number == w->intent.last_number ? 0 : MQ_EDAMAGE;
	if (w->end - p < T_HEAD)
		return MQ_EDAMAGE;
	name_len = p[T_NAME_LEN];
	memset(ret, 0, sizeof *ret);
	memcpy(ret->topic_id, p + T_TOPIC_ID, sizeof ret->topic_id);
	ret->partition = mq_get_le32(p + T_PARTITION);
	ret->count = mq_get_le32(p + T_COUNT);
	ret->who_id = mq_get_le64(p + T_WHO_ID);
	ret->number = mq_get_le64(p + T_NUMBER);
	ret->end = mq_get_le64(p + T_END);
	ret->base_time_us = (int64_t)mq_get_le64(p + T_BASE_TIME);
	ret->max_time_us = (int64_t)mq_get_le64(p + T_MAX_TIME);
	ret->kind = (enum mq_batch_kind)mq_get_le32(p + T_KIND);
	ret->len = mq_get_le32(p + T_LEN);
	if (name_len == 0 || name_len > MQ_NAME_MAX || (size_t)(w->end - p - T_HEAD) < name_len ||
	    (size_t)(w->end - p - T_HEAD) - name_len < ret->len || !zeros(p + T_NAME_LEN + 1, T_HEAD - T_NAME_LEN - 1) ||
	    memchr(p + T_HEAD, 0, name_len))
		return MQ_EDAMAGE;
	memcpy(ret->topic, p + T_HEAD, name_len);
	ret->data = p + T_HEAD + name_len;
	if (ret->number != w->number || ret->kind > MQ_BATCH_RECORDS || (w->intent.copies && !positions_ok(&w->intent, ret)) ||
	    (ret->count == 0 && (!w->intent.open_ended || ret->len != 0)))
		return MQ_EDAMAGE;
	w->number += ret->count;
	w->left--;
	w->at = ret->data + ret->len;
	return 1;
}
