/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: appending to a partition. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "sys/sys.h"

struct appender {
	struct mq_appender base;
	struct mq_topic topic;
	struct mq_partition part;
	struct mq_log log;
};

int mq_engine_spool_appender_open(struct mq_store *s, const char *topic, uint32_t p, struct mq_appender **ret,
                                  struct mq_err *err)
{
	struct appender *a = calloc(1, sizeof *a);
	int rc;

	if (!a)
		return mq_engine_no_memory(err);
	rc = mq_topic_open(&a->topic, mq_engine_spool_of(s), topic, err);
	if (rc == 0) {
		rc = mq_topic_settle(&a->topic, err);
		if (rc == 0)
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

void mq_engine_spool_appender_close(struct mq_appender *ap)
{
	struct appender *a = (struct appender *)ap;

	mq_log_release(&a->log);
	mq_topic_release(&a->topic);
	free(a);
}

/* A generation has begun in the partition that the verb does not know of.  0: it came to nothing, the same append may come
 * again; else -ESTALE.  Nobody but who has the append lock can make it come about, so what topic.conf says now it goes on saying. */
static int look_up_generation(struct appender *a, const struct mq_batch *b, struct mq_err *err)
{
	struct mq_err stale = *err;
	int rc;

	*err = (struct mq_err)MQ_ERR_INIT;
	rc = mq_topic_reread(&a->topic, err);
	if (rc == 0)
		rc = mq_topic_settle(&a->topic, err);
	if (rc < 0)
		return rc;
	if (mq_topic_conf_generation(&a->topic.conf) != b->topic_generation) {
		*err = stale;
		return -ESTALE;
	}
	a->log.looked_up = a->log.stale;
	return 0;
}

int mq_engine_spool_append(struct mq_appender *ap, const struct mq_batch *b, const void *body, struct mq_ticket *ret,
                           struct mq_err *err)
{
	struct appender *a = (struct appender *)ap;
	struct mq_log_ticket t;
	int rc;

	while ((rc = mq_log_append(&a->log, b, body, &t, err)) == -ESTALE && a->log.stale)
		if ((rc = look_up_generation(a, b, err)) < 0)
			break;
	if (rc < 0)
		return rc;
	memcpy(ret->segment, t.segment.b, 16);
	ret->end_pos = t.end_pos;
	ret->base_offset = t.base_offset;
	ret->next_offset = t.next_offset;
	ret->durable_already = !t.due && (b->ack == MQ_ACK_NONE || (t.visible && b->ack == MQ_ACK_WRITTEN));
	return 0;
}

int mq_engine_spool_append_trim(struct mq_appender *ap, uint64_t offset, struct mq_err *err)
{
	return mq_log_trim(&((struct appender *)ap)->log, offset, err);
}

void mq_engine_spool_append_room(struct mq_appender *ap, struct mq_room *ret)
{
	const struct appender *a = (struct appender *)ap;

	*ret = (struct mq_room){.records = a->log.room.records, .bytes = a->log.room.bytes};
}

int mq_engine_spool_wait_durable(struct mq_appender *ap, const struct mq_ticket *t, enum mq_ack level, struct mq_err *err)
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

/* What a producer holds lies before the tail as it is under the append lock. */
int mq_engine_spool_appender_mark(struct mq_appender *ap, struct mq_ticket *ret, struct mq_err *err)
{
	struct appender *a = (struct appender *)ap;
	int rc = mq_log_settle(&a->log, err);

	if (rc < 0)
		return rc;
	*ret = (struct mq_ticket){.end_pos = a->log.tail.pos,
	                          .base_offset = a->log.tail.next_offset,
	                          .next_offset = a->log.tail.next_offset};
	memcpy(ret->segment, a->log.tail.segment.b, 16);
	return 0;
}

/* The patience of the user is one, for space and for the lock on the way. */
static int sync_until(struct appender *a, int64_t deadline_ns, struct mq_err *err)
{
	const struct mq_patience *whole = a->log.opt.patience;
	struct mq_patience rest;
	int rc;

	if (whole && whole->ns >= 0 && deadline_ns >= 0) {
		rest = *whole;
		rest.ns = deadline_ns - mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
		if (rest.ns < 0)
			rest.ns = 0;
		a->log.opt.patience = &rest;
	}
	rc = mq_log_sync(&a->log, err);
	a->log.opt.patience = whole;
	return rc;
}

/* A disk that is full tells nobody when it is not: look again every 50 ms. */
int mq_engine_spool_wait_space(struct mq_appender *ap, int64_t deadline_ns, struct mq_err *err)
{
	struct appender *a = (struct appender *)ap;
	int64_t now;
	int rc = sync_until(a, deadline_ns, err);

	/* A torn end, and no room for the segment behind it: that comes with the space that is waited for. */
	if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT && rc != -ETIMEDOUT)
		return rc;
	now = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	if (deadline_ns >= 0 && now >= deadline_ns)
		return mq_err_set(err, MQ_EAGAIN, "%s: no space, and the time to wait for it is over", a->part.label);
	rc = mq_sys->poll(NULL, 0, deadline_ns >= 0 && deadline_ns - now < 50000000 ? deadline_ns - now : 50000000);
	if (rc < 0 && rc != -EINTR)
		return mq_err_sys(err, rc, "cannot wait");
	/* Or the limit was raised. */
	rc = mq_topic_reread(&a->topic, err);
	if (rc == 0)
		mq_partition_follow_conf(&a->topic, &a->log);
	return rc;
}

int mq_engine_spool_producer_hold(struct mq_store *s, const char *topic, const char *name, struct mq_err *err)
{
	return mq_topic_hold_producer(mq_engine_spool_of(s), topic, name, err);
}

static struct mq_who who_of(const struct mq_producer *p)
{
	return (struct mq_who){.kind = p->kind,
	                       .id = p->id,
	                       .generation = p->generation,
	                       .number = p->number,
	                       .source_start = p->last_base,
	                       .source_end = MQ_NO_OFFSET};
}

int mq_engine_spool_producer_find(struct mq_appender *ap, const char *name, struct mq_who *ret, struct mq_err *err)
{
	struct mq_producer p;
	int rc = mq_log_producer(&((struct appender *)ap)->log, MQ_WHO_PRODUCER, name, &p, err);

	if (rc == 0)
		*ret = who_of(&p);
	return rc;
}

int mq_engine_spool_mover_look(struct mq_appender *ap, const char *name, struct mq_who *ret, struct mq_err *err)
{
	struct mq_producer p;
	int rc = mq_log_look_producer(&((struct appender *)ap)->log, MQ_WHO_MOVER, name, &p, err);

	if (rc == 1)
		*ret = who_of(&p);
	return rc;
}

int mq_engine_spool_mover_open(struct mq_appender *ap, const char *name, uint32_t generation, uint64_t number, struct mq_who *ret,
                               struct mq_err *err)
{
	struct mq_producer p;
	int rc = mq_log_open_mover(&((struct appender *)ap)->log, name, generation, number, &p, err);

	if (rc == 0)
		*ret = who_of(&p);
	return rc;
}

void mq_engine_spool_producer_held(struct mq_appender *ap, const struct mq_who *who, uint32_t generation, uint64_t *ret_number,
                                   uint64_t *ret_last_base)
{
	const struct appender *a = (struct appender *)ap;
	const struct mq_producer *p = mq_producers_get(&a->log.producers, who->id);

	*ret_number = p ? mq_producers_number(&a->log.producers, p, generation) : 0;
	*ret_last_base = p ? mq_producers_last_base(&a->log.producers, p, generation) : MQ_NO_OFFSET;
}
