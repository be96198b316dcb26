/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a copy is asked for, as it is settled when its run begins. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/siphash.h"
#include "ops/consume_copy_private.h"

/* --- what is asked for ---------------------------------------------------------------------- */

static int add_text(struct mq_buf *b, const char *text)
{
	return text ? mq_buf_add(b, text, strlen(text) + 1) : mq_buf_add(b, "\001", 1);
}

/* Equal for who asks for the same, however fast it is to go. */
static int hash_of(struct mq_consume *c, const char *topic, uint64_t *ret)
{
	static const uint8_t key[16];
	const struct mq_consume_request *q = c->req;
	const char *const texts[] = {topic, q->to, q->range, q->key, q->id, q->tag, q->skip_tag, q->where, q->letters_of, q->letters_group};
	struct mq_buf b = MQ_BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < sizeof texts / sizeof *texts && rc == 0; i++)
		rc = add_text(&b, texts[i]);
	for (size_t i = 0; i < q->n_headers && rc == 0; i++) {
		rc = add_text(&b, q->headers[i].name);
		if (rc == 0)
			rc = add_text(&b, q->headers[i].value);
	}
	for (size_t i = 0; i < q->n_topics && rc == 0; i++)
		if (strcmp(q->topics[i], topic) == 0)
			rc = mq_buf_printf(&b, "%lld ", (long long)(q->partitions ? q->partitions[i] : -1));
	if (rc == 0)
		rc = mq_buf_printf(&b, "%llu%s", (unsigned long long)q->count, q->expired ? " expired" : "");
	*ret = rc == 0 ? mq_siphash(key, b.p, b.len) : 0;
	mq_buf_release(&b);
	return rc < 0 ? mq_consume_no_memory(c) : 0;
}

/* Where the request's count is reached: the end of f, or of what lies before, is that. */
static int count_ahead(struct mq_consume *c, struct mq_feed *f, uint64_t start, uint64_t *left)
{
	struct mq_rec r;
	int rc = *left ? mq_feed_open(c, f, start) : 0;

	while (rc >= 0 && *left && (rc = mq_feed_look(c, f)) > 0)
		while (*left && (rc = mq_feed_record(c, f, &r)) > 0)
			if (--*left == 0)
				f->end = r.offset + 1;
	if (!*left && (!f->source || f->next < f->end))
		f->end = f->source ? f->next : start;
	mq_feed_close(c, f);
	return rc < 0 ? rc : 0;
}

/* The ranges of a topic's feeds, by partition. */
static int resolve(struct mq_consume *c, const char *topic, struct mq_run_range *ranges, uint32_t *ret_n, uint64_t *left)
{
	uint32_t n = 0;

	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = c->feeds[i];
		uint64_t start;
		uint32_t at = n;

		if (strcmp(f->topic, topic) != 0)
			continue;
		int rc = mq_consume_start(c, f, NULL, &start);
		if (rc == 0 && c->req->count)
			rc = count_ahead(c, f, start, left);
		if (rc < 0)
			return rc;
		while (at > 0 && ranges[at - 1].partition > f->partition)
			at--;
		memmove(ranges + at + 1, ranges + at, (n - at) * sizeof *ranges);
		ranges[at] = (struct mq_run_range){f->partition, start, f->end > start ? f->end : start};
		n++;
	}
	*ret_n = n;
	return 0;
}

/* What the run says that is to be copied, whatever the arguments mean now. */
static void adopt(struct mq_consume *c, const struct mq_run_hold *run, const char *topic)
{
	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = c->feeds[i];
		bool found = false;

		if (strcmp(f->topic, topic) != 0)
			continue;
		for (uint32_t n = 0; n < mq_run_facts(run)->n && !found; n++) {
			struct mq_run_range range = mq_run_range(run, n);
			found = range.partition == f->partition;
			if (found) {
				f->end = range.end;
				f->next = range.start;
			}
		}
		f->left = !found; /* it came later */
	}
}

/* --- beginning ------------------------------------------------------------------------------ */

static int begin_topic(struct mq_consume *c, size_t nth, struct mq_run_range *ranges, uint64_t *left)
{
	const char *topic = c->req->topics[nth];
	uint64_t asked;
	uint32_t n = 0;

	for (size_t i = 0; i < nth; i++)
		if (strcmp(c->req->topics[i], topic) == 0)
			return 0; /* with that one */
	int rc = hash_of(c, topic, &asked);
	if (rc == 0)
		rc = resolve(c, topic, ranges, &n, left);
	if (rc == 0)
		rc = mq_run_open(&c->copies->runs[nth], c->mq, topic, asked, ranges, n, c->err);
	if (rc >= 0)
		adopt(c, c->copies->runs[nth], topic);
	return rc < 0 ? rc : 0;
}

/* Told before anything is made. */
static int check_twice(struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n; i++)
		for (size_t j = 0; j < i; j++)
			if (c->feeds[j]->partition == c->feeds[i]->partition && strcmp(c->feeds[j]->topic, c->feeds[i]->topic) == 0)
				return mq_err_set(c->err, MQ_EUSAGE, "%s:%" PRIu32 " is given twice", c->feeds[i]->topic, c->feeds[i]->partition);
	return 0;
}

int mq_copy_begin(struct mq_consume *c)
{
	struct mq_consume_report none = c->report;
	uint64_t left = c->req->count;
	int rc = c->req->to ? mq_name_check(c->req->to, "topic", c->err) : mq_err_set(c->err, MQ_EUSAGE, "copied to which topic?");

	if (rc == 0 && (c->req->follow || c->req->group || c->req->handler != MQ_HANDLER_NONE))
		rc = mq_err_set(c->err, MQ_EUSAGE, "a range that goes on, or a group's, is not copied so: mq-consume -g GROUP --to");
	if (rc == 0 && c->req->n_topics > 1)
		rc = check_twice(c);
	if (rc == 0)
		rc = c->engine->topic_auto_create(c->store, c->req->to, c->req->to_partitions, c->err);
	if (rc < 0)
		return rc;
	c->copies = calloc(1, sizeof *c->copies);
	if (c->copies)
		c->copies->runs = calloc(c->req->n_topics, sizeof(struct mq_run_hold *));
	struct mq_run_range *ranges = calloc(c->feeds_n + 1, sizeof *ranges);
	rc = c->copies && c->copies->runs && ranges ? mq_copy_learn(c) : mq_consume_no_memory(c);
	for (size_t i = 0; i < c->req->n_topics && rc == 0; i++)
		rc = begin_topic(c, i, ranges, &left);
	free(ranges);
	c->report = none; /* what was read ahead is read again */
	c->left_count = UINT64_MAX;
	return rc;
}
