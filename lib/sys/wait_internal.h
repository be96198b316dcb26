/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of wait.h share. */
#ifndef MQ_SYS_WAIT_INTERNAL_H
#define MQ_SYS_WAIT_INTERNAL_H

#include "sys/wait.h"

enum { AT_INOTIFY, AT_SIGNALS, AT_CALLER }; /* of mq_wait.fds */

/* Room for n in fds; -ENOMEM. */
int mq_wait_more_fds(struct mq_wait *w, int n);
/* The signalfd is readable. */
void mq_wait_take_signals(struct mq_wait *w);

#endif
