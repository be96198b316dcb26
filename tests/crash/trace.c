/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("powercut: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

void *must(void *allocated)
{
	if (!allocated)
		die("no memory");
	return allocated;
}

static char *slurp(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "rb");
	size_t cap = 1 << 20, len = 0, n;
	char *text = must(malloc(cap + 1));

	if (!f)
		die("cannot read %s", path);
	while ((n = fread(text + len, 1, cap - len, f)) > 0) {
		len += n;
		if (len == cap)
			text = must(realloc(text, (cap *= 2) + 1));
	}
	fclose(f);
	text[len] = 0;
	*ret_len = len;
	return text;
}

/* Cut the next word off; its end becomes NUL. */
static char *word(char **at, char *end)
{
	char *w = *at, *p = w;

	while (p < end && *p != ' ')
		p++;
	*at = p < end ? p + 1 : end;
	*p = 0;
	return w;
}

/* One entry at p; returns where the next begins. */
static char *parse(char *p, const char *end, struct trace_entry *e)
{
	char *eol = memchr(p, '\n', (size_t)(end - p)), *at = p, *w;

	if (!eol || strncmp(p, "@mq 1 ", 6) != 0)
		die("the trace is broken before %.40s", p);
	*eol = 0;
	at += 6;
	memset(e, 0, sizeof *e);
	e->pid = atoi(word(&at, eol));
	word(&at, eol);
	e->call = word(&at, eol);
	e->args = at;
	while (strcmp(w = word(&at, eol), "=") != 0) {
		if (at == eol)
			die("the trace has an entry of %s without a result", e->call);
		e->n_args++;
	}
	e->result = strtoll(word(&at, eol), NULL, 10);
	e->len = strtoull(word(&at, eol), NULL, 10);
	e->data = (uint8_t *)eol + 1;
	if ((size_t)(end - eol) < e->len + 2 || eol[1 + e->len] != '\n')
		die("the trace has a torn entry of %s", e->call);
	return eol + 2 + e->len;
}

void trace_read(struct trace *t, const char *path)
{
	size_t len, cap = 1024;
	char *p, *end;

	memset(t, 0, sizeof *t);
	p = t->text = slurp(path, &len);
	end = p + len;
	t->e = must(malloc(cap * sizeof *t->e));
	while (p < end) {
		if (t->n == cap)
			t->e = must(realloc(t->e, (cap *= 2) * sizeof *t->e));
		p = parse(p, end, &t->e[t->n++]);
	}
}

void trace_free(struct trace *t)
{
	free(t->e);
	free(t->text);
	memset(t, 0, sizeof *t);
}

const char *trace_get(const struct trace_entry *e, const char *key)
{
	const char *p = e->args;
	size_t len = strlen(key);

	for (size_t i = 0; i < e->n_args; i++, p += strlen(p) + 1)
		if (strncmp(p, key, len) == 0 && p[len] == '=')
			return p + len + 1;
	return NULL;
}

uint64_t trace_number(const struct trace_entry *e, const char *key)
{
	const char *v = trace_get(e, key);

	if (!v)
		die("an entry of %s has no %s", e->call, key);
	return strtoull(v, NULL, 0);
}
