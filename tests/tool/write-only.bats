#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A user who may put records into a topic and not read what is there.
load engines

setup() {
	: "${MQ_SRC:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
	: "${MQ_BUILD:=$MQ_SRC/build-gcc}"
	cd "$BATS_TEST_TMPDIR"
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	{ [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; } || skip 'needs another user to be'
}

teardown() { :; }

nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

write_only() {
	chmod a+x "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}" "${BATS_TEST_TMPDIR%/*/*}"
	chmod -R a+rX "$MQ_SPOOL"
	chmod -R a+rw "$MQ_SPOOL/topics/T/0"
	chmod a+rwx "$MQ_SPOOL/topics/T/0"
	chmod a-r "$MQ_SPOOL"/topics/T/0/*.seg
	nobody test -w "$MQ_SPOOL/topics/T/0/lock" -a -x "$MQ_BUILD/bin/mq-publish" || skip 'another user cannot come here'
	run -1 nobody test -r "$MQ_SPOOL"/topics/T/0/00000000000000000000.*.seg
}

@test "who may only write publishes, durably, what others read" {
	seq 3 | mq-publish T
	write_only
	seq 4 5 | nobody mq-publish --confirm T
	seq 6 7 | nobody mq-publish --ack written T
	seq 8 | tail -n 1 | mq-publish T
	is "$(mq-consume T)" "$(seq 8)"
	fails 77 nobody mq-consume T
	mq-check
}

@test "a segment that is full is followed by one of who may only write" {
	mq-topic create T segment.bytes=64K
	seq 1000 | mq-publish T
	write_only
	seq 1001 30000 | nobody mq-publish -H a=b T
	[ "$(ls "$MQ_SPOOL"/topics/T/0/*.seg | wc -l)" -gt 2 ]
	is "$(mq-consume T | cksum)" "$(seq 30000 | cksum)"
	mq-publish -m end T
	is "$(mq-consume T | tail -n 1)" end
	mq-check
}

@test "who may only write gets 75 where the log must be looked at first, and later comes through" {
	seq 3 | mq-publish T
	mq-consume -g g T > all
	write_only
	chmod -R a+rX "$MQ_SPOOL/groups"
	head -c 49152 /dev/zero > "$MQ_SPOOL/topics/T/0/state"
	fails 75 nobody timeout 20 mq-publish -m x T
	has "$said" 'may not read'
	# A name is looked up in the log.
	chmod a+rwx "$MQ_SPOOL/topics/T"
	mq-publish -m 4 T
	fails 75 nobody timeout 20 mq-publish --producer p -m x T
	nobody mq-publish -m 5 T
	is "$(mq-consume T)" "$(seq 5)"
}
