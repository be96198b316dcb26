/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The check from above: the spool, its topics, which partitions to look at. */
#include "spool/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/conf.h"
#include "base/name.h"
#include "base/parse.h"
#include "format/conf_keys.h"
#include "spool/check_internal.h"
#include "spool/dirs.h"
#include "spool/internal.h"
#include "sys/sys.h"

static int print_topic(const void *conf, struct mq_buf *out)
{
	return mq_topic_conf_print(conf, out);
}

static int print_spool(const void *conf, struct mq_buf *out)
{
	return mq_spool_conf_print(conf, out);
}

/* ---- one topic ---- */
struct topic_walk {
	struct mq_check *c;
	struct mq_topic *t;
	char where[256];
	uint64_t seg_bytes;
};

/* "0", "17": the name of a partition's directory. */
static bool partition_name(const char *name, uint64_t *ret)
{
	size_t used, len = strlen(name);

	return mq_to_u64_prefix(name, len, ret, &used) == 0 && used == len && (name[0] != '0' || len == 1);
}

/* A partition that topic.conf did not count when it was read: of a growth that goes on, or was killed; else a stranger. */
static int uncounted(struct topic_walk *w, const char *name, uint64_t p)
{
	const struct mq_topic_conf *c = &w->t->conf;
	struct mq_topic now;
	bool counts = false;

	if (mq_topic_open(&now, w->t->spool, w->t->name, NULL) == 0) {
		counts = p < now.conf.partitions;
		mq_topic_release(&now);
	}
	if (counts)
		return 0;
	if (p < c->growing.partitions)
		return mq_check_tell(w->c, MQ_CHECK_LEFT, w->where, name, NULL, mq_check_not(w->c, "the next growth makes it anew"),
		                     "of a growth to %u partitions that goes on, or was begun and came to nothing", c->growing.partitions);
	return mq_check_tell(w->c, MQ_CHECK_DEAD, w->where, name, NULL, mq_check_not(w->c, "remove it by hand"),
	                     "topic.conf knows of no such partition");
}

static int in_topic(void *arg, const char *name, const struct mq_stat *st)
{
	struct topic_walk *w = arg;
	uint64_t p;

	if (strcmp(name, "topic.conf") == 0 || strcmp(name, "producers.lock") == 0 || strcmp(name, "named") == 0)
		return 0;
	if (strcmp(name, "deleting") == 0)
		return mq_check_tell(w->c, MQ_CHECK_DEAD, w->where, name, NULL, mq_check_not(w->c, "whoever publishes to the topic, reads or makes it does it"),
		                     "the topic was deleted, and its files are still to go");
	if (S_ISDIR(st->mode) && partition_name(name, &p))
		return p < w->t->conf.partitions ? 0 : uncounted(w, name, p);
	if (mq_check_is_temporary(name))
		return mq_check_stray(w->c, w->t->dir, w->where, name, st);
	return mq_check_stranger(w->c, w->where, name);
}

static int partitions(struct mq_check *c, struct mq_topic *t)
{
	uint64_t *end = malloc(t->conf.partitions * sizeof *end);
	int rc = 0;

	if (!end)
		return mq_err_set(c->err, -ENOMEM, "no memory for %u partitions", t->conf.partitions);
	for (uint32_t p = 0; p < t->conf.partitions; p++)
		end[p] = UINT64_MAX;
	for (uint32_t p = 0; p < t->conf.partitions && rc == 0; p++)
		if (c->opt->partition < 0 || c->opt->partition == p)
			rc = mq_check_partition(c, t, p, &end[p]);
	if (rc == 0)
		rc = mq_check_groups(c, t, end);
	free(end);
	return rc;
}

/* An internal topic whose topic was deleted by one who was killed then. */
static int orphan(struct mq_check *c, struct mq_topic *t, const char *where)
{
	struct mq_check_remedy remedy = mq_check_did(c, 0);
	struct mq_err why = MQ_ERR_INIT;
	int rc = mq_internal_orphan(t, &why);

	if (rc == 0)
		return 0;
	if (rc < 0)
		return mq_check_tell(c, MQ_CHECK_CONFIG, where, "topic.conf", NULL, mq_check_not(c, "configuration is for people to change"), "%s",
		                     why.text);
	if (mq_check_mends(c) && mq_topic_remove(t, &why) < 0)
		remedy = mq_check_not(c, why.text);
	return mq_check_tell(c, MQ_CHECK_LEFT, where, NULL, NULL, remedy, "what groups kept of a topic that was deleted");
}

