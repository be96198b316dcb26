/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * groups/GROUP/group.conf: read by whoever plans, replaced whole by who sets a strategy.
 *
 *     mq_assign_conf_init(&c);
 *     rc = mq_group_conf_read(spool, "billing", &c, err);            … mq_assign_conf_release(&c);
 */
#ifndef MQ_SPOOL_GROUP_CONF_H
#define MQ_SPOOL_GROUP_CONF_H

#include "spool/assign_conf.h"
#include "spool/spool.h"

/* Into c, which was just init'ed.  A group without the file, or that is not there, has the defaults.  MQ_ECONFIG: it does not
 * hold. */
int mq_group_conf_read(struct mq_spool *s, const char *group, struct mq_assign_conf *c, struct mq_err *err);

struct mq_group_conf_change {
	const char *const *set;  /* "key=value"; an empty value takes a room.NAME or assign.NAME away */
	size_t n;
	bool forget_assigns;     /* what assign.* lines there are go first */
};

/* The configuration as it is with the change, checked, into c, which was just init'ed; and unless dry_run durably in its place: what
 * others change at the same moment is not undone.  A group that is not there is made.  *ret_changed: the text is another.
 * Members at work hear of it as it comes to count.  MQ_EUSAGE. */
int mq_group_conf_change(struct mq_spool *s, const char *group, const struct mq_group_conf_change *change, bool dry_run,
                         struct mq_assign_conf *c, bool *ret_changed, struct mq_err *err);

#endif
