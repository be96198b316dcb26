/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "to.h"

#include <string.h>

/* Of those that were given the first; NULL: none was. */
static const char *first_given(const struct cli *cli, const char *const *names)
{
	for (; *names; names++)
		if (cli_given(cli, *names))
			return *names;
	return NULL;
}

static int check_unasked(struct cli *cli)
{
	static const char *const about[] = {"partitions", "one", NULL};
	const char *name = first_given(cli, about);

	return name ? cli_usage(cli, "--%s is about the topic that records go to: --to TOPIC is missing", name) : 0;
}

/* What a handler prints is cut as it is printed elsewhere. */
static int check_printing(struct cli *cli, const struct mq_consume_request *r, bool coproc)
{
	static const char *const never[] = {"json", "format", "raw", "manual", NULL};
	static const char *const cut[] = {"delimiter", "null", "key-delimiter", "frame", NULL};
	const char *name = first_given(cli, never);

	if (name)
		return cli_usage(cli, "--%s says how records are printed: with --to none is", name);
	name = first_given(cli, cut);
	if (name && !cli->command)
		return cli_usage(cli, "--%s cuts what a command prints: with --to alone records go as they are", name);
	if (r->to_one && !cli->command)
		return cli_usage(cli, "--one is about what a command prints: -- COMMAND is missing");
	if (r->to_one && coproc)
		return cli_usage(cli, "--one: a coproc puts its records one a line");
	if (r->to_one && name)
		return cli_usage(cli, "--one and --%s exclude each other", name);
	if (coproc && cli_given(cli, "frame"))
		return cli_usage(cli, "--frame: a coproc puts its records one a line (with --to)");
	return 0;
}

int to_check(struct cli *cli, const struct mq_consume_request *r, bool coproc)
{
	static const char *const others[] = {"share", "once", "commit", NULL};
	const char *name = first_given(cli, others);

	if (!r->to)
		return check_unasked(cli);
	if (!r->group)
		return cli_usage(cli, "--to moves records with a group's place: -g GROUP is missing");
	if (name)
		return cli_usage(cli, "--%s and --to exclude each other: a record is done when it is where it goes to, and goes there once", name);
	if (cli_given(cli, "partitions") && (r->to_partitions == 0 || r->to_partitions > 10000))
		return cli_usage(cli, "--partitions: from 1 to 10000 are wanted");
	return check_printing(cli, r, coproc);
}
