/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/topic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/name.h"
#include "spool/dirs.h"
#include "spool/internal.h"
#include "sys/sys.h"

enum { CONF_MAX = 64 * 1024 };

static int read_conf(struct mq_topic *t, struct mq_err *err)
{
	struct mq_buf text = MQ_BUF_INIT;
	int rc = mq_file_read(t->dir, "topic.conf", CONF_MAX, &text, err);

	if (rc == 0 && (rc = mq_topic_conf_parse(&t->conf, text.p, text.len, err)) < 0)
		mq_err_prefix(err, "topic.conf");
	mq_buf_release(&text);
	if (rc < 0)
		mq_err_prefix(err, "topics/%s", t->name);
	return mq_topic_lacks(t, rc, err);
}

int mq_topic_lacks(const struct mq_topic *t, int rc, struct mq_err *err)
{
	struct mq_stat st;

	if (rc != -ENOENT)
		return rc;
	if (mq_sys->statat(t->spool->topics, t->name, &st) == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "no topic %s: it was deleted", t->name);
	return mq_err_lacks(err);
}

int mq_topic_open(struct mq_topic *t, struct mq_spool *s, const char *name, struct mq_err *err)
{
	int rc = mq_internal_is(name) ? 0 : mq_name_check(name, "topic", err);

	memset(t, 0, sizeof *t);
	t->spool = s;
	t->dir = -1;
	if (rc < 0)
		return rc;
	snprintf(t->name, sizeof t->name, "%s", name);
	t->dir = mq_dir_open(s->topics, name, err);
	if (t->dir == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "no topic %s: see mq-topic list, or create it with mq-topic create %s", name, name);
	if (t->dir == -ENOTDIR)
		return mq_err_set(err, MQ_ECONFIG, "topics/%s is not a directory: move it away", name);
	if (t->dir < 0) {
		mq_err_prefix(err, "topics");
		return t->dir;
	}
	mq_topic_conf_init(&t->conf, &s->conf.defaults);
	rc = read_conf(t, err);
	if (rc < 0)
		mq_topic_release(t);
	return rc;
}

int mq_topic_reread(struct mq_topic *t, struct mq_err *err)
{
	struct mq_topic_conf before = t->conf;
	int rc;

	mq_topic_conf_init(&t->conf, &t->spool->conf.defaults);
	rc = read_conf(t, err);
	if (rc < 0) {
		mq_topic_conf_release(&t->conf);
		t->conf = before;
		return rc;
	}
	mq_topic_conf_release(&before);
	return 0;
}

void mq_topic_release(struct mq_topic *t)
{
	if (t->dir >= 0) {
		(void)mq_sys->close(t->dir);
		mq_topic_conf_release(&t->conf);
	}
	t->dir = -1;
}

static int put_conf(int dir, const struct mq_spool *s, const struct mq_topic_conf *conf, bool replace, struct mq_err *err)
{
	struct mq_buf text = MQ_BUF_INIT;
	int rc = mq_topic_conf_print(conf, &text);

	if (rc < 0)
		mq_err_sys(err, rc, "cannot write topic.conf");
	else
		rc = mq_file_put(dir, "topic.conf", s->file_mode, text.p, text.len, replace, err);
	mq_buf_release(&text);
	return rc;
}

static int make_partition(int dir, const char *name, uint32_t p, const struct mq_spool *s, const struct mq_topic_conf *conf,
                          struct mq_err *err)
{
	struct mq_log_options opt = {.partition = p,
	                             .topic_generation = mq_topic_conf_generation(conf),
	                             .mode = s->file_mode,
	                             .label = "new topic"};
	int rc, fd = mq_dir_make(dir, name, s->dir_mode, err);

	if (fd < 0)
		return fd;
	memcpy(opt.topic_id, conf->id, sizeof opt.topic_id);
	rc = mq_log_create(fd, &opt, err);
	(void)mq_sys->close(fd);
	return rc;
}

static int make_partitions(int dir, const struct mq_spool *s, const struct mq_topic_conf *conf, struct mq_err *err)
{
	int rc = 0;

	for (uint32_t p = 0; p < conf->partitions && rc == 0; p++) {
		char number[16];

		snprintf(number, sizeof number, "%u", p);
		rc = make_partition(dir, number, p, s, conf, err);
	}
	return rc;
}

