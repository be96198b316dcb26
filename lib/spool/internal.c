/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "spool/dirs.h"
#include "sys/sys.h"

enum { KEPT = 150, TRIES_MAX = 100 };

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash_of(const char *text)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(1099511628211);
	return h;
}

static void whole_name(const char *kind, const char *topic, const char *group, char ret[MQ_INTERNAL_WHOLE_MAX + 1])
{
	assert(strlen(kind) <= MQ_INTERNAL_KIND_MAX && strlen(topic) <= MQ_NAME_MAX && strlen(group) <= MQ_NAME_MAX);
	snprintf(ret, MQ_INTERNAL_WHOLE_MAX + 1, "%s@%s@%s", kind, topic, group);
}

static void short_name(const char *whole, char ret[MQ_NAME_MAX + 1])
{
	if (strlen(whole) <= MQ_NAME_MAX)
		snprintf(ret, MQ_NAME_MAX + 1, "%s", whole);
	else
		snprintf(ret, MQ_NAME_MAX + 1, "%.*s~%016llx", KEPT, whole, (unsigned long long)hash_of(whole));
}

bool mq_internal_is(const char *name)
{
	size_t len = strlen(name);

	if (len > MQ_NAME_MAX || name[0] == '@' || name[0] == '.' || !strchr(name, '@'))
		return false;
	for (; *name; name++)
		if (*name != '@' && *name != '~' && !mq_name_ok((const char[]){'x', *name}, 2))
			return false;
	return true;
}

void mq_internal_name(const char *kind, const char *topic, const char *group, char ret[MQ_NAME_MAX + 1])
{
	char whole[MQ_INTERNAL_WHOLE_MAX + 1];

	whole_name(kind, topic, group, whole);
	short_name(whole, ret);
}

/* ---- opening ---- */
static int open_alive(struct mq_topic *t, struct mq_spool *s, const char *name, struct mq_err *err)
{
	int rc = mq_topic_open(t, s, name, err);

	if (rc < 0)
		return rc;
	rc = mq_topic_alive(t, err);
	if (rc < 0)
		mq_topic_release(t);
	return rc;
}

/* Ids done are in one partition, so that one sync serves them all (once.h), and a run is one, through all partitions. */
static uint32_t partitions_of(const struct mq_topic *source, const char *whole)
{
	bool one = strncmp(whole, "once@", 5) == 0 || strncmp(whole, "runs@", 5) == 0;

	return one ? 1 : source->conf.partitions;
}

static bool is_of(const struct mq_topic *t, const struct mq_topic *source)
{
	return memcmp(t->conf.of, source->conf.id, sizeof t->conf.of) == 0;
}

/* The topic has grown since. */
static int grow(struct mq_topic *t, uint32_t partitions, struct mq_err *err)
{
	int fd, rc = mq_topic_settle(t, err); /* from here on `named` is there, which is locked below */

	if (rc < 0)
		return rc;
	fd = mq_sys->openat(t->dir, "named", O_RDWR, 0);
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot open named", t->name);
	rc = mq_patience_lock(t->spool->patience, mq_patience_end(t->spool->patience), fd, MQ_LOCK_WRITE, 0, 1);
	if (rc < 0)
		mq_err_sys(err, rc, "%s: cannot lock it to add partitions", t->name);
	if (rc == 0)
		rc = mq_topic_reread(t, err); /* another process may have been quicker */
	if (rc == 0 && t->conf.partitions < partitions)
		rc = mq_topic_widen(t, partitions, err);
	(void)mq_sys->close(fd);
	return rc;
}

static int forget(struct mq_err *err)
{
	if (err)
		*err = (struct mq_err)MQ_ERR_INIT;
	return 0;
}

static int make(struct mq_spool *s, const char *whole, const char *name, const struct mq_topic *source, struct mq_err *err)
{
	int rc = mq_topic_make_internal(s, name, whole, source->conf.id, partitions_of(source, whole), err);

	return rc == -EEXIST ? forget(err) : rc;
}

/* What is there by the name, given the topic as it is now: 1, and *ret is the caller's; 0: nothing, any more. */
static int fit(struct mq_topic *ret, const struct mq_topic *source, const char *whole, bool create, struct mq_err *err)
{
	int rc = 0;

	if (strcmp(ret->conf.internal, whole) != 0)
		rc = mq_err_set(err, MQ_ECONFIG, "topics/%s says that it is '%s' and not %s: move it away", ret->name, ret->conf.internal, whole);
	else if (is_of(ret, source)) {
		if (!create || ret->conf.partitions >= partitions_of(source, whole))
			return 1;
		rc = grow(ret, partitions_of(source, whole), err);
		if (rc == 0)
			return 1;
		if (rc == MQ_ENOTOPIC) /* deleted meanwhile */
			rc = forget(err);
	} else if (create)
		rc = mq_topic_remove(ret, err);
	mq_topic_release(ret);
	return rc;
}

