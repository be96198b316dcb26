/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members of a group: groups/GROUP/members/NAME
 *
 * The name is random; the file is locked (byte 0) before it has it, so whoever sees it unlocked knows that its process is
 * gone.  What stands in it is for people, written before it is named and never changed: key=value lines, the last of
 * them "whole=1", without which none counts
 *
 *   pid, start   of the process: its number, and when it began, in clock ticks after boot, since numbers come back
 *   host, room   where it runs; room: of whatever its user calls so
 *   topics       what it reads, by commas; TOPIC:P where it reads that partition alone, and will have it from no assignment
 *
 * It counts where partitions are assigned from when it says so (byte 1), which is when it has been there for a moment: one
 * that comes for the little there is, and goes, moves nothing.  Until then it takes what is free.
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
	bool counts;
	bool sharing;           /* it takes partitions beside others (claims.h) */
	bool makes_none;        /* it acts for a group that is there, and makes nothing of it */
	struct mq_group_share *shares; /* of those who own something */
};

/* What a member says of itself. */
struct mq_member_wish {
	const char *const *topics;
	size_t n_topics;
	const char *room; /* NULL: none */
};

/* On a full disk without a name: it works, and nobody hears of its end.  wish NULL: it is there for a moment, and never
 * counts.  MQ_EUSAGE: a wish that its file cannot hold. */
int mq_membership_join(struct mq_membership *ret, struct mq_spool *s, const char *group, const struct mq_member_wish *wish,
                       struct mq_err *err);
/* From now on it counts; the others are woken.  Again: nothing. */
int mq_membership_count(struct mq_membership *m, struct mq_err *err);
/* Wake all members: something of who owns what, or is to own it, has changed. */
int mq_membership_ring(struct mq_membership *m, struct mq_err *err);
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
	bool counts;
	char room[201];    /* empty: none */
	const char *topics; /* by commas; valid during the call */
	size_t topics_len;
};

enum mq_member_depth {
	MQ_MEMBER_WISHES, /* all but the state of its process, which stays MQ_MEMBER_ALIVE: cheaper */
	MQ_MEMBER_WHOLE,
};

/* fn for each that lives.  A group without members has none; -EACCES where this user may not look. */
int mq_member_each(struct mq_spool *s, const char *group, enum mq_member_depth depth,
                   int (*fn)(void *arg, const struct mq_member_facts *f), void *arg, struct mq_err *err);

#endif
