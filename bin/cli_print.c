/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void cli_table_init(struct cli_table *t, const char *const *heads)
{
	*t = (struct cli_table){.heads = heads};
	while (heads[t->columns] && t->columns < CLI_COLUMNS_MAX)
		t->columns++;
}

void cli_cell(struct cli_table *t, const char *format, ...)
{
	va_list args;
	char *text = NULL;

	if (t->cells == t->room) {
		size_t room = t->room ? 2 * t->room : 64;
		char **grown = realloc(t->cell, room * sizeof *grown);
		if (!grown)
			return;
		t->cell = grown;
		t->room = room;
	}
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL; /* told by cli_table_print */
	va_end(args);
	t->cell[t->cells++] = text;
}

static void print_row(const struct cli_table *t, const char *const *row, const size_t *width)
{
	for (size_t c = 0; c < t->columns; c++) {
		bool head = row == t->heads, right = t->heads[c][0] == '>', last = c + 1 == t->columns;
		const char *text = row[c] + (head && right);
		char visible[1024];

		cli_visible(visible, sizeof visible, text);
		if (right)
			printf("%*s", (int)width[c], visible);
		else
			printf("%-*s", last ? 0 : (int)width[c], visible);
		fputs(last ? "\n" : "  ", stdout);
	}
}

bool cli_table_print(struct cli_table *t)
{
	size_t width[CLI_COLUMNS_MAX] = {0};
	bool whole = t->cells % t->columns == 0;

	for (size_t i = 0; i < t->cells; i++)
		whole = whole && t->cell[i];
	for (size_t i = 0; whole && i < t->columns + t->cells; i++) {
		const char *text = i < t->columns ? t->heads[i] + (t->heads[i][0] == '>') : t->cell[i - t->columns];
		if (strlen(text) > width[i % t->columns])
			width[i % t->columns] = strlen(text);
	}
	if (whole)
		print_row(t, t->heads, width);
	for (size_t i = 0; whole && i < t->cells; i += t->columns)
		print_row(t, (const char *const *)t->cell + i, width);
	for (size_t i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	return whole;
}

/* The length of the UTF-8 sequence at s, 0 when it is broken, overlong, or a C1 control character. */
static size_t utf8_length(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	if ((u[0] == 0xc2 && u[1] < 0xa0) || (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

void cli_json_string(FILE *to, const char *text)
{
	putc('"', to);
	while (*text) {
		size_t n = utf8_length(text);
		unsigned char byte = (unsigned char)*text;

		if (n == 0 || byte < 0x20 || byte == 0x7f)
			fprintf(to, "\\u%04x", n ? byte : 0xfffdu);
		else if (byte == '"' || byte == '\\')
			fprintf(to, "\\%c", byte);
		else
			fwrite(text, 1, n, to);
		text += n ? n : 1;
	}
	putc('"', to);
}

const char *cli_visible(char *to, size_t size, const char *text)
{
	size_t at = 0;

	while (*text && at + 5 < size) {
		size_t n = mq_printable(text, strnlen(text, 4));
		unsigned char byte = (unsigned char)*text;

		if (n > 0 && byte != '\t') {
			memcpy(to + at, text, n);
			at += n;
		} else if (byte < 0x20 || byte == 0x7f) {
			to[at++] = '^';
			to[at++] = (char)(byte ^ 0x40);
		} else {
			at += (size_t)snprintf(to + at, size - at, "\\x%02x", byte);
		}
		text += n ? n : 1;
	}
	to[at] = '\0';
	return to;
}