static int topic(void *arg, const char *name)
{
	struct mq_check *c = arg;
	struct mq_err why = MQ_ERR_INIT;
	struct mq_topic t;
	struct topic_walk w = {.c = c, .t = &t};
	int rc = mq_topic_open(&t, c->spool, name, &why);

	snprintf(w.where, sizeof w.where, "topics/%s", name);
	if (rc == MQ_ENOTOPIC && !c->opt->topic)
		return 0; /* deleted meanwhile */
	if (rc == MQ_ECONFIG)
		return mq_check_tell(c, MQ_CHECK_CONFIG, w.where, NULL, NULL, mq_check_not(c, "configuration is for people to change"), "%s",
		                     why.text);
	if (rc < 0)
		return mq_err_set(c->err, rc, "%s", why.text);
	if (c->opt->partition >= (int64_t)t.conf.partitions)
		rc = mq_err_set(c->err, MQ_ENOTOPIC, "topic %s has no partition %lld (it has %u, from 0 on)", name,
		                (long long)c->opt->partition, t.conf.partitions);
	c->sums.topics++;
	if (rc == 0)
		rc = mq_check_unknown_keys(c, w.where, "topic.conf", &t.conf.kept);
	if (rc == 0)
		rc = mq_check_seal(c, t.dir, w.where, "topic.conf", print_topic, &t.conf);
	if (rc == 0)
		rc = mq_check_each(c, t.dir, w.where, in_topic, &w);
	if (rc == 0)
		rc = partitions(c, &t);
	if (rc == 0 && t.conf.internal[0])
		rc = orphan(c, &t, w.where);
	mq_topic_release(&t);
	return rc;
}

/* ---- how much there is to do ---- */
static int count_file(void *arg, const char *name, const struct mq_stat *st)
{
	struct topic_walk *w = arg;
	size_t len = strlen(name);

	if (len > 4 && strcmp(name + len - 4, ".seg") == 0)
		w->c->bytes_all += st->size;
	return 0;
}

static int count_topic(void *arg, const char *name)
{
	struct mq_check *c = arg;
	struct mq_topic t;
	struct topic_walk w = {.c = c, .t = &t, .where = "topics"};
	int rc = mq_topic_open(&t, c->spool, name, NULL);

	if (rc < 0)
		return 0; /* it is told when it is looked at */
	for (uint32_t p = 0; p < t.conf.partitions; p++)
		if (c->opt->partition < 0 || c->opt->partition == p) {
			int dir = mq_partition_dir(&t, p, NULL);

			if (dir >= 0) {
				rc = mq_check_each(c, dir, w.where, count_file, &w);
				(void)mq_sys->close(dir);
			}
		}
	mq_topic_release(&t);
	return rc;
}

/* ---- the spool ---- */
static int in_root(void *arg, const char *name, const struct mq_stat *st)
{
	static const char *const known[] = {"spool.conf", "topics", "groups", "exchanges", "replicas", "lost+found", "retain.lock",
	                                    "retain.seen"};
	struct mq_check *c = arg;

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(name, known[i]) == 0)
			return 0;
	if (mq_check_is_temporary(name))
		return mq_check_stray(c, c->spool->root, "", name, st);
	return mq_check_stranger(c, "", name);
}

static int in_topics(void *arg, const char *name, const struct mq_stat *st)
{
	struct mq_check *c = arg;

	if (mq_check_is_temporary(name))
		return mq_check_stray(c, c->spool->topics, "topics", name, st);
	if (!S_ISDIR(st->mode) || name[0] == '.' || (!mq_name_ok(name, strlen(name)) && !mq_internal_is(name)))
		return mq_check_stranger(c, "topics", name);
	return 0;
}

static int whole(struct mq_check *c)
{
	const struct mq_spool *s = c->spool;
	int rc = mq_check_unknown_keys(c, "", "spool.conf", &s->conf.kept);

	if (rc == 0)
		rc = mq_check_seal(c, s->root, "", "spool.conf", print_spool, &s->conf);
	if (rc == 0 && s->copied)
		rc = mq_check_tell(c, MQ_CHECK_CACHE, "", "spool.conf", NULL, mq_check_not(c, "it is still a copy"),
		                   "this is a copy: it names another inode, so what its groups say was durable is not counted; to make it a "
		                   "spool of its own delete its line inode= and run mq-check --mend");
	if (rc == 0)
		rc = mq_check_each(c, s->root, "", in_root, c);
	if (rc == 0)
		rc = mq_check_each(c, s->topics, "topics", in_topics, c);
	if (rc == 0)
		rc = mq_topic_each(c->spool, topic, c, c->err);
	if (rc == 0)
		rc = mq_internal_each(c->spool, topic, c, c->err);
	return rc == 0 ? mq_check_members(c) : rc;
}

int mq_spool_check(struct mq_spool *s, const struct mq_check_options *opt, struct mq_check_sums *ret, struct mq_err *err)
{
	struct mq_err unheard = MQ_ERR_INIT;
	struct mq_check c = {.spool = s, .opt = opt, .err = err ? err : &unheard, .zip = MQ_ZIP_INIT, .raw = MQ_BUF_INIT};
	int rc = 0;

	if (opt->progress)
		rc = opt->topic ? count_topic(&c, opt->topic) : mq_topic_each(s, count_topic, &c, c.err);
	if (rc == 0 && opt->progress && !opt->topic)
		rc = mq_internal_each(s, count_topic, &c, c.err);
	if (rc == 0)
		rc = opt->topic ? topic(&c, opt->topic) : whole(&c);
	mq_zip_release(&c.zip);
	mq_buf_release(&c.raw);
	if (rc < 0)
		return rc;
	*c.err = c.late;
	*ret = c.sums;
	return c.late.code;
}
