/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Base64 (RFC 4648, section 4), with padding. */
#ifndef MQ_OPS_B64_H
#define MQ_OPS_B64_H

#include "base/buf.h"

int mq_b64_encode(struct mq_buf *out, const void *bytes, size_t n); /* 0 or -ENOMEM */
int mq_b64_decode(struct mq_buf *out, const char *text, size_t n);  /* 0, -ENOMEM; -EINVAL: it is none */

#endif
