#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What archives hold goes into a topic: another one, or back to where it came from, for the group that discarded it.
load one_spool

discarded() { # three partitions of T, one record with all that one can carry
	mq-topic create --partitions 3 T
	for i in 1 2 3; do seq -f "$i-%g" 50 | mq-publish -p $((i - 1)) --id-field 1 T; done
	mq-publish -k a -H x=y -T tag --id 42 -m keyed T
	mq-drain -g g --discard --archive x.tar.zst T
}
sum() { sort | sha1sum; }

@test "a directory of archives is no archive, and how to name those in it is told" {
	discarded
	mkdir archives
	mv x.tar.zst archives/
	for how in '' --back '--to U'; do
		fails 64 mq-replay --archive $how archives
		has "$said" 'name the archives in it, as archives/*.tar.zst'
	done
	is "$(mq-replay --archive archives/*.tar.zst | wc -l)" 151
}

@test "an archive goes into a topic, as it is, once each time that is asked for" {
	discarded
	is "$(mq-replay --archive --to U x.tar.zst 2>&1)" ''
	is "$(mq-consume U | sum)" "$(mq-consume T | sum)"
	is "$(mq-consume -k a --json U | sed 's/"topic.*"timestamp"/"timestamp"/')" "$(mq-consume -k a --json T | sed 's/"topic.*"timestamp"/"timestamp"/')"
	mq-replay --archive --to U x.tar.zst
	is "$(mq-consume U | wc -l)" 302
	mq-replay --archive --to tagged -T tag x.tar.zst
	is "$(mq-consume tagged)" keyed
	mq-replay --archive --to some -o 0..2 -p 0 x.tar.zst
	is "$(mq-consume some)" "$(mq-consume -p 0 -o 0..2 T)"
	mq-check
}

@test "back where it came from it is the group's alone, and says how often" {
	discarded
	mq-consume T | sum > all
	mq-consume -g other T > rest
	mq-replay --archive --back x.tar.zst
	is "$(mq-consume -g other T)" ''
	is "$(mq-consume -g g T | sum)" "$(cat all)"
	is "$(mq-consume -k a -H mq-replays=1 -H x=y -T tag --id 42 T)" keyed
	for p in 0 1 2; do
		is "$(mq-consume -p $p -H mq-replays=1 T | sum)" "$(mq-replay --archive -p $p x.tar.zst | sum)"
	done
	mq-drain -g g --discard --archive y.tar.zst T
	mq-replay --archive --back -k a x.tar.zst
	mq-drain -g g --discard --archive z.tar.zst T
	mq-replay --archive --back z.tar.zst
	is "$(mq-consume -g g --json T | grep -o '"mq-replays":"[0-9]*"')" '"mq-replays":"2"'
	mq-check
}

@test "for another group where that is named, and of retention's archives no other way" {
	discarded
	mq-consume -g other T > rest
	mq-replay --archive --back -g other x.tar.zst
	is "$(mq-consume -g other T | wc -l)" 151
	is "$(mq-consume -g g T | wc -l)" 0
	mkdir a
	mq-topic create log segment.bytes=4096 retention.bytes=0
	for i in 1 2; do seq -f '%0100.0f' 100 | mq-publish log; done
	mq-retain --archive a log
	fails 64 mq-replay --archive --back a/*
	has "$said" 'is no group'
	mq-replay --archive --back -g g a/log.*
	is "$(mq-consume -g g log | sort -u | wc -l)" 100
	fails 64 mq-replay --archive --back -g g a/* x.tar.zst
	has "$said" 'of one topic at a time'
	mq-replay --archive --back -g g -t log a/* x.tar.zst
}

@test "into a spool that is not there yet, with as many partitions" {
	discarded
	mq-replay -S new --archive --back x.tar.zst
	is "$(mq-consume -S new -g g T | sum)" "$(mq-consume T | sum)"
	has "$(mq-topic show -S new T)" '3 partitions'
}

@test "what has expired meanwhile is not put back, and what was for another group alone neither" {
	mq-publish --ttl 1ms -m late T
	mq-publish -m here T
	mq-publish -m bad U
	mq-drain -g g --discard --archive x.tar.zst T
	mq-replay --archive --back x.tar.zst
	is "$(mq-consume -g g T)" here
	mq-drain -g h --discard --archive y.tar.zst T
	mq-replay --archive --back y.tar.zst
	is "$(mq-consume -g h T)" here
	is "$(mq-consume -g g T)" ''
}

@test "a damaged archive gives what can be read of it, and says so; a hostile one nothing" {
	seq -f '%0100.0f' 20000 | mq-publish T
	mq-drain -g g --discard --archive x.tar.zst T
	truncate -s -100 x.tar.zst
	fails 2 mq-replay --archive --to U x.tar.zst || fails 65 mq-replay --archive --to U x.tar.zst
	echo hello > no.tar.zst
	fails 65 mq-replay --archive --to V no.tar.zst
	fails 65 mq-replay --archive --back no.tar.zst
	fails 66 mq-replay --archive --to V none.tar.zst
}

@test "what it does not go with is told" {
	discarded
	fails 64 mq-replay --back T
	fails 64 mq-replay --archive --back --to U x.tar.zst
	fails 64 mq-replay --archive --to U --json x.tar.zst
	fails 64 mq-replay --archive --to U --speed 1x x.tar.zst
	fails 64 mq-replay --archive --back --speed 2x x.tar.zst
	fails 64 mq-replay --archive -g g x.tar.zst
	fails 64 mq-replay --archive --to U
	has "$(mq-replay --archive --back --dry-run x.tar.zst)" '151 records'
	is "$(mq-consume T | wc -l)" 151
}

@test "a count is counted once over all archives, and the same command goes on with it" {
	discarded
	mq-replay --archive --to all x.tar.zst
	is "$(mq-replay --archive -n 0 --to none x.tar.zst)" ''
	fails 66 mq-consume none
	mq-replay --archive -n 60 --to U x.tar.zst
	is "$(mq-consume U | sum)" "$(mq-consume -n 60 all | sum)"
	mq-replay --archive -n 1 -T tag --back x.tar.zst
	is "$(mq-consume -g g T)" keyed
	mq-check
}

@test "at a rate, and what came before a pause does not wait for it" {
	seq 5 | mq-publish T
	mq-drain -g g --discard --archive x.tar.zst T
	began=$(date +%s%3N)
	mq-replay --archive --rate 1/s --to U x.tar.zst &
	first() { [[ "$(mq-consume U 2>"$BATS_TEST_TMPDIR/none" | wc -l)" = [1-4] ]]; }
	until_true first
	wait $!
	[ $(($(date +%s%3N) - began)) -ge 3500 ]
	is "$(mq-consume U)" "$(seq 5)"
}

@test "what has expired goes back where that is wanted, and what has not does not" {
	mq-publish -m here T
	mq-publish --ttl 1ms -m late T
	mq-drain -g g --discard --archive x.tar.zst T
	mq-replay --archive --back x.tar.zst 2>said
	has "$(cat said)" '1 records had expired'
	mq-replay --archive --back --expired x.tar.zst
	is "$(mq-consume -g g T)" $'here\nlate'
	mq-topic create --partitions 1 short
	mq-publish -m old short
	mq-drain -g g --discard --archive y.tar.zst short
	mq-topic set short ttl.ms=1
	mq-replay --archive --to short --expired y.tar.zst
	mq-replay --archive --to short y.tar.zst
	mq-topic set short ttl.ms=-1
	is "$(mq-consume short)" $'old\nold'
}
