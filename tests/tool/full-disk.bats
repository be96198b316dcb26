#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk that is full: who publishes waits, and goes on when there is space.
load one_spool

setup() {
	in_a_spool
	unshare -Urm mount -t tmpfs none /mnt 2> /dev/null || skip 'no mounts in a name space of our own'
}

# Each test runs again inside a name space with a small disk in disk/.
on_a_small_disk() { # FUNCTION
	export -f "$1" fill slept fails is has until_true a_torn_end positions
	mkdir disk
	PATH=$MQ_BUILD/bin:$PATH MQ_SPOOL=$PWD/disk/spool timeout 60 unshare -Urm bash -euc '
		shopt -s lastpipe
		mount -t tmpfs -o size=800k none disk
		trap "kill \$(jobs -p) 2> /dev/null || true" EXIT
		'"$1"
}

fill() {
	dd if=/dev/zero of=disk/filler bs=4096 2> /dev/null || true
}

# It is alive and has gone to sleep again and again: it waits.
slept() { # PID
	[ "$(awk '/^voluntary/ { print $2 }' "/proc/$1/status")" -ge 10 ]
}

# As a power cut leaves it: half a batch at the end, and a state of another boot.
a_torn_end() { # TOPIC
	printf 'half a batch' >> "$(echo disk/spool/topics/"$1"/0/*.seg)"
	cp "disk/spool/topics/$1/0/state" state
	rm "disk/spool/topics/$1/0/state"
	cp state "disk/spool/topics/$1/0/state"
}

waits() {
	mq-publish -m one T
	fill
	head -c 100000 /dev/zero | tr '\0' x | mq-publish T &
	until_true slept $!
	rm disk/filler
	wait $!
	is "$(mq-consume T | wc -c)" 100005
}
@test "a publisher waits for space" { on_a_small_disk waits; }

says_why() {
	mq-topic create T when.full=fail
	mq-publish -m one T
	fill
	head -c 100000 /dev/zero | tr '\0' x | fails 75 mq-publish T
	has "$said" 'mq-publish: T:0: '
	has "$said" 'no space left on device'
	rm disk/filler
	mq-topic create U
	mq-publish -m one U
	fill
	head -c 100000 /dev/zero | tr '\0' x | fails 75 mq-publish --timeout 100ms U
	has "$said" 'no space left on device; no space came in time (--timeout)'
}
@test "that the disk is full is said, not only that there was no space" { on_a_small_disk says_why; }

waits_torn() {
	mq-publish -m one T
	a_torn_end T
	fill
	fails 75 mq-publish --timeout 100ms -m two T
	mq-publish -m two T &
	until_true slept $!
	rm disk/filler
	wait $!
	is "$(mq-consume T)" $'one\ntwo'
	is "$(find disk -name '.*')" ''
}
@test "a publisher waits for space, also where the log's end is torn" { on_a_small_disk waits_torn; }

waits_named() {
	mq-publish -m one T
	a_torn_end T
	fill
	fails 75 mq-publish --timeout 100ms --producer p -m two T
	mq-publish --producer p -m two T &
	until_true slept $!
	rm disk/filler
	wait $!
	is "$(mq-consume T)" $'one\ntwo'
}
@test "a new producer's name waits for space" { on_a_small_disk waits_named; }

