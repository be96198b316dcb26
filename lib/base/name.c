/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/name.h"

#include <string.h>

static bool legal(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '_' || c == '-';
}

bool mq_name_ok(const char *name, size_t len)
{
	if (len == 0 || len > MQ_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!legal(name[i]))
			return false;
	bool dots = name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
	return !dots;
}

int mq_name_check(const char *name, const char *what, struct mq_err *err)
{
	size_t len = strlen(name);
	if (mq_name_ok(name, len))
		return 0;
	if (len == 0)
		return mq_err_set(err, MQ_EUSAGE, "an empty %s name", what);
	if (len > MQ_NAME_MAX)
		return mq_err_set(err, MQ_EUSAGE, "%s name of %zu bytes: %d at most", what, len, MQ_NAME_MAX);
	return mq_err_set(err, MQ_EUSAGE, "bad %s name '%s': letters, digits, '.', '_' and '-' only, and not '.' or '..'",
	                  what, name);
}
