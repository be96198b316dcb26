#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-retain: what is too old, too much or read by all goes, and nothing that anybody needs.
load one_spool
load clock

teardown() {
	local pid
	for pid in $(jobs -p); do kill -KILL "$pid" 2> /dev/null || true; done
}

start() { # [PARTITION]: the log start
	mq-topic show --json T | sed -n "s/.*\"partition\":${1-0},\"log_start\":\([0-9]*\),.*/\1/p"
}

segments() { # [PARTITION]: how many files there are
	ls "$MQ_SPOOL/topics/T/${1-0}" | grep -c '\.seg$'
}

# N records in segments of some forty each, by so many publishes.
fill() { # N [OPTION ...]
	local n=$1 i
	shift
	[ -e "$MQ_SPOOL/topics/T" ] || mq-topic create T segment.bytes=4096
	for ((i = $(end) + 1; i <= n; i += 40)); do
		seq -f '%0100.0f' $i $((i + 39)) | head -n $((n - i + 1)) | mq-publish "$@" T
	done
}
end() { mq-topic show --json T | sed -n 's/.*"partition":0,.*"visible":\([0-9]*\),.*/\1/p'; }

# All files of the log, as if nobody had written for so long.  What a batch says of itself stays: so that is disbelieved first.
touch_all() { # TIME
	find "$MQ_SPOOL/topics" -name '*.seg' -exec touch -d "$1" {} +
}

@test "without a limit everything stays, and nothing is said" {
	fill 400
	before=$(segments)
	is "$(mq-retain 2>&1)" ''
	is "$(segments)" "$before"
	is "$(start)" 0
	mq-check
}

@test "what is too much goes: the oldest segments, whole, and the log start says so first" {
	fill 400
	[ "$(segments)" -gt 6 ]
	mq-topic set T retention.bytes=12K
	is "$(mq-retain 2>&1)" ''
	[ "$(start)" -gt 0 ]
	[ "$(segments)" -lt 6 ]
	[ "$(mq-topic show --json T | sed -n 's/.*"partition":0,.*"bytes":\([0-9]*\),.*/\1/p')" -ge 12288 ]
	is "$(mq-consume T | head -n 1)" "$(printf %0100d $(($(start) + 1)))"
	is "$(mq-consume T | tail -n 1)" "$(printf %0100d 400)"
	is "$(ls "$MQ_SPOOL/topics/T/0" | grep -c '\.idx$')" "$(segments)"
	mq-check
	seq 10 | mq-publish T
	is "$(mq-consume T | tail -n 1)" 10
}

@test "what is too old goes, and the last segment stays" {
	fill 400
	mq-topic set T retention.ms=1ms
	sleep 0.01
	mq-retain
	is "$(segments)" 1
	is "$(mq-consume T | tail -n 1)" "$(printf %0100d 400)"
	mq-check
}

@test "what is young stays" {
	fill 400
	mq-topic set T retention.ms=1h
	mq-retain
	is "$(start)" 0
	touch_all '2 hours ago' # a copy that lost its times: the batches know better
	mq-retain
	is "$(start)" 0
}

@test "a dry run says what would go, and changes nothing" {
	fill 400
	mq-topic set T retention.bytes=12K
	find "$MQ_SPOOL" -type f | sort | xargs md5sum > before
	mq-retain --dry-run --json > would
	find "$MQ_SPOOL" -type f | sort | xargs md5sum | cmp - before
	mq-retain --json > did
	is "$(sed 's/true/false/' would)" "$(cat did)"
	has "$(cat did)" '"topic":"T","partition":0,"log_start":'
	is "$(mq-retain --json)" ''
}

@test "what a group has not read stays, until it has read it" {
	fill 400
	mq-topic set T retention.bytes=8K
	mq-consume -g g -n 100 T > /dev/null
	mq-retain
	[ "$(start)" -le 100 ]
	[ "$(start)" -gt 40 ]
	is "$(mq-consume -g g T | wc -l)" 300
	mq-retain
	[ "$(start)" -gt 200 ]
	mq-check
}

