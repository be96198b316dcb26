/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What publishers and readers do every day. */
#include "scenario.h"

#include <string.h>

static struct pub a, b;

static void begin(void)
{
	make_topic("t", NULL, 0);
	pub_open(&a, "t");
}

static void lines_one_after_the_other(void)
{
	begin();
	pub_durable(&a, 1, 40);
	pub_durable(&a, 3, 200);
	pub_written(&a, 2, 30);
	pub_written(&a, 5, 300);
	look(&a);
	pub_durable(&a, 1, 20);
	look(&a);
	pub_written(&a, 1, 700);
	pub_durable(&a, 2, 1500);
	pub_close(&a);
}

static void records_across_sectors(void)
{
	struct mq_log_ticket t;

	begin();
	for (uint32_t i = 0; i < 4; i++) {
		t = pub_append(&a, (struct batch_shape){1 + i, 100 + 700 * i, i % 2 ? MQ_ACK_DURABLE : MQ_ACK_WRITTEN, true});
		if (i % 2)
			pub_wait(&a, &t, MQ_ACK_DURABLE);
	}
	t = pub_append(&a, (struct batch_shape){1, 9000, MQ_ACK_DURABLE, true});
	pub_wait(&a, &t, MQ_ACK_DURABLE);
	pub_close(&a);
}

/* One sync for several, and the next batch written while the last one syncs. */
static void several_batches_one_sync(void)
{
	struct mq_log_ticket t[6];
	const struct batch_shape shape = {2, 120, MQ_ACK_DURABLE, false};

	begin();
	for (int i = 0; i < 3; i++)
		t[i] = pub_append(&a, shape);
	pub_wait(&a, &t[1], MQ_ACK_DURABLE);
	for (int i = 3; i < 6; i++)
		t[i] = pub_append(&a, shape);
	pub_wait(&a, &t[0], MQ_ACK_DURABLE);
	pub_wait(&a, &t[5], MQ_ACK_DURABLE);
	pub_wait(&a, &t[3], MQ_ACK_DURABLE);
	pub_close(&a);
}

/* ---- two handles ----------------------------------------------------------------------------------- */

static struct mq_log_ticket b_ticket;

static void b_appends(void)
{
	b_ticket = pub_append(&b, (struct batch_shape){1, 90, MQ_ACK_DURABLE, false});
}

/* While one leads a sync, the other appends; then each goes on. */
static void an_append_during_a_sync(void)
{
	begin();
	pub_open(&b, "t");
	pub_durable(&a, 1, 60);
	pub_durable(&b, 1, 60);
	upset.in_sync = b_appends;
	pub_durable(&a, 2, 50);
	pub_wait(&b, &b_ticket, MQ_ACK_DURABLE);
	pub_durable(&a, 1, 70);
	upset.in_sync = b_appends;
	pub_durable(&a, 1, 80);
	look(&a);
	pub_durable(&a, 1, 30);
	pub_wait(&b, &b_ticket, MQ_ACK_DURABLE);
	look(&b);
	pub_close(&a);
	pub_close(&b);
}

static void b_is_durable_first(void)
{
	pub_durable(&b, 1, 110);
}

/* A leader stalls; who waits takes the next sync byte and is done before it. */
static void a_leader_is_overtaken(void)
{
	begin();
	pub_open(&b, "t");
	pub_durable(&a, 1, 60);
	upset.in_sync = b_is_durable_first;
	pub_durable(&a, 2, 50);
	pub_durable(&b, 1, 20);
	pub_durable(&a, 1, 20);
	pub_close(&a);
	pub_close(&b);
}

static void six_batches(void)
{
	struct pub mine;

	pub_open(&mine, "t");
	for (uint32_t i = 0; i < 6; i++)
		if (i % 3 == 2)
			pub_written(&mine, 2, 60 + i);
		else
			pub_durable(&mine, 1 + i % 2, 100 + i);
	pub_close(&mine);
}

static void two_processes(void)
{
	begin();
	in_child(six_batches);
	pub_durable(&a, 1, 30);
	in_child(six_batches);
	pub_durable(&a, 1, 30);
	pub_close(&a);
}

/* ---- segments -------------------------------------------------------------------------------------- */

static void roll_by_size(void)
{
	begin();
	a.log.opt.segment_bytes = 2048;
	for (uint32_t i = 0; i < 8; i++)
		if (i % 3 == 1)
			pub_written(&a, 2, 250);
		else
			pub_durable(&a, 1, 300 + 50 * i);
	look(&a);
	pub_close(&a);
}

