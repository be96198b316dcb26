/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups: listing, showing, moving, deleting.  Committing from outside is group_commit.c. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/name.h"
#include "ops/ops.h"

struct names { /* each ended by a NUL */
	struct mq_buf buf;
	struct mq_err *err;
};

static int keep_name(void *arg, const char *name)
{
	struct names *names = arg;
	int rc = mq_buf_add(&names->buf, name, strlen(name) + 1);
	return rc < 0 ? mq_err_set(names->err, rc, "out of memory") : 0;
}

int mq_group_list(struct mq *mq, int (*fn)(void *arg, const char *group), void *arg)
{
	struct names groups = {MQ_BUF_INIT, &mq->err};
	int rc = mq_ops_begin(mq);

	if (rc == 0)
		rc = mq->store->engine->group_list(mq->store, keep_name, &groups, &mq->err);
	if (rc == 0)
		rc = mq_ops_sort_names(&groups.buf, &mq->err);
	for (size_t at = 0; at < groups.buf.len && rc == 0; at += strlen(groups.buf.p + at) + 1)
		rc = fn(arg, groups.buf.p + at);
	mq_buf_release(&groups.buf);
	return rc;
}

/* --- showing -------------------------------------------------------------------------------- */

static int show_partition(struct mq *mq, const char *group, const char *topic, uint32_t p,
                          int (*fn)(void *arg, const struct mq_group_info *g), void *arg)
{
	const struct mq_engine *e = mq->store->engine;
	struct mq_group_info info = {.group = group, .topic = topic, .partition = p, .owner_pid = -1};
	struct mq_bounds b;
	struct mq_place place;
	char member[64] = "";
	int rc = e->bounds(mq->store, topic, p, &b, &mq->err);

	if (rc == 0)
		rc = e->group_place(mq->store, group, topic, p, &place, &mq->err);
	if (rc == 0)
		rc = e->group_owner(mq->store, group, topic, p, &info.owner_pid, member, &info.handler_left, &mq->err);
	if (rc < 0)
		return rc;
	uint64_t from = place.set && place.offset > b.log_start ? place.offset : b.log_start;
	info.owned = rc > 0;
	info.member = *member ? member : NULL;
	info.has_committed = place.set;
	info.committed = place.offset;
	info.lost = place.lost;
	info.acked_above = place.acked_above;
	info.end = b.visible;
	info.lag = b.visible > from ? b.visible - from : 0;
	return fn(arg, &info);
}

static int show_topic(struct mq *mq, const char *group, const char *topic,
                      int (*fn)(void *arg, const struct mq_group_info *g), void *arg)
{
	uint32_t from = 0, to = 0;
	int rc = mq_ops_partitions(mq, topic, -1, &from, &to);
	for (uint32_t p = from; p < to && rc == 0; p++)
		rc = show_partition(mq, group, topic, p, fn, arg);
	return rc;
}

int mq_group_show(struct mq *mq, const char *group, const char *topic, int (*fn)(void *arg, const struct mq_group_info *g),
                  void *arg)
{
	struct names topics = {MQ_BUF_INIT, &mq->err};
	int rc = mq_ops_begin(mq);

	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	if (rc == 0 && topic)
		return show_topic(mq, group, topic, fn, arg);
	if (rc == 0)
		rc = mq->store->engine->group_topics(mq->store, group, keep_name, &topics, &mq->err);
	if (rc == 0)
		rc = mq_ops_sort_names(&topics.buf, &mq->err);
	for (size_t at = 0; at < topics.buf.len && rc == 0; at += strlen(topics.buf.p + at) + 1)
		rc = show_topic(mq, group, topics.buf.p + at, fn, arg);
	mq_buf_release(&topics.buf);
	return rc;
}

/* --- moving --------------------------------------------------------------------------------- */

/* Where a partition's place goes. */
static int seek_to(struct mq *mq, const char *group, const char *topic, uint32_t p, const char *to,
                   struct mq_seek_move *ret)
{
	struct mq_bounds b;
	struct mq_place place;
	int rc = mq->store->engine->group_place(mq->store, group, topic, p, &place, &mq->err);
	/* A group that never read this topic has no place, and gets one. */
	if (rc == MQ_ENOTOPIC) {
		mq->err = (struct mq_err){0};
		place = (struct mq_place){0};
		rc = 0;
	}
	if (rc < 0)
		return rc;
	uint64_t offset, stored = place.set ? place.offset : 0;
	rc = mq_ops_place(mq, topic, p, to, &stored, &offset, &b);
	if (rc < 0)
		return rc;
	if (offset < b.log_start)
		offset = b.log_start;
	if (offset > b.visible)
		return mq_err_set(&mq->err, MQ_EUSAGE, "%s:%" PRIu32 ": the end is %" PRIu64 ", and nobody stands behind it (%" PRIu64 ")",
		                  topic, p, b.visible, offset);
	*ret = (struct mq_seek_move){.partition = p, .before = place.offset, .after = offset, .had_before = place.set};
	return 0;
}

int mq_group_seek(struct mq *mq, const char *group, const char *topic, int64_t partition, const char *to, bool force,
                  bool dry_run, int (*fn)(void *arg, const struct mq_seek_move *m), void *arg)
{
	uint32_t from = 0, end = 0;
	int rc = mq_ops_begin(mq);

	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	if (rc == 0)
		rc = mq_ops_partitions(mq, topic, partition, &from, &end);
	/* All are looked at before the first one moves. */
	for (int act = 0; act < 2 && rc == 0; act++)
		for (uint32_t p = from; p < end && rc == 0; p++) {
			struct mq_seek_move move;
			rc = seek_to(mq, group, topic, p, to, &move);
			if (rc < 0 || !act)
				continue;
			if (!dry_run)
				rc = mq->store->engine->group_seek(mq->store, group, topic, p, move.after, force, &mq->err);
			if (rc == 0 && fn)
				rc = fn(arg, &move);
		}
	return rc;
}

/* --- deleting ------------------------------------------------------------------------------- */

int mq_group_delete(struct mq *mq, const char *group, const char *topic, bool force, bool dry_run)
{
	int rc = mq_ops_begin(mq);
	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	return rc < 0 ? rc : mq->store->engine->group_delete(mq->store, group, topic, force, dry_run, &mq->err);
}
