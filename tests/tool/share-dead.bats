#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Retries and dead letters of a work queue (--share).
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

shares() { # NAME ARGUMENT ...: in the background; its pid to $NAME
	local name=$1
	shift
	mq-consume --share -g g "$@" > "$name.out" 2> "$name.said" &
	members+=($!)
	eval "$name=$!"
}

field() { # NAME: of the group's first partition in T
	mq-group show -g g --json T:0 | sed -n "1s/.*\"$1\":\([^,}]*\).*/\1/p"
}
stands() { [ "$(field "$1")" = "$2" ]; }
letters() { mq-consume T.dead 2> /dev/null | sort -n; }
has_letters() { [ "$(letters | wc -l)" = "$1" ]; }
of_letter() { # PAYLOAD NAME: a header of that dead letter
	mq-consume --json T.dead | python3 -c '
import json, sys
for line in sys.stdin:
    o = json.loads(line)
    if o["payload"] == sys.argv[1]:
        print(o["headers"].get(sys.argv[2], "-"))' "$1" "$2"
}

@test "of four members' records one in ten fails always: each of these is dead once, and all others are done once" {
	seq 200 | mq-publish T
	for i in 1 2 3 4; do
		shares "m$i" --retries 2 --backoff 5ms -j 2 T -- sh -c 'read -r x; echo $x >> tried; [ $((x % 10)) != 0 ] || { echo "not $x" >&2; exit 1; }; echo $x'
	done
	for pid in "${members[@]}"; do wait "$pid"; done
	is "$(sort -n m*.out)" "$(seq 200 | grep -v '0$')"
	is "$(letters)" "$(seq 10 10 200)"
	is "$(grep -c '^10$' tried)" 3
	is "$(field committed)" 200
	is "$(of_letter 10 mq-origin)" T:0:9
	is "$(of_letter 10 mq-attempts)" 3
	is "$(of_letter 10 mq-reason)" failed
	is "$(of_letter 10 mq-stderr)" 'not 10'
	mq-check -q
}

@test "what is rejected is dead at once, without --retries, and what fails ends the run" {
	seq 5 | mq-publish T
	mq-consume --share -g g T -- sh -c 'read -r x; [ $x != 2 ] || exit 100; echo $x' > out
	is "$(cat out)" "$(printf '%s\n' 1 3 4 5)"
	is "$(letters)" 2
	echo 6 | mq-publish T
	fails 75 mq-consume --share -g g T -- false
	has "$said" 'T:0:5: its handler failed with status 1; the run ends here'
	is "$(letters)" 2
}

@test "while a record waits to be tried again, its member goes on with the others" {
	seq 4 | mq-publish T
	shares m --retries 1 --wait-retries --backoff 4s -f T -- sh -c 'read -r x; echo "$x:$MQ_ATTEMPT" >> tried; [ $x != 1 ]'
	until_true lines tried 4
	is "$(cat tried)" "$(printf '%s\n' 1:1 2:1 3:1 4:1)"
	until_true has_letters 1
	is "$(tail -1 tried)" 1:2
}

@test "attempts that other members gave back as failed count" {
	echo x | mq-publish T
	fails 75 mq-consume --share -g g T -- false
	fails 75 mq-consume --share -g g T -- false
	mq-consume --share -g g --retries 3 --backoff 1ms T -- sh -c 'echo $MQ_ATTEMPT >> tried; exit 1'
	is "$(cat tried)" "$(printf '%s\n' 3 4)"
	is "$(of_letter x mq-attempts)" 4
}

@test "what has long to wait is put aside, and comes back to the group with its attempts, to whichever member" {
	seq 3 | mq-publish T
	mq-consume --share -g g --retries 2 --backoff 1100ms T -- sh -c 'read -r x; echo "$x:$MQ_ATTEMPT" >> tried; [ $x != 2 ]' 2> said
	has "$(cat said)" 'put aside'
	is "$(field committed)" 3
	shares m --retries 2 --backoff 1100ms -f T -- sh -c 'read -r x; echo "$x:$MQ_ATTEMPT" >> tried; [ $x != 2 ]'
	until_true has_letters 1
	is "$(cat tried)" "$(printf '%s\n' 1:1 2:1 3:1 2:2 2:3)"
	is "$(of_letter 2 mq-origin)" T:0:1
	is "$(of_letter 2 mq-attempts)" 3
	is "$(mq-consume -g other T)" "$(seq 3)"
}

@test "with --wait-retries nothing is put aside, and the run ends when all is done or dead" {
	seq 3 | mq-publish T
	mq-consume --share -g g --retries 1 --backoff 1100ms --wait-retries T -- sh -c 'read -r x; echo "$x:$MQ_ATTEMPT" >> tried; [ $x != 2 ]'
	is "$(cat tried)" "$(printf '%s\n' 1:1 2:1 3:1 2:2)"
	is "$(letters)" 2
	is "$(field committed)" 3
}

@test "a handler that takes too long has failed, and its record is dead after its retries" {
	echo x | mq-publish T
	mq-consume --share -g g --retries 1 --backoff 1ms --time-limit 1s T -- sh -c 'echo . >> tried; exec sleep 60'
	is "$(wc -l < tried)" 2
	is "$(of_letter x mq-reason)" 'timed out'
}

@test "of a batch each record is dead; a coproc's answers count as a handler's status" {
	seq 6 | mq-publish T
	mq-consume --share -g g --batch 3 T -- sh -c 'grep -q 5 && exit 100; exit 0'
	is "$(letters)" "$(seq 4 6)"
	seq 7 12 | mq-publish T
	mq-consume --share -g g --retries 1 --backoff 1ms --coproc T -- sh -c 'while read -r x; do [ $x = 8 ] && echo "fail no $x" || echo ok; done'
	is "$(letters)" "$(seq 4 6; echo 8)"
	is "$(of_letter 8 mq-said)" 'no 8'
	is "$(field committed)" 12
}