@test "a group that begins holds what it begins at" {
	fill 400
	mq-topic set T retention.bytes=8K
	mq-group seek -g g -o beginning T > /dev/null
	mq-retain
	is "$(start)" 0
	is "$(mq-consume -g g T | wc -l)" 400
}

@test "with --unread groups hold nothing, and are told what they lost" {
	fill 400
	mq-topic set T retention.bytes=8K
	mq-consume -g g -n 10 T > /dev/null
	mq-retain --unread
	[ "$(start)" -gt 200 ]
	first=$(start)
	is "$(mq-consume -g g T 2> said | head -n 1)" "$(printf %0100d $((first + 1)))"
	grep -q 'not held any more' said
}

@test "what all have read goes with --consumed, and nothing where nobody reads" {
	fill 400
	mq-retain --consumed
	is "$(start)" 0
	mq-consume -g a T > /dev/null
	mq-consume -g b -n 200 T > /dev/null
	mq-retain --consumed T
	[ "$(start)" -le 200 ]
	[ "$(start)" -gt 150 ]
	is "$(mq-consume -g b T | wc -l)" 200
	mq-retain --consumed T
	is "$(segments)" 1
	mq-check
}

@test "a group that was not seen for long holds nothing, and that is told once" {
	fill 400
	mq-topic set T retention.bytes=8K
	mq-consume -g g -n 10 T > /dev/null
	echo offsets.retention.minutes=1 >> "$MQ_SPOOL/spool.conf"
	mq-retain
	[ "$(start)" -le 10 ]
	in_two_minutes mq-retain --force 2> said
	has "$(cat said)" 'group g was not seen for'
	[ "$(start)" -gt 200 ]
	in_two_minutes mq-retain --force 2> said
	is "$(cat said)" ''
	mq-check || [ $? = 78 ]
}

@test "a group whose member lives is seen, though it commits nothing" {
	fill 400
	mq-topic set T retention.bytes=8K
	echo offsets.retention.minutes=1 >> "$MQ_SPOOL/spool.conf"
	: > begun
	mq-consume -f -g g T -- sh -c 'echo x >> begun; exec sleep 600' &
	until_true test -s begun
	in_two_minutes mq-retain --force
	is "$(start)" 0
	kill %1
	wait %1 || true
	in_two_minutes mq-retain --force # it was seen a moment ago
	is "$(start)" 0
}

in_two_minutes() { clock_off 120 "$@"; }

@test "a clock that jumped stops it, either way, until somebody says that it is right" {
	fill 400
	mq-topic set T retention.ms=30m
	mq-retain
	for by in 3600 -3600; do
		fails 75 clock_off $by mq-retain
		has "$said" 'the clock jumped by'
		fails 75 clock_off $by mq-retain
		is "$(start)" 0
	done
	mq-retain # it is right again
	clock_off 3600 mq-retain --force
	is "$(segments)" 1
	clock_off 3601 mq-retain
	fails 75 mq-retain
	mq-check
}

@test "after a reboot time may have gone on, and not back" {
	fill 400
	mq-topic set T retention.ms=1h
	mq-retain
	sed -i 's/^boot=.*/boot=00000000000000000000000000000001/' "$MQ_SPOOL/retain.seen"
	mq-retain
	sed -i 's/^boot=.*/boot=00000000000000000000000000000001/; s/^real=.*/real='$(($(date +%s) + 3600))'000000/' "$MQ_SPOOL/retain.seen"
	fails 75 mq-retain
	has "$said" 'jumped by -3'
}

@test "a batch stamped a year ahead stays no longer than its file" {
	fill 100
	mq-topic set T retention.ms=1h
	seq -f '%0100.0f' 101 140 | clock_off $((365 * 86400)) mq-publish T
	fill 400
	mq-retain
	is "$(start)" 0
	touch_all '2 hours ago'
	clock_off 7200 mq-retain --force
	is "$(segments)" 1
}

