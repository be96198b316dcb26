/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * powercut [-j N] [-e N] [-o CUT:NUMBER] [-k] NAME TRACE WORK
 *
 * Cut the power at every moment of a trace, in many ways, and check what comes up.  Prints a line
 *	NAME: CUTS cuts, DISTINCT states, CHECKED checked, FAILED failed
 * and ends with 1 where a state failed; it stops at the first one of a worker.
 *	-j N            so many processes
 *	-e N            check one state in N
 *	-o CUT:NUMBER   that state alone …
 *	-k              … and leave its directory in WORK as it was before the check
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cuts.h"

enum { WORKERS_MAX = 64, STATE_SECONDS = 30 };

/* Seen by parent and workers. */
struct shared {
	struct progress {
		uint64_t cuts, distinct, checked, failed;
		char now[1200];    /* the state in hand, for the case that the check dies of it */
	} w[WORKERS_MAX];
	volatile int stop;
};

struct set {
	uint64_t *slot;
	size_t n, cap;
};

struct run {
	const char *name;
	struct trace trace;
	struct facts facts;
	struct disk disk;
	struct image image;
	struct set contents, checked;
	struct shared *shared;
	struct progress *mine;
	unsigned worker, workers, each;
	size_t cut;
	long only_cut, only_number; /* -1: all */
	bool keep;
};

/* True where it was not there yet. */
static bool set_add(struct set *s, uint64_t v)
{
	size_t i;

	if (v == 0)
		v = 1;
	if (s->n * 2 >= s->cap) {
		struct set bigger = {must(calloc(s->cap ? s->cap * 2 : 1024, 8)), 0, s->cap ? s->cap * 2 : 1024};

		for (size_t k = 0; k < s->cap; k++)
			if (s->slot[k])
				set_add(&bigger, s->slot[k]);
		free(s->slot);
		*s = bigger;
	}
	for (i = v % s->cap; s->slot[i]; i = (i + 1) % s->cap)
		if (s->slot[i] == v)
			return false;
	s->slot[i] = v;
	s->n++;
	return true;
}

static const char *const kind_name[] = {"reboot", "remount", "restore", "killed"};

static void tell(struct run *r, const struct choice *c, uint32_t number, enum world_kind kind)
{
	const struct trace_entry *e = r->cut < r->trace.n ? &r->trace.e[r->cut] : NULL;
	const char *file = e ? trace_get(e, "file") : NULL;

	if (e && !file)
		file = trace_get(e, strcmp(e->call, "renameat") == 0 ? "to" : "path");
	snprintf(r->mine->now, sizeof r->mine->now, "%zu:%u %s, before %s %s%s%s%s%s%s%s", r->cut, number, kind_name[kind],
	         e ? e->call : "the end", file ? file : "", c->tear ? ", torn" : "", c->shred ? ", shredded" : "",
	         c->size_first ? ", sizes first" : "", c->stale ? ", stale blocks" : "", c->rot ? c->stateless ? ", without state, bad sector in " : ", bad sector in " : "",
	         r->image.rot_where);
}

static void one(void *arg, const struct choice *c, uint32_t number, bool killed)
{
	struct run *r = arg;
	struct state s = {.facts = &r->facts, .cut = r->cut, .rotten = c->rot > 0, .stateless = c->stateless};
	char why[1024] = "";

	if (r->only_cut >= 0 && (r->only_cut != (long)r->cut || r->only_number != (long)number))
		return;
	if (r->shared->stop)
		return;
	disk_image(&r->disk, c, &r->image);
	if (c->rot > r->image.rotten)
		return;
	s.kind = killed ? WORLD_KILL : (enum world_kind)(r->image.hash >> 7) % 3;
	if (r->image.hash % r->workers != r->worker || (r->image.hash >> 20) % r->each != 0)
		return;
	if (set_add(&r->contents, r->image.hash))
		r->mine->distinct++;
	if (!set_add(&r->checked, r->image.hash * 31 + facts_known(&r->facts, r->cut) * 2 + killed))
		return;
	tell(r, c, number, s.kind);
	s.dir = world_make(&r->image, s.kind);
	r->mine->checked++;
	if (r->keep)
		return;
	alarm(STATE_SECONDS);
	if (check_state(&s, why, sizeof why) < 0) {
		printf("%s: %s\n    %s\n", r->name, r->mine->now, why);
		fflush(stdout);
		r->mine->failed++;
		r->shared->stop = 1;
	}
	alarm(0);
	world_clear();
}

