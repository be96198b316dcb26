#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Groups: what counts as done, who goes on where, and what handlers are told.
load engines

at() { # GROUP TOPIC: its committed places, a partition a line
	mq-group show -g "$1" --json "$2" | sed 's/.*"committed":\([^,]*\),.*/\1/'
}

places() {
	seq 10 | mq-publish T
	is "$(mq-consume -g g -n 3 T)" $'1\n2\n3'
	is "$(at g T)" 3
	is "$(mq-consume -g g T)" "$(seq 4 10)"
	is "$(mq-consume -g g T)" ''
	is "$(mq-consume -g other T | wc -l)" 10
	mq-group seek -g g -o 8 T > /dev/null
	is "$(mq-consume -g g T)" $'9\n10'
	is "$(mq-consume -g new -o -2 T)" $'9\n10'
	is "$(mq-consume -g new -o beginning T)" ''
	is "$(mq-group list -q | sort)" $'g\nnew\nother'
	mq-group delete -g g T
	is "$(mq-consume -g g T | wc -l)" 10
}
@test "a group goes on where it stood; another has a place of its own" { each places; }

pipes() {
	seq 100000 | mq-publish T
	# head takes a piece out of the pipe and dies: nothing says that it worked on it.
	is "$(mq-consume -g g T | head -n 1)" 1
	is "$(mq-consume -g g T | head -n 1)" 1
	# A reader that comes back has done what it took before.
	mq-consume -g h T | { head -c 200000 > /dev/null; head -c 200000 > /dev/null; } || true
	[ "$(at h T)" -gt 0 ] && [ "$(at h T)" -lt 100000 ]
	n=$(at h T)
	is "$(mq-consume -g h -n 1 T)" $((n + 1))
	mq-consume -g all T | cat > /dev/null
	is "$(at all T)" 100000
}
@test "printed to a pipe a record is done when its reader came back" { each pipes; }

followed_pipe() {
	mkfifo p
	mq-consume -f -g g T > p &
	exec 5< p
	for i in 1 2 3; do
		echo $i | mq-publish T
		read -r -t 10 line <&5
		is "$line" $i
		# The one before it is done now, the last one is not yet.
		until_true sh -c "[ \"\$(mq-group show -g g --json T | sed 's/.*\"committed\":\([0-9]*\),.*/\1/')\" = $((i - 1)) ]"
	done
	exec 5<&-
	wait $! || true
}
@test "a follower's record is done when the next one was taken" { each followed_pipe; }

files() {
	seq 1000 | mq-publish T
	mq-consume -g g T > out
	is "$(at g T)" 1000
	mq-consume -g h -n 7 T > /dev/null
	is "$(at h T)" 7
}
@test "printed to a file all is done" { each files; }

refused() {
	seq 3 | mq-publish T
	mq-publish -m $'a\nb' T
	fails 65 mq-consume -g g T
	is "$(at g T)" 3
	fails 65 mq-consume -g g T
}
@test "what cannot be printed is not passed" { each refused; }

handlers() {
	mq-publish -k key -H 'x-y=1' -H 'bad name=2' -T tag --id 7 -m $'pay\nload' T
	mq-consume -g g T -- sh -c 'cat; env | grep ^MQ_ | grep -v -e SPOOL -e MQ_SRC -e MQ_BUILD -e MQ_PASS -e MQ_TEST | sort' > out
	sed 's/^MQ_TIMESTAMP=2.*Z$/MQ_TIMESTAMP=time/' out | cmp - <(printf '%s\n' $'pay\nload''MQ_ATTEMPT=1' \
		'MQ_HEADER_BAD_NAME=2' 'MQ_HEADER_X_Y=1' 'MQ_ID=7' 'MQ_KEY=key' 'MQ_OFFSET=0' 'MQ_PARTITION=0' 'MQ_TAG=tag' \
		'MQ_TIMESTAMP=time' 'MQ_TOPIC=T')
	is "$(at g T)" 1
	head -c 1000000 /dev/urandom > big
	mq-publish U big
	mq-consume U -- cat | cmp - big
	mq-consume U -- true
}
@test "a handler gets the payload on stdin and the rest in its environment" { each handlers; }

statuses() {
	seq 0 9 | mq-publish T
	s() { mq-consume -g "$1" T -- sh -c "read n; [ \$n = 3 ] && $2; exit 0"; }
	fails 75 s fail 'exit 1'
	has "$said" 'T:0:3: its handler failed with status 1'
	is "$(at fail T)" 3
	fails 75 s fail 'exit 1'
	s fail 'exit 0'
	is "$(at fail T)" 10
	fails 75 mq-consume T -- sh -c 'exit 100'
	has "$said" rejected
	fails 75 s release 'exit 75'
	has "$said" released
	fails 75 s killed 'kill -9 $$'
	has "$said" 'signal 9'
	is "$(at release T) $(at killed T)" '3 3'
	s stop 'exit 99'
	is "$(at stop T)" 4
	fails 78 s cannot 'exit 126'
	fails 78 mq-consume -g cannot T -- ./nosuchcommand
	has "$said" 'cannot run ./nosuchcommand'
	is "$(at cannot T)" 3
}
@test "a handler's status says what becomes of the record" { each statuses; }

