#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=900
# Records that come later: parked until they are due, delivered by whoever is at work on the topic, listed, cancelled.
load one_spool
load flip

now_us() { echo $((${EPOCHREALTIME/[.,]/})); }

past() { # US
	while (($(now_us) < $1)); do sleep 0.01; done
}

due_us() { # TOPIC: of the next
	mq-topic delayed --json -n 0 "$1" | sed -n 's/.*"next_us":\([0-9]*\).*/\1/p'
}

delayed() { # TOPIC
	mq-topic delayed --json -n 0 "$1" | sed -n 's/.*"delayed":\([0-9]*\).*/\1/p'
}

@test "a time that names no zone is local, as date(1) takes it" {
	mq-publish -m a T
	for zone in XST-5 YST+3; do
		for at in '2099-01-01 12:00' 2099-06-01 'TZ="ZST-9" 2099-08-01 10:00' 2099-10-01T12:00:00 2099-12-01T12:00:00Z; do
			TZ=$zone mq-publish --id "$zone" --at "$at" -m x T
			is "$(mq-topic delayed T | grep -c "^$(date -u -d "$(TZ=$zone date -d "$at" +@%s)" +%FT%T.000Z) .* $zone ")" 1
		done
	done
	is "$(TZ=XST-12 mq-consume -o "@$(TZ=XST-12 date -d '-1 hour' '+%F %T')" T)" a
}

@test "a delayed record is not there before it is due, and then whoever reads finds it" {
	mq-publish -m first T
	mq-publish --delay 4s -m later T
	due=$(due_us T)
	is "$(mq-consume T)" first
	past "$due"
	is "$(mq-consume T)" $'first\nlater'
	is "$(delayed T)" 0
	is "$(mq-consume T)" $'first\nlater'
	mq-check
}

@test "who follows gets it when it is due, and not before; also of a room that was made later" {
	mq-publish -m first T
	mq-consume -f -n 3 T > got &
	pid=$!
	until grep -q first got; do sleep 0.01; done
	mq-publish --delay 6s -m slow T
	mq-publish --delay 3s -m quick T
	slow=$(mq-topic delayed --json T | sed -n 's/.*"due_us":\([0-9]*\).*/\1/p' | tail -1)
	wait "$pid"
	[ "$(now_us)" -ge "$slow" ] # or it came too early
	is "$(cat got)" $'first\nquick\nslow'
}

@test "a member of a group that follows with handlers delivers, too" {
	mq-publish -m first T
	mq-consume -f -n 2 -g g T -- sh -c 'cat >> got' &
	pid=$!
	until grep -q first got 2> /dev/null; do sleep 0.01; done
	mq-publish --delay 200ms -m later T
	wait "$pid"
	is "$(cat got)" firstlater
}

@test "--at takes a time, one in the past comes at once" {
	mq-publish --at yesterday -m past T
	mq-publish --at 2020-02-02T20:20:20Z -m twenty T
	is "$(mq-consume T)" $'past\ntwenty'
	mq-publish --at 'tomorrow 9am' -m tomorrow T
	mq-publish --at @4102444800 -m far T
	is "$(delayed T)" 2
	has "$(mq-topic delayed T)" 2100-01-01T00:00:00.000Z
	fails 64 mq-publish --at 'the day after never' -m x T
	fails 64 mq-publish --at tomorrow --delay 1s -m x T
}

@test "what is due together comes in the order of its times, in the partition of its key, with all it carries" {
	mq-topic create --partitions 4 T
	mq-publish -k a --delay 5s -m second T
	mq-publish -k a --id i7 -T red -H n=v --delay 3s -m one T
	mq-publish -k a -m now T
	past "$(($(mq-topic delayed --json T | sed -n 's/.*"due_us":\([0-9]*\).*/\1/p' | tail -1)))"
	is "$(mq-consume --format '%k %s\n' T)" $'a now\na one\na second'
	has "$(mq-consume --json --id i7 T)" '"tag":"red"'
	has "$(mq-consume --json --id i7 T)" '"headers":{"n":"v"}'
}

