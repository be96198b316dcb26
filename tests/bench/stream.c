/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the benches measure that a shell cannot: one record at a time.
 *
 *   stream bare FILE N                       append 100 bytes and fdatasync, N times
 *   stream publish P N SPOOL                 P long-lived publishers (programs on mq.h), each N lines of 100 bytes into the topic
 *                                            T, durable, the next when the last was confirmed
 *   stream topics T N SPOOL                  one program on mq.h: N batches of 10 such lines, written, round robin over the T topics
 *                                            t0, t1, …, which are made where they are missing; a call of mq_publish for each
 *   stream batches N SPOOL                   the same batches in one call, into the topic T, the next when the last was confirmed
 *   stream confirm P N -- COMMAND …          the same through pipes, each COMMAND (a publisher that confirms) driven by a process
 *                                            of its own
 *   stream wake N                            one-way wake-up through inotify between two processes
 *   stream latency N -- PUBLISH … -- CONSUME …   from the write into the publisher's stdin to the arrival at the
 *                                            consumer's stdout
 *
 * Prints: rate per second over all, p50 and p99 in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

_Noreturn void die(const char *what)
{
	fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void report(double *lat, size_t n, double seconds)
{
	qsort(lat, n, sizeof *lat, compare);
	printf("%.0f %.1f %.1f\n", (double)n / seconds, lat[n / 2] * 1e6, lat[n * 99 / 100] * 1e6);
}

void fill_line(char *line, size_t i)
{
	memset(line, 'x', LINE);
	line[snprintf(line, 24, "%zu", i)] = ' ';
	line[LINE - 1] = '\n';
}

static void bare(const char *file, size_t n)
{
	int fd = open(file, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
	double *lat = malloc(n * sizeof *lat), begin = now();
	char line[LINE];

	if (fd < 0 || !lat)
		die(file);
	for (size_t i = 0; i < n; i++) {
		double t = now();

		fill_line(line, i);
		if (write(fd, line, LINE) != LINE || fdatasync(fd) < 0)
			die(file);
		lat[i] = now() - t;
	}
	report(lat, n, now() - begin);
}

struct child {
	pid_t pid;
	int in, out;
};

static struct child start(char **argv)
{
	int a[2], b[2];
	struct child c;

	if (pipe2(a, O_CLOEXEC) < 0 || pipe2(b, O_CLOEXEC) < 0)
		die("pipe");
	c.pid = fork();
	if (c.pid < 0)
		die("fork");
	if (c.pid == 0) {
		dup2(a[0], 0);
		dup2(b[1], 1);
		execvp(argv[0], argv);
		die(argv[0]);
	}
	close(a[0]);
	close(b[1]);
	c.in = a[1];
	c.out = b[0];
	return c;
}

static void finish(struct child *c)
{
	int status;

	close(c->in);
	close(c->out);
	if (waitpid(c->pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "stream: the command failed\n");
		exit(1);
	}
}

static void read_line(int fd)
{
	char c[256];

	for (;;) {
		ssize_t n = read(fd, c, sizeof c);

		if (n <= 0)
			die("no confirmation");
		if (c[n - 1] == '\n')
			return;
	}
}

void wait_for_start(int go)
{
	char byte;

	if (read(go, &byte, 1) < 0)
		die("start signal");
}

/* One publisher, driven in a process of its own so that many run at once. */
static void drive(char **argv, size_t n, double *lat, int go)
{
	struct child c = start(argv);
	char line[LINE];

	for (size_t i = 0; i < WARM; i++) { /* started and warm */
		fill_line(line, i);
		if (write(c.in, line, LINE) != LINE)
			die("write");
		read_line(c.out);
	}
	wait_for_start(go);
	for (size_t i = 0; i < n; i++) {
		double t = now();

		fill_line(line, i);
		if (write(c.in, line, LINE) != LINE)
			die("write");
		read_line(c.out);
		lat[i] = now() - t;
	}
	finish(&c);
}

static void many(size_t procs, size_t n, char **argv, void (*one)(char **argv, size_t n, double *lat, int go))
{
	double *lat = mmap(NULL, procs * n * sizeof *lat, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), begin;
	int go[2], status, bad = 0;

	if (lat == MAP_FAILED || pipe2(go, O_CLOEXEC) < 0)
		die("setup");
	for (size_t p = 0; p < procs; p++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			close(go[1]);
			one(argv, n, lat + p * n, go[0]);
			exit(0);
		}
	}
	poll(NULL, 0, 300 + 20 * (int)procs); /* all of them warm; then one signal for all */
	close(go[0]);
	begin = now();
	close(go[1]);
	while (wait(&status) > 0)
		bad |= status;
	if (bad)
		exit(1);
	report(lat, procs * n, now() - begin);
}

static void wake(size_t n)
{
	char dir[] = "wake-XXXXXX", path[64], buf[4096];
	double *lat = malloc(n * sizeof *lat), *sent = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int back[2], fd, ino;
	pid_t pid;

	if (!mkdtemp(dir) || pipe(back) < 0)
		die(dir);
	snprintf(path, sizeof path, "%s/bell", dir);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	ino = inotify_init1(IN_CLOEXEC);
	if (fd < 0 || ino < 0 || inotify_add_watch(ino, path, IN_MODIFY) < 0)
		die(path);
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < n; i++) {
			char b;

			if (read(back[0], &b, 1) != 1)
				_exit(1);
			*sent = now();
			if (pwrite(fd, "", 1, 0) != 1)
				_exit(1);
		}
		_exit(0);
	}
	for (size_t i = 0; i < n; i++) {
		struct pollfd p = {ino, POLLIN, 0};

		if (write(back[1], "", 1) != 1 || poll(&p, 1, 5000) != 1 || read(ino, buf, sizeof buf) <= 0)
			die("wake");
		lat[i] = now() - *sent;
	}
	waitpid(pid, NULL, 0);
	unlink(path);
	rmdir(dir);
	report(lat, n, 1);
}

