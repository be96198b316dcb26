/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must hold in every state that a power cut may leave, shown by the code that will run there.
 *
 *   a reader that may not write shows only what was published, and all that was acknowledged durable;
 *   then a writer recovers: every record acknowledged durable is there, byte by byte, at its offset;
 *   nothing is there that was not published just so; no damage is told; each commit that was synced holds
 *   and is not ahead of the end; recovering once more, after another mount, changes nothing; one more
 *   durable publish gets an offset above all that was acknowledged, seen or committed, and is read back;
 *   the group goes on; a producer is held up to a number exactly when its records are there.
 *   Where nothing was lost (every process killed) what was acknowledged written is there too.
 *   Where a bit turned in acknowledged bytes, those and no others are missing, and told as damage.
 */
#ifndef MQ_TESTS_CRASH_CHECK_H
#define MQ_TESTS_CRASH_CHECK_H

#include "facts.h"
#include "world.h"

struct state {
	const struct facts *facts;
	size_t cut;           /* the entry that did not happen any more */
	enum world_kind kind;
	bool rotten;          /* one sector of segments is bad */
	bool stateless;       /* and of `state` nothing was kept */
	const char *dir;      /* holds `spool` */
};

/* 0, or -1 with what is wrong. */
int check_state(const struct state *s, char *why, size_t len);

#endif
