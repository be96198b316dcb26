/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a member's records are given to in a history (history.py): says begin and end of each, with the kernel's clock, and works
 * for a while between.
 *
 *	history_handler          one record, told by MQ_TOPIC … and stdin
 *	history_handler lines    a batch: "TOPIC PARTITION OFFSET KEY PAYLOAD" lines, all begun, then all ended
 *	history_handler coproc   the same lines, each begun, ended and answered "ok" before the next
 *	history_handler pipe     the same lines as they come: what one read gave is begun and ended before the next read, which is said
 *	history_handler manual   "TOPIC:PARTITION:OFFSET… TAB PAYLOAD" lines; the position is printed when it has ended
 *
 * In the environment: MQ_HISTORY, the file to append to; MQ_MEMBER and MQ_GROUP; MQ_WORK_US, the longest that one takes;
 * MQ_FAIL, how many in a thousand end with status 1; MQ_SLOW, how many take a hundred times as long.  A line is one write of 256
 * bytes: a kill tears a write only where a page ends, so a file that many share holds whole lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 256, RECORDS = 4096, INPUT = 1 << 20 };

struct record {
	char at[96], id[32], key[32];
	uint32_t sum;
};

static const char *member, *group;
static char proc[48];
static int history;
static uint64_t dice;

static void die(const char *what)
{
	fprintf(stderr, "history_handler: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static const char *env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value ? value : otherwise;
}

/* xorshift64 (Marsaglia 2003): how long this one takes need not be repeatable, since the kernel's timing is not. */
static uint64_t roll(uint64_t below)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return below ? dice % below : 0;
}

