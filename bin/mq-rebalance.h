/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the modes of mq-rebalance share: mq-rebalance.c finds out which is asked for, each is a file of its own. */
#ifndef MQ_BIN_REBALANCE_H
#define MQ_BIN_REBALANCE_H

#include "cli.h"

struct args {
	struct cli cli;
	const char *group, *assign;
	struct cli_texts set;
	int strategy;
	bool json, dry_run, spread, no_barrier;
	uint32_t partitions; /* so many a topic is to have; 0: not asked */
};

/* Each mode: the spool is open; a status.  mq-rebalance_group.c: partitions over a group's members. */
int rebalance_group(struct args *a);
/* mq-rebalance_spread.c: what a group has not read over the partitions; opens the spool itself. */
int rebalance_spread(struct args *a);
/* mq-rebalance_grow.c: more partitions for a topic; opens the spool itself. */
int rebalance_grow(struct args *a);

/* mq-rebalance_file.c: the lines of --assign as "assign.N=PATTERN:PARTITIONS", added to the list; 0 or a status. */
int rebalance_read_assign(struct args *a, struct cli_texts *list);

/* ---- what is printed of a group ---- */
enum { NOBODY = -1, TOGETHER = -2 }; /* whose a partition is, where it is no member's: members share it (--share) */
struct shares {
	struct cli *cli;
	const char *group;
	bool sets;                       /* who will have what is shown, too */
	bool dry_run;
	struct mq_member_info *members;  /* n_members, by name */
	size_t n_members, cap_members;
	struct share_part {
		const char *topic;           /* borrowed from `topics` */
		uint32_t partition;
		int now, next;               /* indices of members, or NOBODY, or TOGETHER */
		uint32_t sort, readers, shared;
	} *parts;                        /* n_parts, by topic and partition */
	size_t n_parts, cap_parts;
};
/* mq-rebalance_print.c */
void shares_print_json(const struct shares *s, const struct mq_rebalance_report *report);
void shares_print_table(const struct shares *s, const struct mq_rebalance_report *report);
/* mq-rebalance_hints.c: what a person would want to know, on stderr. */
void shares_hint(const struct shares *s, const struct mq_rebalance_report *report);

/* The parts of one topic from i on, as "0-3,8": those for which member is as wanted.  Into a buffer that lives until the next call;
 * "" where there is none; *ret_end: behind the topic's last. */
const char *shares_list(const struct shares *s, size_t i, bool next, int member, size_t *ret_end);

#endif
