/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topic that grows, after a power cut.
 *
 *   topic.conf says what was acknowledged, or what was begun next, and nothing else
 *   in each partition no batch was routed by a generation that another had replaced there, each lies where its key leads by its
 *     generation, and behind the beginning of that
 *   every record that was acknowledged is there, once, and the records of each key are in order: for readers without a group, for a
 *     group that had done some, for one that is new, even where they are asked for one partition after the other, from the last on
 *   the same after more was published, after it has grown once more, and after more was published then
 *   the number of that growth was never used, not even by one that came to nothing
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/mq.h"
#include "base/murmur2.h"
#include "check_parts.h"
#include "format/record.h"
#include "payload.h"
#include "sys/sys.h"

enum { RECORDS_MAX = 512, LINES_MAX = RECORDS_MAX * (GROW_LEN + 1), OWN_FIRST = 1001 /* serials of the check itself */ };

/* Of a record: what is known of it. */
enum { TRIED = 1, SENT = 2, TAKEN = 4 };

struct growing {
	struct checking *k;
	const struct story *y;
	struct mq *mq;
	uint8_t known[OWN_FIRST + RECORDS_MAX];
	uint32_t next;              /* serial of the check's next record */
	bool taking, took;          /* the group g was at work, has ended */
	uint32_t begun;             /* the highest number of a generation that began in any partition */
	uint32_t to;                /* partitions at the last growth that was acknowledged or begun */
};

/* What one reader got so far. */
struct pile {
	uint8_t times[OWN_FIRST + RECORDS_MAX];
	uint32_t last[GROW_KEYS];
};

static struct growing now;

bool is_grown(const struct checking *k, const struct story *y)
{
	for (size_t i = 0; i < k->s->facts->n; i++)
		if (k->s->facts->f[i].kind == FACT_GROWS && strcmp(k->s->facts->f[i].topic, y->name) == 0)
			return true;
	return false;
}

static void mark(struct growing *g, uint32_t first, uint64_t count, uint8_t as)
{
	for (uint32_t i = first; i < first + count && i < OWN_FIRST; i++)
		g->known[i] |= as;
}

static void learn(struct growing *g)
{
	for (const struct fact *f = NULL; (f = fact_next(g->k->s, g->y, f));) {
		if (f->kind == FACT_SEND)
			mark(g, f->partition, f->offset, TRIED);
		else if (f->kind == FACT_SENT)
			mark(g, f->partition, f->offset, SENT);
		else if (f->kind == FACT_TAKEN)
			mark(g, f->partition, 1, TAKEN);
		g->taking |= f->kind == FACT_TAKING;
		g->took |= f->kind == FACT_TOOK;
	}
}

/* ---- topic.conf ------------------------------------------------------------------------------------ */

/* All growths that were acknowledged, and it may have the one begun then. */
static int check_conf(struct growing *g, const struct mq_topic_conf *c)
{
	const struct fact *begun = NULL;
	uint32_t n = 1;

	for (const struct fact *f = NULL; (f = fact_next(g->k->s, g->y, f));) {
		if (f->kind == FACT_GROWS)
			begun = f;
		if (f->kind != FACT_GROWN)
			continue;
		begun = NULL;
		if (n >= c->n_generations || c->generations[n].number != f->partition || c->generations[n].partitions != f->offset)
			return wrong(g->k, "%s: growth %u to %llu partitions was acknowledged, and topic.conf does not say so", g->y->name,
			             f->partition, (unsigned long long)f->offset);
		n++;
	}
	if (begun && n < c->n_generations && c->generations[n].partitions == begun->offset)
		n++;
	if (n != c->n_generations)
		return wrong(g->k, "%s: topic.conf has %u generations, there were %u", g->y->name, c->n_generations, n);
	return 0;
}

/* ---- where each batch lies ------------------------------------------------------------------------- */

static uint32_t partitions_of(const struct mq_topic_conf *c, uint32_t generation)
{
	for (uint32_t i = 0; i < c->n_generations; i++)
		if (c->generations[i].number == generation)
			return c->generations[i].partitions;
	return 0;
}

static int look_at_batch(struct growing *g, const struct mq_topic_conf *c, uint32_t p, const struct mq_cursor *at,
                         const struct mq_cursor_view *v)
{
	uint32_t by = v->batch.topic_generation, n = partitions_of(c, by);
	struct mq_err err = MQ_ERR_INIT;
	struct mq_walk w;
	struct mq_rec r;
	int rc;

	if (n == 0)
		return wrong(g->k, "%s:%u: the batch at %llu was routed by generation %u, which topic.conf does not know", g->y->name, p,
		             (unsigned long long)v->batch.base_offset, by);
	if (by > at->met)
		return wrong(g->k, "%s:%u: the batch at %llu was routed by generation %u, which never began there", g->y->name, p,
		             (unsigned long long)v->batch.base_offset, by);
	if (by < at->met && partitions_of(c, at->met))
		return wrong(g->k, "%s:%u: the batch at %llu was routed by generation %u where %u had begun", g->y->name, p,
		             (unsigned long long)v->batch.base_offset, by, at->met);
	rc = mq_walk_init(&w, &v->batch, v->body, &err);
	while (rc >= 0 && (rc = mq_walk_next(&w, &r)) > 0)
		if (mq_partition_of_key(r.key, r.key_len, n) != p)
			return wrong(g->k, "%s:%u: the record at %llu belongs elsewhere", g->y->name, p, (unsigned long long)r.offset);
	return rc < 0 ? wrong(g->k, "%s:%u: a body contradicts itself", g->y->name, p) : 0;
}

