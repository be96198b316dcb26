/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "check_parts.h"
#include "log/visible.h"
#include "payload.h"
#include "spool/check.h"

enum { OWN_SERIAL = 90000000, NAMES_MAX = 4096 };

int wrong(struct checking *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->why, k->len, fmt, ap);
	va_end(ap);
	return -1;
}

/* ---- what the story of a topic is so far ----------------------------------------------------------- */

struct story story_of(const struct state *s, const char *topic)
{
	struct story y = {.name = topic};
	size_t known = facts_known(s->facts, s->cut);

	for (size_t i = 0; i < known; i++) {
		const struct fact *f = &s->facts->f[i];

		if (strcmp(f->topic, topic) != 0)
			continue;
		if (f->kind == FACT_TOPIC_TRY)
			y = (struct story){.name = topic, .from = f->at};
		y.made |= f->kind == FACT_TOPIC;
		y.removing |= f->kind == FACT_REMOVING;
		y.gone |= f->kind == FACT_GONE;
	}
	return y;
}

const struct fact *fact_next(const struct state *s, const struct story *y, const struct fact *f)
{
	const struct fact *end = s->facts->f + facts_known(s->facts, s->cut);

	for (f = f ? f + 1 : s->facts->f; f < end; f++)
		if (f->at >= y->from && strcmp(f->topic, y->name) == 0)
			return f;
	return NULL;
}

/* ---- records --------------------------------------------------------------------------------------- */

static bool told_lost(const struct reading *r, uint64_t offset)
{
	for (size_t i = 0; i < r->n_lost; i++)
		if (offset >= r->lost[i].from && offset < r->lost[i].to)
			return true;
	return false;
}

/* Is nothing left of what `state` witnessed? */
static bool forgotten(const struct checking *k, const struct story *y)
{
	bool yes = k->s->stateless;

	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));)
		yes |= f->kind == FACT_FORGET;
	return yes;
}

/* Does anything but the bytes themselves say that they were acknowledged?  Where `state` is gone commits do, and
 * batches that came later. */
static bool witnessed(const struct checking *k, const struct story *y, uint64_t offset, size_t acknowledged)
{
	bool told = false;

	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));) {
		bool is_record = f->kind == FACT_DURABLE || f->kind == FACT_WRITTEN || f->kind == FACT_SAW;
		const struct fact_record *r = is_record ? facts_at(k->s->facts, y->name, 0, f->offset, f->at) : NULL;

		told |= f->kind == FACT_COMMIT && f->offset > offset;
		told |= r && r->tried_at > acknowledged;
	}
	return told || !forgotten(k, y);
}

/* A bad sector costs the batch that it lies in, and no other. */
static int expect_one_batch(struct checking *k, const struct story *y, const struct fact_record *lost, const char *when)
{
	if (!lost)
		return 0;
	if (k->lost_batch != UINT64_MAX && k->lost_batch != lost->batch_first)
		return wrong(k, "%s: %s: one bad sector costs the batches at %llu and at %llu", y->name, when,
		             (unsigned long long)k->lost_batch, (unsigned long long)lost->batch_first);
	k->lost_batch = lost->batch_first;
	return 0;
}

static int expect_record(struct checking *k, const struct story *y, const struct reading *r, const struct fact *f,
                         uint64_t offset, const char *when)
{
	const struct fact_record *want = facts_at(k->s->facts, y->name, 0, offset, f->at);
	const struct seen *got = reading_at(r, offset);

	if (offset < r->log_start)
		return 0;
	if (k->s->rotten && !witnessed(k, y, offset, f->at))
		return 0;
	if (!got && want && is_overtaken(k, y, r, want))
		return 0;
	if (k->s->rotten && !got && told_lost(r, offset) && is_compacted(k, y)) /* in other batches than it was published in */
		return 0;
	if (k->s->rotten && !got && told_lost(r, offset))
		return expect_one_batch(k, y, want, when);
	if (!got)
		return wrong(k, "%s: %s: the record at %llu was acknowledged and is not there", y->name, when, (unsigned long long)offset);
	if (want && want->serial != got->serial)
		return wrong(k, "%s: %s: the record at %llu is another one than was acknowledged", y->name, when,
		             (unsigned long long)offset);
	return 0;
}

/* Somebody wrote into visible bytes. */
static bool harmed(const struct checking *k, const struct story *y)
{
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));)
		if (f->kind == FACT_HARM)
			return true;
	return false;
}

