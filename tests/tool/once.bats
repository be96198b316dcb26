#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# What a group has done is not done again: by the ids of records, across partitions, members and runs.
load one_spool

publish() { # ID PARTITION PAYLOAD
	mq-publish --id "$1" -p "$2" -m "$3" T
}

# A handler that writes down what it did.
log='echo "$MQ_ID $MQ_PARTITION $(cat)" >> done'

counts() { # FILE COUNT
	is "$(wc -l < "$1")" "$2"
}

@test "of two records of one id in two partitions one is handled" {
	mq-topic create --partitions 2 T
	publish a 0 first
	publish a 1 second
	publish b 1 third
	mq-consume --once -g g T -- sh -c "$log" 2> said
	is "$(sort done)" $'a 0 first\nb 1 third'
	has "$(cat said)" '1 record was done before and skipped (--once)'
	is "$(mq-consume -g g T)" '' # all of them are done
}

@test "what was done is remembered by the next run, by another member, and for this group alone" {
	mq-topic create --partitions 3 T
	publish a 0 first
	mq-consume --once -g g T -- sh -c "$log"
	publish a 2 second
	mq-consume --once -g g T -- sh -c "$log"
	is "$(cat done)" 'a 0 first'
	mq-consume --once -g other -n 2 T -- sh -c "$log"
	is "$(cat done)" $'a 0 first\na 0 first'
}

@test "what failed is not remembered" {
	mq-topic create --partitions 2 T
	publish a 0 first
	fails 75 mq-consume --once -g g T -- sh -c 'cat > /dev/null; exit 1'
	fails 75 mq-consume --once -g g T -- sh -c 'cat > /dev/null; kill -9 $$'
	fails 75 mq-consume --once -g g T -- sh -c 'cat > /dev/null; exit 75'
	mq-consume --once -g g T -- sh -c "$log"
	is "$(cat done)" 'a 0 first'
}

@test "when the window is over the id is new" {
	mq-topic create --partitions 2 T
	publish a 0 first
	mq-consume --once -g g T -- sh -c "$log"
	publish a 1 second
	mq-consume --once --once-window 1ms -g g T -- sh -c "$log"
	is "$(cat done)" $'a 0 first\na 1 second'
	publish a 1 third
	mq-consume --once -g g T -- sh -c "$log"
	counts done 2
}

@test "a record without an id is handled, and that is told once" {
	mq-publish -m x T
	mq-publish -m x T
	mq-consume -v --once -g g T -- sh -c "$log" 2> said
	counts done 2
	is "$(grep -c 'T:0:0 has no id' said)" 1
	is "$(grep -c 'has no id' said)" 1
	has "$(cat said)" '2 records had no id and were handled'
}

@test "a place set back brings nothing again, but without --once" {
	publish a 0 first
	mq-consume --once -g g T -- sh -c "$log"
	mq-group seek -g g -o beginning T
	mq-consume --once -g g T -- sh -c "$log"
	counts done 1
	mq-group seek -g g -o beginning T
	mq-consume -g g T -- sh -c "$log"
	counts done 2
}

@test "in a batch each id counts for itself" {
	mq-topic create --partitions 2 T
	for id in a b a c; do publish $id 0 "$id"; done
	mq-consume --once -g g -p 0 --batch 100 T -- sh -c 'cat >> done' 2> said
	is "$(cat done)" $'a\nb\nc'
	has "$(cat said)" '1 record was done before'
	for id in c d; do publish $id 1 "$id"; done
	mq-consume --once -g g --batch 100 T -- sh -c 'echo "from $MQ_OFFSET"; cat' > out
	is "$(cat out)" $'from 1\nd'
	mq-check
}

@test "a coproc and parallel handlers get each id once" {
	mq-topic create --partitions 4 T
	for i in $(seq 200); do echo "id$((i % 40)) $i"; done | mq-publish --id-field 1 T
	mq-consume --once -g coproc -j 2 --order none --coproc T -- \
		sh -c 'while read -r id rest; do echo "$id" >> coproc; echo ok; done' 2> said
	counts coproc 40
	is "$(sort -u coproc | wc -l)" 40
	has "$(cat said)" '160 records were done before'
	for order in partition key none; do
		mq-consume --once -g "$order" -j 8 --order "$order" T -- sh -c "cut -d' ' -f1 >> $order" 2> said
		is "$(sort "$order" | uniq -c | awk '$1 != 1' | wc -l)" 0
		counts "$order" 40
		has "$(cat said)" '160 records were done before'
		is "$(mq-consume -g "$order" T)" ''
	done
	mq-check
}

