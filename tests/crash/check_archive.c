/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Archives after a power cut: what has the name of one is whole, and what is below the log start is in one. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/mq.h"
#include "check_parts.h"
#include "format/record.h"
#include "payload.h"
#include "spool/archive.h"
#include "sys/sys.h"

enum { OFFSETS_MAX = 1024, OWN_SERIAL = 90000000 };

/* How many archives hold the record at an offset. */
static unsigned held[OFFSETS_MAX];

static int take_record(struct checking *k, const struct mq_rec *r, const char *name)
{
	static char text[PAYLOAD_MAX + 1];
	uint32_t serial = r->payload_len < PAYLOAD_MIN ? 0 : (uint32_t)strtoul(r->payload + 1, NULL, 10);
	const struct fact_record *known = facts_record(k->s->facts, serial);

	if (r->offset >= OFFSETS_MAX)
		die("the scenario has more offsets than the check has room for");
	held[r->offset]++;
	if (serial >= OWN_SERIAL)
		return 0;
	if (!known || known->len != r->payload_len || (known->offset != UINT64_MAX && known->offset != r->offset))
		return wrong(k, "%s: the record at %llu was never published there", name, (unsigned long long)r->offset);
	payload_make(serial, known->len, known->binary, text);
	return memcmp(text, r->payload, known->len) == 0
	           ? 0
	           : wrong(k, "%s: the record at %llu has other bytes than were published", name, (unsigned long long)r->offset);
}

static int take_batch(struct checking *k, const struct mq_archive_range *range, const struct mq_archive_view *v, const char *name)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_walk w;
	struct mq_rec r;
	int rc = v->batch.control ? 0 : mq_walk_init(&w, &v->batch, v->body, &err);

	while (rc == 0 && !v->batch.control && mq_walk_next(&w, &r) == 1)
		if (r.offset >= range->from && r.offset < range->to)
			rc = take_record(k, &r, name);
	return rc < 0 && err.code ? wrong(k, "%s: %s", name, err.text) : rc;
}

static int take_archive(struct checking *k, const char *dir, const char *name)
{
	char path[PATH_LEN + 256];
	struct mq_err err = MQ_ERR_INIT;
	struct mq_archive *a;
	struct mq_archive_view v;
	int fd, rc;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = mq_sys->open_path(path, O_RDONLY, 0);
	if (fd < 0)
		return wrong(k, "%s cannot be opened", name);
	rc = mq_archive_open(&a, fd, name, &err);
	if (rc == 0) {
		const struct mq_manifest *m = mq_archive_manifest(a);

		for (size_t i = 0; i < m->n_segments && rc == 0; i++) {
			rc = mq_archive_go(a, i, &err);
			while (rc == 0 && (rc = mq_archive_next(a, &v, &err)) == 1)
				rc = take_batch(k, &m->range[0], &v, name);
		}
		mq_archive_release(a);
	}
	(void)mq_sys->close(fd);
	return rc < 0 && err.code ? wrong(k, "%s has the name of an archive and is none: %s", name, err.text) : rc;
}

static int take_all(struct checking *k, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int rc = 0;

	memset(held, 0, sizeof held);
	while (dir && rc == 0 && (e = readdir(dir)))
		if (strstr(e->d_name, ".tar.zst"))
			rc = take_archive(k, path, e->d_name);
	if (dir)
		closedir(dir);
	return rc;
}

/* once: nothing that the log holds is in an archive, too. */
static int compare(struct checking *k, const struct story *y, const struct reading *now, bool once)
{
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));)
		for (uint64_t i = 0, o = f->offset; f->kind == FACT_DURABLE && i < f->count; i++, o++)
			if (o < now->log_start && held[o] != 1)
				return wrong(k, "%s: the log starts at %llu, and the record at %llu is in %u archives", y->name,
				             (unsigned long long)now->log_start, (unsigned long long)o, held[o]);
	for (uint64_t o = now->log_start; o < OFFSETS_MAX; o++)
		if (held[o] > 1 || (held[o] && once))
			return wrong(k, "%s: the log starts at %llu, and the record there at %llu is in %u archives, too", y->name,
			             (unsigned long long)now->log_start, (unsigned long long)o, held[o]);
	return 0;
}

static int look(struct checking *k, const struct story *y, struct mq_topic *t, const char *path, const char *when, bool once)
{
	struct reading now = {0};
	int rc = read_all(k, y, t, &now, when);

	if (rc == 0)
		rc = take_all(k, path);
	if (rc == 0)
		rc = compare(k, y, &now, once);
	reading_free(&now);
	return rc;
}

static int retain(struct checking *k, const struct story *y, const char *path)
{
	struct mq_retain_request req = {.topics = &y->name, .n_topics = 1, .force = true, .archive = path};
	struct mq_retain_report report;
	struct mq *mq = mq_new();
	int rc;

	mq_use_archives();
	if (!mq || mq_open(mq, k->path, 0) < 0)
		return wrong(k, "the spool cannot be opened once more");
	rc = mq_retain(mq, &req, &report);
	if (rc < 0)
		rc = wrong(k, "%s: mq-retain --archive fails: %s", y->name, mq_why(mq));
	mq_free(mq);
	return rc;
}

int check_archives(struct checking *k, const struct story *y, struct mq_topic *t)
{
	char path[PATH_LEN + 16];
	bool any = false;
	int rc;

	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));)
		any |= f->kind == FACT_ARCHIVES;
	if (!any || k->s->rotten)
		return 0;
	snprintf(path, sizeof path, "%s/archives", k->s->dir);
	rc = look(k, y, t, path, "before one more mq-retain", false);
	if (rc == 0)
		rc = retain(k, y, path);
	return rc < 0 ? rc : look(k, y, t, path, "after one more mq-retain", true);
}