static int expect_no_damage(struct checking *k, const struct story *y, const struct reading *r, const char *when)
{
	if (harmed(k, y))
		return 0;
	for (size_t i = 0; i < r->n_lost; i++)
		if (r->lost[i].damage && !k->s->rotten)
			return wrong(k, "%s: %s: damage is told at %llu to %llu where nothing was damaged", y->name, when,
			             (unsigned long long)r->lost[i].from, (unsigned long long)r->lost[i].to);
	return 0;
}

static int expect_records(struct checking *k, const struct story *y, const struct reading *r, const char *when)
{
	k->lost_batch = UINT64_MAX;
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));) {
		bool counts = f->kind == FACT_DURABLE || f->kind == FACT_SAW || (f->kind == FACT_WRITTEN && k->s->kind == WORLD_KILL);

		for (uint64_t i = 0; counts && i < (f->kind == FACT_SAW ? 1 : f->count); i++)
			if (expect_record(k, y, r, f, f->offset + i, when) < 0)
				return -1;
	}
	return expect_no_ghosts(k, y, r, when) < 0 ? -1 : expect_no_damage(k, y, r, when);
}

/* A bad sector costs the one batch that it lies in. */
static int expect_small_loss(struct checking *k, const struct story *y, const struct reading *r)
{
	for (size_t i = 0; i < r->n_lost; i++) {
		const struct mq_cursor_loss *l = &r->lost[i];
		const struct fact_record *at = facts_at(k->s->facts, y->name, 0, l->from, k->s->cut);

		if (l->damage && at && l->to > at->batch_end && !is_compacted(k, y))
			return wrong(k, "%s: the damage is told to reach from %llu to %llu, the batch ends at %llu", y->name,
			             (unsigned long long)l->from, (unsigned long long)l->to, (unsigned long long)at->batch_end);
	}
	return 0;
}

static int expect_same(struct checking *k, const struct story *y, const struct reading *a, const struct reading *b,
                       const char *what)
{
	bool same = a->n == b->n && a->end == b->end && a->log_start == b->log_start;

	for (size_t i = 0; same && i < a->n; i++)
		same = a->r[i].offset == b->r[i].offset && a->r[i].serial == b->r[i].serial;
	if (!same)
		return wrong(k, "%s: %s: %zu records to %llu, then %zu to %llu", y->name, what, a->n, (unsigned long long)a->end,
		             b->n, (unsigned long long)b->end);
	return 0;
}

static int expect_subset(struct checking *k, const struct story *y, const struct reading *part, const struct reading *all)
{
	for (size_t i = 0; i < part->n; i++) {
		const struct seen *got = reading_at(all, part->r[i].offset);

		if (part->r[i].offset >= all->log_start && (!got || got->serial != part->r[i].serial))
			return wrong(k, "%s: a reader saw the record at %llu, which the recovery did not keep", y->name,
			             (unsigned long long)part->r[i].offset);
	}
	return 0;
}

/* ---- a partition: read, recover, read, recover, read ------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void segments(const struct checking *k, const struct story *y, char ret[NAMES_MAX])
{
	char path[PATH_LEN + 64], *names[256];
	struct dirent *e;
	size_t n = 0, used = 0;
	DIR *dir;

	snprintf(path, sizeof path, "%s/spool/topics/%s/0", k->s->dir, y->name);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (strstr(e->d_name, ".seg") && n < 256)
			names[n++] = must(strdup(e->d_name));
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof *names, by_text);
	ret[0] = 0;
	for (size_t i = 0; i < n; i++) {
		if (used + strlen(names[i]) + 2 < NAMES_MAX)
			used += (size_t)snprintf(ret + used, NAMES_MAX - used, "%s ", names[i]);
		free(names[i]);
	}
}

static int settle(struct checking *k, struct mq_topic *t, const char *when)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_partition part;
	struct mq_log log;
	int rc = mq_partition_log(&part, t, 0, &log, &err);

	if (rc == 0) {
		rc = mq_log_settle(&log, &err);
		mq_log_release(&log);
	}
	return rc < 0 ? wrong(k, "%s: %s fails: %s (%d)", t->name, when, err.text, rc) : 0;
}

/* What `state` says was visible: no fresh record may get an offset below. */
static uint64_t visible_in_state(struct mq_topic *t)
{
	struct mq_state_file s;
	struct mq_tail tail;
	uint64_t seq = 0, pos = 0, offset = 0, visible_pos, visible = 0;
	int dir = mq_partition_dir(t, 0, NULL);

	if (dir >= 0 && mq_state_file_open(&s, dir, false, NULL) == 0) {
		if (mq_state_tail_read(&s, &tail, &seq, NULL) == 0 && seq > 0 &&
		    mq_state_durable(&s, MQ_STATE_MARKS, &tail.segment, &pos, &offset, NULL, NULL) == 0)
			mq_visible_end(&tail, pos, offset, &visible_pos, &visible);
		mq_state_file_release(&s);
	}
	if (dir >= 0)
		(void)mq_sys->close(dir);
	return visible;
}

