/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many descriptors may be open, and whose are closed when that is too many.
 *
 * A handle holds descriptors that it can do without: it closes them when others need them, and opens them again when it
 * is at work.  The least recently used goes first.  Half of what the process may have (RLIMIT_NOFILE) is for handles; the
 * rest is for what is opened for a moment, for handlers and their pipes, and for who calls the library.
 *
 *   mq_handles_add; at each work: mq_handles_use, open what is closed; mq_handles_remove
 *
 * Whose all are open at once pays nothing: the limit is asked for when it begins to matter.  For one thread.
 */
#ifndef MQ_SYS_HANDLES_H
#define MQ_SYS_HANDLES_H

#include <stdbool.h>
#include <stddef.h>

struct mq_handle {
	struct mq_handle *older, *newer;
	void (*close)(struct mq_handle *h); /* its descriptors; never called for one that is pinned, or not open */
	int fds;                            /* at most, while it is open */
	bool open, pinned;
};

/* What it is a part of. */
#define MQ_HANDLE_OF(h, type, member) ((type *)(void *)((char *)(h)-offsetof(type, member)))

struct mq_handles { /* all zero: none */
	struct mq_handle *oldest, *newest;  /* of the open ones that are not pinned */
	int open_fds, all_fds;              /* of the open ones; of all */
	int max_fds;                        /* 0: not asked for yet */
};

/* Closed, as yet. */
void mq_handles_add(struct mq_handles *all, struct mq_handle *h, int fds, void (*close)(struct mq_handle *h));
/* Before it goes, open or not; does not close it.  One that was never added is passed over. */
void mq_handles_remove(struct mq_handles *all, struct mq_handle *h);

/* It is at work: counts as open from now on; for one that was not, others are closed. */
void mq_handles_use(struct mq_handles *all, struct mq_handle *h);
/* That would close others. */
bool mq_handles_takes(struct mq_handles *all, const struct mq_handle *h);
/* It must stay open, or need no longer. */
void mq_handles_pin(struct mq_handles *all, struct mq_handle *h);
void mq_handles_unpin(struct mq_handles *all, struct mq_handle *h);

/* They cannot all be open at once. */
bool mq_handles_scarce(struct mq_handles *all);

#endif
