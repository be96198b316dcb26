/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: what a group has of a topic's partitions, all that is open opened once. */
#include <stdio.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "api/mq.h"
#include "base/name.h"
#include "spool/areas.h"
#include "spool/claims.h"
#include "spool/dirs.h"
#include "spool/holders.h"
#include "sys/sys.h"

enum { HOLDERS_MAX = 64 }; /* of a partition that are told */

struct walk {
	struct mq_topic t;
	struct mq_group_topic g;
	bool sum;
	bool owned, busy;            /* some partition is; somebody holds a short lock */
	bool shared;                 /* was, at some time */
	int members;                 /* directory of them; -1: none is open */
	struct mq_holders processes; /* that hold locks; looked for when somebody wants to know */
	struct mq_group_holder holder[HOLDERS_MAX];
	size_t n;
};

/* ---- who else holds it ---- */
static struct mq_group_holder *add(struct walk *w, enum mq_hold what)
{
	if (w->n == HOLDERS_MAX)
		return NULL;
	w->holder[w->n] = (struct mq_group_holder){.what = what, .pid = -1};
	return &w->holder[w->n++];
}

/* Processes that have any of these bytes.  False: none is seen. */
static bool add_processes(struct walk *w, enum mq_hold what, uint64_t first, uint64_t len)
{
	struct mq_group_holder *to;
	struct mq_holder who;
	int64_t before = -1;
	size_t at = 0;

	while (mq_holders_next(&w->processes, w->g.locks, first, len, &at, &who)) {
		if (who.pid == before || (what == MQ_HOLD_LOCK && !who.stopped))
			continue; /* who works lets go of a short lock by itself */
		before = who.pid;
		to = add(w, what);
		if (to)
			to->pid = who.pid, to->stopped = who.stopped;
	}
	return before >= 0;
}

static bool is_stopped(struct walk *w, uint64_t byte, int64_t pid)
{
	struct mq_holder who;
	size_t at = 0;

	while (mq_holders_next(&w->processes, w->g.locks, byte, 1, &at, &who))
		if (who.pid == pid)
			return who.stopped;
	return false;
}

static void take_line(const char *line, int64_t *ret_pid, char ret_member[64])
{
	long long pid = -1;

	ret_member[0] = 0;
	(void)sscanf(line, "%lld %63s", &pid, ret_member);
	if (strcmp(ret_member, "-") == 0 || !mq_name_ok(ret_member, strlen(ret_member)))
		ret_member[0] = 0; /* of one without a name, or not written by a member at all */
	*ret_pid = pid > 0 ? pid : -1;
}

static int add_evicted(struct walk *w, uint32_t p, uint32_t a, uint32_t generation, struct mq_err *err)
{
	char line[MQ_GROUP_OWNER_LEN];
	struct mq_group_holder *to;
	bool handler;
	int rc = mq_group_owner_in(&w->g, a, p, line, &handler, err);

	if (rc == 1 && (to = add(w, MQ_HOLD_EVICTED))) {
		take_line(line, &to->pid, to->member);
		to->generation = generation;
		to->stopped = to->pid > 0 && is_stopped(w, mq_group_owner_byte(a, p), to->pid);
	} else if (rc == 0 && handler) {
		(void)add_processes(w, MQ_HOLD_HANDLER, mq_group_handler_byte(a, p), 1);
	}
	return rc < 0 ? rc : 0;
}

/* now: the place that counts. */
static int find_holders(struct walk *w, uint32_t p, const struct mq_commit *now, bool handler_left, struct mq_err *err)
{
	struct mq_areas areas;
	int rc = now->generation ? mq_group_topic_areas(&w->g, p, &areas, err) : 0;

	for (uint32_t a = 0; a < MQ_SLOT_AREAS && rc == 0 && now->generation; a++)
		if (a != now->area && (a == 0 || areas.area[a].is[0] != MQ_SLOT_NEVER))
			rc = add_evicted(w, p, a, areas.area[a].commit.generation, err);
	if (rc == 0 && handler_left && !add_processes(w, MQ_HOLD_HANDLER, mq_group_handler_byte(now->area, p), 1))
		(void)add_processes(w, MQ_HOLD_HANDLER, mq_group_shared_byte(now->area, p, 0), MQ_GROUP_SHARED_LEN);
	if (rc == 0 && w->busy && mq_sys->lock_test(w->g.locks, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE + p, 1) == 1)
		(void)add_processes(w, MQ_HOLD_LOCK, MQ_GROUP_ACKED_BYTE + p, 1);
	return rc;
}

