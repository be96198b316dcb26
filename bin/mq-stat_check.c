/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits, and one line with the status of a Nagios plug-in (Monitoring Plugins Development Guidelines: 0 ok, 1 warning, 2
 * critical, 3 unknown; behind the bar what is drawn). */
#include "mq-stat.h"

#include <string.h>

enum { OK, WARNING, CRITICAL, UNKNOWN };

enum unit { COUNT, BYTES, TIME };

struct worst {
	uint64_t value;
	const char *group, *topic; /* whose; NULL: nobody's */
};

typedef void measure(const struct rows *r, struct worst *w);

struct limit {
	const char *name;
	enum unit unit;
	measure *find;      /* the worst of all rows */
};

static void worse(struct worst *w, uint64_t value, const char *group, const char *topic)
{
	if (value > w->value)
		*w = (struct worst){value, group, topic};
}

static void find_lag(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_groups; i++)
		worse(w, r->groups[i].lag, r->groups[i].group, r->groups[i].topic);
}

static void find_age(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_groups; i++)
		if (r->groups[i].oldest_us != NO_TIME && r->groups[i].oldest_us < r->now_us)
			worse(w, (uint64_t)(r->now_us - r->groups[i].oldest_us), r->groups[i].group, r->groups[i].topic);
}

static void find_lost(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_groups; i++)
		worse(w, r->groups[i].lost, r->groups[i].group, r->groups[i].topic);
}

static void find_expired(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_groups; i++)
		worse(w, r->groups[i].expired, r->groups[i].group, r->groups[i].topic);
}

static void find_in_flight(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_groups; i++)
		worse(w, r->groups[i].in_flight, r->groups[i].group, r->groups[i].topic);
}

static void find_stopped(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_groups; i++)
		worse(w, r->groups[i].stopped, r->groups[i].group, NULL);
}

static void find_records(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_topics; i++)
		worse(w, r->topics[i].records, NULL, r->topics[i].topic);
}

static void find_bytes(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_topics; i++)
		worse(w, r->topics[i].bytes, NULL, r->topics[i].topic);
}

static void find_dead(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_topics; i++)
		worse(w, r->topics[i].dead, NULL, r->topics[i].topic);
}

static void find_delayed(const struct rows *r, struct worst *w)
{
	for (size_t i = 0; i < r->n_topics; i++)
		worse(w, r->topics[i].delayed, NULL, r->topics[i].topic);
}

static const struct limit limits[] = {
	{"lag", COUNT, find_lag}, {"age", TIME, find_age}, {"lost", COUNT, find_lost}, {"expired", COUNT, find_expired},
	{"in-flight", COUNT, find_in_flight}, {"stopped", COUNT, find_stopped},
	{"records", COUNT, find_records}, {"bytes", BYTES, find_bytes},
	{"dead", COUNT, find_dead}, {"delayed", COUNT, find_delayed},
};

struct check {
	const struct limit *limit;
	uint64_t warning, critical; /* of a time microseconds */
	struct worst worst;
	int state;
};

/* In microseconds, of a time. */
static int parse_value(struct cli *cli, enum unit unit, const char *text, uint64_t *ret)
{
	int64_t ns = 0;
	int rc;

	if (unit != TIME)
		return unit == BYTES ? mq_parse_size(cli->mq, text, ret) : mq_parse_count(cli->mq, text, ret);
	rc = mq_parse_duration(cli->mq, text, &ns);
	*ret = (uint64_t)ns / 1000;
	return rc;
}

