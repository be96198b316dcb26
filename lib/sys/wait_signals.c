/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals that end a wait. */
#include <assert.h>
#include <errno.h>
#include <sys/signalfd.h>

#include "sys/hold.h"
#include "sys/sys.h"
#include "sys/wait_internal.h"

int mq_wait_signals(struct mq_wait *w, const sigset_t *set)
{
	int fd, r;

	assert(!w->masked);
	if (mq_wait_more_fds(w, AT_CALLER) < 0)
		return -ENOMEM;
	fd = mq_sys->signal_fd(set);
	if (fd < 0)
		return fd;
	r = mq_sys->signal_mask(SIG_BLOCK, set, &w->mask_before);
	if (r < 0) {
		mq_sys->close(fd);
		return r;
	}
	w->masked = true;
	w->asked = *set;
	sigemptyset(&w->came);
	w->fds[AT_SIGNALS] = (struct pollfd){.fd = fd, .events = POLLIN};
	return 0;
}

void mq_wait_take_signals(struct mq_wait *w)
{
	struct signalfd_siginfo si[8];
	ssize_t n;

	do {
		n = mq_sys->read(w->fds[AT_SIGNALS].fd, si, sizeof(si));
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(si[0]); i++) {
			int sig = (int)si[i].ssi_signo;
			sigaddset(&w->came, sig);
			if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP)
				mq_stop_request(sig);
		}
	} while (n == (ssize_t)sizeof(si));
}

int mq_wait_signal(struct mq_wait *w)
{
	if (!w->masked)
		return 0;
	for (int sig = 1; sig < 65; sig++)
		if (sigismember(&w->came, sig) == 1) {
			sigdelset(&w->came, sig);
			return sig;
		}
	return 0;
}
