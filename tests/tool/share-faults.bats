#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# Members that share a partition, killed at their calls, without space, with failing syncs and flipped bits.
load one_spool
load flip

setup() {
	in_a_spool
	members=()
}

teardown() {
	for member in "${members[@]}"; do
		kill -9 "$member" 2> /dev/null || true
	done
}

echoes='while read -r x; do echo "$x" >> handled; echo ok; done'
shares() { mq-consume --share -g g "$@"; }
traced() { # RULES ARGUMENT ...
	MQ_TEST_FAULT=$1 "$MQ_BUILD/tests/traced/mq-consume" --share -g g "${@:2}"
}
field() {
	mq-group show -g g --json T:0 | sed -n "1s/.*\"$1\":\([^,}]*\).*/\1/p"
}
stands() { [ "$(field "$1")" = "$2" ]; }
claimed() { echo "$MQ_SPOOL/groups/g/topics/T/claimed.0"; }

# All of 1 .. N were handled, at most TWICE of them once more.
all_handled() { # N TWICE
	is "$(sort -nu handled)" "$(seq "$1")"
	[ "$(wc -l < handled)" -le $(($1 + $2)) ]
	is "$(field committed)" "$1"
	is "$(mq-check)" ''
}

@test "a member that is killed at any call of claimed.P, while a half is turned, too, loses nothing and repeats one record" {
	for n in $(seq 1 2 36); do
		rm -rf "$MQ_SPOOL" handled
		seq 2060 | mq-publish T
		shares -n 2040 --coproc T -- sh -c "$echoes"
		traced "*:$n:path=claimed.0:kill-after" --coproc T -- sh -c "$echoes" 2> /dev/null && [ "$n" -gt 30 ]
		shares --coproc T -- sh -c "$echoes" 2> said
		is "$(cat said)" ''
		all_handled 2060 1
	done
}

@test "a member that is killed at any call while it begins leaves others to begin" {
	seq 3 | mq-publish T
	for n in $(seq 1 5 120); do
		mq-group delete -g g 2> /dev/null || true
		rm -f handled
		traced "*:$n:kill-after" -n 1 T -- sh -c 'echo "$(cat)" >> handled' 2> /dev/null || true
		shares T -- sh -c 'echo "$(cat)" >> handled'
		all_handled 3 1
	done
}

@test "after a failed sync claimed.P is replaced, and who shares goes on in the new one" {
	seq 300 | mq-publish T
	mq-consume --share -g g -f T -- sh -c 'read -r x; echo "$x" >> handled; [ -e replaced ] || sleep 0.05' 2> other &
	members+=($!)
	until_true [ -s handled ]
	before=$(stat -c %i "$(claimed)")
	traced "fdatasync:1:path=claimed:EIO" -n 20 --coproc T -- sh -c "$echoes" 2> said
	touch replaced
	has "$(cat said)" 'cannot sync claimed.0: input/output error; the file was replaced, and nothing is lost'
	[ "$(stat -c %i "$(claimed)")" != "$before" ]
	[ ! -e "$(claimed).failed" ]
	seq 301 310 | mq-publish T
	until_true stands committed 310
	is "$(cat other)" ''
	all_handled 310 0
}

@test "who is killed while it replaces claimed.P leaves that to the next" {
	for n in $(seq 1 12); do
		rm -rf "$MQ_SPOOL" handled
		seq 30 | mq-publish T
		traced "fdatasync:1:path=claimed:EIO,*:$((n + 20)):path=/T/:kill-after" -n 5 --coproc T -- sh -c "$echoes" 2> /dev/null || true
		traced "fdatasync:1:path=claimed:EIO,*:$n:path=claimed.0.failed:kill-after" -n 5 --coproc T -- sh -c "$echoes" 2> /dev/null || true
		shares --coproc T -- sh -c "$echoes" 2> /dev/null
		all_handled 30 2
		[ ! -e "$(claimed).failed" ]
	done
}

epoch() { # of the half that counts
	for at in 112 $((131072 + 112)); do
		od -An -tu8 -j "$at" -N 8 "$(claimed)"
	done | sort -n | tail -1
}

@test "who begins to share alone writes what was done once more: its writer may have been killed when a sync had failed" {
	seq 100 | mq-publish T
	shares -n 5 --coproc T -- sh -c "$echoes"
	for n in 4 5 6; do # three are of the beginning
		traced "fdatasync:$n:path=claimed:EIO,openat:1:path=claimed.0.failed:kill" -n 10 --coproc T -- sh -c "$echoes" 2> /dev/null || true
		[ ! -e "$(claimed).failed" ]
		before=$(epoch)
		shares -n 1 --coproc T -- sh -c "$echoes"
		[ "$(epoch)" -gt "$before" ]
	done
	shares --coproc T -- sh -c "$echoes"
	all_handled 100 30
}