/* "NAME=CRITICAL" or "NAME=WARNING,CRITICAL": 0, or a status. */
static int parse(struct cli *cli, const char *text, struct check *ret)
{
	const char *equals = strchr(text, '='), *comma = equals ? strchr(equals, ',') : NULL;
	char warning[64];

	*ret = (struct check){0};
	for (size_t i = 0; equals && i < sizeof limits / sizeof *limits; i++)
		if (strlen(limits[i].name) == (size_t)(equals - text) && strncmp(text, limits[i].name, (size_t)(equals - text)) == 0)
			ret->limit = &limits[i];
	if (!ret->limit)
		return cli_usage(cli, "--check %s: NAME=LIMIT is wanted, where NAME is lag, age, lost, expired, in-flight, stopped, "
		                 "records, bytes, dead or delayed", text);
	snprintf(warning, sizeof warning, "%.*s", comma ? (int)(comma - equals - 1) : 0, equals + 1);
	if (parse_value(cli, ret->limit->unit, comma ? comma + 1 : equals + 1, &ret->critical) < 0)
		return cli_usage(cli, "--check %s: %s", text, mq_why(cli->mq));
	ret->warning = ret->critical;
	if (comma && parse_value(cli, ret->limit->unit, warning, &ret->warning) < 0)
		return cli_usage(cli, "--check %s: %s", text, mq_why(cli->mq));
	if (ret->warning > ret->critical)
		return cli_usage(cli, "--check %s: the warning comes first, and is the lower one", text);
	return 0;
}

int stat_check_parse(struct args *a)
{
	int status = 0;

	a->limits = a->checks.n ? cli_keep(&a->cli, a->checks.n * sizeof *a->limits) : NULL;
	if (a->checks.n && !a->limits)
		return MQ_EXIT_IO;
	for (size_t i = 0; i < a->checks.n && !status; i++)
		status = parse(&a->cli, a->checks.v[i], &a->limits[i]);
	return status;
}

static void print_value(const struct limit *l, uint64_t value)
{
	if (l->unit == TIME)
		printf("%llu.%03llus", llu(value / 1000000), llu(value / 1000 % 1000));
	else
		printf("%llu%s", llu(value), l->unit == BYTES ? "B" : "");
}

static void print_limit(const struct limit *l, uint64_t value)
{
	if (l->unit == TIME)
		printf(";%llu.%03llu", llu(value / 1000000), llu(value / 1000 % 1000));
	else
		printf(";%llu", llu(value));
}

static void print_finding(const struct check *c, const char *before)
{
	const struct worst *w = &c->worst;

	printf("%s%s ", before, c->limit->name);
	print_value(c->limit, w->value);
	if (w->group || w->topic)
		printf(" (%s%s%s)", w->group ? w->group : "", w->group && w->topic ? " " : "", w->topic ? w->topic : "");
}

/* What could not be looked at may be worse than what was. */
static int find_worst(struct args *a, const struct rows *r)
{
	int worst = OK;

	for (size_t i = 0; i < a->checks.n; i++) {
		struct check *c = &a->limits[i];
		c->limit->find(r, &c->worst);
		c->state = c->worst.value > c->critical ? CRITICAL : c->worst.value > c->warning ? WARNING : OK;
		worst = c->state > worst ? c->state : worst;
	}
	return a->status && worst < CRITICAL ? UNKNOWN : worst;
}

int stat_check(struct args *a, const struct rows *r)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
	int worst = find_worst(a, r);
	const char *before = " - ";

	printf("MQ %s", words[worst]);
	if (worst == UNKNOWN)
		printf(" - %s", *a->why ? a->why : "not all could be looked at");
	for (size_t i = 0; i < a->checks.n; i++)
		if (a->limits[i].state == worst) {
			print_finding(&a->limits[i], before);
			before = ", ";
		}
	for (size_t i = 0; i < a->checks.n; i++) {
		const struct check *c = &a->limits[i];
		printf("%s%s=", i ? " " : " | ", c->limit->name);
		if (a->status && !c->worst.value) /* who draws it is not to draw a nought that nobody has seen */
			printf("U");
		else
			print_value(c->limit, c->worst.value);
		print_limit(c->limit, c->warning);
		print_limit(c->limit, c->critical);
	}
	printf("\n");
	return worst;
}

int stat_unknown(const struct args *a)
{
	printf("MQ UNKNOWN - %s\n", *a->why ? a->why : mq_status(a->cli.mq) ? mq_why(a->cli.mq) : "the figures could not be had");
	return UNKNOWN;
}
