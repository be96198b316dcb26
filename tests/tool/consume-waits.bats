#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-consume -f where there is no spool yet: it waits for the first publish, and makes nothing itself.
load consume_faults

no_spool() {
	rm -rf root
	mkdir root
	export MQ_SPOOL=$PWD/root/some/where/spool
}

# begin COMMAND ...: in the background, until it has said that it waits.
begin() {
	: > out
	"$@" > out 2> said &
	waiter=$!
	trap 'kill $waiter 2> /dev/null || true' EXIT
	until_true grep -q waiting said
}

# ended STATUS: the one that was begun.
ended() {
	local got=0
	wait "$waiter" || got=$?
	is "$got" "$1"
}

entries() { find root | sort; }

nothing_made() {
	no_spool
	before=$(entries)
	begin mq-consume -f T
	is "$(entries)" "$before"
	has "$(cat said)" "no spool at $MQ_SPOOL"
	kill $waiter
	ended 143
	is "$(wc -l < said)" 1
	is "$(entries)" "$before"
	begin mq-consume -f -g g T -- true
	kill -INT $waiter || true
	kill -TERM $waiter
	wait $waiter || true
	is "$(entries)" "$before"
}
@test "who follows where there is no spool says so, makes nothing, and is stopped without a word" { each nothing_made; }

idle() {
	no_spool
	for how in '' '-g g'; do
		fails 0 timeout 20 mq-consume -f --until-idle 100ms $how T
		fails 1 timeout 20 mq-consume -q -f --until-idle 100ms --fail-empty $how T
		is "$said" ''
	done
	is "$(entries)" root
}
@test "--until-idle ends the wait for a spool" { each idle; }

first_record() {
	for how in '' '-g g' '-f -n 1'; do
		no_spool
		begin mq-consume -f -n 1 $how T
		echo first | mq-publish T
		ended 0
		is "$(cat out)" first
		is "$(wc -l < said)" 1
	done
	no_spool
	begin mq-consume -f -n 1 -g g T -- sh -c 'cat > got'
	echo first | mq-publish T
	ended 0
	is "$(cat got)" first
}
@test "the first publish wakes who waits for the spool" { each first_record; }

without_inotify() {
	no_spool
	begin env MQ_TEST_FAULT=watch_open:1:EMFILE:ever "$MQ_BUILD/tests/traced/mq-consume" -f -n 1 T
	echo first | mq-publish T
	ended 0
	is "$(cat out)" first
}
@test "where inotify is not to be had the spool is found all the same" { each without_inotify; }

moved_ways() {
	# The directories above it go and come again, and what comes is a spool that was made elsewhere.
	no_spool
	mkdir root/some
	begin mq-consume -f -n 1 T
	rmdir root/some
	MQ_SPOOL=$PWD/elsewhere mq-publish -m first T
	mkdir root/some
	mkdir root/some/where
	mv elsewhere root/some/where/spool
	ended 0
	is "$(cat out)" first
	# Behind a link that leads nowhere yet.
	no_spool
	ln -s nowhere root/some
	begin mq-consume -f -n 1 T
	mkdir root/nowhere
	echo first | mq-publish T
	ended 0
	is "$(cat out)" first
}
@test "the way to the spool may come, go and come again" { each moved_ways; }

empty_directory() {
	no_spool
	mkdir -p "$MQ_SPOOL"
	begin mq-consume -f -n 1 T
	is "$(ls -A "$MQ_SPOOL")" ''
	echo first | mq-publish T
	ended 0
	is "$(cat out)" first
}
@test "an empty directory is no spool yet, and is waited for" { each empty_directory; }

never() {
	no_spool
	mkdir -p "$MQ_SPOOL"
	touch "$MQ_SPOOL/something"
	ends 78 mq-consume -f T
	rm -r root/some
	touch root/some
	ends 78 mq-consume -f T
	rm root/some
	ends 64 mq-consume -f -g bad/name T
	ends 64 mq-consume -f -o 5..3 T
	ends 64 mq-consume -f T bad/name
	ends 66 mq-consume T
	ends 66 mq-consume -g g T
	is "$(entries)" root
}
@test "what can never become a spool, and what is asked wrongly, is told at once" { each never; }

publishers() {
	[ "$(id -u)" = 0 ] || skip 'needs another user'
	no_spool
	chmod a+x "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "${BATS_RUN_TMPDIR%/*}" .
	chmod a+rwx root
	nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
	nobody test -w root || skip 'the way to the spool is closed to other users'
	begin mq-consume -f -n 1 T
	(umask 077 && nobody mq-publish -m first T)
	ended 0
	is "$(cat out)" first
	is "$(stat -c '%u %a' "$MQ_SPOOL" "$MQ_SPOOL/topics/T")" $'65534 750\n65534 750'
	# And the other way round: one who may not read it is told so.
	no_spool
	begin nobody mq-consume -f -n 1 T
	mq-publish -m first T
	ended 77
}
@test "the spool belongs to who publishes first, not to who waited" { each publishers; }

by_hand() {
	no_spool
	begin mq-consume -f -n 1 T
	MQ_SPOOL=$PWD/root/some/where/spool mq-topic create other
	echo auto.create.topics=false >> "$MQ_SPOOL/spool.conf"
	fails 66 mq-publish -m no T
	mq-topic create T
	mq-publish -m first T
	ended 0
	is "$(cat out)" first
	is "$(wc -l < said)" 1
}
@test "the topic is waited for in the spool that came, who ever makes it" { each by_hand; }

# Longer than a member takes to count, and nothing is left but to wait.
last_handlers() {
	mq-publish -m x T
	MQ_TEST_FAULT= MQ_TEST_FAULT_REPORT=$PWD/report "$MQ_BUILD/tests/traced/mq-consume" -g g -j 3 --order none T -- sleep 1
	polls=$(awk '$2 == "call" && $3 == "poll" { print $4 }' report)
	[ "$polls" -lt 50 ] || { echo "$polls times"; return 1; }
}
@test "a member whose last handlers are at work sleeps until they end" { MQ_TEST_ENGINES=spool each last_handlers; }