static int take_reading(struct checking *k, const struct story *y, struct mq_topic *t, struct reading *ret, const char *when)
{
	char why[512];
	int rc = reading_take(ret, t, 0, k->s->facts, y->from, k->s->cut, why, sizeof why);

	return rc < 0 ? wrong(k, "%s: %s: %s", y->name, when, why) : 0;
}

int read_all(struct checking *k, const struct story *y, struct mq_topic *t, struct reading *ret, const char *when)
{
	int rc = take_reading(k, y, t, ret, when);

	return rc < 0 ? rc : expect_records(k, y, ret, when);
}

static int recover_twice(struct checking *k, const struct story *y, struct mq_topic *t, struct reading *now)
{
	struct reading before = {0}, once = {0};
	char names[NAMES_MAX], names_again[NAMES_MAX];
	int rc;

	world_read_only(true);
	rc = take_reading(k, y, t, &before, "before recovery");
	/* Of a tail that went back while the boot goes on a reader cannot know, and where a sector is bad and `state` is
	 * gone it does not ask what the groups committed. */
	if (rc == 0)
		rc = k->s->kind == WORLD_REMOUNT || (k->s->rotten && forgotten(k, y)) ? expect_no_damage(k, y, &before, "before recovery")
		                                 : expect_records(k, y, &before, "before recovery");
	if (rc == 0 && world_refused())
		rc = wrong(k, "%s: a reader tried to change the disk", y->name);
	world_read_only(false);
	if (rc == 0)
		rc = settle(k, t, "recovery");
	if (rc == 0)
		rc = read_all(k, y, t, &once, "after recovery");
	if (rc == 0)
		rc = expect_subset(k, y, &before, &once);
	if (rc == 0 && k->s->rotten)
		rc = expect_small_loss(k, y, &before);
	segments(k, y, names);
	if (k->s->kind != WORLD_KILL) /* where a batch that was written and not published may be taken in by it */
		world_remount();
	if (rc == 0)
		rc = settle(k, t, "recovery, once more");
	if (rc == 0)
		rc = read_all(k, y, t, now, "after a second recovery");
	if (rc == 0)
		rc = expect_same(k, y, &once, now, "a second recovery changes what is read");
	segments(k, y, names_again);
	if (rc == 0 && strcmp(names, names_again) != 0)
		rc = wrong(k, "%s: a second recovery made a segment: %s, then %s", y->name, names, names_again);
	reading_free(&before);
	reading_free(&once);
	return rc;
}

/* ---- one more -------------------------------------------------------------------------------------- */

static int append_own(struct mq_log *log, uint32_t serial, struct mq_log_ticket *ret, struct mq_err *err)
{
	char text[32];
	struct mq_batch b = {.kind = MQ_BATCH_LINES, .ack = MQ_ACK_DURABLE, .count = 1};
	int rc;

	payload_make(serial, 20, false, text);
	text[20] = '\n';
	b.stored_len = b.raw_len = 21;
	b.body_crc = mq_crc32c(0, text, 21);
	rc = mq_log_append(log, &b, text, ret, err);
	return rc < 0 ? rc : mq_log_wait(log, ret, MQ_ACK_DURABLE, err);
}

