/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: what engine.h asks, in terms of spool/ and log/.  Here: the store, its topics, the table. */
#include "api/engine_spool_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "spool/group.h"
#include "spool/retain.h"
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

void mq_engine_spool_fill_facts(const struct mq_topic_conf *c, struct mq_topic_facts *ret)
{
	memset(ret, 0, sizeof *ret);
	memcpy(ret->id, c->id, 16);
	ret->partitions = c->partitions;
	ret->generation = mq_topic_conf_generation(c);
	ret->n_generations = c->n_generations;
	memcpy(ret->generations, c->generations, sizeof ret->generations);
	ret->max_message_bytes = (uint32_t)c->max_message_bytes;
	ret->zip = (enum mq_batch_zip)c->compression;
	ret->min_ack = c->min_ack > 0 ? (enum mq_ack)c->min_ack : MQ_ACK_NONE;
	ret->when_full = c->when_full == MQ_WHEN_FULL_FAIL          ? MQ_FULL_FAIL
	                 : c->when_full == MQ_WHEN_FULL_DROP_OLDEST ? MQ_FULL_DROP_OLDEST
	                                                            : MQ_FULL_BLOCK;
	ret->ttl_us = c->ttl_ms > 0 ? c->ttl_ms * 1000 : 0;
	ret->expired_dead = c->expired_dead == 1;
	ret->retention_us = c->retention_ms < 0 ? -1 : c->retention_ms * 1000;
	ret->retention_bytes = c->retention_bytes;
	ret->compacts = c->cleanup != MQ_CLEANUP_DELETE;
	ret->deletes = c->cleanup != MQ_CLEANUP_COMPACT;
	ret->dedupe = c->dedupe_ms > 0 || c->dedupe_count > 0;
}

static int topic_facts(struct mq_store *s, const char *topic, struct mq_topic_facts *ret, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_engine_spool_open_users(&t, s, topic, err);

	if (rc < 0)
		return rc;
	rc = mq_topic_alive(&t, err);
	if (rc == 0)
		mq_engine_spool_fill_facts(&t.conf, ret);
	mq_engine_spool_topic_read((struct store *)s, &t);
	mq_topic_release(&t);
	return rc;
}

static int topic_presume(struct mq_store *s, struct mq_topic_facts *ret, struct mq_err *err)
{
	const struct mq_spool_conf *c = &mq_engine_spool_of(s)->conf;

	(void)err;
	mq_engine_spool_fill_facts(&c->defaults, ret);
	ret->partitions = (uint32_t)c->num_partitions;
	return 0;
}

static int topic_create(struct mq_store *s, const char *topic, uint32_t partitions, const char *const *set, size_t n,
                        bool dry_run, struct mq_err *err)
{
	return mq_topic_make(mq_engine_spool_of(s), topic, partitions, set, n, dry_run, err);
}

static int topic_auto_create(struct mq_store *s, const char *topic, uint32_t partitions, struct mq_err *err)
{
	struct mq_topic_facts facts;
	int rc = topic_facts(s, topic, &facts, err);

	if (rc != MQ_ENOTOPIC)
		return rc;
	if (err)
		err->code = 0, err->text[0] = 0;
	if (!mq_engine_spool_of(s)->conf.auto_create)
		return mq_err_set(err, MQ_ENOTOPIC, "no topic %s, and auto.create.topics=false: mq-topic create %s", topic, topic);
	rc = mq_topic_make(mq_engine_spool_of(s), topic, partitions, NULL, 0, false, err);
	if (rc == -EEXIST && err)
		err->code = 0, err->text[0] = 0;
	return rc == -EEXIST ? 0 : rc;
}