batches() {
	seq 10 | mq-publish T
	mq-consume -g g --batch 4 T -- sh -c 'echo $(cat)' > out
	is "$(cat out)" $'1 2 3 4\n5 6 7 8\n9 10'
	is "$(at g T)" 10
	mq-consume --batch 100 -J T -- sh -c 'grep -c payload' > out
	is "$(cat out)" 10
	fails 75 mq-consume -g h --batch 4 T -- sh -c '! grep -q 6'
	is "$(at h T)" 4
}
@test "--batch gives several records on one stdin" { each batches; }

parallel() {
	mq-topic create --partitions 2 T
	seq 40 | awk '{print $1 % 5 ":" $1}' | mq-publish -K : T
	mq-consume -g key -j 8 --order key T -- sh -c 'sleep 0.0$(($$ % 5)); echo "$MQ_KEY $(cat)"' > out
	[ "$(wc -l < out)" = 40 ]
	awk '$2 < last[$1] {exit 1} {last[$1] = $2}' out
	mq-consume -g none -j 8 --order none T -- sh -c 'n=$(cat); echo $n' > out
	[ "$(sort -n out)" = "$(seq 40)" ]
	mq-consume -g part -j 8 T -- sh -c 'sleep 0.0$(($$ % 5)); echo "$MQ_PARTITION $MQ_OFFSET"' > out
	awk '$2 != n[$1]++ {exit 1}' out
	for g in key none part; do is "$(at $g T | awk '{n += $1} END {print n}')" 40; done
}
@test "handlers run in parallel and keep the order asked for" { each parallel; }

at_once() {
	seq 8 | mq-publish T
	start=$(date +%s%N)
	mq-consume -j 8 --order none T -- sleep 2
	took=$((($(date +%s%N) - start) / 1000000))
	[ $took -lt 12000 ]
	: > log
	mq-consume -j 4 --order none T -- sh -c 'echo + >> log; sleep 0.1; echo - >> log'
	awk '$1 == "+" {n++} $1 == "-" {n--} n > 4 {exit 1} n > most {most = n} END {exit most < 2}' log
}
@test "--jobs is how many run at once" { each at_once; }

prefix() {
	seq 0 5 | mq-publish T
	# The first one fails last: what lies behind it is done, and the place does not move.
	fails 75 mq-consume -g g -j 6 --order none T -- sh -c 'read n; [ $n = 0 ] && sleep 0.3 && exit 1; exit 0'
	is "$(at g T)" 0
	fails 75 mq-consume -g h -j 6 --order none T -- sh -c 'read n; [ $n = 3 ] && exit 1; exit 0'
	is "$(at h T)" 3
}
@test "the place never passes a record that is not done" { each prefix; }

time_limit() {
	seq 2 | mq-publish T
	start=$(date +%s)
	fails 75 mq-consume -g g --time-limit 200ms T -- sh -c 'trap "" TERM; sleep 60 & sleep 60'
	has "$said" --time-limit
	[ $(($(date +%s) - start)) -lt 10 ]
	is "$(at g T)" 0
}
@test "--time-limit ends a handler and all it started" { each time_limit; }

answers() {
	seq 1000 | mq-publish T
	cat > worker <<- 'END'
		#!/bin/sh
		echo start >> starts
		while read -r line; do
			echo "$line" >> worked
			echo "0 did $line"
		done
	END
	chmod +x worker
	mq-consume -g g --coproc T -- ./worker
	is "$(cat worked)" "$(seq 1000)"
	is "$(wc -l < starts)" 1
	is "$(at g T)" 1000
	fails 75 mq-consume -g h --coproc T -- sh -c 'while read -r n; do [ $n = 500 ] && echo fail no 500 || echo ok; done'
	has "$said" 'T:0:499: its handler failed'
	is "$(at h T)" 499
	fails 75 mq-consume -g i --coproc T -- sh -c 'while read -r n; do echo ok; [ $n = 10 ] && exit; done'
	is "$(at i T)" 10
	fails 75 mq-consume -g i --coproc T -- sh -c 'while read -r n; do echo what?; done'
	has "$said" 'what?'
	fails 75 mq-consume -g j --coproc --time-limit 200ms T -- sleep 60
	mq-topic create --partitions 3 U
	seq 300 | awk '{print $1 % 10 ":" $1}' | mq-publish -K : U
	for order in partition key none; do
		mq-consume -g $order --coproc -j 3 --order $order U -- sh -c 'while read -r n; do echo ok; done'
		is "$(at $order U | awk '{n += $1} END {print n}')" 300
	done
}
@test "--coproc keeps a handler alive that answers a line for each record" { each answers; }

