/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process: begun, fed, reaped; and ended when its time is over. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "ops/consume_once.h"
#include "sys/sys.h"

enum { PIPE_SAFE_BYTES = 4096 }; /* what an empty pipe takes for certain */
static const int64_t SECOND_NS = 1000000000, STOOD_NS = 200000000;

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

static int open_lock(struct mq_consume *c, const struct mq_task *t, struct mq_err *why)
{
	struct mq_feed *f = t->feed;
	if (f->shared.on)
		return c->engine->share_handler_fd(f->owner, t->offset, t->after, why);
	return f->owner ? c->engine->owner_handler_fd(f->owner, why) : -1;
}

/* Its records go to another member when this process is killed, and those wait for its end.  Without a leash they wait for
 * longer; so it is no reason to fail, nor to take the descriptors that handlers need themselves. */
static void lay_leash(struct mq_handlers *h, struct mq_job *j)
{
	if (j->keep < 0)
		return;
	if (!j->leash[1] && h->leashes > 0 && mq_sys->leash(j->leash) == 0)
		h->leashes--;
	if (j->leash[1])
		(void)mq_sys->leash_to(j->leash[0], j->pid);
}

int mq_job_start(struct mq_consume *c, struct mq_job *j, const struct mq_task *t, char **envp, int in, int out)
{
	struct mq_err why = MQ_ERR_INIT;
	int keep = open_lock(c, t, &why);
	j->keep = -1;
	if (keep < -1 || why.code) { /* -1 is "none", and -EPERM: only a failure has a reason */
		*c->err = why;
		return keep;
	}
	j->keep = keep;
	int rc = j->task ? mq_once_hold(c, j->task, keep, true) : 0;
	if (rc < 0) {
		give_up_lock(j);
		return rc;
	}
	mq_stderr_open(c, j);
	struct mq_spawn what = {.argv = c->req->argv, .envp = envp, .in = in, .out = out, .err = j->err[1] ? j->err[1] : -1,
	                        .keep_fd = j->keep, .own_group = true};
	pid_t pid = mq_sys->spawn(&what);
	if (pid < 0) {
		give_up_lock(j);
		return cannot_run(c, pid);
	}
	j->pid = pid;
	lay_leash(c->handlers, j);
	j->pidfd = mq_sys->pidfd(pid); /* without one it is looked for now and then */
	if (j->pidfd < 0)
		j->pidfd = -1;
	j->signal_sent = 0;
	j->late = j->cut = j->anew = false;
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
	int in = -1, out = -1, rc = mq_task_begin(c, t);
	char **envp;

	if (rc < 0)
		return rc;
	j->task = t;
	rc = open_stdin(c, j, t, &in);
	if (rc == 0 && c->to)
		rc = mq_output_open(c, j, &out);
	size_t written = j->written;
	envp = rc == 0 ? mq_env_join(c->handlers, &t->env) : NULL;
	if (rc == 0)
		rc = envp ? mq_job_start(c, j, t, envp, in, out) : mq_consume_no_memory(c);
	free(envp);
	close_fd(&in);
	close_fd(&out);
	j->written = written;
	if (rc < 0) {
		close_fd(&j->in);
		close_fd(&j->out);
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

/* Of one that ended well. */
static int take_output(struct mq_consume *c, struct mq_job *j, struct mq_task *t, int wait_status)
{
	bool well = !j->late && !j->cut && WIFEXITED(wait_status) && mq_result_is_done(WEXITSTATUS(wait_status));

	return c->to && well ? mq_output_take(c, j, t) : 0;
}

int mq_job_work(struct mq_consume *c, struct mq_job *j)
{
	struct mq_task *t = j->task;
	int status, rc = 0, some = 0;

	if (j->in >= 0 && !j->cut)
		rc = feed_stdin(c, j);
	if (rc >= 0 && j->out >= 0 && !j->cut)
		some = mq_output_read(c, j);
	if (rc < 0 || some < 0) {
		mq_job_cut(j);
		return rc < 0 ? rc : some;
	}
	if (!mq_job_reap(c, j, &status)) {
		mq_job_hurry(c, j);
		return rc | some;
	}
	/* What it printed between the last look and its end; a descendant that prints on is not waited for. */
	if (j->out >= 0 && !j->cut)
		some = mq_output_read(c, j);
	mq_stderr_take(c, j, true);
	mq_job_close(j);
	j->task = NULL;
	rc = some < 0 ? some : take_output(c, j, t, status);
	if (rc < 0) { /* nothing of it counts as done */
		struct mq_err why = *c->err;
		*c->err = (struct mq_err){0};
		rc = mq_result_failed(c, j, t, why.text);
	} else {
		rc = mq_result_of_wait(c, j, t, status);
	}
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

/* Nobody was there when its time was over: this process stood still (it was stopped, its disk was slow), and it may have waited for
 * just that, with half of its input, or a pipe full of answers.  It gets its time anew, once. */
static bool stood_still(const struct mq_consume *c, struct mq_job *j, int64_t now)
{
	if (!j->task || j->anew || j->signal_sent || !c->req->time_limit_ns || now - j->limit_ns < STOOD_NS)
		return false;
	j->anew = true;
	j->limit_ns = now + c->req->time_limit_ns;
	for (struct mq_task *t = j->task; t; t = t->next_in_job)
		t->limit_ns = j->limit_ns;
	return true;
}

void mq_job_hurry(struct mq_consume *c, struct mq_job *j)
{
	int64_t now = now_ns(), stop_ns = c->handlers->stop_ns;
	if (j->limit_ns && now >= j->limit_ns && stood_still(c, j, now))
		return;
	if (j->limit_ns && now >= j->limit_ns && j->signal_sent != SIGKILL) {
		j->late |= j->signal_sent == 0;
		end_it(j, j->signal_sent ? SIGKILL : SIGTERM);
	} else if (stop_ns && !j->signal_sent && now >= stop_ns + 5 * SECOND_NS) {
		end_it(j, SIGTERM); /* it had time to finish */
		j->limit_ns = now + 5 * SECOND_NS;
	}
}
