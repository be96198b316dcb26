/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens when something goes wrong, and what is done about it. */
#include "scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "sys/sys.h"

static struct pub a, b;

static const struct batch_shape durable = {1, 120, MQ_ACK_DURABLE, false};
static const struct batch_shape promised_nothing = {1, 200, MQ_ACK_NONE, false};

static void begin(void)
{
	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 2, 60);
}

static void must_fail(int rc, const char *what)
{
	if (rc == 0)
		fail("%s succeeded after a failed sync", what);
}

/* ---- syncs that fail ------------------------------------------------------------------------------- */

static void a_sync_fails(void)
{
	struct mq_log_ticket t;

	begin();
	pub_written(&a, 2, 80);
	t = pub_append(&a, durable);
	upset.syncs_fail = 1;
	must_fail(pub_wait_try(&a, &t, MQ_ACK_DURABLE), "waiting");
	pub_durable(&a, 1, 90);
	look(&a);
	pub_durable(&a, 3, 20);
	pub_close(&a);
}

/* Who waits for bytes of a segment that was closed below them does not know. */
static void a_sync_fails_for_two(void)
{
	struct mq_log_ticket t, u;

	begin();
	pub_open(&b, "t");
	u = pub_append(&b, durable);
	t = pub_append(&a, durable);
	upset.syncs_fail = 1;
	must_fail(pub_wait_try(&a, &t, MQ_ACK_DURABLE), "waiting");
	must_fail(pub_wait_try(&b, &u, MQ_ACK_DURABLE), "waiting for a segment that was closed");
	pub_durable(&b, 1, 90);
	pub_durable(&a, 1, 90);
	look(&a);
	pub_close(&a);
	pub_close(&b);
}

/* Not even the successor can be made: 74, and the next one writes again before it syncs. */
static void two_syncs_fail(void)
{
	struct mq_log_ticket t;

	begin();
	t = pub_append(&a, durable);
	upset.syncs_fail = 2;
	must_fail(pub_wait_try(&a, &t, MQ_ACK_DURABLE), "waiting");
	pub_close(&a);
	pub_open(&a, "t");
	pub_durable(&a, 1, 90);
	look(&a);
	pub_durable(&a, 1, 30);
	pub_close(&a);
}

static void the_sync_of_a_roll_fails(void)
{
	begin();
	a.log.opt.segment_bytes = 1024;
	pub_written(&a, 1, 300);
	upset.syncs_fail = 1;
	pub_written(&a, 1, 300);
	pub_durable(&a, 1, 50);
	look(&a);
	pub_close(&a);
}

static void dies_of_a_failed_sync(void)
{
	struct pub mine;

	pub_open(&mine, "t");
	upset.syncs_fail = 1;
	upset.die_after = "fdatasync";
	upset.die_nth = 1;
	pub_durable(&mine, 2, 150);
}

/* The kernel told one process of the failure, and that one is dead. */
static void a_leader_dies_of_a_failed_sync(void)
{
	begin();
	in_child(dies_of_a_failed_sync);
	pub_durable(&a, 1, 90);
	look(&a);
	in_child(dies_of_a_failed_sync);
	pub_open(&b, "t");
	pub_written(&b, 1, 60);
	pub_durable(&b, 1, 90);
	look(&a);
	pub_close(&a);
	pub_close(&b);
}

/* ---- deaths ---------------------------------------------------------------------------------------- */

static void rolls_and_dies(void)
{
	struct pub mine;

	pub_open(&mine, "t");
	mine.log.opt.segment_bytes = 1024;
	for (int i = 0; i < 8; i++)
		pub_durable(&mine, 1, 300);
}

static void die_rolling_after(const char *call, const char *path)
{
	begin();
	upset.die_after = call;
	upset.die_path = path;
	upset.die_nth = 1;
	in_child(rolls_and_dies);
	upset.die_after = NULL;
	pub_durable(&a, 1, 90);
	look(&a);
	pub_durable(&a, 1, 30);
	pub_close(&a);
}

/* The name is there, and nobody synced it. */
static void a_roll_dies_behind_the_name(void)
{
	die_rolling_after("renameat", ".seg");
}

static void a_roll_dies_before_the_name(void)
{
	die_rolling_after("fdatasync", ".tmp");
}

static void dies_writing(void)
{
	struct pub mine;

	pub_open(&mine, "t");
	pub_durable(&mine, 1, 300);
	upset.die_after = "pwritev";
	upset.die_path = ".seg";
	upset.die_nth = 1;
	pub_durable(&mine, 2, 1200);
}

static void a_publisher_dies_before_it_published(void)
{
	begin();
	in_child(dies_writing);
	pub_durable(&a, 1, 90);
	in_child(dies_writing);
	upset.mount++; /* another mount takes what verifies */
	pub_close(&a);
	pub_open(&a, "t");
	pub_durable(&a, 1, 40);
	look(&a);
	pub_close(&a);
}

/* ---- recovery -------------------------------------------------------------------------------------- */

static void remove_state(void)
{
	int rc;

	note("forget t 0");
	rc = mq_sys->unlinkat(a.log.dir, "state", false);
	if (rc < 0)
		fail("cannot remove state: %d", rc);
}

