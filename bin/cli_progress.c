/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bar on a terminal: how far, how fast, how long yet. */
#include "cli.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 24 };
static const double KEPT = 0.9; /* of the rate so far, at each step: it follows slowly */

static double now(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* it has no way to fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void cli_progress_init(struct cli_progress *p, const struct cli *cli, bool wanted)
{
	*p = (struct cli_progress){.shown = wanted && !cli->quiet && isatty(STDERR_FILENO), .at = now()};
}

void cli_progress_tell(struct cli_progress *p, uint64_t done, uint64_t all)
{
	double at = now(), took = at - p->at;
	char bar[BAR + 1];
	int filled = all ? (int)(BAR * (double)(done < all ? done : all) / (double)all) : BAR;

	if (!p->shown)
		return;
	if (p->told && took > 0) {
		double rate = done > p->done ? (double)(done - p->done) / took : 0;
		p->rate = p->rate > 0 ? KEPT * p->rate + (1 - KEPT) * rate : rate;
	}
	p->told = true;
	p->done = done;
	p->at = at;
	memset(bar, '.', BAR);
	memset(bar, '#', (size_t)filled);
	bar[BAR] = 0;
	fprintf(stderr, "\r[%s] %llu of %llu", bar, llu(done), llu(all));
	if (p->rate > 0 && done < all) {
		unsigned long long left = (unsigned long long)((double)(all - done) / p->rate);
		fprintf(stderr, "  %.0f/s  %llu:%02llu:%02llu left", p->rate, left / 3600, left / 60 % 60, left % 60);
	}
	fputs("\033[K", stderr);
}

void cli_progress_end(struct cli_progress *p)
{
	if (p->shown && p->told)
		fputs("\r\033[K", stderr);
	p->told = false;
}