manual() {
	seq 10 | mq-publish T
	mq-consume --manual -g g T > positions &
	until_true lines positions 10
	is "$(cut -f 2 positions)" "$(seq 10)"
	is "$(at g T)" 0
	head -n 3 positions | mq-group commit -g g
	until_true sh -c '[ "$(mq-group show -g g --json T | grep -c "\"committed\":3,")" = 1 ]'
	sed -n '5,10p' positions | mq-group commit -g g
	is "$(at g T)" 3
	sed -n '4p' positions | mq-group commit -g g
	wait $!
	is "$(at g T)" 10
	fails 65 mq-group commit -g g <<< hello
	mq-group seek -g g -o 0 T > /dev/null
	fails 77 mq-group commit -g g < positions
	fails 75 mq-consume --manual -g late --timeout 100ms T
	has "$said" 'not acknowledged'
	mq-consume --manual -g pipe T | cut -f 1 | mq-group commit -g pipe
	is "$(mq-consume -g pipe T)" ''
}
@test "--manual: a record is done when its position was given to mq-group commit" { each manual; }

manual_filtered() {
	for i in 0 1 2 3 4 5; do mq-publish -T $((i % 2)) -m $i T; done
	mq-consume --manual -g g -T 1 T > positions &
	until_true lines positions 3
	tac positions | mq-group commit -g g
	wait $!
	is "$(at g T)" 6
}
@test "--manual: nobody has to acknowledge what was not selected" { each manual_filtered; }

before() {
	seq 0 4 | mq-publish T
	fails 75 mq-consume -g g --commit before T -- sh -c 'read n; [ $n != 2 ]'
	is "$(at g T)" 3
	is "$(mq-consume -g g --commit before T -- sh -c 'cat; echo')" $'3\n4'
	mq-consume -g h --commit before T | head -n 1 > /dev/null
	is "$(at h T)" 5
}
@test "--commit before is at most once" { each before; }

one_owner() {
	mq-topic create --partitions 2 T
	for p in 0 1; do seq 10 | mq-publish -p $p T; done
	mkfifo p
	mq-consume -f -g g T > p &
	first=$!
	exec 5< p
	until_true sh -c '[ "$(mq-group show -g g --json T | grep -c "\"owned\":true")" = 2 ]'
	is "$(mq-consume -g g T)" ''
	mq-consume -f -g g T > second &
	sleep 0.2
	kill -9 $first
	# The pipe was never read: all of it goes to the next.
	until_true lines second 20
	kill $!
	wait $! || true
	exec 5<&-
}
@test "a partition has one owner; when it dies the next takes over" { each one_owner; }

killed_with_handler() {
	seq 3 | mq-publish T
	mq-consume -g g T -- sh -c 'echo begin >> log; sleep 4; echo end >> log' &
	until_true test -s log
	kill -9 $!
	wait $! || true
	mq-consume -g g T -- sh -c 'echo again >> log'
	# The handler died with its consumer; its record came again, and nothing was given out meanwhile.
	is "$(cat log)" $'begin\nagain\nagain\nagain'
	is "$(at g T)" 3
}
@test "a handler does not outlive its consumer's lock" { each killed_with_handler; }

stops() {
	seq 100 | mq-publish T
	mq-consume -g g T -- sh -c 'sleep 0.1; cat >> done; echo >> done' &
	until_true test -s done
	kill -TERM $!
	wait $! || true
	is "$(at g T)" "$(wc -l < done)"
}
@test "a stopped consumer finishes and commits what is in flight" { each stops; }

filtered_group() {
	for i in 0 1 2 3; do mq-publish -T $((i % 2)) -m $i T; done
	is "$(mq-consume -g g -T 1 T)" $'1\n3'
	is "$(at g T)" 4
	is "$(mq-consume -g h -T 0 T -- sh -c 'cat; echo')" $'0\n2'
	is "$(at h T)" 4
	is "$(mq-consume -g i -T none T)" ''
	is "$(at i T)" 4
}
@test "what is not selected is passed over and done" { each filtered_group; }

shows() {
	seq 5 | mq-publish T
	mq-consume -g g -n 2 T > /dev/null
	has "$(mq-group show -g g T)" 'g      T              0          2    5    3     0        0  -'
	fails 66 mq-group show -g g nosuch
	fails 64 mq-group seek -g g -o 9 T
	fails 75 mq-topic purge -o 4 T
	has "$said" 'group g stands at 2'
	mq-topic purge --force -o 4 T
	is "$(mq-consume -g g T)" 5
}
@test "a group is shown, and holds back a purge" { each shows; }

other_groups_positions() {
	seq 3 | mq-publish T
	mq-consume -g a -n 1 T > /dev/null
	mq-consume -g b -n 1 T > /dev/null
	mkfifo hold
	exec 5<> hold
	mq-consume -g a --manual --timeout 10 T > positions < hold &
	until_true lines positions 2
	cut -f 1 positions | fails 77 mq-group commit -g b
	cut -f 1 positions | mq-group commit -g a
	exec 5>&-
	wait $!
	is "$(mq-consume -g b T)" $'2\n3'
	is "$(mq-consume -g a T)" ''
}
@test "a printed position is taken from its own group alone" { each other_groups_positions; }
