/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members as such, evicted: nothing is assigned to them any more. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spool/dirs.h"
#include "spool/evict.h"
#include "spool/member.h"
#include "sys/sys.h"

/* What an eviction adds to a member's file before it takes it away: who only lost his name was not evicted. */
static const char STRUCK[] = "evicted=1\n";

struct search {
	const char *who;
	struct mq_eviction *ret;
	bool by_name;
	int found;
};

/* A name may be made of digits alone. */
static int look(void *arg, const struct mq_member_facts *f)
{
	struct search *s = arg;
	char pid[24];

	snprintf(pid, sizeof pid, "%" PRId64, f->pid);
	if (strcmp(s->by_name ? f->name : pid, s->who) != 0 || (!s->by_name && f->pid < 0))
		return 0;
	s->ret->pid = f->pid;
	snprintf(s->ret->member, sizeof s->ret->member, "%s", f->name);
	s->found = 1;
	return 0;
}

static int members_dir(struct mq_spool *s, const char *group, struct mq_err *err)
{
	char path[MQ_NAME_MAX + 16];

	snprintf(path, sizeof path, "%s/members", group);
	return mq_dir_open(s->groups, path, err);
}

static int strike(struct mq_spool *s, const char *group, const char *name, struct mq_err *err)
{
	int rc, file, dir = members_dir(s, group, err);

	if (dir < 0)
		return dir == -ENOENT ? mq_err_set(err, MQ_ENOTOPIC, "group %s was deleted", group) : dir;
	file = mq_sys->openat(dir, name, O_WRONLY | O_APPEND, 0);
	if (file >= 0) { /* where that cannot be, on a full disk, it is told less well */
		(void)mq_sys->write(file, STRUCK, sizeof STRUCK - 1);
		(void)mq_sys->close(file);
	}
	rc = mq_sys->unlinkat(dir, name, false);
	(void)mq_sys->close(dir);
	return rc < 0 && rc != -ENOENT ? mq_err_sys(err, rc, "group %s: cannot take away member %s", group, name) : 0;
}

int mq_evict_member(struct mq_spool *s, const char *group, const char *member, bool dry_run, struct mq_eviction *ret,
                    struct mq_err *err)
{
	struct search q = {member, ret, true, 0};
	int rc;

	*ret = (struct mq_eviction){.pid = -1};
	rc = mq_member_each(s, group, MQ_MEMBER_WISHES, look, &q, err);
	if (rc == 0 && !q.found) {
		q.by_name = false;
		rc = mq_member_each(s, group, MQ_MEMBER_WISHES, look, &q, err);
	}
	if (rc == 0 && q.found && !dry_run)
		rc = strike(s, group, ret->member, err);
	return rc < 0 ? rc : q.found;
}

/* ---- was it this one? ---- */
static bool is_struck(const struct mq_membership *m, const struct mq_stat *file)
{
	char text[sizeof STRUCK - 1];
	uint64_t len = sizeof text;

	return file->size >= len && mq_sys->pread(m->file, text, len, file->size - len) == (ssize_t)len && memcmp(text, STRUCK, len) == 0;
}

/* Of a file that has another name now, or none, nobody is told.  A group that is deleted is told by who owns something, and by
 * the next one who looks. */
static int look_for_name(const struct mq_membership *m, const struct mq_stat *file, struct mq_err *err)
{
	char path[2 * MQ_NAME_MAX + 16];
	struct mq_stat named, dir;
	int rc;

	snprintf(path, sizeof path, "%s/members/%s", m->group, m->name);
	rc = mq_sys->statat(m->spool->groups, path, &named);
	if (rc < 0 ? rc != -ENOENT : named.ino == file->ino)
		return 0;
	if (mq_sys->statat(m->spool->groups, m->group, &dir) < 0)
		return 0;
	snprintf(path, sizeof path, "%s/members", m->group);
	if (mq_sys->stat(m->dir, &dir) < 0 || mq_sys->statat(m->spool->groups, path, &named) < 0 || dir.nlink == 0 || named.ino != dir.ino)
		return mq_err_set(err, MQ_EAGAIN, "group %s: groups/%s/members was removed or replaced while its members ran, so that they do not "
		                  "hear of each other: this one ends; start all of them again", m->group, m->group);
	return mq_err_set(err, MQ_EAGAIN, "group %s: groups/%s/members/%s was removed, by no mq-group evict, so that no other member hears of this "
	                  "one: it ends; start it again", m->group, m->group, m->name);
}

int mq_evict_look(const struct mq_membership *m, struct mq_err *err)
{
	struct mq_stat file;

	if (!m->name[0] || mq_sys->stat(m->file, &file) < 0)
		return 0;
	if (file.nlink == 0 && is_struck(m, &file))
		return mq_err_set(err, MQ_EAGAIN, "group %s: this member, %s, was evicted from the group (mq-group evict)", m->group, m->name);
	return look_for_name(m, &file, err);
}

static int ring_one(void *arg, const char *name)
{
	int fd = mq_sys->openat(*(int *)arg, name, O_WRONLY | O_NONBLOCK, 0);

	if (fd < 0)
		return 0; /* gone, or not this user's to open */
	(void)mq_sys->close(fd);
	return 1;
}

void mq_evict_ring(struct mq_spool *s, const char *group)
{
	struct mq_err unheard = MQ_ERR_INIT;
	int dir = members_dir(s, group, &unheard);

	if (dir < 0)
		return; /* they look by the clock, too */
	(void)mq_dir_each_name(dir, ring_one, &dir, &unheard);
	(void)mq_sys->close(dir);
}
