#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
# Who holds something of a partition and is not its owner is named: evicted members that live, what killed ones left, who was
# stopped with a lock in its hand.
load one_spool

setup() {
	in_a_spool
	children=()
}

teardown() { for pid in "${children[@]}"; do kill -KILL "$pid" 2> /dev/null || true; done; }

stopped() { grep -qs '^State:.T' "/proc/$1/status"; }
gone() { ! kill -0 "$1" 2> /dev/null; }
shows() { mq-group show -g g "${@:2}" | grep -qE "$1"; }

# A member that stands still with T in its hands: $member, its name in $name.
hangs() {
	mq-consume -f --manual -g g T > out 2> said-by-member &
	member=$!
	children+=($member)
	until_true shows "pid $member on" T
	name=$(mq-group show -g g T | sed -n "s/.* \([0-9a-f]\{16\}\) pid $member .*/\1/p")
	stop_at_rest $member
}

# A tool that stops itself where the rule says so: $held.
held() { # RULE TOOL [ARGUMENT ...]
	MQ_TEST_FAULT=$1 "$MQ_BUILD/tests/traced/$2" "${@:3}" > held-out 2> held-said < /dev/null &
	held=$!
	children+=($held)
	until_true stopped $held
}

@test "an evicted member that lives is shown with its process, until it ends" {
	seq 3 | mq-publish T
	hangs
	mq-group evict -g g T:0 > /dev/null
	shows "^g +T +0 +- +- +- +- +- +$name pid $member \(evicted, stopped\)$" T
	has "$(mq-group show -g g --json T)" ",\"evicted\":[{\"member\":\"$name\",\"pid\":$member,\"state\":\"evicted\",\"stopped\":true,\"generation\":0}],"
	is "$(mq-group show -g g --json T | wc -l)" 1
	first=$member first_name=$name
	hangs
	mq-group evict -g g --member $member > /dev/null
	is "$(mq-group show -g g T | grep -c '(evicted, stopped)')" 2
	shows "^g +$name +$member +- +- +evicted +" --members
	shows "^g +$first_name +$first +[^ ]+ +- +stopped +" --members # it is a member, that was evicted from one partition
	kill -CONT $first $member
	until_true gone $first
	until_true gone $member
	mq-group show -g g | grep evicted && return 1
	mq-group show -g g --json | grep evicted && return 1
	is "$(mq-consume -g g T)" $'1\n2\n3'
}

@test "what a killed member's handler left is named, each process that has the lock" {
	seq 3 | mq-publish T
	mq-consume -g g T -- sh -c 'sleep 60 & echo $! > pid; touch begun; wait' &
	member=$!
	children+=($member)
	until_true test -e begun
	kill -KILL $member
	wait $member || true
	left=$(cat pid)
	children+=($left)
	until_true shows "a killed member's handler lives on: pid $left\)"
	has "$(mq-group show -g g --json T)" "\"handler_pids\":[$left],\"handler_left\":true"
	mq-group evict -g g T:0 > /dev/null
	mq-group show -g g T | grep "lives on" && return 1
	kill $left
}

@test "the same where records were shared" {
	seq 3 | mq-publish T
	mq-consume --share -g g T -- sh -c 'sleep 60 & echo $! > pid; touch begun; wait' &
	member=$!
	children+=($member)
	until_true test -e begun
	kill -KILL $member
	wait $member || true
	left=$(cat pid)
	children+=($left)
	until_true sh -c "mq-group show -g g --json T | grep -qF '\"handler_pids\":[$left]'"
}

@test "who waits for the lock of one that was stopped says after a second whom it waits for, and show names him" {
	seq 3 | mq-publish T
	mkfifo go
	exec 5<> go
	mq-consume -g g -n 1 T -- sh -c 'cat > first; echo >> first; read -r line < go' 2> said-by-member &
	member=$!
	children+=($member)
	until_true grep -qs 1 first
	# It has read the place, and not yet written it elsewhere.
	held pwrite:1:path=/offsets:stop-before mq-group evict -g g T:0
	shows "^g +T +0 +- +- +- +- +- +\(pid $held, stopped, holds a lock that the owner waits for\)$" T
	has "$(mq-group show -g g --json T)" "\"waits_for\":[$held]"
	echo >&5
	until_true grep -q "waiting for pid $held (stopped), which holds the lock of acknowledgements" said-by-member
	is "$(grep -c 'waiting for' said-by-member)" 1
	kill -CONT $held
	until_true gone $held
	until_true gone $member
	mq-group show -g g T | grep 'holds a lock' && return 1
	is "$(mq-consume -g g T)" $'1\n2\n3'
}

@test "with --timeout the wait ends by itself, and the evictor's death lets the owner go on" {
	seq 3 | mq-publish T
	mkfifo go
	exec 5<> go
	mq-consume -g g -n 1 T -- sh -c 'cat > first; echo >> first; read -r line < go' 2> said-by-member &
	member=$!
	children+=($member)
	until_true grep -qs 1 first
	held pwrite:1:path=/offsets:stop-before mq-group evict -g g T:0
	echo >&5
	until_true grep -q 'waiting for' said-by-member
	kill -KILL $held
	until_true gone $member
	wait $member
	is "$(mq-consume -g g T)" $'2\n3'
}
