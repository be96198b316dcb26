/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The faulting filling: passes calls on to another filling, but lets chosen ones fail, cuts them
 * short, or kills or stops the process at them.  For tests only; never in an installed program.
 *
 * Rules, separated by commas or blanks, each
 *
 *	CALL:N[:path=TEXT]:ACTION[:once|:ever]
 *
 *	CALL     a name of the table in sys.h, or * for any
 *	N        the Nth call of that name, counted from 1; with path= only the calls on a file
 *	         whose path (the descriptor's as it is now, or directory and name) contains TEXT
 *	         are counted; TEXT holds no ':', ',' or blank
 *	once     (the default) that call alone;  ever: that call and all later ones
 *	ACTION   EIO, ENOSPC, … or a number: the call is not made and fails so (close is made)
 *	         short=K      at most K bytes are read or written; 0: the call is not made and gives 0
 *	                      (read, write, writev, pread, pwrite, pwritev, getdents)
 *	         kill-before  SIGKILL to this process instead of the call
 *	         kill-after   the call is made, then SIGKILL
 *	         stop-before, stop-after   the same with SIGSTOP: a leader that stalls
 *
 * Examples: fdatasync:3:EIO:once   pwrite:2:short=512:ever   renameat:1:path=.seg:kill-after
 *
 * The first rule that applies to a call decides; every rule counts for itself.  Threads are counted
 * together.
 */
#ifndef MQ_SYS_FAULT_H
#define MQ_SYS_FAULT_H

#include <stdint.h>

#include "base/err.h"
#include "sys/sys.h"

/* The filling over `under`, with these rules ("" is allowed: it only counts).  NULL with the reason
 * in err when a rule is not understood.  There is one a process; a second call replaces it. */
const struct mq_sys *mq_fault_over(const struct mq_sys *under, const char *rules,
                                   struct mq_err *err);

/* How often a rule (0 is the first) has fired; how many calls of a name were seen, failed ones
 * too; 0 for a name that is not in the table. */
uint64_t mq_fault_fired(unsigned rule);
uint64_t mq_fault_calls(const char *call);

/* Called with one line of text when a rule fires, before what it does is done.  NULL: nobody. */
void mq_fault_on_fire(void (*told)(const char *text));

/* Append to fd, in one write: a line "pid call CALL COUNT" for each call seen, and a line
 * "pid rule TEXT FIRED" for each rule.  0 or a negative errno. */
int mq_fault_report(int fd);

#endif
