/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two halves of the flips helper share. */
#ifndef MQ_TESTS_FLIPS_H
#define MQ_TESTS_FLIPS_H

#include "spool/spool.h"
#include "spool/topic.h"

/* End with the reason: in a test program nothing is undone. */
_Noreturn void flips_die(const char *what, const struct mq_err *err);

/* A small spool with all that the format has. */
void flips_make(const char *path);

#endif
