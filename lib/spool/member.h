/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members of a group: groups/GROUP/members/NAME
 *
 * The name is random; the file is locked (byte 0) before it has it, so whoever sees it unlocked knows that its process is
 * gone.  What stands in it is for people, written before it is named and never changed: key=value lines, the last of
 * them "whole=1", without which none counts
 *
 *   pid, start   of the process: its number, and when it began, in clock ticks after boot, since numbers come back
 *   host         where it runs
 *
 * Whether that process was stopped is the kernel's to say, and only on its own machine.
 */
#ifndef MQ_SPOOL_MEMBER_H
#define MQ_SPOOL_MEMBER_H

#include "spool/spool.h"

struct mq_group_share;

struct mq_membership {
	struct mq_spool *spool; /* borrowed */
	int file;               /* locked as long as it lives; the first file a member opens */
	int dir;                /* of members */
	char name[32];          /* empty: nobody is told of it */
	char group[201];
	bool makes_none;        /* it acts for a group that is there, and makes nothing of it */
	struct mq_group_share *shares; /* of those who own something */
};

/* On a full disk without a name: it works, and nobody hears of its end. */
int mq_membership_join(struct mq_membership *ret, struct mq_spool *s, const char *group, struct mq_err *err);
void mq_membership_leave(struct mq_membership *m);

enum mq_member_state {
	MQ_MEMBER_ALIVE,   /* more is not known: it runs elsewhere, or its file does not say */
	MQ_MEMBER_RUNNING,
	MQ_MEMBER_STOPPED, /* SIGSTOP, Ctrl-Z: it holds what it has, and does nothing */
};

struct mq_member_facts {
	char name[32];
	int64_t pid;       /* -1: unknown */
	uint64_t start;    /* 0: unknown */
	char host[65];     /* empty: unknown */
	enum mq_member_state state;
};

/* fn for each that lives.  A group without members has none; -EACCES where this user may not look. */
int mq_member_each(struct mq_spool *s, const char *group, int (*fn)(void *arg, const struct mq_member_facts *f), void *arg,
                   struct mq_err *err);

#endif
