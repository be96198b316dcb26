/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handlers: commands that records are given to.
 *
 * A task is what one handler gets at once: a record, or a batch of them, copied out of the log.  Each
 * partition has its tasks in order; its place moves to the first one that is not done.  A job is a process:
 * one a task, or with --coproc one that lives on and answers a line for each task, in order.
 *
 * What must stay true:
 *   1. A handler inherits the lock of the partition it works for, in a description of its own, which is unlocked
 *      when it has been reaped: no record is given out while its handler lives.
 *   2. Of two tasks that the order asked for keeps apart, the later one begins when the earlier one is done.
 *   3. After a failure nothing is begun; what is in flight is finished.
 */
#ifndef MQ_OPS_HANDLER_H
#define MQ_OPS_HANDLER_H

#include "ops/consume.h"
#include "ops/input.h"

enum mq_task_state { MQ_TASK_WAITING, MQ_TASK_RUNNING, MQ_TASK_DONE, MQ_TASK_FAILED };

struct mq_task {
	struct mq_task *next;      /* of its partition */
	struct mq_task *next_in_job;
	struct mq_feed *feed;
	uint64_t offset, after;    /* of the first record; behind the last */
	uint32_t count;
	uint64_t bytes;            /* of payloads */
	uint64_t keys[4];          /* a bit for each key in it, by hash */
	enum mq_task_state state;
	int64_t limit_ns;          /* coproc: when its answer is due; 0: none */
	struct mq_buf input;       /* for stdin */
	struct mq_buf env;         /* NAME=value, each ended by a NUL */
};

struct mq_job {
	pid_t pid;                 /* 0: free */
	int pidfd, in, out, keep;  /* -1: not there */
	size_t written;            /* bytes of input that stdin took */
	int64_t limit_ns;          /* when it is to be ended; 0: never */
	int signal_sent;
	bool late;                 /* it was ended for its time */
	bool cut;                  /* it was ended because it could not be talked to */
	struct mq_task *task;      /* coproc: the first of those it has */
	struct mq_task *last;
	unsigned tasks;
	/* coproc */
	struct mq_buf pending;     /* for its stdin */
	struct mq_input answers;
};

struct mq_handlers {
	struct mq_job *jobs;
	size_t jobs_n;
	unsigned at_once;          /* --jobs; of coprocs so many for each partition of a group */
	unsigned running, waiting; /* tasks */
	unsigned in_flight_max;
	uint64_t waiting_bytes;
	int64_t stop_ns;           /* when the stop was asked; 0: not */
	bool no_more, enough;      /* nothing more comes; a handler said so, or failed */
	size_t turn;
	char **base_env;           /* of the request, without what a record sets; ends in NULL */
	struct mq_err err;         /* the first failure */
};

/* handler_task.c */
/* The next task of f that may begin; NULL: none. */
struct mq_task *mq_task_next(struct mq_consume *c, struct mq_feed *f);
/* It is done (or not): the place of its partition moves. */
int mq_task_end(struct mq_consume *c, struct mq_task *t, bool done);
/* It begins now: counted, and committed where that comes first. */
int mq_task_begin(struct mq_consume *c, struct mq_task *t);
void mq_task_free(struct mq_task *t);

/* handler_env.c */
int mq_env_base(struct mq_handlers *h, char *const *envp);
/* What a record adds to the environment. */
int mq_env_record(struct mq_buf *env, const struct mq_feed *f, const struct mq_rec *r, uint32_t count);
/* base_env and these, to be freed in one piece; NULL: no memory. */
char **mq_env_join(const struct mq_handlers *h, const struct mq_buf *env);

/* handler_job.c */
/* The process, with the lock of f.  MQ_ECONFIG: the command is none. */
int mq_job_start(struct mq_consume *c, struct mq_job *j, struct mq_feed *f, char **envp, int in, int out);
int mq_job_begin(struct mq_consume *c, struct mq_job *j, struct mq_task *t);
/* Feed its stdin, reap it.  1: something happened. */
int mq_job_work(struct mq_consume *c, struct mq_job *j);
/* If it has ended: 1 and its status; mq_job_close is the caller's, when nothing more is read from it.  0: it lives. */
int mq_job_reap(struct mq_consume *c, struct mq_job *j, int *ret_status);
/* End it when its time is over, or the consumer's. */
void mq_job_hurry(struct mq_consume *c, struct mq_job *j);
/* It cannot be given its records, or not be heard: it must not take what it has for all, so it is killed and has failed.
 * Its stdin stays open until it has been reaped. */
void mq_job_cut(struct mq_job *j);
void mq_job_close(struct mq_job *j);

/* handler_coproc.c: 1: it took the task; 0: it has enough to do. */
int mq_coproc_give(struct mq_consume *c, struct mq_task *t);
int mq_coproc_work(struct mq_consume *c, struct mq_job *j);

/* handler_result.c: what a status means for a task.  Its place moves if it is done. */
int mq_result_of_wait(struct mq_consume *c, const struct mq_job *j, struct mq_task *t, int wait_status);
/* said: why, behind a colon; or empty. */
int mq_result_of_status(struct mq_consume *c, struct mq_task *t, int status, const char *said);
/* A coproc's: it gave no answer that counts. */
int mq_result_failed(struct mq_consume *c, struct mq_task *t, const char *why);
/* The first failure is the reason. */
void mq_result_fail(struct mq_consume *c, struct mq_task *t, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
