/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The writer pays for watchers only when someone sleeps: a sleeper read-locks the bell, looks at the tail
 * once more and then waits; the writer publishes, then asks whether that lock is held.  A writer that dies
 * between the two is heard all the same: the kernel closes its bell, and sleepers watch for that too.
 */
#include "log/internal.h"
#include "sys/sys.h"

void mq_log_ring(struct mq_log *log)
{
	if (mq_sys->lock_test(log->bell, MQ_LOCK_WRITE, 0, 1) == 0)
		return;
	(void)mq_sys->pwrite(log->bell, "", 1, 0); /* a bell that cannot ring is covered by the sleeper's poll */
}