@test "dead letters that are put back are handled by members that share" {
	seq 20 | mq-publish T
	mq-consume --share -q -g g T -- sh -c 'read -r x; [ $((x % 5)) != 0 ] || exit 100'
	is "$(letters)" "$(seq 5 5 20)"
	mq-replay --dead-letters -g g T
	for i in 1 2; do shares "m$i" T -- sh -c 'read -r x; echo $x'; done
	for pid in "${members[@]}"; do wait "$pid"; done
	is "$(sort -n m*.out)" "$(seq 5 5 20)"
}

@test "killed between the intent and what it moves: the member beside it finishes that, and runs no handler for it" {
	seq -f 'hold-%g' 1 | mq-publish T
	mq-consume --share -q -g g T -- sh -c 'exit 100'
	finished=0
	handler='read -r x; echo "$x" >> "$0"; case $x in hold-*) until [ -e "go-$x" ]; do sleep 0.01; done;; esac; exit 100'
	shares other -q -f T -- sh -c "$handler" other
	for n in $(seq 2 14); do # at each of its syncs in turn
		echo "hold-$n" | mq-publish T
		until_true grep -qsx "hold-$n" other
		echo "$n" | mq-publish T
		status=0
		MQ_TEST_FAULT=fdatasync:$((n - 1)):kill-after "$MQ_BUILD/tests/traced/mq-consume" --share -q -g g T -- sh -c "$handler" one || status=$?
		was=$(letters)
		touch "go-hold-$n"
		until_true stands committed $((2 * n - 1))
		is "$(letters | grep -cx "$n")" 1
		if grep -qsx "$n" one && ! grep -qx "$n" other && ! grep -qx "$n" <<< "$was"; then
			finished=$((finished + 1))
		fi
		if grep -qx "$n" other; then fails 1 grep -qx "$n" <<< "$was"; fi
		[ "$status" = 137 ] || break
	done
	is "$status" 0
	[ "$finished" -gt 0 ]
	is "$(letters | sort | uniq -d)" ''
}

@test "members are killed over and over: each record is done or dead, and dead once" {
	seq 120 | mq-publish T
	mq-topic create T.dead
	handler='read -r x; echo $x >> tried; [ $((x % 3)) != 0 ] || exit 100; echo $x >> "$0"'
	for round in 1 2 3 4 5 6 7 8; do
		members=()
		for i in 1 2 3; do shares "m$i" -q -f --retries 1 --backoff 1ms T -- sh -c "$handler" done; done
		at=$((round * 12))
		until_true sh -c "[ \$(sort -u tried 2> /dev/null | wc -l) -ge $at ]"
		for pid in "${members[@]}"; do kill -9 "$pid" 2> /dev/null || true; done
		for pid in "${members[@]}"; do wait "$pid" 2> /dev/null || true; done
	done
	mq-consume --share -q -g g T -- sh -c "$handler" done
	is "$(letters)" "$(seq 3 3 120)"
	is "$(sort -nu done)" "$(seq 120 | awk '$1 % 3')"
	is "$(field committed)" 120
	mq-check -q
}

@test "who is evicted while its handler is at work puts nothing away: the record is another member's" {
	echo x | mq-publish T
	shares first -f T -- sh -c 'echo begun >> begun; until [ -e go ]; do sleep 0.01; done; exit 100'
	until_true test -s begun
	mq-group evict -g g --member "$first"
	touch go
	wait "$first" || status=$?
	is "$status" 75
	is "$(letters)" ''
	is "$(mq-consume --share -g g T -- sh -c 'read -r x; echo "$x"')" x
	is "$(letters)" ''
}

@test "without --share what is dead stays so, and a transfer left open by a member alone is finished before anything is shared" {
	seq 3 | mq-publish T
	mq-consume -q -g g T -- sh -c 'exit 100'
	is "$(letters)" "$(seq 3)"
	seq 4 6 | mq-publish T
	MQ_TEST_FAULT=fdatasync:1:kill-after run "$MQ_BUILD/tests/traced/mq-consume" -q -g g T -- sh -c 'exit 100'
	is "$status" 137
	mq-consume --share -g g T -- sh -c 'read -r x; echo "$x" >> tried'
	is "$({ letters; cat tried; } | sort -n)" "$(seq 6)"
	mq-consume --share -g g T -- sh -c 'echo again >> tried'
	is "$(grep -c again tried)" 0
	mq-check -q
}

@test "what has expired is a dead letter where the topic says so, and no handler gets it" {
	mq-topic create T expired.dead=true
	mq-publish --ttl 1ms -m late T
	mq-publish -m here T
	seq -f 'late %g' 3 | mq-publish --ttl 1ms T
	mq-publish -m there T
	until [ "$(mq-replay --expired --dry-run T | tail -n 1 | cut -d ' ' -f 1)" = 4 ]; do :; done
	is "$(mq-consume -q --share -g g -j 2 T -- sh -c 'echo "$(cat)"' | sort)" $'here\nthere'
	is "$(mq-consume T.dead)" $'late\nlate 1\nlate 2\nlate 3'
	is "$(of_letter late mq-reason)" expired
	is "$(field committed)" 6
	is "$(field expired)" 4
	is "$(mq-consume -q --share -g g T -- cat)" ''
	is "$(mq-consume -q --share -g batches --batch 10 T -- cat)" $'here\nthere'
	is "$(mq-consume T.dead | wc -l)" 8
	mq-check
}
