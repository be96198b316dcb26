/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topic's waiting room: records that are to come later, of publishers that asked for a delay and of groups that try again.
 *
 * It is the internal topic wait@TOPIC@; its partition p is for partition p of TOPIC.  To park a record is to store it there, by an
 * append or a transfer, as what is to come, with
 *
 *     due_us     when: from that time on it is put into TOPIC:p, behind what is there
 *     group      NULL: for everybody; else for that group alone, and it keeps its time
 *
 * and whatever else it carries: key, id, tag, headers, attempts, expiry come out as they went in.
 *
 *     rc = mq_room_name(mq, "orders", true, room, &facts, err);
 *     mq_transfer_put(x, room, p, &record)                  p below facts.partitions: that of the record in TOPIC
 *
 * Whoever works on TOPIC afterwards delivers it when it is due; who follows TOPIC hears of it at once:
 *
 *     rc = mq_rooms_open(&rooms, mq, "orders", err);        NULL: nothing ever waited
 *     mq_rooms_arm(rooms, &wait, err);                      what is parked from now on ends a wait
 *     mq_rooms_deliver(rooms, err);                         1: some came
 *     sleep until mq_rooms_next_ns(rooms)
 *     mq_rooms_close(rooms);
 *
 * Due is compared with CLOCK_REALTIME at each look, so a clock that jumps makes records early or late by its jump.
 */
#ifndef MQ_OPS_ROOM_H
#define MQ_OPS_ROOM_H

#include "ops/ops.h"

/* The room's name, for appender_open and mq_transfer_put, and its facts; made, or given more partitions, where create says so.
 * MQ_ENOTOPIC: there is no topic, or without create no room.  MQ_EUSAGE: the engine keeps none. */
int mq_room_name(struct mq *mq, const char *topic, bool create, char ret[201], struct mq_topic_facts *ret_facts, struct mq_err *err);

struct mq_rooms;

/* *ret NULL: there is no room. */
int mq_rooms_open(struct mq_rooms **ret, struct mq *mq, const char *topic, struct mq_err *err);
void mq_rooms_close(struct mq_rooms *r); /* NULL, too */
/* Put what is due where it goes.  1: some was; 0: nothing was due, or others are at it.  A partition that fails does not keep
 * the others waiting; the first reason is told. */
int mq_rooms_deliver(struct mq_rooms *r, struct mq_err *err);
/* When to look again, CLOCK_MONOTONIC: within a minute. */
int64_t mq_rooms_next_ns(const struct mq_rooms *r);
/* Once: from now on what is parked ends a wait of w. */
int mq_rooms_arm(struct mq_rooms *r, struct mq_wait *w, struct mq_err *err);
void mq_rooms_disarm(struct mq_rooms *r);

/* Tell what went wrong, if it is more than that others are at work or this user may not. */
void mq_rooms_told(struct mq *mq, const char *topic, int rc, const struct mq_err *why);

/* Under retention: where of what was stored long ago little waits, so that nothing else can go, that goes to the end of the
 * room.  What fails is told by a notice alone. */
void mq_rooms_empty(struct mq *mq, const char *topic);

/* For who only passes by: deliver what is due in a topic; what fails is told by a notice alone. */
void mq_rooms_pass(struct mq *mq, const char *topic);

#endif
