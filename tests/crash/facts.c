/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 9 };

static int split(char *line, char *word[WORDS])
{
	int n = 0;

	for (char *save, *w = strtok_r(line, " ", &save); w && n < WORDS; w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	return n;
}

static uint64_t number(const char *w)
{
	return strtoull(w, NULL, 10);
}

static void copy(char ret[WORD_LEN], const char *w)
{
	snprintf(ret, WORD_LEN, "%s", w);
}

static void tried(struct facts *f, size_t at, char *w[])
{
	uint32_t count = (uint32_t)number(w[4]);

	for (uint32_t i = 0; i < count; i++) {
		struct fact_record *r;

		if (f->n_records == f->cap_records) {
			f->cap_records = f->cap_records ? f->cap_records * 2 : 256;
			f->r = must(realloc(f->r, f->cap_records * sizeof *f->r));
		}
		r = &f->r[f->n_records++];
		memset(r, 0, sizeof *r);
		copy(r->topic, w[1]);
		r->partition = (uint32_t)number(w[2]);
		r->serial = (uint32_t)number(w[3]) + i;
		r->len = (uint32_t)number(w[5]);
		r->binary = number(w[6]) != 0;
		r->durable = number(w[7]) >= 2;
		r->tried_at = at;
		r->offset = UINT64_MAX;
	}
}

const struct fact_record *facts_record(const struct facts *f, uint32_t serial)
{
	for (size_t i = 0; i < f->n_records; i++)
		if (f->r[i].serial == serial)
			return &f->r[i];
	return NULL;
}

const struct fact_record *facts_at(const struct facts *f, const char *topic, uint32_t partition, uint64_t offset, size_t at)
{
	for (size_t i = f->n_records; i-- > 0;)
		if (f->r[i].offset == offset && f->r[i].tried_at < at && f->r[i].partition == partition &&
		    strcmp(f->r[i].topic, topic) == 0)
			return &f->r[i];
	return NULL;
}

static void put(struct facts *f, char *w[])
{
	uint32_t serial = (uint32_t)number(w[3]), count = (uint32_t)number(w[4]);
	uint64_t offset = number(w[5]);

	for (size_t i = 0; i < f->n_records; i++) {
		struct fact_record *r = &f->r[i];

		if (r->serial < serial || r->serial >= serial + count)
			continue;
		r->offset = offset + (r->serial - serial);
		r->batch_first = offset;
		r->batch_end = offset + count;
	}
}

static void fact(struct facts *f, size_t at, enum fact_kind kind, const char *name, char *w[], int n)
{
	struct fact *x;

	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 256;
		f->f = must(realloc(f->f, f->cap * sizeof *f->f));
	}
	x = &f->f[f->n++];
	*x = (struct fact){.kind = kind, .at = at};
	if (name)
		copy(x->name, name);
	if (n > 0)
		copy(x->topic, w[0]);
	if (n > 1)
		x->partition = (uint32_t)number(w[1]);
	if (n > 2)
		x->offset = number(w[2]);
	if (n > 3)
		x->count = number(w[3]);
}

static void note(struct facts *f, size_t at, char *w[WORDS], int n)
{
	if (n > 7 && strcmp(w[0], "try") == 0)
		tried(f, at, w);
	else if (n > 5 && strcmp(w[0], "put") == 0)
		put(f, w);
	else if (n > 2 && strcmp(w[0], "topic") == 0)
		fact(f, at, FACT_TOPIC_TRY, NULL, w + 1, n - 1);
	else if (n > 1 && strcmp(w[0], "removing") == 0)
		fact(f, at, FACT_REMOVING, NULL, w + 1, n - 1);
	else if (n > 4 && strcmp(w[0], "commit") == 0)
		fact(f, at, FACT_COMMIT_TRY, w[1], w + 2, n - 2);
	else if (n > 4 && strcmp(w[0], "seeks") == 0)
		fact(f, at, FACT_SEEKS, w[1], w + 2, n - 2);
	else if (n > 3 && strcmp(w[0], "start") == 0)
		fact(f, at, FACT_START_TRY, NULL, w + 1, n - 1);
	else if (n > 2 && strcmp(w[0], "harm") == 0)
		fact(f, at, FACT_HARM, NULL, w + 1, n - 1);
	else if (n > 2 && strcmp(w[0], "compacts") == 0)
		fact(f, at, FACT_COMPACTS, NULL, w + 1, n - 1);
	else if (n > 2 && strcmp(w[0], "moves") == 0)
		fact(f, at, FACT_MOVE_TRY, NULL, w + 1, n - 1);
	else if (n > 3 && strcmp(w[0], "once") == 0)
		fact(f, at, FACT_ONCE_TRY, w[1], w + 2, n - 2);
	else if (n > 3 && strcmp(w[0], "share") == 0)
		fact(f, at, FACT_SHARE_TRY, w[1], w + 2, n - 2);
	else if (n > 5 && strcmp(w[0], "handled") == 0)
		fact(f, at, FACT_HANDLED, w[1], w + 2, n - 2);
	else if (n > 5 && strcmp(w[0], "fails") == 0)
		fact(f, at, FACT_FAILS, w[1], w + 2, n - 2);
	else if (n > 2 && strcmp(w[0], "forget") == 0)
		fact(f, at, FACT_FORGET, NULL, w + 1, n - 1);
	else if (n > 3 && strcmp(w[0], "send") == 0)
		fact(f, at, FACT_SEND, NULL, w + 1, n - 1);
	else if (n > 2 && strcmp(w[0], "dies") == 0)
		fact(f, at, FACT_DIES, NULL, w + 1, n - 1);
	else if (n > 2 && strcmp(w[0], "retries") == 0)
		fact(f, at, FACT_RETRIES, NULL, w + 1, n - 1);
	else if (n > 2 && strcmp(w[0], "copies") == 0)
		fact(f, at, FACT_COPIES, NULL, w + 1, n - 1);
	else if (n > 2 && strcmp(w[0], "archives") == 0)
		fact(f, at, FACT_ARCHIVES, NULL, w + 1, n - 1);
	else if (n > 1 && strcmp(w[0], "here") == 0)
		fact(f, at, FACT_HERE, NULL, w + 1, n - 1);
	else if (n > 1 && strcmp(w[0], "delays") == 0)
		fact(f, at, FACT_DELAYS, NULL, w + 1, n - 1);
	else if (n > 2 && strcmp(w[0], "cancels") == 0)
		fact(f, at, FACT_CANCELS, NULL, w + 1, n - 1);
	else if (n > 1 && strcmp(w[0], "taking") == 0)
		fact(f, at, FACT_TAKING, NULL, w + 1, n - 1);
	else if (n > 3 && strcmp(w[0], "grows") == 0)
		fact(f, at, FACT_GROWS, NULL, w + 1, n - 1);
	else
		die("the scenario notes %s, which nobody understands", n ? w[0] : "nothing");
}

