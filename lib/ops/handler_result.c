/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a handler's end means. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/name.h"
#include "ops/handler.h"

enum { DONE = 0, RELEASE = 75, ENOUGH = 99, REJECT = 100, CANNOT_RUN = 126, NOT_FOUND = 127 };

void mq_result_fail(struct mq_consume *c, struct mq_task *t, int code, const char *fmt, ...)
{
	struct mq_handlers *h = c->handlers;
	char text[MQ_ERR_TEXT_MAX];
	va_list ap;

	h->enough = true;
	if (h->err.code)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (!t)
		mq_err_set(&h->err, code, "%s", text);
	else if (t->count == 1)
		mq_err_set(&h->err, code, "%s:%" PRIu32 ":%" PRIu64 ": %s", t->feed->topic, t->feed->partition, t->offset, text);
	else
		mq_err_set(&h->err, code, "%s:%" PRIu32 ":%" PRIu64 "..%" PRIu64 ": %s", t->feed->topic, t->feed->partition,
		           t->offset, t->after, text);
}

struct fate {
	char text[2 * MQ_NAME_MAX + 200];
};

/* What becomes of a record that is not done, and what goes on behind it. */
static struct fate stays(const struct mq_consume *c, const struct mq_task *t)
{
	struct fate f = {"; the run ends here"};

	if (c->req->group && c->req->commit_before)
		snprintf(f.text, sizeof f.text, "; the run ends here, and the next goes on behind it (--commit=before)");
	else if (c->req->group)
		snprintf(f.text, sizeof f.text, "; not committed: the run ends here, and the next gives it out again; to go on "
		         "behind it: mq-group seek -g %s %s:%" PRIu32 ":%" PRIu64, c->req->group, t->feed->topic, t->feed->partition, t->after);
	return f;
}

int mq_result_failed(struct mq_consume *c, struct mq_task *t, const char *why)
{
	c->report.failed += t->count;
	mq_result_fail(c, t, MQ_EAGAIN, "%s%s", why, stays(c, t).text);
	return mq_task_end(c, t, false);
}

int mq_result_of_status(struct mq_consume *c, struct mq_task *t, int status, const char *said)
{
	struct mq_handlers *h = c->handlers;
	bool done = status == DONE || status == ENOUGH;

	switch (status) {
	case DONE: break;
	case ENOUGH: h->enough = true; break;
	case RELEASE:
		c->report.released += t->count;
		mq_result_fail(c, t, MQ_EAGAIN, "released by its handler (status 75)%s%s", said, stays(c, t).text);
		break;
	case REJECT:
		c->report.rejected += t->count;
		mq_result_fail(c, t, MQ_EAGAIN, "rejected by its handler (status 100)%s%s", said, stays(c, t).text);
		break;
	case CANNOT_RUN:
	case NOT_FOUND:
		mq_result_fail(c, t, MQ_ECONFIG, "the handler could not run its command (status %d)%s", status, stays(c, t).text);
		break;
	default:
		c->report.failed += t->count;
		mq_result_fail(c, t, MQ_EAGAIN, "its handler failed with status %d%s%s", status, said, stays(c, t).text);
	}
	if (done)
		c->report.done += t->count;
	return mq_task_end(c, t, done);
}

int mq_result_of_wait(struct mq_consume *c, const struct mq_job *j, struct mq_task *t, int wait_status)
{
	if (!j->late && !j->cut && WIFEXITED(wait_status))
		return mq_result_of_status(c, t, WEXITSTATUS(wait_status), "");
	/* One that was ended for its time, or got half of its input, has failed, whatever it said at last. */
	c->report.failed += t->count;
	if (j->cut)
		mq_result_fail(c, t, MQ_EAGAIN, "its handler could not be talked to%s", stays(c, t).text);
	else if (j->late)
		mq_result_fail(c, t, MQ_EAGAIN, "its handler took too long (--time-limit)%s", stays(c, t).text);
	else
		mq_result_fail(c, t, MQ_EAGAIN, "its handler was killed by signal %d%s", WTERMSIG(wait_status), stays(c, t).text);
	return mq_task_end(c, t, false);
}
