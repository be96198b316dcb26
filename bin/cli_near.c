/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Did you mean?  Alone in its file, so that the front door links nothing else of the tools. */
#include "cli.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, one row at a time; words longer than the row are far from everything. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);

	if (n >= sizeof row / sizeof *row)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];
			row[j] = least(diagonal + (a[i] != b[j - 1]), 1 + least(above, row[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

const char *cli_nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t near = strlen(word) / 3 + 2;

	for (; *words; words++) {
		size_t d = distance(word, *words);
		/* A beginning counts as a near miss: "sub" is nobody's typing error, "con" is. */
		if (d > 1 && strlen(word) >= 3 && strncmp(word, *words, strlen(word)) == 0)
			d = 1;
		if (d < near) {
			near = d;
			best = *words;
		}
	}
	return best;
}
