#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# What a group has done is not done again while its topic grows, and where a member was evicted.
load one_spool

setup() {
	in_a_spool
	members=()
}

teardown() {
	touch go
	for member in "${members[@]}"; do
		kill -CONT "$member" 2> /dev/null || true
		kill -9 "$member" 2> /dev/null || true
	done
}

once() { # NAME ARGUMENT ...: in the background; what it says goes to NAME.said, its pid to $NAME
	local name=$1
	shift
	mq-consume --once -g g "$@" > "$name.out" 2> "$name.said" &
	members+=($!)
	eval "$name=$!"
}
publish() { # ID PARTITION
	mq-publish --id "$1" -p "$2" -m "$1" T
}
field() { # NAME PARTITION
	mq-group show -g g --json "T:$2" | sed -n "1s/.*\"$1\":\([^,}]*\).*/\1/p"
}
stands() { [ "$(field "$1" "$2")" = "$3" ]; }
ended() { # PID STATUS
	local got=0
	wait "$1" || got=$?
	is $got "$2"
}

when_told='echo "$MQ_ID" >> begun; until [ -e go ]; do sleep 0.01; done; echo "$MQ_ID" >> done'
log='echo "$MQ_ID" >> done'

@test "while the topic grows under members and publishers each id is handled once" {
	mq-topic create --partitions 2 T
	for m in 1 2 3; do once "m$m" -f -j 2 --order none T -- sh -c "$log"; done
	for round in 1 2 3 4; do
		# Every id comes in each round, with keys that lead elsewhere after each growth.
		seq 40 | awk -v round=$round '{ print "id" $1, "of", round }' | mq-publish --id-field 1 T &
		publisher=$!
		[ $round = 1 ] || mq-rebalance T --partitions $((round * 2)) > /dev/null
		wait "$publisher"
	done
	lag() { [ "$(mq-group show -g g --json T | sed 's/.*"lag":\([0-9]*\).*/\1/' | sort -u)" = 0 ]; }
	until_true lag
	is "$(sort -u done | wc -l)" 40
	is "$(wc -l < done)" 40
	is "$(mq-topic show --json T | sed 's/.*"partitions":\([0-9]*\).*/\1/' | head -1)" 8
	for m in "$m1" "$m2" "$m3"; do kill "$m"; wait "$m" || true; done
	is "$(cat m1.out m2.out m3.out)" ''
	is "$(mq-check)" ''
}

@test "an id that an evicted member has in hand is waited for; what its handler ends well with, when it wakes, is done" {
	publish a 0
	publish b 0
	once one -f T -- sh -c "$when_told"
	until_true grep -qs a begun
	stop_at_rest "$one"
	mq-group evict -g g T:0 > /dev/null
	once two -f -j 2 --order none T -- sh -c "$log"
	until_true grep -qs b done # which need not wait for it
	until_true grep -q 'waiting for a record of the same id' two.said
	is "$(cat done)" b
	is "$(field committed 0)" 0
	touch go
	until_true grep -qs a done
	is "$(field committed 0)" 0 # nobody has marked it
	kill -CONT "$one"
	ended "$one" 75
	until_true stands committed 0 2
	is "$(sort done)" $'a\nb'
	is "$(cat begun)" a # it began nothing more
	publish a 0
	publish c 0
	until_true stands committed 0 4
	is "$(sort done)" $'a\nb\nc'
	is "$(mq-check)" ''
}

@test "an id that an evicted member failed with is free when it wakes" {
	publish a 0
	once one -f T -- sh -c 'echo a >> begun; until [ -e go ]; do sleep 0.01; done; exit 1'
	until_true grep -qs a begun
	stop_at_rest "$one"
	mq-group evict -g g T:0 > /dev/null
	once two -f T -- sh -c "$log"
	until_true grep -q 'waiting for a record of the same id' two.said
	touch go
	kill -CONT "$one"
	ended "$one" 75
	until_true stands committed 0 1
	is "$(cat done)" a
}

@test "an id that an evicted member had in hand is free when it is killed" {
	publish a 0
	once one -f T -- sh -c "$when_told"
	until_true grep -qs a begun
	stop_at_rest "$one"
	mq-group evict -g g T:0 > /dev/null
	once two -f T -- sh -c "$log"
	until_true grep -q 'waiting for a record of the same id' two.said
	kill -9 "$one"
	until_true stands committed 0 1
	is "$(cat done)" a
}

@test "of members that share one is evicted: what it has in hand is done once" {
	for id in a b c; do publish $id 0; done
	once one --share -f --prefetch 1 T -- sh -c "$when_told"
	until_true grep -qs a begun
	stop_at_rest "$one"
	once two --share -f -j 2 T -- sh -c "$log"
	until_true grep -qs c done
	mq-group evict -g g --member "$one" > /dev/null
	until_true grep -qs b done
	touch go
	until_true grep -qs a done
	kill -CONT "$one"
	ended "$one" 75
	until_true stands committed 0 3
	is "$(sort done)" $'a\nb\nc'
}
