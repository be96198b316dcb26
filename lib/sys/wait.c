/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/wait.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"
#include "sys/wait_internal.h"

/* What always is watched for: with the descriptor open, an unlink shows as a changed link count. */
#define GOES_AWAY (IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
/* After these a watch says no more, or speaks of a file that is no longer at its place. */
#define WENT_AWAY (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)

enum { RETRY_TICKS = 32 };

struct mq_wait_slot {
	bool used;
	int fd;
	int wd;          /* 0: not watched */
	int polled;      /* why it is polled, or 0 */
	uint32_t events; /* asked for */
	uint32_t came;   /* gathered for the next return of mq_wait_for */
	uint32_t told;   /* by the last one */
	unsigned times;  /* how often something was told */
};

static struct mq_wait *all; /* the events of one are read by any */
static bool read_ahead;     /* removing a watch may leave events that no poll shows */

static void forget(struct mq_wait *w)
{
	struct mq_wait **at = &all;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
}

void mq_wait_init(struct mq_wait *w)
{
	*w = (struct mq_wait){.next = all};
	all = w;
}

void mq_wait_release(struct mq_wait *w)
{
	if (!w)
		return;
	for (int i = 0; i < w->slots_n; i++)
		mq_wait_unwatch(w, i);
	forget(w);
	if (w->fds_n > 0 && w->fds[AT_SIGNALS].fd >= 0)
		mq_sys->close(w->fds[AT_SIGNALS].fd);
	if (w->masked)
		mq_sys->signal_mask(SIG_SETMASK, &w->mask_before, NULL);
	free(w->slots);
	free(w->fds);
	*w = (struct mq_wait){0};
}

/* --- descriptors ---------------------------------------------------------------------------- */

