/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options: short clusters, --name=value and --name value, before and behind operands, up to --. */
#include "cli.h"

#include <string.h>

const struct cli_option cli_common[] = {
	{0, "Everywhere", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'S', "spool", "DIR", "the spool; without it $MQ_SPOOL, else /var/spool/mq for root and ~/.local/state/mq for others",
	 CLI_TEXT, offsetof(struct cli, spool), "dir", 0},
	{'t', "topic", "TOPIC", "the topic, in place of the operand", CLI_TEXT, offsetof(struct cli, topic), "topic", 0},
	{0, "timeout", "TIME", "taken by every tool; this one has nothing to wait for so long", CLI_DURATION,
	 offsetof(struct cli, timeout_ns), NULL, 0},
	{'q', "quiet", NULL, "say nothing but errors", CLI_FLAG, offsetof(struct cli, quiet), NULL, 0},
	{'v', "verbose", NULL, "say more", CLI_FLAG, offsetof(struct cli, verbose), NULL, 0},
	{'h', "help", NULL, "print this", CLI_HELP, 0, NULL, 0},
	{'V', "version", NULL, "print the version", CLI_VERSION, 0, NULL, 0},
	{0},
};

/* Letters that other tools use for something that is called differently here: never a silent surprise. */
static const struct {
	char letter;
	const char *hint;
	const char *needs, *lacking; /* the option that the hint names; the hint where the tool has none such */
	const char *is, *idle;       /* the tool that the hint names; the hint in that tool */
} refused[] = {
	{.letter = 'c', .hint = "a count is -n N", .needs = "count", .lacking = "there is no count here (head -n N makes one)"},
	{.letter = 'd', .hint = "a delimiter between records is -D S; to be told more, -v"},
	{.letter = 'z', .hint = "compression belongs to the topic (mq-topic set TOPIC compression.type=zstd); NUL between records is -0"},
	{.letter = 'F', .hint = "to follow a topic is -f; a setting is -X KEY=VALUE; between fields, --id-delimiter S"},
	{.letter = 'C', .hint = "to consume, run mq-consume", .is = "mq-consume", .idle = "this tool consumes without it"},
	{.letter = 'P', .hint = "to publish, run mq-publish; handlers side by side are mq-consume -j N", .is = "mq-publish", .idle = "this tool publishes without it"},
	{.letter = 'L', .hint = "to list topics, run mq-topic list"},
	{.letter = 'G', .hint = "a consumer group is -g GROUP"},
	{.letter = 'b', .hint = "there is no broker: a spool is a directory, -S DIR"},
};

const struct cli_option *cli_option_at(const struct cli_tool *tool, size_t n)
{
	size_t own = 0;

	while (tool->options[own].kind != CLI_END)
		own++;
	if (n < own)
		return &tool->options[n];
	for (size_t i = 0; cli_common[i].kind != CLI_END; i++)
		if (own + i == n)
			return &cli_common[i];
	return NULL;
}

static int unknown_name(struct cli *cli, const char *name)
{
	const char *names[CLI_OPTIONS_MAX + 1] = {NULL}, *near;
	const struct cli_option *o;
	size_t n = 0;

	for (size_t i = 0; (o = cli_option_at(cli->tool, i)) && n < CLI_OPTIONS_MAX; i++)
		if (o->kind != CLI_HEADING)
			names[n++] = o->name;
	near = cli_nearest(name, names);
	if (near)
		return cli_usage(cli, "unknown option --%s; did you mean --%s?", name, near);
	return cli_usage(cli, "unknown option --%s", name);
}

/* The index of an option, by name (length given) or letter; -1: none. */
static int find(const struct cli_tool *tool, const char *name, size_t length, char letter)
{
	const struct cli_option *o;

	for (int i = 0; (o = cli_option_at(tool, (size_t)i)); i++)
		if (o->kind != CLI_HEADING && (name ? strlen(o->name) == length && strncmp(o->name, name, length) == 0
		                                    : o->letter == letter))
			return i;
	return -1;
}

static int unknown_letter(struct cli *cli, char letter)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		const char *needs = refused[i].needs, *is = refused[i].is, *hint = refused[i].hint;
		if (refused[i].letter != letter)
			continue;
		if (needs && find(cli->tool, needs, strlen(needs), 0) < 0)
			hint = refused[i].lacking;
		if (is && strcmp(is, cli->tool->name) == 0)
			hint = refused[i].idle;
		return cli_usage(cli, "-%c is not an option here: %s", letter, hint);
	}
	return cli_usage(cli, "unknown option -%c", letter);
}

