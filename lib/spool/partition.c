/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A partition's log and cursor, given what its topic and the groups know. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "log/start.h"
#include "spool/dirs.h"
#include "spool/group.h"
#include "spool/topic.h"
#include "sys/sys.h"

int mq_partition_dir(const struct mq_topic *t, uint32_t p, struct mq_err *err)
{
	char number[16];

	if (p >= t->conf.partitions)
		return mq_err_set(err, MQ_ENOTOPIC, "topic %s has no partition %u (it has %u, from 0 on)", t->name, p,
		                  t->conf.partitions);
	snprintf(number, sizeof number, "%u", p);
	int rc = mq_dir_open(t->dir, number, err);
	if (rc < 0)
		mq_err_prefix(err, "topics/%s", t->name);
	return rc;
}

static int witness(void *arg, const struct mq_segment_id *segment, uint64_t *pos, uint64_t *offset, uint64_t *committed)
{
	const struct mq_partition *part = arg;

	uint64_t of_the_original[2] = {0, 0};

	/* In a copy the durable marks of groups speak of another disk; what they committed must still not be given anew. */
	if (part->topic->spool->copied)
		return mq_group_witness(part->topic, part->number, segment, &of_the_original[0], &of_the_original[1], committed);
	return mq_group_witness(part->topic, part->number, segment, pos, offset, committed);
}

static int generation(void *arg, uint32_t *ret, struct mq_err *err)
{
	const struct mq_partition *part = arg;
	struct mq_topic now;
	int rc = mq_topic_open(&now, part->topic->spool, part->topic->name, err);

	if (rc < 0)
		return rc;
	*ret = mq_topic_conf_generation(&now.conf);
	mq_topic_release(&now);
	return 0;
}

static void notice(void *arg, const char *text)
{
	const struct mq_partition *part = arg;

	if (part->topic->spool->notice)
		part->topic->spool->notice(part->topic->spool->notice_arg, text);
}

/* What may be changed while the topic is in use. */
static void take_rules(const struct mq_topic_conf *c, struct mq_log_options *ret)
{
	ret->segment_bytes = mq_topic_conf_segment_bytes(c);
	ret->segment_ms = c->segment_ms > 0 ? c->segment_ms : 0;
	ret->min_ack = c->min_ack > 0 ? (enum mq_ack)c->min_ack : MQ_ACK_NONE;
	ret->max_messages = c->max_messages > 0 ? (uint64_t)c->max_messages : 0;
	ret->max_bytes = c->max_bytes > 0 ? (uint64_t)c->max_bytes : 0;
	ret->drop_oldest = c->when_full == MQ_WHEN_FULL_DROP_OLDEST;
}

void mq_partition_follow_conf(const struct mq_topic *t, struct mq_log *log)
{
	take_rules(&t->conf, &log->opt);
}

int mq_partition_log(struct mq_partition *part, struct mq_topic *t, uint32_t p, struct mq_log *ret, struct mq_err *err)
{
	const struct mq_topic_conf *c = &t->conf;
	struct mq_log_options opt = {
	    .partition = p,
	    .topic_generation = mq_topic_conf_generation(c),
	    .mode = t->spool->file_mode,
	    .copied = t->spool->copied,
	    .patience = t->spool->patience,
	    .label = part->label,
	    .witness = witness,
	    .witness_arg = part,
	    .generation = generation,
	    .notice = notice,
	    .notice_arg = part,
	};
	int rc, dir = mq_partition_dir(t, p, err);

	if (dir < 0)
		return mq_topic_lacks(t, dir, err);
	part->topic = t;
	part->number = p;
	snprintf(part->label, sizeof part->label, "%s:%u", t->name, p);
	memcpy(opt.topic_id, c->id, sizeof opt.topic_id);
	take_rules(c, &opt);
	rc = mq_log_open(ret, dir, &opt, err);
	(void)mq_sys->close(dir);
	return mq_topic_lacks(t, rc, err);
}

/* Is the tail of this partition one that readers may go by? */
static bool settled(int dir)
{
	struct mq_state_file s;
	struct mq_tail t;
	uint64_t seq = 0;
	bool ok = false;

	if (mq_state_file_open(&s, dir, false, NULL) < 0)
		return false;
	if (mq_state_tail_read(&s, &t, &seq, NULL) == 0 && seq > 0)
		ok = mq_state_tail_trusted(&s, &t) && !(t.flags & (MQ_TAIL_UNSETTLED | MQ_TAIL_ROLLING));
	mq_state_file_release(&s);
	return ok;
}

static int settle(struct mq_topic *t, uint32_t p, struct mq_err *err)
{
	struct mq_partition part;
	struct mq_log log;
	int rc = mq_partition_log(&part, t, p, &log, err);

	if (rc == -EACCES || rc == -EROFS || rc == -EPERM) {
		if (err)
			err->code = 0, err->text[0] = 0;
		return 0;
	}
	if (rc < 0)
		return rc;
	rc = mq_log_settle(&log, err);
	mq_log_release(&log);
	/* No room for a segment behind a torn end, no right to look at all groups, the lock not to be had in time: what
	 * verifies is shown. */
	if (rc == -ENOSPC || rc == -EDQUOT || rc == -EBUSY || rc == -ETIMEDOUT) {
		if (err)
			err->code = 0, err->text[0] = 0;
		return 0;
	}
	return rc;
}

int mq_partition_cursor(struct mq_topic *t, uint32_t p, struct mq_cursor *ret, struct mq_err *err)
{
	char label[224];
	int rc = 0, dir = mq_partition_dir(t, p, err);

	if (dir < 0)
		return mq_topic_lacks(t, dir, err);
	snprintf(label, sizeof label, "%s:%u", t->name, p);
	if (!(t->spool->looks && *t->spool->looks) && !settled(dir))
		rc = settle(t, p, err);
	if (rc == 0)
		rc = mq_cursor_open(ret, dir, label, t->conf.id, p, err);
	(void)mq_sys->close(dir);
	return mq_topic_lacks(t, rc, err);
}

int mq_partition_purge(struct mq_topic *t, uint32_t p, uint64_t offset, struct mq_err *err)
{
	int rc, lock, dir = mq_partition_dir(t, p, err);

	if (dir < 0)
		return mq_topic_lacks(t, dir, err);
	/* The append lock: two that advance at once must not read the same slots. */
	rc = lock = mq_log_hold_append(dir, t->spool->patience, err);
	if (lock >= 0) {
		rc = mq_start_advance(dir, t->conf.id, offset, err);
		mq_log_let_go_append(lock);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s:%u", t->name, p);
	(void)mq_sys->close(dir);
	return mq_topic_lacks(t, rc, err);
}
