/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Retention: what is too old, too much, or read by all, goes.
 *
 * Of each partition: the log start is raised, durably, to the end of the last segment that is to go and that nobody needs; then what lies
 * whole below it is removed, the oldest first.  A topic that mq keeps for itself has its log start raised by whoever uses it; here
 * only what is below goes.
 */
#include "ops/retain.h"
#include "ops/room.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sys/sys.h"

/* ---- what is to go ---- */
struct partition {
	struct mq_retaining *r;
	const char *topic;
	uint32_t number;
	const struct mq_topic_facts *facts; /* NULL: one that mq keeps for itself */
	uint64_t log_start;
	uint64_t bytes;      /* that stay */
	uint64_t want;       /* what is to go ends here, */
	uint64_t held;       /* and what is needed begins here */
	struct mq_gone gone; /* below want and held */
	struct mq_compacted_parts compacted;
	bool timed;
};

/* The younger of both, but for a time that has not come yet, which says nothing: a batch stamped a year ahead does not stay for it. */
static int64_t age_us(const struct mq_old_part *o, int64_t now_us)
{
	int64_t batch = o->batch_us > now_us ? INT64_MIN : o->batch_us, file = o->file_us > now_us ? INT64_MIN : o->file_us;
	int64_t written = batch > file ? batch : file;

	return written == INT64_MIN ? 0 : now_us - written;
}

static bool is_wanted(const struct partition *part, const struct mq_old_part *o)
{
	const struct mq_topic_facts *f = part->facts;

	if (o->end <= part->log_start)
		return true;
	if (!f)
		return false;
	if (part->r->req->consumed)
		return true;
	if (!f->deletes)
		return false;
	if (f->retention_bytes >= 0 && part->bytes - o->bytes >= (uint64_t)f->retention_bytes)
		return true;
	return f->retention_us >= 0 && age_us(o, part->r->now_us) >= f->retention_us;
}

static int decide(void *arg, const struct mq_old_part *o)
{
	struct partition *part = arg;

	if (!is_wanted(part, o))
		return 1;
	part->bytes -= o->bytes < part->bytes ? o->bytes : part->bytes;
	part->want = o->end;
	return 0;
}

/* Whole parts below what is needed. */
static int bound(void *arg, const struct mq_old_part *o)
{
	struct partition *part = arg;

	if (o->end > part->want || (o->end > part->held && o->end > part->log_start))
		return 1;
	part->gone.parts++;
	part->gone.bytes += o->bytes;
	part->gone.dead = o->end; /* for a moment: where it ends */
	return 0;
}

static int settle(void *arg, uint64_t *offset, struct mq_err *err)
{
	struct partition *part = arg;
	const struct mq_engine *e = part->r->e;
	uint32_t groups = 0;
	int rc = 0;

	part->held = UINT64_MAX;
	if (part->facts && *offset > part->log_start)
		rc = mq_retain_held(part->r, part->topic, part->number, &part->held, &groups, err);
	if (rc == 0 && part->facts && part->r->req->consumed && groups == 0) /* nobody has read anything */
		part->held = part->log_start;
	part->gone = (struct mq_gone){0};
	if (rc == 0)
		rc = e->old_parts(part->r->mq->store, part->topic, part->number, false, bound, part, err);
	*offset = part->gone.dead > part->log_start ? part->gone.dead : part->log_start;
	part->gone.dead = 0;
	return rc < 0 ? rc : 0;
}

/* ---- doing it ---- */
/* What is to go is in archives, durably, as far as *start is then. */
static int archive(struct partition *part, uint64_t *start, struct mq_err *err)
{
	const struct mq_retain_request *req = part->r->req;
	uint64_t at = part->log_start, to;
	int rc = 0;

	if (!req->archive || !part->facts)
		return 0;
	while (rc == 0 && at < *start) {
		to = *start;
		rc = part->r->e->archive(part->r->mq->store, part->topic, part->number, at, &to, req->archive, err);
		if (rc < 0 || to <= at)
			break;
		at = to;
	}
	*start = at;
	return rc;
}

