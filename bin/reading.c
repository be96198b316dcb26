/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reading.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- which --------------------------------------------------------------------------------- */

static int take_offset(struct cli *cli, const char *text, const char *offset, const char *no_offset, size_t n, char *room,
                       struct mq_consume_request *req)
{
	if (no_offset)
		return cli_usage(cli, "%s: %s", text, no_offset);
	if (cli_given(cli, "offset") || n > 1)
		return cli_usage(cli, "%s: one offset, of one topic, is wanted (-o RANGE holds for all)", text);
	req->range = strcpy(room, offset);
	return 0;
}

int reading_operands(struct cli *cli, const struct reading *r, const char *no_offset, struct mq_consume_request *req)
{
	size_t n = cli->n_operands + (cli->topic != NULL);
	const char **topics = cli_keep(cli, (n + 1) * sizeof *topics);
	int64_t *partitions = cli_keep(cli, (n + 1) * sizeof *partitions);
	int status = 0;

	if (!topics || !partitions)
		return MQ_EXIT_IO;
	if (n == 0)
		return cli_usage(cli, "which topic?");
	if (cli->topic && cli->n_operands)
		return cli_usage(cli, "%s: -t stands in place of the operands", cli->operands[0]);
	for (size_t i = 0; i < n && !status; i++) {
		struct mq_operand operand;
		const char *text = i < cli->n_operands ? cli->operands[i] : cli->topic;
		char *copy = cli_keep(cli, 2 * strlen(text) + 2);

		if (!copy)
			return MQ_EXIT_IO;
		if (mq_parse_operand(cli->mq, text, &operand) < 0)
			return cli_fail(cli);
		topics[i] = strcpy(copy, operand.topic);
		partitions[i] = cli_given(cli, "partition") ? r->partition : operand.partition;
		if (cli_given(cli, "partition") && operand.partition >= 0)
			return cli_usage(cli, "%s: the partition is given twice", text);
		if (operand.offset)
			status = take_offset(cli, text, operand.offset, no_offset, n, copy + strlen(copy) + 1, req);
	}
	req->topics = topics;
	req->partitions = partitions;
	req->n_topics = n;
	return status;
}

/* --- in what form -------------------------------------------------------------------------- */

int reading_check(struct cli *cli, const struct reading *r, const struct mq_consume_request *req)
{
	if (r->json + r->frame + (req->format != NULL) > 1)
		return cli_usage(cli, "--json, --frame and --format exclude each other");
	if ((r->json || r->frame || req->format) && (r->delimiter.data || r->null || r->key_delimiter.data))
		return cli_usage(cli, "delimiters do not go with --json, --frame or --format");
	if (r->delimiter.data && r->null)
		return cli_usage(cli, "-D and -0 exclude each other");
	if (r->key_delimiter.data && strlen(r->key_delimiter.data) != r->key_delimiter.len)
		return cli_usage(cli, "-K cannot hold a NUL byte");
	return 0;
}

bool reading_prints(const struct reading *r, const struct mq_consume_request *req, bool json)
{
	return (r->json && json) || r->frame || req->format || r->delimiter.data || r->null || r->key_delimiter.data || r->raw;
}

void reading_fill(const struct reading *r, struct mq_consume_request *req)
{
	req->headers = r->headers.v;
	req->n_headers = r->headers.n;
	req->form = r->json ? MQ_OUT_JSON : r->frame ? MQ_OUT_FRAMES : req->format ? MQ_OUT_FORMAT : MQ_OUT_LINES;
	req->delimiter = r->null ? "" : r->delimiter.data;
	req->delimiter_len = r->null ? 1 : r->delimiter.len;
	req->key_delimiter = r->key_delimiter.data;
	req->visible_control = req->handler == MQ_HANDLER_NONE && !r->raw && isatty(STDOUT_FILENO);
}

/* --- as whom ------------------------------------------------------------------------------- */

int reading_room(struct cli *cli, const struct cli_pairs *set, struct mq_consume_request *req)
{
	const char *room = getenv("MQ_ROOM");

	req->room = room && *room ? room : NULL;
	for (size_t i = 0; i < set->n; i++) {
		if (strcmp(set->v[i].name, "client.rack") != 0)
			return cli_usage(cli, "-X %s: there is no such key here: client.rack", set->v[i].name);
		if (!req->group)
			return cli_usage(cli, "-X client.rack is about members: -g GROUP is missing");
		req->room = *set->v[i].value ? set->v[i].value : NULL;
	}
	return 0;
}
