/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/member.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/name.h"
#include "base/parse.h"
#include "spool/dirs.h"
#include "spool/group.h"
#include "sys/sys.h"

enum { FACTS_MAX = 4096 };

/* The beginning of a small file of the kernel's; empty where it cannot be had. */
static void read_text(const char *path, char *ret, size_t cap)
{
	int fd = mq_sys->open_path(path, O_RDONLY, 0);
	ssize_t n = fd < 0 ? fd : mq_sys->read(fd, ret, cap - 1);

	if (fd >= 0)
		(void)mq_sys->close(fd);
	ret[n > 0 ? n : 0] = 0;
}

/* /proc/PID/stat (proc(5)): field 3 is the state, field 22 the start; field 2, the command's name in brackets, may hold
 * anything.  0: there is no such process. */
static uint64_t ask_process(int64_t pid, char *ret_state)
{
	char path[40], text[1024], *at;
	unsigned long long start = 0;

	snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
	read_text(path, text, sizeof text);
	at = strrchr(text, ')');
	*ret_state = '?';
	if (!at || sscanf(at + 1, " %c%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%llu", ret_state, &start) != 2)
		return 0;
	return start;
}

/* Of a name that people gave, what can stand in a line. */
static void ask_host(char ret[65])
{
	size_t n;

	read_text("/proc/sys/kernel/hostname", ret, 65);
	n = strspn(ret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_");
	ret[n] = 0;
}

static int write_facts(int fd)
{
	char text[256], host[65], state;
	int64_t pid = mq_sys->pid();
	int n;
	ssize_t done;

	ask_host(host);
	n = snprintf(text, sizeof text, "pid=%lld\nstart=%llu\nhost=%s\nwhole=1\n", (long long)pid,
	             (unsigned long long)ask_process(pid, &state), host);
	done = mq_sys->pwrite(fd, text, (size_t)n, 0);
	return done >= 0 || done == -ENOSPC || done == -EDQUOT ? 0 : (int)done; /* without them it is a member all the same */
}

/* Locked before it has its name: nobody ever sees a member that is not alive yet. */
static int make_member(struct mq_membership *m, unsigned mode, struct mq_err *err)
{
	char tmp[40];
	int rc = mq_random_name("", m->name, err);

	if (rc < 0)
		return rc;
	snprintf(tmp, sizeof tmp, ".%s", m->name);
	m->file = mq_sys->openat(m->dir, tmp, O_RDWR | O_CREAT | O_EXCL, mode);
	if (m->file == -ENOSPC || m->file == -EDQUOT) {
		m->name[0] = 0;
		return 0;
	}
	rc = m->file < 0 ? m->file : mq_group_try_byte(m->file, 0);
	if (rc == 0)
		rc = write_facts(m->file);
	if (rc == 0)
		rc = mq_sys->renameat(m->dir, tmp, m->dir, m->name, false);
	return rc < 0 ? mq_err_sys(err, rc, "group %s: cannot join", m->group) : 0;
}

static int join(struct mq_membership *m, struct mq_err *err)
{
	struct mq_spool *s = m->spool;
	int rc, g = mq_dir_make(s->groups, m->group, s->dir_mode, err);

	if (g < 0) {
		mq_err_prefix(err, "groups");
		return g;
	}
	m->dir = mq_dir_make(g, "members", s->dir_mode, err);
	(void)mq_sys->close(g);
	if (m->dir < 0) {
		mq_err_prefix(err, "groups/%s", m->group);
		return m->dir;
	}
	rc = make_member(m, s->file_mode, err);
	if (rc < 0)
		mq_membership_leave(m);
	return rc;
}

int mq_membership_join(struct mq_membership *m, struct mq_spool *s, const char *group, struct mq_err *err)
{
	enum { ATTEMPTS = 100 };
	int rc = s->groups < 0 ? mq_groups_closed(s, err) : mq_name_check(group, "group", err);

	memset(m, 0, sizeof *m);
	m->spool = s;
	m->file = m->dir = -1;
	snprintf(m->group, sizeof m->group, "%s", group);
	if (rc < 0)
		return rc;
	rc = join(m, err);
	for (int i = 1; i < ATTEMPTS && rc == -ENOENT; i++) /* deleted between two calls */
		rc = join(m, err);
	if (rc == 0 && err)
		*err = (struct mq_err)MQ_ERR_INIT;
	return rc;
}

void mq_membership_leave(struct mq_membership *m)
{
	if (m->file >= 0) {
		(void)mq_sys->unlinkat(m->dir, m->name, false); /* one that stays is seen to be unlocked */
		(void)mq_sys->close(m->file);
	}
	if (m->dir >= 0)
		(void)mq_sys->close(m->dir);
	m->file = m->dir = -1;
}

/* ---- who is there ---- */
static void take_fact(struct mq_member_facts *f, const struct mq_conf_item *item)
{
	uint64_t n;
	size_t used;
	bool number = mq_to_u64_prefix(item->value, item->value_len, &n, &used) == 0 && used == item->value_len;

	if (mq_conf_key_is(item, "pid") && number && n > 0 && n <= INT32_MAX)
		f->pid = (int64_t)n;
	else if (mq_conf_key_is(item, "start") && number)
		f->start = n;
	else if (mq_conf_key_is(item, "host") && item->value_len < sizeof f->host && mq_name_ok(item->value, item->value_len))
		memcpy(f->host, item->value, item->value_len);
}

static void read_facts(int fd, struct mq_member_facts *f)
{
	char text[FACTS_MAX], host[65], state;
	ssize_t n = mq_sys->pread(fd, text, sizeof text, 0);
	struct mq_conf_scan scan = MQ_CONF_SCAN(text, n > 0 ? (size_t)n : 0);
	struct mq_conf_item item;
	bool whole = false; /* a full disk may have cut it */

	while (mq_conf_next(&scan, &item, NULL) > 0) {
		take_fact(f, &item);
		whole |= mq_conf_key_is(&item, "whole");
	}
	if (!whole)
		*f = (struct mq_member_facts){.pid = -1};
	ask_host(host);
	if (f->pid < 0 || f->start == 0 || !*host || strcmp(host, f->host) != 0 || ask_process(f->pid, &state) != f->start)
		return;
	f->state = state == 'T' || state == 't' ? MQ_MEMBER_STOPPED : MQ_MEMBER_RUNNING;
}

struct walk {
	int dir;
	int (*fn)(void *arg, const struct mq_member_facts *f);
	void *arg;
};

static int look(void *arg, const char *name)
{
	struct walk *w = arg;
	struct mq_member_facts f = {.pid = -1};
	int alive, fd;

	if (strlen(name) >= sizeof f.name)
		return 0;
	fd = mq_sys->openat(w->dir, name, O_RDONLY, 0);
	if (fd < 0)
		return 0; /* gone, or not this user's to look at */
	alive = mq_sys->lock_test(fd, MQ_LOCK_WRITE, 0, 1);
	if (alive == 1)
		read_facts(fd, &f);
	(void)mq_sys->close(fd);
	if (alive != 1)
		return 0;
	memcpy(f.name, name, strlen(name));
	return w->fn(w->arg, &f);
}

int mq_member_each(struct mq_spool *s, const char *group, int (*fn)(void *arg, const struct mq_member_facts *f), void *arg,
                   struct mq_err *err)
{
	char path[MQ_NAME_MAX + 16];
	struct walk w = {.fn = fn, .arg = arg};
	int rc = s->groups < 0 ? mq_groups_closed(s, err) : 0;

	if (rc < 0)
		return rc;
	snprintf(path, sizeof path, "%s/members", group);
	w.dir = mq_dir_open(s->groups, path, err);
	if (w.dir == -ENOENT) {
		if (err)
			*err = (struct mq_err)MQ_ERR_INIT;
		return 0;
	}
	if (w.dir < 0)
		return w.dir;
	rc = mq_dir_each_name(w.dir, look, &w, err);
	(void)mq_sys->close(w.dir);
	return rc;
}
