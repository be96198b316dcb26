/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-bench: how fast it is here: publishing, consuming, and one durable record at a time. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h> /* memfd_create */
#include <time.h>
#include <unistd.h>

struct args {
	struct cli cli;
	uint64_t count, size;
	int ack;
	bool json;
};
#define AT(member) offsetof(struct args, member)

enum { ROUNDS_MAX = 1000 };
static const int64_t rounds_ns = 2 * INT64_C(1000000000);
static const uint64_t input_bytes_max = UINT64_C(1) << 30; /* it is made in memory */

static const struct cli_option options[] = {
	{0, "Options", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'n', "count", "N", "so many records (1000000)", CLI_COUNT, AT(count), NULL, 0},
	{0, "size", "BYTES", "of a record (100)", CLI_SIZE, AT(size), NULL, 0},
	{0, "ack", "LEVEL", "none, written, durable (the default) or all", CLI_CHOICE, AT(ack), "none/0 written/1 durable all", 0},
	{'J', "json", NULL, "an object a line", CLI_FLAG, AT(json), NULL, 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-bench",
	.usage = (const char *const[]){"[-n N] [--size BYTES] [--ack LEVEL] [--json] [OPTION ...]", NULL},
	.purpose = "Measure in this spool, in a topic made for it and deleted afterwards: publishing and consuming many records, and "
	           "how long one durable record takes whose publisher waits for it.",
	.options = options,
	.examples = (const char *const[]){
		"mq-bench",
		"mq-bench --ack written --size 1K -n 100000",
		NULL},
	.timeout = "how long to wait for space or for a lock: 300ms 10s 5m 2h 7d; without it as long as it takes",
};

/* A long-lived publisher that sends the next record when the last one is confirmed. */
struct rounds {
	int to; /* the publisher's stdin; -1: closed */
	const char *line;
	size_t line_len, n;
	int64_t sent, deadline;
	int64_t took[ROUNDS_MAX];
	bool failed;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void send_next(struct rounds *r)
{
	r->sent = now_ns();
	if (write(r->to, r->line, r->line_len) != (ssize_t)r->line_len)
		r->failed = true;
}

static void on_confirm(void *arg, const struct mq_confirmation *c)
{
	struct rounds *r = arg;
	int64_t now = now_ns();

	r->failed = r->failed || c->why;
	if (r->n < ROUNDS_MAX)
		r->took[r->n++] = now - r->sent;
	if (r->n < ROUNDS_MAX && now < r->deadline && !r->failed && !cli_stopped()) {
		send_next(r);
	} else if (r->to >= 0) {
		close(r->to);
		r->to = -1;
	}
}

/* The input as a file in memory, or -1 with errno.  Records are windows into one text, so not all alike. */
static int make_input(struct args *a)
{
	enum { SHIFTS = 90 };
	int fd = memfd_create("mq-bench", MFD_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "w");
	char *text = cli_keep(&a->cli, a->size + SHIFTS);

	if (!file || !text)
		return -1;
	for (uint64_t i = 0; i < a->size + SHIFTS; i++)
		text[i] = (char)('!' + i * i * 31 % SHIFTS);
	for (uint64_t i = 0; i < a->count; i++) {
		fwrite(text + i * 7 % SHIFTS, 1, a->size, file);
		putc('\n', file);
	}
	return fclose(file) == 0 && lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

static void tell_stream(struct args *a, const char *what, uint64_t records, int64_t took_ns)
{
	double seconds = (double)(took_ns > 0 ? took_ns : 1) / 1e9;
	double rate = (double)records / seconds, bytes = rate * (double)(a->size + 1);

	if (a->json) {
		printf("{\"v\":1,\"what\":\"%s\",\"records\":%llu,\"record_bytes\":%llu,\"seconds\":%.6f,\"records_per_second\":%.0f,"
		       "\"bytes_per_second\":%.0f}\n", what, llu(records), llu(a->size), seconds, rate, bytes);
		return;
	}
	printf("%-8s %10llu records %9.3f s %12.0f records/s %9.1f MB/s\n", what, llu(records), seconds, rate, bytes / 1e6);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void tell_rounds(struct args *a, struct rounds *r)
{
	double p50, p99;

	if (r->n == 0)
		return;
	qsort(r->took, r->n, sizeof *r->took, compare);
	p50 = (double)r->took[r->n / 2] / 1e6;
	p99 = (double)r->took[r->n * 99 / 100] / 1e6;
	if (a->json)
		printf("{\"v\":1,\"what\":\"one durable record\",\"records\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n", r->n, p50, p99);
	else
		printf("durable  %10zu records, each awaited: p50 %.3f ms, p99 %.3f ms\n", r->n, p50, p99);
}

static int publish_many(struct args *a, const char *topic)
{
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report report = {0};
	int64_t began;
	int failed;

	req.topic = topic;
	req.ack = (enum mq_ack_level)a->ack;
	req.timeout_ns = a->cli.timeout_ns;
	req.in_fd = make_input(a);
	if (req.in_fd < 0) {
		fprintf(stderr, "mq-bench: input in memory: %s\n", strerror(errno));
		return MQ_EXIT_IO;
	}
	began = now_ns();
	failed = mq_publish(a->cli.mq, &req, &report);
	if (failed >= 0)
		tell_stream(a, "publish", report.records, now_ns() - began);
	close(req.in_fd);
	return failed < 0 ? cli_fail(&a->cli) : 0;
}

static int consume_many(struct args *a, const char *topic)
{
	struct mq_consume_request req = MQ_CONSUME_REQUEST_INIT;
	struct mq_consume_report report = {0};
	int64_t all = -1, began;
	int failed;

	req.topics = &topic;
	req.partitions = &all;
	req.n_topics = 1;
	req.out_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (req.out_fd < 0) {
		fprintf(stderr, "mq-bench: /dev/null: %s\n", strerror(errno));
		return MQ_EXIT_IO;
	}
	began = now_ns();
	failed = mq_consume(a->cli.mq, &req, &report);
	if (failed >= 0)
		tell_stream(a, "consume", report.records, now_ns() - began);
	close(req.out_fd);
	return failed < 0 ? cli_fail(&a->cli) : 0;
}

static int publish_waiting(struct args *a, const char *topic, struct rounds *r)
{
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report report;
	char *line = cli_keep(&a->cli, a->size + 1);
	int ends[2], failed;

	/* A longer record might not fit into the pipe that its own reader fills. */
	r->line_len = a->size < 4000 ? a->size + 1 : 4000;
	if (!line || pipe2(ends, O_CLOEXEC) < 0)
		return MQ_EXIT_IO;
	memset(line, 'x', r->line_len - 1);
	line[r->line_len - 1] = '\n';
	r->line = line;
	r->to = ends[1];
	r->deadline = now_ns() + rounds_ns;
	req.topic = topic;
	req.in_fd = ends[0];
	req.ack = MQ_ACK_LEVEL_DURABLE;
	req.confirm = on_confirm;
	req.confirm_arg = r;
	send_next(r);
	failed = mq_publish(a->cli.mq, &req, &report);
	if (r->to >= 0)
		close(r->to);
	close(ends[0]);
	return failed < 0 ? cli_fail(&a->cli) : r->failed ? MQ_EXIT_IO : 0;
}

static int measure(struct args *a, const char *topic)
{
	struct rounds *rounds = cli_keep(&a->cli, sizeof *rounds);
	int status = rounds ? publish_many(a, topic) : MQ_EXIT_IO;

	if (!status && !cli_stopped())
		status = consume_many(a, topic);
	if (!status && !cli_stopped())
		status = publish_waiting(a, topic, rounds);
	if (!status)
		tell_rounds(a, rounds);
	return status;
}

static int run(struct args *a)
{
	struct cli *cli = &a->cli;
	char name[64];
	const char *topic = cli->topic ? cli->topic : name;
	int status;

	if (cli->n_operands)
		return cli_usage(cli, "%s: the topic is made for the measurement (-t names it)", cli->operands[0]);
	if (a->count == 0 || a->size >= input_bytes_max || a->count > input_bytes_max / (a->size + 1))
		return cli_usage(cli, "-n times --size is at most 1 GiB, and at least one record");
	snprintf(name, sizeof name, "mq-bench.%ld", (long)getpid());
	status = cli_open(cli, MQ_OPEN_CREATE);
	if (!status && mq_topic_create(cli->mq, topic, 1, NULL, 0, false) < 0)
		status = cli_fail(cli);
	if (status)
		return status;
	status = measure(a, topic);
	if (mq_topic_delete(cli->mq, topic, true, false) < 0)
		status = status ? status : cli_fail(cli);
	return status;
}

int main(int argc, char **argv)
{
	struct args a = {.count = 1000000, .size = 100, .ack = MQ_ACK_LEVEL_DURABLE};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