/* Everything under a temporary name, then one rename. */
static int build(struct mq_spool *s, const char *name, const struct mq_topic_conf *conf, struct mq_err *err)
{
	char tmp[32];
	int fd, rc = mq_random_name(".new-", tmp, err);

	if (rc < 0)
		return rc;
	fd = mq_dir_make(s->topics, tmp, s->dir_mode, NULL);
	if (fd < 0)
		return mq_err_sys(err, fd, "cannot make topic %s", name);
	rc = make_partitions(fd, s, conf, err);
	if (rc == 0)
		rc = put_conf(fd, s, conf, false, err); /* syncs the directory, with the partitions' names */
	if (rc == 0) {
		rc = mq_sys->renameat(s->topics, tmp, s->topics, name, false);
		if (rc < 0)
			mq_err_sys(err, rc, "cannot give topic %s its name", name);
	}
	if (rc < 0) {
		struct mq_err ignored;

		(void)mq_dir_remove(s->topics, tmp, 1, &ignored); /* a stray: mq-check tells */
	} else {
		rc = mq_topic_sync_name(s, fd, err);
	}
	(void)mq_sys->close(fd);
	return rc;
}

/* One of that name that lives. */
static bool exists(struct mq_spool *s, const char *name)
{
	struct mq_topic t;
	struct mq_err why = MQ_ERR_INIT;
	struct mq_stat st;
	bool alive;

	if (mq_sys->statat(s->topics, name, &st) < 0)
		return false;
	if (mq_topic_open(&t, s, name, &why) < 0)
		return true; /* something has the name, whatever it is */
	alive = mq_topic_alive(&t, &why) == 0;
	mq_topic_release(&t);
	if (s->looks && *s->looks)
		return alive; /* who made it would finish its deletion */
	return alive || mq_sys->statat(s->topics, name, &st) == 0;
}

static int set_all(struct mq_topic_conf *conf, const char *const *set, size_t n, struct mq_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = mq_topic_conf_set_pair(conf, set[i], err);
	return rc;
}

int mq_topic_make(struct mq_spool *s, const char *name, uint32_t partitions, const char *const *set, size_t n,
                  bool dry_run, struct mq_err *err)
{
	struct mq_topic_conf conf;
	int rc = mq_name_check(name, "topic", err);

	if (rc < 0)
		return rc;
	mq_topic_conf_init(&conf, &s->conf.defaults);
	rc = mq_sys->random(conf.id, sizeof conf.id);
	if (rc < 0)
		mq_err_sys(err, rc, "cannot draw a topic id");
	if (rc == 0)
		rc = mq_topic_conf_add_generation(&conf, 0, partitions ? partitions : (uint32_t)s->conf.num_partitions, err);
	if (rc == 0)
		rc = set_all(&conf, set, n, err);
	if (rc == 0 && exists(s, name))
		rc = mq_err_set(err, -EEXIST, "topic %s exists", name);
	if (rc == 0 && !dry_run)
		rc = build(s, name, &conf, err);
	mq_topic_conf_release(&conf);
	return rc;
}

/* Nothing of the spool's defaults that would keep records out or let them go. */
int mq_topic_make_internal(struct mq_spool *s, const char *name, const char *whole, const uint8_t of[16], uint32_t partitions,
                           struct mq_err *err)
{
	static const char *const set[] = {"max.bytes=-1", "max.messages=-1", "retention.ms=-1", "retention.bytes=-1", "ttl.ms=-1",
	                                  "cleanup.policy=delete", "min.ack=none", "compression.type=none"};
	static const char *const small = "segment.bytes=64M";
	enum { SEGMENT_BYTES = 64 << 20 };
	struct mq_topic_conf conf;
	int rc;

	mq_topic_conf_init(&conf, &s->conf.defaults);
	snprintf(conf.internal, sizeof conf.internal, "%s", whole);
	memcpy(conf.of, of, sizeof conf.of);
	rc = mq_sys->random(conf.id, sizeof conf.id);
	if (rc < 0)
		mq_err_sys(err, rc, "cannot draw a topic id");
	if (rc == 0)
		rc = mq_topic_conf_add_generation(&conf, 0, partitions, err);
	if (rc == 0)
		rc = set_all(&conf, set, sizeof set / sizeof set[0], err);
	if (rc == 0 && conf.segment_bytes > SEGMENT_BYTES) /* room is had again a segment at a time */
		rc = set_all(&conf, &small, 1, err);
	if (rc == 0 && exists(s, name))
		rc = mq_err_set(err, -EEXIST, "topic %s exists", name);
	if (rc == 0)
		rc = build(s, name, &conf, err);
	mq_topic_conf_release(&conf);
	return rc;
}

