/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Retention with archives: archive, log start, removal. */
#include "scenario.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ops/ops.h"
#include "sys/sys.h"

enum { LEN = 450 };

static struct mq_err err;
static struct pub a;
static char archives[512];

static void make_archives(void)
{
	char link[40], path[500];
	ssize_t n;
	int dir;

	snprintf(link, sizeof link, "/proc/self/fd/%d", spool.root);
	n = readlink(link, path, sizeof path - 1);
	path[n < 0 ? 0 : n] = 0;
	*strrchr(path, '/') = 0;
	snprintf(archives, sizeof archives, "%s/archives", path);
	dir = mq_sys->mkdir_path(archives, 0750) < 0 ? -1 : mq_sys->open_path(path, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0 || mq_sys->fsync(dir) < 0 || mq_sys->close(dir) < 0)
		fail("cannot make %s", archives);
}

static void begin(void)
{
	static const char *const set[] = {"segment.bytes=4096", "retention.bytes=1"};

	make_topic("t", set, 2);
	pub_open(&a, "t");
	make_archives();
	mq_use_archives();
}

static void put(int times)
{
	for (int i = 0; i < times; i++)
		pub_durable(&a, 4, LEN);
}

static void group_reads(uint64_t from, uint64_t offset)
{
	struct mq_membership m;
	struct mq_ownership o;

	note("commit g t 0 %llu", (unsigned long long)from);
	ok(mq_membership_join(&m, &spool, "g", NULL, &err), &err, "join");
	if (mq_ownership_take(&o, &m, &a.topic, 0, 0, &err) != 1)
		fail("the partition is not to be had: %s", err.text);
	note("commit g t 0 %llu", (unsigned long long)offset);
	ok(mq_ownership_commit(&o, offset, 0, &err), &err, "commit");
	ok(mq_ownership_sync(&o, &err), &err, "sync the commits");
	ack("commit g t 0 %llu", (unsigned long long)offset);
	mq_ownership_release(&o);
	mq_membership_leave(&m);
}

/* The log start may be anywhere up to there. */
static struct mq_retain_report retain(uint64_t most)
{
	static const char *const topic = "t";
	struct mq_retain_request req = {.topics = &topic, .n_topics = 1, .force = true, .archive = archives};
	struct mq_retain_report report;
	struct mq_bounds b;
	struct mq *mq = session();

	note("archives t 0");
	for (uint64_t o = 1; o <= most; o++)
		note("start t 0 %llu", (unsigned long long)o);
	if (mq_retain(mq, &req, &report) < 0)
		fail("retain: %s", mq_why(mq));
	ok(mq->store->engine->bounds(mq->store, "t", 0, &b, &err), &err, "look at the log");
	ack("start t 0 %llu", (unsigned long long)b.log_start);
	mq_free(mq);
	return report;
}

static void retain_some(uint64_t most)
{
	if (retain(most).parts == 0)
		fail("nothing went");
}

static void what_goes_is_archived(void)
{
	begin();
	put(6);
	retain_some(24);
	put(5);
	group_reads(20, 36); /* which holds what is behind it */
	put(3);
	retain_some(36);
	group_reads(36, 56);
	retain_some(56);
	pub_close(&a);
}

static void retain_in_vain(void)
{
	(void)retain(24);
}

/* Its archive has a name that may not last: the next one finds it and takes it for what it holds. */
static void an_archiver_dies(void)
{
	begin();
	put(6);
	upset.die_after = "renameat";
	upset.die_path = ".tar.zst";
	upset.die_nth = 1;
	in_child(retain_in_vain);
	upset.die_after = NULL;
	retain_some(24);
	pub_close(&a);
}

const struct scenario scenarios_retain[] = {
    {"what-goes-is-archived", what_goes_is_archived},
    {"an-archiver-dies", an_archiver_dies},
    {NULL, NULL},
};
