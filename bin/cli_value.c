/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an option's argument means, and where it goes. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more element of a list that is full whenever n is a power of two; NULL: none. */
static void *room(struct cli *cli, const void *list, size_t n, size_t size)
{
	void *grown;

	if (n & (n - 1))
		return (void *)(uintptr_t)list;
	grown = cli_keep(cli, (n ? 2 * n : 1) * size);
	if (grown && n)
		memcpy(grown, list, n * size);
	return grown;
}

int cli_add_text(struct cli *cli, struct cli_texts *list, const char *text)
{
	const char **grown = room(cli, list->v, list->n, sizeof *grown);

	if (!grown)
		return MQ_EXIT_IO;
	grown[list->n++] = text;
	list->v = grown;
	return CLI_GO;
}

static int add_pair(struct cli *cli, struct cli_pairs *list, const char *option, const char *text)
{
	struct mq_pair *grown = room(cli, list->v, list->n, sizeof *grown);
	size_t size = strlen(text) + 1;
	char *copy = cli_keep(cli, size), *equals;

	if (!grown || !copy)
		return MQ_EXIT_IO;
	list->v = grown;
	equals = strchr(memcpy(copy, text, size), '=');
	if (!equals || equals == copy)
		return cli_usage(cli, "--%s %s: NAME=VALUE is wanted", option, text);
	*equals = '\0';
	grown[list->n++] = (struct mq_pair){copy, equals + 1};
	return CLI_GO;
}

static int take_bytes(struct cli *cli, struct cli_bytes *to, const char *option, const char *text)
{
	static const char letters[] = "ntr0\\", meant[] = "\n\t\r\0\\";
	char *out = cli_keep(cli, strlen(text) + 1);
	size_t n = 0;

	if (!out)
		return MQ_EXIT_IO;
	for (const char *s = text; *s; s++) {
		const char *l;
		char hex[3], *end;
		if (*s != '\\') {
			out[n++] = *s;
		} else if (s[1] == 'x' && s[2] && s[3]) {
			memcpy(hex, s + 2, 2);
			hex[2] = '\0';
			out[n++] = (char)strtoul(hex, &end, 16);
			if (end != hex + 2)
				return cli_usage(cli, "--%s %s: two hexadecimal digits are wanted after \\x", option, text);
			s += 3;
		} else if (s[1] && (l = strchr(letters, s[1]))) {
			out[n++] = meant[l - letters];
			s++;
		} else {
			return cli_usage(cli, "--%s %s: known are \\n \\t \\r \\0 \\\\ and \\xHH", option, text);
		}
	}
	if (n == 0)
		return cli_usage(cli, "--%s: an empty string separates nothing", option);
	*to = (struct cli_bytes){out, n};
	return CLI_GO;
}

/* words: blanks between choices, a slash between names of one. */
static int take_choice(struct cli *cli, const struct cli_option *o, int *to, const char *text)
{
	size_t length = strlen(text);
	int choice = 0;

	for (const char *w = o->words; *w; w++) {
		size_t n = strcspn(w, " /");
		if (n == length && strncmp(w, text, n) == 0) {
			*to = choice;
			return CLI_GO;
		}
		choice += w[n] == ' ';
		w += n;
		if (!*w)
			break;
	}
	return cli_usage(cli, "--%s %s: one of these is wanted: %s", o->name, text, o->words);
}

static int take_number(struct cli *cli, const struct cli_option *o, void *to, const char *text)
{
	uint64_t n = 0;

	if (mq_parse_count(cli->mq, text, &n) < 0)
		return cli_usage(cli, "--%s: %s", o->name, mq_why(cli->mq));
	if (o->kind != CLI_COUNT && n > INT32_MAX)
		return cli_usage(cli, "--%s %s: too large", o->name, text);
	if (o->kind == CLI_COUNT32 && n == 0)
		return cli_usage(cli, "--%s: at least 1 is wanted", o->name);
	if (o->kind == CLI_COUNT)
		*(uint64_t *)to = n;
	else if (o->kind == CLI_COUNT32)
		*(uint32_t *)to = (uint32_t)n;
	else
		*(int64_t *)to = (int64_t)n;
	return CLI_GO;
}

int cli_store(struct cli *cli, const struct cli_option *o, const char *text)
{
	void *to = (char *)cli + o->to;
	int failed = 0;

	switch (o->kind) {
	case CLI_FLAG: *(bool *)to = true; return CLI_GO;
	case CLI_ACCEPTED: return CLI_GO;
	case CLI_TEXT: *(const char **)to = text; return CLI_GO;
	case CLI_TEXTS: return cli_add_text(cli, to, text);
	case CLI_PAIRS: return add_pair(cli, to, o->name, text);
	case CLI_BYTES: return take_bytes(cli, to, o->name, text);
	case CLI_CHOICE: return take_choice(cli, o, to, text);
	case CLI_COUNT: case CLI_COUNT32: case CLI_PARTITION: return take_number(cli, o, to, text);
	case CLI_SIZE: failed = mq_parse_size(cli->mq, text, to); break;
	case CLI_DURATION: failed = mq_parse_duration(cli->mq, text, to); break;
	case CLI_RATE: failed = mq_parse_rate(cli->mq, text, to); break;
	case CLI_HELP: cli_help(cli->tool); return MQ_EXIT_DONE;
	case CLI_VERSION: printf("%s %s\n", cli->tool->name, MQ_VERSION); return MQ_EXIT_DONE;
	case CLI_END: case CLI_HEADING: break;
	}
	return failed < 0 ? cli_usage(cli, "--%s: %s", o->name, mq_why(cli->mq)) : CLI_GO;
}
