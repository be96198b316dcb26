/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load for kernel.t, and the check afterwards.
 *
 *   kernel_writer create DIR                          an empty partition
 *   kernel_writer write DIR REPORTS ROUND WRITERS     writers and a reader, until the disk fails
 *   kernel_writer persist DIR REPORTS ROUND WRITERS   the same, going on after every failure, until SIGTERM
 *   kernel_writer publish DIR REPORTS ROUND WRITER COUNT [RULE]
 *                                                     so many, the last one durably; RULE as in sys/fault.h;
 *                                                     0: all acknowledged, 1: a failure was told
 *   kernel_writer verify DIR REPORTS [failing|lying|full] recover, compare with what was reported; 0: all is well
 *   kernel_writer fill DIR REPORTS ROUND              append until there is no space; then as stdin says
 *
 * REPORTS is on another file system than DIR.
 */
#include "kernel_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log/cursor.h"
#include "sys/fault.h"

enum { IN_FLIGHT = 4 };

struct writer {
	const char *path;
	int dir, out;
	uint64_t round, number;
	unsigned me, seed;
	bool persist;
	uint64_t n;
	struct mq_log log;
	bool open;
	struct mq_producer producer; /* kind: nobody where it has no name */
	uint8_t body[KERNEL_BODY_MAX];
};

struct flight {
	struct kernel_report report;
	struct mq_log_ticket ticket;
	enum mq_ack level;
};

static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static void report(int out, struct kernel_report *r, enum kernel_what what, int code)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	r->what = what;
	r->code = code;
	r->at_ns = now.tv_sec * 1000000000 + now.tv_nsec;
	if (write(out, r, sizeof *r) != sizeof *r)
		abort();
}

/* A disk that fails or is full may be told, or one that ext4 has put off limits; else it is a fault of the code. */
static int told(const char *what, int rc, const struct mq_err *err)
{
	int status = mq_err_status(rc);

	if (rc == 0 || err->text[0] == 0) {
		fprintf(stderr, "%s: %d without a reason\n", what, rc);
		exit(3);
	}
	if (getenv("KERNEL_NOTICES"))
		fprintf(stderr, "%s: %d %s\n", what, rc, err->text);
	if (status != 74 && status != 75 && status != 2 && rc != -EROFS) {
		fprintf(stderr, "%s: %d (exit status %d) %s\n", what, rc, status, err->text);
		exit(3);
	}
	return rc;
}

static int reach(struct writer *w)
{
	struct mq_log_options opt = kernel_options();
	struct mq_err err = MQ_ERR_INIT;
	char name[16];
	int rc;

	if (w->open)
		return 0;
	rc = mq_log_open(&w->log, w->dir, &opt, &err);
	if (rc < 0)
		return told("open", rc, &err);
	w->open = true;
	w->producer.kind = MQ_WHO_NOBODY;
	if (w->me % 2 == 0)
		return 0;
	snprintf(name, sizeof name, "w%u", w->me);
	rc = mq_log_producer(&w->log, MQ_WHO_PRODUCER, name, &w->producer, &err);
	if (rc < 0)
		return told("producer", rc, &err);
	w->number = w->producer.number;
	return 0;
}

static void leave(struct writer *w)
{
	if (w->open)
		mq_log_release(&w->log);
	w->open = false;
}

static int append_one(struct writer *w, struct flight *f, enum mq_ack ack, enum mq_ack level)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_batch b;
	int rc;

	f->report = (struct kernel_report){.id = kernel_id(w->round, w->me, w->n++)};
	kernel_batch_make(f->report.id, &b, w->body);
	b.ack = ack;
	f->level = level;
	if (w->producer.kind != MQ_WHO_NOBODY) {
		b.who = (struct mq_who){.kind = w->producer.kind,
		                        .id = w->producer.id,
		                        .number = w->number + b.count,
		                        .source_start = MQ_NO_OFFSET};
		f->report.producer = w->me + 1;
		f->report.number = w->number + b.count;
	}
	report(w->out, &f->report, KERNEL_TRIED, 0);
	rc = mq_log_append(&w->log, &b, w->body, &f->ticket, &err);
	if (rc < 0) {
		report(w->out, &f->report, KERNEL_FAILED, rc);
		return told("append", rc, &err);
	}
	w->number += b.count;
	f->report.offset = f->ticket.base_offset;
	f->report.next = f->ticket.next_offset;
	return 0;
}

