/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves what a group has not read of a partition to others, by transfers, as the verbs do (ops/transfer.h).
 *
 *	mover SPOOL GROUP copies|set|bytes PER TOPIC PARTITION TARGET:PARTITION ...
 *
 * PER records a transfer; the record at offset o goes to target o % n; of bytes the payload gets a ">" in front; of a set each is
 * done by itself.  After each
 * transfer a line "moved OFFSET".  75: another owns the partition, or has taken it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/body.h"
#include "ops/transfer.h"

enum { TARGETS_MAX = 64 };

static struct mq *mq;
static struct mq_err err;
static bool copies, sets;
static char *target[TARGETS_MAX];
static uint32_t target_partition[TARGETS_MAX];
static unsigned n_targets;

__attribute__((noreturn)) static void fail(int rc, const char *what)
{
	fprintf(stderr, "mover: %s: %s\n", what, err.code ? err.text : mq ? mq_why(mq) : "");
	_exit(mq_err_status(err.code ? err.code : rc));
}

static void must(int rc, const char *what)
{
	if (rc < 0)
		fail(rc, what);
}

static void put(struct mq_transfer *t, const struct mq_rec *r, int *ret_full)
{
	unsigned i = (unsigned)(r->offset % n_targets);
	struct mq_rec out = *r;
	char *payload;
	int rc;

	if (copies) {
		rc = mq_transfer_copy(t, target[i], target_partition[i], r, &err);
	} else {
		payload = malloc((size_t)r->payload_len + 1);
		payload[0] = '>';
		memcpy(payload + 1, r->payload, r->payload_len);
		out.payload = payload;
		out.payload_len++;
		out.time_us = 0;
		rc = mq_transfer_put(t, target[i], target_partition[i], &out, &err);
		free(payload);
	}
	must(rc, "put");
	*ret_full = rc;
}

static int commit_set(struct mq_transfer *t, uint64_t end)
{
	uint64_t offsets[MQ_TRANSFER_SET_MAX];
	size_t n = 0;

	for (uint64_t at = mq_transfer_place(t); at < end && n < MQ_TRANSFER_SET_MAX; at++)
		offsets[n++] = at;
	return mq_transfer_commit_set(t, offsets, n, &err);
}

static void commit(struct mq_transfer *t, uint64_t end)
{
	char line[64];
	int n = snprintf(line, sizeof line, "moved %" PRIu64 "\n", end);

	must(sets && end > mq_transfer_place(t) ? commit_set(t, end) : mq_transfer_commit(t, end, &err), "commit");
	if (write(1, line, (size_t)n) != n)
		_exit(70);
}

/* The records of a view from `at` on. */
static uint64_t move_view(struct mq_transfer *t, const struct mq_view *v, uint64_t at, uint64_t per)
{
	struct mq_body body = {0};
	struct mq_walk w;
	struct mq_rec r;
	int rc, full = 0;

	must(mq_body_walk(&body, v, &w, &err), "walk");
	while ((rc = mq_walk_next(&w, &r)) == 1) {
		if (r.offset < at)
			continue;
		if (r.offset == mq_transfer_place(t) + per)
			commit(t, r.offset);
		put(t, &r, &full);
		if (full) {
			commit(t, r.offset);
			put(t, &r, &full);
		}
		at = r.offset + 1;
	}
	must(rc, "walk");
	mq_body_release(&body);
	return at;
}

static void move_all(const struct mq_transfer_source *from, uint64_t per)
{
	const struct mq_engine *e = mq->store->engine;
	struct mq_transfer *t;
	struct mq_source *source;
	struct mq_bounds b;
	struct mq_loss loss;
	struct mq_view v;
	uint64_t at;

	must(mq_transfer_open(&t, mq, from, true, &err), "open");
	at = mq_transfer_place(t);
	must(e->source_open(mq->store, from->topic, from->partition, &source, &err), "source");
	must(e->source_bounds(source, &b, &err), "bounds");
	must(e->source_seek(source, at, &loss, &err), "seek");
	mq_transfer_begin(t);
	while (at < b.visible) {
		int rc = e->source_next(source, &v, &loss, &err);

		must(rc, "next");
		if (rc == 0)
			break;
		at = move_view(t, &v, at, per);
	}
	commit(t, at);
	must(e->owner_sync(from->owner, &err), "sync");
	e->source_close(source);
	mq_transfer_close(t);
}

int main(int argc, char **argv)
{
	const struct mq_wish wish = {0};
	struct mq_transfer_source from;
	struct mq_member *member;
	int rc;

	if (argc < 8 || argc - 7 > TARGETS_MAX)
		return 64;
	sets = strcmp(argv[3], "set") == 0;
	copies = sets || strcmp(argv[3], "copies") == 0;
	for (int i = 7; i < argc; i++) {
		char *colon = strchr(argv[i], ':');

		*colon = 0;
		target[n_targets] = argv[i];
		target_partition[n_targets++] = (uint32_t)atoi(colon + 1);
	}
	mq = mq_new();
	must(mq_open(mq, argv[1], 0), "open");
	from = (struct mq_transfer_source){.group = argv[2], .topic = argv[5], .partition = (uint32_t)atoi(argv[6])};
	must(mq->store->engine->member_join(mq->store, from.group, &wish, &member, &err), "join");
	rc = mq->store->engine->owner_take(member, from.topic, from.partition, NULL, &from.owner, &err);
	must(rc, "take");
	if (rc == 0)
		return 75;
	move_all(&from, strtoull(argv[4], NULL, 10));
	mq->store->engine->owner_release(from.owner);
	mq->store->engine->member_leave(member);
	mq_free(mq);
	return 0;
}
