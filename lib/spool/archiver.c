/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of its own, so that a tool that makes no archives is not linked with what makes them. */
#include "spool/archive.h"

const struct mq_archiver *mq_archiver;
