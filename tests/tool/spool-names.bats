#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The files that work leaves in a spool are those that mq-spool(5) names.
load one_spool

teardown() {
	kill -CONT $(jobs -p) 2> /dev/null || true
	kill -9 $(jobs -p) 2> /dev/null || true
	wait
}

# The names of the page's tree, each with the way to it.
named() {
	sed -n '/^SPOOL\/$/,/^\.Ed/p' "$MQ_SRC/man/mq-spool.5" | awk '
		/^  [^ ]/ { if ($1 ~ /\/$/) dir = $1; else print $1 }
		/^    [^ ]/ { print dir $1 }'
	sed -n 's|^ *0/\(START20\.END20\.ids\) .*|topics/TOPIC/P/\1|p' "$MQ_SRC/man/mq-spool.5" # of an internal topic
}

# The files of the spool, numbers and names as the page has them.
found() {
	(cd spool && find . -type f) | sed -E '
		s|^\./||
		s|^topics/[^/]+|topics/TOPIC|
		s|^groups/[^/]+|groups/GROUP|
		s|^groups/GROUP/topics/[^/]+|groups/GROUP/topics/TOPIC|
		s|/members/[0-9a-f]{16}$|/members/NAME|
		s|^topics/TOPIC/[0-9]+/|topics/TOPIC/P/|
		s|[0-9]{20}\.[0-9]{20}\.ids$|START20.END20.ids|
		s|[0-9]{20}\.[0-9a-f]{8}\.|BASE20.ID8.|
		s|/owners\.[1-7]$|/owners.A|
		s|/(acked\|claimed)\.[0-9]+|/\1.P|' | sort -u
}

@test "each file that work leaves has a name that the page has" {
	mq-topic create --partitions 2 T segment.bytes=4K
	seq 2000 | mq-publish --id-field 1 --producer p T
	seq 200 | mq-publish --id-field 1 -p 0 T
	mq-consume --once -g once T -- true
	mq-consume --share -g share -n 30 T -- true
	mq-consume --manual -g manual -n 3 -p 0 T | cut -f 1 | mq-group commit -g manual
	mq-consume -g spread -n 5 T > taken
	mq-rebalance -q --spread -g spread T
	mq-rebalance -q -g spread --strategy circle > /dev/null
	mq-rebalance -q T --partitions 6
	seq 40 | mq-publish T
	mq-consume -f -g evicted T > /dev/null &
	# Stopped while it sleeps, and not with a lock in its hand that the next one waits for.
	asleep() { ! mq-group show -g evicted --json T | grep -vq '"owned":true.*"lag":0,\|"lag":0,.*"owned":true' && grep -q '^State:.S' "/proc/$!/status"; }
	until_true asleep
	kill -STOP $!
	mq-group evict -q -g evicted T
	mq-consume -g evicted T > /dev/null
	kill -CONT $!
	mq-consume -f -g killed T > /dev/null &
	until_true eval 'mq-group show -g killed --json T | grep -q "\"owned\":true"'
	kill -9 $!
	mq-retain
	found > found
	named | sort -u > named
	is "$(comm -23 found named)" ''
	# What only a failed sync, a deletion, or very many ids leave was not there, nor the table that nobody writes; all else was.
	is "$(comm -13 found named | paste -sd' ')" \
		'groups/GROUP/topics/TOPIC/claimed.P.failed groups/GROUP/topics/TOPIC/offsets.failed topics/TOPIC/P/START20.END20.ids topics/TOPIC/P/producers topics/TOPIC/deleting'
}
