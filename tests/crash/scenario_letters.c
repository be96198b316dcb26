/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records that a handler gives up become dead letters; a range is copied by a run. */
#include "scenario.h"

#include <unistd.h>

#include "ops/ops.h"
#include "requests.h"

static struct pub a;
static struct mq *mq;

static void begin(void)
{
	make_topic("t", NULL, 0);
	pub_open(&a, "t");
	pub_durable(&a, 3, 40);
	pub_written(&a, 3, 40);
	mq = session();
}

static void end(void)
{
	mq_free(mq);
	pub_close(&a);
}

/* ---- dead letters ---- */
static uint64_t stands(void)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_place place;

	ok(mq->store->engine->group_place(mq->store, "g", "t", 0, &place, &err), &err, "ask for the place of g");
	return place.offset;
}

/* Of one that was killed a handler may live, or have its descriptors for a moment before it is executed. */
static void handle(uint64_t count, uint64_t retries, uint64_t place)
{
	enum { TRIES = 1000, NAP_US = 10000 };

	for (int i = 0; i < TRIES && (i == 0 || stands() < place); i++) {
		if (i > 0)
			(void)usleep(NAP_US);
		if (request_retries(mq, count, retries) < 0)
			fail("consume: %s", mq_why(mq));
	}
	if (stands() != place)
		fail("g stands at %llu, not %llu", (unsigned long long)stands(), (unsigned long long)place);
}

static void give_up(uint64_t count, uint64_t place)
{
	note("dies t 0");
	handle(count, 0, place);
	ack("died t 0 %llu", (unsigned long long)place);
}

static void records_die(void)
{
	begin();
	give_up(4, 4);
	pub_durable(&a, 2, 40);
	give_up(0, 8);
	end();
}

/* They are put aside: their hour has not come when the power goes. */
static void try_again_later(uint64_t count, uint64_t place)
{
	note("retries t 0");
	handle(count, 1, place);
	ack("died t 0 %llu", (unsigned long long)place);
}

static void retries_are_put_aside(void)
{
	begin();
	try_again_later(4, 4);
	pub_durable(&a, 2, 40);
	try_again_later(0, 8);
	end();
}

static void put_aside_in_vain(void)
{
	mq = session();
	note("retries t 0");
	(void)request_retries(mq, 4, 1);
}

static void give_up_in_vain(void)
{
	mq = session();
	note("dies t 0");
	(void)request_letters(mq, 4);
}

/* ---- runs ---- */
/* A session has a run's lock to its end. */
static void copy(void)
{
	mq_free(mq);
	mq = session();
	note("copies t 0");
	if (request_copies(mq) < 0)
		fail("replay: %s", mq_why(mq));
	ack("copied t 0");
}

static void a_range_is_copied(void)
{
	begin();
	copy();
	copy();
	end();
}

static void copy_in_vain(void)
{
	mq = session();
	(void)request_copies(mq);
}

/* ---- whoever does it dies, and the next one finishes what it began ---- */
static void dies(void (*doing)(void), const char *call, int nth, const char *path)
{
	upset.die_after = call;
	upset.die_path = path;
	upset.die_nth = nth;
	in_child(doing);
	upset.die_after = NULL;
}

static void a_giver_up_dies(void)
{
	begin();
	dies(give_up_in_vain, "fdatasync", 1, "intents@t@");
	give_up(0, 6);
	end();
}

/* They are there, and not durable; the first write told of the mover. */
static void letters_are_found(void)
{
	begin();
	dies(give_up_in_vain, "pwrite", 2, "t.dead/0/state");
	give_up(0, 6);
	end();
}

/* Its transfer into the room is begun; and some of it is in the room. */
static void a_putter_aside_dies(void)
{
	begin();
	dies(put_aside_in_vain, "fdatasync", 1, "intents@t@");
	dies(put_aside_in_vain, "pwritev", 1, "wait@t@");
	try_again_later(0, 6);
	end();
}

static void a_run_dies(void)
{
	begin();
	note("copies t 0");
	dies(copy_in_vain, "fdatasync", 1, "intents@t@");
	if (request_copies(mq) < 0)
		fail("replay: %s", mq_why(mq));
	ack("copied t 0");
	copy();
	end();
}

const struct scenario scenarios_letters[] = {
    {"records-die", records_die},
    {"a-giver-up-dies", a_giver_up_dies},
    {"letters-are-found", letters_are_found},
    {"retries-are-put-aside", retries_are_put_aside},
    {"a-putter-aside-dies", a_putter_aside_dies},
    {"a-range-is-copied", a_range_is_copied},
    {"a-run-dies", a_run_dies},
    {NULL, NULL},
};
