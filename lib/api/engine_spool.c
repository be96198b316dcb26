/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: what engine.h asks, in terms of spool/ and log/.  Here: the store, its topics, the table. */
#include "api/engine_spool_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/mq.h"
#include "base/name.h"
#include "spool/check.h"
#include "spool/group.h"
#include "sys/sys.h"

/* ---- store ---- */
static void pass_notice(void *arg, const char *text)
{
	const struct mq_store *s = arg;

	if (s->notice)
		s->notice(s->notice_arg, 0, text);
}

static const char *directory_of(const char *where)
{
	return strncmp(where, "file:", 5) == 0 ? where + 5 : where;
}

static int store_open(struct mq_store **ret, const char *where, bool create, struct mq_err *err)
{
	struct store *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return mq_engine_no_memory(err);
	rc = mq_spool_open(&s->spool, directory_of(where), create, err);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->base.engine = &mq_engine_file;
	s->spool.notice = pass_notice;
	s->spool.notice_arg = &s->base;
	s->base.patience.ns = -1;
	s->spool.patience = &s->base.patience;
	s->spool.looks = &s->base.looks;
	*ret = &s->base;
	return 0;
}

static void store_close(struct mq_store *s)
{
	mq_spool_release(mq_engine_spool_of(s));
	free(s);
}

static int store_await(const char *where, struct mq_wait *w, int *ret_fd, struct mq_err *err)
{
	return mq_spool_await(directory_of(where), w, ret_fd, err);
}

static int store_arm(struct mq_store *s, struct mq_wait *w, struct mq_err *err)
{
	int rc = mq_wait_watch(w, mq_engine_spool_of(s)->topics, IN_CREATE | IN_MOVED_TO, mq_engine_spool_of(s)->events);

	return rc < 0 ? mq_err_sys(err, rc, "cannot watch the topics") : 0;
}

/* ---- topics ---- */
struct listing {
	struct mq_spool *spool;
	int (*fn)(void *arg, const char *name);
	void *arg;
};

/* One that was deleted by halves is no more; one that cannot be opened is told by whoever looks at it. */
static int list_one(void *arg, const char *name)
{
	const struct listing *l = arg;
	char named[MQ_NAME_MAX + 8];
	struct mq_topic t;
	struct mq_stat st;
	int rc = 0;

	snprintf(named, sizeof named, "%s/named", name);
	if (mq_sys->statat(l->spool->topics, named, &st) < 0 && mq_topic_open(&t, l->spool, name, NULL) == 0) {
		rc = mq_topic_alive(&t, NULL);
		mq_topic_release(&t);
	}
	return rc == MQ_ENOTOPIC ? 0 : l->fn(l->arg, name);
}

static int topic_list(struct mq_store *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	struct listing l = {mq_engine_spool_of(s), fn, arg};

	return mq_topic_each(l.spool, list_one, &l, err);
}

static void fill_facts(const struct mq_topic_conf *c, struct mq_topic_facts *ret)
{
	memset(ret, 0, sizeof *ret);
	memcpy(ret->id, c->id, 16);
	ret->partitions = c->partitions;
	ret->generation = c->n_generations ? c->generations[c->n_generations - 1].number : 0;
	ret->max_message_bytes = (uint32_t)c->max_message_bytes;
	ret->zip = (enum mq_batch_zip)c->compression;
	ret->min_ack = c->min_ack > 0 ? (enum mq_ack)c->min_ack : MQ_ACK_NONE;
	ret->when_full = c->when_full == MQ_WHEN_FULL_FAIL          ? MQ_FULL_FAIL
	                 : c->when_full == MQ_WHEN_FULL_DROP_OLDEST ? MQ_FULL_DROP_OLDEST
	                                                            : MQ_FULL_BLOCK;
	ret->ttl_us = c->ttl_ms > 0 ? c->ttl_ms * 1000 : 0;
}

static int topic_facts(struct mq_store *s, const char *topic, struct mq_topic_facts *ret, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	rc = mq_topic_alive(&t, err);
	if (rc == 0)
		fill_facts(&t.conf, ret);
	mq_topic_release(&t);
	return rc;
}

static int topic_presume(struct mq_store *s, struct mq_topic_facts *ret, struct mq_err *err)
{
	const struct mq_spool_conf *c = &mq_engine_spool_of(s)->conf;

	(void)err;
	fill_facts(&c->defaults, ret);
	ret->partitions = (uint32_t)c->num_partitions;
	return 0;
}

static int topic_create(struct mq_store *s, const char *topic, uint32_t partitions, const char *const *set, size_t n,
                        bool dry_run, struct mq_err *err)
{
	return mq_topic_make(mq_engine_spool_of(s), topic, partitions, set, n, dry_run, err);
}

