/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who holds a lock: a process's number, for people.
 *
 * The kernel does not tell of an OFD lock whose it is, since it belongs to a description that several processes may have: a
 * handler and what it began, too.  But /proc/PID/fdinfo lists the locks of each description that a process has open.  Looked
 * at once for all bytes of a file; what is found was true a moment ago.  Processes of others, on other machines and in other
 * containers are not seen: nothing may depend on it.
 *
 *     struct mq_holders h = MQ_HOLDERS_INIT;
 *     size_t at = 0;
 *     while (mq_holders_next(&h, fd, byte, 1, &at, &who)) …      mq_holders_release(&h);
 */
#ifndef MQ_SPOOL_HOLDERS_H
#define MQ_SPOOL_HOLDERS_H

#include <stdbool.h>

#include "base/buf.h"

struct mq_holder {
	uint64_t first, last; /* bytes; last is one of them */
	int64_t pid;
	bool stopped;
};

struct mq_holders {
	struct mq_buf found; /* struct mq_holder */
	bool looked;
};
#define MQ_HOLDERS_INIT {MQ_BUF_INIT, false}

/* The next process, by its number, from *at on, that holds any of the len bytes of fd's file from first on; false: there is no
 * more.  The first call looks. */
bool mq_holders_next(struct mq_holders *h, int fd, uint64_t first, uint64_t len, size_t *at, struct mq_holder *ret);
void mq_holders_release(struct mq_holders *h);

#endif
