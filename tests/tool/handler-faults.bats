#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
# Handlers when something beside them fails: the place never passes a record whose handler has not ended well.
load consume_faults

big_lines() { # N of them, a batch for each three
	local i
	for i in $(seq 0 3 $(($1 - 1))); do
		seq -f "%0.0f $(printf '%099000d' 0)" "$i" $((i + 2)) | mq-publish T
	done
}

unread_rest() {
	need_strace
	big_lines 9
	some=
	for n in $(seq 16); do
		got=0
		: > done
		faulty "$(segment T)" "pread64:error=EIO:when=$n+" mq-consume -g g$n --batch 4 T -- \
			sh -c 'cut -d " " -f 1 >> done' || got=$?
		[ $got = 74 ] || [ $got = 0 ] || { echo "when=$n: status $got: $(cat why)"; return 1; }
		place=$(at g$n T 2> /dev/null || echo 0)
		[ "$place" != null ] || place=0
		is "$(cat done)" "$(seq 0 $((place - 1)))"
		[ $got = 0 ] || [ "$place" = 0 ] || some=yes
		[ $got != 0 ] || break
	done
	is $got 0
	is "$some" yes
}
@test "what was taken for a batch and not given is not done" { each unread_rest; }

# All --jobs run to their end although nothing more can be read.
unread_rest_of_jobs() {
	need_strace
	big_lines 9
	for n in $(seq 16); do
		got=0
		: > done
		faulty "$(segment T)" "pread64:error=EIO:when=$n+" mq-consume -g g$n --order none -j 3 T -- \
			sh -c 'cut -d " " -f 1 >> done' || got=$?
		[ $got = 74 ] || [ $got = 0 ] || { echo "when=$n: status $got: $(cat why)"; return 1; }
		place=$(at g$n T 2> /dev/null || echo 0)
		[ "$place" != null ] || place=0
		is "$(sort -n done | head -n "$place")" "$(seq 0 $((place - 1)))"
		[ $got != 0 ] || break
	done
	is $got 0
}
@test "parallel handlers finish when nothing more can be read" { each unread_rest_of_jobs; }

without_lock() {
	need_strace
	seq 3 | mq-publish T
	# The lock is given up by name: a handler has the file open whenever it runs.
	cat > handler <<-'END'
		#!/bin/sh
		readlink /proc/$$/fd/* | grep -q '/locks$' || echo unlocked >> unlocked
	END
	chmod +x handler
	for call in openat2 fcntl; do
		for error in EPERM EIO; do
			for n in $(seq 12); do
				faulty "$([ $call = openat2 ] && echo locks || echo "$PWD/the-spool/groups/$call$error$n/topics/T/locks")" \
					"$call:error=$error:when=$n" mq-consume -g $call$error$n T -- ./handler || true
				[ ! -e unlocked ] || { echo "$call $error $n: $(cat why)"; return 1; }
			done
		done
	done
}
@test "no handler runs without the lock of its partition" { each without_lock; }

half_given() {
	need_strace
	big_lines 3
	# What it got is not all: it must neither wait for the rest for ever nor take it for the whole.
	got=0
	faulty '' write:error=EIO:when=2+ mq-consume -g g --batch 3 T -- sh -c 'cat > /dev/null; touch finished' || got=$?
	is $got 74
	[ ! -e finished ]
	is "$(at g T)" 0
	got=0
	faulty '' write:error=EIO:when=1+ mq-consume -g g --coproc T -- sh -c 'cat > /dev/null; touch finished' || got=$?
	is $got 74
	[ ! -e finished ]
	is "$(at g T)" 0
}
@test "a handler that cannot be given its record is ended, and has failed" { each half_given; }

unheard() {
	need_strace
	seq 0 9 | mq-publish T
	for n in $(seq 40); do
		: > done
		got=0
		faulty '' "read:error=EIO:when=$n+" mq-consume -g g$n --coproc T -- \
			sh -c 'while read x; do echo $x >> done; echo ok; done' || got=$?
		[ $got != 124 ] || { echo "when=$n: it did not end"; return 1; }
		place=$(at g$n T 2> /dev/null || true)
		case $place in '' | null | 0) ;; *) is "$(head -n "$place" done)" "$(seq 0 $((place - 1)))" ;; esac
	done
	ends 75 mq-consume -g g --coproc T -- sh -c 'printf %070000d 0; cat > /dev/null'
	has "$said" 'answer has no end'
}
@test "a coproc that cannot be heard is ended, and has failed" { each unheard; }
