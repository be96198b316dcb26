/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: what engine.h asks, in terms of spool/ and log/. */
#include "api/engine_spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "format/zip.h"
#include "spool/dirs.h"
#include "spool/group.h"
#include "spool/owner.h"
#include "spool/spool.h"
#include "spool/topic.h"
#include "sys/sys.h"

struct store {
	struct mq_store base;
	struct mq_spool spool;
};

struct appender {
	struct mq_appender base;
	struct mq_topic topic;
	struct mq_partition part;
	struct mq_log log;
};

struct source {
	struct mq_source base;
	struct mq_topic topic;
	uint32_t partition;
	struct mq_cursor cursor;
	struct mq_spool *spool;
};

struct member {
	struct mq_member base;
	struct mq_membership m;
};

struct owner {
	struct mq_owner base;
	struct mq_topic topic;
	struct mq_ownership o;
};

static struct mq_spool *spool_of(struct mq_store *s)
{
	return &((struct store *)s)->spool;
}

static int no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "no memory");
}

/* ---- store ---- */
static void pass_notice(void *arg, const char *text)
{
	const struct mq_store *s = arg;

	if (s->notice)
		s->notice(s->notice_arg, 0, text);
}

static int store_open(struct mq_store **ret, const char *where, bool create, struct mq_err *err)
{
	struct store *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return no_memory(err);
	if (strncmp(where, "file:", 5) == 0)
		where += 5;
	rc = mq_spool_open(&s->spool, where, create, err);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->base.engine = &mq_engine_file;
	s->spool.notice = pass_notice;
	s->spool.notice_arg = &s->base;
	*ret = &s->base;
	return 0;
}

static void store_close(struct mq_store *s)
{
	mq_spool_release(spool_of(s));
	free(s);
}

/* ---- topics ---- */
static int topic_list(struct mq_store *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	return mq_topic_each(spool_of(s), fn, arg, err);
}

