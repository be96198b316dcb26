/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handlers: commands that records are given to.
 *
 * A task is what one handler gets at once: a record, or a batch of them, copied out of the log.  Each
 * partition has its tasks in order; its place moves to the first one that is not done.  A job is a process:
 * one a task, or with --coproc one that lives on and answers a line for each task, in order.
 *
 * What must stay true:
 *   1. A handler inherits the lock of the partition it works for, or where that is shared of its records, in a description of its own, which is unlocked
 *      when it has been reaped: no record is given out while its handler lives.
 *   2. Of two tasks that the order asked for keeps apart, the later one begins when the earlier one is done.
 *   3. After a failure nothing is begun; what is in flight is finished.
 */
#ifndef MQ_OPS_HANDLER_H
#define MQ_OPS_HANDLER_H

#include "ops/consume.h"
#include "ops/input.h"

/* Marked: done, but for the place (--once). */
enum mq_task_state { MQ_TASK_WAITING, MQ_TASK_RUNNING, MQ_TASK_MARKED, MQ_TASK_DONE, MQ_TASK_FAILED };

struct mq_failure;
struct mq_once_rec;
struct mq_parcel;

struct mq_task {
	struct mq_task *next;      /* of its partition */
	struct mq_task *next_in_job;
	struct mq_feed *feed;
	uint64_t offset, after;    /* of the first record; behind the last */
	uint32_t count;
	uint64_t bytes;            /* of payloads */
	uint64_t keys[4];          /* a bit for each key in it, by hash */
	enum mq_task_state state;
	bool uncounted;            /* released: that is no failure */
	int64_t limit_ns;          /* coproc: when its answer is due; 0: none */
	struct mq_buf input;       /* for stdin */
	struct mq_buf env;         /* NAME=value, each ended by a NUL */
	bool stands;               /* it cannot begin now */
	struct mq_parcel *parcels, *last_parcel; /* what it leaves behind (consume_move.h) */
	size_t parcels_bytes, parcels_n;
	bool dead, parked;         /* what they are: dead letters; what is to be tried again */
	struct mq_err why;         /* coproc: why what it left cannot be moved */
	/* that failed, and is to be handled again (handler_retry.c) */
	uint32_t attempts;         /* failures that its records tell of, or those who share */
	uint16_t given_back;       /* of those who share: so often it failed with them */
	uint32_t failures;         /* and those that came here */
	int64_t first_us;          /* when the first of these was */
	int64_t again_ns;          /* not before; 0: it may begin */
	struct mq_buf nth;         /* of a batch: uint32_t of each record, how far behind `offset` it is */
	/* --once (consume_once.h) */
	struct mq_task *next_due;
	struct mq_once_rec *recs, **by_key;
	size_t recs_n, recs_cap, locks_n;
	struct mq_buf ids;
	uint64_t seen;             /* of the record that is being taken */
};

struct mq_tail {               /* the end of what was written, a ring */
	uint64_t all;              /* bytes that were */
	char bytes[4096];
};

struct mq_job {
	pid_t pid;                 /* 0: free */
	int pidfd, in, out, keep;  /* -1: not there */
	int leash[2];              /* on the process that it has now, or had; second 0: none was made yet */
	size_t written;            /* bytes of input that stdin took */
	int64_t limit_ns;          /* when it is to be ended; 0: never */
	int signal_sent;
	bool late;                 /* it was ended for its time */
	bool anew;                 /* it was given its time once more */
	bool cut;                  /* it was ended because it could not be talked to */
	int err[2];                /* its stderr, to be read, and its own end; 0: there is none */
	int err_nth;               /* in the wait */
	bool err_heard;            /* there may be something */
	bool err_stands;           /* what is there is not taken from us now */
	struct mq_tail *tail;      /* with err */
	struct mq_task *task;      /* coproc: the first of those it has */
	struct mq_task *last;
	unsigned tasks;
	struct mq_buf output;      /* of one that is no coproc: what it printed */
	bool output_over;          /* more than can be moved at once */
	/* coproc */
	struct mq_buf pending;     /* for its stdin */
	struct mq_input answers;
};