/* Cut before each call that changes something, so that all that was said before it counts. */
static void replay(struct run *r)
{
	size_t known = 0, n = 0, here = facts_here(&r->facts);
	bool fresh = true;

	disk_init(&r->disk);
	for (r->cut = 0; r->cut <= r->trace.n && !r->shared->stop; r->cut++) {
		bool end = r->cut == r->trace.n;

		if (r->cut >= here && (end || disk_changes(&r->trace.e[r->cut])) && (fresh || facts_known(&r->facts, r->cut) != known)) {
			known = facts_known(&r->facts, r->cut);
			cuts_each(&r->disk, r->cut, end || n % 6 == 5, one, r);
			n++;
			fresh = false;
		}
		if (!end) {
			fresh |= disk_changes(&r->trace.e[r->cut]);
			disk_apply(&r->disk, &r->trace.e[r->cut]);
		}
	}
	r->mine->cuts = n;
	disk_release(&r->disk);
	image_release(&r->image);
}

static void work(struct run *r, unsigned worker, const char *directory)
{
	char path[512];

	r->worker = worker;
	r->mine = &r->shared->w[worker];
	snprintf(path, sizeof path, "%s/%u", directory, worker);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		die("cannot make %s: %s", path, strerror(errno));
	world_init(path);
	replay(r);
}

/* A worker that was ended: the check crashed, or did not come back. */
static void died(struct run *r, unsigned worker, int status)
{
	struct progress *p = &r->shared->w[worker];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		exit(2);
	printf("%s: %s\n    the check ended with %s %d\n", r->name, p->now, WIFEXITED(status) ? "status" : "signal",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	p->failed++;
	r->shared->stop = 1;
}

static void run_workers(struct run *r, const char *directory)
{
	pid_t pid[WORKERS_MAX];

	for (unsigned w = 0; w < r->workers; w++) {
		pid[w] = fork();
		if (pid[w] < 0)
			die("cannot fork");
		if (pid[w] == 0) {
			work(r, w, directory);
			fflush(stdout);
			_exit(0);
		}
	}
	for (unsigned w = 0; w < r->workers; w++) {
		int status;

		if (waitpid(pid[w], &status, 0) == pid[w] && status != 0)
			died(r, w, status);
	}
}

static uint64_t report(const struct run *r)
{
	struct progress sum = {0};

	for (unsigned w = 0; w < r->workers; w++) {
		const struct progress *p = &r->shared->w[w];

		sum.cuts = p->cuts > sum.cuts ? p->cuts : sum.cuts;
		sum.distinct += p->distinct;
		sum.checked += p->checked;
		sum.failed += p->failed;
	}
	printf("%s: %llu cuts, %llu states, %llu checked, %llu failed\n", r->name, (unsigned long long)sum.cuts,
	       (unsigned long long)sum.distinct, (unsigned long long)sum.checked, (unsigned long long)sum.failed);
	return sum.failed;
}

int main(int argc, char **argv)
{
	struct run r = {.workers = 1, .each = 1, .only_cut = -1};
	int opt;

	while ((opt = getopt(argc, argv, "j:e:o:k")) != -1) {
		if (opt == 'j')
			r.workers = (unsigned)atoi(optarg);
		else if (opt == 'e')
			r.each = (unsigned)atoi(optarg);
		else if (opt == 'k')
			r.keep = true;
		else if (opt != 'o' || sscanf(optarg, "%ld:%ld", &r.only_cut, &r.only_number) != 2)
			die("usage: powercut [-j N] [-e N] [-o CUT:NUMBER] [-k] NAME TRACE WORK");
	}
	if (argc - optind != 3 || r.workers < 1 || r.each < 1 || r.workers > WORKERS_MAX)
		die("usage: powercut [-j N] [-e N] [-o CUT:NUMBER] [-k] NAME TRACE WORK");
	r.name = argv[optind];
	r.shared = mmap(NULL, sizeof *r.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r.shared == MAP_FAILED)
		die("no memory");
	trace_read(&r.trace, argv[optind + 1]);
	facts_read(&r.facts, &r.trace);
	run_workers(&r, argv[optind + 2]);
	facts_free(&r.facts);
	trace_free(&r.trace);
	return report(&r) ? 1 : 0;
}