static void promise(struct facts *f, size_t at, char *w[WORDS], int n)
{
	static const struct {
		const char *word;
		enum fact_kind kind;
		bool named;
	} kinds[] = {{"spool", FACT_SPOOL, false},     {"topic", FACT_TOPIC, false},    {"gone", FACT_GONE, false},
	             {"durable", FACT_DURABLE, false}, {"written", FACT_WRITTEN, false}, {"saw", FACT_SAW, false},
	             {"commit", FACT_COMMIT, true},    {"sought", FACT_SOUGHT, true},     {"outside", FACT_OUTSIDE, true}, {"start", FACT_START, false},
	             {"moved", FACT_MOVED, false},     {"done", FACT_DONE, true},        {"shared", FACT_SHARED, true},
	             {"failed", FACT_FAILED, true},
	             {"died", FACT_DIED, false},     {"copied", FACT_COPIED, false},
	             {"delayed", FACT_DELAYED, false}, {"cancelled", FACT_CANCELLED, false},
	             {"sent", FACT_SENT, false},     {"taken", FACT_TAKEN, false},
	             {"took", FACT_TOOK, false},       {"grown", FACT_GROWN, false}};

	if (n > 4 && strcmp(w[1], "producer") == 0) {
		char *args[] = {w[2], w[3], w[5]};

		fact(f, at, FACT_PRODUCER, w[4], args, 3);
		return;
	}
	for (size_t i = 0; n > 1 && i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(w[1], kinds[i].word) == 0) {
			int skip = kinds[i].named ? 3 : 2;

			fact(f, at, kinds[i].kind, kinds[i].named ? w[2] : NULL, w + skip, n - skip);
			return;
		}
	die("the scenario promises %s, which nobody understands", n > 1 ? w[1] : "nothing");
}

/* Payloads that a consumer printed, line by line. */
static void printed(struct facts *f, size_t at, const struct trace_entry *e)
{
	const char *p = (const char *)e->data, *end = p + e->result;

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const struct fact_record *r = *p == '#' ? facts_record(f, (uint32_t)strtoul(p + 1, NULL, 10)) : NULL;
		char topic[WORD_LEN], partition[16], offset[24], *w[] = {topic, partition, offset};

		if (!r)
			die("the scenario printed what it never published: %.20s", p);
		if (r->durable && r->offset != UINT64_MAX) {
			copy(topic, r->topic);
			snprintf(partition, sizeof partition, "%u", r->partition);
			snprintf(offset, sizeof offset, "%llu", (unsigned long long)r->offset);
			fact(f, at, FACT_SAW, NULL, w, 3);
		}
		p = eol ? eol + 1 : end;
	}
}

void facts_read(struct facts *f, const struct trace *t)
{
	memset(f, 0, sizeof *f);
	for (size_t i = 0; i < t->n; i++) {
		const struct trace_entry *e = &t->e[i];
		const char *file = trace_get(e, "file");
		bool is_note = strcmp(e->call, "note") == 0;
		char line[256], *w[WORDS];
		int n;

		if (!is_note && (strncmp(e->call, "write", 5) != 0 || !file || strcmp(file, "stdout") != 0 || e->result <= 0))
			continue;
		if (!is_note && e->data[0] == '#') {
			printed(f, i, e);
			continue;
		}
		snprintf(line, sizeof line, "%.*s", (int)e->len, (const char *)e->data);
		line[strcspn(line, "\n")] = 0;
		n = split(line, w);
		if (is_note)
			note(f, i, w, n);
		else
			promise(f, i, w, n);
	}
}

size_t facts_here(const struct facts *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->f[i].kind == FACT_HERE)
			return f->f[i].at;
	return 0;
}

size_t facts_known(const struct facts *f, size_t cut)
{
	size_t n = 0;

	while (n < f->n && f->f[n].at < cut)
		n++;
	return n;
}

void facts_free(struct facts *f)
{
	free(f->r);
	free(f->f);
	memset(f, 0, sizeof *f);
}
