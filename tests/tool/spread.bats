#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-rebalance --spread: what a group has not read, evenly over the partitions, nothing lost and nothing doubled.
load one_spool

# A topic T of $1 partitions with $2 records, all in partition 0; group g has read $3 of them.
filled() {
	mq-topic create T --partitions "$1"
	seq "$2" | mq-publish -p 0 T
	if [ "$3" = 0 ]; then mq-group seek -g g -o beginning T; else mq-consume -g g -n "$3" T > /dev/null; fi
}

lags() { mq-group show -g g T --json | sed 's/.*"lag":\([0-9]*\).*/\1/' | tr '\n' ' '; }

@test "every partition gets its share, and the group each record once" {
	filled 4 1000 100
	is "$(mq-rebalance --spread -g g T)" ''
	is "$(lags)" '225 225 225 225 '
	is "$(mq-consume -g g T | sort -n)" "$(seq 101 1000)"
	is "$(mq-consume -g g T)" ''
	mq-check
}

@test "other groups find the records where they were, and step over the copies" {
	filled 3 30 0
	mq-rebalance --spread -g g T
	is "$(mq-consume -g other T)" "$(seq 30)"
	is "$(mq-consume -g g T | sort -n)" "$(seq 30)"
}

@test "a dry run says what would go where, and changes nothing" {
	filled 4 10 0
	find spool -type f -exec cat {} + | sha256sum > before
	find spool >> before
	run mq-rebalance --spread -g g --dry-run T
	is "$status" 0
	has "$output" '7 records would be moved'
	has "$output" 'records of a key would not stay in order'
	is "$(mq-rebalance --spread -g g --dry-run -q T | awk '{print $2, $3, $4}')" $'PARTITION BEFORE AFTER\n0 10 3\n1 0 3\n2 0 2\n3 0 2'
	{ find spool -type f -exec cat {} + | sha256sum; find spool; } > after
	cmp before after
}

@test "as JSON: an object a partition" {
	filled 2 3 1
	is "$(mq-rebalance --spread -g g --json --dry-run T)" '{"v":1,"group":"g","topic":"T","partition":0,"before":2,"after":1}
{"v":1,"group":"g","topic":"T","partition":1,"before":0,"after":1}'
	mq-rebalance --spread -g g --json T > said
	is "$(wc -l < said)" 2
	is "$(lags)" '1 1 '
}

@test "where every partition has its share nothing is moved" {
	filled 2 10 0
	mq-rebalance --spread -g g T
	mq-consume -J T > before
	fails 0 mq-rebalance --spread -g g T
	is "$said" '' # cron mails what is said
	fails 0 mq-rebalance -v --spread -g g T
	has "$said" 'every partition has its share'
	mq-consume -J T | cmp - before
}

@test "keys, headers, ids, tags and times go with a record" {
	mq-topic create T --partitions 2
	mq-group seek -g g -o beginning T
	for i in 1 2; do mq-publish -p 0 -k "key $i" -H 'colour=red' -T urgent --id "id-$i" -m "payload $i" T; done
	mq-consume -J T | sed 's/"offset":[0-9]*,//' > before
	mq-rebalance --spread -g g T
	is "$(lags)" '1 1 '
	mq-consume -J -g g T | sed 's/"offset":[0-9]*,//; s/"partition":1/"partition":0/' | sort > after
	sort before | cmp - after
}

@test "records of another group stay where they are" {
	filled 2 4 0
	mq-rebalance --spread -g g T # T:1 holds two copies that are g's alone
	mq-group seek -g h -o beginning T
	mq-rebalance --spread -g h T
	is "$(mq-consume -g h T | sort -n)" "$(seq 4)"
	is "$(mq-consume -g g T | sort -n)" "$(seq 4)"
}

@test "a member that follows lets go of what is to give, and takes it again" {
	filled 2 100 0
	(
		set -e
		mq-consume -f -g g T -- sh -c '{ cat; echo; } >> given; sleep 0.02' &
		trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
		until_true test -s given
		mq-rebalance --spread -g g T
		until_true lines given 100
		is "$(sort -n given)" "$(seq 100)"
	)
}

@test "one that does not let go of it is told; one that gets need not be free" {
	filled 2 6 0
	mkfifo hold
	(
		set -e
		exec 5<> hold
		mq-consume -f -g g T:1 > out &
		trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
		until_true owned 1
		mq-rebalance --spread -g g T
		until_true lines out 3
		mq-consume -f -g g T:0 -- sh -c 'cat >> given; read -r line < hold' &
		until_true owned 0
		seq 7 20 | mq-publish -p 0 T
		fails 75 mq-rebalance --spread -g g --timeout 300ms T
		has "$said" 'T:0 has more than its share'
		has "$said" 'is at work on it and does not let go of it: stop that first'
		echo >&5
	)
}

@test "who waits for a member to let go rings for it once, and sleeps" {
	mq-topic create T --partitions 2
	seq 20 | mq-publish -p 0 T
	mkfifo hold
	(
		set -e
		exec 5<> hold
		mq-consume -f -g g T -- sh -c 'read -r line < hold' &
		trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
		until_true owned 0
		MQ_TEST_RECORD=$PWD/trace MQ_TEST_RECORD_ROOT=$PWD fails 75 "$MQ_BUILD/tests/traced/mq-rebalance" --spread -g g --timeout 300ms T
		rings=$(grep -a -c ' openat dir=[0-9]* path=[^ ]*/members/[0-9a-f]* flags=0x1 ' trace)
		is "$rings" 2 # that it counts, and that it asks
	)
}

