/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engines there are. */
#include "api/engine_spool.h"

#include <assert.h>
#include <string.h>

enum { ENGINES_MAX = 8, SCHEME_MAX = 16 };

static const struct mq_engine *engines[ENGINES_MAX];
static size_t engines_n;

void mq_engine_register(const struct mq_engine *e)
{
	assert(engines_n < ENGINES_MAX);
	engines[engines_n++] = e;
}

static const struct mq_engine *by_scheme(const char *scheme, size_t len)
{
	for (size_t i = 0; i < engines_n; i++)
		if (strlen(engines[i]->scheme) == len && memcmp(engines[i]->scheme, scheme, len) == 0)
			return engines[i];
	return NULL;
}

/* Bytes of the scheme in front of a colon; 0: a path.  "./a:b" and "/a:b" are paths. */
static size_t scheme_len(const char *where)
{
	size_t n = strspn(where, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
	return n > 0 && n <= SCHEME_MAX && where[n] == ':' && where[0] != '.' ? n : 0;
}

const struct mq_engine *mq_engine_for(const char *where)
{
	size_t n = scheme_len(where);
	if (n && (n != 4 || memcmp(where, "file", 4) != 0))
		return by_scheme(where, n);
	const struct mq_engine *e = by_scheme("file", 4);
	return e ? e : &mq_engine_file; /* the spool, unless a program brought another */
}
