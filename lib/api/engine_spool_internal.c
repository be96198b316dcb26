/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: topics that no user names. */
#include <stdio.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "spool/internal.h"
#include "spool/room.h"

int mq_engine_spool_open_users(struct mq_topic *ret, struct mq_store *s, const char *topic, struct mq_err *err)
{
	int rc = mq_name_check(topic, "topic", err);

	return rc < 0 ? rc : mq_topic_open(ret, mq_engine_spool_of(s), topic, err);
}

int mq_engine_spool_internal_open(struct mq_store *s, const char *kind, const char *topic, const char *group, bool create,
                                  char ret_name[201], struct mq_topic_facts *ret, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_internal_open(&t, mq_engine_spool_of(s), kind, topic, group, create && !s->looks, err);

	if (rc < 0)
		return rc;
	rc = create && !s->looks && strcmp(kind, "wait") == 0 ? mq_room_configure(&t, err) : 0;
	if (rc < 0) {
		mq_topic_release(&t);
		return rc;
	}
	mq_engine_spool_fill_facts(&t.conf, ret);
	snprintf(ret_name, sizeof t.name, "%s", t.name);
	mq_topic_release(&t);
	return 0;
}

int mq_engine_spool_internal_facts(struct mq_store *s, const char *name, struct mq_topic_facts *ret, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_topic_open(&t, mq_engine_spool_of(s), name, err);

	if (rc < 0)
		return rc;
	rc = mq_topic_alive(&t, err);
	if (rc == 0)
		mq_engine_spool_fill_facts(&t.conf, ret);
	mq_topic_release(&t);
	return rc;
}
