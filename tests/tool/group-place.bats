#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A group's place in the spool, set by hand and acknowledged from outside, while a member is at work and while none is.
load consume_faults # its at, asleep

on_the_spool() { MQ_TEST_ENGINES=spool each "$1"; }

stands_at() { [ "$(at g T)" = "$1" ]; }

forced() {
	seq 5 | mq-publish T
	mkfifo go
	: > out
	exec 5<> go
	mq-consume -f -g g T -- sh -c 'cat >> out; echo >> out; read -r line < go' 2> said-by-consumer &
	consumer=$!
	trap 'kill $consumer 2> /dev/null || true' EXIT
	echo >&5
	echo >&5
	until_true lines out 3
	until_true stands_at 2
	fails 75 mq-group seek -g g -o beginning T
	has "$said" "stop it first, or use --force"
	mq-group seek -g g -o beginning --force T
	is "$(at g T)" 0
	echo >&5
	wait $consumer && status=0 || status=$?
	is "$status" 75
	has "$(cat said-by-consumer)" 'set by hand'
	is "$(at g T)" 0
	is "$(mq-consume -g g T)" $'1\n2\n3\n4\n5'
}
@test "seek is refused while a member is at work; --force moves the place, and the member ends" { on_the_spool forced; }

sound() {
	seq 5 | mq-publish T
	mq-group seek -g g -o 2 T
	is "$(mq-check)" ''
	mq-consume --manual --timeout 10s -g g T | cut -f 1 > positions &
	until_true lines positions 3
	mq-group commit -g g < positions
	wait $!
	mq-consume --manual --timeout 10ms -g g -o 0 T > positions || true
	mq-group seek -g g -o 1 T
	mq-consume --manual --timeout 10ms -g g T > positions || true
	mq-group commit -g g < positions
	is "$(at g T)" 5
	is "$(mq-check)" ''
}
@test "after a seek and an acknowledgement from outside the check finds nothing" { on_the_spool sound; }

deleted() {
	seq 5 | mq-publish T
	mkfifo go
	: > out
	exec 5<> go
	mq-consume -f -g g T -- sh -c 'cat >> out; echo >> out; read -r line < go' 2> said-by-consumer &
	consumer=$!
	trap 'kill $consumer 2> /dev/null || true' EXIT
	until_true lines out 1
	mq-group delete -g g --force
	echo >&5
	wait $consumer && status=0 || status=$?
	is "$status" 66
	has "$(cat said-by-consumer)" 'deleted'
}
@test "a member whose group was deleted ends" { on_the_spool deleted; }

# Members that have nothing to do, each in its own way: to a pipe, to handlers, to a coproc, by hand.
idle_member() { # HOW: until it owns T
	rm -f out
	mkfifo out
	case $1 in
	pipe) mq-consume -f -g g T > out 2> said-by-consumer & ;;
	handler) mq-consume -f -g g T -- sh -c 'cat' > out 2> said-by-consumer & ;;
	coproc) mq-consume -f -g g --coproc T -- sh -c 'while read -r x; do echo "$x" >&2; echo ok; done' > out 2> said-by-consumer & ;;
	manual) mq-consume -f -g g --manual T > out 2> said-by-consumer & ;;
	esac
	consumer=$!
	trap 'kill $consumer 2> /dev/null || true' EXIT
	exec 5< out
	until_true sh -c 'mq-group show -g g --json T | grep -q "\"owned\":true"'
	until_true asleep T
}

consumer_ended() { # STATUS SAID
	until_true sh -c "! kill -0 $consumer 2> /dev/null"
	local status=0
	wait $consumer || status=$?
	is "$status" "$1"
	has "$(cat said-by-consumer)" "$2"
}

idle_passed_over() {
	seq 5 | mq-publish T
	for how in pipe handler coproc manual; do
		mq-group seek -g g -o end T > /dev/null
		idle_member $how
		mq-group seek -g g -o 2 --force T > /dev/null
		consumer_ended 75 'set by hand'
		is "$(at g T)" 2
		mq-group seek -g g -o end T > /dev/null
		idle_member $how
		mq-group delete -g g --force
		consumer_ended 66 deleted
	done
}
@test "a member that has nothing to do hears at once that its place was set by hand, or that its group was deleted" { on_the_spool idle_passed_over; }

stopped() { grep -q '^State:.T' "/proc/$1/status"; }

