#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# How options are read, and what a wrong command line is told.  Nothing on disk changes by one.

bats_require_minimum_version 1.5.0

setup() {
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool"
}

refused() { # COMMAND... : 64, one line on stderr that names the tool, no spool
	run -64 --separate-stderr "$@"
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == "${1##*/}: "* ]]
	[ ! -e "$MQ_SPOOL" ]
}

@test "clusters, attached values, =values and options behind operands are all read" {
	mq-publish -vqm x orders -k key --tag=paid --id 7
	run -0 mq-consume -qn1 orders --format='%k %s\n'
	[ "$output" = 'key x' ]
	run -0 mq-consume -T paid --id=7 -t orders
	[ "$output" = x ]
}

@test "what stands behind -- is not an option" {
	refused mq-publish -m x -- -orders:x
	refused mq-consume -- orders
	[[ $stderr == *topic* ]]
	printf 'x\n' | mq-publish -- orders -
	run -0 mq-consume orders
	[ "$output" = x ]
}

@test "delimiters understand escapes" {
	refused mq-publish -D '\q' orders
	refused mq-publish -D '' orders
	refused mq-publish -D '\x0g' orders
	printf 'a\tb\0' | mq-publish -D '\0' -K '\t' orders
	run -0 mq-consume -K '\x3a' orders
	[ "$output" = a:b ]
}

@test "values that are none are refused by name" {
	refused mq-publish --ack sure -m x orders
	[[ $stderr == *"--ack sure"*durable* ]]
	refused mq-consume -n many orders
	refused mq-consume -f --until-idle soon orders
	refused mq-publish --rate fast orders
	refused mq-consume -p -1 orders
	refused mq-consume -p 9999999999 orders
	refused mq-consume -j 0 orders -- true
	refused mq-publish -H novalue -m x orders
	refused mq-publish --seq
	refused mq-publish --confirm=yes -m x orders
}

@test "options that contradict each other are refused" {
	refused mq-publish -k a -K : orders
	refused mq-publish --json --frame orders
	refused mq-publish --one -0 orders
	refused mq-publish -m x orders file
	refused mq-publish --seq 1 -m x orders
	refused mq-publish -p 1 -m x orders:2
	refused mq-publish -m x orders:0:7
	refused mq-consume --json --frame orders
	refused mq-consume --json -0 orders
	refused mq-consume -o 3 orders:0:4
	refused mq-consume orders:0:4 returns
	refused mq-consume --until-idle 1s orders
	refused mq-consume -f --until-idle 0 orders
	refused mq-consume -g g --manual --commit=before orders
	refused mq-publish --one -l orders
	refused mq-topic list --partitions 3
	refused mq-topic create orders --json
	refused mq-check --dry-run
}

@test "what needs a group or a handler says so" {
	refused mq-consume --manual orders
	[[ $stderr == *"-g GROUP"* ]]
	refused mq-consume --commit before orders
	refused mq-consume --batch 10 orders
	[[ $stderr == *"-- COMMAND"* ]]
	refused mq-consume -g g orders --
	refused mq-consume -g g --manual orders -- true
	refused mq-consume -g g --coproc --batch 3 orders -- true
	refused mq-consume -t orders orders
	refused mq-consume --raw orders -- cat
	refused mq-group seek -o end orders
	refused mq-group seek -g g orders
	refused mq-group commit
	refused mq-consume --once orders -- true
	[[ $stderr == *"-g GROUP"* ]]
	refused mq-consume --once -g g orders
	[[ $stderr == *"-- COMMAND"* ]]
	refused mq-consume --once --commit=before -g g orders -- true
	refused mq-consume --once --manual -g g orders
	refused mq-consume --once-window 1h -g g orders -- true
	refused mq-consume --once --once-window 0 -g g orders -- true
}

@test "a handler of one record is not promised what is for batches" {
	for form in -0 '-D x' '-K :' --json --frame '--format %s'; do
		refused mq-consume -g g $form orders -- cat
		[[ $stderr == *"--batch N"* ]]
	done
	mq-publish -k k -m v orders
	run -0 mq-consume -g g --batch 1 -K : orders -- cat
	[ "$output" = k:v ]
}

