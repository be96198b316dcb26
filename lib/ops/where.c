/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading an expression into a tree; walking the tree is where_eval.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "ops/where_tree.h"
#include "sys/sys.h"

enum { DEPTH_MAX = 100, TESTS_MAX = 1000 /* a chain of them is walked by recursion, too */, SHOWN_MAX = 60 };

struct parse {
	const char *text, *at;
	unsigned depth, tests;
	struct mq_err *err;
};

static int parse_or(struct parse *p, struct mq_where **ret);

static int wrong(struct parse *p, const char *wanted)
{
	bool cut = strlen(p->at) > SHOWN_MAX;
	return mq_err_set(p->err, MQ_EUSAGE, "byte %zu: %s is wanted at '%.*s%s' (--where)", (size_t)(p->at - p->text) + 1, wanted,
	                  SHOWN_MAX, p->at, cut ? "..." : "");
}

static struct mq_where *node(struct parse *p, enum mq_where_kind kind)
{
	struct mq_where *w = calloc(1, sizeof *w);
	if (w)
		w->kind = kind;
	else
		mq_err_set(p->err, -ENOMEM, "out of memory");
	return w;
}

void mq_where_free(struct mq_where *w)
{
	if (!w)
		return;
	mq_where_free(w->left);
	mq_where_free(w->right);
	if (w->pattern_there)
		regfree(&w->pattern);
	mq_buf_release(&w->scratch);
	free(w->name);
	free(w->value);
	free(w);
}

static void skip_blanks(struct parse *p)
{
	p->at += strspn(p->at, " \t\n");
}

/* Pass over this word, if it comes. */
static bool passes(struct parse *p, const char *word)
{
	skip_blanks(p);
	size_t n = strlen(word);
	if (strncmp(p->at, word, n) != 0)
		return false;
	p->at += n;
	return true;
}

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' ||
	       c == '+' || c == ':' || c == '@' || c == '/' || (unsigned char)c >= 0x80;
}

static char *copy(const char *from, size_t n)
{
	char *to = malloc(n + 1);
	if (to) {
		memcpy(to, from, n);
		to[n] = 0;
	}
	return to;
}

/* A quoted text, in which a backslash takes the next byte as it is; or a word. */
static int take_value(struct parse *p, const char *what, bool quotes, char **ret, size_t *ret_len)
{
	skip_blanks(p);
	char quote = *p->at;
	size_t n = 0;
	if (quotes && (quote == '"' || quote == '\'')) {
		const char *from = p->at + 1, *end = from;
		while (*end && *end != quote)
			end += *end == '\\' && end[1] ? 2 : 1;
		if (!*end)
			return wrong(p, "the end of the quoted text");
		*ret = copy(from, (size_t)(end - from));
		for (const char *s = from; *ret && s < end; s++) {
			if (*s == '\\' && (s[1] == quote || s[1] == '\\'))
				s++;
			(*ret)[n++] = *s;
		}
		p->at = end + 1;
	} else {
		while (is_word_byte(p->at[n]))
			n++;
		if (!n)
			return wrong(p, what);
		*ret = copy(p->at, n);
		p->at += n;
	}
	if (!*ret)
		return mq_err_set(p->err, -ENOMEM, "out of memory");
	(*ret)[n] = 0;
	*ret_len = n;
	return 0;
}

static enum mq_where_op take_op(struct parse *p)
{
	static const struct {
		const char *word;
		enum mq_where_op op;
	} ops[] = {
	    {"==", MQ_WHERE_EQ}, {"!=", MQ_WHERE_NE}, {"<=", MQ_WHERE_LE}, {">=", MQ_WHERE_GE}, {"=~", MQ_WHERE_MATCH},
	    {"!~", MQ_WHERE_NO_MATCH}, {"<", MQ_WHERE_LT}, {">", MQ_WHERE_GT}, {"=", MQ_WHERE_EQ},
	};
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		if (passes(p, ops[i].word))
			return ops[i].op;
	return MQ_WHERE_THERE;
}