/* What stands under its number was made whole under another name, perhaps by one who was killed then. */
static int add_partition(const struct mq_topic *t, uint32_t p, struct mq_err *err)
{
	char tmp[32], number[16];
	int rc = mq_random_name(".new-", tmp, err);

	if (rc < 0)
		return rc;
	snprintf(number, sizeof number, "%u", p);
	rc = make_partition(t->dir, tmp, p, t->spool, &t->conf, err);
	if (rc == 0) {
		rc = mq_sys->renameat(t->dir, tmp, t->dir, number, false);
		if (rc == 0)
			return 0;
		if (rc != -EEXIST)
			mq_err_sys(err, rc, "cannot make partition %u of %s", p, t->name);
	}
	(void)mq_dir_remove(t->dir, tmp, 0, NULL); /* a stray: mq-check tells */
	return rc == -EEXIST ? 0 : rc;
}

int mq_topic_widen(struct mq_topic *t, uint32_t partitions, struct mq_err *err)
{
	const struct mq_topic_generation *last = &t->conf.generations[t->conf.n_generations - 1];
	int rc = 0;

	for (uint32_t p = t->conf.partitions; p < partitions && rc == 0; p++)
		rc = add_partition(t, p, err);
	if (rc == 0)
		rc = mq_dir_sync(t->dir, t->name, err);
	if (rc == 0)
		rc = mq_topic_conf_add_generation(&t->conf, last->number + 1, partitions, err);
	return rc < 0 ? rc : put_conf(t->dir, t->spool, &t->conf, true, err);
}

int mq_topic_put_conf(const struct mq_topic *t, struct mq_err *err)
{
	return put_conf(t->dir, t->spool, &t->conf, true, err);
}

int mq_topic_add_partition(const struct mq_topic *t, uint32_t p, struct mq_err *err)
{
	char number[16];
	struct mq_stat st;
	int rc = 0;

	snprintf(number, sizeof number, "%u", p);
	if (mq_sys->statat(t->dir, number, &st) == 0)
		rc = mq_dir_remove(t->dir, number, 0, err);
	return rc < 0 ? rc : add_partition(t, p, err);
}

int mq_topic_change(struct mq_topic *t, const char *const *set, size_t n, bool dry_run, struct mq_err *err)
{
	int lock = dry_run ? -1 : mq_topic_hold(t, true, err), rc = dry_run ? 0 : lock;

	if (rc >= 0)
		rc = set_all(&t->conf, set, n, err);
	if (rc >= 0 && !dry_run)
		rc = mq_topic_put_conf(t, err);
	if (lock >= 0)
		(void)mq_sys->close(lock);
	return rc < 0 ? rc : 0;
}

int mq_topic_hold_producer(struct mq_spool *s, const char *topic, const char *name, struct mq_err *err)
{
	unsigned mode = s->file_mode & 0020 ? s->file_mode : s->file_mode & ~0040u;
	uint64_t byte = (uint64_t)mq_crc32c(0, name, strlen(name)) << 16 | mq_crc32c(7, name, strlen(name)) >> 16;
	struct mq_topic t;
	int fd, rc = mq_name_check(name, "producer", err);

	if (rc == 0 && s->n_held == MQ_SPOOL_HELD_MAX)
		rc = mq_err_set(err, MQ_EUSAGE, "more than %d producer names held at once", MQ_SPOOL_HELD_MAX);
	if (rc == 0)
		rc = mq_topic_open(&t, s, topic, err);
	if (rc < 0)
		return rc;
	rc = mq_file_ensure(t.dir, "producers.lock", mode, 0, err);
	fd = rc < 0 ? rc : mq_sys->openat(t.dir, "producers.lock", O_RDWR, 0);
	mq_topic_release(&t);
	if (rc < 0)
		return rc;
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot open producers.lock", topic);
	rc = mq_sys->lock(fd, MQ_LOCK_WRITE, byte, 1, false);
	if (rc < 0) {
		(void)mq_sys->close(fd);
		if (rc == -EAGAIN || rc == -EACCES)
			return mq_err_set(err, MQ_EAGAIN, "producer %s is publishing to %s already", name, topic);
		return mq_err_sys(err, rc, "%s: cannot lock producers.lock", topic);
	}
	s->held[s->n_held++] = fd;
	return 0;
}

int mq_topic_each(struct mq_spool *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	return mq_dir_each_name(s->topics, fn, arg, err);
}
