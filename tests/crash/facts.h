/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scenario said of itself, in the order of its trace.
 *
 * Notes say what is about to be tried, lines to stdout what was promised:
 *
 *	note  try T P SERIAL COUNT LEN BINARY ACK   records SERIAL … of LEN bytes are about to be appended
 *	note  put T P SERIAL COUNT OFFSET           … and stand at OFFSET …
 *	note  topic T P | removing T | commit G T P OFFSET | start T P OFFSET
 *	note  seeks G T P OFFSET                    its place is about to be set there by hand
 *	note  harm T P                              visible bytes were overwritten: damage may be told
 *	note  here T                                nobody looks at what a power cut leaves before this: other scenarios do
 *	note  delays T                              records of it are to come later: sent to T, and put nowhere yet
 *	note  cancels T SERIAL                      this one is about to be told not to
 *	line  ack delayed T SERIAL COUNT            they will
 *	line  ack cancelled T SERIAL                it will not
 *	note  dies T P                              a handler that always fails is about to be given its records, for g: they go to T.dead
 *	note  retries T P                           the same, but each is tried once more, an hour later: until then it waits
 *	line  ack died T P OFFSET                   all before it did, or wait
 *	note  copies T P                            a run is about to copy it into u
 *	line  ack copied T P                        it did
 *	note  archives T P                          what goes of it is put into archives, in the directory `archives`
 *	note  compacts T P                          records whose key came again may go from now on, and tombstones
 *	note  forget T P                            `state` was removed: what it witnessed is forgotten
 *	line  ack spool | topic T | gone T
 *	line  ack durable|written T P OFFSET COUNT  the records there are as safe as that
 *	line  ack saw T P OFFSET                    a reader got the record there, which was asked durable
 *	line  ack commit G T P OFFSET               committed and synced
 *	line  ack outside G T P OFFSET              acknowledged by a stranger, above the committed offset
 *	line  ack sought G T P OFFSET N             its place was set there by hand, for the Nth time
 *	line  ack start T P OFFSET                  the log start
 *	line  #SERIAL …                              a payload: a reader got the record
 *	line  ack producer T P NAME NUMBER          held up to this number
 *	note  moves T P                             records of it are about to be moved, for the group g, by turns to a and b
 *	line  ack moved T P OFFSET                  all before it are
 *	note  share G T P                           members of the group are about to share it
 *	note  handled G T P FROM TO                 handlers of these ended with 0
 *	note  fails G T P OFFSET N                  it is about to be given back as failed for the Nth time
 *	note  once G T P                            the group remembers ids from now on: of records that are handled, their first words
 *	line  ack done G T P FROM TO                these are done, written
 *	line  ack shared G T P FROM TO              these are done, synced
 *	line  ack failed G T P OFFSET N             that it failed N times is synced
 *	note  send T SERIAL COUNT                   records SERIAL … with keys are about to be published (payload.h: GROW_KEYS)
 *	line  ack sent T SERIAL COUNT               they are durable
 *	note  taking T                              the group g is about to be given some of them
 *	line  ack taken T SERIAL                    this one was …
 *	line  ack took T                            … and no others; its place is synced
 *	note  grows T FROM TO                       it is about to have TO partitions
 *	line  ack grown T NUMBER TO                 it has, as the generation of that number
 */
#ifndef MQ_TESTS_CRASH_FACTS_H
#define MQ_TESTS_CRASH_FACTS_H

#include <stdbool.h>

#include "trace.h"

enum { WORD_LEN = 40 };

struct fact_record {
	char topic[WORD_LEN];
	uint32_t partition, serial, len;
	bool binary, durable; /* durable: so it was asked */
	size_t tried_at;      /* entry of the trace */
	uint64_t offset;      /* UINT64_MAX: never told */
	uint64_t batch_first, batch_end; /* offsets of the batch it came in */
};

enum fact_kind {
	FACT_SPOOL, FACT_TOPIC_TRY, FACT_TOPIC, FACT_REMOVING, FACT_GONE, FACT_DURABLE, FACT_WRITTEN, FACT_SAW,
	FACT_COMMIT_TRY, FACT_COMMIT, FACT_SEEKS, FACT_SOUGHT, FACT_OUTSIDE, FACT_START_TRY, FACT_START, FACT_PRODUCER,
	FACT_HARM, FACT_COMPACTS, FACT_FORGET, FACT_MOVE_TRY, FACT_MOVED,
	FACT_ONCE_TRY, FACT_SHARE_TRY, FACT_HANDLED, FACT_FAILS, FACT_DONE, FACT_SHARED, FACT_FAILED,
	/* partition and offset are the two numbers that follow */
	FACT_DIES, FACT_RETRIES, FACT_DIED, FACT_COPIES, FACT_COPIED, FACT_ARCHIVES, FACT_HERE, FACT_DELAYS, FACT_CANCELS, FACT_DELAYED, FACT_CANCELLED,
	FACT_SEND, FACT_SENT, FACT_TAKING, FACT_TAKEN, FACT_TOOK, FACT_GROWS, FACT_GROWN,
};

struct fact {
	enum fact_kind kind;
	size_t at;            /* entry of the trace */
	char topic[WORD_LEN], name[WORD_LEN]; /* name: of a group, a producer */
	uint32_t partition;
	uint64_t offset, count;
};

struct facts {
	struct fact_record *r;
	size_t n_records, cap_records;
	struct fact *f;
	size_t n, cap;
};

void facts_read(struct facts *ret, const struct trace *t);
void facts_free(struct facts *f);

const struct fact_record *facts_record(const struct facts *f, uint32_t serial);
/* The last one put there before entry `at`; NULL. */
const struct fact_record *facts_at(const struct facts *f, const char *topic, uint32_t partition, uint64_t offset, size_t at);

/* The entry before which no power is cut. */
size_t facts_here(const struct facts *f);
/* How many facts are known when entry `cut` is about to happen. */
size_t facts_known(const struct facts *f, size_t cut);

#endif