static int look_at_partition(struct growing *g, struct mq_topic *t, uint32_t p)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_cursor_loss loss;
	struct mq_cursor_view v;
	struct mq_cursor c;
	int rc, dir = mq_partition_dir(t, p, &err);

	rc = dir < 0 ? dir : mq_cursor_open(&c, dir, t->name, t->conf.id, p, &err);
	if (dir >= 0)
		(void)mq_sys->close(dir);
	if (rc < 0)
		return wrong(g->k, "%s:%u: %s", t->name, p, err.text);
	rc = mq_cursor_seek(&c, 0, &err);
	while (rc >= 0 && (rc = mq_cursor_next(&c, &v, &loss, &err)) != 0) {
		if (rc == MQ_EDAMAGE)
			rc = loss.damage ? wrong(g->k, "%s:%u: damage is told at %llu", t->name, p, (unsigned long long)loss.from) : 0;
		else if (rc < 0)
			rc = wrong(g->k, "%s:%u: %s", t->name, p, err.text);
		else
			rc = look_at_batch(g, &t->conf, p, &c, &v);
	}
	if (c.met > g->begun)
		g->begun = c.met;
	mq_cursor_release(&c);
	return rc;
}

static int look_at_all(struct growing *g, struct mq_topic *t)
{
	int rc = 0;

	for (uint32_t p = 0; p < t->conf.partitions && rc == 0; p++)
		rc = look_at_partition(g, t, p);
	return rc;
}

/* ---- readers --------------------------------------------------------------------------------------- */

static int take_line(struct growing *g, struct pile *pile, const char *line, const char *when)
{
	uint32_t serial = (uint32_t)strtoul(line + 1, NULL, 10), key = serial % GROW_KEYS;
	char text[GROW_LEN + 1] = "";

	if (line[0] != '#' || serial >= OWN_FIRST + RECORDS_MAX || !(g->known[serial] & TRIED))
		return wrong(g->k, "%s: %s: '%s' was never published", g->y->name, when, line);
	payload_make(serial, GROW_LEN, false, text);
	if (strcmp(line, text) != 0)
		return wrong(g->k, "%s: %s: record %u has other bytes than were published", g->y->name, when, serial);
	if (serial <= pile->last[key])
		return wrong(g->k, "%s: %s: of key %c record %u comes after %u", g->y->name, when, grow_key(serial), serial,
		             pile->last[key]);
	pile->last[key] = serial;
	pile->times[serial]++;
	return 0;
}

/* partition -1: all. */
static int read_some(struct growing *g, struct pile *pile, const char *group, int64_t partition, const char *when)
{
	const char *const topics[] = {g->y->name};
	struct mq_consume_request req = MQ_CONSUME_REQUEST_INIT;
	struct mq_consume_report report;
	static char text[LINES_MAX + 1];
	ssize_t n;
	int rc;

	req.out_fd = memfd_create("read", MFD_CLOEXEC);
	if (req.out_fd < 0)
		die("no memory file");
	req.topics = topics;
	req.partitions = &partition;
	req.n_topics = 1;
	req.group = group;
	rc = mq_consume(g->mq, &req, &report);
	if (rc < 0)
		rc = wrong(g->k, "%s: %s: %s", g->y->name, when, mq_why(g->mq));
	n = pread(req.out_fd, text, LINES_MAX, 0);
	close(req.out_fd);
	text[n < 0 ? 0 : n] = 0;
	for (char *save, *line = strtok_r(text, "\n", &save); line && rc >= 0; line = strtok_r(NULL, "\n", &save))
		rc = take_line(g, pile, line, when);
	return rc < 0 ? rc : 0;
}

/* All that was acknowledged.  g: what it had done before the cut need not come, and must not where that was synced. */
static int expect_all(struct growing *g, const struct pile *pile, bool had, const char *when)
{
	for (uint32_t i = 1; i < g->next; i++) {
		bool done = had && g->known[i] & TAKEN, may_be = had && g->taking && !g->took;

		if (done && g->took && pile->times[i])
			return wrong(g->k, "%s: %s: record %u was done, and comes again", g->y->name, when, i);
		if ((g->known[i] & SENT) && !pile->times[i] && !done && !may_be)
			return wrong(g->k, "%s: %s: record %u was acknowledged and is not there", g->y->name, when, i);
	}
	return 0;
}

