/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs of mq-group share: mq-group.c has them but for those that look, list and show. */
#ifndef MQ_BIN_GROUP_H
#define MQ_BIN_GROUP_H

#include "cli.h"

struct member {
	struct mq_member_info info;
	unsigned partitions; /* that it was shown to own */
	bool evicted;        /* it is no member any more, and lives */
	struct member *next;
	/* mq-group_members.c, as far as shown: */
	char *has;           /* "orders:0-3,8 audit:0" */
	size_t len, room;
	char topic[256];     /* the last one in it, and its last range */
	uint32_t first, last;
	uint64_t lag;
	double rate;
};

struct args {
	struct cli cli;
	struct member *members; /* of the group that is shown, by name from the last */
	const char *group, *offset, *member;
	int64_t partition;
	bool json, dry_run, force;
	struct cli_table table;
	struct cli_texts groups;
	int64_t only;     /* the partition shown; -1: all */
	unsigned shown;   /* partitions; of evict: what was evicted */
	unsigned unread;  /* of these */
	bool by_member;
	int64_t interval_ns;  /* between the two looks that tell a rate; 0: one look */
	struct first_look *looks;
	size_t n_looks, cap_looks, at_look;
	struct member nobody, sharers; /* of the group that is shown: what none of its members has, and what no one has alone */
};

/* mq-group_list.c: a status; and the name of a group, kept in a->groups: names are borrowed until the next call on the session. */
int group_list(struct args *a);
int group_keep(void *arg, const char *group);

/* mq-group_show.c: a status. */
int group_show(struct args *a, const struct mq_operand *topic);

const char *group_state(const struct member *m); /* "running" … */
void group_json_place(const struct member *m);   /* where it is, and its state: fields of an object */

/* mq-group_holders.c: in the owner's cell; in rows of their own; in the partition's object. */
void group_cell_handlers(struct cli_table *t, const struct mq_group_info *g);
void group_show_holders(struct args *a, const struct mq_group_info *g);
void group_json_holders(const struct mq_group_info *g);

/* mq-group_rate.c: the first of two looks, and the pause behind it; a status.  Then how many records a second the group was done
 * with in between, as its place tells; negative: it has moved back, or was not there. */
int group_first_look(struct args *a, const char *topic);
double group_rate(struct args *a, const struct mq_group_info *g);
void group_forget_looks(struct args *a);

/* mq-group_members.c: a line a member, of what was added; and free it. */
int group_add_to_member(struct args *a, const struct mq_group_info *g, struct member *m, double rate);
void group_print_members(struct args *a, const char *group);

/* mq-group_evict.c: the same. */
int group_evict(struct args *a, const struct mq_operand *topic);

#endif
