/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb: begin, run, end. */
#include "ops/consume_copy.h"
#include "ops/consume_move.h"
#include "ops/consume_once.h"
#include "ops/consume_to.h"

#include <errno.h>
#include <stdlib.h>

#include "sys/sys.h"

static int begin(struct mq_consume *c)
{
	int rc = mq_consume_setup(c);

	if (rc == 0)
		rc = mq_to_begin(c);
	if (rc == 0 && c->req->handler != MQ_HANDLER_NONE)
		rc = mq_handlers_start(c);
	else if (rc == 0)
		mq_sink_init(&c->sink, c->mq, c->req->out_fd);
	if (rc == 0)
		rc = mq_once_start(c);
	if (rc == 0)
		rc = mq_drain_begin(c);
	if (rc == 0 && c->req->replay)
		rc = mq_copy_begin(c);
	if (rc == 0 && c->req->group)
		rc = mq_group_join(c);
	/* To follow is to read all of them at once, and so is to keep distances. */
	bool all = (c->req->follow || c->req->speed > 0) && !c->req->group;
	for (size_t i = 0; i < c->feeds_n && rc == 0 && all; i++) {
		uint64_t at;
		rc = c->copies ? mq_copy_open(c, c->feeds[i], &at) : mq_consume_start(c, c->feeds[i], NULL, &at);
		if (rc == 0)
			rc = mq_feed_open(c, c->feeds[i], at);
	}
	return rc == 0 ? mq_speed_begin(c) : rc;
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
	if (end == 0)
		end = mq_move_flush(c, NULL);
	if (end == 0 && c->copies)
		end = mq_copy_end(c, rc);
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
	mq_once_free(c);
	mq_drain_end(c);
	mq_to_end(c);
	mq_copy_free(c);
	mq_waits_end(c);
	for (size_t i = 0; i < c->feeds_n; i++) {
		mq_feed_close(c, c->feeds[i]);
		free(c->feeds[i]->passed);
		free(c->feeds[i]);
	}
	free(c->feeds);
	free(c->known);
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
	if (rc == 0)
		rc = mq_drain_tell(&c, true);
	if (rc == 0 && c.report.damage)
		rc = mq_err_set(c.err, MQ_EDAMAGE, "damage was passed: %s%s (mq-check tells where)", c.damage,
		                c.report.damage > 1 ? " and others" : "");
	if (ret)
		*ret = c.report;
	release(&c);
	return rc;
}
