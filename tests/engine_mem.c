/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store and its topics. */
#include "engine_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "sys/sys.h"

static struct mq_engine engine;

/* --- store ---------------------------------------------------------------------------------- */

static int store_open(struct mq_store **ret, const char *where, bool create, struct mq_err *err)
{
	const char *name = strchr(where, ':') + 1;
	int rc = mq_name_check(name, "spool", err);
	if (rc < 0)
		return rc;
	struct mem_store *s = calloc(1, sizeof *s);
	char locks[300];

	s->base.engine = &engine;
	snprintf(s->path, sizeof s->path, "/dev/shm/mq-mem-%s", name);
	snprintf(locks, sizeof locks, "%s.locks", s->path);
	s->fd = mq_sys->open_path(s->path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0640);
	s->locks_fd = s->fd < 0 ? -1 : mq_sys->open_path(locks, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	rc = s->fd == -ENOENT ? mq_err_set(err, MQ_ENOTOPIC, "%s: no such spool", where)
	     : s->fd < 0      ? mq_err_sys(err, s->fd, "cannot open %s", s->path)
	                      : 0;
	if (rc < 0) {
		free(s);
		return rc;
	}
	*ret = &s->base;
	return 0;
}

static void store_close(struct mq_store *store)
{
	struct mem_store *s = (struct mem_store *)store;
	for (size_t i = 0; i < s->topics_n; i++) {
		for (uint32_t p = 0; p < s->topics[i].conf.partitions; p++) {
			free(s->topics[i].partitions[p].batches);
			free(s->topics[i].partitions[p].producers);
		}
		free(s->topics[i].partitions);
		mq_topic_conf_release(&s->topics[i].conf);
	}
	for (size_t i = 0; i < s->places_n; i++)
		free(s->places[i].acks);
	for (size_t i = 0; i < s->held_n; i++)
		mq_sys->close(s->held[i]);
	mq_sys->close(s->fd);
	mq_sys->close(s->locks_fd);
	free(s->topics);
	free(s->places);
	free(s->held);
	free(s);
}

/* --- topics --------------------------------------------------------------------------------- */

int mem_find(struct mem_store *s, const char *topic, uint32_t *ret, struct mq_err *err)
{
	for (size_t i = 0; i < s->topics_n; i++)
		if (!s->topics[i].gone && strcmp(s->topics[i].name, topic) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	return mq_err_set(err, MQ_ENOTOPIC, "%s: no such topic", topic);
}

int mem_find_partition(struct mem_store *s, const char *topic, uint32_t p, uint32_t *ret, struct mq_err *err)
{
	int rc = mem_find(s, topic, ret, err);
	if (rc == 0 && p >= s->topics[*ret].conf.partitions)
		rc = mq_err_set(err, MQ_ENOTOPIC, "%s:%u: no such partition: there are %u", topic, p,
		                s->topics[*ret].conf.partitions);
	return rc;
}

static int topic_list(struct mq_store *store, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	mem_end(s);
	for (size_t i = 0; i < s->topics_n && rc == 0; i++)
		if (!s->topics[i].gone)
			rc = fn(arg, s->topics[i].name);
	return rc;
}

static void fill_facts(const struct mq_topic_conf *c, struct mq_topic_facts *ret)
{
	*ret = (struct mq_topic_facts){
	    .partitions = c->partitions,
	    .max_message_bytes = (uint32_t)c->max_message_bytes,
	    .zip = (enum mq_batch_zip)c->compression,
	    .min_ack = (enum mq_ack)c->min_ack,
	    .when_full = c->when_full == MQ_WHEN_FULL_FAIL          ? MQ_FULL_FAIL
	                 : c->when_full == MQ_WHEN_FULL_DROP_OLDEST ? MQ_FULL_DROP_OLDEST
	                                                            : MQ_FULL_BLOCK,
	    .ttl_us = c->ttl_ms > 0 ? c->ttl_ms * 1000 : 0,
	    .expired_dead = c->expired_dead == 1,
	    .dedupe = c->dedupe_ms > 0 || c->dedupe_count > 0,
	};
	memcpy(ret->id, c->id, 16);
}

static int topic_facts(struct mq_store *store, const char *topic, struct mq_topic_facts *ret, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	uint32_t i;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = mem_find(s, topic, &i, err);
	mem_end(s);
	if (rc == 0)
		fill_facts(&s->topics[i].conf, ret);
	return rc;
}

static int topic_presume(struct mq_store *store, struct mq_topic_facts *ret, struct mq_err *err)
{
	struct mq_topic_conf c;
	(void)store, (void)err;
	mq_topic_conf_init(&c, NULL);
	fill_facts(&c, ret);
	ret->partitions = 1;
	mq_topic_conf_release(&c);
	return 0;
}

static int make_conf(struct mq_topic_conf *c, uint32_t partitions, const char *const *set, size_t n, struct mq_buf *out,
                     struct mq_err *err)
{
	mq_topic_conf_init(c, NULL);
	mq_sys->random(c->id, sizeof c->id);
	int rc = mq_topic_conf_add_generation(c, 0, partitions ? partitions : 1, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = mq_topic_conf_set_pair(c, set[i], err);
	if (rc == 0)
		rc = mq_topic_conf_print(c, out);
	mq_topic_conf_release(c);
	return rc;
}

static int topic_create(struct mq_store *store, const char *topic, uint32_t partitions, const char *const *set, size_t n,
                        bool dry_run, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mq_topic_conf conf;
	struct mq_buf text = MQ_BUF_INIT;
	struct mem_key key = {0};
	uint32_t i;
	int rc = mq_name_check(topic, "topic", err);
	if (rc == 0)
		rc = make_conf(&conf, partitions, set, n, &text, err);
	if (rc == 0)
		rc = mem_begin(s, err);
	if (rc < 0) {
		mq_buf_release(&text);
		return rc;
	}
	snprintf(key.name, sizeof key.name, "%s", topic);
	if (mem_find(s, topic, &i, NULL) == 0)
		rc = mq_err_set(err, -EEXIST, "%s: the topic is there already", topic);
	else if (!dry_run)
		rc = mem_write(s, MEM_TOPIC, &key, text.p, text.len, NULL, 0, err);
	mem_end(s);
	mq_buf_release(&text);
	return rc;
}

static int topic_auto_create(struct mq_store *store, const char *topic, uint32_t partitions, struct mq_err *err)
{
	struct mq_err ignored;
	int rc = topic_create(store, topic, partitions ? partitions : 1, NULL, 0, false, err ? err : &ignored);
	return rc == -EEXIST ? 0 : rc;
}

static int topic_set(struct mq_store *store, const char *topic, const char *const *set, size_t n, bool dry_run,
                     struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mq_topic_conf trial;
	struct mem_key key = {0};
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	mq_topic_conf_init(&trial, NULL);
	rc = mem_find(s, topic, &key.topic, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = mq_topic_conf_set_pair(&trial, set[i], err);
	for (size_t i = 0; i < n && rc == 0 && !dry_run; i++)
		rc = mem_write(s, MEM_CONF, &key, set[i], strlen(set[i]) + 1, NULL, 0, err);
	mem_end(s);
	mq_topic_conf_release(&trial);
	return rc;
}

static int topic_conf(struct mq_store *store, const char *topic,
                      int (*fn)(void *arg, const char *key, const char *value, bool is_default), void *arg,
                      struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mq_buf value = MQ_BUF_INIT;
	const char *name;
	bool is_default;
	uint32_t t;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = mem_find(s, topic, &t, err);
	mem_end(s);
	for (size_t i = 0; rc == 0 && mq_topic_conf_at(&s->topics[t].conf, i, &name, &value, &is_default) > 0; i++)
		rc = fn(arg, name, value.p, is_default);
	mq_buf_release(&value);
	return rc;
}

static int write_key(struct mem_store *s, enum mem_kind kind, const char *topic, uint32_t p, uint64_t number, bool dry_run,
                     struct mq_err *err)
{
	struct mem_key key = {.partition = p};
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = mem_find_partition(s, topic, p, &key.topic, err);
	if (rc == 0 && !dry_run)
		rc = mem_write(s, kind, &key, &number, sizeof number, NULL, 0, err);
	mem_end(s);
	return rc;
}

static int topic_delete(struct mq_store *store, const char *topic, bool force, bool dry_run, struct mq_err *err)
{
	(void)force;
	return write_key((struct mem_store *)store, MEM_TOPIC_GONE, topic, 0, 0, dry_run, err);
}

static int set_log_start(struct mq_store *store, const char *topic, uint32_t p, uint64_t offset, bool dry_run,
                         struct mq_err *err)
{
	return write_key((struct mem_store *)store, MEM_START, topic, p, offset, dry_run, err);
}

static int bounds(struct mq_store *store, const char *topic, uint32_t p, struct mq_bounds *ret, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	uint32_t t;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = mem_find_partition(s, topic, p, &t, err);
	mem_end(s);
	if (rc < 0)
		return rc;
	const struct mem_partition *part = &s->topics[t].partitions[p];
	*ret = (struct mq_bounds){
	    .log_start = part->start,
	    .stored = part->start,
	    .visible = part->next,
	    .durable = part->next,
	    .written = part->next,
	    .bytes = part->bytes,
	    .segments = 1,
	};
	return 0;
}

/* The directory that it will appear in is never removed. */
static int store_await(const char *where, struct mq_wait *w, int *ret_fd, struct mq_err *err)
{
	char path[300];
	int fd, slot, dir = mq_sys->open_path("/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	slot = dir < 0 ? dir : mq_wait_watch(w, dir, IN_CREATE, true);
	if (slot < 0)
		return mq_err_sys(err, slot, "cannot watch /dev/shm");
	snprintf(path, sizeof path, "/dev/shm/mq-mem-%s", strchr(where, ':') + 1);
	fd = mq_sys->open_path(path, O_PATH | O_CLOEXEC, 0);
	if (fd < 0) {
		*ret_fd = dir;
		return 1;
	}
	mq_sys->close(fd);
	mq_wait_unwatch(w, slot);
	mq_sys->close(dir);
	return 0;
}

static int store_arm(struct mq_store *store, struct mq_wait *w, struct mq_err *err)
{
	int slot = mq_wait_watch(w, ((struct mem_store *)store)->fd, IN_MODIFY, true);
	return slot < 0 ? mq_err_sys(err, slot, "cannot watch") : 0;
}

void mem_engine_register(void);
__attribute__((constructor)) void mem_engine_register(void)
{
	engine = mem_groups;
	engine.scheme = "mem";
	engine.store_open = store_open;
	engine.store_close = store_close;
	engine.store_await = store_await;
	engine.topic_list = topic_list;
	engine.topic_facts = topic_facts;
	engine.topic_presume = topic_presume;
	engine.topic_create = topic_create;
	engine.topic_auto_create = topic_auto_create;
	engine.topic_set = topic_set;
	engine.topic_conf = topic_conf;
	engine.topic_delete = topic_delete;
	engine.set_log_start = set_log_start;
	engine.bounds = bounds;
	engine.store_arm = store_arm;
	mem_parts(&engine);
	mq_engine_register(&engine);
}
