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
#include "spool/process.h"
#include "sys/sys.h"

enum { FACTS_MAX = 64 << 10, COUNTS_BYTE = 1 };

/* Of a name that people gave, what can stand in a line. */
static void ask_host(char ret[65])
{
	size_t n;

	mq_process_read("/proc/sys/kernel/hostname", ret, 65);
	n = strspn(ret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_");
	ret[n] = 0;
}

static int print_facts(struct mq_buf *text, const struct mq_member_wish *wish)
{
	char host[65], state;
	int64_t pid = mq_sys->pid();
	int rc;

	ask_host(host);
	rc = mq_buf_printf(text, "pid=%lld\nstart=%llu\nhost=%s\n", (long long)pid, (unsigned long long)mq_process_ask(pid, &state), host);
	if (rc >= 0 && wish && wish->room && *wish->room)
		rc = mq_buf_printf(text, "room=%s\n", wish->room);
	for (size_t i = 0; wish && i < wish->n_topics && rc >= 0; i++)
		rc = mq_buf_printf(text, "%s%s", i ? "," : "topics=", wish->topics[i]);
	if (rc >= 0)
		rc = mq_buf_printf(text, "%swhole=1\n", wish && wish->n_topics ? "\n" : "");
	return rc < 0 ? -ENOMEM : 0;
}

static int write_facts(int fd, const struct mq_member_wish *wish, struct mq_err *err)
{
	struct mq_buf text = MQ_BUF_INIT;
	int rc = print_facts(&text, wish);
	ssize_t done = 0;

	if (rc < 0)
		rc = mq_err_set(err, rc, "no memory");
	else if (text.len > FACTS_MAX)
		rc = mq_err_set(err, MQ_EUSAGE, "so many topics at once do not fit into a member's file: read them in several runs");
	else
		done = mq_sys->pwrite(fd, text.p, text.len, 0);
	mq_buf_release(&text);
	if (done < 0 && done != -ENOSPC && done != -EDQUOT) /* without them it is a member all the same */
		rc = mq_err_sys(err, (int)done, "cannot write a member's file");
	return rc;
}

/* Locked before it has its name: nobody ever sees a member that is not alive yet. */
static int make_member(struct mq_membership *m, unsigned mode, const struct mq_member_wish *wish, struct mq_err *err)
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
	if (m->file < 0)
		return mq_err_sys(err, m->file, "group %s: cannot join", m->group);
	rc = mq_group_try_byte(m->file, 0);
	if (rc < 0)
		mq_err_sys(err, rc, "its file cannot be locked");
	if (rc == 0)
		rc = write_facts(m->file, wish, err);
	if (rc == 0) {
		rc = mq_sys->renameat(m->dir, tmp, m->dir, m->name, false);
		if (rc < 0)
			mq_err_sys(err, rc, "its file cannot be named");
	}
	if (rc == 0)
		return 0;
	mq_err_prefix(err, "group %s: cannot join", m->group);
	(void)mq_sys->unlinkat(m->dir, tmp, false); /* one that stays is of nobody alive, and mq-check tells it */
	return rc;
}

/* Who was killed leaves its file, whose name never comes again: each that joins would have one more to look at for ever. */
static int remove_dead(void *arg, const char *name)
{
	const struct mq_membership *m = arg;
	bool ours = strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
	int fd = ours ? mq_sys->openat(m->dir, name, O_RDONLY | O_NONBLOCK, 0) : -ENOENT;

	if (fd < 0)
		return 0;
	if (mq_sys->lock_test(fd, MQ_LOCK_WRITE, 0, 1) == 0)
		(void)mq_sys->unlinkat(m->dir, name, false);
	(void)mq_sys->close(fd);
	return 0;
}

static int join(struct mq_membership *m, const struct mq_member_wish *wish, struct mq_err *err)
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
	if (wish)
		(void)mq_dir_each_name(m->dir, remove_dead, m, NULL); /* what stays is looked at */
	rc = make_member(m, s->file_mode, wish, err);
	if (rc < 0)
		mq_membership_leave(m);
	return rc;
}

int mq_membership_join(struct mq_membership *m, struct mq_spool *s, const char *group, const struct mq_member_wish *wish,
                       struct mq_err *err)
{
	enum { ATTEMPTS = 100 };
	int rc = s->groups < 0 ? mq_groups_closed(s, err) : mq_name_check(group, "group", err);

	memset(m, 0, sizeof *m);
	m->spool = s;
	m->file = m->dir = -1;
	snprintf(m->group, sizeof m->group, "%s", group);
	if (rc < 0)
		return rc;
	rc = join(m, wish, err);
	for (int i = 1; i < ATTEMPTS && rc == -ENOENT; i++) /* deleted between two calls */
		rc = join(m, wish, err);
	if (rc == 0 && err)
		*err = (struct mq_err)MQ_ERR_INIT;
	return rc;
}

