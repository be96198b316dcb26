/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peak COMMAND...: prints, on fd 3, how long it took, in microseconds, and the most memory it had, in KiB.  What starts a program
 * counts towards its memory until it is another one: so it must be small, which no interpreter is.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	int64_t begun_us = now_us();
	struct rusage used;
	int status;
	pid_t pid;

	if (argc < 2)
		return 64;
	pid = fork();
	if (pid == 0) {
		close(3);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &used) < 0 || dprintf(3, "%" PRId64 " %ld\n", now_us() - begun_us, used.ru_maxrss) < 0)
		return 74;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 70;
}
