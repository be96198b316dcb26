/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel tells of processes of this machine (proc(5)). */
#ifndef MQ_SPOOL_PROCESS_H
#define MQ_SPOOL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When it began, in clock ticks after boot, and its state, one letter.  0: there is no such process, and *ret_state is '?'. */
uint64_t mq_process_ask(int64_t pid, char *ret_state);
/* SIGSTOP, Ctrl-Z, a debugger: it does nothing, and keeps what it holds. */
bool mq_process_is_stopped(char state);
/* The beginning of a small file of the kernel's; empty where it cannot be had. */
void mq_process_read(const char *path, char *ret, size_t cap);

#endif
