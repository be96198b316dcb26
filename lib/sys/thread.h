/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second thread, where waiting for the disk and the next writes go on at once (ops/syncer.h).
 * It has all signals blocked, so handlers run in the thread that knows what to stop.
 */
#ifndef MQ_SYS_THREAD_H
#define MQ_SYS_THREAD_H

#include <pthread.h>

/* 0, or -EAGAIN where the system has no more of them. */
int mq_thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg);
void mq_thread_join(pthread_t thread);

#endif