/* 1: *ret is open; 0: look again. */
static int attempt(struct mq_topic *ret, struct mq_spool *s, const char *whole, const char *name, const char *topic, bool create,
                   struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	struct mq_topic source;
	/* This first and the topic after: an id that is not the topic's is then a former one's, never a later one's. */
	int there = open_alive(ret, s, name, &why);
	int rc = there < 0 && (there != MQ_ENOTOPIC || !create) ? mq_err_set(err, there, "%s", why.text) : open_alive(&source, s, topic, err);

	if (rc < 0) {
		if (there == 0)
			mq_topic_release(ret);
		return rc;
	}
	rc = there == 0 ? fit(ret, &source, whole, create, err) : 0;
	if (rc == 0 && !create) /* one of a former topic */
		rc = mq_err_set(err, MQ_ENOTOPIC, "no topic %s", name);
	if (rc == 0)
		rc = make(s, whole, name, &source, err);
	mq_topic_release(&source);
	return rc;
}

int mq_internal_open(struct mq_topic *ret, struct mq_spool *s, const char *kind, const char *topic, const char *group,
                     bool create, struct mq_err *err)
{
	char whole[MQ_INTERNAL_WHOLE_MAX + 1], name[MQ_NAME_MAX + 1];
	int rc = mq_name_check(topic, "topic", err);

	if (rc == 0 && group[0]) /* "@room": nobody's but mq's own; none: the topic's alone */
		rc = mq_name_check(group + (group[0] == '@'), "group", err);
	if (rc < 0)
		return rc;
	whole_name(kind, topic, group, whole);
	short_name(whole, name);
	for (int i = 0; i < TRIES_MAX; i++) {
		rc = attempt(ret, s, whole, name, topic, create, err);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	return mq_err_set(err, MQ_EAGAIN, "topic %s: others go on making and deleting it", topic);
}

/* ---- all of them ---- */
struct each {
	int (*fn)(void *arg, const char *name);
	void *arg;
};

static int internal_alone(void *arg, const char *name)
{
	const struct each *e = arg;

	return mq_internal_is(name) ? e->fn(e->arg, name) : 0;
}

int mq_internal_each(struct mq_spool *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	struct each e = {fn, arg};

	return mq_dir_each(s->topics, internal_alone, &e, err);
}

/* KIND@TOPIC@GROUP: the topic and what is behind it. */
static const char *topic_of(const struct mq_topic *t, size_t *ret_len, const char **ret_group)
{
	const char *at = strchr(t->conf.internal, '@'), *end = at ? strchr(at + 1, '@') : NULL;

	if (!end || end - at - 1 > MQ_NAME_MAX)
		return NULL;
	*ret_len = (size_t)(end - at - 1);
	*ret_group = end + 1;
	return at + 1;
}

int mq_internal_orphan(struct mq_topic *t, struct mq_err *err)
{
	char name[MQ_NAME_MAX + 1];
	const char *topic, *group;
	struct mq_topic source;
	struct mq_err why = MQ_ERR_INIT;
	size_t len;
	int rc;

	topic = topic_of(t, &len, &group);
	if (!topic)
		return mq_err_set(err, MQ_ECONFIG, "topics/%s does not say whose it is", t->name);
	snprintf(name, sizeof name, "%.*s", (int)len, topic);
	rc = open_alive(&source, t->spool, name, &why);
	if (rc == MQ_ENOTOPIC)
		return 1;
	if (rc < 0)
		return mq_err_set(err, rc, "%s", why.text);
	rc = !is_of(t, &source);
	mq_topic_release(&source);
	return rc;
}

struct removal {
	struct mq_spool *s;
	const uint8_t *topic_id;
	const char *topic, *group;
	struct mq_err *err;
};

static bool is_meant(const struct removal *r, const struct mq_topic *t)
{
	const char *topic, *group;
	size_t len;

	if (r->topic_id)
		return memcmp(t->conf.of, r->topic_id, sizeof t->conf.of) == 0;
	topic = topic_of(t, &len, &group);
	return topic && strlen(r->topic) == len && memcmp(r->topic, topic, len) == 0 && strcmp(group, r->group) == 0;
}

static int remove_one(void *arg, const char *name)
{
	const struct removal *r = arg;
	struct mq_topic t;
	int rc = open_alive(&t, r->s, name, r->err);

	if (rc == MQ_ENOTOPIC || rc == MQ_ECONFIG) /* of the second mq-check tells */
		return forget(r->err);
	if (rc < 0)
		return rc;
	if (is_meant(r, &t))
		rc = mq_topic_remove(&t, r->err);
	mq_topic_release(&t);
	return rc;
}

int mq_internal_remove(struct mq_spool *s, const uint8_t *topic_id, const char *topic, const char *group, struct mq_err *err)
{
	struct removal r = {s, topic_id, topic, group, err};

	return mq_internal_each(s, remove_one, &r, err);
}