/* Written batches lie unsynced when the segment is full. */
static void roll_with_unsynced_bytes(void)
{
	begin();
	a.log.opt.segment_bytes = 1500;
	pub_written(&a, 1, 400);
	pub_written(&a, 1, 400);
	pub_written(&a, 1, 400); /* rolls */
	pub_durable(&a, 1, 100);
	pub_written(&a, 1, 700); /* rolls */
	pub_durable(&a, 1, 40);
	pub_close(&a);
}

/* The old segment's durable mark lies far beyond the place of the first batches of the new one. */
static void a_short_successor(void)
{
	begin();
	pub_open(&b, "t");
	a.log.opt.segment_bytes = b.log.opt.segment_bytes = 6000;
	pub_durable(&a, 1, 5000);
	pub_durable(&b, 1, 500); /* rolls */
	pub_durable(&a, 1, 60);
	pub_durable(&b, 2, 60);
	pub_close(&a);
	pub_close(&b);
}

static void another_rolls_while_one_waits(void)
{
	struct mq_log_ticket t;

	begin();
	pub_open(&b, "t");
	b.log.opt.segment_bytes = 1024;
	t = pub_append(&a, (struct batch_shape){1, 600, MQ_ACK_DURABLE, false});
	pub_written(&b, 1, 600); /* rolls, and syncs the old segment first */
	pub_wait(&a, &t, MQ_ACK_DURABLE);
	pub_durable(&a, 1, 60);
	pub_close(&a);
	pub_close(&b);
}

/* ---- a limit --------------------------------------------------------------------------------------- */

/* Each batch of two makes room for itself: where the log start may go is noted beforehand. */
static struct mq_log_ticket drops_two(struct pub *p, uint64_t *next, enum mq_ack level)
{
	*next += 2;
	if (*next > 4)
		note("start t 0 %llu", (unsigned long long)*next - 4);
	return pub_append(p, (struct batch_shape){2, 80, level, false});
}

static void the_oldest_are_dropped(void)
{
	struct mq_log_ticket t;
	uint64_t next = 0;

	begin();
	pub_open(&b, "t");
	a.log.opt.max_messages = b.log.opt.max_messages = 4;
	a.log.opt.drop_oldest = b.log.opt.drop_oldest = true;
	for (int i = 0; i < 4; i++) { /* before anybody could see them */
		t = drops_two(&a, &next, MQ_ACK_DURABLE);
		if (i == 1)
			look(&a);
	}
	pub_wait(&a, &t, MQ_ACK_DURABLE);
	look(&a);
	drops_two(&b, &next, MQ_ACK_WRITTEN);
	t = drops_two(&a, &next, MQ_ACK_DURABLE);
	drops_two(&b, &next, MQ_ACK_DURABLE); /* syncs what is another's */
	look(&b);
	pub_wait(&a, &t, MQ_ACK_DURABLE);
	t = drops_two(&b, &next, MQ_ACK_DURABLE);
	pub_wait(&b, &t, MQ_ACK_DURABLE);
	pub_close(&a);
	pub_close(&b);
}

/* By bytes, whole segments at a time. */
static void the_oldest_segments_are_dropped(void)
{
	begin();
	a.log.opt.segment_bytes = 1024;
	a.log.opt.max_bytes = 4096;
	a.log.opt.drop_oldest = true;
	for (uint32_t i = 0; i < 12; i++) {
		note("start t 0 %u", i); /* a segment holds a batch */
		pub_durable(&a, 1, 500);
	}
	look(&a);
	pub_close(&a);
}

const struct scenario scenarios_log[] = {
    {"lines-one-after-the-other", lines_one_after_the_other},
    {"records-across-sectors", records_across_sectors},
    {"several-batches-one-sync", several_batches_one_sync},
    {"an-append-during-a-sync", an_append_during_a_sync},
    {"a-leader-is-overtaken", a_leader_is_overtaken},
    {"two-processes", two_processes},
    {"roll-by-size", roll_by_size},
    {"roll-with-unsynced-bytes", roll_with_unsynced_bytes},
    {"a-short-successor", a_short_successor},
    {"another-rolls-while-one-waits", another_rolls_while_one_waits},
    {"the-oldest-are-dropped", the_oldest_are_dropped},
    {"the-oldest-segments-are-dropped", the_oldest_segments_are_dropped},
    {NULL, NULL},
};