static int topic_facts(struct mq_store *s, const char *topic, struct mq_topic_facts *ret, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_topic_open(&t, spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	memset(ret, 0, sizeof *ret);
	memcpy(ret->id, t.conf.id, 16);
	ret->partitions = t.conf.partitions;
	ret->generation = t.conf.n_generations ? t.conf.generations[t.conf.n_generations - 1].number : 0;
	ret->max_message_bytes = (uint32_t)t.conf.max_message_bytes;
	ret->zip = (enum mq_batch_zip)t.conf.compression;
	ret->min_ack = t.conf.min_ack > 0 ? (enum mq_ack)t.conf.min_ack : MQ_ACK_NONE;
	ret->when_full = t.conf.when_full == MQ_WHEN_FULL_FAIL          ? MQ_FULL_FAIL
	                 : t.conf.when_full == MQ_WHEN_FULL_DROP_OLDEST ? MQ_FULL_DROP_OLDEST
	                                                                : MQ_FULL_BLOCK;
	ret->ttl_us = t.conf.ttl_ms > 0 ? t.conf.ttl_ms * 1000 : 0;
	mq_topic_release(&t);
	return 0;
}

static int topic_create(struct mq_store *s, const char *topic, uint32_t partitions, const char *const *set, size_t n,
                        bool dry_run, struct mq_err *err)
{
	return mq_topic_make(spool_of(s), topic, partitions, set, n, dry_run, err);
}

static int topic_auto_create(struct mq_store *s, const char *topic, struct mq_err *err)
{
	struct mq_stat st;
	int rc = mq_name_check(topic, "topic", err);

	if (rc < 0)
		return rc;
	if (mq_sys->statat(spool_of(s)->topics, topic, &st) == 0)
		return 0;
	if (!spool_of(s)->conf.auto_create)
		return mq_err_set(err, MQ_ENOTOPIC, "no topic %s, and auto.create.topics=false: mq-topic create %s", topic, topic);
	rc = mq_topic_make(spool_of(s), topic, 0, NULL, 0, false, err);
	if (rc == -EEXIST && err)
		err->code = 0, err->text[0] = 0;
	return rc == -EEXIST ? 0 : rc;
}

static int topic_set(struct mq_store *s, const char *topic, const char *const *set, size_t n, bool dry_run, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_topic_open(&t, spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	rc = mq_topic_change(&t, set, n, dry_run, err);
	mq_topic_release(&t);
	return rc;
}

static int topic_conf(struct mq_store *s, const char *topic,
                      int (*fn)(void *arg, const char *key, const char *value, bool is_default), void *arg, struct mq_err *err)
{
	struct mq_topic t;
	struct mq_buf value = MQ_BUF_INIT;
	const char *key;
	bool is_default;
	int rc = mq_topic_open(&t, spool_of(s), topic, err), stop = 0;

	if (rc < 0)
		return rc;
	for (size_t i = 0; stop == 0 && (rc = mq_topic_conf_at(&t.conf, i, &key, &value, &is_default)) > 0; i++)
		stop = fn(arg, key, value.p, is_default);
	mq_buf_release(&value);
	mq_topic_release(&t);
	return rc < 0 ? no_memory(err) : stop;
}

/* Is any group's member at work on it? */
struct in_use {
	struct mq_topic *t;
	struct mq_err *err;
};

static int group_at_work(void *arg, const char *group)
{
	const struct in_use *u = arg;
	struct mq_group_topic g;
	char line[MQ_GROUP_OWNER_LEN];
	bool handler;
	int rc = mq_group_topic_open(&g, u->t, group, false, NULL);

	if (rc < 0)
		return 0;
	for (uint32_t p = 0; p < u->t->conf.partitions && rc == 0; p++)
		rc = mq_group_owner(&g, p, line, &handler, NULL) == 1;
	mq_group_topic_release(&g);
	if (rc == 1)
		return mq_err_set(u->err, MQ_EAGAIN, "group %s is at work on %s: stop it, or use --force", group, u->t->name);
	return 0;
}

static int topic_delete(struct mq_store *s, const char *topic, bool force, bool dry_run, struct mq_err *err)
{
	struct mq_topic t;
	struct in_use u = {&t, err};
	int rc = mq_topic_open(&t, spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	if (!force)
		rc = mq_group_each(spool_of(s), group_at_work, &u, err);
	if (rc == 0 && !dry_run)
		rc = mq_topic_remove(&t, err);
	mq_topic_release(&t);
	return rc;
}

static int set_log_start(struct mq_store *s, const char *topic, uint32_t p, uint64_t offset, bool dry_run, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_topic_open(&t, spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	if (!dry_run)
		rc = mq_partition_purge(&t, p, offset, err);
	mq_topic_release(&t);
	return rc;
}

static int fill_bounds(struct mq_cursor *c, struct mq_bounds *ret, struct mq_err *err)
{
	int rc = mq_cursor_refresh(c, err);

	if (rc < 0)
		return rc;
	memset(ret, 0, sizeof *ret);
	ret->log_start = c->log_start;
	ret->visible = c->visible_offset;
	ret->durable = c->durable_offset;
	ret->written = c->written_offset;
	ret->epoch = c->chain.seg[c->chain.n - 1].epoch;
	return 0;
}

static int bounds(struct mq_store *s, const char *topic, uint32_t p, struct mq_bounds *ret, struct mq_err *err)
{
	struct mq_topic t;
	struct mq_cursor c;
	int rc = mq_topic_open(&t, spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	rc = mq_partition_cursor(&t, p, &c, err);
	if (rc == 0) {
		rc = fill_bounds(&c, ret, err);
		if (rc == 0)
			rc = mq_cursor_extent(&c, &ret->stored, &ret->bytes, &ret->segments, err);
		mq_cursor_release(&c);
	}
	mq_topic_release(&t);
	return rc;
}

/* ---- writing ---- */
static int appender_open(struct mq_store *s, const char *topic, uint32_t p, struct mq_appender **ret, struct mq_err *err)
{
	struct appender *a = calloc(1, sizeof *a);
	int rc;

	if (!a)
		return no_memory(err);
	rc = mq_topic_open(&a->topic, spool_of(s), topic, err);
	if (rc == 0) {
		rc = mq_partition_log(&a->part, &a->topic, p, &a->log, err);
		if (rc < 0)
			mq_topic_release(&a->topic);
	}
	if (rc < 0) {
		free(a);
		return rc;
	}
	a->base.engine = &mq_engine_file;
	*ret = &a->base;
	return 0;
}

static void appender_close(struct mq_appender *ap)
{
	struct appender *a = (struct appender *)ap;

	mq_log_release(&a->log);
	mq_topic_release(&a->topic);
	free(a);
}

static int append(struct mq_appender *ap, const struct mq_batch *b, const void *body, struct mq_ticket *ret, struct mq_err *err)
{
	struct appender *a = (struct appender *)ap;
	struct mq_log_ticket t;
	int rc = mq_log_append(&a->log, b, body, &t, err);

	if (rc < 0)
		return rc;
	memcpy(ret->segment, t.segment.b, 16);
	ret->end_pos = t.end_pos;
	ret->base_offset = t.base_offset;
	ret->next_offset = t.next_offset;
	ret->durable_already = b->ack == MQ_ACK_NONE || (t.visible && b->ack == MQ_ACK_WRITTEN);
	return 0;
}

static int wait_durable(struct mq_appender *ap, const struct mq_ticket *t, enum mq_ack level, struct mq_err *err)
{
	struct appender *a = (struct appender *)ap;
	struct mq_log_ticket ticket = {.end_pos = t->end_pos, .base_offset = t->base_offset, .next_offset = t->next_offset};
	int rc;

	memcpy(ticket.segment.b, t->segment, 16);
	rc = mq_log_wait(&a->log, &ticket, level, err);
	if (rc < 0)
		mq_err_prefix(err, "%s", a->part.label);
	return rc;
}

/* A disk that is full tells nobody when it is not: look again every 50 ms. */
static int wait_space(struct mq_appender *ap, int64_t deadline_ns, struct mq_err *err)
{
	struct appender *a = (struct appender *)ap;
	int64_t now = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	int rc;

	rc = mq_log_sync(&a->log, err);
	if (rc < 0)
		return rc;
	if (deadline_ns >= 0 && now >= deadline_ns)
		return mq_err_set(err, MQ_EAGAIN, "%s: no space, and the time to wait for it is over", a->part.label);
	rc = mq_sys->poll(NULL, 0, deadline_ns >= 0 && deadline_ns - now < 50000000 ? deadline_ns - now : 50000000);
	return rc == -EINTR ? 0 : rc < 0 ? mq_err_sys(err, rc, "cannot wait") : 0;
}

static int producer_hold(struct mq_store *s, const char *topic, const char *name, struct mq_err *err)
{
	return mq_topic_hold_producer(spool_of(s), topic, name, err);
}

static int producer_find(struct mq_appender *ap, const char *name, struct mq_who *ret, struct mq_err *err)
{
	struct appender *a = (struct appender *)ap;
	struct mq_producer p;
	int rc = mq_log_producer(&a->log, MQ_WHO_PRODUCER, name, &p, err);

	if (rc < 0)
		return rc;
	*ret = (struct mq_who){.kind = MQ_WHO_PRODUCER,
	                       .id = p.id,
	                       .generation = p.generation,
	                       .number = p.number,
	                       .source_start = p.last_base,
	                       .source_end = MQ_NO_OFFSET};
	return 0;
}

/* ---- reading ---- */
static int source_open(struct mq_store *s, const char *topic, uint32_t p, struct mq_source **ret, struct mq_err *err)
{
	struct source *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return no_memory(err);
	r->spool = spool_of(s);
	r->partition = p;
	rc = mq_topic_open(&r->topic, spool_of(s), topic, err);
	if (rc == 0) {
		rc = mq_partition_cursor(&r->topic, p, &r->cursor, err);
		if (rc < 0)
			mq_topic_release(&r->topic);
	}
	if (rc < 0) {
		free(r);
		return rc;
	}
	r->base.engine = &mq_engine_file;
	*ret = &r->base;
	return 0;
}

static void source_close(struct mq_source *sp)
{
	struct source *r = (struct source *)sp;

	mq_cursor_release(&r->cursor);
	mq_topic_release(&r->topic);
	free(r);
}

static int source_seek(struct mq_source *sp, uint64_t offset, struct mq_loss *ret_lost, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	int rc = mq_cursor_seek(&r->cursor, offset, err);

	if (rc == 0 && ret_lost) {
		*ret_lost = (struct mq_loss){0};
		if (offset < r->cursor.log_start) {
			ret_lost->from = offset;
			ret_lost->to = r->cursor.log_start;
		}
	}
	return rc;
}

static int source_next(struct mq_source *sp, struct mq_view *ret, struct mq_loss *ret_loss, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	struct mq_cursor_view v;
	struct mq_cursor_loss l;
	int rc = mq_cursor_next(&r->cursor, &v, &l, err);

	if (rc == 1) {
		ret->batch = v.batch;
		ret->body = v.body;
		ret->first_offset = v.first_offset;
	} else if (rc == MQ_EDAMAGE) {
		*ret_loss = (struct mq_loss){l.from, l.to, l.damage};
	}
	return rc;
}

/* The batch is found by the index; the record in it by walking. */
static int source_find_time(struct mq_source *sp, int64_t time_us, uint64_t *ret_offset, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	struct mq_buf raw = MQ_BUF_INIT;
	struct mq_view v;
	struct mq_loss loss;
	struct mq_walk w;
	struct mq_rec rec;
	int rc = mq_cursor_find_time(&r->cursor, time_us, ret_offset, err);

	if (rc < 0)
		return rc;
	rc = mq_cursor_seek(&r->cursor, *ret_offset, err);
	if (rc == 0)
		rc = source_next(sp, &v, &loss, err);
	if (rc != 1)
		return rc == MQ_EDAMAGE ? 0 : rc;
	if (v.batch.zip == MQ_BATCH_ZSTD) {
		struct mq_zip z;

		z = (struct mq_zip){0};
		rc = mq_zip_unpack(&z, v.body, v.batch.stored_len, v.batch.raw_len, &raw, err);
		mq_zip_release(&z);
	}
	if (rc >= 0)
		rc = mq_walk_init(&w, &v.batch, raw.len ? (const uint8_t *)raw.p : v.body, err);
	while (rc >= 0 && (rc = mq_walk_next(&w, &rec)) > 0)
		if (rec.time_us >= time_us && rec.offset >= *ret_offset) {
			*ret_offset = rec.offset;
			break;
		}
	mq_buf_release(&raw);
	return rc < 0 ? rc : 0;
}

static int source_bounds(struct mq_source *sp, struct mq_bounds *ret, struct mq_err *err)
{
	struct source *r = (struct source *)sp;

	return fill_bounds(&r->cursor, ret, err);
}

static int source_arm(struct mq_source *sp, struct mq_wait *w, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	int rc = mq_cursor_arm(&r->cursor, err);

	if (rc < 0)
		return rc;
	rc = mq_wait_watch(w, r->cursor.bell, IN_MODIFY | IN_CLOSE_WRITE, r->spool->events);
	return rc < 0 ? mq_err_sys(err, rc, "cannot watch the bell") : 0;
}

static void source_disarm(struct mq_source *sp)
{
	mq_cursor_disarm(&((struct source *)sp)->cursor);
}

static int store_arm(struct mq_store *s, struct mq_wait *w, struct mq_err *err)
{
	int rc = mq_wait_watch(w, spool_of(s)->topics, IN_CREATE | IN_MOVED_TO, spool_of(s)->events);

	return rc < 0 ? mq_err_sys(err, rc, "cannot watch the topics") : 0;
}

/* ---- groups ---- */
static int group_list(struct mq_store *s, int (*fn)(void *arg, const char *group), void *arg, struct mq_err *err)
{
	return mq_group_each(spool_of(s), fn, arg, err);
}

static int group_topics(struct mq_store *s, const char *group, int (*fn)(void *arg, const char *topic), void *arg,
                        struct mq_err *err)
{
	return mq_group_each_topic(spool_of(s), group, fn, arg, err);
}

static int group_delete(struct mq_store *s, const char *group, const char *topic, bool force, bool dry_run, struct mq_err *err)
{
	return mq_group_remove(spool_of(s), group, topic, force, dry_run, err);
}

struct group_handle {
	struct mq_topic t;
	struct mq_group_topic g;
};

static int group_open(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct group_handle *ret,
                      struct mq_err *err)
{
	int rc = mq_topic_open(&ret->t, spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	if (p >= ret->t.conf.partitions)
		rc = mq_err_set(err, MQ_ENOTOPIC, "topic %s has no partition %u", topic, p);
	if (rc == 0)
		rc = mq_group_topic_open(&ret->g, &ret->t, group, false, err);
	if (rc < 0)
		mq_topic_release(&ret->t);
	return rc;
}

static void group_close(struct group_handle *h)
{
	mq_group_topic_release(&h->g);
	mq_topic_release(&h->t);
}

static int group_place(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_place *ret,
                       struct mq_err *err)
{
	struct group_handle h;
	struct mq_commit c;
	uint64_t seq;
	int which, rc = group_open(s, group, topic, p, &h, err);

	memset(ret, 0, sizeof *ret);
	if (rc < 0)
		return rc;
	rc = mq_group_topic_read(&h.g, p, &c, &which, &seq, err);
	if (rc == 0 && which >= 0) {
		*ret = (struct mq_place){c.offset, true, c.generation, c.seeks, c.lost, 0};
		rc = mq_acks_count(&h.g, p, &c, &ret->acked_above, err);
	}
	group_close(&h);
	return rc;
}

static int group_owner(struct mq_store *s, const char *group, const char *topic, uint32_t p, int64_t *ret_pid,
                       char ret_member[64], bool *ret_handler_left, struct mq_err *err)
{
	char line[MQ_GROUP_OWNER_LEN];
	struct group_handle h;
	long long pid = -1;
	bool handler = false;
	int rc = group_open(s, group, topic, p, &h, err);

	if (rc < 0)
		return rc;
	rc = mq_group_owner(&h.g, p, line, &handler, err);
	group_close(&h);
	if (rc < 0)
		return rc;
	ret_member[0] = 0;
	if (rc == 1)
		(void)sscanf(line, "%lld %63s", &pid, ret_member);
	*ret_pid = pid;
	*ret_handler_left = handler && rc == 0;
	return rc;
}

static int member_join(struct mq_store *s, const char *group, struct mq_member **ret, struct mq_err *err)
{
	struct member *m = calloc(1, sizeof *m);
	int rc;

	if (!m)
		return no_memory(err);
	rc = mq_membership_join(&m->m, spool_of(s), group, err);
	if (rc < 0) {
		free(m);
		return rc;
	}
	m->base.engine = &mq_engine_file;
	*ret = &m->base;
	return 0;
}

static void member_leave(struct mq_member *mp)
{
	struct member *m = (struct member *)mp;

	mq_membership_leave(&m->m);
	free(m);
}

static int member_arm(struct mq_member *mp, struct mq_wait *w, struct mq_err *err)
{
	struct member *m = (struct member *)mp;
	int rc = mq_wait_watch(w, m->m.dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE, m->m.spool->events);

	return rc < 0 ? mq_err_sys(err, rc, "cannot watch the members") : 0;
}

static int owner_take(struct mq_member *mp, const char *topic, uint32_t p, struct mq_owner **ret, struct mq_err *err)
{
	struct member *m = (struct member *)mp;
	struct owner *o = calloc(1, sizeof *o);
	struct mq_cursor c;
	uint64_t start = 0;
	int rc;

	if (!o)
		return no_memory(err);
	rc = mq_topic_open(&o->topic, m->m.spool, topic, err);
	if (rc < 0)
		goto free;
	rc = mq_partition_cursor(&o->topic, p, &c, err);
	if (rc == 0) {
		rc = mq_cursor_refresh(&c, err);
		start = c.log_start;
		mq_cursor_release(&c);
	}
	if (rc == 0)
		rc = mq_ownership_take(&o->o, &m->m, &o->topic, p, start, err);
	if (rc <= 0)
		goto topic;
	o->base.engine = &mq_engine_file;
	*ret = &o->base;
	return 1;
topic:
	mq_topic_release(&o->topic);
free:
	free(o);
	return rc;
}

static int owner_place(struct mq_owner *op, struct mq_place *ret, struct mq_err *err)
{
	const struct mq_commit *c = &((struct owner *)op)->o.commit;

	(void)err;
	*ret = (struct mq_place){c->offset, true, c->generation, c->seeks, c->lost, 0};
	return 0;
}

static int owner_merge_acks(struct mq_owner *op, struct mq_place *ret, struct mq_err *err)
{
	int rc = mq_acks_merge(&((struct owner *)op)->o, err);

	return rc < 0 ? rc : owner_place(op, ret, err);
}

static int owner_arm(struct mq_owner *op, struct mq_wait *w, struct mq_err *err)
{
	struct mq_ownership *o = &((struct owner *)op)->o;
	int rc;

	if (o->bell < 0)
		o->bell = mq_sys->openat(o->g.dir, "bell", 0, 0);
	rc = o->bell < 0 ? o->bell : mq_wait_watch(w, o->bell, IN_MODIFY | IN_CLOSE_WRITE, o->g.topic->spool->events);
	return rc < 0 ? mq_err_sys(err, rc, "cannot watch for acknowledgements") : 0;
}

static int owner_commit(struct mq_owner *op, uint64_t offset, uint64_t lost_more, struct mq_err *err)
{
	return mq_ownership_commit(&((struct owner *)op)->o, offset, lost_more, err);
}

static int owner_sync(struct mq_owner *op, struct mq_err *err)
{
	return mq_ownership_sync(&((struct owner *)op)->o, err);
}

static int owner_handler_fd(struct mq_owner *op, struct mq_err *err)
{
	return mq_ownership_handler_fd(&((struct owner *)op)->o, err);
}

static void owner_release(struct mq_owner *op)
{
	struct owner *o = (struct owner *)op;
	struct mq_err ignored;

	(void)mq_ownership_sync(&o->o, &ignored); /* who must know has synced before */
	mq_ownership_release(&o->o);
	mq_topic_release(&o->topic);
	free(o);
}

static int owner_token(struct mq_owner *op, char ret_token[40], struct mq_err *err)
{
	(void)err;
	mq_ownership_token(&((struct owner *)op)->o.commit, ret_token);
	return 0;
}

/* Nobody owns it, perhaps: then the place itself is moved, here and now. */
static int ack_as_owner(struct mq_spool *s, const char *group, struct mq_topic *t, uint32_t p, struct mq_err *err)
{
	struct mq_membership nobody = {.spool = s, .file = -1, .dir = -1};
	struct mq_ownership o;
	int rc;

	snprintf(nobody.group, sizeof nobody.group, "%s", group);
	rc = mq_ownership_take(&o, &nobody, t, p, 0, err);
	if (rc <= 0)
		return rc; /* owned: the owner was rung */
	rc = mq_acks_merge(&o, err);
	if (rc == 0)
		rc = mq_ownership_sync(&o, err);
	mq_ownership_release(&o);
	return rc;
}

static int group_ack(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *token,
                     const uint64_t *offsets, size_t n, struct mq_err *err)
{
	struct group_handle h;
	struct mq_commit c;
	struct mq_bounds b;
	char expected[40];
	uint64_t seq;
	int which, rc = group_open(s, group, topic, p, &h, err);

	if (rc < 0)
		return rc;
	rc = mq_group_topic_read(&h.g, p, &c, &which, &seq, err);
	if (rc == 0 && which < 0)
		rc = mq_err_set(err, MQ_EDENIED, "group %s has no place in %s:%u; nothing was handed out", group, topic, p);
	if (rc == 0) {
		mq_ownership_token(&c, expected);
		if (strcmp(token, expected) != 0)
			rc = mq_err_set(err, MQ_EDENIED, "a position of another topic, owner or seek (%s, now %s): not taken", token,
			                expected);
	}
	if (rc == 0)
		rc = bounds(s, topic, p, &b, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (offsets[i] >= b.visible)
			rc = mq_err_set(err, MQ_EINPUT, "%s:%u:%llu is not there yet (the end is %llu)", topic, p,
			                (unsigned long long)offsets[i], (unsigned long long)b.visible);
	if (rc == 0)
		rc = mq_acks_add(&h.g, p, &c, offsets, n, err);
	if (rc == 0)
		rc = ack_as_owner(spool_of(s), group, &h.t, p, err);
	group_close(&h);
	return rc < 0 ? rc : 0;
}

static int group_seek(struct mq_store *s, const char *group, const char *topic, uint32_t p, uint64_t offset, bool force,
                      struct mq_err *err)
{
	struct mq_membership nobody = {.spool = spool_of(s), .file = -1, .dir = -1};
	struct mq_ownership o;
	struct mq_topic t;
	struct mq_bounds b;
	int rc = mq_name_check(group, "group", err);

	(void)force; /* an owner at work is fenced by an eviction, not by a seek under its hands */
	if (rc == 0)
		rc = bounds(s, topic, p, &b, err);
	if (rc == 0 && offset > b.visible)
		rc = mq_err_set(err, MQ_EINPUT, "%s:%u:%llu lies behind the end, %llu", topic, p, (unsigned long long)offset,
		                (unsigned long long)b.visible);
	if (rc == 0)
		rc = mq_topic_open(&t, spool_of(s), topic, err);
	if (rc < 0)
		return rc;
	snprintf(nobody.group, sizeof nobody.group, "%s", group);
	rc = mq_ownership_take(&o, &nobody, &t, p, offset, err);
	if (rc == 0)
		rc = mq_err_set(err, MQ_EAGAIN, "group %s: %s:%u has an owner at work; stop it first", group, topic, p);
	if (rc == 1) {
		rc = mq_ownership_seek(&o, offset, err);
		mq_ownership_release(&o);
	}
	mq_topic_release(&t);
	return rc;
}

const struct mq_engine mq_engine_file = {
    .scheme = "file",
    .store_open = store_open,
    .store_close = store_close,
    .topic_list = topic_list,
    .topic_facts = topic_facts,
    .topic_create = topic_create,
    .topic_auto_create = topic_auto_create,
    .topic_set = topic_set,
    .topic_conf = topic_conf,
    .topic_delete = topic_delete,
    .set_log_start = set_log_start,
    .bounds = bounds,
    .appender_open = appender_open,
    .appender_close = appender_close,
    .append = append,
    .wait_durable = wait_durable,
    .wait_space = wait_space,
    .producer_hold = producer_hold,
    .producer_find = producer_find,
    .source_open = source_open,
    .source_close = source_close,
    .source_seek = source_seek,
    .source_find_time = source_find_time,
    .source_next = source_next,
    .source_bounds = source_bounds,
    .source_arm = source_arm,
    .source_disarm = source_disarm,
    .store_arm = store_arm,
    .group_list = group_list,
    .group_topics = group_topics,
    .group_delete = group_delete,
    .group_place = group_place,
    .group_owner = group_owner,
    .member_join = member_join,
    .member_leave = member_leave,
    .member_arm = member_arm,
    .owner_take = owner_take,
    .owner_place = owner_place,
    .owner_merge_acks = owner_merge_acks,
    .owner_arm = owner_arm,
    .owner_commit = owner_commit,
    .owner_sync = owner_sync,
    .owner_handler_fd = owner_handler_fd,
    .owner_release = owner_release,
    .owner_token = owner_token,
    .group_ack = group_ack,
    .group_seek = group_seek,
};
