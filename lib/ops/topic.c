/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Topics: what mq.h says of them, in terms of an engine. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/parse.h"
#include "ops/ops.h"
#include "ops/transfer.h"

/* --- making and changing -------------------------------------------------------------------- */

/* "key=value" strings of pairs, in one piece of memory; NULL: none to be had. */
static const char **join_pairs(const struct mq_pair *set, size_t n)
{
	size_t bytes = (n + 1) * sizeof(char *);
	for (size_t i = 0; i < n; i++)
		bytes += strlen(set[i].name) + strlen(set[i].value) + 2;
	const char **joined = malloc(bytes);
	char *to = joined ? (char *)(joined + n + 1) : NULL;
	for (size_t i = 0; joined && i < n; i++) {
		joined[i] = to;
		to = stpcpy(stpcpy(stpcpy(to, set[i].name), "="), set[i].value) + 1;
	}
	return joined;
}

int mq_topic_create(struct mq *mq, const char *topic, uint32_t partitions, const struct mq_pair *set, size_t n_set,
                    bool dry_run)
{
	int rc = dry_run ? mq_ops_look(mq) : mq_ops_begin(mq);
	if (rc < 0)
		return rc;
	const char **pairs = join_pairs(set, n_set);
	if (!pairs)
		return mq_ops_looked(mq, mq_err_set(&mq->err, -ENOMEM, "out of memory"));
	rc = mq_ops_looked(mq, mq->store->engine->topic_create(mq->store, topic, partitions, pairs, n_set, dry_run, &mq->err));
	free(pairs);
	/* To who asks for a new topic a name that is taken is a bad name, not a failing disk. */
	return rc == -EEXIST ? mq_err_set(&mq->err, MQ_EUSAGE, "topic %s is there already (mq-topic set changes it, mq-rebalance %s --partitions "
	                                       "gives it more partitions)", topic, topic) : rc;
}

int mq_topic_set(struct mq *mq, const char *topic, const struct mq_pair *set, size_t n_set, bool dry_run)
{
	int rc = mq_ops_begin(mq);
	if (rc < 0)
		return rc;
	const char **pairs = join_pairs(set, n_set);
	if (!pairs)
		return mq_err_set(&mq->err, -ENOMEM, "out of memory");
	rc = mq->store->engine->topic_set(mq->store, topic, pairs, n_set, dry_run, &mq->err);
	free(pairs);
	return rc;
}

int mq_topic_delete(struct mq *mq, const char *topic, bool force, bool dry_run)
{
	int rc = mq_ops_begin(mq);
	if (rc == 0 && !force)
		rc = mq_transfer_refuse(mq, topic, NULL, &mq->err);
	if (rc == 0 && !force)
		rc = mq_transfer_refuse_into(mq, topic, &mq->err);
	return rc < 0 ? rc : mq->store->engine->topic_delete(mq->store, topic, force, dry_run, &mq->err);
}

/* --- purging -------------------------------------------------------------------------------- */

struct purge {
	struct mq *mq;
	const char *topic;
	uint32_t partition;
	uint64_t to;
};

/* Does a group still want what is to go? */
static int group_wants(void *arg, const char *group)
{
	const struct purge *job = arg;
	struct mq *mq = job->mq;
	struct mq_place place;
	struct mq_err why = MQ_ERR_INIT;
	int rc = mq->store->engine->group_place(mq->store, group, job->topic, job->partition, &place, &why);
	if (rc == MQ_ENOTOPIC || (rc == 0 && ((!place.set && !place.grown) || place.offset >= job->to)))
		return 0; /* it never read here, or has read it all */
	if (rc < 0) /* what it has read nobody can tell, so nothing may go */
		return mq_err_set(&mq->err, rc, "%s:%" PRIu32 ": the place of group %s cannot be read (--force passes): %s", job->topic,
		                  job->partition, group, why.text);
	return mq_err_set(&mq->err, MQ_EAGAIN, "%s:%" PRIu32 ": group %s stands at %" PRIu64 ", before %" PRIu64 " (--force passes)",
	                  job->topic, job->partition, group, place.offset, job->to);
}

/* Where the log start goes; ret_bounds as it was before. */
static int purge_to(struct mq *mq, const char *topic, uint32_t p, const char *offset, bool force, uint64_t *ret,
                    struct mq_bounds *ret_bounds)
{
	int rc = mq_ops_place(mq, topic, p, offset, NULL, ret, ret_bounds);
	if (rc < 0)
		return rc;
	if (*ret > ret_bounds->visible)
		return mq_err_set(&mq->err, MQ_EUSAGE, "%s:%" PRIu32 ": the end is %" PRIu64 ", so nothing up to %" PRIu64 " can go",
		                  topic, p, ret_bounds->visible, *ret);
	struct purge job = {mq, topic, p, *ret};
	return force ? 0 : mq->store->engine->group_list(mq->store, group_wants, &job, &mq->err);
}

