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

	if (c->req->share)
		snprintf(f.text, sizeof f.text, "; the run ends here, and another member, or the next run, is given it again");
	else if (c->req->group && c->req->commit_before)
		snprintf(f.text, sizeof f.text, "; the run ends here, and the next goes on behind it (--commit=before)");
	else if (c->req->group)
		snprintf(f.text, sizeof f.text, "; not committed: the run ends here, and the next gives it out again; to go on "
		         "behind it: mq-group seek -g %s %s:%" PRIu32 ":%" PRIu64, c->req->group, t->feed->topic, t->feed->partition, t->after);
	return f;
}

/* It is handled again or put away where that is so, else the run ends with it; text: what happened. */
static int not_done(struct mq_consume *c, struct mq_job *j, struct mq_task *t, const struct mq_ending *e, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
static int not_done(struct mq_consume *c, struct mq_job *j, struct mq_task *t, const struct mq_ending *e, const char *fmt, ...)
{
	char text[MQ_ERR_TEXT_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (mq_retry_takes(c, t, e))
		return mq_retry_take(c, j, t, e, text);
	mq_result_fail(c, t, MQ_EAGAIN, "%s%s", text, stays(c, t).text);
	return mq_task_end(c, t, false);
}

bool mq_result_is_done(int status)
{
	return status == DONE || status == ENOUGH;
}

int mq_result_failed(struct mq_consume *c, struct mq_job *j, struct mq_task *t, const char *why)
{
	c->report.failed += t->count;
	return not_done(c, j, t, &(struct mq_ending){.reason = "failed", .status = -1, .said = why}, "%s", why);
}

static int is_released(struct mq_consume *c, struct mq_task *t, const char *why, const char *said)
{
	c->report.released += t->count;
	t->uncounted = true;
	mq_result_fail(c, t, MQ_EAGAIN, "%s%s%s", why, said, stays(c, t).text);
	return mq_task_end(c, t, false);
}

int mq_result_of_status(struct mq_consume *c, struct mq_job *j, struct mq_task *t, int status, const char *said)
{
	struct mq_handlers *h = c->handlers;
	struct mq_ending e = {.reason = "failed", .status = status, .said = *said ? said + 2 : said}; /* ": " */

	switch (status) {
	case ENOUGH: h->enough = true; /* fall through */
	case DONE:
		c->report.done += t->count;
		return mq_task_end(c, t, true);
	case RELEASE: return is_released(c, t, "released by its handler (status 75)", said);
	case REJECT:
		c->report.rejected += t->count;
		e.reason = "rejected";
		return not_done(c, j, t, &e, "rejected by its handler (status 100)%s", said);
	case CANNOT_RUN:
	case NOT_FOUND:
		mq_result_fail(c, t, MQ_ECONFIG, "the handler could not run its command (status %d)%s", status, stays(c, t).text);
		return mq_task_end(c, t, false);
	default:
		c->report.failed += t->count;
		return not_done(c, j, t, &e, "its handler failed with status %d%s", status, said);
	}
}

int mq_result_of_wait(struct mq_consume *c, struct mq_job *j, struct mq_task *t, int wait_status)
{
	struct mq_ending e = {.reason = "failed", .status = -1, .said = ""};
	int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	bool ended = j->late || j->cut; /* for its time, or with half of its input: then it has failed, whatever it said at last */

	if (!ended && j->signal_sent && !mq_result_is_done(status) && status != REJECT)
		return is_released(c, t, "its handler was ended with this run", "");
	if (!ended && status >= 0)
		return mq_result_of_status(c, j, t, status, "");
	c->report.failed += t->count;
	e.status = status;
	e.signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
	if (j->cut)
		return not_done(c, j, t, &e, "its handler could not be talked to");
	e.reason = j->late ? "timed out" : e.reason;
	if (j->late)
		return not_done(c, j, t, &e, "its handler took too long (--time-limit)");
	return not_done(c, j, t, &e, "its handler was killed by signal %d", e.signal);
}
