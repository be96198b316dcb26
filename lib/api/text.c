/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of its own: who needs no more of the library links no more. */
#include "api/mq.h"
#include "base/utf8.h"

size_t mq_printable(const char *text, size_t n)
{
	size_t len = mq_utf8_len(text, n);

	return mq_utf8_prints(text, len) ? len : 0;
}