static int append(struct writer *w, struct flight *f)
{
	unsigned dice = (unsigned)rand_r(&w->seed) % 8;
	enum mq_ack ack = dice < 4 ? MQ_ACK_DURABLE : dice < 7 ? MQ_ACK_WRITTEN : MQ_ACK_NONE;

	return append_one(w, f, ack, dice < 5 ? MQ_ACK_DURABLE : ack); /* one in eight asks less than it waits for */
}

static int await(struct writer *w, struct flight *f)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc;

	if (f->level == MQ_ACK_NONE)
		return 0;
	rc = mq_log_wait(&w->log, &f->ticket, f->level, &err);
	if (rc < 0) {
		report(w->out, &f->report, KERNEL_FAILED, rc);
		return told("wait", rc, &err);
	}
	report(w->out, &f->report, f->level == MQ_ACK_DURABLE ? KERNEL_DURABLE : KERNEL_WRITTEN, 0);
	return 0;
}

/* Some at a time in flight, as a stream is published. */
static int burst(struct writer *w)
{
	struct flight f[IN_FLIGHT];
	int n = 1 + rand_r(&w->seed) % IN_FLIGHT, rc = reach(w), worst = rc, i;

	for (i = 0; i < n && rc == 0; i++)
		rc = append(w, &f[i]);
	if (rc < 0) {
		worst = rc;
		i--;
	}
	for (int k = 0; k < i; k++) {
		rc = await(w, &f[k]); /* each for itself: the segments may differ */
		if (rc < 0)
			worst = rc;
	}
	return worst;
}

static int run_writer(struct writer *w)
{
	while (!ended) {
		if (burst(w) == 0)
			continue;
		leave(w);
		if (!w->persist)
			break;
		usleep(1000);
	}
	leave(w);
	return 0;
}

/* Follow the log: what a reader got and its publisher wanted durable is durable. */
static int run_reader(const struct writer *w)
{
	struct mq_log_options opt = kernel_options();
	struct mq_cursor c;
	struct mq_err err = MQ_ERR_INIT;
	int rc = mq_cursor_open(&c, w->dir, "crash/0", opt.topic_id, opt.partition, &err);

	if (rc == 0)
		rc = mq_cursor_seek(&c, UINT64_MAX, &err);
	while (!ended && (rc >= 0 || rc == MQ_EDAMAGE)) {
		struct mq_cursor_view v;
		struct mq_cursor_loss loss;

		rc = mq_cursor_next(&c, &v, &loss, &err);
		if (rc == 1 && v.batch.ack >= MQ_ACK_DURABLE) {
			struct kernel_report r = {.id = (uint64_t)v.batch.base_time_us,
			                          .offset = v.batch.base_offset,
			                          .next = v.batch.next_offset};

			report(w->out, &r, KERNEL_READ, 0);
		}
		if (rc == 0)
			usleep(200);
		if (rc < 0 && rc != MQ_EDAMAGE && w->persist) {
			usleep(1000);
			rc = mq_cursor_seek(&c, UINT64_MAX, &err);
			rc = rc < 0 ? MQ_EDAMAGE : rc;
		}
	}
	mq_cursor_release(&c);
	return 0;
}