static int topic_auto_create(struct mq_store *s, const char *topic, struct mq_err *err)
{
	struct mq_topic_facts facts;
	int rc = topic_facts(s, topic, &facts, err);

	if (rc != MQ_ENOTOPIC)
		return rc;
	if (err)
		err->code = 0, err->text[0] = 0;
	if (!mq_engine_spool_of(s)->conf.auto_create)
		return mq_err_set(err, MQ_ENOTOPIC, "no topic %s, and auto.create.topics=false: mq-topic create %s", topic, topic);
	rc = mq_topic_make(mq_engine_spool_of(s), topic, 0, NULL, 0, false, err);
	if (rc == -EEXIST && err)
		err->code = 0, err->text[0] = 0;
	return rc == -EEXIST ? 0 : rc;
}

static int topic_set(struct mq_store *s, const char *topic, const char *const *set, size_t n, bool dry_run, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	rc = mq_topic_change(&t, set, n, dry_run, err);
	mq_topic_release(&t);
	return rc;
}

static int topic_conf(struct mq_store *s, const char *topic, int (*fn)(void *arg, const char *key, const char *value,
                      bool is_default), void *arg, struct mq_err *err)
{
	struct mq_topic t;
	struct mq_buf value = MQ_BUF_INIT;
	const char *key;
	bool is_default;
	int rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err), stop = 0;

	if (rc < 0)
		return rc;
	for (size_t i = 0; stop == 0 && (rc = mq_topic_conf_at(&t.conf, i, &key, &value, &is_default)) > 0; i++)
		stop = fn(arg, key, value.p, is_default);
	mq_buf_release(&value);
	mq_topic_release(&t);
	return rc < 0 ? mq_engine_no_memory(err) : stop;
}

/* Is any group's member at work on it, or a handler that a killed one left? */
struct in_use {
	struct mq_topic *t;
	struct mq_err *err;
};

static int group_at_work(void *arg, const char *group)
{
	const struct in_use *u = arg;
	struct mq_group_topic g;
	char line[MQ_GROUP_OWNER_LEN];
	bool handler = false;
	uint32_t p = 0;
	int owned = 0;

	if (mq_group_topic_open(&g, u->t, group, false, NULL) < 0)
		return 0;
	for (; p < u->t->conf.partitions && owned != 1 && !handler; p++)
		owned = mq_group_owner(&g, p, line, &handler, NULL);
	mq_group_topic_release(&g);
	if (owned == 1)
		return mq_err_set(u->err, MQ_EAGAIN, "group %s is at work on %s:%u: stop it, or use --force", group, u->t->name, p - 1);
	if (handler)
		return mq_err_set(u->err, MQ_EAGAIN, "group %s, %s:%u: a killed member's handler lives on: stop it, or use --force", group,
		                  u->t->name, p - 1);
	return 0;
}

static int topic_delete(struct mq_store *s, const char *topic, bool force, bool dry_run, struct mq_err *err)
{
	struct mq_topic t;
	struct in_use u = {&t, err};
	int rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	if (!force)
		rc = mq_group_each(mq_engine_spool_of(s), group_at_work, &u, err);
	if (rc == 0 && !dry_run)
		rc = mq_topic_remove(&t, err);
	mq_topic_release(&t);
	return rc;
}

static int set_log_start(struct mq_store *s, const char *topic, uint32_t p, uint64_t offset, bool dry_run, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	if (!dry_run)
		rc = mq_partition_purge(&t, p, offset, err);
	mq_topic_release(&t);
	return rc;
}

int mq_engine_spool_fill_bounds(struct mq_cursor *c, struct mq_bounds *ret, struct mq_err *err)
{
	int rc = mq_cursor_refresh(c, err);

	if (rc < 0)
		return rc;
	memset(ret, 0, sizeof *ret);
	ret->log_start = c->log_start;
	ret->visible = c->visible_offset;
	ret->written = c->written_offset;
	ret->epoch = c->chain.seg[c->chain.n - 1].epoch;
	return mq_cursor_durable(c, &ret->durable, err);
}

int mq_engine_spool_bounds(struct mq_store *s, const char *topic, uint32_t p, struct mq_bounds *ret, struct mq_err *err)
{
	struct mq_topic t;
	struct mq_cursor c;
	int rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	rc = mq_partition_cursor(&t, p, &c, err);
	if (rc == 0) {
		rc = mq_engine_spool_fill_bounds(&c, ret, err);
		if (rc == 0)
			rc = mq_cursor_extent(&c, &ret->stored, &ret->bytes, &ret->segments, err);
		mq_cursor_release(&c);
	}
	mq_topic_release(&t);
	return rc;
}

/* ---- checking: mq.h's structs and spool/check.h's say the same ---- */
_Static_assert((int)MQ_FINDING_DAMAGE == (int)MQ_CHECK_DAMAGE && (int)MQ_FINDING_NEWER == (int)MQ_CHECK_NEWER, "one order");