static int publish_one_more(struct checking *k, const struct story *y, struct mq_topic *t, const struct reading *now,
                            uint64_t at_least)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_partition part;
	struct mq_log log;
	struct mq_log_ticket ticket;
	struct reading then = {0};
	const struct seen *own;
	uint32_t serial = OWN_SERIAL;
	bool more = k->s->kind == WORLD_KILL || harmed(k, y);
	int rc = mq_partition_log(&part, t, 0, &log, &err);

	if (rc == 0) {
		rc = append_own(&log, serial, &ticket, &err);
		if (rc == MQ_EBROKEN && harmed(k, y)) /* closed below it, the page says: look, then publish again */
			rc = append_own(&log, ++serial, &ticket, &err);
		mq_log_release(&log);
	}
	if (rc < 0)
		return wrong(k, "%s: one more publish fails: %s (%d)", y->name, err.text, rc);
	if (ticket.base_offset < at_least)
		return wrong(k, "%s: a fresh record gets the offset %llu, below %llu, which was visible, acknowledged or committed",
		             y->name, (unsigned long long)ticket.base_offset, (unsigned long long)at_least);
	rc = read_all(k, y, t, &then, "after one more publish");
	own = rc == 0 ? reading_at(&then, ticket.base_offset) : NULL;
	/* What a killed publisher left unsynced comes to be seen with it. */
	if (rc == 0 && (!own || own->serial != serial || (more ? then.n <= now->n : then.n != now->n + 1)))
		rc = wrong(k, "%s: one more publish is not read back, or something with it (%zu records, then %zu)", y->name, now->n,
		           then.n);
	reading_free(&then);
	return rc;
}

static bool is_of_records(const struct fact *f)
{
	return f->kind == FACT_DURABLE || f->kind == FACT_WRITTEN || f->kind == FACT_SAW;
}

static uint64_t promised_end(struct checking *k, const struct story *y)
{
	const struct state *s = k->s;
	uint64_t end = 0;

	for (const struct fact *f = NULL; (f = fact_next(s, y, f));) {
		uint64_t to = 0;

		if (f->kind == FACT_DURABLE || (f->kind == FACT_WRITTEN && s->kind == WORLD_KILL))
			to = f->offset + f->count;
		else if (f->kind == FACT_SAW)
			to = f->offset + 1;
		else if (f->kind == FACT_COMMIT)
			to = f->offset;
		else if (f->kind == FACT_SHARED)
			to = f->count;
		else if (f->kind == FACT_FAILED)
			to = f->offset + 1;
		if (s->rotten && to > 0 && is_of_records(f) && !witnessed(k, y, to - 1, f->at))
			to = 0; /* the last batch, and nothing left that tells of it */
		end = to > end ? to : end;
	}
	return end;
}

/* The log start holds what was promised, and nothing that nobody asked for. */
static int check_start(struct checking *k, const struct story *y, const struct reading *r)
{
	bool asked = r->log_start == 0;
	uint64_t promised = 0;

	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));) {
		if (f->kind == FACT_START)
			promised = f->offset;
		asked |= f->kind == FACT_START_TRY && f->offset == r->log_start;
	}
	if (r->log_start < promised || !asked)
		return wrong(k, "%s: the log starts at %llu, %llu was acknowledged", y->name, (unsigned long long)r->log_start,
		             (unsigned long long)promised);
	return 0;
}

static int check_log(struct checking *k, const struct story *y, struct mq_topic *t)
{
	struct reading now = {0};
	uint64_t visible = visible_in_state(t), promised = promised_end(k, y);
	int rc = recover_twice(k, y, t, &now);

	if (rc == 0)
		rc = check_start(k, y, &now);
	if (rc == 0)
		rc = check_producers(k, y, t, &now);
	if (rc == 0)
		rc = check_groups(k, y, t, now.end);
	if (promised > visible)
		visible = promised;
	if (now.end > visible)
		visible = now.end;
	if (rc == 0)
		rc = publish_one_more(k, y, t, &now, visible);
	if (rc == 0)
		rc = check_compacted(k, y, t);
	if (rc == 0)
		rc = check_archives(k, y, t);
	reading_free(&now);
	return rc;
}

/* ---- the check ------------------------------------------------------------------------------------- */

static int take_finding(void *arg, const struct mq_check_finding *f)
{
	struct checking *k = arg;

	bool of_claims = f->kind == MQ_CHECK_CONFIG && strstr(f->what, "claimed") && strstr(f->text, "verify");

	if (f->kind != MQ_CHECK_DAMAGE && !of_claims)
		return 0;
	return wrong(k, "mq-check finds damage in %s at %llu: %s", f->what, (unsigned long long)f->position, f->text);
}

