/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options: short clusters, --name=value and --name value, before and behind operands, up to --. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

const struct cli_option cli_common[] = {
	{0, "Everywhere", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'S', "spool", "DIR", "the spool; without it $MQ_SPOOL, else /var/spool/mq for root and ~/.local/state/mq for others",
	 CLI_TEXT, offsetof(struct cli, spool), "dir", 0},
	{'t', "topic", "TOPIC", "the topic, in place of the operand", CLI_TEXT, offsetof(struct cli, topic), "topic", 0},
	{0, "timeout", "TIME", "how long to wait for space and locks: 300ms 10s 5m 2h 7d", CLI_DURATION,
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
} refused[] = {
	{'c', "a count is -n N"},
	{'d', "a delimiter between records is -D S; to be told more, -v"},
	{'z', "compression belongs to the topic (mq-topic set TOPIC -X compression.type=zstd); NUL between records is -0"},
	{'F', "to follow a topic is -f; a setting is -X KEY=VALUE; between fields, --id-delimiter S"},
	{'C', "to consume, run mq-consume"},
	{'P', "to publish, run mq-publish"},
	{'L', "to list topics, run mq-topic list"},
	{'G', "a consumer group is -g GROUP"},
	{'b', "there is no broker: a spool is a directory, -S DIR"},
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

static int unknown_letter(struct cli *cli, char letter)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (refused[i].letter == letter)
			return cli_usage(cli, "-%c is not an option here: %s", letter, refused[i].hint);
	return cli_usage(cli, "unknown option -%c", letter);
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

static int add_text(struct cli *cli, struct cli_texts *list, const char *text)
{
	const char **grown = cli_keep(cli, (list->n + 1) * sizeof *grown);

	if (!grown)
		return MQ_EXIT_IO;
	for (size_t i = 0; i < list->n; i++)
		grown[i] = list->v[i];
	grown[list->n++] = text;
	list->v = grown;
	return CLI_GO;
}

static int add_pair(struct cli *cli, struct cli_pairs *list, const char *option, const char *text)
{
	struct mq_pair *grown = cli_keep(cli, (list->n + 1) * sizeof *grown);
	size_t size = strlen(text) + 1;
	char *copy = cli_keep(cli, size), *equals;

	if (!grown || !copy)
		return MQ_EXIT_IO;
	equals = strchr(memcpy(copy, text, size), '=');
	if (!equals || equals == copy)
		return cli_usage(cli, "--%s %s: NAME=VALUE is wanted", option, text);
	*equals = '\0';
	if (list->n)
		memcpy(grown, list->v, list->n * sizeof *grown);
	grown[list->n++] = (struct mq_pair){copy, equals + 1};
	list->v = grown;
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

static int store(struct cli *cli, const struct cli_option *o, const char *text)
{
	void *to = (char *)cli + o->to;
	int failed = 0;

	switch (o->kind) {
	case CLI_FLAG: *(bool *)to = true; return CLI_GO;
	case CLI_ACCEPTED: return CLI_GO;
	case CLI_TEXT: *(const char **)to = text; return CLI_GO;
	case CLI_TEXTS: return add_text(cli, to, text);
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
	return store(cli, o, value);
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
		status = store(cli, o, value);
		if (status != CLI_GO || o->arg)
			return status;
	}
	return CLI_GO;
}

/* The verb is the first operand; every option given must go with it. */
static int take_verb(struct cli *cli)
{
	const char *const *verbs = cli->tool->verbs;
	const struct cli_option *o;
	const char *near;

	if (!verbs)
		return CLI_GO;
	if (cli->n_operands == 0)
		return cli_usage(cli, "what is to be done?");
	for (cli->verb = 0; verbs[cli->verb]; cli->verb++)
		if (strcmp(verbs[cli->verb], cli->operands[0]) == 0)
			break;
	if (!verbs[cli->verb]) {
		near = cli_nearest(cli->operands[0], verbs);
		return cli_usage(cli, "%s is not a thing to do here%s%s%s", cli->operands[0], near ? "; did you mean " : "",
		                 near ? near : "", near ? "?" : "");
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