int mq_topic_purge(struct mq *mq, const char *topic, int64_t partition, const char *offset, bool force, bool dry_run,
                   uint64_t *ret_records)
{
	uint32_t from = 0, to = 0;
	uint64_t records = 0;
	int rc = dry_run ? mq_ops_look(mq) : mq_ops_begin(mq);

	if (rc == 0)
		rc = mq_ops_partitions(mq, topic, partition, &from, &to);
	/* All are looked at before the first one changes. */
	for (int act = 0; act < 2 && rc == 0; act++)
		for (uint32_t p = from; p < to && rc == 0; p++) {
			struct mq_bounds b;
			uint64_t start;
			rc = purge_to(mq, topic, p, offset, force, &start, &b);
			if (rc < 0 || !act || start <= b.log_start)
				continue;
			rc = mq->store->engine->set_log_start(mq->store, topic, p, start, dry_run, &mq->err);
			records += rc == 0 ? start - b.log_start : 0;
		}
	if (ret_records)
		*ret_records = records;
	return mq_ops_looked(mq, rc);
}

/* --- looking -------------------------------------------------------------------------------- */

static int show(struct mq *mq, const char *topic, struct mq_topic_info *ret)
{
	struct mq_topic_facts facts;
	int rc = mq->store->engine->topic_facts(mq->store, topic, &facts, &mq->err);
	if (rc < 0)
		return rc;
	struct mq_topic_info info = {.name = topic, .partitions = facts.partitions};
	mq_hex(facts.id, sizeof facts.id, info.id);
	for (uint32_t p = 0; p < facts.partitions; p++) {
		struct mq_bounds b;
		rc = mq->store->engine->bounds(mq->store, topic, p, &b, &mq->err);
		if (rc < 0)
			return rc;
		info.records += b.visible - b.log_start;
		info.bytes += b.bytes;
	}
	*ret = info;
	return 0;
}

int mq_topic_show(struct mq *mq, const char *topic, struct mq_topic_info *ret)
{
	int rc = mq_ops_look(mq);
	return mq_ops_looked(mq, rc < 0 ? rc : show(mq, topic, ret));
}

int mq_topic_list(struct mq *mq, int (*fn)(void *arg, const char *topic), void *arg)
{
	struct mq_ops_names names = {MQ_BUF_INIT, &mq->err};
	int rc = mq_ops_look(mq);
	if (rc == 0)
		rc = mq->store->engine->topic_list(mq->store, mq_ops_keep_name, &names, &mq->err);
	if (rc == 0)
		rc = mq_ops_sort_names(&names);
	for (size_t at = 0; at < names.buf.len && rc == 0; at += strlen(names.buf.p + at) + 1)
		rc = fn(arg, names.buf.p + at);
	mq_buf_release(&names.buf);
	return mq_ops_looked(mq, rc);
}

/* Damage has no time; what follows it has. */
static int find_time(struct mq *mq, struct mq_source *source, uint64_t offset, int64_t *ret_us)
{
	const struct mq_engine *e = mq->store->engine;
	struct mq_loss loss;
	struct mq_view v;
	int rc = e->source_seek(source, offset, &loss, &mq->err);

	if (rc == 0)
		rc = e->source_next(source, &v, &loss, &mq->err);
	for (int i = 0; i < 100 && rc == MQ_EDAMAGE; i++) {
		mq->err = (struct mq_err){0};
		rc = e->source_next(source, &v, &loss, &mq->err);
	}
	if (rc == 1)
		*ret_us = v.batch.base_time_us;
	return rc < 0 ? rc : 0;
}

int mq_topic_time(struct mq *mq, const char *topic, uint32_t partition, uint64_t offset, int64_t *ret_us)
{
	struct mq_source *source;
	int rc = mq_ops_look(mq);

	*ret_us = INT64_MIN;
	if (rc == 0)
		rc = mq->store->engine->source_open(mq->store, topic, partition, &source, &mq->err);
	if (rc < 0)
		return mq_ops_looked(mq, rc);
	rc = find_time(mq, source, offset, ret_us);
	mq->store->engine->source_close(source);
	return mq_ops_looked(mq, rc);
}

int mq_topic_partitions(struct mq *mq, const char *topic, int (*fn)(void *arg, const struct mq_partition_info *p), void *arg)
{
	uint32_t from = 0, to = 0;
	int rc = mq_ops_look(mq);
	if (rc == 0)
		rc = mq_ops_partitions(mq, topic, -1, &from, &to);
	for (uint32_t p = from; p < to && rc == 0; p++) {
		struct mq_bounds b;
		rc = mq->store->engine->bounds(mq->store, topic, p, &b, &mq->err);
		if (rc < 0)
			break;
		struct mq_partition_info info = {
		    .partition = p,
		    .log_start = b.log_start,
		    .stored = b.stored,
		    .visible = b.visible,
		    .durable = b.durable,
		    .written = b.written,
		    .bytes = b.bytes,
		    .segments = b.segments,
		    .epoch_election = b.epoch.election,
		    .epoch_incarnation = b.epoch.incarnation,
		};
		rc = fn(arg, &info);
	}
	return mq_ops_looked(mq, rc);
}

int mq_topic_conf(struct mq *mq, const char *topic, int (*fn)(void *arg, const char *key, const char *value, bool is_default),
                  void *arg)
{
	int rc = mq_ops_begin(mq);
	return rc < 0 ? rc : mq->store->engine->topic_conf(mq->store, topic, fn, arg, &mq->err);
}
