#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A user who may put records into a topic and not read what is there.
load one_spool

setup() {
	in_a_spool
	needs_users
}

write_only() {
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

lines() { # COUNT FROM: of 100 bytes each
	seq -f '%099.0f' "$2" $(($2 + $1 - 1))
}

@test "max.bytes is kept by who may only write as by others" {
	for full in fail drop-oldest; do
		for t in T U; do
			mq-topic create $t max.bytes=64K when.full=$full
			mq-publish -l $t <(lines 10 1)
		done
		write_only
		lines 2000 11 > in # read alike by both
		chmod a+r in
		nobody mq-publish -l T in 2> said && status=0 || status=$?
		mq-publish -l U in 2> said-of-root && want=0 || want=$?
		[ "$status" = "$want" ] || { cat said; false; }
		cmp said <(sed s/U:/T:/g said-of-root)
		[ "$(mq-consume U | wc -l)" -gt 300 ]
		is "$(mq-consume T | cksum)" "$(mq-consume U | cksum)"
		mq-topic show T > shown
		mq-check T
		for t in T U; do mq-topic delete $t; done
	done
}

# Under it the leak detector cannot work.
need_strace() {
	strace -f -o /dev/null true 2> /dev/null || skip 'strace cannot trace here'
	export ASAN_OPTIONS=detect_leaks=0
}

# Published, and killed before its sync.
dies_at_its_sync() {
	need_strace
	run ! strace -f -qq -o /dev/null -P "$(echo "$MQ_SPOOL"/topics/T/0/*.seg)" -e inject=fdatasync:signal=KILL:when=1 \
		mq-publish "$@" T
}

@test "who may only write leaves what a killed publisher began to who may read, and stores nothing" {
	seq 2 | mq-publish T
	dies_at_its_sync -m 3
	write_only
	fails 75 nobody timeout 20 mq-publish -m x T
	has "$said" 'mq-publish: T:0: '
	has "$said" 'this user may not read'
	has "$said" 'mq-check --mend'
	fails 75 nobody timeout 20 mq-publish --ack none -m x T
	mq-check --mend T
	nobody mq-publish -m 4 T
	is "$(mq-consume T)" "$(seq 4)"
	# Who consumes, or publishes, does it, too.
	dies_at_its_sync -m 5
	is "$(timeout 20 mq-consume -f -n 5 T)" "$(seq 5)"
	nobody mq-publish -m 6 T
	dies_at_its_sync -m 7
	mq-publish -m 8 T
	nobody mq-publish -m 9 T
	is "$(mq-consume T)" "$(seq 9)"
	mq-check
}

syncing() { # STRACE'S OUTPUT
	grep -qs fdatasync "$1"
}

@test "who may only write waits for another's sync, however long it takes" {
	need_strace
	mq-topic create T segment.bytes=4096
	mq-publish -m 1 T
	write_only
	strace -f -qq -o traced -P "$(echo "$MQ_SPOOL"/topics/T/0/*.seg)" -e trace=fdatasync -e inject=fdatasync:delay_enter=1000000:when=1 \
		mq-publish -m 2 T &
	until_true syncing traced
	nobody mq-publish -m 3 T
	wait $!
	is "$(mq-consume T)" "$(seq 3)"
	# And so does a new segment.
	strace -f -qq -o traced2 -P "$(echo "$MQ_SPOOL"/topics/T/0/*.seg)" -e trace=fdatasync -e inject=fdatasync:delay_enter=1000000:when=1 \
		mq-publish -m 4 T &
	until_true syncing traced2
	head -c 5000 /dev/zero | tr '\0' x | nobody mq-publish T
	wait $!
	[ "$(ls "$MQ_SPOOL"/topics/T/0/*.seg | wc -l)" = 2 ]
	is "$(mq-consume T | head -n 4)" "$(seq 4)"
	mq-check
}

stored() { # BYTES: the segment has grown
	[ "$(stat -c %s "$MQ_SPOOL"/topics/T/0/*.seg)" -gt "$1" ]
}

@test "who may only write is told that it is stored and not known to last, and what to do, when a leader dies" {
	mq-publish -m 1 T
	write_only
	MQ_TEST_FAULT=fdatasync:1:path=.seg:stop-before "$MQ_BUILD/tests/traced/mq-publish" -m 2 T &
	leader=$!
	until_true grep -qs '^State:.T' "/proc/$leader/status"
	size=$(stat -c %s "$MQ_SPOOL"/topics/T/0/*.seg)
	nobody mq-publish -m 3 T 2> said &
	until_true stored "$size"
	kill -KILL $leader
	status=0
	wait $! || status=$?
	is "$status" 74
	has "$(cat said)" 'offsets 2 to 2, outcome unknown'
	has "$(cat said)" 'mq-check --mend'
	has "$(cat said)" 'look before publishing again'
	mq-check --mend
	is "$(mq-consume T)" "$(seq 3)"
}

@test "a directory that cannot be listed is named" {
	mq-publish -m 1 T
	write_only
	chmod 733 "$MQ_SPOOL/topics/T/0"
	fails 77 nobody mq-publish -m 2 T
	has "$said" 'topics/T'
	has "$said" 'permission to list'
	chmod 755 "$MQ_SPOOL/topics/T/0"
	chmod 733 "$MQ_SPOOL/topics"
	fails 77 nobody mq-publish -m 2 T
	has "$said" 'permission to list'
}