@test "a consumer that was killed after the mark brings the record again, and it is skipped" {
	publish a 0 first
	publish b 0 second
	mkfifo go
	mq-consume --once -g g T -- sh -c 'cat >> done; echo >> done; [ "$MQ_ID" = a ] || read x < go' &
	until_true lines done 2
	kill -9 $!
	wait $! || :
	# However little of its place was kept.
	mq-group seek --force -g g -o beginning T
	mq-consume --once -g g T -- sh -c "$log"
	is "$(cat done)" $'first\nsecond\nb 0 second'
}

@test "a consumer that was killed before the mark has it done again, as the page says" {
	publish a 0 first
	mkfifo go
	mq-consume --once -g g T -- sh -c 'cat >> done; echo >> done; read x < go' &
	until_true lines done 1
	kill -9 $!
	wait $! || :
	mq-consume --once -g g T -- sh -c "$log"
	is "$(cat done)" $'first\na 0 first'
}

# Two members, each with a partition: the first is at the record until go is written to.
two_members() { # MORE RECORDS OF THE SECOND
	mq-topic create --partitions 2 T
	publish a 0 first
	mkfifo go
	mq-consume --once -g g -p 0 T -- sh -c 'cat >> done; echo >> done; read x < go; exit $x' 2> said.first &
	first=$!
	until_true lines done 1
	publish a 1 second
	"$@"
}

@test "while one member is at an id, another that has a record of it waits, and then skips it" {
	two_members true
	mq-consume --once -g g -p 1 T -- sh -c "$log" 2> said &
	second=$!
	until_true grep -q 'waiting for a record of the same id' said
	is "$(cat done)" first
	echo 0 > go
	wait $second
	wait $first
	is "$(cat done)" first
	has "$(cat said)" '1 record was done before and skipped'
	is "$(mq-consume -g g T)" ''
}

@test "who waits for an id does it when the first one fails" {
	two_members true
	mq-consume --once -g g -p 1 T -- sh -c "$log" 2> said &
	second=$!
	until_true grep -q 'waiting for a record of the same id' said
	echo 1 > go
	wait $second
	fails 75 wait $first
	is "$(cat done)" $'first\na 1 second'
}

@test "who waits for an id does it when the first one is killed, but not while its handler lives" {
	mq-topic create --partitions 2 T
	publish a 0 first
	publish a 1 second
	mkfifo go
	# What the handler leaves running keeps its descriptors.
	mq-consume --once -g g -p 0 T -- sh -c 'echo first >> done; setsid sh -c "read x < go; echo left >> done" & wait' &
	first=$!
	until_true lines done 1
	mq-consume --once -g g -p 1 T -- sh -c "$log" 2> said &
	second=$!
	until_true grep -q 'waiting for a record of the same id' said
	kill -9 $first
	wait $first || :
	echo > go
	wait $second
	is "$(cat done)" $'first\nleft\na 1 second'
}

@test "records that need not wait for an id go on beside it" {
	two_members eval 'for id in b c d; do publish $id 1 $id; done'
	mq-consume --once -g g -p 1 --order none T -- sh -c "$log" 2> said &
	second=$!
	until_true lines done 4
	is "$(sort done)" $'b 1 b\nc 1 c\nd 1 d\nfirst'
	echo 0 > go
	wait $second
	wait $first
	counts done 4
	is "$(mq-consume -g g T)" ''
}

@test "two members with the same ids in their partitions handle each once" {
	mq-topic create --partitions 2 T
	for p in 0 1; do
		seq 100 | awk '{ print "id" $1, "x" }' | mq-publish -p $p --id-field 1 T
	done
	for p in 0 1; do
		mq-consume --once -g g -p $p -j 4 --order none T -- sh -c 'cut -d" " -f1 >> done' &
		pids="$pids $!"
	done
	for pid in $pids; do wait "$pid"; done
	counts done 100
	is "$(sort -u done | wc -l)" 100
	is "$(mq-consume -g g T)" ''
	mq-check
}