static void name_field(struct mq_where *w)
{
	static const char *const known[] = {
	    [MQ_FIELD_KEY] = "key",       [MQ_FIELD_ID] = "id",     [MQ_FIELD_TAG] = "tag", [MQ_FIELD_OFFSET] = "offset",
	    [MQ_FIELD_TIMESTAMP] = "timestamp", [MQ_FIELD_SIZE] = "size"};
	size_t prefix = 0;
	w->field = MQ_FIELD_PAYLOAD;
	for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(w->name, known[i]) == 0)
			w->field = (enum mq_where_field)i;
	if (strncmp(w->name, "header.", 7) == 0 && w->name[7]) {
		w->field = MQ_FIELD_HEADER;
		prefix = 7;
	} else if (w->name[0] == '.' && w->name[1]) {
		prefix = 1;
	}
	memmove(w->name, w->name + prefix, strlen(w->name + prefix) + 1);
}

/* What the field is compared with. */
static int settle_value(struct parse *p, struct mq_where *w, bool quoted)
{
	if (w->op == MQ_WHERE_MATCH || w->op == MQ_WHERE_NO_MATCH) {
		if (regcomp(&w->pattern, w->value, REG_EXTENDED | REG_NOSUB) != 0)
			return mq_err_set(p->err, MQ_EUSAGE, "'%s' is not a regular expression (--where)", w->value);
		w->pattern_there = true;
	} else if (w->field == MQ_FIELD_TIMESTAMP) {
		w->number.is = w->number.whole = true;
		if (mq_to_when(w->value, mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, &w->number.n, NULL) != 0)
			return mq_err_set(p->err, MQ_EUSAGE,
			                  "'%s' is not a time: 2026-01-31T12:00:00Z, seconds since 1970, @-1h (--where)", w->value);
		w->number.real = (double)w->number.n;
	} else if (!quoted) {
		w->number = mq_where_number(w->value, w->value_len);
	}
	return 0;
}

static int parse_test(struct parse *p, struct mq_where **ret)
{
	struct mq_where *w = node(p, MQ_WHERE_TEST);
	size_t len;
	if (!w)
		return -ENOMEM;
	*ret = w; /* the caller frees it, whatever comes */
	if (++p->tests > TESTS_MAX)
		return wrong(p, "an end, after so many tests,");
	int rc = take_value(p, "a field", false, &w->name, &len);
	if (rc < 0)
		return rc;
	name_field(w);
	w->op = take_op(p);
	if (w->op == MQ_WHERE_THERE)
		return 0;
	skip_blanks(p);
	bool quoted = *p->at == '"' || *p->at == '\'';
	rc = take_value(p, "a value", true, &w->value, &w->value_len);
	return rc < 0 ? rc : settle_value(p, w, quoted);
}

static int parse_unit(struct parse *p, struct mq_where **ret)
{
	int rc;
	if (++p->depth > DEPTH_MAX)
		return wrong(p, "less depth");
	if (passes(p, "(")) {
		rc = parse_or(p, ret);
		if (rc == 0 && !passes(p, ")"))
			rc = wrong(p, "')'");
	} else if (passes(p, "!")) {
		*ret = node(p, MQ_WHERE_NOT);
		rc = *ret ? parse_unit(p, &(*ret)->left) : -ENOMEM;
	} else {
		rc = parse_test(p, ret);
	}
	p->depth--;
	return rc;
}

/* unit (word unit)*, as a chain leaning left. */
static int parse_chain(struct parse *p, struct mq_where **ret, const char *word, enum mq_where_kind kind,
                       int (*inner)(struct parse *p, struct mq_where **ret))
{
	int rc = inner(p, ret);
	while (rc == 0 && passes(p, word)) {
		struct mq_where *w = node(p, kind);
		if (!w)
			return -ENOMEM;
		w->left = *ret;
		*ret = w;
		rc = inner(p, &w->right);
	}
	return rc;
}

static int parse_and(struct parse *p, struct mq_where **ret)
{
	return parse_chain(p, ret, "&&", MQ_WHERE_AND, parse_unit);
}

static int parse_or(struct parse *p, struct mq_where **ret)
{
	return parse_chain(p, ret, "||", MQ_WHERE_OR, parse_and);
}

int mq_where_parse(const char *text, struct mq_where **ret, struct mq_err *err)
{
	struct parse p = {.text = text, .at = text, .err = err};
	struct mq_where *w = NULL;
	int rc = parse_or(&p, &w);
	skip_blanks(&p);
	if (rc == 0 && *p.at)
		rc = wrong(&p, "&&, || or the end");
	if (rc < 0) {
		mq_where_free(w);
		return rc;
	}
	*ret = w;
	return 0;
}
