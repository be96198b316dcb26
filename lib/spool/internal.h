/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internal topics: what mq itself keeps of a group's dealings with a topic (the ids it has done, its intents), one topic of
 * each kind.  They lie in topics/ beside the users', so that recovery, checking, retention and replication come for nothing:
 *
 *     topics/KIND@TOPIC@GROUP      more than 200 bytes: the first 150, "~", 16 hex digits of the FNV-1a hash of all
 *
 * No user can give such a name ("@" is in none of theirs), and none is listed.  topic.conf says in two lines more than any
 * other whose it is: internal=KIND@TOPIC@GROUP, whole, and of=ID of that topic.  A topic deleted and made again has another
 * id, so it starts clean (rule 4): whoever opens an internal topic of the former removes it.
 *
 * Partition p belongs to partition p of the topic.  It is made at its first use with as many as that has, and gets more when
 * it is opened after that has grown; but for the ids done, which lie in one.  It goes with its topic, and with its group's
 * place there.
 *
 * Once it is there, everything that takes a topic's name takes its name: mq_topic_open and what stands on that.
 */
#ifndef MQ_SPOOL_INTERNAL_H
#define MQ_SPOOL_INTERNAL_H

#include "base/name.h"
#include "spool/topic.h"

enum { MQ_INTERNAL_KIND_MAX = 16, MQ_INTERNAL_WHOLE_MAX = MQ_INTERNAL_KIND_MAX + 2 * MQ_NAME_MAX + 2 };

/* kind: letters; topic: a name; group: a name, "@" and a name (mq's own: "@room", "@run"), or nothing (room.h). */
void mq_internal_name(const char *kind, const char *topic, const char *group, char ret[MQ_NAME_MAX + 1]);

/* Is it the name of one? */
bool mq_internal_is(const char *name);

/* MQ_ENOTOPIC: there is no topic, or (without create) none of this kind.  MQ_ECONFIG: something else has the name. */
int mq_internal_open(struct mq_topic *ret, struct mq_spool *s, const char *kind, const char *topic, const char *group,
                     bool create, struct mq_err *err);

/* fn for the name of each. */
int mq_internal_each(struct mq_spool *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);

/* 1: it is of a topic that is no more, or has been made again since. */
int mq_internal_orphan(struct mq_topic *t, struct mq_err *err);

/* Remove those of a topic: of that id, whatever the group (topic_id, and group NULL), or of that name and group. */
int mq_internal_remove(struct mq_spool *s, const uint8_t *topic_id, const char *topic, const char *group, struct mq_err *err);

#endif