static uint32_t crc32(const char *p, size_t n)
{
	uint32_t crc = ~UINT32_C(0);

	for (; n > 0; n--, p++) {
		crc ^= (uint8_t)*p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

__attribute__((format(printf, 2, 3))) static void say(const char *event, const char *format, ...)
{
	char line[2 * LINE];
	va_list more;
	int n = snprintf(line, sizeof line, "{\"e\":\"%s\",\"t\":%" PRIu64 ",\"proc\":\"%s\",\"group\":\"%s\"", event, now_ns(), proc, group), m;

	va_start(more, format);
	m = vsnprintf(line + n, sizeof line - (size_t)n, format, more);
	va_end(more);
	if (m < 0 || n + m >= LINE - 1) {
		errno = EMSGSIZE;
		die("a line of the history");
	}
	memset(line + n + m, ' ', LINE - (size_t)(n + m));
	line[LINE - 1] = '\n';
	if (write(history, line, LINE) != LINE)
		die("the history");
}

static void begin(const struct record *r)
{
	char key[64] = "";

	if (*r->key)
		snprintf(key, sizeof key, ",\"key\":\"%s\"", r->key);
	say("begin", ",\"member\":\"%s\",\"at\":\"%s\",\"id\":\"%s\",\"sum\":\"%08" PRIx32 "\",\"pid\":%ld%s}", member, r->at, r->id, r->sum,
	    (long)getpid(), key);
}

static void end(const struct record *r, int status)
{
	say("end", ",\"at\":\"%s\",\"status\":\"%s\"}", r->at, status ? "fail" : "done");
}

static void work(void)
{
	uint64_t longest = strtoull(env("MQ_WORK_US", "0"), NULL, 10);
	uint64_t us = roll(longest + 1) * (roll(1000) < strtoull(env("MQ_SLOW", "0"), NULL, 10) ? 100 : 1);
	struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};

	if (us > 0)
		nanosleep(&t, NULL);
}

/* The id stands in front of the payload. */
static void set_payload(struct record *r, const char *payload, size_t n)
{
	const char *colon = memchr(payload, ':', n);

	snprintf(r->id, sizeof r->id, "%.*s", colon ? (int)(colon - payload) : (int)n, payload);
	r->sum = crc32(payload, n);
}

static void parse(char *line, size_t n, bool by_hand, struct record *r)
{
	int used = 0;
	char *payload, topic[32], position[40], offset[21];

	memset(r, 0, sizeof *r);
	if (by_hand) {
		payload = memchr(line, '\t', n);
		if (!payload || sscanf(line, "%31[^:]:%10[0-9]:%20[0-9]", topic, position, offset) != 3)
			die("a line that is no position");
		payload++;
	} else {
		if (sscanf(line, "%31s %20[0-9] %20[0-9] %31s %n", topic, position, offset, r->key, &used) != 4 || used == 0)
			die("a line that is no record");
		payload = line + used;
	}
	snprintf(r->at, sizeof r->at, "%s:%s:%s", topic, position, offset);
	set_payload(r, payload, n - (size_t)(payload - line));
}

static int one(void)
{
	static char payload[INPUT];
	struct record r = {.sum = 0};
	ssize_t n, len = 0;
	int status;

	while ((n = read(0, payload + len, sizeof payload - (size_t)len)) > 0)
		len += n;
	snprintf(r.at, sizeof r.at, "%.31s:%.10s:%.20s", env("MQ_TOPIC", ""), env("MQ_PARTITION", ""), env("MQ_OFFSET", ""));
	snprintf(r.key, sizeof r.key, "%s", env("MQ_KEY", ""));
	set_payload(&r, payload, (size_t)len);
	begin(&r);
	work();
	status = roll(1000) < strtoull(env("MQ_FAIL", "0"), NULL, 10);
	end(&r, status);
	return status;
}

/* Records of lines that are whole; what is left moves to the front. */
static size_t cut(char *input, size_t *len, struct record *records)
{
	char *line = input, *stop;
	size_t n = 0;

	while (n < RECORDS && (stop = memchr(line, '\n', *len - (size_t)(line - input)))) {
		*stop = 0;
		parse(line, (size_t)(stop - line), false, &records[n++]);
		line = stop + 1;
	}
	*len -= (size_t)(line - input);
	memmove(input, line, *len);
	return n;
}

static void handle(const struct record *r)
{
	begin(r);
	work();
	end(r, 0);
}

/* The position is acknowledged as it was printed, with its token. */
static void by_hand(char *input, size_t *len)
{
	char *line = input, *stop, *tab;
	struct record r;

	while ((stop = memchr(line, '\n', *len - (size_t)(line - input)))) {
		parse(line, (size_t)(stop - line), true, &r);
		handle(&r);
		tab = memchr(line, '\t', (size_t)(stop - line));
		*tab = '\n';
		if (write(1, line, (size_t)(tab + 1 - line)) != tab + 1 - line)
			die("stdout");
		line = stop + 1;
	}
	*len -= (size_t)(line - input);
	memmove(input, line, *len);
}

static void given(const struct record *records, size_t n, bool answers)
{
	for (size_t i = 0; i < n && answers; i++) {
		handle(&records[i]);
		if (write(1, "ok\n", 3) != 3)
			die("stdout");
	}
	for (size_t i = 0; i < n && !answers; i++)
		begin(&records[i]);
	if (!answers)
		work();
	for (size_t i = 0; i < n && !answers; i++)
		end(&records[i], 0);
}

/* What a reader of a pipe has when he says nothing more lies behind this. */
static ssize_t more(char *input, size_t most, bool says)
{
	if (says)
		say("reads", ",\"member\":\"%s\"}", member);
	return read(0, input, most);
}

static int lines(const char *how)
{
	static char input[INPUT];
	static struct record records[RECORDS];
	bool all = strcmp(how, "lines") == 0, manual = strcmp(how, "manual") == 0, pipe = strcmp(how, "pipe") == 0;
	size_t len = 0, some;
	ssize_t n;

	while ((n = more(input + len, sizeof input - len, pipe)) > 0) {
		len += (size_t)n;
		if (manual)
			by_hand(input, &len);
		while (!manual && !all && (some = cut(input, &len, records)) > 0)
			given(records, some, strcmp(how, "coproc") == 0);
	}
	if (n < 0)
		die("stdin");
	if (all)
		given(records, cut(input, &len, records), false);
	return 0;
}

int main(int argc, char **argv)
{
	member = env("MQ_MEMBER", "");
	group = env("MQ_GROUP", "");
	snprintf(proc, sizeof proc, "%s.%ld.%" PRIu64, member, (long)getpid(), now_ns());
	dice = now_ns() ^ (uint64_t)getpid() << 40 ^ UINT64_C(0x9e3779b97f4a7c15);
	history = open(env("MQ_HISTORY", "history"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (history < 0)
		die("the history");
	return argc > 1 ? lines(argv[1]) : one();
}