@test "cancelled, it never comes; too late is said" {
	mq-publish --delay 1h --id a -m x T
	mq-publish --delay 300ms --id b -m y T
	due=$(due_us T)
	mq-topic cancel --dry-run --id a T
	is "$(delayed T)" 2
	mq-topic cancel --id a T
	is "$(delayed T)" 1
	past "$due"
	is "$(mq-consume T)" y
	fails 1 mq-topic cancel --id b T
	fails 1 mq-topic cancel --id a T
	has "$said" 'come already'
	fails 64 mq-topic cancel T
	fails 66 mq-topic cancel --id a none
	mq-check
}

@test "a named producer's second run doubles nothing that waits, or has come" {
	printf 'a\nb\n' | mq-publish --producer p --seq 1 --at yesterday T
	printf 'a\nb\n' | mq-publish -q --producer p --seq 1 --at yesterday T
	is "$(mq-consume T)" $'a\nb'
	printf 'c\nd\n' | mq-publish --producer q --seq 1 --delay 1h T
	printf 'c\nd\n' | mq-publish -q --producer q --seq 1 --delay 1h T
	is "$(delayed T)" 2
}

@test "thousands that are due come once, in order; the sorted files of those that wait are made anew" {
	seq 1 10000 | mq-publish --delay 1s T
	seq 1 10000 > want
	due=$(mq-topic delayed --json T | sed -n 's/.*"due_us":\([0-9]*\).*/\1/p' | tail -1)
	files=("$MQ_SPOOL"/topics/wait@T@/0/*.ids)
	flip "${files[0]}" 5000
	is "$(delayed T)" 10000
	past "$due"
	mq-consume T | cmp - want
	mq-consume T | cmp - want
	mq-check
}

@test "a backup that is put back over the spool: who looks then takes away the sorted files of what waited since" {
	seq 1 4000 | mq-publish --delay 1d T
	cp -a "$MQ_SPOOL" backup
	seq 1 200 | mq-publish --delay 1d T
	ls "$MQ_SPOOL"/topics/wait@T@/0/*4096.ids
	cp -a backup/. "$MQ_SPOOL/"
	mq-consume T
	seq 1 200 > want
	mq-publish --delay 1s T < want
	past "$(due_us T)"
	mq-consume T | cmp - want
	is "$(delayed T)" 4000
	is "$(mq-check)" ''
}

@test "a topic in which nothing waits pays one look for its room, whatever is published and read" {
	command -v strace > /dev/null || skip 'no strace'
	seq 1 100 | mq-publish T
	export ASAN_OPTIONS=detect_leaks=0 # which strace keeps from its work
	strace -f -o calls mq-consume T > /dev/null
	is "$(grep -c 'wait@' calls)" 1
	seq 1 100 | strace -f -o calls mq-publish T
	is "$(grep -c 'wait@' calls)" 1
}

@test "--ttl counts from when a record is due" {
	mq-publish --delay 1s --ttl 1h -m x T
	past "$(due_us T)"
	is "$(mq-consume T)" x
}

@test "of what is due as much as a full topic has room for is there for who reads now, not for the next one" {
	mq-topic create T max.messages=2 when.full=fail
	seq 5 | mq-publish --at yesterday T
	is "$(mq-consume T)" $'1\n2'
	mq-topic purge T
	is "$(mq-consume T)" $'3\n4'
	mq-topic purge T
	is "$(mq-consume T)" 5
}

@test "a full topic leaves what is due waiting, and it comes when there is room" {
	mq-topic create T max.messages=2 when.full=fail
	printf 'a\nb\n' | mq-publish T
	printf 'c\nd\n' | mq-publish --at yesterday T
	mq-consume -g g T > /dev/null
	is "$(mq-consume T)" $'a\nb'
	mq-topic purge T
	is "$(mq-consume T)" $'c\nd'
	is "$(delayed T)" 0
}
