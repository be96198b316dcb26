/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/thread.h"

#include <signal.h>

int mq_thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
	int rc = pthread_create(ret, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

void mq_thread_join(pthread_t thread)
{
	pthread_join(thread, NULL);
}