struct mq_handlers {
	struct mq_job *jobs;
	size_t jobs_n;
	unsigned at_once;          /* --jobs; of coprocs so many for each partition of a group */
	unsigned running, waiting; /* tasks */
	unsigned again;            /* of those waiting, for their time */
	unsigned in_flight_max;    /* of one coproc; of others all together */
	unsigned ahead;            /* of shared coprocs: tasks beyond at_once of their partition, all together */
	uint64_t waiting_bytes;
	int leashes, stderrs;      /* so many more may be made */
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
/* It need not begin: it is done already. */
int mq_task_skip(struct mq_consume *c, struct mq_task *t);
/* Its state has become done. */
int mq_task_settled(struct mq_consume *c, struct mq_task *t);
void mq_task_free(struct mq_consume *c, struct mq_task *t);
/* It is to begin once more, not before at_ns (0: at once). */
void mq_task_again(struct mq_consume *c, struct mq_task *t, int64_t at_ns);
/* When the first of those may begin; -1: there are none. */
int64_t mq_task_again_ns(const struct mq_consume *c);

/* handler_env.c */
int mq_env_base(struct mq_handlers *h, char *const *envp);
/* What a record adds to the environment. */
int mq_env_record(struct mq_buf *env, const struct mq_feed *f, const struct mq_rec *r, uint32_t count);
/* Another attempt than was told. */
int mq_env_attempt(struct mq_buf *env, uint32_t attempt);
/* base_env and these, to be freed in one piece; NULL: no memory. */
char **mq_env_join(const struct mq_handlers *h, const struct mq_buf *env);

/* handler_job.c */
/* The process, with the lock of what t is about.  MQ_ECONFIG: the command is none. */
int mq_job_start(struct mq_consume *c, struct mq_job *j, const struct mq_task *t, char **envp, int in, int out);
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

/* handler_output.c */
/* A pipe for its stdout; *ret_write is the caller's to close. */
int mq_output_open(struct mq_consume *c, struct mq_job *j, int *ret_write);
/* What it has printed by now.  1: some. */
int mq_output_read(struct mq_consume *c, struct mq_job *j);
/* It ended well: all it printed, as records that t leaves.  Negative: it is no such, and why. */
int mq_output_take(struct mq_consume *c, struct mq_job *j, struct mq_task *t);
/* The same of one line. */
int mq_output_line(struct mq_consume *c, struct mq_task *t, const char *p, size_t len, uint64_t nth);

/* handler_coproc.c: 1: it took the task; 0: it has enough to do, and there is no room. */
bool mq_coproc_room(struct mq_consume *c, const struct mq_task *t);
int mq_coproc_give(struct mq_consume *c, struct mq_task *t);
int mq_coproc_work(struct mq_consume *c, struct mq_job *j);
/* Of a member: does one live that works for f?  While f is leaving they are told to end. */
bool mq_coproc_lives(const struct mq_consume *c, const struct mq_feed *f);

/* handler_result.c: what a status means for a task.  Its place moves if it is done. */
bool mq_result_is_done(int status);
int mq_result_of_wait(struct mq_consume *c, struct mq_job *j, struct mq_task *t, int wait_status);
/* said: why, behind a colon; or empty. */
int mq_result_of_status(struct mq_consume *c, struct mq_job *j, struct mq_task *t, int status, const char *said);
/* A coproc's: it gave no answer that counts. */
int mq_result_failed(struct mq_consume *c, struct mq_job *j, struct mq_task *t, const char *why);
/* The first failure is the reason. */
void mq_result_fail(struct mq_consume *c, struct mq_task *t, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* handler_retry.c: what becomes of a record that was not done, where that is not the end of the run. */
struct mq_ending {
	const char *reason;        /* a constant, as in dead.h */
	int status, signal;        /* -1, 0: none */
	const char *said;          /* by a coproc; or empty */
};
int mq_retry_start(struct mq_consume *c);
/* Can what is not done be handled again, or put away? */
bool mq_retry_applies(const struct mq_consume *c);
/* So ended, is it? */
bool mq_retry_takes(const struct mq_consume *c, const struct mq_task *t, const struct mq_ending *e);
/* Then it is dealt with; text: for people. */
int mq_retry_take(struct mq_consume *c, struct mq_job *j, struct mq_task *t, const struct mq_ending *e, const char *text);

/* handler_dead.c */
/* The record of a batch that is added next is at `offset`.  -ENOMEM. */
int mq_dead_note(struct mq_task *t, uint64_t offset);
/* The dead letters of t, which goes with them; 0, or negative, and t is as it was. */
int mq_dead_leave(struct mq_consume *c, struct mq_task *t, struct mq_failure *why);
/* Is a record of f that has expired to be a dead letter? */
bool mq_dead_takes_expired(const struct mq_consume *c, const struct mq_feed *f);
/* t, which holds nothing yet, is this one, over, and leaves its dead letter; negative: t holds nothing. */
int mq_dead_expired(struct mq_consume *c, struct mq_task *t, const struct mq_rec *r);
/* As mq_dead_leave, but they go to the room of their topic, and come back to this group at due_us. */
int mq_dead_park(struct mq_consume *c, struct mq_task *t, struct mq_failure *why, int64_t due_us);

/* handler_stderr.c */
/* The pipe that the next process of j writes to, if there can be one; what was kept is forgotten. */
void mq_stderr_open(const struct mq_consume *c, struct mq_job *j);
/* Its own end is not needed any more: a coproc has it. */
void mq_stderr_shut(struct mq_job *j);
void mq_stderr_close(const struct mq_consume *c, struct mq_job *j);
/* Pass on what is there; ended: all of it.  Some was. */
bool mq_stderr_take(const struct mq_consume *c, struct mq_job *j, bool ended);
/* What is kept, into MQ_DEAD_STDERR_MAX bytes; and forget it. */
size_t mq_stderr_end(const struct mq_job *j, char *ret);
void mq_stderr_forget(struct mq_job *j);
int mq_stderr_arm(const struct mq_consume *c, struct mq_job *j, struct mq_wait *w);
/* Pass on what was heard of.  Some was. */
bool mq_stderr_work(struct mq_consume *c);

#endif
