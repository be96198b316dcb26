/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The members of a group that count, and what they read of some topics: the facts that assignment goes by, the same for
 * everybody who looks.
 *
 * A member that reads TOPIC takes part in giving out all of it.  One that reads TOPIC:P has that partition and no other: it is
 * the first such member's, by name, whatever the strategy says.
 */
#ifndef MQ_SPOOL_CROWD_H
#define MQ_SPOOL_CROWD_H

#include "base/name.h"
#include "spool/member.h"

struct mq_crowd_member {
	char name[32], host[65], room[MQ_NAME_MAX + 1];
	size_t row;          /* of `reads` */
};

struct mq_crowd_pin {
	size_t topic, row;
	uint32_t partition;
};

enum mq_crowd_who {
	MQ_CROWD_COUNTED,
	MQ_CROWD_LIVING, /* those who do not count yet, too; they read nothing then */
	MQ_CROWD_ALONE,  /* one member, as if it counted and nobody else were there */
};

struct mq_crowd {
	const char *const *topics; /* borrowed, by rising name */
	size_t n_topics;
	struct mq_crowd_member *v; /* by rising name */
	size_t n, cap;
	uint64_t *reads;           /* of each member a row of bits, one a topic */
	size_t words;              /* of a row */
	struct mq_crowd_pin *pins;
	size_t n_pins, cap_pins;
	enum mq_crowd_who who;
	const char *one;           /* that is alone */
	struct mq_err *err;        /* while it gathers */
};

/* Those who read any of the topics, which must live as long.  MQ_ECONFIG: they are too many; -ENOMEM; -EACCES.  Release it in any case. */
int mq_crowd_gather(struct mq_crowd *ret, struct mq_spool *s, const char *group, const char *const *topics, size_t n_topics,
                    enum mq_crowd_who who, const char *one, struct mq_err *err);
void mq_crowd_release(struct mq_crowd *c);

/* The member of that name; -1. */
int32_t mq_crowd_find(const struct mq_crowd *c, const char *name);

static inline bool mq_crowd_reads(const struct mq_crowd *c, size_t member, size_t topic)
{
	return c->reads[c->v[member].row * c->words + topic / 64] >> topic % 64 & 1;
}

#endif
