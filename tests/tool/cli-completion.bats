#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion offers what the tools take.

bats_require_minimum_version 1.5.0

setup() {
	: "${MQ_SRC:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool"
	source "$MQ_SRC/bin/completion.bash"
}

# The words typed, the last one being completed; prints what is offered, sorted, on a line.
offers() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_mq
	printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
}

@test "tools are offered after mq" {
	[ "$(offers mq con)" = consume ]
	[ "$(offers mq help gr)" = group ]
	[ "$(offers mq -S /tmp ben)" = bench ]
}

@test "every option is offered" {
	for tool in publish consume topic group rebalance check bench; do
		options=$("mq-$tool" --completion | sed -n 's/^\(--[^ 	]*\).*/\1/p' | sort | paste -sd ' ')
		[ "$(offers "mq-$tool" --)" = "$options" ]
		[ "$(offers mq "$tool" --)" = "$options" ]
	done
}

@test "choices are offered where one is wanted, with = too" {
	[ "$(offers mq-publish --ack '')" = 'all durable none written' ]
	[ "$(offers mq publish --ack = d)" = durable ]
	[ "$(offers mq-consume --order k)" = key ]
}

@test "verbs are offered first, topics then" {
	mq-publish -m x orders
	mq-publish -m x returns
	[ "$(offers mq-topic s)" = 'set show' ]
	[ "$(offers mq-topic show '')" = 'orders returns' ]
	[ "$(offers mq topic -S "$MQ_SPOOL" show r)" = returns ]
	[ "$(offers mq-consume o)" = orders ]
	[ "$(offers mq-consume -t re)" = returns ]
}

@test "groups are offered after -g" {
	mq-publish -m x orders
	mq-consume -g billing orders
	[ "$(offers mq-consume -g '')" = billing ]
	[ "$(offers mq-group show --group b)" = billing ]
}

@test "the topics offered are those of the spool that -S names" {
	mq-publish -S "$BATS_TEST_TMPDIR/other" -m x elsewhere
	[ "$(offers mq-consume -S "$BATS_TEST_TMPDIR/other" '')" = elsewhere ]
	[ "$(offers mq -S "$BATS_TEST_TMPDIR/other" consume '')" = elsewhere ]
}

@test "configuration keys are offered where they are set, all that there are" {
	mq-topic create orders
	keys=$(mq-topic show --json orders | sed -n 's/.*"key":"\([^"]*\)".*/\1=/p' | sort | paste -sd ' ')
	[ -n "$keys" ]
	[ "$(offers mq-topic set orders '')" = "$keys" ]
	[ "$(offers mq topic create new -X '')" = "$keys" ]
	[ "$(offers mq-publish --set '')" = "$keys" ]
	[ "$(offers mq-topic create new --partitions 4 when)" = when.full= ]
	[ "$(offers mq-topic set '')" = orders ]
	[ "$(offers mq-topic show o)" = orders ]
	[ "$(offers mq-topic set orders when.full = '')" = '' ]
	[ "$(offers mq-consume -X c)" = client.rack= ]
	[ "$(offers mq-rebalance -g g -X s)" = strategy.within= ]
}

@test "completing never makes a spool" {
	offers mq-consume ''
	offers mq-publish -t ''
	[ ! -e "$MQ_SPOOL" ]
}
