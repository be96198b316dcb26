/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/handles.h"

#include "sys/sys.h"

enum { FDS_FEW = 32 }; /* so many may always be open */

static bool fits(struct mq_handles *all, int fds)
{
	if (fds <= FDS_FEW)
		return true;
	if (all->max_fds == 0) {
		int max = mq_sys->fds_max() / 2;

		all->max_fds = max > FDS_FEW ? max : FDS_FEW;
	}
	return fds <= all->max_fds;
}

static void take_out(struct mq_handles *all, struct mq_handle *h)
{
	*(h->older ? &h->older->newer : &all->oldest) = h->newer;
	*(h->newer ? &h->newer->older : &all->newest) = h->older;
	h->older = h->newer = NULL;
}

static void put_newest(struct mq_handles *all, struct mq_handle *h)
{
	h->older = all->newest;
	h->newer = NULL;
	*(h->older ? &h->older->newer : &all->oldest) = h;
	all->newest = h;
}

/* Not closed by this. */
static void forget_open(struct mq_handles *all, struct mq_handle *h)
{
	if (h->open && !h->pinned)
		take_out(all, h);
	if (h->open)
		all->open_fds -= h->fds;
	h->open = h->pinned = false;
}

void mq_handles_add(struct mq_handles *all, struct mq_handle *h, int fds, void (*close)(struct mq_handle *h))
{
	*h = (struct mq_handle){.close = close, .fds = fds};
	all->all_fds += fds;
}

void mq_handles_remove(struct mq_handles *all, struct mq_handle *h)
{
	forget_open(all, h);
	all->all_fds -= h->fds;
	h->fds = 0;
}

bool mq_handles_takes(struct mq_handles *all, const struct mq_handle *h)
{
	return !h->open && !fits(all, all->open_fds + h->fds);
}

void mq_handles_use(struct mq_handles *all, struct mq_handle *h)
{
	if (h->pinned || all->newest == h)
		return;
	while (all->oldest && mq_handles_takes(all, h)) {
		struct mq_handle *oldest = all->oldest;

		forget_open(all, oldest);
		oldest->close(oldest);
	}
	if (h->open)
		take_out(all, h);
	else
		all->open_fds += h->fds;
	h->open = true;
	put_newest(all, h);
}

void mq_handles_pin(struct mq_handles *all, struct mq_handle *h)
{
	if (h->open && !h->pinned) {
		take_out(all, h);
		h->pinned = true;
	}
}

void mq_handles_unpin(struct mq_handles *all, struct mq_handle *h)
{
	if (h->pinned) {
		h->pinned = false;
		put_newest(all, h);
	}
}

bool mq_handles_scarce(struct mq_handles *all)
{
	return !fits(all, all->all_fds);
}
