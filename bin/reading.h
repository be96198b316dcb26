/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tools that read share: which partitions, in what form, as a member in which room. */
#ifndef MQ_BIN_READING_H
#define MQ_BIN_READING_H

#include "cli.h"

struct reading {
	struct cli_pairs headers;
	struct cli_bytes delimiter, key_delimiter;
	int64_t partition;      /* of -p */
	bool json, frame, null, raw;
};

/* The topics and partitions of -t and of the operands; the offset of an operand is the range, or, with no_offset, refused for that
 * reason.  0, or the status. */
int reading_operands(struct cli *cli, const struct reading *r, const char *no_offset, struct mq_consume_request *req);

/* Do the options that say how records are printed go together?  0, or the status. */
int reading_check(struct cli *cli, const struct reading *r, const struct mq_consume_request *req);
/* Is there any of them?  json does not count where it is the form of something else. */
bool reading_prints(const struct reading *r, const struct mq_consume_request *req, bool json);
/* Form, delimiters and headers. */
void reading_fill(const struct reading *r, struct mq_consume_request *req);

/* The room of a member: -X client.rack, as Kafka's users know it, else $MQ_ROOM.  0, or the status. */
int reading_room(struct cli *cli, const struct cli_pairs *set, struct mq_consume_request *req);

#endif