two_firsts() {
	seq 0 9 | mq-publish T
	# It has found no place, and is stopped before it takes the partition: meanwhile another one is first, and done.
	MQ_TEST_FAULT=openat:1:path=/locks:stop-before "$MQ_BUILD/tests/traced/mq-consume" -g g -o 5.. T > out 2> said-by-consumer &
	consumer=$!
	trap 'kill -KILL $consumer 2> /dev/null || true' EXIT
	until_true stopped $consumer
	is "$(mq-consume -g g -o 6.. -n 2 T)" $'6\n7'
	is "$(at g T)" 8
	kill -CONT $consumer
	wait $consumer
	is "$(cat out)" $'8\n9'
	has "$(cat said-by-consumer)" 'goes on from its place, 8'
	is "$(at g T)" 10
}
@test "of two members that begin a group at once the first one says where, and no commit is written over" { on_the_spool two_firsts; }

below_the_start() {
	seq 0 9 | mq-publish T
	mq-topic purge -o 4 T
	is "$(mq-consume -g g -o 2..6 T 2>&1)" $'4\n5'
	has "$(mq-group show -g g --json T)" '"committed":6,"end":10,"lag":4,"lost":0,'
}
@test "a new group that is told to begin below the log start has lost nothing" { on_the_spool below_the_start; }

# A file that was made whole is cut: what stood behind the cut is no place that was never set.
three_places() {
	rm -rf the-spool
	mq-topic create --partitions 3 T
	for _ in 1 2; do # both slots of each
		for p in 0 1 2; do mq-publish -m x T:$p; done
		mq-consume -g g T > /dev/null
	done
	offsets=the-spool/groups/g/topics/T/offsets
}

cut_off() {
	for size in 0 100 8192 8292 16384; do
		three_places
		left=$((size / 8192))
		truncate -s $size $offsets
		fails 2 mq-group show -g g T
		has "$said" 'cut short'
		is "$(grep -c '^g .* 2    2    0' <<< "$said")" $left
		for p in 0 1 2; do mq-publish -m new T:$p; done
		for how in '' -f '-o end' --manual; do
			fails 2 timeout 10 mq-consume -g g $how T:2
			has "$said" 'cut short'
			case $said in *new* | *$'x\n'*) echo "$said"; return 1 ;; esac
		done
		is "$(mq-consume -g g T:0 T:1 2> /dev/null | grep -c x || true)" 0
		is "$(stat -c %s $offsets)" $size
		fails 2 mq-check
		has "$said" "it was cut short: the places of partitions $left to 2 are gone"
		# By hand each can be set again, and the others are not forgotten with that.
		is "$(mq-group seek -g g -o -1 T:2)" 'T:2: - -> 2'
		is "$(mq-consume -g g T:2)" new
		[ $left = 2 ] || fails 2 mq-consume -g g T:1
		mq-group seek -g g -o -1 T > /dev/null
		is "$(mq-consume -g g T)" $'new\nnew\nnew'
		is "$(mq-check)" ''
	done
}
@test "a place that was cut off is loud, and is set by hand" { on_the_spool cut_off; }

half_cut_off() {
	three_places
	truncate -s $((16384 + 4096)) $offsets
	mq-publish -m new T:2
	fails 0 mq-consume -g g T:2
	has "$said" new
	has "$said" 'group g, T: offsets was cut short, and of the place in partition 2 one slot is left'
	truncate -s $((16384 + 4096)) $offsets
	fails 2 mq-check
	has "$said" 'it was cut short: a slot of the last place is gone; the other one counts, and may be older'
}
@test "what is left of a place that was cut in two counts, and that is told" { on_the_spool half_cut_off; }

both_bad() {
	seq 3 | mq-publish T
	for _ in 1 2; do mq-consume -g g -n 1 T > /dev/null; done
	fails 75 mq-consume -g g --manual --timeout 0s T
	mq-consume -g g --manual --timeout 0s T > positions 2> /dev/null || true
	flip the-spool/groups/g/topics/T/offsets 20
	flip the-spool/groups/g/topics/T/offsets 4116
	fails 2 mq-group seek -g g -o stored T
	fails 2 mq-consume -g g T
	is "$(mq-group seek -g g -o 1 --dry-run T)" 'T:0: - -> 1 (dry run)'
	fails 2 mq-consume -g g T
	is "$(mq-group seek -g g -o 1 T)" 'T:0: - -> 1'
	fails 77 mq-group commit -g g < positions
	is "$(mq-consume -g g T)" $'2\n3'
	is "$(mq-check)" ''
}
@test "a place of which no slot verifies is set by hand, and positions from before are refused" { on_the_spool both_bad; }