static int tell(struct partition *part, uint64_t start)
{
	const struct mq_gone *g = &part->gone;
	struct mq_retain_report *sum = part->r->sum;
	const struct mq_compacted_parts *c = &part->compacted;
	struct mq_retained one = {part->topic, part->number, start, start - part->log_start, g->parts, g->bytes, g->dead, g->dead_bytes,
	                          c->parts, c->bytes, c->made_bytes, c->records};

	sum->records += one.records;
	sum->parts += one.parts;
	sum->bytes += one.bytes;
	sum->dead += one.dead;
	sum->dead_bytes += one.dead_bytes;
	sum->compacted += one.compacted;
	sum->compacted_bytes += one.compacted_bytes;
	sum->compacted_into += one.compacted_into;
	sum->compacted_records += one.compacted_records;
	if (!part->r->req->retained || (!one.parts && !one.dead && !one.records && !one.compacted))
		return 0;
	return part->r->req->retained(part->r->req->arg, &one);
}

static int remove_parts(struct partition *part, uint64_t start, struct mq_err *err)
{
	const struct mq_engine *e = part->r->e;
	struct mq_gone would = part->gone;
	int rc;

	part->gone = (struct mq_gone){0};
	rc = e->remove_old(part->r->mq->store, part->topic, part->number, start, &part->gone, err);
	if (part->r->req->dry_run) {
		part->gone.parts = would.parts;
		part->gone.bytes = would.bytes;
	}
	return rc;
}

static bool is_stopping(void *arg)
{
	return mq_stopping(arg);
}

/* Of what is left then. */
static int compact(struct partition *part, uint64_t start, struct mq_err *err)
{
	struct mq_retaining *r = part->r;
	int rc;

	if (!part->facts || !part->facts->compacts || !r->e->compact)
		return 0;
	rc = r->e->compact(r->mq->store, r->memory, part->topic, part->number, start, is_stopping, r->mq, &part->compacted, err);
	if (part->compacted.damaged)
		mq_ops_notice(r->mq, 0, "%s:%u: %" PRIu64 " segments do not verify and were not compacted: run mq-check", part->topic, part->number,
		              part->compacted.damaged);
	return rc;
}

/* Some part of the work may be done where it fails: that is told, too. */
static int free_partition(struct partition *part, struct mq_err *err)
{
	struct mq_retaining *r = part->r;
	uint64_t start;
	struct mq_bounds b;
	int rc = r->e->bounds(r->mq->store, part->topic, part->number, &b, err), told = 0;

	if (rc < 0)
		return rc;
	part->bytes = b.bytes;
	part->log_start = part->want = start = b.log_start;
	rc = r->e->old_parts(r->mq->store, part->topic, part->number, part->timed, decide, part, err);
	if (rc < 0)
		return rc;
	start = part->want;
	rc = settle(part, &start, err);
	if (rc == 0 && !r->req->dry_run && part->gone.parts)
		rc = archive(part, &start, err);
	part->want = start;
	if (rc == 0 && !r->req->dry_run && part->gone.parts)
		rc = r->e->raise_log_start(r->mq->store, part->topic, part->number, &start, settle, part, err);
	if (rc == 0) {
		rc = remove_parts(part, start, err);
		if (rc == 0)
			rc = compact(part, start, err);
		told = tell(part, start);
	}
	return rc < 0 ? rc : told;
}

/* What cannot be freed is said, and the rest is done. */
static int say(struct mq_retaining *r, struct mq_err *first, const struct mq_err *why)
{
	r->sum->failed++;
	mq_ops_notice(r->mq, 0, "%s", why->text);
	if (!first->code)
		*first = *why;
	return mq_stopping(r->mq) ? why->code : 0;
}

