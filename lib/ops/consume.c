/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb: begin, run, end. */
#include "ops/consume.h"

#include <errno.h>
#include <stdlib.h>

#include "sys/sys.h"

static int begin(struct mq_consume *c)
{
	int rc = mq_consume_setup(c);

	if (rc == 0 && c->req->handler != MQ_HANDLER_NONE)
		rc = mq_handlers_start(c);
	else if (rc == 0)
		mq_sink_init(&c->sink, c->mq, c->req->out_fd);
	if (rc == 0 && c->req->group)
		rc = mq_group_join(c);
	/* To follow is to read all of them at once. */
	for (size_t i = 0; i < c->feeds_n && rc == 0 && c->req->follow && !c->req->group; i++) {
		uint64_t at;
		rc = mq_consume_start(c, &c->feeds[i], NULL, &at);
		if (rc == 0)
			rc = mq_feed_open(c, &c->feeds[i], at);
	}
	return rc;
}

/* A reader that had enough, and a stop, are ends like others. */
static int ended(struct mq_consume *c, int rc)
{
	if (rc == -EPIPE || c->sink.gone)
		c->report.reader_gone = true;
	if (rc == -EPIPE || (rc == -EINTR && (mq_stopping(c->mq) || c->ended)))
		rc = 0;
	c->ended = true;
	return rc;
}

/* What was done is committed, also after a failure; the first reason stands. */
static int commit_rest(struct mq_consume *c, int rc)
{
	struct mq_err first = *c->err;
	int end = 0;

	if (c->member && !c->handlers && c->req->form != MQ_OUT_POSITIONS)
		end = c->sink.gone ? mq_given_commit(c, true) : mq_given_drain(c);
	else if (c->member && !c->handlers && rc == 0 && !c->sink.gone)
		end = mq_manual_finish(c);
	else if (c->member && !c->handlers)
		end = mq_manual_merge(c);
	if (c->sink.gone)
		c->report.reader_gone = true;
	int released = mq_group_release(c);
	if (end == 0)
		end = released;
	if (rc == 0)
		return end;
	*c->err = first;
	return rc;
}

static void release(struct mq_consume *c)
{
	mq_handlers_free(c);
	for (size_t i = 0; i < c->feeds_n; i++) {
		mq_feed_close(c, &c->feeds[i]);
		free(c->feeds[i].passed);
	}
	free(c->feeds);
	free(c->given);
	mq_filter_release(&c->filter);
	mq_sink_release(&c->sink);
	mq_buf_release(&c->spare);
}

int mq_consume(struct mq *mq, const struct mq_consume_request *req, struct mq_consume_report *ret)
{
	struct mq_consume c = {.mq = mq, .req = req, .err = &mq->err};
	int rc = mq_ops_begin(mq);

	if (ret)
		*ret = c.report;
	if (rc < 0 && !(mq->awaited && req->follow && req->wait_topic))
		return rc;
	mq->err = (struct mq_err){0};
	c.began_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	rc = begin(&c);
	rc = ended(&c, rc < 0 ? rc : mq_consume_run(&c));
	if (rc == 0 && c.handlers)
		rc = mq_handlers_result(&c);
	rc = commit_rest(&c, rc);
	if (rc == 0 && c.report.damage)
		rc = mq_err_set(c.err, MQ_EDAMAGE, "damage was passed: %s%s (mq-check tells where)", c.damage,
		                c.report.damage > 1 ? " and others" : "");
	if (ret)
		*ret = c.report;
	release(&c);
	return rc;
}
