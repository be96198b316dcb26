/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting: the one place where mq stands still for something that is not a lock or a disk.
 *
 * A struct mq_wait waits at once for
 *
 *   - changes to files and directories (inotify),
 *   - descriptors: stdin, pipes, pidfds,
 *   - signals, taken through a signalfd,
 *   - a deadline on the monotonic clock.
 *
 * The order that loses nothing is: watch, look, wait.  What happens between the look and the wait
 * ends the wait at once.  A wake-up may be in vain; there is none that comes never.
 *
 *	struct mq_wait w;
 *	mq_wait_init(&w);
 *	bell = mq_wait_watch(&w, bell_fd, IN_MODIFY, true);
 *	in = mq_wait_fd(&w, 0, POLLIN);
 *	mq_wait_signals(&w, &stop_set);
 *	while (nothing to do yet && !mq_stop_requested())
 *		reasons = mq_wait_for(&w, -1);
 *	mq_wait_release(&w);
 *
 * Where inotify does not reach, mq_wait_for wakes up every MQ_WAIT_POLL_NS by itself and tells the
 * caller to look (IN_Q_OVERFLOW among the events of that slot).  It does so for a slot
 *
 *   - whose file system is not trusted to tell (the caller says so),
 *   - for which no instance or no watch could be had: EMFILE, ENOSPC, EACCES, no /proc …;
 *     where the limit may go away it is tried again every second or two,
 *   - whose file was removed, moved or unmounted, until the caller watches another.
 *
 * When the kernel's queue overflowed, every slot is told once to look; nothing is polled for it.
 *
 * Nothing is opened before it is needed: a process that never watches has no inotify instance.
 * Not for several threads at once: libinotifytools keeps one instance a process.  Several
 * mq_waits in one thread are fine; each gets its own events whoever reads them.
 */
#ifndef MQ_SYS_WAIT_H
#define MQ_SYS_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>

#define MQ_WAIT_POLL_NS INT64_C(50000000)

enum {
	MQ_WAIT_DEADLINE = 1, /* it has passed, and nothing else came */
	MQ_WAIT_WATCH = 2,    /* some slot has events: mq_wait_events */
	MQ_WAIT_FD = 4,       /* some descriptor is ready: mq_wait_ready */
	MQ_WAIT_SIGNAL = 8,   /* a signal came: mq_wait_signal; or a handler ran */
};

struct mq_wait_slot; /* a watched file, private */

struct mq_wait {
	struct mq_wait_slot *slots;
	struct pollfd *fds; /* [0] inotify, [1] signals, then the caller's */
	int slots_n, fds_n;
	int64_t tick_ns;    /* when polled slots are looked at again; 0: none is polled */
	unsigned ticks;
	uint64_t waits;     /* how often mq_wait_for has returned */
	bool masked;        /* mq_wait_signals changed the mask */
	sigset_t mask_before, asked, came;
	struct mq_wait *next; /* all that live */
};

/* The one thing that a wait opens is opened now, before whatever is to be closed sooner when this process is killed.  That it
 * cannot be had is dealt with when it is needed. */
void mq_wait_first(void);

void mq_wait_init(struct mq_wait *w);

/* Removes the watches, closes the signalfd and puts the signal mask back; the caller's descriptors
 * stay open. */
void mq_wait_release(struct mq_wait *w);

/* Watch the file or directory open as fd for these inotify events (IN_MODIFY, IN_CREATE …); that
 * a file goes away is watched always, and told as IN_DELETE_SELF.  (Of a directory that is removed
 * while it is open Linux tells nothing: who must know watches its parent.)  trusted: the file
 * system delivers events.  fd must stay open as long as the slot.  Returns the slot; -ENOMEM is the only failure,
 * since what cannot be watched is polled. */
int mq_wait_watch(struct mq_wait *w, int fd, uint32_t events, bool trusted);

/* Its descriptor may be closed from now on, the slot stays.  Whether the file lost its name can then no longer be seen: who
 * must know asks for IN_ATTRIB, and looks; and what cannot be watched now is polled for as long as the slot is there. */
void mq_wait_let_go(struct mq_wait *w, int slot);

/* Give up a slot; its number may be given out again. */
void mq_wait_unwatch(struct mq_wait *w, int slot);

/* Give up all slots from this number on, and all descriptors: what is waited for beside the first slots changes, and these miss
 * nothing meanwhile. */
void mq_wait_keep(struct mq_wait *w, int slots);

/* What the last mq_wait_for found for this slot: inotify's bits; IN_Q_OVERFLOW: look for yourself;
 * 0: nothing.  Valid until the next mq_wait_for. */
uint32_t mq_wait_events(const struct mq_wait *w, int slot);

/* In how many waits something was found for this slot: one that looks now and then sees whether it missed something. */
unsigned mq_wait_times(const struct mq_wait *w, int slot);

/* Why this slot is polled: a negative errno (-EMFILE, -ENOSPC, -EACCES …; -EOPNOTSUPP: not
 * trusted; -ESTALE: the file went away); 0: it is watched. */
int mq_wait_polled(const struct mq_wait *w, int slot);

/* Wait for a descriptor as poll(2) does.  Returns its number here, or -ENOMEM. */
int mq_wait_fd(struct mq_wait *w, int fd, short events);

/* Change what is waited for; events 0 turns it off, its end and its errors too, until turned on
 * again.  fd -1 gives the number up. */
void mq_wait_fd_set(struct mq_wait *w, int number, int fd, short events);

/* revents of the last mq_wait_for. */
short mq_wait_ready(const struct mq_wait *w, int number);

/* From now on these signals are blocked and end a wait instead.  Once a mq_wait; may fail like
 * signalfd(2).  SIGINT, SIGTERM and SIGHUP also set the flag of hold.h. */
int mq_wait_signals(struct mq_wait *w, const sigset_t *set);

/* Takes one signal that came; 0 when there is none left. */
int mq_wait_signal(struct mq_wait *w);

/* Wait until one of them happens, or until deadline_ns of MQ_CLOCK_MONOTONIC; -1: for ever; one in
 * the past (0): only look.  Returns MQ_WAIT_… bits (never 0), or a negative errno of poll. */
int mq_wait_for(struct mq_wait *w, int64_t deadline_ns);

#endif
