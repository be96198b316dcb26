/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --to, --partitions, --one of the tools that read as a group. */
#ifndef MQ_BIN_TO_H
#define MQ_BIN_TO_H

#include "cli.h"

/* Do they go together, with each other and with the options of handlers and of printing?  0, or the status. */
int to_check(struct cli *cli, const struct mq_consume_request *r, bool coproc);

#endif
