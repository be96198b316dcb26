/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "sys/sys.h"

void mq_process_read(const char *path, char *ret, size_t cap)
{
	int fd = mq_sys->open_path(path, O_RDONLY, 0);
	ssize_t n = fd < 0 ? fd : mq_sys->read(fd, ret, cap - 1);

	if (fd >= 0)
		(void)mq_sys->close(fd);
	ret[n > 0 ? n : 0] = 0;
}

/* /proc/PID/stat: field 3 is the state, field 22 the start; field 2, the command's name in brackets, may hold anything. */
uint64_t mq_process_ask(int64_t pid, char *ret_state)
{
	char path[40], text[1024], *at;
	unsigned long long start = 0;

	snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
	mq_process_read(path, text, sizeof text);
	at = strrchr(text, ')');
	*ret_state = '?';
	if (!at || sscanf(at + 1, " %c%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%llu", ret_state, &start) != 2)
		return 0;
	return start;
}

bool mq_process_is_stopped(char state)
{
	return state == 'T' || state == 't';
}
