/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --where: a small expression over what a record carries.
 *
 *     amount > 10 && (status == "paid" || header.retry >= 3) && !(key =~ "^test-")
 *
 *     or     = and ("||" and)*
 *     and    = unit ("&&" unit)*
 *     unit   = "(" or ")" | "!" unit | field | field op value
 *     op     = == (or =) != < <= > >= =~ !~
 *     value  = number | "text" | 'text' | word
 *     field  = key | id | tag | offset | timestamp | size | header.NAME | NAME(.NAME)* | .NAME(.NAME)*
 *
 * Any other NAME is a member of the payload, which then is read as a JSON object, and where it is none or has no such
 * member, a header of that name.  A dot in front makes any NAME the payload's: .id is not the record's id.  Two numbers
 * are compared as numbers, anything else as bytes; true and false are words.  A timestamp is compared with a
 * time: RFC 3339, seconds since 1970, or @-1h.  size is the payload's, in bytes.  =~ takes a POSIX extended regular expression.
 *
 * A field alone asks whether it is there.  What is not there compares to nothing, as NULL in SQL: neither amount == 1 nor
 * amount != 1 nor !(amount == 1) holds for a payload without an amount, or one that is no JSON.
 */
#ifndef MQ_OPS_WHERE_H
#define MQ_OPS_WHERE_H

#include <stdbool.h>

#include "base/err.h"
#include "format/record.h"

struct mq_where;

/* MQ_EUSAGE: with the place where it went wrong. */
int mq_where_parse(const char *text, struct mq_where **ret, struct mq_err *err);
void mq_where_free(struct mq_where *w);
bool mq_where_holds(struct mq_where *w, const struct mq_rec *r);

#endif
