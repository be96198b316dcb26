/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --coproc: a handler that lives on.  A record is a line (or what the form makes of it) on its stdin; for each, in
 * order, it answers a line: "0" or "ok", or a status as a handler would exit with, or fail, reject, release, stop.
 * What stands behind the first word is for people.  Several records are in flight.
 *
 * In a group a coproc inherits the lock of one partition and works for that alone, so there are --jobs of them
 * for each partition that is read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "ops/consume_move.h"
#include "ops/consume_once.h"
#include "ops/consume_to.h"
#include "ops/transfer.h"
#include "sys/sys.h"

enum { ANSWER_MAX = 64 << 10 };
static const int64_t ENDING_NS = INT64_C(5000000000); /* how long a partition waits for its coproc to end */

/* --- starting ------------------------------------------------------------------------------- */

static int open_pipes(int in[2], int out[2])
{
	int rc = mq_sys->pipe(in);
	if (rc == 0)
		rc = mq_sys->pipe(out);
	if (rc == 0)
		rc = mq_sys->set_nonblock(in[1], true);
	return rc < 0 ? rc : mq_sys->set_nonblock(out[0], true);
}

static int start(struct mq_consume *c, struct mq_job *j, const struct mq_task *t)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, rc = open_pipes(in, out);
	char **envp = mq_env_join(c->handlers, NULL);

	if (rc < 0)
		mq_err_sys(c->err, rc, "cannot make pipes for the handler");
	else if (!envp)
		rc = mq_consume_no_memory(c);
	else
		rc = mq_job_start(c, j, t, envp, in[0], out[1]);
	free(envp);
	j->in = in[1];
	j->out = out[0];
	if (in[0] >= 0)
		mq_sys->close(in[0]);
	if (out[1] >= 0)
		mq_sys->close(out[1]);
	if (rc < 0)
		mq_job_close(j);
	else
		mq_input_init(&j->answers, j->out, "the handler's answers");
	mq_stderr_shut(j);
	return rc;
}

/* --- giving --------------------------------------------------------------------------------- */

static struct mq_job *least_busy(struct mq_job *jobs, unsigned n)
{
	struct mq_job *best = &jobs[0];
	for (unsigned i = 1; i < n; i++)
		if (jobs[i].tasks < best->tasks)
			best = &jobs[i];
	return best;
}

/* The job that keeps the order asked for; where it does not matter, the one with the least to do. */
static struct mq_job *choose(struct mq_consume *c, const struct mq_task *t)
{
	struct mq_handlers *h = c->handlers;
	size_t nth = t->feed->nth;
	struct mq_job *jobs = c->req->group ? &h->jobs[nth * h->at_once] : h->jobs;

	if (c->req->order == MQ_ORDER_PARTITION)
		return &jobs[c->req->group ? 0 : nth % h->at_once];
	for (unsigned i = 0; i < 4 && c->req->order == MQ_ORDER_KEY; i++)
		if (t->keys[i])
			return &jobs[(64 * i + (unsigned)__builtin_ctzll(t->keys[i])) % h->at_once];
	return least_busy(jobs, h->at_once);
}

bool mq_coproc_room(struct mq_consume *c, const struct mq_task *t)
{
	const struct mq_job *j = choose(c, t);

	return j->tasks < c->handlers->in_flight_max && !(j->pid && j->in < 0); /* it is to end: the next one gets it */
}

/* The lock that it inherited is of the records that it has in hand. */
static int hold(struct mq_consume *c, const struct mq_job *j, const struct mq_task *t, bool on)
{
	return j->keep >= 0 && t->feed->shared.on ? c->engine->share_handler_hold(t->feed->owner, j->keep, t->offset, t->after, on, c->err) : 0;
}

int mq_coproc_give(struct mq_consume *c, struct mq_task *t)
{
	struct mq_job *j = choose(c, t);

	if (!mq_coproc_room(c, t))
		return 0;
	int rc = j->pid ? 0 : start(c, j, t);
	if (rc == 0)
		rc = hold(c, j, t, true);
	if (rc == 0)
		rc = mq_once_hold(c, t, j->keep, true);
	if (rc == 0)
		rc = mq_task_begin(c, t);
	if (rc < 0)
		return rc;
	if (mq_buf_add(&j->pending, t->input.p, t->input.len) < 0) {
		mq_task_end(c, t, false);
		return mq_consume_no_memory(c);
	}
	if (!c->retry.on) /* else it may be given once more */
		mq_buf_release(&t->input);
	if (c->req->time_limit_ns)
		t->limit_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + c->req->time_limit_ns;
	*(j->task ? &j->last->next_in_job : &j->task) = t;
	j->last = t;
	j->tasks++;
	return 1;
}

