/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --help and --completion, both made of the option table. */
#include "cli.h"

#include <string.h>

enum { WIDTH = 80, MEANING_AT = 28 };

/* Words up to the right margin, later lines indented to the column where the first began. */
static void wrap(const char *text, size_t at)
{
	size_t column = at;

	while (*text) {
		size_t n = strcspn(text, " ");
		if (column > at && column + 1 + n > WIDTH) {
			printf("\n%*s", (int)at, "");
			column = at;
		}
		if (column > at) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)n, text);
		column += n;
		text += n;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static const char *meaning_of(const struct cli_tool *tool, const struct cli_option *o)
{
	return tool->timeout && strcmp(o->name, "timeout") == 0 ? tool->timeout : o->meaning;
}

static void help_option(const struct cli_tool *tool, const struct cli_option *o)
{
	char left[80], letter[4] = "";
	int n;

	if (o->letter)
		snprintf(letter, sizeof letter, "-%c,", o->letter);
	n = snprintf(left, sizeof left, "  %3s --%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	printf("%s", left);
	if (n > MEANING_AT - 2)
		printf("\n%*s", MEANING_AT, "");
	else
		printf("%*s", MEANING_AT - n, "");
	wrap(meaning_of(tool, o), MEANING_AT);
}

void cli_help(const struct cli_tool *tool)
{
	const struct cli_option *o;

	for (size_t i = 0; tool->usage[i]; i++)
		printf("%s %s %s\n", i ? "      " : "usage:", tool->name, tool->usage[i]);
	putchar('\n');
	wrap(tool->purpose, 0);
	for (size_t i = 0; (o = cli_option_at(tool, i)); i++) {
		if (o->kind == CLI_HEADING)
			printf("\n%s:\n", o->name);
		else
			help_option(tool, o);
	}
	printf("\nExamples:\n");
	for (size_t i = 0; tool->examples[i]; i++)
		printf("  %s\n", tool->examples[i]);
	printf("\nMore: man %s, man 7 mq\n", tool->name);
}

static void tell_pairs(const struct cli_tool *tool, const struct cli_option *o)
{
	printf("pairs");
	for (size_t i = 0; tool->verbs[i]; i++)
		if (!o->verbs || o->verbs & 1u << i)
			printf(" %s", tool->verbs[i]);
	printf("\t=%s\n", o->words);
}

/* One line an option: its spellings, a TAB, and what may follow it: nothing, "=topic", or "=a b c". */
void cli_completion(const struct cli_tool *tool)
{
	const struct cli_option *o;

	for (size_t i = 0; (o = cli_option_at(tool, i)); i++) {
		if (o->kind == CLI_HEADING)
			continue;
		printf("--%s", o->name);
		if (o->letter)
			printf(" -%c", o->letter);
		putchar('\t');
		if (o->arg)
			putchar('=');
		for (const char *w = o->arg && o->words ? o->words : ""; *w; w++)
			if (*w == '/')
				w += strcspn(w, " ") - 1;
			else
				putchar(*w);
		putchar('\n');
	}
	for (size_t i = 0; tool->verbs && (o = cli_option_at(tool, i)); i++)
		if (o->kind == CLI_PAIRS && o->words) /* behind the operand, too, with its verbs */
			tell_pairs(tool, o);
	if (tool->verbs) {
		printf("verbs\t=");
		for (size_t i = 0; tool->verbs[i]; i++)
			printf("%s%s", i ? " " : "", tool->verbs[i]);
		putchar('\n');
	}
	printf("operands\t=%s\n", tool->operands ? tool->operands : "");
}
