#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What befalls a partition's files, and who holds its lock, as the tools show it.
load engines
load locks
load flip

# 100 records in segments of 4 KiB, several.
many_segments() {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	mq-topic create T segment.bytes=4096
	for i in $(seq 10); do
		seq $((i * 100)) $((i * 100 + 99)) | sed 's/$/ xxxxxxxxxxxxxxxx/' | mq-publish T
	done
	mq-consume T > all
	segs=(spool/topics/T/0/*.seg)
	[ "${#segs[@]}" -gt 4 ]
}

base() { # FILE: its base offset
	local name=${1##*/}
	echo $((10#${name%%.*}))
}

# Read with the segment of that number gone: all else comes, and what is missing is told.
without() { # NUMBER
	local from to
	from=$(base "${segs[$1]}")
	to=$(base "${segs[$1 + 1]}")
	mv "${segs[$1]}" gone
	run -2 --separate-stderr mq-consume T
	sed "$((from + 1)),${to}d" all | diff - <(echo "$output")
	has "$stderr" "offsets $from to $((to - 1)) are damaged"
	run -2 --separate-stderr mq-consume -g g T
	sed "$((from + 1)),${to}d" all | diff - <(echo "$output")
	mq-consume -o "$to..end" T | diff - <(sed "1,${to}d" all)
}

@test "a segment that is missing in the middle is damage, and those below it are still read" {
	many_segments
	without 2
}

@test "the first segment missing is damage" {
	many_segments
	without 0
}

@test "two missing in a row are one damage" {
	many_segments
	rm "${segs[2]}"
	segs=("${segs[@]:0:2}" "${segs[@]:3}")
	mv "${segs[1]}" 1
	segs=("${segs[@]:0:1}" "${segs[@]:2}")
	run -2 --separate-stderr mq-consume T
	sed "$(($(base "${segs[0]}") + 101)),$(base "${segs[1]}")d" all | diff - <(echo "$output")
	has "$stderr" "offsets 100 to $(($(base "${segs[1]}") - 1)) are damaged"
	has "$stderr" '1 damaged places passed'
}

@test "segments below the log start may be gone" {
	many_segments
	mq-topic purge -o "$(base "${segs[3]}")" T
	rm "${segs[0]}" "${segs[2]}" "${segs[1]}"
	mq-consume T | diff - <(sed "1,$(base "${segs[3]}")d" all)
	mq-topic show T
}

@test "a publisher that waits for a lock obeys a stop signal" {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	mq-publish -m one T
	hold_append spool/topics/T/0/lock
	mq-publish -m two T 2> said &
	pid=$!
	until_true grep -q -- "-> OFDLCK.*:$(stat -c %i spool/topics/T/0/lock) 0 0" /proc/locks
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	let_go
	[ "$status" -eq 143 ] || { echo "status $status"; cat said; false; }
	is "$(mq-consume T)" one
}

@test "a copy that was torn is no damage, and what the original's groups committed is not given anew" {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	seq 10 | mq-publish T
	mq-publish -m eleven T
	mq-consume -g g T > all
	cp -a spool copy
	truncate -s -5 copy/topics/T/0/*.seg
	export MQ_SPOOL=$PWD/copy
	run -0 --separate-stderr mq-publish -m new T
	has "$stderr" 'offsets 10 to 10 are lost'
	is "$(mq-consume --format '%o %s\n' T | tail -n 2)" $'9 10\n11 new'
	is "$(mq-consume -g g T)" new
}

@test "one who may only write repairs nothing, since he cannot ask the groups" {
	[ "$(id -u)" = 0 ] && command -v setpriv > /dev/null || skip 'needs another user to be'
	export MQ_SPOOL=spool PATH=$MQ_BUILD/bin:$PATH
	local other='setpriv --reuid 65534 --regid 65534 --clear-groups'
	seq 3 | mq-publish --ack none T
	mq-consume -g g T > all
	truncate -s 512 spool/topics/T/0/*.seg
	cp spool/topics/T/0/state state
	mv state spool/topics/T/0/state
	chmod -R o+rwX spool
	chmod 700 spool/groups
	$other test -x "$MQ_BUILD/bin/mq-publish" -a -w spool/topics/T/0/lock || skip 'another user cannot come here'
	fails 75 timeout 20 $other mq-publish --timeout 1s -m new T
	has "$said" 'what the groups committed cannot be read'
	is "$($other mq-consume T)" ''
	mq-publish -m new T
	is "$(mq-consume --format '%o %s\n' T)" '3 new'
}

@test "a log start that was cut off is loud; one slot of it is enough" {
	many_segments
	mq-topic purge -o 400 T
	start=spool/topics/T/0/start
	cp $start whole
	for size in 0 60 200; do
		truncate -s $size $start
		for how in '' '-g g' '-f --until-idle 100ms'; do
			run -2 --separate-stderr timeout 20 mq-consume $how T
			[ -z "$output" ]
			has "$stderr" 'T:0: start: it was cut short, and no slot verifies'
		done
		run -2 mq-check
		has "$output" start
		cp whole $start
	done
	for size in 4096 8000; do
		truncate -s $size $start
		sed 1,400d all | diff - <(mq-consume T)
		run -2 mq-check
		has "$output" 'it has not the length that it was made with'
		cp whole $start
	done
	run -0 mq-check
}

@test "what was acknowledged from outside above the place is not given anew to other records" {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	seq 0 4 | mq-publish T
	cp -a spool/topics/T/0 on-disk
	seq 5 7 | mq-publish --ack written T
	mq-consume --manual -g g --timeout 0s T > positions || true
	sed -n 7p positions | mq-group commit -g g
	# The power fails: what was written and not synced is gone, the acknowledgement is not.
	rm -r spool/topics/T/0
	cp -a on-disk spool/topics/T/0
	rm spool/topics/T/0/state
	[ "$(echo new | mq-publish --confirm T)" = T:0:7 ]
	mq-consume --manual -g g --timeout 0s T > positions || true
	[ "$(cut -f 2 positions)" = "$(seq 0 4)"$'\n'new ]
	sed '$d' positions | mq-group commit -g g
	[ "$(mq-consume -g g T)" = new ]
}

@test "a limit on file sizes fails a publisher, and does not kill it" {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	mq-publish -m one T
	head -c 200000 /dev/zero | tr '\0' x > in
	(
		ulimit -f 100
		fails 75 mq-publish T in
		has "$said" 'ulimit -f'
		fails 75 mq-publish --producer p --seq 1 T in
		has "$said" 'ulimit -f'
		is "$(mq-consume T)" one
		mq-publish -m two T
	)
	is "$(mq-consume T)" $'one\ntwo'
	mq-publish --producer p --seq 1 T in
	mq-consume T | diff - <(printf 'one\ntwo\n'; cat in; echo)
	mq-check
}

@test "a limit on file sizes fails a consumer, and not its handlers" {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	seq -f '%099.0f' 3000 > in
	mq-publish T -l in
	status=0
	(ulimit -f 100; exec mq-consume T > out 2> said) || status=$?
	is "$status" 74
	has "$(cat said)" 'ulimit -f'
	mq-consume -n 1 -g g T -- grep -E 'Sig(Ign|Cgt)' /proc/self/status > signals
	while read -r _ mask; do is "$((0x$mask & 1 << 24))" 0; done < signals
}

@test "a spool that lacks its last segment is not whole, whoever asks" {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	seq 3 | mq-publish T
	rm "$MQ_SPOOL"/topics/T/0/*.seg
	for how in 'mq-consume' 'mq-consume -g g' 'mq-publish -m x' 'mq-topic show'; do
		fails 78 timeout 20 $how T
		has "$said" 'the spool lacks it'
	done
}

@test "a spool whose configuration is lost is not made anew" {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	seq 3 | mq-publish T
	mv "$MQ_SPOOL/spool.conf" lost
	fails 78 mq-publish -m x T
	has "$said" 'spool.conf is missing, and there are topics'
	[ ! -e "$MQ_SPOOL/spool.conf" ]
	fails 78 mq-consume T
	mq-publish -S new -m x T
	grep -v '^inode=' new/spool.conf > "$MQ_SPOOL/spool.conf"
	mq-check --mend > out
	is "$(mq-consume T)" "$(seq 3)"
	mq-check
}

# Three batches of a named producer that was killed at each sync, of which the second is harmed before the next one syncs.
@test "what a producer wrote behind a batch that a failed sync lost is not held: it comes again, in order" {
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
	seq 30 > all
	for from in 1 11 21; do
		sed -n "$from,$((from + 9))p" all | MQ_TEST_FAULT=fdatasync:1:path=.seg:kill-before \
			fails 137 "$MQ_BUILD/tests/traced/mq-publish" --producer me --seq $from T
	done
	file=$(echo spool/topics/T/0/*.seg)
	flip "$file" "$(($(grep -abo '^12$' "$file" | cut -d : -f 1)))"
	fails 74 mq-publish -m x T
	has "$said" 'offsets 10 to 29 are lost (a sync failed)'
	mq-publish --producer me --seq 1 T < all 2> said
	has "$(cat said)" '10 records were held already'
	is "$(mq-consume T 2> /dev/null | grep -v x)" "$(cat all)"
	mq-check > found || [ $? -le 1 ]
	! grep damage found
}