int mq_wait_more_fds(struct mq_wait *w, int n)
{
	struct pollfd *p;

	if (n <= w->fds_n)
		return 0;
	p = realloc(w->fds, (size_t)n * sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (int i = w->fds_n; i < n; i++)
		p[i] = (struct pollfd){.fd = -1};
	w->fds = p;
	w->fds_n = n;
	return 0;
}

int mq_wait_fd(struct mq_wait *w, int fd, short events)
{
	int i = AT_CALLER;

	/* free: neither a descriptor nor one that is turned off */
	while (i < w->fds_n && w->fds[i].fd != -1)
		i++;
	if (mq_wait_more_fds(w, i + 1) < 0)
		return -ENOMEM;
	mq_wait_fd_set(w, i - AT_CALLER, fd, events);
	return i - AT_CALLER;
}

void mq_wait_fd_set(struct mq_wait *w, int number, int fd, short events)
{
	int i = number + AT_CALLER;

	assert(number >= 0 && i < w->fds_n);
	/* poll passes over negative descriptors; -2-fd keeps the number from being given out again */
	w->fds[i] = (struct pollfd){.fd = fd >= 0 && !events ? -2 - fd : fd, .events = events};
}

short mq_wait_ready(const struct mq_wait *w, int number)
{
	assert(number >= 0 && number + AT_CALLER < w->fds_n);
	return w->fds[number + AT_CALLER].revents;
}

/* --- watches -------------------------------------------------------------------------------- */

static bool may_come_back(int why)
{
	return why == -EMFILE || why == -ENFILE || why == -ENOSPC || why == -ENOMEM || why == -EAGAIN;
}

static void slot_poll(struct mq_wait *w, struct mq_wait_slot *s, int why)
{
	s->polled = why;
	if (!w->tick_ns)
		w->tick_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + MQ_WAIT_POLL_NS;
}

void mq_wait_first(void)
{
	(void)mq_sys->watch_open();
}

static int slot_try(struct mq_wait *w, struct mq_wait_slot *s)
{
	char path[40];
	int r = mq_sys->watch_open();

	if (r < 0)
		return r;
	w->fds[AT_INOTIFY] = (struct pollfd){.fd = r, .events = POLLIN};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	r = mq_sys->watch_add(path, s->events | GOES_AWAY);
	if (r < 0)
		return r;
	s->wd = r;
	s->polled = 0;
	return 0;
}

int mq_wait_watch(struct mq_wait *w, int fd, uint32_t events, bool trusted)
{
	struct mq_wait_slot *s;
	int i = 0, why;

	if (mq_wait_more_fds(w, AT_CALLER) < 0)
		return -ENOMEM;
	while (i < w->slots_n && w->slots[i].used)
		i++;
	if (i == w->slots_n) {
		s = realloc(w->slots, (size_t)(i + 1) * sizeof(*s));
		if (!s)
			return -ENOMEM;
		w->slots = s;
		w->slots_n++;
	}
	s = &w->slots[i];
	*s = (struct mq_wait_slot){.used = true, .fd = fd, .events = events};
	why = trusted ? slot_try(w, s) : -EOPNOTSUPP;
	if (why < 0)
		slot_poll(w, s, why);
	return i;
}

void mq_wait_let_go(struct mq_wait *w, int slot)
{
	w->slots[slot].fd = -1;
}

unsigned mq_wait_times(const struct mq_wait *w, int slot)
{
	return w->slots[slot].times;
}

uint32_t mq_wait_events(const struct mq_wait *w, int slot)
{
	assert(slot >= 0 && slot < w->slots_n);
	return w->slots[slot].told;
}

int mq_wait_polled(const struct mq_wait *w, int slot)
{
	assert(slot >= 0 && slot < w->slots_n);
	return w->slots[slot].polled;
}

/* The kernel has one watch for a file, however many slots want it. */
static bool wanted(int wd)
{
	for (const struct mq_wait *w = all; w; w = w->next)
		for (int i = 0; i < w->slots_n; i++)
			if (w->slots[i].used && w->slots[i].wd == wd)
				return true;
	return false;
}

static void slot_unwatch(struct mq_wait_slot *s)
{
	int wd = s->wd;

	s->wd = 0;
	if (wd > 0 && !wanted(wd)) {
		mq_sys->watch_remove(wd);
		read_ahead = true;
	}
}

void mq_wait_unwatch(struct mq_wait *w, int slot)
{
	assert(slot >= 0 && slot < w->slots_n);
	w->slots[slot].used = false;
	slot_unwatch(&w->slots[slot]);
	w->slots[slot] = (struct mq_wait_slot){0};
}

void mq_wait_keep(struct mq_wait *w, int slots)
{
	for (int i = slots; i < w->slots_n; i++)
		mq_wait_unwatch(w, i);
	w->slots_n = slots < w->slots_n ? slots : w->slots_n;
	w->fds_n = w->fds_n < AT_CALLER ? w->fds_n : AT_CALLER;
}

static void slot_take(struct mq_wait *w, struct mq_wait_slot *s, uint32_t events)
{
	struct mq_stat st;

	if (events & IN_ATTRIB && s->fd >= 0 && (mq_sys->stat(s->fd, &st) < 0 || st.nlink == 0))
		events |= IN_DELETE_SELF;
	if (events & WENT_AWAY) {
		slot_unwatch(s);
		slot_poll(w, s, -ESTALE);
	}
	/* IN_ATTRIB is ours: the caller gets it only where it was asked for. */
	s->came |= events & (s->events | WENT_AWAY | IN_ISDIR);
}

/* Read all events there are and give each to every slot that it is for. */
static void take_events(void)
{
	uint32_t events;
	int wd;

	read_ahead = false;
	while ((wd = mq_sys->watch_next(&events)) >= 0)
		for (struct mq_wait *w = all; w; w = w->next)
			for (int i = 0; i < w->slots_n; i++) {
				struct mq_wait_slot *s = &w->slots[i];
				if (events & IN_Q_OVERFLOW && s->used)
					s->came |= IN_Q_OVERFLOW;
				else if (s->used && s->wd == wd)
					slot_take(w, s, events);
			}
}

/* The poll that covers what inotify does not: called when the tick has come. */
static void tick(struct mq_wait *w, int64_t now_ns)
{
	bool retry = ++w->ticks % RETRY_TICKS == 0;

	w->tick_ns = 0;
	for (int i = 0; i < w->slots_n; i++) {
		struct mq_wait_slot *s = &w->slots[i];
		if (!s->used || !s->polled)
			continue;
		/* even if the watch can be had now: watch, then look */
		s->came |= IN_Q_OVERFLOW;
		if (retry && s->fd >= 0 && may_come_back(s->polled))
			slot_try(w, s);
		if (s->polled)
			w->tick_ns = now_ns + MQ_WAIT_POLL_NS;
	}
}

/* --- the wait ------------------------------------------------------------------------------- */

static int tell(struct mq_wait *w)
{
	int reasons = 0;

	for (int i = 0; i < w->slots_n; i++) {
		w->slots[i].told = w->slots[i].came;
		w->slots[i].came = 0;
		w->slots[i].times += w->slots[i].told != 0;
		reasons |= w->slots[i].told ? MQ_WAIT_WATCH : 0;
	}
	for (int i = AT_CALLER; i < w->fds_n; i++)
		if (w->fds[i].revents)
			reasons |= MQ_WAIT_FD;
	return reasons;
}

static bool something_came(const struct mq_wait *w)
{
	for (int i = 0; i < w->slots_n; i++)
		if (w->slots[i].came)
			return true;
	return false;
}

/* How long poll may stand still; 0 when there is something to tell already. */
static int64_t patience(const struct mq_wait *w, int64_t now_ns, int64_t deadline_ns)
{
	int64_t until = deadline_ns;

	if (something_came(w))
		return 0;
	if (w->tick_ns && (until < 0 || w->tick_ns < until))
		until = w->tick_ns;
	if (until < 0)
		return -1;
	return until > now_ns ? until - now_ns : 0;
}

int mq_wait_for(struct mq_wait *w, int64_t deadline_ns)
{
	for (;;) {
		int64_t now_ns = 0;
		int r, reasons = 0;

		if (read_ahead)
			take_events();
		if (deadline_ns >= 0 || w->tick_ns)
			now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
		r = mq_sys->poll(w->fds, (unsigned)w->fds_n, patience(w, now_ns, deadline_ns));
		if (r < 0 && r != -EINTR)
			return r;
		if (r == -EINTR) {
			reasons |= MQ_WAIT_SIGNAL;
			for (int i = 0; i < w->fds_n; i++)
				w->fds[i].revents = 0;
		}
		if (w->fds_n > 0 && w->fds[AT_INOTIFY].revents)
			take_events();
		if (w->fds_n > 0 && w->fds[AT_SIGNALS].revents) {
			mq_wait_take_signals(w);
			reasons |= MQ_WAIT_SIGNAL;
		}
		if (deadline_ns >= 0 || w->tick_ns)
			now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
		if (w->tick_ns && now_ns >= w->tick_ns)
			tick(w, now_ns);
		reasons |= tell(w);
		if (!reasons && deadline_ns >= 0 && now_ns >= deadline_ns)
			reasons = MQ_WAIT_DEADLINE;
		if (reasons) {
			w->waits++;
			return reasons;
		}
	}
}
