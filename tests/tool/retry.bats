#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What failed is handled again, as often and as long after as was asked.
load one_spool

committed() { mq-group show -g "$1" --json "${2:-T}" | sed -n 's/.*"committed":\([0-9]*\).*/\1/p'; }
header() { # NAME: of the first dead letter
	mq-consume --json T.dead | python3 -c '
import json, sys
print(json.loads(sys.stdin.readline())["headers"].get(sys.argv[1], "-"))' "$1"
}

@test "a record that fails is handled again, each time with its attempt, until it is done" {
	echo x | mq-publish T
	mq-consume -g g --retries 5 --backoff 1ms..2ms T -- sh -c 'echo "$MQ_ATTEMPT"; [ "$MQ_ATTEMPT" = 3 ]' > out
	is "$(cat out)" "$(seq 3)"
	is "$(committed g)" 1
	fails 66 mq-consume T.dead
}

@test "when its retries are used up it is a dead letter, with all its attempts" {
	seq 3 | mq-publish T
	mq-consume -g g --retries 2 --backoff 1ms T -- sh -c 'read -r n; [ $n != 2 ] || { echo "$MQ_ATTEMPT" >> attempts; echo bad >&2; exit 7; }' 2> said
	is "$(cat attempts)" "$(seq 3)"
	has "$(cat said)" '1 record was put into T.dead'
	is "$(mq-consume T.dead)" 2
	is "$(header mq-reason) $(header mq-attempts) $(header mq-status)" 'failed 3 7'
	is "$(header mq-stderr)" bad
	[[ "$(header mq-first-failure)" < "$(header mq-last-failure)" ]]
	is "$(committed g)" 3
}

@test "with --retries 0 the first failure is the last" {
	echo x | mq-publish T
	mq-consume -q -g g --retries 0 T -- sh -c 'kill -9 $$'
	is "$(header mq-attempts) $(header mq-status)" '1 signal 9'
}

@test "without --retries a failure ends the run, and the record stays" {
	echo x | mq-publish T
	fails 75 mq-consume -g g T -- sh -c 'exit 1'
	is "$(committed g)" 0
	fails 66 mq-consume T.dead
}

@test "a handler that takes too long has failed" {
	echo x | mq-publish T
	mq-consume -q -g g --retries 1 --backoff 1ms --time-limit 1s T -- sh -c 'echo . >> begun; sleep 100'
	is "$(wc -l < begun)" 2
	is "$(header mq-reason)" 'timed out'
}

@test "a handler that waited for a consumer that stood still has not failed" {
	head -c 300000 /dev/zero | tr '\0' x > long # more than a pipe takes
	for _ in 1 2 3; do cat long; echo; done | mq-publish T
	for how in "" --coproc; do
		rm -f begun
		mq-consume -g "g$how" $how --time-limit 1s --retries 0 T -- bash -c 'touch begun; while read -r _; do echo ok; done' > said 2>&1 &
		until_true test -e begun
		kill -STOP $!
		sleep 1.5
		kill -CONT $!
		wait $!
		is "$(committed "g$how")" 3
	done
	fails 66 mq-consume T.dead
}

@test "others go on while one waits for its time, and the place waits for it" {
	seq 50 | mq-publish T
	mq-consume -q -g g --retries 1 --wait-retries --backoff 4s T -- sh -c 'read -r n; echo $n; [ $n != 7 ] || [ "$MQ_ATTEMPT" = 2 ]' > out
	is "$(head -50 out | sort -n)" "$(seq 50)"
	is "$(tail -1 out)" 7
	is "$(committed g)" 50
}

@test "where an order is asked for, what is behind one that failed waits for it" {
	seq 5 | mq-publish T
	mq-consume -q -g g --order partition --retries 1 --backoff 20ms T -- sh -c 'read -r n; echo $n; [ $n != 2 ] || [ "$MQ_ATTEMPT" = 2 ]' > out
	is "$(cat out)" "$(printf '%s\n' 1 2 2 3 4 5)"
	mq-topic delete -q --force T
	printf '%s\n' a:1 b:1 a:2 b:2 | mq-publish -K : T
	mq-consume -q -g h --order key -j 2 --retries 1 --backoff 300ms T -- \
		sh -c 'read -r n; echo "$MQ_KEY$n"; [ "$MQ_KEY$n" != a1 ] || [ "$MQ_ATTEMPT" = 2 ]' > out
	is "$(grep a out)" "$(printf '%s\n' a1 a1 a2)"
	is "$(grep b out)" "$(printf '%s\n' b1 b2)"
	is "$(tail -1 out)" a2
}

@test "an order that was asked for is kept by a coproc, too" {
	seq 20 | mq-publish T
	cat > coproc.py <<-'END'
		import sys
		seen = 0
		for line in sys.stdin:
		    open("got", "a").write(line)
		    seen += line == "5\n"
		    print("fail" if line == "5\n" and seen < 3 else "ok", flush=True)
	END
	mq-consume -q -g g --order partition --coproc --retries 5 --backoff 5ms T -- python3 coproc.py
	is "$(cat got)" "$(seq 5; echo 5; seq 5 20)"
}

