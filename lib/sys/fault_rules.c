/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/fault_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ERRNO_MAX = 200 };

#define NAME(name) #name,
const char *const fault_call_name[] = {MQ_SYS_CALLS(NAME)};
#undef NAME

int fault_call_by_name(const char *name)
{
	for (int i = 0; i < CALLS_N; i++)
		if (strcmp(fault_call_name[i], name) == 0)
			return i;
	return -1;
}

static int errno_by_name(const char *name)
{
	char *end;
	unsigned long n = strtoul(name, &end, 10);

	if (*name && !*end)
		return n > 0 && n < ERRNO_MAX ? (int)n : -1;
	for (int e = 1; e < ERRNO_MAX; e++) {
		const char *known = strerrorname_np(e);
		if (known && strcmp(known, name) == 0)
			return e;
	}
	if (strcmp(name, "EAGAIN") == 0 || strcmp(name, "EWOULDBLOCK") == 0)
		return EAGAIN;
	return -1;
}

bool fault_can_be_short(int call)
{
	return call == CALL_read || call == CALL_write || call == CALL_writev || call == CALL_pread ||
	       call == CALL_pwrite || call == CALL_pwritev || call == CALL_getdents;
}

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool parse_action(struct fault_rule *r, const char *word)
{
	static const struct {
		const char *word;
		enum fault_action action;
	} plain[] = {{"kill-before", KILL_BEFORE}, {"kill-after", KILL_AFTER},
	             {"stop-before", STOP_BEFORE}, {"stop-after", STOP_AFTER}};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (strcmp(word, plain[i].word) == 0) {
			r->action = plain[i].action;
			return true;
		}
	if (strncmp(word, "short=", 6) == 0) {
		if (!parse_number(word + 6, &bytes) || (r->call >= 0 && !fault_can_be_short(r->call)))
			return false;
		r->action = SHORT;
		r->bytes = bytes;
		return true;
	}
	r->action = FAIL;
	r->error = -errno_by_name(word);
	return r->error < 0;
}

/* text is taken apart. */
static bool parse_rule(struct fault_rule *r, char *text)
{
	char *word = strsep(&text, ":");

	r->call = strcmp(word, "*") == 0 ? -1 : fault_call_by_name(word);
	if (r->call < 0 && strcmp(word, "*") != 0)
		return false;
	word = strsep(&text, ":");
	if (!word || !parse_number(word, &r->nth) || r->nth == 0)
		return false;
	word = strsep(&text, ":");
	if (word && strncmp(word, "path=", 5) == 0) {
		if (strlen(word + 5) >= sizeof(r->path) || !word[5])
			return false;
		strcpy(r->path, word + 5);
		word = strsep(&text, ":");
	}
	if (!word || !parse_action(r, word))
		return false;
	word = strsep(&text, ":");
	r->ever = word && strcmp(word, "ever") == 0;
	return !text && (!word || r->ever || strcmp(word, "once") == 0);
}

int fault_parse(struct fault_rule rules[FAULT_RULES_MAX], const char *text, struct mq_err *err)
{
	static const char between[] = ", \t\n";
	int n = 0;

	for (text += strspn(text, between); *text; text += strspn(text, between)) {
		size_t len = strcspn(text, between);
		char copy[FAULT_TEXT_MAX];

		if (n == FAULT_RULES_MAX || len >= FAULT_TEXT_MAX)
			return mq_err_set(err, MQ_EUSAGE, "too many or too long fault rules");
		rules[n] = (struct fault_rule){0};
		memcpy(rules[n].text, text, len);
		memcpy(copy, rules[n].text, sizeof(copy));
		if (!parse_rule(&rules[n], copy))
			return mq_err_set(err, MQ_EUSAGE,
			                  "fault rule '%s' is not CALL:N[:path=TEXT]:ACTION[:once|:ever]",
			                  rules[n].text);
		n++;
		text += len;
	}
	return n;
}
