/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The session behind mq.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/engine.h"
#include "api/mq.h"
#include "sys/hold.h"
#include "sys/sys.h"

struct mq *mq_new(void)
{
	struct mq *mq = calloc(1, sizeof *mq);
	if (mq) {
		mq->stop_pipe[0] = mq->stop_pipe[1] = -1;
		mq->timeout_ns = -1;
	}
	return mq;
}

static void close_store(struct mq *mq)
{
	if (mq->store)
		mq->store->engine->store_close(mq->store);
	mq->store = NULL;
	free(mq->awaited);
	mq->awaited = NULL;
}

void mq_free(struct mq *mq)
{
	if (!mq)
		return;
	close_store(mq);
	for (int i = 0; i < 2; i++)
		if (mq->stop_pipe[i] >= 0)
			mq_sys->close(mq->stop_pipe[i]);
	mq_buf_release(&mq->scratch);
	mq_buf_release(&mq->operand);
	free(mq);
}

const char *mq_why(const struct mq *mq)
{
	return mq->err.text;
}

int mq_status(const struct mq *mq)
{
	return mq_err_status(mq->err.code);
}

void mq_set_notice(struct mq *mq, mq_notice *fn, void *arg)
{
	mq->notice = fn;
	mq->notice_arg = arg;
	if (mq->store) {
		mq->store->notice = fn;
		mq->store->notice_arg = arg;
	}
}

void mq_set_timeout(struct mq *mq, int64_t ns)
{
	mq->timeout_ns = ns;
	if (mq->store)
		mq->store->patience = (struct mq_patience){.ns = ns, .stop = &mq->stop};
}

/* What is there is told when it is waited for: it may be half of a spool that is being made. */
static int put_off(struct mq *mq, const char *where)
{
	char *copy = strdup(where);
	if (!copy)
		return mq_err_set(&mq->err, -ENOMEM, "no memory");
	close_store(mq);
	mq->awaited = copy;
	mq->err = (struct mq_err){0};
	return 0;
}

int mq_open(struct mq *mq, const char *where, unsigned flags)
{
	mq->err = (struct mq_err){0};
	const struct mq_engine *e = mq_engine_for(where);
	if (!e)
		return mq_err_set(&mq->err, MQ_EUSAGE, "%s: no engine of this name (for a directory write ./%s)", where, where);
	struct mq_store *store;
	int rc = e->store_open(&store, where, flags & MQ_OPEN_CREATE, &mq->err);
	if ((rc == MQ_ENOTOPIC || rc == MQ_ECONFIG) && flags & MQ_OPEN_AWAIT && e->store_await)
		return put_off(mq, where);
	if (rc < 0)
		return rc;
	close_store(mq);
	mq->store = store;
	mq_set_notice(mq, mq->notice, mq->notice_arg);
	mq_set_timeout(mq, mq->timeout_ns);
	return 0;
}

int mq_open_awaited(struct mq *mq, struct mq_wait *w, int *ret_fd)
{
	int rc = mq_engine_for(mq->awaited)->store_await(mq->awaited, w, ret_fd, &mq->err);
	return rc != 0 ? rc : mq_open(mq, mq->awaited, 0);
}

void mq_stop(struct mq *mq)
{
	if (!mq)
		return;
	mq->stop = 1;
	if (mq->stop_pipe[1] >= 0)
		mq_sys->write(mq->stop_pipe[1], "", 1);
}

bool mq_stopping(const struct mq *mq)
{
	return mq->stop || mq_stop_requested();
}

int mq_stop_fd(struct mq *mq)
{
	int fd[2];
	if (mq->stop_pipe[0] < 0 && mq_sys->pipe(fd) == 0) {
		/* A handler must not stand still, however often it is called. */
		mq_sys->set_nonblock(fd[1], true);
		mq->stop_pipe[0] = fd[0];
		mq->stop_pipe[1] = fd[1];
	}
	return mq->stop_pipe[0];
}