@test "of a coproc that dies only the record at hand has failed" {
	seq 30 | mq-publish T
	cat > coproc.py <<-'END'
		import sys
		for line in sys.stdin:
		    if line == "10\n":
		        print("ten", file=sys.stderr, flush=True)
		        sys.exit(3)
		    open("got", "a").write(line)
		    print("ok", flush=True)
	END
	mq-consume -q -g g --coproc --retries 2 --backoff 1ms T -- python3 coproc.py 2> said
	is "$(mq-consume T.dead)" 10
	is "$(header mq-attempts) $(header mq-status)" '3 3'
	is "$(sort -n got)" "$(seq 30 | grep -vx 10)"
	is "$(cat said)" "$(printf 'ten\nten\nten')"
}

@test "what is released, and what a stop ends, is neither counted nor put away" {
	seq 3 | mq-publish T
	fails 75 mq-consume -g g --retries 0 T -- sh -c 'exit 75'
	fails 66 mq-consume T.dead
	mq-consume -q -g g --retries 0 T -- sh -c 'echo $$ > begun; exec sleep 100' & pid=$!
	until_true test -s begun
	kill "$pid"
	wait "$pid" || true
	fails 66 mq-consume T.dead
	is "$(committed g)" 0
	is "$(mq-consume -g g T)" "$(seq 3)"
}

@test "a stop does not wait for what is to be tried again" {
	seq 3 | mq-publish T
	mq-consume -v -g g --order partition --retries 3 --backoff 1h T -- sh -c 'read -r n; [ $n != 2 ]' 2> said & pid=$!
	until_true grep -q 'attempt 1 of 4' said
	kill "$pid"
	wait "$pid" || true
	is "$(committed g)" 1
	fails 66 mq-consume T.dead
}

@test "what has more than a second to wait is put aside: the run ends, and it comes back to its group alone" {
	seq 3 | mq-publish T
	mq-consume -g g --retries 3 --backoff 3s,1ms T -- sh -c 'read -r n; [ $n != 2 ]' 2> said
	has "$(cat said)" '1 failed record was put aside'
	is "$(committed g)" 3
	fails 66 mq-consume T.dead
	mq-consume -q -f -g g -n 1 --retries 3 --backoff 3s,1ms T -- sh -c 'read -r n; echo "$n $MQ_ATTEMPT"' > out
	is "$(cat out)" '2 2'
	is "$(mq-consume -g other T | grep -c 2)" 1
	mq-check -q
}

@test "what was put aside tells its attempts and its origin when it dies" {
	mq-publish -k k -T t --id 7 -H a=b -m x T
	mq-consume -q -g g --retries 1 --backoff 1500ms T -- sh -c 'echo "$MQ_ATTEMPT" >> attempts; exit 1'
	mq-consume -q -f -n 1 -g g --retries 1 --backoff 1500ms T -- sh -c 'echo "$MQ_ATTEMPT" >> attempts; exit 1'
	is "$(cat attempts)" "$(seq 2)"
	is "$(mq-consume --format '%t:%k:%s' T.dead)" T.dead:k:x
	is "$(header mq-attempts) $(header mq-origin) $(header a)" '2 T:0:0 b'
	[[ "$(header mq-first-failure)" < "$(header mq-last-failure)" ]]
}

@test "with --wait-retries nothing is put aside: the run ends when all is done, or dead" {
	seq 3 | mq-publish T
	mq-drain -g g --wait-retries --retries 1 --backoff 1200ms,1ms T -- sh -c 'read -r n; echo "$n $MQ_ATTEMPT"; [ $n != 2 ] || [ "$MQ_ATTEMPT" = 2 ]' > out 2> said
	is "$(tail -1 out)" '2 2'
	is "$(cat said)" ''
	fails 64 mq-drain -g g --wait-retries T -- true
}

@test "a list of times is gone through, and its last holds on" {
	echo x | mq-publish T
	mq-consume -v -g g --retries 3 --backoff 1ms,30ms T -- sh -c 'exit 1' 2> said
	has "$(cat said)" 'attempt 1 of 4, the next in 0.001 s'
	has "$(cat said)" 'attempt 2 of 4, the next in 0.03 s'
	has "$(cat said)" 'attempt 3 of 4, the next in 0.03 s'
}

@test "what is no list of times, or does not go together, is refused" {
	echo x | mq-publish T
	for times in '' x 1s.. ..1s 2s..1s 1s,,2s 1s,; do
		fails 64 mq-consume -g g --retries 1 --backoff "$times" T -- true
		has "$said" '--backoff'
	done
	fails 64 mq-consume -g g --backoff 1s T -- true
	fails 64 mq-consume --retries 1 T -- true
	fails 64 mq-consume -g g --retries 1 T
	fails 64 mq-consume -g g --retries 1 --commit before T -- true
}

@test "a drain goes on behind what it puts away, and says so; --fail-dead is for scripts" {
	seq 10 | mq-publish T
	mq-drain -g g --retries 1 --backoff 1ms T -- sh -c 'read -r n; [ $n != 4 ]' 2> said
	has "$(cat said)" '1 record was put into T.dead'
	is "$(committed g)" 10
	fails 65 mq-drain -g h --fail-dead T -- sh -c 'read -r n; [ $n != 4 ] || exit 100'
	is "$(mq-consume T.dead)" "$(printf '4\n4')"
}