static int topic_set(struct mq_store *s, const char *topic, const char *const *set, size_t n, bool dry_run, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_engine_spool_open_users(&t, s, topic, err);

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
	int rc = mq_engine_spool_open_users(&t, s, topic, err), stop = 0;

	if (rc < 0)
		return rc;
	for (size_t i = 0; stop == 0 && (rc = mq_topic_conf_at(&t.conf, i, &key, &value, &is_default)) > 0; i++)
		stop = fn(arg, key, value.p, is_default);
	mq_buf_release(&value);
	mq_topic_release(&t);
	return rc < 0 ? mq_engine_no_memory(err) : stop;
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
    .topic_grow = mq_engine_spool_topic_grow,
    .topic_conf = topic_conf,
    .topic_delete = mq_engine_spool_topic_delete,
    .internal_open = mq_engine_spool_internal_open,
    .internal_facts = mq_engine_spool_internal_facts,
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
    .producer_held = mq_engine_spool_producer_held,
    .mover_look = mq_engine_spool_mover_look,
    .mover_open = mq_engine_spool_mover_open,
    .append_trim = mq_engine_spool_append_trim,
    .source_open = mq_engine_spool_source_open,
    .source_close = mq_engine_spool_source_close,
    .source_seek = mq_engine_spool_source_seek,
    .source_find_time = mq_engine_spool_source_find_time,
    .source_next = mq_engine_spool_source_next,
    .source_met = mq_engine_spool_source_met,
    .source_bounds = mq_engine_spool_source_bounds,
    .source_arm = mq_engine_spool_source_arm,
    .source_disarm = mq_engine_spool_source_disarm,
    .store_arm = store_arm,
    .group_list = mq_engine_spool_group_list,
    .group_topics = mq_engine_spool_group_topics,
    .group_delete = mq_engine_spool_group_delete,
    .group_walk = mq_engine_spool_group_walk,
    .group_place = mq_engine_spool_group_place,
    .group_owner = mq_engine_spool_group_owner,
    .group_members = mq_engine_spool_group_members,
    .member_count = mq_engine_spool_member_count,
    .member_strict = mq_engine_spool_member_strict,
    .member_plan = mq_engine_spool_member_plan,
    .member_plan_of = mq_engine_spool_member_plan_of,
    .member_look = mq_engine_spool_member_look,
    .member_had = mq_engine_spool_member_had,
    .member_may_be_free = mq_engine_spool_member_may_be_free,
    .member_ask = mq_engine_spool_member_ask,
    .member_asked = mq_engine_spool_member_asked,
    .member_ring = mq_engine_spool_member_ring,
    .group_assign = mq_engine_spool_group_assign,
    .member_join = mq_engine_spool_member_join,
    .member_leave = mq_engine_spool_member_leave,
    .member_arm = mq_engine_spool_member_arm,
    .owner_take = mq_engine_spool_owner_take,
    .owner_place = mq_engine_spool_owner_place,
    .owner_merge_acks = mq_engine_spool_owner_merge_acks,
    .owner_set = mq_engine_spool_owner_set,
    .owner_arm = mq_engine_spool_owner_arm,
    .owner_look = mq_engine_spool_owner_look,
    .owner_commit = mq_engine_spool_owner_commit,
    .owner_expired = mq_engine_spool_owner_expired,
    .owner_sync = mq_engine_spool_owner_sync,
    .owner_ring = mq_engine_spool_owner_ring,
    .owner_handler_fd = mq_engine_spool_owner_handler_fd,
    .owner_release = mq_engine_spool_owner_release,
    .owner_token = mq_engine_spool_owner_token,
    .share_take = mq_engine_spool_share_take,
    .share_next = mq_engine_spool_share_next,
    .share_claim = mq_engine_spool_share_claim,
    .share_holds = mq_engine_spool_share_holds,
    .share_done = mq_engine_spool_share_done,
    .share_give_back = mq_engine_spool_share_give_back,
    .share_write = mq_engine_spool_share_write,
    .share_look = mq_engine_spool_share_look,
    .share_has_dead = mq_engine_spool_share_has_dead,
    .share_mover = mq_engine_spool_share_mover,
    .share_handler_fd = mq_engine_spool_share_handler_fd,
    .share_handler_hold = mq_engine_spool_share_handler_hold,
    .group_drain_fd = mq_engine_spool_group_drain_fd,
    .group_share = mq_engine_spool_group_share,
    .group_ack = mq_engine_spool_group_ack,
    .group_seek = mq_engine_spool_group_seek,
    .group_evict = mq_engine_spool_group_evict,
    .group_evict_member = mq_engine_spool_group_evict_member,
    .dedupe_open = mq_engine_spool_dedupe_open,
    .dedupe_close = mq_engine_spool_dedupe_close,
    .dedupe_lock = mq_engine_spool_dedupe_lock,
    .dedupe_unlock = mq_engine_spool_dedupe_unlock,
    .dedupe_catch_up = mq_engine_spool_dedupe_catch_up,
    .dedupe_find = mq_engine_spool_dedupe_find,
    .dedupe_await = mq_engine_spool_dedupe_await,
    .once_open = mq_engine_spool_once_open,
    .once_close = mq_engine_spool_once_close,
    .once_key = mq_engine_spool_once_key,
    .once_lock = mq_engine_spool_once_lock,
    .once_handled = mq_engine_spool_once_handled,
    .once_unlock = mq_engine_spool_once_unlock,
    .once_await = mq_engine_spool_once_await,
    .once_handler = mq_engine_spool_once_handler,
    .once_look = mq_engine_spool_once_look,
    .once_mark = mq_engine_spool_once_mark,
    .once_sync = mq_engine_spool_once_sync,
    .retain_begin = mq_engine_spool_retain_begin,
    .retain_end = mq_engine_spool_retain_end,
    .retain_patience_us = mq_engine_spool_retain_patience_us,
    .retain_noted = mq_retain_noted,
    .retain_note = mq_retain_note,
    .internal_list = mq_engine_spool_internal_list,
    .old_parts = mq_engine_spool_old_parts,
    .archive = mq_engine_spool_archive,
    .archive_backlog = mq_engine_spool_archive_backlog,
    .raise_log_start = mq_engine_spool_raise_log_start,
    .remove_old = mq_engine_spool_remove_old,
    .compact = mq_engine_spool_compact,
    .check = mq_engine_spool_check,
    .room_open = mq_engine_spool_room_open,
    .room_close = mq_engine_spool_room_close,
    .room_lock = mq_engine_spool_room_lock,
    .room_unlock = mq_engine_spool_room_unlock,
    .room_look = mq_engine_spool_room_look,
    .room_next = mq_engine_spool_room_next,
    .room_marks = mq_engine_spool_room_marks,
};
