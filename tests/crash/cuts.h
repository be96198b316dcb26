/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the states of a moment are looked at: all of them where they are few, else a fixed choice. */
#ifndef MQ_TESTS_CRASH_CUTS_H
#define MQ_TESTS_CRASH_CUTS_H

#include "disk.h"

/* Called for each choice, with its number at this cut (the same in every run); killed: nothing was lost. */
typedef void cuts_fn(void *arg, const struct choice *c, uint32_t number, bool killed);

/* rot: also with bits turned in what was written. */
void cuts_each(const struct disk *d, size_t cut, bool rot, cuts_fn *fn, void *arg);

#endif
