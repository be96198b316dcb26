/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of --assign: lines of a pattern and partitions, blanks between; '#' begins a comment. */
#include "mq-rebalance.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t\r\n";

/* A partition, at *text, which moves behind it; negative: none. */
static long partition(const char **text)
{
	char *end;
	long p = isdigit((unsigned char)**text) ? strtol(*text, &end, 10) : -1;

	if (p < 0 || p > 9999)
		return -1;
	*text = end;
	return p;
}

/* "0-3,8": what the group's configuration will take; here the line can be told, there it cannot. */
static bool is_list(const char *text)
{
	do {
		long first = partition(&text), last = first;

		if (*text == '-') {
			text++;
			last = partition(&text);
		}
		if (first < 0 || last < first)
			return false;
	} while (*text++ == ',');
	return text[-1] == '\0';
}

static int add_line(struct args *a, struct cli_texts *list, char *line, unsigned number)
{
	char *pattern, *partitions, *rest, *at, *text;
	size_t size;

	line[strcspn(line, "#")] = '\0';
	pattern = strtok_r(line, blanks, &at);
	partitions = strtok_r(NULL, blanks, &at);
	rest = strtok_r(NULL, blanks, &at);
	if (!pattern)
		return 0;
	if (!partitions || rest)
		return cli_error(&a->cli, MQ_EXIT_INPUT, "%s:%u: a line is PATTERN PARTITIONS, as: east-* 0-3,8", a->assign, number);
	if (!is_list(partitions))
		return cli_error(&a->cli, MQ_EXIT_INPUT, "%s:%u: '%s': partitions are from 0 to 9999, as 0-3,8", a->assign, number, partitions);
	size = strlen(pattern) + strlen(partitions) + 32;
	text = cli_keep(&a->cli, size);
	if (!text)
		return MQ_EXIT_IO;
	snprintf(text, size, "assign.%u=%s:%s", number, pattern, partitions);
	return cli_add_text(&a->cli, list, text) == CLI_GO ? 0 : MQ_EXIT_IO;
}

static int cannot_open(struct args *a, int error)
{
	int status = error == ENOENT ? MQ_EXIT_NOTOPIC : error == EACCES || error == EPERM ? MQ_EXIT_DENIED : MQ_EXIT_IO;

	return cli_error(&a->cli, status, "cannot open %s: %s", a->assign, error == ENOENT ? "no such file or directory" : strerror(error));
}

int rebalance_read_assign(struct args *a, struct cli_texts *list)
{
	FILE *file = strcmp(a->assign, "-") == 0 ? stdin : fopen(a->assign, "re");
	char *line = NULL;
	size_t room = 0;
	unsigned number = 0;
	int status = 0;

	if (!file)
		return cannot_open(a, errno);
	while (!status && getline(&line, &room, file) >= 0)
		status = add_line(a, list, line, ++number);
	if (!status && ferror(file))
		status = cli_error(&a->cli, MQ_EXIT_IO, "%s: %s", a->assign, strerror(errno));
	free(line);
	if (file != stdin)
		(void)fclose(file);
	return status;
}