static int read_without_group(struct growing *g, const char *when)
{
	struct pile pile = {0};
	int rc = read_some(g, &pile, NULL, -1, when);

	return rc == 0 ? expect_all(g, &pile, false, when) : rc;
}

/* One partition after the other, the last one first: what must wait there is left, and comes in the end. */
static int read_with_group(struct growing *g, struct pile *pile, const char *group, uint32_t partitions, const char *when)
{
	int rc = 0;

	for (uint32_t p = partitions; p-- > 0 && rc == 0;)
		rc = read_some(g, pile, group, p, when);
	if (rc == 0)
		rc = read_some(g, pile, group, -1, when);
	return rc == 0 ? expect_all(g, pile, group[0] == 'g', when) : rc;
}

/* ---- going on -------------------------------------------------------------------------------------- */

static void confirmed(void *arg, const struct mq_confirmation *c)
{
	uint64_t *n = arg;

	*n += c->why || c->skipped ? 0 : c->count;
}

/* A record of each key. */
static int publish(struct growing *g, const char *when)
{
	char payload[GROW_LEN + 1] = "", text[GROW_KEYS * (GROW_LEN + 3) + 1];
	struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
	struct mq_publish_report report;
	size_t len = 0;
	uint64_t n = 0;
	int rc;

	for (uint32_t i = 0; i < GROW_KEYS; i++) {
		payload_make(g->next, GROW_LEN, false, payload);
		len += (size_t)snprintf(text + len, sizeof text - len, "%c=%s\n", grow_key(g->next), payload);
		g->known[g->next++] = TRIED | SENT;
	}
	req.in_fd = memfd_create("lines", MFD_CLOEXEC);
	if (req.in_fd < 0 || pwrite(req.in_fd, text, len, 0) != (ssize_t)len)
		die("no memory file");
	req.topic = g->y->name;
	req.key_delimiter = "=";
	req.confirm = confirmed;
	req.confirm_arg = &n;
	rc = mq_publish(g->mq, &req, &report);
	close(req.in_fd);
	if (rc < 0)
		return wrong(g->k, "%s: %s: publishing fails: %s", g->y->name, when, mq_why(g->mq));
	return n == GROW_KEYS ? 0 : wrong(g->k, "%s: %s: %llu records of %d are confirmed", g->y->name, when, (unsigned long long)n, GROW_KEYS);
}

static int grow_again(struct growing *g, struct mq_topic *t)
{
	struct mq_growth_report report;
	struct mq_err err = MQ_ERR_INIT;
	uint32_t last = t->conf.growing.number > g->begun ? t->conf.growing.number : g->begun;

	if (mq_topic_grow(g->mq, g->y->name, t->conf.partitions + 1, false, false, &report) < 0)
		return wrong(g->k, "%s: growing again fails: %s", g->y->name, mq_why(g->mq));
	if (report.generation <= last)
		return wrong(g->k, "%s: growing again uses the number %u, and %u was used before", g->y->name, report.generation, last);
	if (mq_topic_reread(t, &err) < 0)
		return wrong(g->k, "%s: topic.conf: %s", g->y->name, err.text);
	if (t->conf.growing.partitions)
		return wrong(g->k, "%s: topic.conf still tells of a growth that goes on", g->y->name);
	return 0;
}

static int go_on(struct growing *g, struct mq_topic *t)
{
	static struct pile had, fresh;
	int rc = publish(g, "after recovery");

	memset(&had, 0, sizeof had);
	memset(&fresh, 0, sizeof fresh);
	if (rc == 0)
		rc = look_at_all(g, t);
	if (rc == 0)
		rc = read_without_group(g, "after recovery");
	if (rc == 0)
		rc = read_with_group(g, &had, "g", t->conf.partitions, "after recovery, in the group");
	if (rc == 0)
		rc = grow_again(g, t);
	if (rc == 0)
		rc = publish(g, "grown again");
	if (rc == 0)
		rc = look_at_all(g, t);
	if (rc == 0)
		rc = read_without_group(g, "grown again");
	if (rc == 0)
		rc = read_with_group(g, &had, "g", t->conf.partitions, "grown again, in the group");
	if (rc == 0)
		rc = read_with_group(g, &fresh, "new", t->conf.partitions, "grown again, in a new group");
	return rc;
}

int check_grown(struct checking *k, const struct story *y, struct mq_topic *t)
{
	int rc;

	if (k->s->rotten)
		return 0;
	now = (struct growing){.k = k, .y = y, .next = OWN_FIRST, .mq = mq_new()};
	if (!now.mq || mq_open(now.mq, k->path, 0) < 0)
		die("the spool cannot be opened once more");
	learn(&now);
	rc = check_conf(&now, &t->conf);
	world_read_only(true);
	/* Of a tail that went back while the boot goes on a reader cannot know. */
	if (rc == 0 && k->s->kind != WORLD_REMOUNT)
		rc = read_without_group(&now, "before recovery");
	world_read_only(false);
	if (rc == 0)
		rc = go_on(&now, t);
	mq_free(now.mq);
	return rc;
}