/* --- answers -------------------------------------------------------------------------------- */

/* The status that a line says; -1: none. */
static int to_status(const char *line, size_t len)
{
	static const struct {
		const char *word;
		int status;
	} words[] = {{"ok", 0}, {"done", 0}, {"stop", 99}, {"fail", 1}, {"reject", 100}, {"release", 75}};
	size_t n = 0, used;
	uint64_t number;
	while (n < len && line[n] != ' ' && line[n] != '\t' && line[n] != '\r')
		n++;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i].word) == n && memcmp(words[i].word, line, n) == 0)
			return words[i].status;
	if (n && mq_to_u64_prefix(line, n, &number, &used) == 0 && used == n && number < 256)
		return (int)number;
	return -1;
}

static struct mq_task *take_first(struct mq_job *j)
{
	struct mq_task *t = j->task;
	j->task = t->next_in_job;
	j->tasks--;
	j->anew = false;
	return t;
}

/* What stands behind the first word, for people. */
static void take_reason(const char *line, size_t len, char *ret, size_t cap)
{
	size_t n = 0;

	while (n < len && line[n] != ' ' && line[n] != '\t')
		n++;
	while (n < len && (line[n] == ' ' || line[n] == '\t'))
		n++;
	while (len > n && line[len - 1] == '\r')
		len--;
	*ret = 0;
	if (n < len)
		snprintf(ret, cap, ": %.*s", (int)(len - n < cap ? len - n : cap), line + n);
}

/* --to: a record that the one whose answer comes next leaves.  What is wrong with it is told with that answer. */
static int put(struct mq_consume *c, struct mq_job *j, const char *payload, size_t len)
{
	struct mq_task *t = j->task;

	if (!t) {
		mq_result_fail(c, NULL, MQ_EAGAIN, "the handler put a record for nothing");
		return 0;
	}
	if (t->why.code)
		return 0;
	if (mq_output_line(c, t, payload, len, t->parcels_n + 1) < 0) {
		t->why = *c->err;
		*c->err = (struct mq_err){0};
	}
	return 0;
}

static int answer(struct mq_consume *c, struct mq_job *j, const char *line, size_t len)
{
	int status = to_status(line, len);
	char said[200];

	if (c->to && len >= 4 && memcmp(line, "put", 3) == 0 && (line[3] == ' ' || line[3] == '\t'))
		return put(c, j, line + 4, len - 4);
	if (!j->task) {
		mq_result_fail(c, NULL, MQ_EAGAIN, "the handler answered '%.*s' to nothing", (int)(len < 60 ? len : 60), line);
		return 0;
	}
	struct mq_task *t = take_first(j);
	t->next_in_job = NULL;
	int rc = mq_once_hold(c, t, j->keep, false);
	if (rc >= 0)
		rc = hold(c, j, t, false);
	if (rc < 0) {
		mq_task_end(c, t, false);
		return rc;
	}
	if (status < 0) {
		char why[200];
		snprintf(why, sizeof why, "the handler answered '%.*s'; a line must begin with ok, fail, reject, release, stop or an exit status",
		         (int)(len < 60 ? len : 60), line);
		return mq_result_failed(c, j, t, why);
	}
	if (t->why.code && mq_result_is_done(status))
		return mq_result_failed(c, j, t, t->why.text);
	if (c->to)
		mq_to_turn(c, t->feed);
	take_reason(line, len, said, sizeof said);
	return mq_result_of_status(c, j, t, status, said);
}

