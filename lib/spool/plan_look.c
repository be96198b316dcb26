/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/plan_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spool/topic.h"
#include "sys/sys.h"

static int no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "no memory for the plan of a group");
}

/* ---- topics ---- */
static int keep_name(void *arg, const char *name)
{
	return mq_buf_add((struct mq_buf *)arg, name, strlen(name) + 1);
}

/* What members read is not yet a place of the group's where they have only just come. */
static int keep_read(void *arg, const struct mq_member_facts *f)
{
	struct mq_buf *text = arg;
	const char *end = f->topics + f->topics_len;
	int rc = 0;

	for (const char *at = f->topics; at && at < end && rc == 0;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t len = (size_t)((comma ? comma : end) - at);
		const char *colon = memchr(at, ':', len);
		size_t n = colon ? (size_t)(colon - at) : len;

		if (mq_name_ok(at, n))
			rc = mq_buf_add(text, at, n);
		if (rc == 0 && mq_name_ok(at, n))
			rc = mq_buf_add_byte(text, 0);
		at += len + 1;
	}
	return rc;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each name once. */
static int sort_names(struct mq_plan_look *look, struct mq_err *err)
{
	size_t n = 0, unique = 0;

	for (size_t at = 0; at < look->text.len; at++)
		n += look->text.p[at] == 0;
	look->topics = calloc(n + 1, sizeof *look->topics);
	if (!look->topics)
		return no_memory(err);
	for (size_t at = 0; look->n < n; at += strlen(look->text.p + at) + 1)
		look->topics[look->n++] = look->text.p + at;
	qsort(look->topics, n, sizeof *look->topics, by_text);
	for (size_t i = 0; i < n; i++)
		if (!unique || strcmp(look->topics[unique - 1], look->topics[i]) != 0)
			look->topics[unique++] = look->topics[i];
	look->n = unique;
	return 0;
}

static int find_topics(struct mq_plan_look *look, struct mq_spool *s, const char *group, bool may_miss, struct mq_err *err)
{
	struct mq_stat st;
	int there = s->groups < 0 ? mq_groups_closed(s, err) : mq_sys->statat(s->groups, group, &st), rc = 0;

	if (s->groups < 0)
		return there;
	if (there == -ENOENT)
		return may_miss ? sort_names(look, err) : mq_err_set(err, MQ_ENOTOPIC, "no group %s: see mq-group list", group);
	rc = mq_group_each_topic(s, group, keep_name, &look->text, err);
	if (rc == MQ_ENOTOPIC) { /* it has members, or a configuration, and has not read anything */
		rc = 0;
		if (err)
			*err = (struct mq_err)MQ_ERR_INIT;
	}
	if (rc == 0)
		rc = mq_member_each(s, group, MQ_MEMBER_WISHES, keep_read, &look->text, err);
	if (rc == -ENOMEM)
		return no_memory(err);
	return rc < 0 ? rc : sort_names(look, err);
}

/* ---- who has what ---- */
static int look_at(struct mq_plan_look *look, size_t t, struct mq_topic *topic, const char *group, struct mq_err *err)
{
	struct mq_plan_part *part = &look->parts[t];
	struct mq_group_topic g;
	int rc = 0;

	part->n = topic->conf.partitions;
	part->now = look->owned[t] = calloc(2 * (size_t)part->n + 1, sizeof *part->now);
	if (!part->now)
		return no_memory(err);
	part->owner = part->now + part->n;
	for (uint32_t p = 0; p < part->n; p++)
		part->now[p] = -1;
	rc = mq_group_topic_open(&g, topic, group, false, err);
	if (rc == MQ_ENOTOPIC && err)
		*err = (struct mq_err)MQ_ERR_INIT;
	if (rc < 0)
		return rc == MQ_ENOTOPIC ? 0 : rc;
	if (g.locks < 0)
		rc = mq_err_set(err, MQ_EDENIED, "%s: locks cannot be opened, so nobody can tell who owns what", g.label);
	else
		rc = mq_plan_owners(&g, &look->crowd, part, err);
	mq_group_topic_release(&g);
	return rc;
}

/* One that was deleted has no partitions. */
static int look_all(struct mq_plan_look *look, struct mq_spool *s, const char *group, struct mq_err *err)
{
	int rc = 0;

	for (size_t t = 0; t < look->n && rc == 0; t++) {
		struct mq_topic topic;

		rc = mq_topic_open(&topic, s, look->topics[t], err);
		if (rc == MQ_ENOTOPIC) {
			rc = 0;
			if (err)
				*err = (struct mq_err)MQ_ERR_INIT;
			continue;
		}
		if (rc < 0)
			break;
		rc = look_at(look, t, &topic, group, err);
		mq_topic_release(&topic);
	}
	return rc;
}

int mq_plan_look(struct mq_plan_look *look, struct mq_spool *s, const char *group, bool may_miss, struct mq_err *err)
{
	int rc;

	*look = (struct mq_plan_look){.text = MQ_BUF_INIT};
	rc = mq_name_check(group, "group", err);
	if (rc == 0)
		rc = find_topics(look, s, group, may_miss, err);
	if (rc == 0)
		rc = mq_crowd_gather(&look->crowd, s, group, look->topics, look->n, MQ_CROWD_LIVING, NULL, err);
	if (rc < 0)
		return rc;
	look->parts = calloc(look->n + 1, sizeof *look->parts);
	look->owned = calloc(look->n + 1, sizeof *look->owned);
	return look->parts && look->owned ? look_all(look, s, group, err) : no_memory(err);
}

int mq_plan_look_make(struct mq_plan_look *look, const struct mq_assign_conf *conf, struct mq_err *err)
{
	return mq_plan_give_out(conf, &look->crowd, look->parts, err);
}

void mq_plan_look_release(struct mq_plan_look *look)
{
	for (size_t t = 0; t < look->n && look->owned; t++)
		free(look->owned[t]);
	free(look->owned);
	free(look->parts);
	mq_crowd_release(&look->crowd);
	free(look->topics);
	mq_buf_release(&look->text);
	*look = (struct mq_plan_look){0};
}
