/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scenario --list            the names
 * scenario NAME DIR TRACE    run one in DIR (empty; the spool is DIR/spool), recording into TRACE
 */
#include "scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "format/record.h"
#include "log/cursor.h"
#include "payload.h"
#include "sys/record.h"
#include "world.h"

struct mq_spool spool;
struct upset upset = {.mount = WORLD_MOUNT};
static struct mq_sys beneath, above;
static const struct mq_sys *recording;
static uint32_t next_serial = 1;

/* ---- saying ---------------------------------------------------------------------------------------- */

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("scenario: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

void ok(int rc, const struct mq_err *err, const char *what)
{
	if (rc < 0)
		fail("%s: %s (%d)", what, err->text, rc);
}

void note(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	mq_record_note(text);
}

void ack(const char *fmt, ...)
{
	char text[256] = "ack ";
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	vsnprintf(text + 4, sizeof text - 5, fmt, ap);
	va_end(ap);
	len = strlen(text);
	text[len++] = '\n';
	if (mq_sys->write(1, text, len) != (ssize_t)len)
		fail("cannot write to stdout");
}

/* ---- the fillings: what is upset lies under the recording, deaths above it ------------------------- */

static int beneath_stat(int fd, struct mq_stat *ret)
{
	int rc = mq_sys_real.stat(fd, ret);

	if (rc == 0)
		ret->mnt_id = upset.mount;
	return rc;
}

static int beneath_fdatasync(int fd)
{
	void (*during)(void) = upset.in_sync;

	upset.in_sync = NULL;
	if (during)
		during();
	if (upset.syncs_fail > 0) {
		upset.syncs_fail--;
		return -EIO;
	}
	return mq_sys_real.fdatasync(fd);
}

static int64_t beneath_clock_ns(enum mq_clock which)
{
	return mq_sys_real.clock_ns(which) + upset.ahead_ns;
}

static bool is_path(int fd, const char *wanted)
{
	char link[40], path[512];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	path[n < 0 ? 0 : n] = 0;
	return !wanted || strstr(path, wanted);
}

static void perhaps_die(const char *call, bool here)
{
	if (upset.die_after && strcmp(upset.die_after, call) == 0 && here && --upset.die_nth == 0)
		_exit(0);
}

static int above_fdatasync(int fd)
{
	bool here = is_path(fd, upset.die_path);
	int rc = recording->fdatasync(fd);

	perhaps_die("fdatasync", here);
	return rc;
}

static int above_renameat(int dir, const char *from, int todir, const char *to, bool replace)
{
	int rc = recording->renameat(dir, from, todir, to, replace);

	perhaps_die("renameat", !upset.die_path || strstr(to, upset.die_path));
	return rc;
}

static ssize_t above_pwrite(int fd, const void *buf, size_t len, uint64_t at)
{
	bool here = is_path(fd, upset.die_path);
	ssize_t n = recording->pwrite(fd, buf, len, at);

	perhaps_die("pwrite", here);
	return n;
}

static void perhaps_look(int fd)
{
	void (*before)(void) = upset.before_write;

	if (before && is_path(fd, upset.before_path)) {
		upset.before_write = NULL;
		before();
	}
}

static ssize_t above_pwritev(int fd, const struct iovec *iov, int n, uint64_t at)
{
	bool here = is_path(fd, upset.die_path);
	ssize_t done;

	perhaps_look(fd);
	done = recording->pwritev(fd, iov, n, at);

	perhaps_die("pwritev", here);
	return done;
}

static int above_mkdirat(int dir, const char *name, unsigned mode)
{
	int rc = recording->mkdirat(dir, name, mode);

	perhaps_die("mkdirat", !upset.die_path || strstr(name, upset.die_path));
	return rc;
}

static int above_openat(int dir, const char *name, int flags, unsigned mode)
{
	int fd = recording->openat(dir, name, flags, mode);

	perhaps_die("openat", fd >= 0 && (!upset.die_path || strstr(name, upset.die_path)));
	return fd;
}

static ssize_t above_write(int fd, const void *buf, size_t len)
{
	ssize_t n = recording->write(fd, buf, len);

	if (fd == 1 && n > 0 && upset.printed)
		upset.printed(buf, (size_t)n);
	return n;
}

static ssize_t above_writev(int fd, const struct iovec *iov, int n)
{
	ssize_t done = recording->writev(fd, iov, n), left = done;

	for (int i = 0; i < n && left > 0 && fd == 1 && upset.printed; i++) {
		size_t len = iov[i].iov_len < (size_t)left ? iov[i].iov_len : (size_t)left;

		upset.printed(iov[i].iov_base, len);
		left -= (ssize_t)len;
	}
	return done;
}

static pid_t above_wait_child(pid_t pid, int *ret_status, bool block)
{
	pid_t ended = recording->wait_child(pid, ret_status, block);

	if (ended > 0 && *ret_status == 0 && upset.child_done)
		upset.child_done();
	return ended;
}

static void install(const char *dir, const char *trace)
{
	int fd = open(trace, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 500);

	if (high < 0)
		fail("cannot write %s", trace);
	close(fd);
	beneath = mq_sys_real;
	beneath.stat = beneath_stat;
	beneath.fdatasync = beneath_fdatasync;
	beneath.clock_ns = beneath_clock_ns;
	recording = mq_record_over(&beneath, high, dir, NULL);
	if (!recording)
		fail("cannot record in %s", dir);
	above = *recording;
	above.fdatasync = above_fdatasync;
	above.renameat = above_renameat;
	above.write = above_write;
	above.writev = above_writev;
	above.wait_child = above_wait_child;
	above.mkdirat = above_mkdirat;
	above.openat = above_openat;
	above.pwrite = above_pwrite;
	above.pwritev = above_pwritev;
	mq_sys = &above;
}

void in_child(void (*run)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		run();
		_exit(upset.die_after ? 3 : 0); /* 3: it should have died before */
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		fail("a child ended with status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	/* What it published had serial numbers that are taken now. */
	next_serial += 1000;
}

/* ---- the verbs ------------------------------------------------------------------------------------- */

uint32_t take_serials(uint32_t count)
{
	uint32_t first = next_serial;

	next_serial += count;
	return first;
}

void make_topic(const char *name, const char *const *set, size_t n)
{
	struct mq_err err = MQ_ERR_INIT;

	note("topic %s 1", name);
	ok(mq_topic_make(&spool, name, 1, set, n, false, &err), &err, "make a topic");
	ack("topic %s", name);
}

void open_topic(struct mq_topic *ret, const char *name)
{
	struct mq_err err = MQ_ERR_INIT;

	ok(mq_topic_open(ret, &spool, name, &err), &err, "open a topic");
}

void pub_open(struct pub *p, const char *topic)
{
	struct mq_err err = MQ_ERR_INIT;

	memset(p, 0, sizeof *p);
	p->name = topic;
	open_topic(&p->topic, topic);
	ok(mq_partition_log(&p->part, &p->topic, 0, &p->log, &err), &err, "open the log");
}

void pub_close(struct pub *p)
{
	mq_log_release(&p->log);
	mq_topic_release(&p->topic);
}

static void fill(struct mq_records *r, uint32_t serial, const struct batch_shape *s, bool keyed)
{
	static char text[PAYLOAD_MAX + 1];

	for (uint32_t i = 0; i < s->count; i++) {
		char key = keyed ? compact_key(serial + i) : 'k';
		struct mq_rec rec = {.payload = text, .payload_len = s->len, .key = s->binary && key ? &key : NULL, .key_len = 1};

		payload_make(serial + i, s->len, s->binary, text);
		if (mq_records_add(r, &rec) < 0)
			fail("no memory");
	}
}

int pub_try(struct pub *p, struct batch_shape s, struct mq_log_ticket *ret)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_records r;
	struct mq_batch b = {.ack = s.ack, .count = s.count};
	const uint8_t *body;
	uint32_t serial = take_serials(s.count);
	int rc;

	mq_records_init(&r);
	fill(&r, serial, &s, p->keyed);
	if (mq_records_finish(&r, 0, 0, 0, &b.kind, &body, &b.stored_len) < 0)
		fail("cannot make a batch");
	b.raw_len = b.stored_len;
	b.body_crc = mq_crc32c(0, body, b.stored_len);
	if (p->who.kind != MQ_WHO_NOBODY) {
		p->who.number += s.count;
		b.who = p->who;
	}
	note("try %s 0 %u %u %u %d %d", p->name, serial, s.count, s.len, s.binary, (int)s.ack);
	rc = mq_log_append(&p->log, &b, body, ret, &err);
	if (rc == 0)
		note("put %s 0 %u %u %llu", p->name, serial, s.count, (unsigned long long)ret->base_offset);
	if (rc == 0 && p->who.kind != MQ_WHO_NOBODY)
		p->who.source_start = ret->base_offset;
	if (rc == 0 && ret->visible && s.ack == MQ_ACK_WRITTEN)
		ack("written %s 0 %llu %u", p->name, (unsigned long long)ret->base_offset, s.count);
	mq_records_release(&r);
	return rc;
}

struct mq_log_ticket pub_append(struct pub *p, struct batch_shape s)
{
	struct mq_log_ticket t;
	int rc = pub_try(p, s, &t);

	if (rc < 0)
		fail("append: %d", rc);
	return t;
}

int pub_wait_try(struct pub *p, const struct mq_log_ticket *t, enum mq_ack level)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc = mq_log_wait(&p->log, t, level, &err);

	if (rc == 0)
		ack("%s %s 0 %llu %llu", level >= MQ_ACK_DURABLE ? "durable" : "written", p->name,
		    (unsigned long long)t->base_offset, (unsigned long long)(t->next_offset - t->base_offset));
	return rc;
}

