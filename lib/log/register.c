/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of producers and movers in a partition: looked up, made, and of movers raised to a new generation. */
#include <assert.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/internal.h"
#include "sys/sys.h"

/* A control batch that puts the entry into the table, or in the place of the one of its id. */
static int put_entry(struct mq_log *log, const struct mq_producer *p, struct mq_err *err)
{
	struct mq_batch b = {.kind = MQ_BATCH_CONTROL, .control = MQ_CONTROL_REGISTER, .ack = MQ_ACK_WRITTEN};
	struct mq_log_ticket t;
	struct mq_buf body = MQ_BUF_INIT;
	int rc = mq_producer_append(&body, p);

	if (rc < 0) {
		mq_err_sys(err, rc, "cannot register %s", p->name);
	} else {
		b.stored_len = b.raw_len = (uint32_t)body.len;
		b.body_crc = mq_crc32c(0, body.p, body.len);
		b.topic_generation = log->tail.generation;
		log->tail.flags |= MQ_TAIL_PRODUCERS; /* published with the batch */
		rc = mq_log_append_locked(log, &b, body.p, &t, err);
	}
	mq_buf_release(&body);
	return rc;
}

/* Under the append lock.  1: *ret is the entry; 0: there is none. */
static int look(struct mq_log *log, enum mq_who_kind kind, const char *name, struct mq_producer *ret, struct mq_err *err)
{
	const struct mq_producer *known;
	int rc = mq_producers_catch_up(&log->producers, log->dir, &log->scan, &log->head, log->tail.pos, err);

	if (rc < 0)
		return rc;
	known = mq_producers_find(&log->producers, kind, name);
	if (known)
		*ret = *known;
	return known != NULL;
}

/* A mover's is made of its name (FNV-1a, 64 bits), so that it is the same again when its entry had no room in a snapshot; should
 * another one have it, and for a producer, it is drawn. */
static int choose_id(const struct mq_log *log, enum mq_who_kind kind, const char *name, uint64_t *ret)
{
	uint64_t id = UINT64_C(14695981039346656037);

	for (const char *at = name; *at; at++)
		id = (id ^ (uint8_t)*at) * UINT64_C(1099511628211);
	*ret = id;
	return kind == MQ_WHO_MOVER && !mq_producers_get(&log->producers, id) ? 0 : mq_sys->random(ret, sizeof *ret);
}

static int make(struct mq_log *log, enum mq_who_kind kind, const char *name, uint32_t generation, uint64_t number,
                struct mq_producer *ret, struct mq_err *err)
{
	struct mq_producer fresh = {.kind = kind, .generation = generation, .number = number, .last_base = MQ_NO_OFFSET};
	int rc = choose_id(log, kind, name, &fresh.id);

	if (rc < 0)
		return mq_err_sys(err, rc, "cannot register %s", name);
	assert(strlen(name) < sizeof fresh.name);
	fresh.name_len = (uint8_t)strlen(name);
	memcpy(fresh.name, name, (size_t)fresh.name_len + 1);
	rc = put_entry(log, &fresh, err);
	if (rc == 0)
		*ret = fresh;
	return rc;
}

static int raise_mover(struct mq_log *log, uint32_t generation, struct mq_producer *p, struct mq_err *err)
{
	if (p->generation > generation)
		return mq_err_set(err, MQ_EDENIED, "generation %u of the mover %s has been replaced by %u", generation, p->name,
		                  p->generation);
	if (p->generation == generation)
		return 0;
	p->generation = generation;
	return put_entry(log, p, err);
}

int mq_log_look_producer(struct mq_log *log, enum mq_who_kind kind, const char *name, struct mq_producer *ret, struct mq_err *err)
{
	int rc = mq_log_enter(log, err);

	if (rc == 0) {
		rc = look(log, kind, name, ret, err);
		mq_log_leave(log);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s", log->opt.label);
	return rc;
}

int mq_log_producer(struct mq_log *log, enum mq_who_kind kind, const char *name, struct mq_producer *ret, struct mq_err *err)
{
	int rc = mq_log_enter(log, err);

	if (rc == 0) {
		rc = look(log, kind, name, ret, err);
		if (rc == 0)
			rc = make(log, kind, name, 0, 0, ret, err);
		mq_log_leave(log);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s", log->opt.label);
	return rc < 0 ? rc : 0;
}

int mq_log_open_mover(struct mq_log *log, const char *name, uint32_t generation, uint64_t number, struct mq_producer *ret,
                      struct mq_err *err)
{
	int rc = mq_log_enter(log, err);

	if (rc == 0) {
		rc = look(log, MQ_WHO_MOVER, name, ret, err);
		if (rc == 0)
			rc = make(log, MQ_WHO_MOVER, name, generation, number, ret, err);
		else if (rc == 1)
			rc = raise_mover(log, generation, ret, err);
		mq_log_leave(log);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s", log->opt.label);
	return rc;
}