@test "who joins and finds that a sync had failed replaces the file, and those who share go on in the new one" {
	seq 30 | mq-publish T
	mq-consume --share -g g -f T -- sh -c 'read -r x; echo "$x" >> handled' 2> other &
	members+=($!)
	until_true stands committed 30
	before=$(stat -c %i "$(claimed)")
	touch "$(claimed).failed"
	mq-consume --share -g g -f T -- sh -c 'read -r x; echo "$x" >> handled' 2> second &
	members+=($!)
	until_true [ ! -e "$(claimed).failed" ]
	[ "$(stat -c %i "$(claimed)")" != "$before" ]
	seq 31 60 | mq-publish T
	until_true stands committed 60
	is "$(cat other second)" ''
	all_handled 60 0
}

@test "without space nothing is shared, which is told, and later it is" {
	seq 3 | mq-publish T
	fails 75 traced "write:1:path=tmp:ENOSPC" T
	has "$said" 'cannot write claimed.0: no space left on device'
	is "$(shares T)" "$(seq 3)"
}

@test "once it is made a full disk keeps nobody from sharing" {
	seq 100 | mq-publish T
	shares -n 10 T > /dev/null
	is "$(traced "fallocate:1:ENOSPC:ever,write:1:path=groups:ENOSPC:ever" T 2>&1 | tail -1)" 100
	is "$(field committed)" 100
}

damage_told() { # BYTE: flipped; the first ten are done
	rm -rf "$MQ_SPOOL" handled
	seq 30 | mq-publish T
	# The first of them stays, so that what is done stands in the file alone.
	fails 75 shares -n 10 -j 10 T -- sh -c 'read -r x; [ "$x" != 1 ] && echo $x >> handled'
	flip "$(claimed)" "$1"
	has "$(mq-check 2>&1 || true)" 'claimed.0'
	fails 2 shares --coproc T -- sh -c "$echoes"
	has "$said" 'claimed.0 did not verify at 1 places'
	has "$said" 'may be given out once more'
	is "$(sort -nu handled)" "$(seq 30)"
	is "$(mq-check)" ''
	is "$(shares T)" ''
}
@test "a flipped bit of what is done or taken is told, and takes no record away" {
	for at in 129 135 150 170 200 300; do damage_told $at; done
}

@test "a flipped bit in the head is told, and takes no record away" {
	for at in 0 9 20 33 41 113 126; do damage_told $at; done
}

@test "who finds damage while others share is refused, and they go on" {
	seq 30 | mq-publish T
	mq-consume --share -g g -f T -- sh -c 'read -r x; echo "$x" >> handled' &
	one=$!
	members+=($one)
	until_true stands committed 30
	flip "$(claimed)" 170
	fails 2 shares T
	has "$said" 'does not verify at byte 160, and other members share it: stop them all, and begin again'
	seq 31 40 | mq-publish T
	until_true stands committed 40
	kill $one
	wait $one || true
	fails 2 shares T
	is "$(sort -nu handled)" "$(seq 40)"
}

@test "where no half verifies a group is shown all the same, with what is wrong and what mends it" {
	seq 30 | mq-publish -p 0 T
	seq 3 | mq-publish -p 0 U
	shares -n 10 T > /dev/null
	mq-consume -g g U > /dev/null
	flip "$(claimed)" 41
	flip "$(claimed)" $((131072 + 41))
	fails 2 mq-group show -g g --json
	has "$said" 'group g, T: claimed.0: neither half of it verifies'
	has "$said" 'the next mq-consume --share makes it anew from the place'
	has "$said" '"topic":"T","partition":0,"committed":10,"end":30,"lag":20'
	has "$said" '"topic":"U","partition":0,"committed":3'
	is "$(grep -c in_flight <<< "$said")" 0
	fails 2 mq-group show -g g
	has "$said" 'unknown'
	# What it says mends it.
	fails 2 shares T
	is "$(mq-check)" ''
	is "$(field committed)" 30
	mq-group show -g g > shown
}

@test "fifty members at once" {
	seq 1000 | mq-publish T
	for _ in $(seq 50); do
		mq-consume --share -g g T -- sh -c 'read -r x; echo $x >> handled' 2>> said &
		members+=($!)
	done
	wait
	# Who begins says so when another that did stood still for a second.
	is "$(grep -v 'waiting for .* holds the lock of claims$' said)" ''
	all_handled 1000 0
}