/* It finds no damage where there is none, and changes nothing. */
static int check_finds_nothing(struct checking *k, const char *when)
{
	struct mq_check_options opt = {.partition = -1, .found = take_finding, .arg = k};
	struct mq_check_sums sums;
	struct mq_err err = MQ_ERR_INIT;
	int rc;

	for (size_t i = 0, n = facts_known(k->s->facts, k->s->cut); i < n; i++)
		if (k->s->facts->f[i].kind == FACT_HARM)
			return 0;
	if (k->s->rotten)
		return 0;
	k->why[0] = 0;
	world_read_only(true);
	rc = mq_spool_check(k->spool, &opt, &sums, &err);
	if (rc == 0 && world_refused())
		rc = wrong(k, "%s: mq-check tried to change the disk", when);
	world_read_only(false);
	if (rc < 0 && !k->why[0])
		return wrong(k, "%s: mq-check fails: %s", when, err.text);
	return rc;
}

/* ---- topics ---------------------------------------------------------------------------------------- */

/* Not there, or half removed: it can be made (again), and works. */
static int make_again(struct checking *k, const struct story *y, struct mq_topic *t)
{
	struct mq_err err = MQ_ERR_INIT;
	struct story anew = {.name = y->name, .from = k->s->cut};
	struct reading nothing = {0};
	int rc = 0;

	if (t) {
		rc = mq_topic_remove(t, &err);
		mq_topic_release(t);
	}
	if (rc < 0)
		return wrong(k, "%s: removing it again fails: %s", y->name, err.text);
	rc = mq_topic_make(k->spool, y->name, 1, NULL, 0, false, &err);
	if (rc == 0)
		rc = mq_topic_open(&k->topic, k->spool, y->name, &err);
	if (rc < 0)
		return wrong(k, "%s: making it again fails: %s", y->name, err.text);
	rc = publish_one_more(k, &anew, &k->topic, &nothing, 0);
	mq_topic_release(&k->topic);
	return rc;
}

static int check_topic(struct checking *k, const struct story *y)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc = mq_topic_open(&k->topic, k->spool, y->name, &err);

	if (rc == MQ_ENOTOPIC && y->made && !y->removing)
		return wrong(k, "topic %s was acknowledged and is not there", y->name);
	if (rc == MQ_ENOTOPIC)
		return make_again(k, y, NULL);
	if (rc < 0)
		return wrong(k, "topic %s cannot be opened: %s", y->name, err.text);
	if (y->gone)
		return wrong(k, "topic %s was removed and is there", y->name);
	if (y->removing)
		return make_again(k, y, &k->topic);
	rc = is_grown(k, y) ? check_grown(k, y, &k->topic) : check_log(k, y, &k->topic);
	mq_topic_release(&k->topic);
	return rc;
}

static int check_topics(struct checking *k)
{
	const struct facts *f = k->s->facts;
	size_t known = facts_known(f, k->s->cut);

	for (size_t i = 0; i < known; i++) {
		struct story y;
		bool before = false;

		for (size_t j = 0; j < i; j++)
			before |= f->f[j].kind == FACT_TOPIC_TRY && strcmp(f->f[j].topic, f->f[i].topic) == 0;
		if (f->f[i].kind != FACT_TOPIC_TRY || before)
			continue;
		y = story_of(k->s, f->f[i].topic);
		if (check_topic(k, &y) < 0)
			return -1;
	}
	return 0;
}

int check_state(const struct state *s, char *why, size_t len)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_spool spool;
	char path[PATH_LEN];
	struct checking k = {.s = s, .spool = &spool, .path = path, .why = why, .len = len};
	bool promised = false;
	int rc;

	for (size_t i = 0, n = facts_known(s->facts, s->cut); i < n; i++)
		promised |= s->facts->f[i].kind == FACT_SPOOL;
	snprintf(path, sizeof path, "%s/spool", s->dir);
	rc = mq_spool_open(&spool, path, !promised, &err);
	if (rc < 0)
		return wrong(&k, "the spool cannot be opened: %s", err.text);
	rc = check_finds_nothing(&k, "before recovery");
	if (rc == 0)
		rc = check_topics(&k);
	if (rc == 0)
		rc = check_moves(&k);
	if (rc == 0)
		rc = check_delays(&k);
	if (rc == 0)
		rc = check_letters(&k);
	if (rc == 0)
		rc = check_finds_nothing(&k, "after recovery");
	mq_spool_release(&spool);
	return rc;
}
