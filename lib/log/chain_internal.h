/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the chain ask of each other. */
#ifndef MQ_LOG_CHAIN_INTERNAL_H
#define MQ_LOG_CHAIN_INTERNAL_H

#include "log/chain.h"

int mq_chain_epoch_cmp(const struct mq_epoch *a, const struct mq_epoch *b);

/* chain_guess.c.  1: the file of the highest base below stands in, and h names it; 0: there is none. */
int mq_chain_guess(int dir, struct mq_segment_header *h, struct mq_err *err);

#endif