@test "what is missing is named" {
	refused mq-publish
	[[ $stderr == *topic* ]]
	refused mq-consume
	refused mq-topic
	refused mq-topic show
	refused mq-topic set orders
	refused mq-topic creat orders
	[[ $stderr == *"did you mean create?"* ]]
}

@test "bad names are refused, their control bytes made visible" {
	refused mq-publish -m x $'evil\e[31m'
	[[ $stderr != *$'\e'* ]]
	refused mq-publish -m x ../orders
	refused mq-publish -m x ..
	refused mq-topic create ''
}

@test "a spool that is not there is 66, and is not made by looking" {
	run -66 mq-consume orders
	[[ $output == *"$MQ_SPOOL"* ]]
	run -66 mq-topic list
	run -66 mq-group list
	run -66 mq-check
	[ ! -e "$MQ_SPOOL" ]
}

@test "-S goes before MQ_SPOOL, and MQ_SPOOL before the default" {
	mq-publish -S "$BATS_TEST_TMPDIR/other" -m there orders
	mq-publish -m here orders
	[ "$(mq-consume orders)" = here ]
	[ "$(mq-consume -S "$BATS_TEST_TMPDIR/other" orders)" = there ]
	if [ "$(id -u)" -ne 0 ]; then
		env -u MQ_SPOOL HOME="$BATS_TEST_TMPDIR" mq-publish -m home orders
		[ -d "$BATS_TEST_TMPDIR/.local/state/mq" ]
		run -78 env -u MQ_SPOOL -u HOME mq-publish -m home orders
	fi
}

@test "output that cannot be written is 74" {
	mq-publish -m x orders
	for command in 'mq-topic list' 'mq-topic show orders' 'mq-consume orders' 'mq-publish --confirm -m x orders' 'mq --help'; do
		run -74 --separate-stderr sh -c "$command >/dev/full"
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
	run -74 sh -c 'mq-topic list >&-'
}

@test "a listing whose reader has enough ends quietly" {
	for topic in a b c d; do mq-publish -m x "$topic"; done
	run -0 --separate-stderr bash -c 'set -o pipefail; mq-topic show a | true; mq-topic list | head -n 1'
	[ "$output" = a ]
	[ -z "$stderr" ]
}

@test "closed standard descriptors are never taken for a file of the spool" {
	sh -c 'mq-publish -m x orders <&- >&- 2>&-'
	sh -c 'mq-publish --confirm -m y orders 2>&-' >"$BATS_TEST_TMPDIR/out"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = orders:0:1 ]
	[ "$(mq-consume orders | paste -sd ' ')" = 'x y' ]
	mq-check
}

@test "confirmations leave while the input is still open" {
	mkfifo "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	mq-publish --confirm orders <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" &
	exec 8>"$BATS_TEST_TMPDIR/in" 9<"$BATS_TEST_TMPDIR/out"
	echo one >&8
	read -r -t 10 -u 9 line
	[ "$line" = orders:0:0 ]
	echo two >&8
	read -r -t 10 -u 9 line
	[ "$line" = orders:0:1 ]
	exec 8>&-
	wait $!
}

@test "a tool that was stopped dies of the signal, cleanly" {
	mq-publish -m x orders
	mkfifo "$BATS_TEST_TMPDIR/out"
	for signal in INT:130 TERM:143 HUP:129; do
		# A job of a shell without job control would ignore INT, one under nohup HUP.
		env --default-signal=INT,HUP mq-consume -f orders >"$BATS_TEST_TMPDIR/out" &
		pid=$!
		# The reader stays: one that left would end the follower before the signal does.
		exec 9<"$BATS_TEST_TMPDIR/out"
		read -r -t 10 -u 9 line
		[ "$line" = x ]
		kill -"${signal%:*}" $pid
		status=0
		wait $pid || status=$?
		exec 9<&-
		[ "$status" -eq "${signal#*:}" ]
	done
}

@test "a spool and a topic come into being once, however many publish first" {
	for round in 1 2 3 4 5; do
		rm -rf "$MQ_SPOOL"
		pids=()
		for i in {1..30}; do
			mq-publish --ack written -m "$i" orders &
			pids+=($!)
		done
		for pid in "${pids[@]}"; do
			wait "$pid"
		done
		[ "$(mq-consume orders | sort -n | paste -sd ' ')" = "$(seq 30 | paste -sd ' ')" ]
	done
	mq-check
}