left_cut_off() {
	three_places
	truncate -s 8192 $offsets
	fails 2 mq-group show
	is "$(mq-consume T | wc -l)" 6
}
# made_again FORMER NOW: a topic is deleted and made again with more partitions, and a group read the former one.
made_again() {
	rm -rf the-spool
	mq-topic create --partitions 1 T
	[ "$1" = 1 ] || mq-rebalance -q --partitions "$1" T
	for p in $(seq 0 $(($1 - 1))); do mq-publish -m old T:$p; done
	is "$(mq-consume -g g T | grep -c old)" "$1"
	mq-topic delete T
	mq-topic create --partitions "$2" T
	for p in $(seq 0 $(($2 - 1))); do seq $p 10 29 | mq-publish -p $p T; done
	offsets=the-spool/groups/g/topics/T/offsets
}

former_places() {
	for former in 1 3; do
		made_again $former 4
		fails 0 mq-check
		is "$(mq-group show -g g T | grep -c ' - ')" 4
		fails 0 mq-retain
		fails 0 mq-topic purge -o 1 T:3
		is "$(mq-consume -g g -n 1 T:3)" 13
		is "$(stat -c %s $offsets)" 32768
		is "$(PYTHONPATH=$MQ_SRC/tests python3 -c 'import reader; print(reader.places("the-spool", "g", "T"))')" '{3: (2, 0, 0, 0)}'
		is "$(mq-consume -g g T | wc -l)" 10
		fails 0 mq-check
		# By hand, one alone.
		made_again $former 4
		is "$(mq-group seek -g g -o 2 T:2)" 'T:2: - -> 2'
		is "$(mq-consume -g g T:2)" 22
		is "$(mq-consume -g g T | wc -l)" 9
		# From then on what is missing was cut off.
		truncate -s 24576 $offsets
		fails 2 mq-consume -g g T
		has "$said" 'cut short'
		fails 2 mq-check
	done
}
@test "a group that read a former topic of that name, with fewer partitions, begins in all of the new one's" { on_the_spool former_places; }

@test "a group whose places are cut off is no hindrance to others" { on_the_spool left_cut_off; }

lost() { mq-group show -g "$1" --json T | sed 's/.*"lost":\([^,]*\),.*/\1/'; }

read_as() { # GROUP: to what the group is called after
	case $1 in
	file) mq-consume -g file T > out 2> said ;;
	pipe) { mq-consume -g pipe T 2> said || echo $? > status; } | cat > out; return "$(cat status 2> /dev/null || echo 0)" ;;
	handler) mq-consume -g handler T -- sh -c 'cat; echo' > out 2> said ;;
	coproc) mq-consume -g coproc --coproc T -- sh -c 'while read -r x; do echo "$x" >> out; echo ok; done' 2> said ;;
	before) mq-consume -g before --commit=before T > out 2> said ;;
	manual) mq-consume -g manual --manual --timeout 10s T 2> said > positions & mq-group commit -g manual < <(tail -f --pid=$! positions); wait $! ;;
	esac
}

# Run GROUP, which ends with STATUS and then stands at PLACE and has lost so many.
run_as() { # GROUP STATUS PLACE LOST
	local got=0
	rm -f status
	: > positions
	read_as "$1" || got=$?
	[ $got = "$2" ] || { echo "$1: status $got, not $2: $(cat said)"; return 1; }
	is "$1 $(at "$1" T) $(lost "$1")" "$1 $3 $4"
}

passed_at_the_end() {
	for i in 0 1 2; do mq-publish -m r$i T; done
	flip "$(segment T)" $(($(stat -c %s "$(segment T)") - 2))
	for how in file pipe handler coproc before manual; do
		run_as $how 2 3 1
		run_as $how 0 3 1
	done
	mq-publish -m r3 T
	for how in file pipe handler coproc before manual; do
		run_as $how 0 4 1
	done
	mq-topic purge --force -o end T
	for i in 4 5; do mq-publish -m r$i T; done
	mq-topic purge --force -o end T
	for how in file pipe handler coproc before manual; do
		run_as $how 0 6 3
		run_as $how 0 6 3
	done
}
@test "a group passes what was lost at the end of the log, and counts it once" { on_the_spool passed_at_the_end; }