static int pass_finding(void *arg, const struct mq_check_finding *f)
{
	const struct mq_check_request *req = arg;
	struct mq_finding out = {.kind = (enum mq_finding_kind)f->kind,
	                         .what = f->what,
	                         .position = f->position,
	                         .length = f->length,
	                         .offset_from = f->offset_from,
	                         .offset_to = f->offset_to,
	                         .mended = f->mended,
	                         .text = f->text};

	return req->found ? req->found(req->arg, &out) : 0;
}

static void pass_progress(void *arg, uint64_t done, uint64_t all)
{
	const struct mq_check_request *req = arg;

	req->progress(req->arg, done, all);
}

static int check(struct mq_store *s, const void *check_request, void *check_report, struct mq_err *err)
{
	struct mq_check_request req = *(const struct mq_check_request *)check_request;
	struct mq_check_report *rep = check_report;
	struct mq_check_options opt = {.topic = req.topic,
	                               .partition = req.partition,
	                               .mend = req.mend,
	                               .dry_run = req.dry_run,
	                               .found = pass_finding,
	                               .progress = req.progress ? pass_progress : NULL,
	                               .arg = &req};
	struct mq_check_sums sums;
	int rc = mq_spool_check(mq_engine_spool_of(s), &opt, &sums, err);

	if (rc < 0)
		return rc;
	*rep = (struct mq_check_report){.topics = sums.topics,
	                                .partitions = sums.partitions,
	                                .segments = sums.segments,
	                                .batches = sums.batches,
	                                .records = sums.records,
	                                .bytes = sums.bytes,
	                                .damage = sums.found[MQ_CHECK_DAMAGE],
	                                .torn = sums.found[MQ_CHECK_TORN],
	                                .dead = sums.found[MQ_CHECK_DEAD],
	                                .cache = sums.found[MQ_CHECK_CACHE],
	                                .config = sums.found[MQ_CHECK_CONFIG],
	                                .lost = sums.found[MQ_CHECK_LOST],
	                                .newer = sums.found[MQ_CHECK_NEWER],
	                                .left = sums.found[MQ_CHECK_LEFT],
	                                .mended = sums.mended};
	return rc;
}

const struct mq_engine mq_engine_file = {
    .scheme = "file",
    .store_open = store_open,
    .store_close = store_close,
    .store_await = store_await,
    .topic_list = topic_list,
    .topic_facts = topic_facts,
    .topic_presume = topic_presume,
    .topic_create = topic_create,
    .topic_auto_create = topic_auto_create,
    .topic_set = topic_set,
    .topic_conf = topic_conf,
    .topic_delete = topic_delete,
    .set_log_start = set_log_start,
    .bounds = mq_engine_spool_bounds,
    .appender_open = mq_engine_spool_appender_open,
    .appender_close = mq_engine_spool_appender_close,
    .append = mq_engine_spool_append,
    .append_room = mq_engine_spool_append_room,
    .wait_durable = mq_engine_spool_wait_durable,
    .appender_mark = mq_engine_spool_appender_mark,
    .wait_space = mq_engine_spool_wait_space,
    .producer_hold = mq_engine_spool_producer_hold,
    .producer_find = mq_engine_spool_producer_find,
    .source_open = mq_engine_spool_source_open,
    .source_close = mq_engine_spool_source_close,
    .source_seek = mq_engine_spool_source_seek,
    .source_find_time = mq_engine_spool_source_find_time,
    .source_next = mq_engine_spool_source_next,
    .source_bounds = mq_engine_spool_source_bounds,
    .source_arm = mq_engine_spool_source_arm,
    .source_disarm = mq_engine_spool_source_disarm,
    .store_arm = store_arm,
    .group_list = mq_engine_spool_group_list,
    .group_topics = mq_engine_spool_group_topics,
    .group_delete = mq_engine_spool_group_delete,
    .group_place = mq_engine_spool_group_place,
    .group_owner = mq_engine_spool_group_owner,
    .group_members = mq_engine_spool_group_members,
    .member_join = mq_engine_spool_member_join,
    .member_leave = mq_engine_spool_member_leave,
    .member_arm = mq_engine_spool_member_arm,
    .owner_take = mq_engine_spool_owner_take,
    .owner_place = mq_engine_spool_owner_place,
    .owner_merge_acks = mq_engine_spool_owner_merge_acks,
    .owner_arm = mq_engine_spool_owner_arm,
    .owner_look = mq_engine_spool_owner_look,
    .owner_commit = mq_engine_spool_owner_commit,
    .owner_sync = mq_engine_spool_owner_sync,
    .owner_handler_fd = mq_engine_spool_owner_handler_fd,
    .owner_release = mq_engine_spool_owner_release,
    .owner_token = mq_engine_spool_owner_token,
    .group_ack = mq_engine_spool_group_ack,
    .group_seek = mq_engine_spool_group_seek,
    .check = check,
};
