/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/dirs.h"
#include "spool/process.h"
#include "sys/sys.h"

enum { INFO_MAX = 16 << 20 }; /* of a description with many locks */

struct search {
	struct mq_holders *h;
	struct mq_stat file;
	struct mq_buf text;
	int dir;        /* fdinfo of the process at hand */
	int64_t pid;
};

/* "lock:	1: OFDLCK  ADVISORY  WRITE -1 fe:00:1234 5 5": device, inode, first byte, last byte or EOF. */
static bool read_lock(const char *line, uint64_t *ret_ino, struct mq_holder *ret)
{
	char last[24];

	if (sscanf(line, "lock: %*d: OFDLCK %*s %*s %*d %*x:%*x:%" SCNu64 " %" SCNu64 " %23s", ret_ino, &ret->first, last) != 3)
		return false;
	ret->last = strcmp(last, "EOF") == 0 ? UINT64_MAX : strtoull(last, NULL, 10);
	return true;
}

/* The inode's number may be another file system's, too. */
static bool is_the_file(const struct search *s, const char *fd)
{
	char path[64];
	struct mq_stat st;
	int file, rc;

	snprintf(path, sizeof path, "/proc/%" PRId64 "/fd/%.16s", s->pid, fd);
	file = mq_sys->open_path(path, O_PATH, 0);
	rc = file < 0 ? file : mq_sys->stat(file, &st);
	if (file >= 0)
		(void)mq_sys->close(file);
	return rc == 0 && st.ino == s->file.ino && st.dev_major == s->file.dev_major && st.dev_minor == s->file.dev_minor;
}

static int keep(struct search *s, struct mq_holder *holder)
{
	char state;

	holder->pid = s->pid;
	(void)mq_process_ask(s->pid, &state);
	holder->stopped = mq_process_is_stopped(state);
	return mq_buf_add(&s->h->found, holder, sizeof *holder);
}

static int look_at_description(void *arg, const char *fd)
{
	struct search *s = arg;
	struct mq_holder holder = {0};
	bool known = false;
	uint64_t ino;
	int rc = 0;

	if (mq_file_read(s->dir, fd, INFO_MAX, &s->text, NULL) < 0)
		return 0; /* closed meanwhile */
	for (const char *at = strstr(s->text.p, "\nlock:"); at && rc == 0; at = strstr(at + 1, "\nlock:")) {
		if (!read_lock(at + 1, &ino, &holder) || ino != s->file.ino)
			continue;
		if (!known && !is_the_file(s, fd))
			return 0;
		known = true;
		rc = keep(s, &holder);
	}
	return rc;
}

static int look_at_process(void *arg, const char *name)
{
	struct search *s = arg;
	char path[40];
	int rc;

	if (strspn(name, "0123456789") != strlen(name))
		return 0;
	s->pid = strtoll(name, NULL, 10);
	snprintf(path, sizeof path, "/proc/%.16s/fdinfo", name);
	s->dir = mq_sys->open_path(path, O_RDONLY | O_DIRECTORY, 0);
	if (s->dir < 0)
		return 0; /* gone, or another user's */
	rc = mq_dir_each(s->dir, look_at_description, s, NULL);
	(void)mq_sys->close(s->dir);
	return rc == -ENOMEM ? rc : 0;
}

static int by_pid(const void *a, const void *b)
{
	const struct mq_holder *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* What cannot be found out stays unsaid. */
static void look(struct mq_holders *h, int fd)
{
	struct search s = {.h = h, .text = MQ_BUF_INIT};
	int proc = mq_sys->open_path("/proc", O_RDONLY | O_DIRECTORY, 0);

	h->looked = true;
	if (proc >= 0 && mq_sys->stat(fd, &s.file) == 0)
		(void)mq_dir_each(proc, look_at_process, &s, NULL);
	if (proc >= 0)
		(void)mq_sys->close(proc);
	mq_buf_release(&s.text);
	if (h->found.len)
		qsort(h->found.p, h->found.len / sizeof(struct mq_holder), sizeof(struct mq_holder), by_pid);
}

bool mq_holders_next(struct mq_holders *h, int fd, uint64_t first, uint64_t len, size_t *at, struct mq_holder *ret)
{
	if (!h->looked)
		look(h, fd);
	for (; *at + sizeof *ret <= h->found.len; *at += sizeof *ret) {
		memcpy(ret, h->found.p + *at, sizeof *ret);
		if (first + (len - 1) < ret->first || first > ret->last)
			continue;
		*at += sizeof *ret;
		return true;
	}
	return false;
}

void mq_holders_release(struct mq_holders *h)
{
	mq_buf_release(&h->found);
	h->looked = false;
}
