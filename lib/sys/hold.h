/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holding signals off while a lock is held, and the flag that says "stop".
 *
 * A process that is stopped (^Z) or killed by a signal with a queue's lock in its hand makes every
 * other writer wait, or leaves them a repair.  So whoever takes a lock does:
 *
 *	mq_hold_signals();
 *	… lock, write, publish, unlock …
 *	mq_unhold_signals();
 *
 * All signals but those that tell of a fault in the program itself (SIGSEGV and its like) are
 * blocked between the two, and delivered after.  One system call each way; calls nest, and the
 * inner ones cost nothing.  SIGKILL and SIGSTOP cannot be held.
 *
 * The flag is process-wide: wait.h sets it when SIGINT, SIGTERM or SIGHUP arrives, and a tool's
 * own handler may.  Long loops look at it between two units of work.
 */
#ifndef MQ_SYS_HOLD_H
#define MQ_SYS_HOLD_H

#include <stdbool.h>

void mq_hold_signals(void);
void mq_unhold_signals(void);

/* Around a wait for the outermost lock, in between the two above: signals come through but those that only stop the
 * process (^Z), since it may get the lock at that moment.  Within another lock's hold nothing changes. */
void mq_hold_wait_begins(void);
void mq_hold_wait_ends(void);

/* Ask for an end because of this signal (> 0).  The first one asked is kept.  Safe in a handler. */
void mq_stop_request(int sig);

/* The signal for which an end was asked, or 0. */
int mq_stop_requested(void);

#endif