@test "what a group has done goes with it" {
	publish a 0 first
	mq-consume --once -g g T -- sh -c "$log"
	mq-group delete -g g
	mq-consume --once -g g T -- sh -c "$log"
	counts done 2
	is "$(mq-topic list)" T
}

@test "the place moves past a record when its mark is durable, not before" {
	strace -f -o /dev/null true 2> /dev/null || skip 'strace cannot trace here'
	export ASAN_OPTIONS=detect_leaks=0 # which strace keeps from its work
	for i in 1 2 3 4 5; do publish "id$i" 0 "$i"; done
	strace -y -qq -o calls -e trace=pwritev,pwrite64,fdatasync mq-consume --once -g g T -- cat
	awk '/pwritev\(.*once@T@g.*\.seg/ { marks++; dirty = 1 }
		/fdatasync\(.*once@T@g.*\.seg/ { dirty = 0 }
		/pwrite64\(.*\/offsets/ { commits++; if (dirty) wrong++ }
		END { print marks, (commits >= 5), wrong + 0 }' calls > found
	is "$(cat found)" '5 1 0'
}

@test "what ended meanwhile shares a mark and a sync" {
	mkfifo go
	for i in $(seq 16); do publish "id$i" 0 "$i"; done
	exec 9<> go
	mq-consume --once -g g -j 16 --order none T -- sh -c 'echo $$ >> begun; read -r x < go' &
	consumer=$!
	until_true lines begun 16
	kill -STOP $consumer
	seq 16 >&9
	ended() {
		for pid in $(cat begun); do
			[ "$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat")" = Z ] || return 1
		done
	}
	until_true ended
	kill -CONT $consumer
	wait $consumer
	is "$(python3 -B "$MQ_SRC/tests/reader.py" spool once@T@g 0 | wc -l)" 16
	marks=$(python3 -B "$MQ_SRC/tests/reader.py" spool once@T@g 0 --dump | wc -l)
	[ "$marks" -le 2 ] # it may have been stopped while it took in what the first had said
}

@test "where a mark cannot be written the record is not passed, and that is told" {
	publish a 0 first
	mq-consume --once -g g -n 1 T -- sh -c "$log"
	publish b 0 second
	got=0
	MQ_TEST_FAULT='pwritev:1:path=once@T@g:ENOSPC:ever' MQ_TEST_FAULT_REPORT=/dev/null "$MQ_BUILD/tests/traced/mq-consume" --once -g g T -- sh -c "$log" 2> said || got=$?
	is $got 75
	has "$(cat said)" 'handled, but not to be remembered as done (--once), so it may be handled again'
	mq-consume --once -g g T -- sh -c "$log"
	is "$(cat done)" $'a 0 first\nb 0 second\nb 0 second'
}

@test "a spool of a kind that remembers no ids says so" {
	export MQ_SPOOL=mem:once-$$-$RANDOM
	"$MQ_BUILD/tests/mem/mq-publish" --id a -m x T
	fails 64 "$MQ_BUILD/tests/mem/mq-consume" --once -g g T -- cat
	has "$said" '(mem) remembers no ids'
	rm -f "/dev/shm/mq-mem-${MQ_SPOOL#mem:}"*
}

@test "members that share a partition handle each id once, and what was skipped is done" {
	for _ in 1 2 3; do seq 60; done | awk '{ print "id" $1 }' | mq-publish --id-field 1 T
	for m in 1 2 3; do
		mq-consume --once --share -g g -j 4 T -- sh -c 'echo "$(cat)" >> done' 2> "said.$m" &
		pids="$pids $!"
	done
	for pid in $pids; do wait "$pid"; done
	counts done 60
	is "$(sort -u done | wc -l)" 60
	is "$(cat said.* | awk '/done before/ { n += $2 } END { print n }')" 120
	fails 1 mq-consume --share --fail-empty -g g T
	mq-check
}