/* Its file is closed once more, which is heard by who watches the directory: a lock alone is not. */
int mq_membership_ring(struct mq_membership *m, struct mq_err *err)
{
	int fd = m->name[0] ? mq_sys->openat(m->dir, m->name, O_WRONLY, 0) : -ENOENT;

	if (fd < 0)
		return fd == -ENOENT ? 0 : mq_err_sys(err, fd, "group %s: cannot open a member's file", m->group); /* deleted: heard by that */
	(void)mq_sys->close(fd);
	return 0;
}

int mq_membership_count(struct mq_membership *m, struct mq_err *err)
{
	int rc;

	if (m->counts || !m->name[0])
		return 0;
	rc = mq_group_try_byte(m->file, COUNTS_BYTE);
	if (rc < 0)
		return mq_err_sys(err, rc, "group %s: cannot lock a member's file", m->group);
	m->counts = true;
	return mq_membership_ring(m, err);
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
	else if (mq_conf_key_is(item, "room") && item->value_len < sizeof f->room)
		memcpy(f->room, item->value, item->value_len);
	else if (mq_conf_key_is(item, "topics"))
		f->topics = item->value, f->topics_len = item->value_len;
	else if (mq_conf_key_is(item, "host") && item->value_len < sizeof f->host && mq_name_ok(item->value, item->value_len))
		memcpy(f->host, item->value, item->value_len);
}

/* text: room for FACTS_MAX, and into it lead the facts. */
static void read_facts(int fd, char *text, enum mq_member_depth depth, struct mq_member_facts *f)
{
	char host[65], state;
	ssize_t n = mq_sys->pread(fd, text, FACTS_MAX, 0);
	struct mq_conf_scan scan = MQ_CONF_SCAN(text, n > 0 ? (size_t)n : 0);
	struct mq_conf_item item;
	bool whole = false; /* a full disk may have cut it */

	while (mq_conf_next(&scan, &item, NULL) > 0) {
		take_fact(f, &item);
		whole |= mq_conf_key_is(&item, "whole");
	}
	if (!whole)
		*f = (struct mq_member_facts){.pid = -1};
	if (depth == MQ_MEMBER_WISHES)
		return;
	ask_host(host);
	if (f->pid < 0 || f->start == 0 || !*host || strcmp(host, f->host) != 0 || mq_process_ask(f->pid, &state) != f->start)
		return;
	f->state = mq_process_is_stopped(state) ? MQ_MEMBER_STOPPED : MQ_MEMBER_RUNNING;
}

struct walk {
	int dir;
	char *text;
	enum mq_member_depth depth;
	int (*fn)(void *arg, const struct mq_member_facts *f);
	void *arg;
};

static int look(void *arg, const char *name)
{
	struct walk *w = arg;
	struct mq_member_facts f = {.pid = -1};
	int alive, fd, counts = 0;

	if (strlen(name) >= sizeof f.name)
		return 0;
	fd = mq_sys->openat(w->dir, name, O_RDONLY | O_NONBLOCK, 0); /* a pipe that somebody put there keeps nobody waiting */
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -EIO)
		return fd; /* that is no reason to believe it dead */
	if (fd < 0)
		return 0; /* gone, or not this user's to look at */
	alive = mq_sys->lock_test(fd, MQ_LOCK_WRITE, 0, 1);
	if (alive == 1) {
		read_facts(fd, w->text, w->depth, &f);
		counts = mq_sys->lock_test(fd, MQ_LOCK_WRITE, COUNTS_BYTE, 1);
		f.counts = counts == 1;
	}
	(void)mq_sys->close(fd);
	if (alive != 1 || counts < 0)
		return alive != 1 ? alive : counts;
	memcpy(f.name, name, strlen(name));
	return w->fn(w->arg, &f);
}

int mq_member_each(struct mq_spool *s, const char *group, enum mq_member_depth depth,
                   int (*fn)(void *arg, const struct mq_member_facts *f), void *arg, struct mq_err *err)
{
	char path[MQ_NAME_MAX + 16];
	struct walk w = {.depth = depth, .fn = fn, .arg = arg};
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
	w.text = malloc(FACTS_MAX);
	rc = w.text ? mq_dir_each_name(w.dir, look, &w, err) : mq_err_set(err, -ENOMEM, "no memory");
	if (rc == -ENOENT) { /* removed since it was opened: nobody is in it, and each member finds that out of itself */
		if (err)
			*err = (struct mq_err)MQ_ERR_INIT;
		rc = 0;
	}
	if (rc < 0 && err && !err->code)
		mq_err_sys(err, rc, "group %s: cannot look at its members", group);
	free(w.text);
	(void)mq_sys->close(w.dir);
	return rc;
}
