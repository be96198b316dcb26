/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handlers of a consumer: begin what may begin, look after what lives. */
#include "ops/consume_move.h"
#include "ops/consume_once.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "sys/sys.h"

enum { IN_FLIGHT = 64 }; /* of a coproc, unless --prefetch says otherwise */
enum { LEASH_FDS = 2, LEASH_SHARE = 16 };  /* they may have a sixteenth of all descriptors, */
enum { STDERR_FDS = 2, STDERR_SHARE = 5 }; /* and the pipes of stderr a fifth: handlers need theirs */
static const int64_t SECOND_NS = 1000000000, LOOK_NS = 10000000;

static bool is_coproc(const struct mq_consume *c)
{
	return c->req->handler == MQ_HANDLER_COPROC;
}

int mq_handlers_start(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	struct mq_handlers *h = calloc(1, sizeof *h);

	if (!h)
		return mq_consume_no_memory(c);
	c->handlers = h;
	if (!req->argv || !req->argv[0])
		return mq_err_set(c->err, MQ_EUSAGE, "no command is given");
	h->at_once = req->jobs > 1 ? req->jobs : 1;
	h->in_flight_max = req->share ? (is_coproc(c) ? 1 + req->prefetch : h->at_once)
	                   : req->prefetch ? req->prefetch : is_coproc(c) ? IN_FLIGHT : h->at_once;
	h->leashes = mq_sys->fds_max() / LEASH_SHARE / LEASH_FDS;
	h->stderrs = mq_sys->fds_max() / STDERR_SHARE / STDERR_FDS;
	h->jobs_n = h->at_once;
	if (is_coproc(c) && req->group)
		h->jobs_n *= c->feeds_n;
	h->jobs = calloc(h->jobs_n, sizeof *h->jobs);
	if (!h->jobs || mq_env_base(h, req->envp) < 0)
		return mq_consume_no_memory(c);
	for (size_t i = 0; i < h->jobs_n; i++)
		h->jobs[i].pidfd = h->jobs[i].in = h->jobs[i].out = h->jobs[i].keep = -1;
	return mq_retry_start(c);
}

int mq_handlers_more(struct mq_consume *c)
{
	struct mq_handlers *h = c->handlers;
	size_t n = is_coproc(c) && c->req->group ? (size_t)h->at_once * c->feeds_n : h->jobs_n;
	struct mq_job *jobs = n > h->jobs_n ? realloc(h->jobs, n * sizeof *jobs) : h->jobs;

	if (!jobs)
		return mq_consume_no_memory(c);
	h->jobs = jobs;
	for (; h->jobs_n < n; h->jobs_n++)
		jobs[h->jobs_n] = (struct mq_job){.pidfd = -1, .in = -1, .out = -1, .keep = -1};
	return 0;
}

bool mq_handlers_enough(const struct mq_consume *c)
{
	return c->handlers->enough;
}

void mq_handlers_stop(struct mq_consume *c)
{
	struct mq_handlers *h = c->handlers;
	h->no_more = true;
	if (mq_stopping(c->mq) && !h->stop_ns) {
		h->stop_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
		h->enough = true;
	}
}

void mq_handlers_abort(struct mq_consume *c)
{
	mq_result_fail(c, NULL, c->err->code, "%s", c->err->text);
	*c->err = (struct mq_err){0};
}

int mq_handlers_result(struct mq_consume *c)
{
	if (!c->handlers->err.code)
		return 0;
	*c->err = c->handlers->err;
	return c->err->code;
}

bool mq_handlers_idle(const struct mq_consume *c)
{
	const struct mq_handlers *h = c->handlers;
	if (h->running || (h->waiting && !h->enough))
		return false;
	for (size_t i = 0; i < h->jobs_n && c->ended; i++)
		if (h->jobs[i].pid)
			return false; /* a coproc ends, too */
	return true;
}

bool mq_handlers_let_go(const struct mq_consume *c, const struct mq_feed *f)
{
	return !f->first_task && !mq_coproc_lives(c, f);
}

/* --- work ----------------------------------------------------------------------------------- */

static struct mq_job *free_job(struct mq_handlers *h)
{
	for (size_t i = 0; i < h->jobs_n; i++)
		if (!h->jobs[i].pid)
			return &h->jobs[i];
	return NULL;
}

/* 1: it began.  0: not now. */
static int begin_one(struct mq_consume *c, struct mq_job *j, struct mq_task *t)
{
	int rc = is_coproc(c) && !mq_coproc_room(c, t) ? MQ_ONCE_WAIT : mq_once_gate(c, t);

	t->stands = rc == MQ_ONCE_WAIT && c->once; /* else none behind it is tried now */
	if (rc == MQ_ONCE_SKIP)
		return mq_task_skip(c, t);
	if (rc != MQ_ONCE_GO)
		return rc;
	return is_coproc(c) ? mq_coproc_give(c, t) : mq_job_begin(c, j, t);
}

/* --prefetch is for all that this process reads, however many coprocs it keeps. */
static bool has_room(const struct mq_consume *c)
{
	const struct mq_handlers *h = c->handlers;

	if (is_coproc(c))
		return c->req->share || !c->req->prefetch || h->running < c->req->prefetch;
	return h->running < h->in_flight_max;
}

