#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
# Compaction of more keys than go into its table at once.
load one_spool

tab=$'\t'

@test 'of more keys than the table holds a tombstone does not go before what it hides' {
	mq-topic create T segment.bytes=200M cleanup.policy=compact min.cleanable.dirty.ratio=0 delete.retention.ms=0
	(seq -f "%.0f${tab}x" 1 2200000; printf '1\t\n2\t\n') | mq-publish -K "$tab" T
	mq-topic set T segment.bytes=4096
	mq-publish -k z -m z T
	mq-retain
	mq-consume -n 3 T --json | grep -q '"key":"3"'
	is "$(mq-consume --json -n 3 T | grep -c '"key":"[12]"' || true)" 0
}