/* Bytes that nobody published, at this place of the head. */
static void scribble(const struct pub *p, uint64_t at, size_t len)
{
	static char junk[4096];
	int fd = mq_sys->openat(p->log.dir, p->log.head.name, O_RDWR, 0);

	memset(junk, 0xa5, sizeof junk);
	if (fd < 0 || mq_sys->pwrite(fd, junk, len, at) != (ssize_t)len)
		fail("cannot write into %s", p->log.head.name);
	(void)mq_sys->close(fd);
}

static void state_is_removed(void)
{
	begin();
	pub_open(&b, "t");
	pub_written(&a, 2, 100);
	remove_state();
	pub_durable(&b, 1, 50);
	pub_durable(&a, 1, 60);
	pub_written(&a, 1, 60);
	remove_state();
	pub_written(&a, 1, 70);
	pub_durable(&b, 1, 70);
	look(&a);
	pub_close(&a);
	pub_close(&b);
}

/* After another mount: what lies behind the end and does not verify is no part of the log. */
static void a_torn_tail(void)
{
	begin();
	pub_written(&a, 1, 400);
	scribble(&a, a.log.tail.pos, 700);
	upset.mount++;
	pub_close(&a);
	pub_open(&a, "t");
	pub_durable(&a, 1, 100);
	look(&a);
	pub_durable(&a, 1, 30);
	pub_close(&a);
}

static void must_not_go_back(uint64_t base, uint64_t seen)
{
	if (base < seen)
		fail("a fresh record got the offset %llu; up to %llu all was visible", (unsigned long long)base,
		     (unsigned long long)seen);
}

/* A visible batch that was promised to nobody is lost; what was visible behind it keeps its offsets' meaning. */
static void a_hole_below_the_visible_end(void)
{
	struct mq_log_ticket t;
	uint64_t seen, at;

	begin();
	at = pub_append(&a, promised_nothing).end_pos;
	pub_append(&a, promised_nothing);
	note("harm t 0");
	scribble(&a, at, 200);
	seen = a.log.tail.next_offset;
	upset.mount++;
	pub_close(&a);
	pub_open(&a, "t");
	t = pub_append(&a, durable);
	must_not_go_back(t.base_offset, seen);
	pub_wait(&a, &t, MQ_ACK_DURABLE);
	look(&a);
	pub_close(&a);
}

static void a_closed_segment_lost_visible_records(void)
{
	struct mq_log_ticket t;
	uint64_t seen, at;

	begin();
	at = pub_append(&a, promised_nothing).end_pos;
	pub_append(&a, promised_nothing);
	note("harm t 0");
	scribble(&a, at + 64, 150);
	seen = a.log.tail.next_offset;
	t = pub_append(&a, durable);
	upset.syncs_fail = 1;
	must_fail(pub_wait_try(&a, &t, MQ_ACK_DURABLE), "waiting");
	t = pub_append(&a, durable);
	must_not_go_back(t.base_offset, seen + 1);
	pub_wait(&a, &t, MQ_ACK_DURABLE);
	look(&a);
	pub_close(&a);
}

/* The last visible batch is the lost one: nothing behind it says how far the log went. */
static void a_closed_segment_lost_its_end(void)
{
	struct mq_log_ticket t;
	uint64_t seen, at;

	begin();
	at = a.log.tail.pos;
	pub_append(&a, promised_nothing);
	seen = look(&a);
	note("harm t 0");
	scribble(&a, at + 64, 150);
	upset.syncs_fail = 1;
	must_fail(mq_log_sync(&a.log, NULL), "syncing");
	t = pub_append(&a, durable);
	must_not_go_back(t.base_offset, seen);
	pub_wait(&a, &t, MQ_ACK_DURABLE);
	look(&a);
	pub_close(&a);
}

static void another_mount(void)
{
	begin();
	pub_written(&a, 2, 100);
	pub_close(&a);
	upset.mount++;
	pub_open(&a, "t");
	pub_durable(&a, 1, 100);
	pub_written(&a, 2, 100);
	pub_close(&a);
	upset.mount--;
	pub_open(&a, "t");
	pub_durable(&a, 1, 100);
	look(&a);
	pub_close(&a);
}

const struct scenario scenarios_fault[] = {
    {"a-sync-fails", a_sync_fails},
    {"a-sync-fails-for-two", a_sync_fails_for_two},
    {"two-syncs-fail", two_syncs_fail},
    {"the-sync-of-a-roll-fails", the_sync_of_a_roll_fails},
    {"a-leader-dies-of-a-failed-sync", a_leader_dies_of_a_failed_sync},
    {"a-roll-dies-behind-the-name", a_roll_dies_behind_the_name},
    {"a-roll-dies-before-the-name", a_roll_dies_before_the_name},
    {"a-publisher-dies-before-it-published", a_publisher_dies_before_it_published},
    {"state-is-removed", state_is_removed},
    {"a-torn-tail", a_torn_tail},
    {"a-hole-below-the-visible-end", a_hole_below_the_visible_end},
    {"a-closed-segment-lost-visible-records", a_closed_segment_lost_visible_records},
    {"a-closed-segment-lost-its-end", a_closed_segment_lost_its_end},
    {"another-mount", another_mount},
    {NULL, NULL},
};