deletes() {
	mq-publish -m one T
	mq-publish -m one U
	a_torn_end T
	rm disk/spool/topics/U/0/*.seg
	fill
	mq-topic delete T
	mq-topic delete U
	is "$(mq-topic list)" ''
	mq-publish -m one T
	is "$(mq-consume T)" one
}
@test "a topic is deleted on a full disk, whatever is left of it" { on_a_small_disk deletes; }

named_limit() {
	mq-topic create T max.messages=2
	seq 2 | mq-publish T
	fails 75 mq-publish --timeout 100ms --producer p -m three T
	mq-publish --producer p -m three T &
	until_true slept $!
	mq-topic purge -o 1 T
	wait $!
	is "$(mq-consume T)" $'2\nthree'
}
@test "a new producer's name waits for a full topic" { on_a_small_disk named_limit; }

deletes_torn() {
	mq-publish -m one T
	mq-publish -m one U
	a_torn_end T
	fill
	mq-topic delete T
	is "$(mq-topic list)" U
}
@test "a topic can be deleted on a full disk, though its log's end is torn" { on_a_small_disk deletes_torn; }

deletes_empty() {
	mq-publish -m one T
	mq-publish -m one U
	rm disk/spool/topics/T/0/*.seg disk/spool/topics/U/0/state
	fill
	mq-topic delete T
	mq-topic delete U
	is "$(mq-topic list)" ''
}
@test "a topic can be deleted without a segment, or without a state and room for one" { on_a_small_disk deletes_empty; }

drops_oldest() {
	mq-topic create T max.messages=100 when.full=drop-oldest
	mq-topic create U max.bytes=64K when.full=drop-oldest
	seq 50 | tee all | mq-publish T
	for i in $(seq 8); do seq -f '%099.0f' $((i * 100)) $((i * 100 + 70)) | tee -a all-of-u | mq-publish U; done
	fill
	seq -f '%099.0f' 200 > in
	fails 75 mq-publish --timeout 100ms -l T in
	mq-consume T | diff - all
	fails 75 mq-publish --timeout 100ms -l U in
	mq-consume U | diff - all-of-u
	rm disk/filler
	mq-publish -l T in
	mq-consume T | diff - <(tail -n 100 in)
	mq-publish -l U in
	mq-consume U > out
	tail -n "$(wc -l < out)" <(cat all-of-u in) | diff - out
}
@test "drop-oldest drops nothing for what there is no space to store" { on_a_small_disk drops_oldest; }

positions() {
	mq-consume --manual --timeout 0 -g G T > positions || [ $? = 75 ]
}

acknowledges() {
	seq 2000 | mq-publish T
	positions
	fill
	for i in $(seq 400); do sed -n "${i}p" positions | mq-group commit -g G; done
	is "$(mq-consume --manual --timeout 0 -g G T 2> /dev/null | head -1 | cut -f 2)" 401
	tail -n +401 positions | mq-group commit -g G
	is "$(mq-consume -g G T)" ''
}
@test "a group acknowledges from outside on a full disk" { on_a_small_disk acknowledges; }

acknowledges_while_owned() {
	seq 3000 | mq-publish T
	mq-publish -m one old
	mq-consume --manual -g G -n 1 T | mq-group commit -g G
	fill
	mq-consume --manual -g G T | mq-group commit -g G
	is "$(mq-consume -g G T)" ''
}
@test "whoever prints positions and who acknowledges them go on on a full disk" { on_a_small_disk acknowledges_while_owned; }

acknowledges_above() {
	seq 2000 | mq-publish T
	positions
	fill
	tail -n +2 positions | fails 75 mq-group commit -g G
	has "$said" 'no space left on device'
	tail -n +2 positions | fails 75 mq-group commit -g G
	head -n 1 positions | mq-group commit -g G
	tail -n +2 positions | mq-group commit -g G
	is "$(mq-consume -g G T)" ''
}
@test "acknowledgements above one that lacks are refused on a full disk, that one never" { on_a_small_disk acknowledges_above; }

works_in_a_group() {
	mq-topic create --partitions 2 T
	for p in 0 1; do seq $((10 * p)) $((10 * p + 4)) | mq-publish -p $p T; done
	mq-consume -f -g g T -- sh -c 'read -r x; echo "$x" >> handled' &
	one=$!
	mq-consume -f -g g T -- sh -c 'read -r x; echo "$x" >> handled' &
	until_true sh -c '[ "$(wc -l < handled)" = 10 ]'
	fill
	# What was stored is done and committed, a member comes and one is killed, without a byte of space.
	head -c 100000 /dev/zero | tr '\0' x | fails 75 mq-publish --timeout 100ms T
	kill -KILL $one
	mq-consume -f -g g T -- sh -c 'read -r x; echo "$x" >> handled' &
	until_true sh -c 'mq-group show -g g --json T | grep -q "\"owned\":true"'
	rm disk/filler
	seq 20 24 | mq-publish -p 0 T
	until_true grep -q 24 handled
	until_true sh -c '! mq-group show -g g --json T | grep -v "\"lag\":0"'
	is "$(sort -nu handled)" "$(seq 0 4; seq 10 14; seq 20 24)"
}
@test "a group works on a full disk, and goes on when there is space" { on_a_small_disk works_in_a_group; }

shares() {
	seq 20 | mq-publish T
	mq-consume --share -g g -n 5 T -- sh -c 'read -r x; echo "$x" >> handled'
	fill
	mq-consume --share -g g T -- sh -c 'read -r x; echo "$x" >> handled'
	is "$(cat handled)" "$(seq 20)"
	mq-consume --share -g new T -- true 2> said || status=$?
	[ "${status-0}" = 75 ] || [ "${status-0}" = 74 ]
	has "$(cat said)" 'no space left on device'
	rm disk/filler
	mq-consume --share -g new T -- sh -c 'read -r x; echo "$x" >> new'
	is "$(cat new)" "$(seq 20)"
}
@test "who shares needs no space for it but at the very first, and says so" { on_a_small_disk shares; }

makes_room() {
	mq-topic create T segment.bytes=4096 retention.bytes=8K
	for i in $(seq 10); do head -c 3900 /dev/zero | tr '\0' x | mq-publish --one T; done
	fill
	mkdir elsewhere
	fails 74 mq-retain --archive disk || fails 75 mq-retain --archive disk
	is "$(mq-consume T | wc -l)" 10
	is "$(ls -A disk | grep -c 'tmp-\|zst')" 0
	mq-retain --archive elsewhere
	[ "$(mq-consume T | wc -l)" -lt 5 ]
	is "$( (mq-replay --archive elsewhere/*; mq-consume T) | wc -l)" 10
	head -c 3900 /dev/zero | tr '\0' x | mq-publish --one --timeout 10s T
	mq-check
}
@test "retention makes room where there is none, and needs none; an archive that has none keeps everything" { on_a_small_disk makes_room; }
