/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sorted files (once_file.h) of a partition: which there are, which are needed, which are made.
 *
 * Each holds 2^k units of offsets, and begins at a multiple of that: two neighbours of one size become one of twice that, up
 * to 2^level_max units.  So every process makes the same file of the same records, and whose rename comes last changes nothing;
 * and of n units there are no more than n / 2^level_max + level_max files.
 */
#ifndef MQ_SPOOL_SORTED_FILES_H
#define MQ_SPOOL_SORTED_FILES_H

#include "spool/once_file.h"
#include "spool/topic.h"

enum { MQ_SORTED_FILES_MAX = 256 };

struct mq_sorted_files {
	const struct mq_topic *topic; /* borrowed */
	int dir;                      /* borrowed: of its partition */
	uint32_t partition;
	unsigned unit_log2, level_max;
	const char *advice;           /* against too many of them; NULL: none */
	uint64_t log_start, wanted;   /* kept up to date by the user: what is held, and from where on files are wanted */
	uint64_t floor;               /* entries of offsets below are left out by merging */
	struct mq_once_file v[MQ_SORTED_FILES_MAX]; /* what is there, as far as it is wanted, in order */
	size_t n;
};

/* Find the files that cover what is wanted and held; *ret_end: how far they do. */
int mq_sorted_files_load(struct mq_sorted_files *o, uint64_t *ret_end, struct mq_err *err);
/* Of those that were just found and reach beyond the log none is kept: they were made of another one, before a backup was put back, or
 * came into a copy behind what they were made of, and of other records at these offsets they would know nothing. */
int mq_sorted_files_cut(struct mq_sorted_files *o, struct mq_cursor *c, uint64_t *end, struct mq_err *err);
void mq_sorted_files_release(struct mq_sorted_files *o);
/* The sorted entries of the unit that ends at `end` as a file; and neighbours that make a whole of twice the size as one. */
int mq_sorted_files_add(struct mq_sorted_files *o, uint64_t end, const struct mq_ids_entry *entries, size_t n, struct mq_err *err);
/* One of them does not verify: remove it; what it held is read from the log again. */
void mq_sorted_files_remove(struct mq_sorted_files *o, size_t i);

#endif
