/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-topic delayed and cancel: what waits in a topic until it is due.  Both return the exit status. */
#ifndef MQ_BIN_MQ_TOPIC_H
#define MQ_BIN_MQ_TOPIC_H

#include "cli.h"

/* limited: the first `count` alone, 0 among them. */
int topic_delayed(struct cli *cli, const char *topic, bool limited, uint64_t count, bool json);
int topic_cancel(struct cli *cli, const char *topic, const char *id, bool dry_run);

#endif