/* The next tasks of one partition.  1: one was begun. */
static int begin_of(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_handlers *h = c->handlers;
	struct mq_task *t;
	int rc = 0, some = 0;

	for (t = f->first_task; t && c->once; t = t->next)
		t->stands = false;
	while (!h->enough && (t = mq_task_next(c, f)) && has_room(c)) {
		struct mq_job *j = is_coproc(c) ? NULL : free_job(h);
		if (!is_coproc(c) && !j)
			break;
		if (t != f->first_task && mq_move_is_much(c))
			break; /* the first one goes on, and takes what is behind it along */
		unsigned before = h->waiting;
		rc = mq_group_owns(c, f);
		if (rc == 0)
			rc = begin_one(c, j, t);
		if (rc < 0 || (rc == 0 && !c->once))
			break;
		some |= h->waiting < before;
	}
	return rc < 0 ? rc : some;
}

static int begin_all(struct mq_consume *c)
{
	struct mq_handlers *h = c->handlers;
	int rc = 0, some = 0;
	size_t first = h->turn++;
	for (size_t i = 0; i < c->feeds_n && rc >= 0 && h->waiting && !h->enough; i++) {
		struct mq_feed *f = c->feeds[(first + i) % c->feeds_n];
		rc = f->waiting ? begin_of(c, f) : 0;
		some |= rc > 0;
	}
	return rc < 0 ? rc : some;
}

int mq_handlers_work(struct mq_consume *c)
{
	struct mq_handlers *h = c->handlers;
	int some = 0, failed = 0;

	if (mq_stopping(c->mq))
		mq_handlers_stop(c);
	some = mq_stderr_work(c);
	/* Each is looked after, whatever happens to another. */
	for (size_t i = 0; i < h->jobs_n; i++) {
		int rc = h->jobs[i].pid ? is_coproc(c) ? mq_coproc_work(c, &h->jobs[i]) : mq_job_work(c, &h->jobs[i]) : 0;
		if (rc < 0)
			mq_handlers_abort(c);
		some |= rc > 0;
		failed |= rc < 0;
	}
	/* What is done is marked before others begin, which may wait for just that; and made durable while they run. */
	int rc = mq_once_mark(c);
	if (rc >= 0)
		rc = begin_all(c);
	some |= rc > 0;
	if (rc >= 0 && c->once)
		rc = mq_once_looked(c);
	if (rc >= 0)
		rc = mq_once_settle(c);
	return rc < 0 ? rc : some | failed | rc;
}

/* --- waiting -------------------------------------------------------------------------------- */

static void sooner(int64_t *deadline_ns, int64_t at_ns)
{
	if (*deadline_ns < 0 || at_ns < *deadline_ns)
		*deadline_ns = at_ns;
}

static int arm_job(const struct mq_consume *c, const struct mq_job *j, struct mq_wait *w, int64_t *deadline_ns)
{
	const struct mq_handlers *h = c->handlers;
	int rc = 0;
	if (j->pidfd >= 0)
		rc = mq_wait_fd(w, j->pidfd, POLLIN);
	else
		sooner(deadline_ns, mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + LOOK_NS);
	bool writes = j->in >= 0 && !j->cut && (!is_coproc(c) || j->pending.len);
	if (rc >= 0 && writes)
		rc = mq_wait_fd(w, j->in, POLLOUT);
	if (rc >= 0 && j->out >= 0 && !j->cut && !j->answers.eof)
		rc = mq_wait_fd(w, j->out, POLLIN);
	if (j->limit_ns && j->signal_sent != SIGKILL)
		sooner(deadline_ns, j->limit_ns);
	if (h->stop_ns && !j->signal_sent)
		sooner(deadline_ns, h->stop_ns + 5 * SECOND_NS);
	return rc;
}

int mq_handlers_arm(struct mq_consume *c, struct mq_wait *w, int64_t *deadline_ns)
{
	struct mq_handlers *h = c->handlers;
	int rc = 0;
	for (size_t i = 0; i < h->jobs_n && rc >= 0; i++) {
		rc = mq_stderr_arm(c, &h->jobs[i], w); /* also of one that has ended: what it began may go on to write */
		if (rc >= 0 && h->jobs[i].pid)
			rc = arm_job(c, &h->jobs[i], w, deadline_ns);
	}
	mq_once_arm(c, deadline_ns);
	if (mq_task_again_ns(c) >= 0)
		sooner(deadline_ns, mq_task_again_ns(c));
	return rc < 0 ? mq_consume_no_memory(c) : 0;
}

/* --- the end -------------------------------------------------------------------------------- */

void mq_handlers_free(struct mq_consume *c)
{
	struct mq_handlers *h = c->handlers;
	if (!h)
		return;
	for (size_t i = 0; i < h->jobs_n && h->jobs; i++) {
		struct mq_job *j = &h->jobs[i];
		int status;
		if (j->pid) { /* only where waiting itself failed */
			mq_sys->kill(-j->pid, SIGKILL);
			mq_sys->wait_child(j->pid, &status, true);
			mq_job_close(j);
		}
		if (j->leash[1]) {
			mq_sys->close(j->leash[0]); /* the other first would pull it */
			mq_sys->close(j->leash[1]);
		}
		mq_stderr_take(c, j, true);
		mq_stderr_close(c, j);
		mq_input_release(&j->answers);
		mq_buf_release(&j->pending);
		mq_buf_release(&j->output);
	}
	for (size_t i = 0; i < c->feeds_n; i++)
		while (c->feeds[i]->first_task) {
			struct mq_task *t = c->feeds[i]->first_task;
			c->feeds[i]->first_task = t->next;
			mq_task_free(c, t);
		}
	mq_share_move_free(c);
	free(h->jobs);
	free(h->base_env);
	free(h);
	c->handlers = NULL;
}
