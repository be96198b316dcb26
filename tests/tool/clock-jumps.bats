#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# A clock that jumps, an hour either way, and a batch of a clock that was a year ahead, under all that knows a time.  Clocks order
# nothing and own nothing: what jumps makes things early or late by its jump, and nothing is lost, doubled or stands still.
load one_spool
load clock

HOUR=3600
YEAR=31536000

ended() { # PID: without having to be killed
	until_true gone "$1"
	wait "$1"
}

gone() { ! kill -0 "$1" 2> /dev/null; }

delayed() { # TOPIC
	mq-topic delayed --json -n 0 "$1" | sed -n 's/.*"delayed":\([0-9]*\).*/\1/p'
}

follow() { # COMMAND: in the background, at work when this returns, by a clock that clock_set moves
	clock_set 0
	clock_follows "$@" > got &
	pid=$!
	until_true grep -q first got
}

uptime_ms() { # by no clock that jumps
	local up
	read -r up _ < /proc/uptime
	echo $((10#${up/./} * 10))
}

lasted() { # MS: since begun, and not for ever
	local took=$(($(uptime_ms) - begun))
	[ "$took" -ge "$1" ] && [ "$took" -lt 20000 ] || { echo "it took $took ms"; return 1; }
}

# --- what is delayed ---

@test "set forward under who follows, what is due by then comes, once, in the order of its times, and the rest waits" {
	mq-publish -m first T
	mq-publish --delay 90m -m later T
	mq-publish --delay 40m -m 'in 40' T
	mq-publish --delay 20m -m 'in 20' T
	mq-publish --delay 59m -m far T
	follow mq-consume -f -n 4 T
	clock_set $HOUR
	mq-publish --delay 95m -m 'that rings' T
	ended "$pid"
	is "$(cat got)" $'first\nin 20\nin 40\nfar'
	is "$(delayed T)" 2
	is "$(mq-consume T)" $'first\nin 20\nin 40\nfar'
	mq-check
}

@test "set back under who follows, what waits comes later by as much, and what is published comes at once" {
	mq-publish -m first T
	mq-publish --delay 30m -m later T
	follow mq-consume -f -n 3 T
	clock_set -$HOUR
	mq-publish --delay 10m -m 'in ten' T # by a clock that was not set back
	mq-publish -m now T
	until_true grep -q now got
	clock_set $((HOUR / 2 - 1200)) # ten minutes ahead, and a moment
	mq-publish --delay 1h -m 'that rings' T
	ended "$pid"
	is "$(cat got)" $'first\nnow\nin ten'
	is "$(delayed T)" 2
}

@test "who sleeps until something is due looks at the clock within a minute" {
	mq-publish -m first T
	mq-publish --delay 50m -m later T
	follow mq-consume -f -n 2 T
	clock_set $HOUR
	timeout 75 tail -s 0.1 --pid="$pid" -f /dev/null
	ended "$pid"
	is "$(cat got)" $'first\nlater'
}

@test "a publisher a year ahead delays by its clock, and holds up nobody else" {
	mq-publish -m first T
	clock_off $YEAR mq-publish --delay 1s --id far -m far T
	mq-publish --at yesterday -m now T
	is "$(mq-consume T)" $'first\nnow'
	is "$(delayed T)" 1
	is "$(clock_off $((YEAR + 60)) mq-consume T)" $'first\nnow\nfar'
	is "$(mq-consume T)" $'first\nnow\nfar'
	clock_off $YEAR mq-publish --delay 1s --id far2 -m far T
	mq-topic cancel --id far2 T
	is "$(clock_off $((YEAR + 60)) mq-consume T | wc -l)" 3
}

@test "what came by a clock that was ahead is not given back when the clock is, and what is parked then waits for itself" {
	mq-publish --delay 30m -m a T
	is "$(clock_off $HOUR mq-consume T)" a
	is "$(mq-consume T)" a
	mq-publish --delay 10m -m b T # due before what was delivered
	mq-publish --at yesterday -m c T
	is "$(mq-consume T)" $'a\nc'
	is "$(delayed T)" 1
	is "$(clock_off 660 mq-consume T)" $'a\nc\nb'
	is "$(clock_off -$HOUR mq-consume T)" $'a\nc\nb'
	mq-check
}

@test "mq-retain delivers nothing by a clock that it does not believe" {
	mq-publish -m first T
	mq-publish --delay 30m -m later T
	mq-retain
	fails 75 clock_off $HOUR mq-retain
	is "$(delayed T)" 1
	is "$(mq-consume T)" first
	clock_off $HOUR mq-retain --force
	is "$(mq-consume T)" $'first\nlater'
}

# --- what is tried again ---

@test "a short wait for another attempt goes by no clock that jumps" {
	for by in $HOUR -$HOUR; do
		mq-publish -m x "T$by"
		clock_set 0
		rm -f failed
		begun=$(uptime_ms)
		clock_follows mq-consume -q -g g --retries 3 --backoff 800ms..800ms "T$by" -- sh -c \
			'if [ -e failed ]; then echo again; else touch failed; echo '"$by"' > clock.new; mv clock.new clock.by; exit 1; fi' > got
		is "$(cat got)" again
		lasted 390
	done
}

@test "a parked retry is due by the clock: set forward it comes at once, set back it waits, and it is lost in neither" {
	mq-publish -m x T
	mq-consume -q -g g --retries 3 --backoff 10m..10m T -- false
	is "$(clock_off -$HOUR mq-consume -q -g g --retries 3 T -- echo again)" ''
	is "$(mq-consume -q -g g --retries 3 T -- echo again)" ''
	is "$(clock_off $HOUR mq-consume -q -g g --retries 3 T -- echo again)" again
	is "$(mq-consume -q -g g --retries 3 T -- echo again)" ''
	is "$(mq-consume T)" $'x\nx' # it and what came back, which no other group sees
	is "$(mq-consume -g other T)" x
}

# --- what expires ---

@test "a record expires by the clock of who reads, either way; what a group passed it does not see again" {
	mq-publish --ttl 30m -m x T
	clock_off $YEAR mq-publish --ttl 30m -m 'a year ahead' T
	mq-publish -m stays T
	is "$(clock_off $HOUR mq-consume T)" $'a year ahead\nstays'
	is "$(mq-consume T)" $'x\na year ahead\nstays'
	is "$(clock_off -$HOUR mq-consume T)" $'x\na year ahead\nstays'
	is "$(clock_off $HOUR mq-consume -q -g g T)" $'a year ahead\nstays'
	is "$(mq-consume -q -g g T)" ''
}

@test "set forward under who follows, it is passed over; set back, it is there again" {
	mq-publish --ttl 30m -m first T
	follow mq-consume -f -n 3 T
	mq-publish -p 0 --ttl 30m -m seen T
	until_true grep -q seen got
	clock_set $HOUR
	mq-publish --ttl 30m -m over T
	mq-publish -m third T
	ended "$pid"
	is "$(cat got)" $'first\nseen\nthird'
	is "$(mq-consume T)" $'first\nseen\nover\nthird'
}

# --- the window of ids ---

@test "an id is held in the window of the clock, one of a year ahead as long; set back it is not forgotten" {
	mq-topic create T dedupe.ms=10m
	mq-publish --id a -m a T
	clock_off $YEAR mq-publish --id b -m b T
	for by in 0 -$HOUR 300; do
		clock_off "$by" mq-publish -q --id a -m 'a again' T
		clock_off "$by" mq-publish -q --id b -m 'b again' T
	done
	is "$(mq-consume T)" $'a\nb'
	clock_off $HOUR mq-publish --id a -m 'after the window' T
	is "$(mq-consume T)" $'a\nb\nafter the window'
	mq-check
}

@test "a segment that was made by a clock that had been set back does not end the window of the ids before it" {
	local x
	x=$(head -c 500 /dev/zero | tr '\0' x)
	mq-topic create T dedupe.ms=10m segment.bytes=1M
	mq-publish --id a -m a T
	seq -f "back%g $x" 3000 | clock_off -$HOUR mq-publish -q --id-field 1 T
	seq -f "then%g $x" 3000 | mq-publish -q --id-field 1 T
	[ "$(ls "$MQ_SPOOL"/topics/T/0/*.seg | wc -l)" -ge 3 ]
	mq-publish -q --id a -m 'a again' T
	is "$(mq-consume --id a T)" a
}

@test "the ids that a group has done are remembered over a jump back" {
	mq-publish --id a -m a T
	is "$(mq-consume -q -g g --once --once-window 10m T -- echo did)" did
	mq-publish --id a -m a T
	is "$(clock_off -$HOUR mq-consume -q -g g --once --once-window 10m T -- echo did)" ''
	mq-publish --id a -m a T
	is "$(clock_off $HOUR mq-consume -q -g g --once --once-window 10m T -- echo did)" did
}

# --- retention ---

@test "retention stops at a jump either way, and a batch of a year ahead neither saves nor dooms what lies beside it" {
	mq-topic create T segment.bytes=1M retention.ms=30m
	head -c 1200000 /dev/zero | tr '\0' 'a' | fold -w 999 | mq-publish T
	clock_off $YEAR mq-publish -m 'a year ahead' T
	head -c 1200000 /dev/zero | tr '\0' 'b' | fold -w 999 | mq-publish T
	n=$(mq-consume T | wc -l)
	mq-retain
	for by in $HOUR -$HOUR $YEAR; do
		fails 75 clock_off "$by" mq-retain
		has "$said" 'the clock jumped by'
		is "$(mq-consume T | wc -l)" "$n"
	done
	mq-retain
	is "$(mq-consume T | wc -l)" "$n"
	clock_off -$HOUR mq-retain --force # nothing is older than by the other clock
	is "$(mq-consume T | wc -l)" "$n"
	clock_off $HOUR mq-retain --force
	[ "$(mq-consume T | wc -l)" -lt "$n" ]
	mq-check
}

# --- waits ---

@test "--until-idle waits as long as it says, whatever the clock does" {
	for by in $HOUR -$HOUR; do
		mq-publish -m first "T$by"
		begun=$(uptime_ms)
		follow mq-consume -f --until-idle 2s "T$by"
		clock_set $by
		ended "$pid"
		lasted 1990
	done
}

@test "--timeout gives up after as long as it says, whatever the clock does" {
	mq-topic create T max.messages=1 when.full=block
	mq-publish -m x T
	for by in $HOUR -$HOUR; do
		clock_set 0
		begun=$(uptime_ms)
		clock_follows mq-publish --timeout 3s -m y T 2> told &
		pid=$! got=0
		until_true test -s told # that it waits for space
		clock_set $by
		until_true gone "$pid"
		wait "$pid" || got=$?
		is "$got" 75
		lasted 2990
	done
	is "$(mq-consume T)" x
}

# --- replay ---

@test "replay from a time begins at the first batch that reaches it: one of a year ahead hides nothing behind it" {
	mq-publish -m a T
	clock_off $YEAR mq-publish -m 'a year ahead' T
	mq-publish -m b T
	clock_off -$HOUR mq-publish -m 'an hour behind' T
	is "$(mq-replay -o @-10m..end T)" $'a\na year ahead\nb\nan hour behind'
	is "$(mq-replay -o @-2h..end T)" $'a\na year ahead\nb\nan hour behind'
	is "$(mq-replay -o @+10m..end T)" $'a year ahead\nb\nan hour behind'
	is "$(clock_off $HOUR mq-replay -o @-30m..end T)" $'a year ahead\nb\nan hour behind'
	is "$(clock_off -$HOUR mq-replay -o @-30m..end T)" $'a\na year ahead\nb\nan hour behind'
	is "$(mq-replay -o @-2h..@+1h T)" a
}