/* All answers that are there.  1: some. */
static int read_answers(struct mq_consume *c, struct mq_job *j, bool alive)
{
	const char *line;
	size_t len;
	bool some = false;
	int rc;

	while ((rc = mq_input_line(&j->answers, "\n", 1, c->to ? MQ_TRANSFER_BYTES_MAX : ANSWER_MAX, &line, &len, c->err)) > 0) {
		rc = answer(c, j, line, len);
		if (rc < 0)
			return rc;
		some = true;
	}
	if (rc == -EAGAIN) {
		*c->err = (struct mq_err){0};
		return some;
	}
	if (rc == MQ_EINPUT && !c->err->code)
		mq_err_set(c->err, rc = MQ_EAGAIN, "the handler's answer has no end");
	if (rc < 0 && alive)
		mq_job_cut(j);
	return rc < 0 ? rc : some;
}

static int write_pending(struct mq_consume *c, struct mq_job *j)
{
	bool some = false;
	while (j->in >= 0 && j->pending.len) {
		ssize_t n = mq_sys->write(j->in, j->pending.p, j->pending.len);
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN || n == -EPIPE) /* that it is gone is told by its end */
			break;
		if (n < 0) {
			mq_job_cut(j);
			return mq_err_sys(c->err, (int)n, "cannot write to the handler");
		}
		mq_buf_drop(&j->pending, (size_t)n);
		some = true;
	}
	return some;
}

/* --- the end -------------------------------------------------------------------------------- */

/* What it has not answered it has not done.  Where that may be handled again only the first can be the reason of its end: it
 * answers in order. */
static int fail_rest(struct mq_consume *c, struct mq_job *j, int status)
{
	bool first = true;
	int rc = 0;
	for (; j->task; first = false) {
		struct mq_task *t = take_first(j);
		int ended = 0;
		t->next_in_job = NULL;
		if (!first && c->retry.on && mq_retry_applies(c))
			mq_task_again(c, t, 0);
		else if (status == 0)
			ended = mq_result_failed(c, j, t, "the handler ended (status 0) before it answered");
		else
			ended = mq_result_of_wait(c, j, t, status);
		rc = rc < 0 ? rc : ended;
	}
	mq_input_release(&j->answers);
	mq_buf_clear(&j->pending);
	return rc;
}

/* Its partition goes to another member, which its lock keeps waiting. */
static bool is_leaving(const struct mq_consume *c, const struct mq_job *j)
{
	const struct mq_handlers *h = c->handlers;
	const struct mq_feed *f = c->req->group ? c->feeds[(size_t)(j - h->jobs) / h->at_once] : NULL;

	return f && f->leaving && !f->first_task;
}

/* Its stdin ends when nothing more comes for it.  At the end of all it takes the time that it takes. */
static void end_stdin(const struct mq_consume *c, struct mq_job *j)
{
	const struct mq_handlers *h = c->handlers;
	bool at_end = (h->no_more || h->enough) && (h->waiting == 0 || h->enough), leaving = is_leaving(c, j);

	if (j->task || (!at_end && !leaving))
		return;
	mq_sys->close(j->in);
	j->in = -1;
	if (leaving)
		j->limit_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + ENDING_NS;
}

bool mq_coproc_lives(const struct mq_consume *c, const struct mq_feed *f)
{
	const struct mq_handlers *h = c->handlers;
	bool lives = false;

	for (size_t i = 0; i < h->at_once && c->req->handler == MQ_HANDLER_COPROC; i++)
		lives |= h->jobs[f->nth * h->at_once + i].pid != 0;
	return lives;
}

int mq_coproc_work(struct mq_consume *c, struct mq_job *j)
{
	int status, rc = j->cut ? 0 : write_pending(c, j), some = rc;

	if (rc >= 0 && !j->cut)
		rc = read_answers(c, j, true);
	if (rc < 0)
		return rc;
	some |= rc;
	if (j->in >= 0 && !j->signal_sent)
		j->limit_ns = j->task ? j->task->limit_ns : 0;
	if (j->in >= 0 && !j->cut)
		end_stdin(c, j);
	if (!mq_job_reap(c, j, &status)) {
		mq_job_hurry(c, j);
		return some;
	}
	/* What it answered between the last look and its end counts. */
	int read = j->cut ? 0 : read_answers(c, j, false);
	mq_stderr_take(c, j, true);
	mq_job_close(j);
	rc = fail_rest(c, j, status);
	mq_stderr_close(c, j);
	return read < 0 ? read : rc < 0 ? rc : 1;
}