static int load(struct writer *w, unsigned writers)
{
	int worst = 0, status;

	for (unsigned i = 0; i <= writers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			w->me = i;
			w->seed = (unsigned)w->round * 31 + i;
			exit(i < writers ? run_writer(w) : run_reader(w));
		}
	}
	for (unsigned i = 0; i <= writers;) {
		pid_t pid = wait(&status);

		if (pid < 0 && errno == EINTR) {
			kill(0, SIGTERM);
			continue;
		}
		i++;
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
			fprintf(stderr, "a process died of signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
		if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) != 0)
			worst = 1;
	}
	return worst;
}

/* Append until the disk is full; say so; for each line on stdin try the very same once more. */
static int fill(struct writer *w)
{
	struct mq_err err = MQ_ERR_INIT;
	struct flight f;
	struct mq_batch b;
	char line[16];
	int rc = reach(w);

	for (int full = 0; rc == 0 || rc == -ENOSPC;) {
		f = (struct flight){.report = {.id = kernel_id(w->round, w->me, w->n)}, .level = MQ_ACK_DURABLE};
		kernel_batch_make(f.report.id, &b, w->body);
		b.ack = MQ_ACK_DURABLE;
		if (rc == 0)
			report(w->out, &f.report, KERNEL_TRIED, 0);
		rc = mq_log_append(&w->log, &b, w->body, &f.ticket, &err);
		if (rc == -ENOSPC) {
			printf("full %u %s\n", b.stored_len, err.text);
			fflush(stdout);
			full++;
			if (!fgets(line, sizeof line, stdin))
				return 0;
			continue;
		}
		if (rc == 0) {
			f.report.offset = f.ticket.base_offset;
			f.report.next = f.ticket.next_offset;
			rc = await(w, &f);
			if (full > 0) {
				printf("done %llu\n", (unsigned long long)f.report.offset);
				fflush(stdout);
			}
			full = 0;
			w->n++;
		}
	}
	fprintf(stderr, "fill: %d %s\n", rc, err.text);
	return 1;
}

static int publish(struct writer *w, unsigned count, const char *rule)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc = 0;

	if (rule)
		mq_sys = mq_fault_over(&mq_sys_real, rule, &err);
	if (!mq_sys) {
		fprintf(stderr, "publish: %s\n", err.text);
		return 64;
	}
	for (unsigned i = 1; i <= count && rc == 0; i++) {
		struct flight f;
		enum mq_ack ack = i == count ? MQ_ACK_DURABLE : MQ_ACK_WRITTEN;

		rc = reach(w);
		if (rc == 0)
			rc = append_one(w, &f, ack, ack);
		if (rc == 0)
			rc = await(w, &f);
	}
	leave(w);
	return rc < 0;
}

static int create(int dir)
{
	struct mq_log_options opt = kernel_options();
	struct mq_err err = MQ_ERR_INIT;

	if (mq_log_create(dir, &opt, &err) < 0) {
		fprintf(stderr, "create: %s\n", err.text);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct writer w;
	const char *verb = argc > 2 ? argv[1] : "";
	struct sigaction act = {.sa_handler = end};

	w.path = argc > 2 ? argv[2] : "";
	w.dir = open(w.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w.dir < 0) {
		fprintf(stderr, "kernel_writer: %s: %s\n", w.path, strerror(errno));
		return 64;
	}
	if (strcmp(verb, "create") == 0)
		return create(w.dir);
	if (argc > 3 && strcmp(verb, "verify") == 0)
		return kernel_verify(w.dir, argv[3], argc == 4 ? "" : argv[4]);
	if (argc < 5)
		return 64;
	w.out = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	w.round = strtoull(argv[4], NULL, 10);
	w.persist = strcmp(verb, "persist") == 0;
	sigaction(SIGTERM, &act, NULL);
	if (strcmp(verb, "fill") == 0)
		return fill(&w);
	if (strcmp(verb, "publish") == 0 && argc > 6) {
		w.me = (unsigned)strtoul(argv[5], NULL, 10);
		return publish(&w, (unsigned)strtoul(argv[6], NULL, 10), argv[7]);
	}
	return argc > 5 ? load(&w, (unsigned)strtoul(argv[5], NULL, 10)) : 64;
}