static int free_topic(struct mq_retaining *r, const char *topic, bool internal, struct mq_err *first)
{
	struct mq_topic_facts facts = {0};
	struct mq_err err = MQ_ERR_INIT;
	struct mq_bounds b;
	int rc = internal ? 0 : r->e->topic_facts(r->mq->store, topic, &facts, &err);

	if (rc < 0)
		return rc == MQ_ENOTOPIC && r->req->n_topics == 0 ? 0 : say(r, first, &err);
	if (!internal && !r->req->dry_run) {
		mq_rooms_pass(r->mq, topic); /* what is due comes, where nobody else works on the topic */
		mq_rooms_empty(r->mq, topic);
	}
	for (uint32_t p = 0; rc == 0 && (internal || p < facts.partitions); p++) {
		struct partition part = {.r = r, .topic = topic, .number = p, .facts = internal ? NULL : &facts};

		if (internal && r->e->bounds(r->mq->store, topic, p, &b, &err) == MQ_ENOTOPIC)
			break; /* there are no more */
		err = (struct mq_err)MQ_ERR_INIT;
		part.timed = !internal && facts.deletes && facts.retention_us >= 0 && !r->req->consumed;
		rc = mq_stopping(r->mq) ? mq_err_set(&err, -EINTR, "stopped") : free_partition(&part, &err);
		if (rc < 0)
			rc = rc == MQ_ENOTOPIC && r->req->n_topics == 0 ? 0 : say(r, first, &err);
	}
	return rc;
}

static int free_all(struct mq_retaining *r, struct mq_err *first)
{
	struct mq_ops_names names = {MQ_BUF_INIT, &r->mq->err}, internal = {MQ_BUF_INIT, &r->mq->err};
	int rc = r->e->topic_list(r->mq->store, mq_ops_keep_name, &names, &r->mq->err);

	if (rc == 0)
		rc = r->e->internal_list(r->mq->store, mq_ops_keep_name, &internal, &r->mq->err);
	if (rc == 0)
		rc = mq_ops_sort_names(&names);
	if (rc == 0)
		rc = mq_ops_sort_names(&internal);
	for (size_t at = 0; at < names.buf.len && rc == 0; at += strlen(names.buf.p + at) + 1)
		rc = free_topic(r, names.buf.p + at, false, first);
	for (size_t at = 0; at < internal.buf.len && rc == 0; at += strlen(internal.buf.p + at) + 1)
		rc = free_topic(r, internal.buf.p + at, true, first);
	mq_buf_release(&names.buf);
	mq_buf_release(&internal.buf);
	return rc;
}

static int run(struct mq_retaining *r)
{
	const struct mq_retain_request *req = r->req;
	struct mq_err first = MQ_ERR_INIT, why = MQ_ERR_INIT;
	int rc = r->e->retain_begin(r->mq->store, req->force, &r->memory, &r->mq->err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < req->n_topics && rc == 0; i++)
		rc = free_topic(r, req->topics[i], false, &first);
	if (rc == 0 && req->n_topics == 0)
		rc = free_all(r, &first);
	if (r->e->retain_end(r->memory, &why) < 0) /* nothing hangs on it */
		mq_ops_notice(r->mq, 1, "%s", why.text);
	if (rc >= 0 && first.code)
		r->mq->err = first;
	return rc < 0 || !first.code ? rc : first.code;
}

int mq_retain(struct mq *mq, const struct mq_retain_request *req, struct mq_retain_report *ret)
{
	struct mq_retain_report sum = {0};
	struct mq_retaining r = {.mq = mq, .req = req, .sum = &sum, .now_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000};
	int rc = req->dry_run ? mq_ops_look(mq) : mq_ops_begin(mq);

	if (rc == 0) {
		r.e = mq->store->engine;
		rc = req->archive && !r.e->archive ? mq_err_set(&mq->err, MQ_EUSAGE, "%s: this store makes no archives", r.e->scheme)
		     : r.e->retain_begin           ? run(&r) : mq_err_set(&mq->err, MQ_EUSAGE, "%s: this store has no retention of mq's", r.e->scheme);
	}
	*ret = sum;
	return mq_ops_looked(mq, rc);
}
