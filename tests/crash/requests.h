/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a scenario asks for and the check asks for again. */
#ifndef MQ_TESTS_CRASH_REQUESTS_H
#define MQ_TESTS_CRASH_REQUESTS_H

#include "api/mq.h"

/* mq-consume -g g --retries N --backoff 1h t -- false */
static inline int request_retries(struct mq *mq, uint64_t count, uint64_t retries)
{
	static const char *const topic = "t";
	static const int64_t all = -1;
	static char name[] = "false", *argv[] = {name, NULL}, *envp[] = {NULL};
	struct mq_consume_request req = MQ_CONSUME_REQUEST_INIT;
	struct mq_consume_report report;

	req.topics = &topic;
	req.partitions = &all;
	req.n_topics = 1;
	req.group = "g";
	req.count = count;
	req.handler = MQ_HANDLER_RECORD;
	req.argv = argv;
	req.envp = envp;
	req.retry = true;
	req.retries = retries;
	req.backoff = "1h";
	return mq_consume(mq, &req, &report);
}

static inline int request_letters(struct mq *mq, uint64_t count)
{
	return request_retries(mq, count, 0);
}

/* mq-replay --to u t */
static inline int request_copies(struct mq *mq)
{
	static const char *const topic = "t";
	static const int64_t all = -1;
	struct mq_consume_request req = MQ_CONSUME_REQUEST_INIT;
	struct mq_consume_report report;

	req.topics = &topic;
	req.partitions = &all;
	req.n_topics = 1;
	req.to = "u";
	req.replay = true;
	return mq_consume(mq, &req, &report);
}

#endif
