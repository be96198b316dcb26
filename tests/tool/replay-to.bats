#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-replay --to: a range copied to another topic, once, however often that is broken off; and again when it is wanted again.
load one_spool

@test "a range is copied, with all that records carry, and the topic is made" {
	mq-publish -k key -H a=b -T tag --id 7 -m one T
	seq 2 5 | mq-publish T
	mq-replay -o 0..3 --to U T
	is "$(mq-consume --json U | sed 's/"topic":"[TU]",//')" "$(mq-consume --json -n 3 T | sed 's/"topic":"[TU]",//')"
	is "$(mq-consume T)" $'one\n2\n3\n4\n5'
	mq-check
}

@test "a second copy that is wanted comes" {
	seq 3 | mq-publish T
	mq-replay --to U T
	mq-replay --to U T
	is "$(mq-consume U)" $'1\n2\n3\n1\n2\n3'
}

@test "one that was broken off goes on, and what it copied comes once" {
	seq 1000 | mq-publish T
	seq 1001 2000 | mq-publish T
	mq-topic create U
	mq-topic set U max.messages=500
	fails 75 mq-replay --timeout 100ms --to U T
	has "$said" 'goes on where this ended'
	mq-topic set U max.messages=-1
	said=$(mq-replay --to U T 2>&1)
	has "$said" 'going on with'
	is "$(mq-consume U)" "$(seq 2000)"
	mq-replay --to U T
	is "$(mq-consume U | wc -l)" 4000
}

@test "another one that is wanted while one stands unfinished is told of that, and begins" {
	seq 1000 | mq-publish T
	mq-topic create U
	mq-topic set U max.messages=500
	fails 75 mq-replay --timeout 100ms --to U T
	mq-topic set U max.messages=-1
	said=$(mq-replay -o 990.. --to V T 2>&1)
	has "$said" 'another copying'
	is "$(mq-consume V)" "$(seq 991 1000)"
	is "$(mq-consume U)" "$(seq 1000)"
	is "$(mq-replay -o 990.. --to V T 2>&1)" ''
	is "$(mq-consume V | wc -l)" 20
}

@test "keyed records go where a publisher would put them" {
	mq-topic create --partitions 4 U
	mq-topic create --partitions 4 V
	for i in $(seq 50); do printf 'key%d\tpayload%d\n' $((i % 7)) "$i"; done | tee lines | mq-publish -K "$(printf '\t')" T
	mq-publish -K "$(printf '\t')" V < lines
	mq-replay --to U T
	for p in 0 1 2 3; do
		is "$(mq-consume -p "$p" U)" "$(mq-consume -p "$p" V)"
	done
}

@test "of all partitions, those that are selected, and no more than asked" {
	mq-topic create --partitions 3 T
	for i in $(seq 30); do mq-publish -p $((i % 3)) -T "t$((i % 2))" -m "$i" T; done
	mq-replay -T t1 --to U T
	is "$(mq-consume U | sort -n)" "$(seq 1 2 30)"
	mq-replay -n 7 --to V T
	is "$(mq-consume V)" "$(mq-replay -n 7 T)"
	mq-replay -p 1 -o 2..4 --to W T
	is "$(mq-consume W)" "$(mq-replay -p 1 -o 2..4 T)"
	is "$(mq-replay --dry-run --to W T | tail -n 1)" '30 records, 51 bytes'
	is "$(mq-consume W | wc -l)" 2
}

@test "a range is what it was when the copy began" {
	seq 1000 | mq-publish T
	mq-topic create U
	mq-topic set U max.messages=500
	fails 75 mq-replay -o -600.. --timeout 100ms --to U T
	seq 1001 1500 | mq-publish T
	mq-topic set U max.messages=-1
	mq-replay -o -600.. --to U T
	is "$(mq-consume U)" "$(seq 401 1000)"
}

@test "what was purged before a copy that was broken off went on is told" {
	seq 100 | mq-publish T
	mq-replay --to X --rate 20/s T &
	copying=$!
	begun() { mq-consume -q X 2> /dev/null | grep -q .; }
	until_true begun
	kill -KILL $copying
	wait $copying || true
	mq-topic purge -o 90 T
	fails 0 mq-replay --to X T
	has "$said" ' to 89 are not held any more'
	is "$(mq-consume X | tail -n 10)" "$(seq 91 100)"
	fails 0 mq-replay --to X T
	case $said in *held*) echo "$said"; return 1 ;; esac
}

@test "into its own topic a range comes once more, and no more than once" {
	seq 3 | mq-publish T
	mq-replay --to T T
	is "$(mq-consume T)" $'1\n2\n3\n1\n2\n3'
}

@test "at a rate, and at the distances that records had" {
	seq 5 | mq-publish T
	mq-replay --rate 100/s --to U T
	is "$(mq-consume U)" "$(seq 5)"
	mq-replay --speed 1x --to V T
	is "$(mq-consume V)" "$(seq 5)"
}

@test "one copies from a topic at a time" {
	seq 5 | mq-publish T
	mq-replay --rate 1/m --to U T &
	other=$!
	copied() { [ "$(mq-consume U 2> /dev/null | wc -l)" -gt 0 ]; }
	until_true copied
	fails 75 mq-replay --to V T
	has "$said" 'one at a time'
	kill "$other"
	wait "$other" || true
	mq-replay --to U T
	is "$(mq-consume U)" "$(seq 5)"
}

@test "what is wrong is told before anything is copied" {
	seq 3 | mq-publish T
	fails 64 mq-replay --to U --frame T
	fails 64 mq-replay --to U T T
	fails 66 mq-replay --to U nothing
	fails 64 mq-replay --to 'bad name' T
	[ ! -e "$MQ_SPOOL/topics/U" ]
}

@test "a record that the other topic does not take ends it behind what came before" {
	seq 3 | mq-publish T
	head -c 5000 /dev/zero | mq-publish --one T
	mq-topic create U
	mq-topic set U max.message.bytes=1024
	fails 65 mq-replay --to U T
	has "$said" 'max.message.bytes'
	is "$(mq-consume U)" $'1\n2\n3'
}

@test "a topic of which a copy stands unfinished is not deleted without a word" {
	seq 1000 | mq-publish T
	mq-topic create U
	mq-topic set U max.messages=500
	fails 75 mq-replay --timeout 100ms --to U T
	fails 75 mq-topic delete T
	mq-topic set U max.messages=-1
	mq-replay --to U T
	mq-topic delete T
	is "$(mq-consume U | wc -l)" 1000
}

@test "large batches of plain lines go as they lie, into every partition, also from the middle of one" {
	mq-topic create --partitions 2 U
	seq 400000 | mq-publish T
	seq 400001 400010 | mq-publish T
	mq-publish -k key -m last T
	mq-replay -o 7.. --to U T
	mq-consume -p 0 U > zero
	mq-consume -p 1 U > one
	is "$(cat zero one | grep -v last | sort -n | md5sum)" "$(seq 8 400010 | md5sum)"
	mq-replay -n 300000 --to V T
	is "$(mq-consume V | md5sum)" "$(seq 300000 | md5sum)"
	mq-check
}

@test "large batches go on, when there is space again, where that ended" {
	seq 400000 | mq-publish T
	mq-topic create U
	mq-topic set U max.messages=150000
	fails 75 mq-replay --timeout 100ms --to U T
	mq-topic set U max.messages=-1
	mq-replay --to U T
	is "$(mq-consume U | md5sum)" "$(seq 400000 | md5sum)"
}
