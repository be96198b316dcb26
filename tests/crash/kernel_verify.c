/* SPDX-License-Identifier: GPL-2.0-or-later */
/* After a crash: recover, and hold the partition against what was reported before it. */
#include "kernel_batch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "log/cursor.h"

/* What was reported of one batch. */
struct known {
	uint64_t id, offset, next, producer, number;
	bool written, durable;
	unsigned seen;
};

struct trial {
	int dir;
	bool strict, lying, full;
	struct known *known; /* by id */
	size_t n;
	struct mq_cursor_loss damage[64];
	unsigned n_damage;
	uint64_t next;       /* offset expected next */
	unsigned bad, batches, gaps;
	uint8_t body[KERNEL_BODY_MAX];
};

#define BAD(t, ...) ((t)->bad++, (void)fprintf(stderr, __VA_ARGS__), (void)fputc('\n', stderr))

typedef unsigned long long ull;

static int by_id(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* One entry for all the reports of an id. */
static void merge(struct trial *t)
{
	size_t n = 0;

	qsort(t->known, t->n, sizeof *t->known, by_id);
	for (size_t i = 0; i < t->n; i++) {
		struct known *k = &t->known[i];

		if (n > 0 && t->known[n - 1].id == k->id) {
			struct known *into = &t->known[n - 1];

			if (into->next && k->next && into->offset != k->offset)
				BAD(t, "batch %llx was reported at %llu and at %llu", (ull)k->id, (ull)into->offset,
				    (ull)k->offset);
			if (k->next)
				into->offset = k->offset, into->next = k->next;
			if (k->producer)
				into->producer = k->producer, into->number = k->number;
			into->written |= k->written;
			into->durable |= k->durable;
		} else {
			t->known[n++] = *k;
		}
	}
	t->n = n;
}

static int load_reports(struct trial *t, const char *path)
{
	FILE *f = fopen(path, "r");
	struct kernel_report r;
	size_t cap = 0;

	if (!f)
		return errno == ENOENT ? 0 : -1;
	while (fread(&r, sizeof r, 1, f) == 1) {
		if (t->n == cap) {
			cap = cap ? 2 * cap : 1024;
			t->known = realloc(t->known, cap * sizeof *t->known);
			if (!t->known)
				abort();
		}
		t->known[t->n++] = (struct known){.id = r.id,
		                                  .offset = r.what == KERNEL_FAILED ? 0 : r.offset,
		                                  .next = r.what == KERNEL_FAILED ? 0 : r.next,
		                                  .producer = r.producer,
		                                  .number = r.number,
		                                  .written = r.what == KERNEL_WRITTEN,
		                                  .durable = r.what == KERNEL_DURABLE || r.what == KERNEL_READ};
	}
	fclose(f);
	merge(t);
	return 0;
}

static void take(struct trial *t, const struct mq_cursor_view *v)
{
	struct known key = {.id = (uint64_t)v->batch.base_time_us}, *k;
	struct mq_batch want;

	t->batches++;
	if (v->batch.base_offset != t->next)
		BAD(t, "offset %llu follows %llu", (ull)v->batch.base_offset, (ull)t->next);
	t->next = v->batch.next_offset;
	k = bsearch(&key, t->known, t->n, sizeof *t->known, by_id);
	if (!k) {
		BAD(t, "offset %llu: batch %llx was never published", (ull)v->batch.base_offset, (ull)key.id);
		return;
	}
	if (k->seen++ > 0)
		BAD(t, "offset %llu: batch %llx is there twice", (ull)v->batch.base_offset, (ull)key.id);
	kernel_batch_make(key.id, &want, t->body);
	if (want.stored_len != v->batch.stored_len || want.count != v->batch.count ||
	    memcmp(t->body, v->body, want.stored_len) != 0)
		BAD(t, "offset %llu: batch %llx has other bytes", (ull)v->batch.base_offset, (ull)key.id);
	if ((k->durable || k->written) && (k->offset != v->batch.base_offset || k->next != v->batch.next_offset))
		BAD(t, "batch %llx was acknowledged at %llu, stands at %llu", (ull)key.id, (ull)k->offset,
		    (ull)v->batch.base_offset);
}

static void read_all(struct trial *t)
{
	struct mq_log_options opt = kernel_options();
	struct mq_cursor c;
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	struct mq_err err = MQ_ERR_INIT;
	int rc = mq_cursor_open(&c, t->dir, "crash/0", opt.topic_id, opt.partition, &err);

	t->next = 0;
	t->batches = t->gaps = 0;
	for (size_t i = 0; i < t->n; i++)
		t->known[i].seen = 0;
	if (rc == 0)
		rc = mq_cursor_seek(&c, 0, &err);
	while (rc >= 0 && (rc = mq_cursor_next(&c, &v, &loss, &err)) != 0) {
		if (rc == 1) {
			take(t, &v);
		} else if (rc == MQ_EDAMAGE) {
			if (loss.damage && t->lying && t->n_damage < sizeof t->damage / sizeof t->damage[0])
				t->damage[t->n_damage++] = loss;
			else if (loss.damage)
				BAD(t, "offsets %llu to %llu are damaged", (ull)loss.from, (ull)loss.to - 1);
			if (loss.from != t->next)
				BAD(t, "a gap from %llu follows %llu", (ull)loss.from, (ull)t->next);
			t->next = loss.to;
			t->gaps++;
			rc = 0;
		} else {
			break;
		}
	}
	if (rc < 0)
		BAD(t, "reading: %s", err.text);
	mq_cursor_release(&c);
}

static bool told_damaged(const struct trial *t, const struct known *k)
{
	for (unsigned i = 0; i < t->n_damage; i++)
		if (t->damage[i].from <= k->offset && k->next <= t->damage[i].to)
			return true;
	return false;
}

/* Acknowledged as durable: there.  As written: there if something behind it in the same load was made durable,
 * since a sync is of all that was published before. */
static void demand(struct trial *t)
{
	uint64_t round = UINT64_MAX, durable = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct known *k = &t->known[i];

		if (kernel_id_round(k->id) != round) {
			round = kernel_id_round(k->id);
			durable = 0;
			for (size_t j = i; j < t->n && kernel_id_round(t->known[j].id) == round; j++)
				if (t->known[j].durable && t->known[j].next > durable)
					durable = t->known[j].next;
		}
		if (k->durable && !k->seen && !told_damaged(t, k))
			BAD(t, "batch %llx, acknowledged as durable at %llu, is not there", (ull)k->id, (ull)k->offset);
		if (t->strict && k->written && k->offset < durable && !k->seen)
			BAD(t, "batch %llx, written at %llu and synced with what lies behind, is not there", (ull)k->id,
			    (ull)k->offset);
	}
}

