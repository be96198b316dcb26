/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/hold.h"

#include <assert.h>
#include <signal.h>

#include "sys/sys.h"

static _Thread_local struct {
	unsigned depth;
	sigset_t before;
} held;

static volatile sig_atomic_t stop_signal;

static void block(sigset_t *ret_before)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	sigset_t set;

	sigfillset(&set);
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	mq_sys->signal_mask(SIG_BLOCK, &set, ret_before);
}

void mq_hold_signals(void)
{
	if (held.depth++ == 0)
		block(&held.before);
}

void mq_hold_wait_begins(void)
{
	sigset_t set = held.before;

	if (held.depth != 1)
		return;
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGTTIN);
	sigaddset(&set, SIGTTOU);
	mq_sys->signal_mask(SIG_SETMASK, &set, NULL);
}

void mq_hold_wait_ends(void)
{
	if (held.depth == 1)
		block(NULL);
}

void mq_unhold_signals(void)
{
	assert(held.depth > 0);
	if (--held.depth == 0)
		mq_sys->signal_mask(SIG_SETMASK, &held.before, NULL);
}

void mq_stop_request(int sig)
{
	if (!stop_signal)
		stop_signal = sig;
}

int mq_stop_requested(void)
{
	return stop_signal;
}
