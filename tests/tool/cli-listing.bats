#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Lists and tables: what is asked for and is not there is told, and one bad place hides no other.

bats_require_minimum_version 1.5.0

setup() {
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool"
}

spoil() { # TOPIC: its configuration no longer holds
	echo nonsense >"$MQ_SPOOL/topics/$1/topic.conf"
}

@test "a list of topics looks at none of them" {
	mq-publish -m x a
	mq-publish -m x b
	spoil a
	run -0 --separate-stderr mq-topic list
	[ "$output" = $'a\nb' ]
	[ -z "$stderr" ]
}

@test "one bad topic does not hide the others, and its status is the list's" {
	for topic in a b c; do mq-publish -m x $topic; done
	spoil b
	run -78 --separate-stderr mq-topic list -v
	[ "${#lines[@]}" -eq 4 ]
	[[ ${lines[2]} =~ ^b\ +\?\ +\?\ +\?$ ]]
	[[ ${lines[3]} =~ ^c\ +1\ +1\  ]]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *topics/b*topic.conf* ]]
	run -78 --separate-stderr mq-topic list --json
	[ "${#lines[@]}" -eq 2 ]
}

@test "one bad topic does not hide the places of the others" {
	for topic in a b c; do
		mq-publish -m x $topic
		mq-consume -g g $topic
		mq-consume -g h $topic
	done
	spoil b
	run -78 --separate-stderr mq-group show
	[ "$(printf '%s\n' "$output" | awk '{ print $1 $2 }' | paste -sd ' ')" = 'GROUPTOPIC ga gc ha hc' ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	run -78 --separate-stderr mq-group show -g g --json
	[ "${#lines[@]}" -eq 2 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
}

@test "a place in a topic that was deleted is not told of, and hides no other" {
	for topic in a b; do
		mq-publish -m x $topic
		mq-consume -g g $topic
	done
	mq-topic delete --force a
	run -0 --separate-stderr mq-group show
	[ "${#lines[@]}" -eq 2 ]
	run -0 mq-group show -g g
	[ "${#lines[@]}" -eq 2 ]
}

@test "what is shown must be there" {
	mq-publish -m x t
	mq-publish -m x u
	mq-consume -g g t
	for what in nosuch '-g nosuch' '-g g nosuch' 't:99' '-g g t:99' '-g g -p 7 t' u '-g g u'; do
		run -66 --separate-stderr mq-group show $what
		[ -z "$output" ]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
	run -0 mq-group show t:0
	[ "${#lines[@]}" -eq 2 ]
}

@test "who may only read sees places and lag, and that owners are not for it to see" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root, to be somebody else'
	printf '%s\n' 1 2 3 | mq-publish t
	mq-consume -g g -n 1 t
	chgrp -R 12345 "$MQ_SPOOL"
	path=$BATS_TEST_TMPDIR
	while [ "$path" != / ]; do
		chmod o+x "$path"
		path=$(dirname "$path")
	done
	run -0 --separate-stderr setpriv --reuid 12346 --regid 12345 --clear-groups "$(command -v mq-group)" show -g g
	[[ ${lines[1]} =~ ^g\ +t\ +0\ +1\ +3\ +2\ +0\ +0\ +\?$ ]]
	[ -z "$stderr" ]
	run -0 setpriv --reuid 12346 --regid 12345 --clear-groups "$(command -v mq-group)" show -g g --json
	[[ $output == *'"owned":null'* ]]
}

@test "a dry seek asks what the real one asks" {
	printf '%s\n' 1 2 3 | mq-publish t
	mkfifo "$BATS_TEST_TMPDIR/out"
	mq-consume -f -g g t >"$BATS_TEST_TMPDIR/out" &
	exec 9<"$BATS_TEST_TMPDIR/out"
	read -r -t 10 -u 9 line
	run -75 --separate-stderr mq-group seek -g g -o 0 --dry-run t
	[ -z "$output" ]
	dry=$stderr
	run -75 --separate-stderr mq-group seek -g g -o 0 t
	[ "$stderr" = "$dry" ]
	[[ $stderr == *"pid $!"* ]]
	kill $!
	wait $! || true
	run -0 mq-group seek -g g -o 0 --dry-run t
	run -0 mq-group seek -g unborn -o 0 --dry-run t
	[ "$(mq-group list -q)" = g ]
}

@test "an offset is a place in one partition: nobody sets several to it by mistake" {
	mq-topic create t --partitions 2
	seq 4 | mq-publish -p 1 t
	mq-consume -g g t >/dev/null
	run -64 --separate-stderr mq-group seek -g g -o 3 t
	[[ $stderr == *"name one"* ]]
	run -0 mq-group seek -g g -o 3 t:1
	[ "$output" = 't:1: 4 -> 3' ]
	run -0 mq-group seek -g g -o 0 t
	run -64 mq-group seek -g g -o 3 --force t
	run -0 mq-group seek -g g -o end t
}

@test "a group's place in one topic goes, and that is what is said" {
	mq-publish -m x t
	mq-publish -m x u
	mq-consume -g g t u >/dev/null
	run -0 --separate-stderr mq-group delete --dry-run -g g t
	[ "$stderr" = 'mq-group: g: its place in t would be deleted' ]
	run -0 mq-group delete -g g t
	[ "$(mq-group show -g g --json | jq -r .topic)" = u ]
}

@test "members are shown with their process, and one that was stopped as such" {
	mq-topic create t --partitions 1
	printf '%s\n' 1 2 3 | mq-publish t
	mkfifo "$BATS_TEST_TMPDIR/out"
	mq-consume -f -g g t >"$BATS_TEST_TMPDIR/out" &
	owner=$!
	exec 9<"$BATS_TEST_TMPDIR/out"
	read -r -t 10 -u 9 line
	mq-consume -f -g g t >/dev/null 9<&- &
	idle=$!
	until [ "$(mq-group show -g g --json | grep -c '"state":"running"')" = 2 ]; do :; done
	run -0 mq-group show -g g
	[[ ${lines[1]} =~ ^g\ +t\ +0\ .*\ pid\ $owner\ on\ [^\ ]+$ ]]
	[[ ${lines[2]} =~ ^g\ +-\ +-\ .*\ pid\ $idle\ on\ [^\ ]+$ ]]
	[ "$(mq-group show -g g --json | jq -r 'select(.topic == null).pid')" = "$idle" ]
	kill -STOP $owner
	until mq-group show -g g | grep -q "pid $owner on .* (stopped)$"; do :; done
	[ "$(mq-group show -g g --json t | jq -r .state)" = stopped ]
	kill -CONT $owner
	until ! mq-group show -g g | grep -q stopped; do :; done
	kill $owner $idle
	wait $owner $idle || true
	[ "$(mq-group show -g g --json | jq -s length)" = 1 ]
}
