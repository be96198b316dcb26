/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into the test builds of the tools, and into nothing that is installed: puts a recording
 * and a faulting filling into mq_sys before main, as the environment says:
 *
 *	MQ_TEST_RECORD=FILE        append each call to FILE (lib/sys/record.h says how)
 *	MQ_TEST_RECORD_ROOT=DIR    names in it are relative to DIR
 *	MQ_TEST_FAULT=RULES        fail calls (lib/sys/fault.h says which); "" only counts
 *	MQ_TEST_FAULT_REPORT=FILE  at exit append how many calls there were and which rules fired
 *
 * Faults lie over the recording: what is recorded is what the kernel was asked and what it did.
 * So a sync that a rule failed is not in the trace, and nothing may count on it; a write cut
 * short is there with the bytes that were written.  That a rule fired is a note in the trace.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/fault.h"
#include "sys/record.h"
#include "sys/sys.h"

/* High, so that the tool gets the descriptors that it would get without. */
enum { TRACE_FD_MIN = 500 };

__attribute__((noreturn)) static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "traced: %s: %s\n", what, why);
	_exit(70);
}

static int append_to(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	int high;

	if (fd < 0)
		give_up(file, strerror(errno));
	high = fcntl(fd, F_DUPFD_CLOEXEC, TRACE_FD_MIN);
	if (high < 0)
		return fd;
	close(fd);
	return high;
}

__attribute__((constructor)) static void install(int argc, char **argv)
{
	const char *trace = getenv("MQ_TEST_RECORD");
	const char *rules = getenv("MQ_TEST_FAULT");
	const struct mq_sys *top = mq_sys;
	struct mq_err err = MQ_ERR_INIT;

	(void)argc;
	if (trace) {
		top = mq_record_over(top, append_to(trace), getenv("MQ_TEST_RECORD_ROOT"), argv);
		if (!top)
			give_up("MQ_TEST_RECORD_ROOT", strerror(errno));
	}
	if (rules) {
		top = mq_fault_over(top, rules, &err);
		if (!top)
			give_up("MQ_TEST_FAULT", err.text);
		if (trace)
			mq_fault_on_fire(mq_record_note);
	}
	mq_sys = top;
}

__attribute__((destructor)) static void report(void)
{
	const char *file = getenv("MQ_TEST_FAULT_REPORT");

	if (file && getenv("MQ_TEST_FAULT"))
		mq_fault_report(append_to(file));
}