/* A producer's table holds what the log holds of it. */
static void demand_producers(struct trial *t, struct mq_log *log)
{
	for (unsigned p = 1; p <= KERNEL_WRITERS_MAX; p++) {
		struct mq_producer have;
		struct mq_err err = MQ_ERR_INIT;
		uint64_t most = 0;
		char name[16];

		for (size_t i = 0; i < t->n; i++)
			if (t->known[i].producer == p && t->known[i].seen && t->known[i].number > most)
				most = t->known[i].number;
		if (most == 0)
			continue;
		snprintf(name, sizeof name, "w%u", p - 1);
		if (mq_log_producer(log, MQ_WHO_PRODUCER, name, &have, &err) < 0)
			BAD(t, "producer %s: %s", name, err.text);
		else if (have.number != most)
			BAD(t, "producer %s stands at %llu, the log holds %llu", name, (ull)have.number, (ull)most);
	}
}

static uint32_t file_crc(int dir, const char *name)
{
	static uint8_t buf[1 << 18];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint32_t crc = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) > 0)
		crc = mq_crc32c(crc, buf, (size_t)n);
	close(fd);
	return crc;
}

/* Every file and its bytes but for the caches; the order does not matter. */
static uint64_t fingerprint(int at)
{
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	uint64_t sum = 0;
	struct dirent *d;

	while ((d = readdir(dir)) != NULL) {
		const char *dot = strrchr(d->d_name, '.');
		struct stat st;

		if (strcmp(d->d_name, "state") == 0 || strcmp(d->d_name, "producers") == 0 || (dot && strcmp(dot, ".idx") == 0) ||
		    fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		sum += (uint64_t)mq_crc32c(file_crc(fd, d->d_name), d->d_name, strlen(d->d_name)) * 2654435761u +
		       (uint64_t)st.st_size;
	}
	closedir(dir);
	return sum;
}

static int settle(struct trial *t, int dir, const char *when)
{
	struct mq_log_options opt = kernel_options();
	struct mq_log log;
	struct mq_err err = MQ_ERR_INIT;
	int rc = mq_log_open(&log, dir, &opt, &err);

	if (rc == 0) {
		rc = mq_log_settle(&log, &err);
		mq_log_release(&log);
	}
	if (rc == -ENOSPC && t->full)
		return 0; /* no room to go on; what is there must be seen all the same */
	if (rc < 0)
		BAD(t, "%s: %s", when, err.text);
	return rc;
}

/* The same directory as another mount: what `state` says of this one does not hold there. */
static int another_mount(int dir)
{
	return (int)syscall(SYS_open_tree, dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

/* As the next publisher would; reported, as it is there for the next check. */
static void publish_one_more(struct trial *t, const char *reports)
{
	struct mq_log_options opt = kernel_options();
	struct kernel_report r = {.what = KERNEL_DURABLE, .id = kernel_id(KERNEL_ROUND_AFTER, 0, t->n)};
	struct mq_batch b;
	struct mq_log log;
	struct mq_log_ticket ticket;
	struct mq_err err = MQ_ERR_INIT;
	int out = open(reports, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), rc;

	kernel_batch_make(r.id, &b, t->body);
	b.ack = MQ_ACK_DURABLE;
	rc = mq_log_open(&log, t->dir, &opt, &err);
	if (rc == 0)
		rc = mq_log_append(&log, &b, t->body, &ticket, &err);
	if (rc == 0)
		rc = mq_log_wait(&log, &ticket, MQ_ACK_DURABLE, &err);
	if (rc == -ENOSPC && t->full) {
		/* said, and nothing happened */
	} else if (rc < 0) {
		BAD(t, "one more: %s", err.text);
	} else {
		if (ticket.base_offset != t->next)
			BAD(t, "one more stands at %llu, not at the end, %llu", (ull)ticket.base_offset, (ull)t->next);
		r.offset = ticket.base_offset;
		r.next = ticket.next_offset;
		if (write(out, &r, sizeof r) != sizeof r)
			abort();
		demand_producers(t, &log);
	}
	close(out);
	mq_log_release(&log);
}

int kernel_verify(int dir, const char *reports, const char *what)
{
	struct trial *t = calloc(1, sizeof *t);
	uint64_t first, second;
	size_t durable = 0, written = 0, lost = 0;
	int mount;

	t->dir = dir;
	t->strict = *what == 0;
	t->lying = strcmp(what, "lying") == 0;
	t->full = strcmp(what, "full") == 0;
	t->strict |= t->full;
	if (load_reports(t, reports) < 0) {
		perror(reports);
		return 1;
	}
	if (settle(t, dir, "recovery") < 0)
		return 1;
	read_all(t);
	demand(t);
	first = fingerprint(dir);
	mount = another_mount(dir);
	if (mount < 0) {
		perror("open_tree");
		return 1;
	}
	(void)settle(t, mount, "second recovery");
	close(mount);
	second = fingerprint(dir);
	if (first != second)
		BAD(t, "the second recovery changed something");
	publish_one_more(t, reports);
	for (size_t i = 0; i < t->n; i++) {
		durable += t->known[i].durable;
		written += t->known[i].written;
		lost += t->known[i].written && !t->known[i].seen;
	}
	printf("tried=%zu durable=%zu written=%zu lost=%zu batches=%u gaps=%u damaged=%u end=%llu\n", t->n, durable, written, lost,
	       t->batches, t->gaps, t->n_damage, (ull)t->next);
	return t->bad > 0;
}
