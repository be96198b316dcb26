/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file `offsets` as a whole: replaced, never written again, after a sync of it failed (rule 3), and where a place is
 * set by hand under its owner.
 *
 * Owners of other partitions have it open meanwhile.  So: who replaces it holds byte 2^34 of `locks` alone, who syncs a
 * place holds it with others; and an owner looks before each write whether its file still has its name.  One that wrote
 * into the old file after it was copied finds that out at its next write or sync, and writes its place into the new one.
 *
 *   offsets.failed made          whoever finds it replaces the file before its first commit
 *   a copy beside it, synced
 *   rename over it               the old one is nobody's
 *   fsync of the directory       before this the power cut may bring the old one back
 *   offsets.failed removed
 */
#ifndef MQ_SPOOL_OFFSETS_H
#define MQ_SPOOL_OFFSETS_H

#include "spool/group.h"

int mq_offsets_lock(struct mq_group_topic *g, bool alone, struct mq_err *err);
void mq_offsets_unlock(struct mq_group_topic *g);

/* The file that has the name now: 0 g->offsets is it; 1 it was replaced, and g->offsets is the new one: g->offsets_no has
 * changed, for others who go by g, too.  MQ_ENOTOPIC: the group was deleted. */
int mq_offsets_follow(struct mq_group_topic *g, struct mq_err *err);

/* To be replaced: told to whoever comes after this process. */
void mq_offsets_note_failed(struct mq_group_topic *g);
bool mq_offsets_failed(struct mq_group_topic *g);

/* Under the lock, alone: a synced copy takes its place, with this slot in it (its number; raw NULL: just so).  g->offsets is the
 * new one.  anew: of that slot's partition nothing comes along that does not verify. */
int mq_offsets_replace(struct mq_group_topic *g, uint32_t slot, const uint8_t raw[MQ_SLOT_LEN], bool anew, struct mq_err *err);

/* Set the place though nobody can read it, or somebody owns the partition: the owner is rung, finds another seek count, and ends. */
int mq_offsets_force_seek(struct mq_group_topic *g, uint32_t p, uint64_t offset, struct mq_err *err);

#endif