void pub_wait(struct pub *p, const struct mq_log_ticket *t, enum mq_ack level)
{
	int rc = pub_wait_try(p, t, level);

	if (rc < 0)
		fail("wait: %d", rc);
}

void pub_durable(struct pub *p, uint32_t count, uint32_t len)
{
	struct mq_log_ticket t = pub_append(p, (struct batch_shape){count, len, MQ_ACK_DURABLE, false});

	pub_wait(p, &t, MQ_ACK_DURABLE);
}

void pub_written(struct pub *p, uint32_t count, uint32_t len)
{
	struct mq_log_ticket t = pub_append(p, (struct batch_shape){count, len, MQ_ACK_WRITTEN, false});

	if (!t.visible)
		pub_wait(p, &t, MQ_ACK_WRITTEN);
}

uint64_t look(struct pub *p)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_cursor c;
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	uint64_t end;
	int rc, dir = mq_partition_dir(&p->topic, 0, &err);

	ok(dir, &err, "open the partition");
	ok(mq_cursor_open(&c, dir, p->name, p->topic.conf.id, 0, &err), &err, "open a cursor");
	ok(mq_cursor_seek(&c, 0, &err), &err, "seek");
	while ((rc = mq_cursor_next(&c, &v, &loss, &err)) != 0) {
		if (rc == MQ_EDAMAGE)
			continue;
		ok(rc, &err, "read");
		for (uint64_t o = v.first_offset; v.batch.ack >= MQ_ACK_DURABLE && o < v.batch.next_offset; o++)
			ack("saw %s 0 %llu", p->name, (unsigned long long)o);
	}
	end = c.visible_offset;
	mq_cursor_release(&c);
	(void)mq_sys->close(dir);
	return end;
}

/* ---- running --------------------------------------------------------------------------------------- */

static const struct scenario *const lists[] = {scenarios_log, scenarios_fault, scenarios_spool, scenarios_verbs, scenarios_evict, scenarios_move, scenarios_share, scenarios_once,
                                              scenarios_grow, scenarios_compact, scenarios_delay, scenarios_retain, scenarios_letters, scenarios_seek};

int main(int argc, char **argv)
{
	struct mq_err err = MQ_ERR_INIT;
	const struct scenario *found = NULL;
	char path[512];

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		for (const struct scenario *s = lists[i]; s->name; s++) {
			if (argc == 2)
				puts(s->name);
			else if (argc == 4 && strcmp(argv[1], s->name) == 0)
				found = s;
		}
	if (argc == 2)
		return 0;
	if (!found)
		fail("usage: scenario --list | scenario NAME DIR TRACE");
	install(argv[2], argv[3]);
	snprintf(path, sizeof path, "%s/spool", argv[2]);
	ok(mq_spool_open(&spool, path, true, &err), &err, "make the spool");
	ack("spool");
	found->run();
	mq_spool_release(&spool);
	return 0;
}