@test "one at a time in a spool: the other one ends with 75" {
	fill 100
	mkfifo held
	flock_byte "$MQ_SPOOL/retain.lock" &
	until_true test -e locked
	fails 75 mq-retain
	has "$said" 'another mq-retain is at work'
	mq-retain --dry-run
	echo > held
	wait
	mq-retain
}
flock_byte() { # FILE: its first byte, until something comes through held
	: >> "$1"
	python3 - "$1" <<-'END'
		import fcntl, struct, sys
		f = open(sys.argv[1], "r+")
		fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0)) # F_OFD_SETLK
		open("locked", "w")
		open("held").read()
	END
}

@test "fifty at once: each removes all that is to go, or says 75" {
	fill 1200
	mq-topic set T retention.bytes=8K
	for i in $(seq 50); do
		{ mq-retain 2> /dev/null; echo $? >> statuses; } &
	done
	wait
	is "$(sort -u statuses | tr '\n' ' ')" "$(sort -u statuses | grep -x '0\|75' | tr '\n' ' ')"
	grep -qx 0 statuses
	[ "$(segments)" -le 4 ]
	mq-check
}

@test "a reader at work goes on, or is told what it lost, and reads no other record" {
	fill 2000
	mq-topic set T retention.bytes=8K
	mkfifo out
	mq-consume T > out 2> said &
	{
		for i in $(seq 20); do read -r line; echo "$line"; done
		mq-retain
		cat
	} < out > got
	wait || [ $? = 2 ]
	sort -c -u got
	is "$(tail -n 1 got)" "$(printf %0100d 2000)"
	[ "$(wc -l < got)" = 2000 ] || grep -q 'not held any more' said
}

@test "a follower sees nothing of it" {
	fill 400
	mq-topic set T retention.bytes=8K
	mq-consume -f T > got &
	until_true eval '[ "$(wc -l < got)" = 400 ]'
	mq-retain
	seq -f '%0100.0f' 401 440 | mq-publish T
	until_true eval '[ "$(wc -l < got)" = 440 ]'
	is "$(cat got)" "$(seq -f '%0100.0f' 440)"
}

@test "a topic that is not there is 66, and the others are freed" {
	fill 400
	mq-topic set T retention.bytes=8K
	fails 66 mq-retain U T
	has "$said" 'no topic U'
	[ "$(start)" -gt 200 ]
	fails 64 mq-retain T:0
	fails 66 mq-retain -S nowhere
}

@test "what is of no log any more goes after a day, and what cannot be read stays" {
	fill 400
	dir=$MQ_SPOOL/topics/T/0
	mkdir kept
	cp -a "$dir"/*.seg kept/
	mq-topic set T retention.bytes=8K
	mq-retain
	gone=$(comm -13 <(ls "$dir") <(ls kept) | head -n 1)
	cp "kept/$gone" "$dir/"
	fails 2 mq-check || true
	mq-retain # it lies below the log start, and nothing before it
	[ ! -e "$dir/$gone" ] || { touch -d '2 days ago' "$dir/$gone"; mq-retain; }
	[ ! -e "$dir/$gone" ]
	mq-check
}

@test "what purge left lies below the log start, and goes" {
	fill 400
	mq-topic purge T -o 300
	before=$(segments)
	mq-retain
	[ "$(segments)" -lt "$before" ]
	is "$(start)" 300
	is "$(mq-consume T | head -n 1)" "$(printf %0100d 301)"
	mq-check
}

@test "what is due comes, where nobody else works on the topic" {
	mq-topic create T
	mq-publish --delay 50ms -m late T
	sleep 0.1
	mq-retain
	is "$(mq-topic show --json T | sed -n 's/.*"partition":0,.*"visible":\([0-9]*\),.*/\1/p')" 1
	mq-check
}