static void latency(size_t n, char **publish, char **consume)
{
	struct child c = start(consume), p = start(publish);
	double *lat = malloc(n * sizeof *lat), begin;
	char line[LINE], buf[4 * LINE];

	poll(NULL, 0, 300); /* both are up */
	begin = now();
	for (size_t i = 0; i < n; i++) {
		double t = now();
		size_t got = 0;

		fill_line(line, i);
		if (write(p.in, line, LINE) != LINE)
			die("write");
		while (got < LINE) {
			ssize_t r = read(c.out, buf + got, sizeof buf - got);

			if (r <= 0)
				die("arrival");
			got += (size_t)r;
		}
		if (got != LINE || memcmp(buf, line, LINE) != 0) {
			fprintf(stderr, "stream: something else arrived\n");
			exit(1);
		}
		lat[i] = now() - t;
	}
	report(lat, n, now() - begin);
	finish(&p);
	kill(c.pid, SIGTERM);
	waitpid(c.pid, NULL, 0);
}

static char **after_dashes(char **argv)
{
	while (*argv && strcmp(*argv, "--") != 0)
		argv++;
	if (!*argv) {
		fprintf(stderr, "stream: no command\n");
		exit(64);
	}
	*argv = NULL;
	return argv + 1;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 4 && strcmp(argv[1], "bare") == 0) {
		bare(argv[2], (size_t)atol(argv[3]));
	} else if (argc >= 5 && strcmp(argv[1], "confirm") == 0) {
		many((size_t)atol(argv[2]), (size_t)atol(argv[3]), after_dashes(argv), drive);
	} else if (argc == 5 && strcmp(argv[1], "publish") == 0) {
		many((size_t)atol(argv[2]), (size_t)atol(argv[3]), argv + 4, publish);
	} else if (argc == 4 && strcmp(argv[1], "batches") == 0) {
		batches(argv[3], (size_t)atol(argv[2]));
	} else if (argc == 5 && strcmp(argv[1], "topics") == 0) {
		topics(argv[4], (size_t)atol(argv[2]), (size_t)atol(argv[3]));
	} else if (argc >= 3 && strcmp(argv[1], "wake") == 0) {
		wake((size_t)atol(argv[2]));
	} else if (argc >= 4 && strcmp(argv[1], "latency") == 0) {
		char **publish = after_dashes(argv), **consume = after_dashes(publish);

		latency((size_t)atol(argv[2]), publish, consume);
	} else {
		fprintf(stderr, "usage: stream bare FILE N | publish P N SPOOL | topics T N SPOOL | batches N SPOOL | confirm P N -- CMD | wake N | latency N -- PUB -- CON\n");
		return 64;
	}
	return 0;
}