@test "copies behind a growth wait for what was before it, and whoever reads that is not kept waiting by them" {
	mq-topic create T --partitions 2
	seq 80 | mq-publish -p 0 T
	mq-group seek -g g -o beginning T
	mq-rebalance -q T --partitions 4
	(
		set -e
		mq-consume -f -g g T:2 > two &
		trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
		until_true owned 2
		mq-rebalance --spread -g g T
		is "$(lags)" '20 20 20 20 '
		is "$(wc -l < two)" 0 # T:0 keeps some that lie before it
		mq-consume -g g T > rest
		until_true lines two 20
		is "$(sort -n two rest)" "$(seq 80)"
	)
}

owned() { mq-group show -g g T --json | grep "\"partition\":$1,.*\"owned\":true" > /dev/null; }

@test "what is not there is told" {
	mq-topic create T --partitions 2
	fails 66 mq-rebalance --spread -g g T
	has "$said" 'group g has not read topic T'
	fails 66 mq-rebalance --spread -g g U
	fails 64 mq-rebalance --spread T
	fails 64 mq-rebalance --spread -g g
	fails 64 mq-rebalance --spread -g g T:1
	filled_with_one
	is "$(mq-rebalance -v --spread -g g S 2>&1 | grep -o 'nothing to move.*')" 'nothing to move: every partition has its share'
}

filled_with_one() {
	seq 5 | mq-publish S
	mq-group seek -g g -o beginning S
}

@test "killed at any of its calls it is gone on with by the next run" {
	ended=
	for n in $(seq 10 150 500) $(seq 560 11 3000); do
		rm -rf spool
		filled 3 30 3
		MQ_TEST_FAULT="*:$n:kill-after" "$MQ_BUILD/tests/traced/mq-rebalance" --spread -g g T 2> /dev/null && ended=$n || true
		if [ $((n % 2)) = 0 ]; then mq-rebalance --spread -g g -q T; fi
		is "$({ mq-consume -g g T; mq-consume -g g T; } | sort -n)" "$(seq 4 30)" # what is finished now comes behind the ends of now
		if [ "$ended" ]; then break; fi
	done
	[ "$ended" ] # it was killed at the last of them, too
}

@test "a consumer that comes after one that was killed finishes what that had begun" {
	filled 2 10 0
	MQ_TEST_FAULT="pwrite:3:path=topics/T/1:kill-before" "$MQ_BUILD/tests/traced/mq-rebalance" --spread -g g T 2> /dev/null || true
	is "$(mq-group show -g g --json T | grep -o '"end":[0-9]*' | tr '\n' ' ')" '"end":10 "end":0 '
	mq-consume -g g T > first
	is "$(wc -l < first)" 5
	is "$(mq-consume -g g T | sort -n - first)" "$(seq 10)"
}

@test "a target that is full stops it, and it goes on when there is room" {
	mq-topic create T --partitions 2
	seq 10 | mq-publish -p 0 T
	mq-group seek -g g -o beginning T
	mq-topic set T max.messages=10 when.full=fail
	seq 8 | mq-publish -p 1 T
	mq-consume -g g -n 8 -o beginning T:1 > /dev/null
	fails 75 mq-rebalance --spread -g g T
	mq-topic set T max.messages=20 # what of it is there already is not read yet, so a purge is refused
	mq-rebalance --spread -g g -q T
	is "$(lags)" '5 5 '
	is "$(mq-consume -g g T | sort -n)" "$(seq 10)"
}

@test "an archive's worth goes in runs, and the intents hold positions alone" {
	mq-topic create T --partitions 3
	head -c 3000000 /dev/zero | tr '\0' x | fold -w 999 | mq-publish -l -p 0 T -
	mq-group seek -g g -o beginning T
	mq-rebalance --spread -g g T
	[ "$(du -sb spool/topics/intents@T@g | cut -f 1)" -lt 300000 ]
	mq-consume -g g T | wc -lc | {
		read -r records bytes
		is "$records $bytes" '3004 3003004'
	}
}

# The next owner of T:0 has something to finish.
unfinished() {
	filled 2 10 0
	MQ_TEST_FAULT="pwrite:3:path=topics/T/1:kill-before" "$MQ_BUILD/tests/traced/mq-rebalance" --spread -g g T 2> /dev/null || true
	is "$(mq-group show -g g --json T | head -n 1 | grep -o '"committed":[0-9]*')" '"committed":0'
}

@test "neither topic nor group is deleted while a transfer is half done" {
	unfinished
	fails 75 mq-group delete -g g
	has "$said" 'has not finished moving records out of T:0'
	fails 75 mq-group delete -g g T
	fails 75 mq-topic delete T
	mq-consume -g g T > /dev/null
	mq-group delete -g g
	unfinished_again
	mq-topic delete --force T
	is "$(ls spool/topics)" ''
}

unfinished_again() {
	mq-topic delete T
	unfinished
}

@test "a place that is set by hand stays, and what was begun is finished all the same" {
	unfinished
	mq-group seek -g g -o 2 T:0
	is "$(mq-consume -g g T:0)" "$(seq 3 10)"
	is "$(mq-consume -g g T:1)" "$(seq 5)"
	mq-group seek -g g -o beginning T:0
	is "$(mq-consume -g g T:0)" "$(seq 10)"
	is "$(mq-consume -g g T:1)" ''
	mq-group delete -g g
}