/* text: what follows --; *next: the argument behind it, NULL when taken. */
static int parse_long(struct cli *cli, const char *text, char **next)
{
	size_t length = strcspn(text, "=");
	const char *value = text[length] ? text + length + 1 : NULL;
	int i = find(cli->tool, text, length, 0);
	const struct cli_option *o;

	if (i < 0 && strcmp(text, "completion") == 0) {
		cli_completion(cli->tool);
		return MQ_EXIT_DONE;
	}
	if (i < 0) {
		char *name = cli_keep(cli, length + 1);
		return name ? unknown_name(cli, memcpy(name, text, length)) : MQ_EXIT_IO;
	}
	o = cli_option_at(cli->tool, (size_t)i);
	if (!o->arg && value)
		return cli_usage(cli, "--%s takes no value", o->name);
	if (o->arg && !value) {
		if (!*next)
			return cli_usage(cli, "--%s needs a value: %s", o->name, o->arg);
		value = *next;
		*next = NULL;
	}
	cli->given[i] = true;
	return cli_store(cli, o, value);
}

static int parse_cluster(struct cli *cli, const char *letters, char **next)
{
	for (; *letters; letters++) {
		int i = find(cli->tool, NULL, 0, *letters), status;
		const struct cli_option *o;
		const char *value = NULL;

		if (i < 0)
			return unknown_letter(cli, *letters);
		o = cli_option_at(cli->tool, (size_t)i);
		if (o->arg) {
			value = letters[1] ? letters + 1 : *next;
			if (!value)
				return cli_usage(cli, "-%c needs a value: %s", o->letter, o->arg);
			if (!letters[1])
				*next = NULL;
		}
		cli->given[i] = true;
		status = cli_store(cli, o, value);
		if (status != CLI_GO || o->arg)
			return status;
	}
	return CLI_GO;
}

static const char *list_of(const char *const *words, char *to, size_t cap)
{
	size_t at = 0;

	for (size_t i = 0; words[i] && at < cap; i++)
		at += (size_t)snprintf(to + at, cap - at, "%s%s", i ? ", " : "", words[i]);
	return to;
}

/* The verb is the first operand; every option given must go with it. */
static int take_verb(struct cli *cli)
{
	const char *const *verbs = cli->tool->verbs;
	const struct cli_option *o;
	const char *near;
	char list[200];

	if (!verbs)
		return CLI_GO;
	if (cli->n_operands == 0)
		return cli_usage(cli, "what is to be done?");
	for (cli->verb = 0; verbs[cli->verb]; cli->verb++)
		if (strcmp(verbs[cli->verb], cli->operands[0]) == 0)
			break;
	if (!verbs[cli->verb]) {
		near = cli_nearest(cli->operands[0], verbs);
		return near ? cli_usage(cli, "%s is not a thing to do here; did you mean %s?", cli->operands[0], near)
		            : cli_usage(cli, "%s is not a thing to do here: %s", cli->operands[0], list_of(verbs, list, sizeof list));
	}
	for (size_t i = 0; (o = cli_option_at(cli->tool, i)); i++)
		if (cli->given[i] && o->verbs && !(o->verbs & 1u << cli->verb))
			return cli_usage(cli, "--%s does not go with %s", o->name, verbs[cli->verb]);
	cli->operands++;
	cli->n_operands--;
	return CLI_GO;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
	int status = CLI_GO, i = 1;

	cli->operands = cli_keep(cli, ((size_t)argc + 1) * sizeof *cli->operands);
	if (!cli->operands)
		return MQ_EXIT_IO;
	for (; i < argc && status == CLI_GO; i++) {
		char *text = argv[i], *next = argv[i + 1], *before = next;

		if (strcmp(text, "--") == 0)
			break;
		if (text[0] == '-' && text[1] == '-')
			status = parse_long(cli, text + 2, &next);
		else if (text[0] == '-' && text[1])
			status = parse_cluster(cli, text + 1, &next);
		else if (text[0] == '%' && find(cli->tool, NULL, 0, 'f') >= 0)
			status = cli_usage(cli, "%s: -f follows the topic; a format is --format FORMAT", text);
		else
			cli->operands[cli->n_operands++] = text;
		i += next != before;
	}
	if (status != CLI_GO)
		return status;
	if (i < argc && cli->tool->takes_command)
		cli->command = argv + i + 1;
	else
		for (i++; i < argc; i++)
			cli->operands[cli->n_operands++] = argv[i];
	return take_verb(cli);
}
