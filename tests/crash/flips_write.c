/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file is changed, and a publisher comes: what it recovers and writes must take nothing more away. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "flips.h"

struct kept { /* the files of a partition's directory, to be put back */
	int dir;
	size_t n;
	struct {
		char name[64];
		uint8_t *bytes;
		size_t len;
	} file[32];
};

static void keep(struct kept *k, struct bed *b)
{
	char full[4096];
	struct dirent *e;
	DIR *d;

	snprintf(full, sizeof full, "%s/topics/%s/%lld", b->path, b->topic, (long long)b->p);
	k->dir = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = opendir(full);
	if (k->dir < 0 || !d)
		flips_die(full, NULL);
	while ((e = readdir(d)) != NULL) {
		int fd;

		if (e->d_name[0] == '.')
			continue;
		snprintf(k->file[k->n].name, sizeof k->file[k->n].name, "%.63s", e->d_name);
		k->file[k->n].bytes = malloc(FILE_MAX);
		fd = openat(k->dir, e->d_name, O_RDONLY | O_CLOEXEC);
		k->file[k->n].len = (size_t)pread(fd, k->file[k->n].bytes, FILE_MAX, 0);
		close(fd);
		k->n++;
	}
	closedir(d);
}

static bool is_kept(const struct kept *k, const char *name)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->file[i].name, name) == 0)
			return true;
	return false;
}

/* All as it was, in the same files.  reboot: but a new state, so that its tail is of another one and not trusted. */
static void put_back(const struct kept *k, bool reboot)
{
	DIR *d = fdopendir(dup(k->dir));
	struct dirent *e;

	rewinddir(d);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !is_kept(k, e->d_name))
			unlinkat(k->dir, e->d_name, 0);
	closedir(d);
	if (reboot)
		unlinkat(k->dir, "state", 0);
	for (size_t i = 0; i < k->n; i++) {
		int fd = openat(k->dir, k->file[i].name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

		if (fd < 0 || pwrite(fd, k->file[i].bytes, k->file[i].len, 0) != (ssize_t)k->file[i].len ||
		    ftruncate(fd, (off_t)k->file[i].len) < 0)
			flips_die(k->file[i].name, NULL);
		close(fd);
	}
}

/* What the next publisher does: recover where it must, append one durable batch. */
static int settle(struct bed *b)
{
	struct mq_batch batch = {.kind = MQ_BATCH_LINES, .ack = MQ_ACK_DURABLE, .count = 1, .stored_len = 6, .raw_len = 6};
	struct mq_partition hold;
	struct mq_log_ticket t;
	struct mq_topic topic;
	struct mq_log log;
	int rc = mq_topic_open(&topic, &b->spool, b->topic, NULL);

	if (rc < 0)
		return rc;
	rc = mq_partition_log(&hold, &topic, (uint32_t)b->p, &log, NULL);
	if (rc == 0) {
		batch.body_crc = mq_crc32c(0, "after\n", 6);
		rc = mq_log_append(&log, &batch, "after\n", &t, NULL);
		if (rc == 0)
			rc = mq_log_wait(&log, &t, MQ_ACK_DURABLE, NULL);
		mq_log_release(&log);
	}
	mq_topic_release(&topic);
	return rc;
}

static const char *tail_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* One byte changed, then a writer comes. */
static void written_to(struct bed *b, struct kept *k, const struct reading *good, uint64_t at, bool reboot)
{
	uint64_t gone_from, gone_to;
	struct reading now;
	struct verdict v = {0};
	int fd = openat(k->dir, tail_of(b->file), O_RDWR | O_CLOEXEC), rc;
	uint8_t byte = (uint8_t)(b->bytes[at] ^ 1u << at % 8);

	flips_own_batch(b, at, &gone_from, &gone_to);
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		flips_die("write", NULL);
	close(fd);
	v.untold = flips_check(&b->spool, b->topic, b->p) == b->told;
	rc = settle(b);
	flips_read(&b->spool, b->topic, (uint32_t)b->p, &now);
	for (uint64_t o = good->end; o < OFFSETS_MAX; o++)
		now.sum[o] = 0; /* the one appended here: its place is not below the end that was seen */
	flips_compare(&now, good, gone_from, gone_to, &v);
	for (uint64_t o = 0; o < good->durable; o++)
		v.silent |= good->sum[o] && !now.sum[o] && !now.loss && !now.refused; /* the reader itself must hear of these */
	v.refused |= rc < 0;
	flips_report(b, at, (int)(at % 8), &v);
	put_back(k, reboot);
}

void flips_write_on(struct bed *b, uint64_t from, uint64_t to, bool reboot)
{
	static struct kept k;
	struct reading good;

	keep(&k, b);
	put_back(&k, reboot);
	b->told = flips_check(&b->spool, b->topic, b->p);
	flips_read(&b->spool, b->topic, (uint32_t)b->p, &good);
	if (good.refused)
		flips_die("the spool cannot be read as it is", NULL);
	for (uint64_t at = from; at < to && at < b->len; at++)
		written_to(b, &k, &good, at, reboot);
}
