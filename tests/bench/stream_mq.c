/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream: what publishes by the library. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/mq.h"
#include "stream.h"

_Noreturn static void refused(const char *why)
{
	fprintf(stderr, "stream: %s\n", why);
	exit(1);
}

enum { BATCH = 10, NAME = 24 };

/* A program that publishes by the library: its input is a pipe that it fills itself, some lines when the last were confirmed. */
struct publisher {
	int in[2], go;      /* go: -1, no signal is waited for */
	size_t lines;       /* at once, at most BATCH */
	size_t sent, n;     /* so often */
	uint64_t unconfirmed;
	double begin, at, *lat;
};

static void send_lines(struct publisher *p)
{
	char line[BATCH][LINE];

	if (p->sent == WARM + p->n) {
		close(p->in[1]);
		return;
	}
	if (p->sent == WARM && p->go >= 0)
		wait_for_start(p->go);
	for (size_t i = 0; i < p->lines; i++)
		fill_line(line[i], p->sent * p->lines + i);
	p->unconfirmed = p->lines;
	p->at = now();
	if (p->sent++ == WARM)
		p->begin = p->at;
	if (write(p->in[1], line, p->lines * LINE) != (ssize_t)(p->lines * LINE))
		die("write");
}

static void confirmed(void *arg, const struct mq_confirmation *c)
{
	struct publisher *p = arg;

	if (c->why)
		refused(c->why);
	p->unconfirmed -= c->count;
	if (p->unconfirmed > 0)
		return;
	if (p->sent > WARM)
		p->lat[p->sent - WARM - 1] = now() - p->at;
	send_lines(p);
}

static void run(struct publisher *p, const char *spool, enum mq_ack_level ack)
{
	struct mq *mq = mq_new();
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report report;

	if (!mq || pipe2(p->in, O_CLOEXEC) < 0)
		die("setup");
	req.topic = "T";
	req.ack = ack;
	req.in_fd = p->in[0];
	req.confirm = confirmed;
	req.confirm_arg = p;
	send_lines(p);
	if (mq_open(mq, spool, MQ_OPEN_CREATE) < 0 || mq_publish(mq, &req, &report) < 0)
		refused(mq_why(mq));
	mq_free(mq);
}

void publish(char **argv, size_t n, double *lat, int go)
{
	run(&(struct publisher){.go = go, .lines = 1, .n = n, .lat = lat}, argv[0], MQ_ACK_LEVEL_DURABLE);
}

void batches(const char *spool, size_t n)
{
	struct publisher p = {.go = -1, .lines = BATCH, .n = n, .lat = malloc(n * sizeof(double))};

	if (!p.lat)
		die("setup");
	run(&p, spool, MQ_ACK_LEVEL_WRITTEN);
	report(p.lat, n, now() - p.begin);
}

static void name_topic(char name[NAME], size_t i)
{
	snprintf(name, NAME, "t%zu", i);
}

static void make_topics(struct mq *mq, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct mq_topic_info info;
		char name[NAME];

		name_topic(name, i);
		if (mq_topic_show(mq, name, &info) < 0 && mq_topic_create(mq, name, 1, NULL, 0, false) < 0)
			refused(mq_why(mq));
	}
}

void topics(const char *spool, size_t n, size_t times)
{
	struct mq *mq = mq_new();
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report done;
	char line[BATCH][LINE], name[NAME];
	const char *message[BATCH];
	double *lat = malloc(times * sizeof *lat), begin;

	if (!mq || !lat)
		die("setup");
	for (size_t i = 0; i < BATCH; i++) {
		fill_line(line[i], i);
		line[i][LINE - 1] = 0; /* a message; the line's end is the library's */
		message[i] = line[i];
	}
	req.messages = message;
	req.n_messages = BATCH;
	req.ack = MQ_ACK_LEVEL_WRITTEN;
	req.topic = name;
	if (mq_open(mq, spool, MQ_OPEN_CREATE) < 0)
		refused(mq_why(mq));
	make_topics(mq, n);
	begin = now();
	for (size_t i = 0; i < times; i++) {
		double t = now();

		name_topic(name, i % n);
		if (mq_publish(mq, &req, &done) < 0 || done.records != BATCH)
			refused(mq_why(mq));
		lat[i] = now() - t;
	}
	report(lat, times, now() - begin);
	mq_free(mq);
}
