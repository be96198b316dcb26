/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine of scheme "file": a spool directory. */
#ifndef MQ_API_ENGINE_SPOOL_H
#define MQ_API_ENGINE_SPOOL_H

#include "api/engine.h"

extern const struct mq_engine mq_engine_file;

#endif
