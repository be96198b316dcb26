/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second thread, for the one place where waiting for the disk and reading input go on at once.
 * It has all signals blocked, so handlers run in the thread that knows what to stop.
 */
#ifndef MQ_SYS_THREAD_H
#define MQ_SYS_THREAD_H

#include <pthread.h>

/* 0, or -EAGAIN where the system has no more of them. */
int mq_thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg);
void mq_thread_join(pthread_t thread);

#endif
