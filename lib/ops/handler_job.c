/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process: begun, fed, reaped; and ended when its time is over. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "ops/handler.h"
#include "sys/sys.h"

enum { PIPE_SAFE_BYTES = 4096 }; /* what an empty pipe takes for certain */
static const int64_t SECOND_NS = 1000000000;

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		mq_sys->close(*fd);
	*fd = -1;
}

/* The lock in the description that it inherited is given up by name: a descendant may have it still. */
static void give_up_lock(struct mq_job *j)
{
	if (j->keep >= 0)
		mq_sys->lock(j->keep, MQ_LOCK_NONE, 0, 0, false);
	close_fd(&j->keep);
}

void mq_job_close(struct mq_job *j)
{
	close_fd(&j->in);
	close_fd(&j->out);
	close_fd(&j->pidfd);
	give_up_lock(j);
	j->pid = 0;
}

/* A command that is not there or is none is a matter of configuration (78); that there is no room for one more, is not. */
static int cannot_run(struct mq_consume *c, int rc)
{
	mq_err_sys(c->err, rc, "cannot run %s", c->req->argv[0]);
	if (rc != -EAGAIN && rc != -ENOMEM && rc != -EMFILE && rc != -ENFILE)
		c->err->code = MQ_ECONFIG;
	return c->err->code;
}

int mq_job_start(struct mq_consume *c, struct mq_job *j, struct mq_feed *f, char **envp, int in, int out)
{
	struct mq_err why = MQ_ERR_INIT;
	int keep = f->owner ? c->engine->owner_handler_fd(f->owner, &why) : -1;
	j->keep = -1;
	if (keep < -1 || why.code) { /* -1 is "none", and -EPERM: only a failure has a reason */
		*c->err = why;
		return keep;
	}
	j->keep = keep;
	struct mq_spawn what = {
	    .argv = c->req->argv, .envp = envp, .in = in, .out = out, .err = -1, .keep_fd = j->keep, .own_group = true};
	pid_t pid = mq_sys->spawn(&what);
	if (pid < 0) {
		give_up_lock(j);
		return cannot_run(c, pid);
	}
	j->pid = pid;
	j->pidfd = mq_sys->pidfd(pid); /* without one it is looked for now and then */
	if (j->pidfd < 0)
		j->pidfd = -1;
	j->signal_sent = 0;
	j->late = j->cut = false;
	j->written = 0;
	j->limit_ns = 0;
	return 0;
}

/* --- one task ------------------------------------------------------------------------------- */

/* What its stdin takes now; closed when that is all, or when it reads no more. */
static int feed_stdin(struct mq_consume *c, struct mq_job *j)
{
	const struct mq_buf *input = &j->task->input;
	size_t before = j->written;
	while (j->in >= 0 && j->written < input->len) {
		ssize_t n = mq_sys->write(j->in, input->p + j->written, input->len - j->written);
		if (n == -EAGAIN)
			return j->written > before;
		if (n == -EINTR)
			continue;
		if (n == -EPIPE)
			break; /* it may end well without having read it all */
		if (n < 0)
			return mq_err_sys(c->err, (int)n, "cannot write to the handler");
		j->written += (size_t)n;
	}
	close_fd(&j->in);
	return 1;
}

/* Its stdin: a pipe, filled already where that cannot stand still. */
static int open_stdin(struct mq_consume *c, struct mq_job *j, const struct mq_task *t, int *ret_read)
{
	int fd[2], rc = mq_sys->pipe(fd);
	if (rc < 0)
		return mq_err_sys(c->err, rc, "cannot make a pipe for the handler");
	j->in = fd[1];
	j->written = 0;
	*ret_read = fd[0];
	if (t->input.len > PIPE_SAFE_BYTES)
		rc = mq_sys->set_nonblock(fd[1], true);
	if (rc == 0)
		rc = feed_stdin(c, j);
	return rc < 0 ? rc : 0;
}

int mq_job_begin(struct mq_consume *c, struct mq_job *j, struct mq_task *t)
{
	int in = -1, rc = mq_task_begin(c, t);
	char **envp;

	if (rc < 0)
		return rc;
	j->task = t;
	rc = open_stdin(c, j, t, &in);
	size_t written = j->written;
	envp = rc == 0 ? mq_env_join(c->handlers, &t->env) : NULL;
	if (rc == 0)
		rc = envp ? mq_job_start(c, j, t->feed, envp, in, -1) : mq_consume_no_memory(c);
	free(envp);
	close_fd(&in);
	j->written = written;
	if (rc < 0) {
		close_fd(&j->in);
		j->task = NULL;
		mq_task_end(c, t, false);
		return rc;
	}
	if (c->req->time_limit_ns)
		j->limit_ns = now_ns() + c->req->time_limit_ns;
	return 1;
}

/* --- the end -------------------------------------------------------------------------------- */

int mq_job_reap(struct mq_consume *c, struct mq_job *j, int *ret_status)
{
	pid_t rc = mq_sys->wait_child(j->pid, ret_status, false);
	if (rc == 0)
		return 0;
	if (rc < 0) {
		/* Somebody else waited for it: how it ended is unknown, so it counts as killed. */
		mq_err_sys(c->err, rc, "cannot wait for the handler");
		*ret_status = SIGKILL;
	}
	return 1;
}

int mq_job_work(struct mq_consume *c, struct mq_job *j)
{
	struct mq_task *t = j->task;
	int status, rc = 0;

	if (j->in >= 0 && !j->cut)
		rc = feed_stdin(c, j);
	if (rc < 0) {
		mq_job_cut(j);
		return rc;
	}
	if (!mq_job_reap(c, j, &status)) {
		mq_job_hurry(c, j);
		return rc;
	}
	mq_job_close(j);
	j->task = NULL;
	rc = mq_result_of_wait(c, j, t, status);
	return rc < 0 ? rc : 1;
}

static void end_it(struct mq_job *j, int signal)
{
	/* It leads its group, so what it started ends with it. */
	mq_sys->kill(-j->pid, signal);
	j->signal_sent = signal;
	j->limit_ns = now_ns() + SECOND_NS;
}

void mq_job_cut(struct mq_job *j)
{
	j->cut = true;
	end_it(j, SIGKILL);
}

void mq_job_hurry(struct mq_consume *c, struct mq_job *j)
{
	int64_t now = now_ns(), stop_ns = c->handlers->stop_ns;
	if (j->limit_ns && now >= j->limit_ns && j->signal_sent != SIGKILL) {
		j->late |= j->signal_sent == 0;
		end_it(j, j->signal_sent ? SIGKILL : SIGTERM);
	} else if (stop_ns && !j->signal_sent && now >= stop_ns + 5 * SECOND_NS) {
		end_it(j, SIGTERM); /* it had time to finish */
		j->limit_ns = now + 5 * SECOND_NS;
	}
}
