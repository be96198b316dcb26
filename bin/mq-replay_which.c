/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which records a dry run met: of each partition from where to where and how many, and, where that is asked, every run of them. */
#include "mq-replay.h"

#include <stdlib.h>
#include <string.h>

static bool is_of(const struct which_part *p, const char *topic, uint32_t partition)
{
	return p->partition == partition && strcmp(p->topic, topic) == 0;
}

/* They come a partition after the other: mostly it is the last. */
static struct which_part *find(struct which *w, const char *topic, uint32_t partition)
{
	if (w->at < w->n && is_of(&w->part[w->at], topic, partition))
		return &w->part[w->at];
	for (w->at = 0; w->at < w->n; w->at++)
		if (is_of(&w->part[w->at], topic, partition))
			return &w->part[w->at];
	return NULL;
}

static struct which_part *add(struct which *w, const char *topic, uint32_t partition, uint64_t offset)
{
	size_t room = w->room ? 2 * w->room : 16;
	struct which_part *p = w->n < w->room ? w->part : realloc(w->part, room * sizeof *p);
	char *copy = p ? malloc(strlen(topic) + 1) : NULL;

	if (p && p != w->part)
		w->part = p;
	if (p && w->n == w->room)
		w->room = room;
	if (!copy)
		return NULL;
	w->at = w->n++;
	w->part[w->at] = (struct which_part){.topic = strcpy(copy, topic), .partition = partition, .first = offset, .end = offset, .begin = offset};
	return &w->part[w->at];
}

static void tell_run(const struct which *w, const struct which_part *p)
{
	if (w->runs && p->end > p->begin)
		printf("%s:%u:%llu..%llu\n", p->topic, (unsigned)p->partition, llu(p->begin), llu(p->end));
}

void which_told(void *which, const char *topic, uint32_t partition, uint64_t offset, uint64_t n)
{
	struct which *w = which;
	struct which_part *p = find(w, topic, partition);

	if (!p)
		p = add(w, topic, partition, offset);
	if (!p) {
		w->failed = true;
		return;
	}
	if (offset != p->end) {
		tell_run(w, p);
		p->begin = offset;
	}
	if (offset < p->first)
		p->first = offset;
	p->end = offset + n;
	p->records += n;
}

bool which_print(struct which *w, bool json)
{
	static const char *const heads[] = {"TOPIC", ">PARTITION", ">FIRST", ">LAST", ">RECORDS", NULL};
	struct cli_table table;
	bool whole = !w->failed;

	cli_table_init(&table, heads);
	for (size_t i = 0; i < w->n; i++) {
		const struct which_part *p = &w->part[i];

		tell_run(w, p);
		if (json) {
			printf("{\"v\":1,\"topic\":\"%s\",\"partition\":%u,\"first\":%llu,\"last\":%llu,\"records\":%llu}\n", p->topic,
			       (unsigned)p->partition, llu(p->first), llu(p->end - 1), llu(p->records));
			continue;
		}
		cli_cell(&table, "%s", p->topic);
		cli_cell(&table, "%u", (unsigned)p->partition);
		cli_cell(&table, "%llu", llu(p->first));
		cli_cell(&table, "%llu", llu(p->end - 1));
		cli_cell(&table, "%llu", llu(p->records));
	}
	if (!json && w->n && !cli_table_print(&table))
		whole = false;
	for (size_t i = 0; i < w->n; i++)
		free(w->part[i].topic);
	free(w->part);
	*w = (struct which){0};
	return whole;
}