/* ---- a partition ---- */
static int find_owner(struct walk *w, uint32_t p, const struct mq_commit *now, struct mq_part_facts *f, struct mq_err *err)
{
	char line[MQ_GROUP_OWNER_LEN];
	bool handler = false;
	int rc = 0;

	f->owner_unknown = w->g.locks < 0;
	if (f->owner_unknown || (w->sum && !w->owned))
		return 0;
	if (w->sum)
		rc = mq_sys->lock_test(w->g.locks, MQ_LOCK_WRITE, mq_group_owner_byte(now->area, p), 1);
	else
		rc = mq_group_owner_in(&w->g, now->area, p, line, &handler, err);
	if (rc < 0)
		return w->sum ? mq_err_sys(err, rc, "%s: cannot ask for locks", w->g.label) : rc;
	f->owned = rc == 1;
	f->handler_left = handler && !f->owned;
	if (f->owned && !w->sum)
		take_line(line, &f->pid, f->member);
	return 0;
}

static int find_share(struct walk *w, uint32_t p, const struct mq_commit *now, bool placed, struct mq_part_facts *f, struct mq_err *err)
{
	struct mq_claims_numbers n = {0};
	int rc = 0;

	if (f->owned && !w->sum) /* a read lock does not meet another */
		rc = mq_sys->lock_test(w->g.locks, MQ_LOCK_READ, mq_group_owner_byte(now->area, p), 1);
	f->share.now = f->owned && !w->sum && rc == 0;
	if (rc >= 0 && placed && w->shared)
		rc = mq_claims_count(&w->g, p, now, w->members, &n, err);
	if (rc == MQ_EDAMAGE) {
		f->share_why = *err;
		*err = (struct mq_err)MQ_ERR_INIT;
		return 0;
	}
	f->share.ever = n.any;
	f->share.base = n.base;
	f->share.in_flight = n.in_flight;
	f->share.done_above = n.done_above;
	return rc < 0 ? rc : 0;
}

static int look_at(struct walk *w, uint32_t p, struct mq_part_facts *f, struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_group_topic_read(&w->g, p, &c, &which, &seq, err);

	*f = (struct mq_part_facts){.pid = -1, .holders = w->holder};
	w->n = 0;
	if (rc == 0 && which >= 0) {
		f->place = (struct mq_place){c.offset, true, c.generation, c.seeks, c.lost, c.expired, 0, c.time_us, false};
		rc = w->sum ? 0 : mq_acks_count(&w->g, p, &c, &f->place.acked_above, err);
	}
	if (rc == 0)
		rc = find_owner(w, p, &c, f, err);
	if (rc == 0)
		rc = find_share(w, p, &c, which >= 0, f, err);
	if (rc == 0 && !w->sum && !f->owner_unknown)
		rc = find_holders(w, p, &c, f->handler_left, err);
	f->n_holders = w->n;
	return rc;
}

/* ---- all of them ---- */
static int is_claims(void *arg, const char *name)
{
	(void)arg;
	return strncmp(name, "claimed.", 8) == 0;
}

/* What is the same for all, so that it is not asked for each. */
static void look_at_all(struct walk *w, const char *group)
{
	char path[MQ_NAME_MAX + 16];
	struct mq_err unheard = MQ_ERR_INIT;

	w->members = -1;
	w->shared = mq_dir_each_name(w->g.dir, is_claims, NULL, &unheard) != 0;
	if (w->shared && !w->sum) {
		snprintf(path, sizeof path, "%s/members", group);
		w->members = mq_dir_open(w->t.spool->groups, path, NULL);
	}
	if (w->g.locks < 0)
		return;
	w->owned = mq_sys->lock_test(w->g.locks, MQ_LOCK_WRITE, 0, MQ_GROUP_HANDLER_BYTE) != 0;
	w->busy = mq_sys->lock_test(w->g.locks, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE, MQ_GROUP_OFFSETS_BYTE - MQ_GROUP_ACKED_BYTE) != 0;
}

int mq_engine_spool_group_walk(struct mq_store *s, const char *group, const char *topic, uint32_t from, uint32_t to, bool sum,
                               int (*fn)(void *arg, uint32_t p, const struct mq_part_facts *facts, const struct mq_err *why), void *arg,
                               struct mq_err *err)
{
	struct walk w = {.sum = sum, .processes = MQ_HOLDERS_INIT};
	int rc = mq_engine_spool_open_users(&w.t, s, topic, err);

	if (rc < 0)
		return rc;
	rc = mq_group_topic_open(&w.g, &w.t, group, false, err);
	if (rc < 0) {
		mq_topic_release(&w.t);
		return rc;
	}
	look_at_all(&w, group);
	for (uint32_t p = from; p < to && p < w.t.conf.partitions && rc == 0; p++) {
		struct mq_err why = MQ_ERR_INIT;
		struct mq_part_facts f;
		bool there = look_at(&w, p, &f, &why) == 0;

		rc = fn(arg, p, there ? &f : NULL, there ? NULL : &why);
	}
	if (w.members >= 0)
		(void)mq_sys->close(w.members);
	mq_holders_release(&w.processes);
	mq_group_topic_release(&w.g);
	mq_topic_release(&w.t);
	return rc;
}
