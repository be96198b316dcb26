#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What the check says of a spool, and what it mends.  Driven through the helper of tests/crash/flips.t, which makes a small
# spool (orders with three partitions, packed, wide, queue, the groups billing and work) and prints findings, a line each:
#   KIND POSITION LENGTH FROM TO mended|- FILE: TEXT
bats_require_minimum_version 1.5.0
load flip

setup() {
	: "${MQ_BUILD:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
	flips=$MQ_BUILD/tests/crash/flips
	spool=$BATS_TEST_TMPDIR/spool
	"$flips" make "$spool"
}

check() { "$flips" check "$spool" "$@"; }

# Nothing but the sums.
clean() {
	run -0 check "$@"
	[ "${#lines[@]}" -eq 1 ] || { echo "$output"; return 1; }
}

# One finding, which looks like the pattern, and the sums.
says() {
	run -0 check "${@:2}"
	[ "${#lines[@]}" -eq 2 ] || { echo "$output"; return 1; }
	[[ "${lines[0]}" =~ $1 ]] || { echo "$output"; return 1; }
}

# The segment of orders:0 of that place in the list (0: the oldest).
segment() {
	local all=("$spool"/topics/orders/0/*.seg)
	echo "${all[$1]}"
}

# state is made a new file, as after a reboot: its tail is of another one.
reboot() {
	cp "$spool/topics/orders/$1/state" "$BATS_TEST_TMPDIR/state"
	rm "$spool/topics/orders/$1/state"
	cp "$BATS_TEST_TMPDIR/state" "$spool/topics/orders/$1/state"
}

@test "a sound spool has no finding, and each record is counted" {
	clean
	[[ "$output" == "sums topics=4 partitions=6 segments=10 batches=82 records=393 bytes="* ]]
}

@test "one topic, one partition is checked alone" {
	flip "$(segment 0)" 700 3
	clean packed
	clean orders 1
	says '^damage ' orders 0
	run -1 check nothing
	[[ "$output" == "failed 66 "* ]]
	run -1 check orders 3
	[[ "$output" == "failed 66 topic orders has no partition 3"* ]]
}

@test "the check changes nothing, and needs no permission to write" {
	find "$spool" -type f -exec sha256sum {} + | sort >"$BATS_TEST_TMPDIR/before"
	chmod -R a-w "$spool"
	clean
	chmod -R u+w "$spool"
	find "$spool" -type f -exec sha256sum {} + | sort | cmp - "$BATS_TEST_TMPDIR/before"
}

@test "a body that does not verify is damage, with its place and offsets" {
	flip "$(segment 0)" 840
	says '^damage 696 240 1 3 - topics/orders/0/0+\.[0-9a-f]{8}\.seg: the body of a batch does not verify$'
}

@test "a batch header that does not verify is damage up to the next that does" {
	flip "$(segment 0)" 720 4
	says '^damage 696 240 1 3 - .*: no batch verifies here$'
}

@test "a segment header that does not verify hides no other damage" {
	flip "$(segment 0)" 100 2
	says '^damage 0 512 0 0 - .*: the segment.s header does not verify$'
	flip "$(segment 0)" 840
	run -0 check
	[ "${#lines[@]}" -eq 3 ]
	[[ "$output" == *"damage 696 240 1 3 "* ]]
}

@test "a segment that is gone is damage, with the offsets that went with it" {
	rm "$(segment 0)"
	run -0 check
	[[ "${lines[0]}" =~ ^"dead 0 0 0 0 - topics/orders/0/"0*\..*"idx: the index of a segment that is not there" ]]
	[[ "${lines[1]}" =~ ^"damage 0 0 0 31 - ".*"its predecessor is missing" ]]
}

# A topic of ten segments, a hundred records each.
ten_segments() {
	export MQ_SPOOL=$BATS_TEST_TMPDIR/ten PATH=$MQ_BUILD/bin:$PATH
	mq-topic create T segment.bytes=4096
	for i in $(seq 0 9); do
		seq $((i * 100)) $((i * 100 + 99)) | sed 's/$/ xxxxxxxxxxxxxxxx/' | mq-publish T
	done
	segs=("$MQ_SPOOL"/topics/T/0/*.seg)
	[ "${#segs[@]}" -eq 10 ]
}

@test "of segments that are gone from the middle the check tells the offsets, and reads those below, as consumers do" {
	ten_segments
	rm "${segs[2]}" "${segs[2]%seg}idx"
	run -2 mq-check --json
	[[ "$output" == *'"kind":"damage","what":"topics/T/0/'"${segs[3]##*/}"*'its predecessor is missing'* ]]
	[[ "$output" == *'"offset_from":200,"offset_to":300,"mended":false,"text":"no file holds these offsets'* ]]
	[[ "$output" != *'"kind":"dead"'* && "$output" == *'"records":900,'* ]]
	[ "$(reader | wc -l)" -eq 900 ]
	mq-topic purge -o 300 T
	run -0 mq-check
	[[ "$output" != *damage* ]]
}

@test "a head that is gone is damage, until a publisher has told what was lost with it" {
	ten_segments
	rm "${segs[9]}" "${segs[9]%seg}idx"
	run -2 mq-check
	[[ "$output" == *"the segment that state names is missing"* ]]
	run -78 reader
	distrust "$MQ_SPOOL/topics/T/0"
	run -2 mq-check
	[[ "$output" == *"damage "*"900..1000"*"the segment that state names is missing"* ]]
	run -0 --separate-stderr mq-publish -m more T
	[[ "$stderr" == *"offsets 900 to 999 are lost"* ]]
	[ "$(mq-consume --format '%o\n' T | tail -n 1)" = 1000 ]
	run -0 mq-check
}

# state as after a reboot: its bytes in another file.
distrust() { # PARTITION-DIRECTORY
	cp "$1/state" "$BATS_TEST_TMPDIR/state"
	rm "$1/state"
	cp "$BATS_TEST_TMPDIR/state" "$1/state"
}

@test "a segment of another partition, copied here, takes nothing over: it is dead" {
	export MQ_SPOOL=$BATS_TEST_TMPDIR/two PATH=$MQ_BUILD/bin:$PATH
	mq-topic create T --partitions 2 segment.bytes=4096
	seq 3 | mq-publish -p 0 T
	for i in $(seq 0 9); do seq $((i * 200)) $((i * 200 + 199)) | mq-publish -p 1 T; done
	cp "$(ls "$MQ_SPOOL"/topics/T/1/*.seg | tail -n 1)" "$MQ_SPOOL/topics/T/0"
	for state in trusted distrusted none; do
		if [ $state = distrusted ]; then distrust "$MQ_SPOOL/topics/T/0"; fi
		if [ $state = none ]; then rm "$MQ_SPOOL/topics/T/0/state"; fi
		run -0 mq-check -p 0 T
		[[ "$output" == *"dead "*"the segment is another partition's"* && "$output" != *damage* ]] || { echo "$output"; false; }
		is_three=$(mq-consume -p 0 T)
		[ "$is_three" = "$(seq 3)" ]
		[ "$(reader)" = "$(seq 3)" ]
	done
	mq-publish -p 0 -m 4 T
	[ "$(mq-consume -p 0 T)" = "$(seq 4)" ]
}

@test "a segment of the same partition from a copy that went its own way does not take over what followed here" {
	ten_segments
	cp -a "$MQ_SPOOL" "$MQ_SPOOL.copy"
	for i in 1 2 3; do seq 100 | sed 's/$/ from here xxxxxxxxx/' | mq-publish T; done
	mq-consume T >"$BATS_TEST_TMPDIR/all"
	for i in $(seq 9); do seq 100 | sed 's/$/ from the copy xxxxxx/' | mq-publish -S "$MQ_SPOOL.copy" T 2>/dev/null; done
	stray=$(ls "$MQ_SPOOL.copy"/topics/T/0/*.seg | tail -n 1)
	cp "$stray" "$MQ_SPOOL/topics/T/0"
	mq-consume T | cmp - "$BATS_TEST_TMPDIR/all" # the tail holds
	distrust "$MQ_SPOOL/topics/T/0"
	run -2 mq-check
	[[ "$output" == *"state names this segment, and the head does not follow it"* ]]
	run -2 mq-consume T
	[[ "$output" == *"claims to be the head and does not follow the one that state names"* ]]
	run -2 mq-publish -m more T
	run -78 reader
	rm "$MQ_SPOOL/topics/T/0/${stray##*/}"
	mq-consume T | cmp - "$BATS_TEST_TMPDIR/all"
}

@test "a file that ends before its segment does is damage" {
	truncate -s 3000 "$(segment 0)"
	run -0 check
	[[ "$output" == *"damage 3000 920 "*"the file ends before the segment does"* ]]
}

@test "the last durable batch, flipped, is damage and not the end: with state, and after a reboot" {
	size=$(stat -c %s "$(segment 1)")
	flip "$(segment 1)" $((size - 5)) 2
	says '^damage .* the body of a batch does not verify$'
	reboot 0
	says '^damage .* the body of a batch does not verify$'
}

# The byte that many from the end of the only segment is changed, and nobody trusts the tail; stateless: nor is there a mark.
flip_after_reboot() { # BYTE-FROM-THE-END
	local dir=$MQ_SPOOL/topics/T/0 seg
	seg=$(echo "$dir"/*.seg)
	flip "$seg" $(($(stat -c %s "$seg") - $1))
	cp "$dir/state" "$BATS_TEST_TMPDIR/state"
	rm "$dir/state"
	[ "${2:-}" = stateless ] || cp "$BATS_TEST_TMPDIR/state" "$dir/state"
}

reader() { python3 -B "${MQ_SRC:-$BATS_TEST_DIRNAME/../..}/tests/reader.py" "$MQ_SPOOL" T 0 --raw; }

@test "a header that verifies over a body that does not ends the log above the witness: check, reader and recovery agree" {
	export MQ_SPOOL=$BATS_TEST_TMPDIR/above PATH=$MQ_BUILD/bin:$PATH
	for state in kept stateless; do
		rm -rf "$MQ_SPOOL"
		seq 3 | mq-publish T
		seq 4 6 | mq-publish --ack written T
		flip_after_reboot 2 "$state"
		run -0 mq-check
		[[ "$output" == *"torn "*" 646 "*" an end that nobody was promised; the next publisher passes it"* ]]
		[[ "$output" != *"damage "* ]]
		run -0 --separate-stderr reader
		[ "$output$stderr" = "$(seq 3)" ]
		run -0 mq-check --mend
		run -0 --separate-stderr mq-consume T
		[ "$output" = "$(seq 3)" ]
		[[ "$stderr" != *damage* ]]
		run -0 mq-check
		[[ "$output" != *"left "* ]]
		run -0 mq-check -v
		[[ "$output" == *"left "*" 646 "*"bytes behind the segment's end"* ]]
	done
}

@test "below the witness it is damage, for check, reader and recovery, and what lies behind it is read" {
	export MQ_SPOOL=$BATS_TEST_TMPDIR/below PATH=$MQ_BUILD/bin:$PATH
	for state in kept stateless; do
		rm -rf "$MQ_SPOOL"
		seq 3 | mq-publish T
		seq 4 6 | mq-publish --ack written T # tells that the first three were durable
		flip_after_reboot $((134 + 2)) "$state"
		for when in before after; do
			run -2 mq-check
			[[ "$output" == *"damage "*" 512 "*"0..3 "*" the body of a batch does not verify"* ]]
			run -2 --separate-stderr reader
			[ "$output" = "$(seq 4 6)" ]
			run -2 --separate-stderr mq-consume T # the first time it recovers
			[ "$output" = "$(seq 4 6)" ]
			[[ "$stderr" == *"offsets 0 to 2 are damaged"* ]]
		done
	done
}

@test "where the tail holds, no power was lost, and what was published before it and does not verify is damage" {
	export MQ_SPOOL=$BATS_TEST_TMPDIR/tail PATH=$MQ_BUILD/bin:$PATH
	seq 3 | mq-publish --ack written T
	seg=$(echo "$MQ_SPOOL"/topics/T/0/*.seg)
	flip "$seg" $(($(stat -c %s "$seg") - 2))
	run -2 mq-check
	run -2 reader
	run -2 mq-consume T
}

@test "bytes behind the tail are torn, and nobody's while a publisher is at work" {
	seg=$(segment 1)
	printf 'mqB\1half a batch' >>"$seg"
	says '^torn 4000 16 0 0 - .*: bytes of a publisher that died, promised to nobody$'
	python3 - "$spool/topics/orders/0/lock" <<-'END' &
		import fcntl, struct, sys, time
		lock = open(sys.argv[1], 'r+')
		fcntl.fcntl(lock, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 1, 0))  # F_OFD_SETLK
		open(sys.argv[1] + '.held', 'w')
		time.sleep(60)
	END
	holder=$!
	until [ -e "$spool/topics/orders/0/lock.held" ]; do sleep 0.01; done
	rm "$spool/topics/orders/0/lock.held"
	clean
	kill "$holder"
}

@test "after a reboot a torn end is torn, and --mend lets the log step past it" {
	seg=$(segment 1)
	printf 'mqB\1half a batch' >>"$seg"
	reboot 0
	says '^torn 4000 16 0 0 - .*: an end that nobody was promised; the next publisher passes it$'
	says '^torn 4000 16 .*; would be mended$' dry
	says '^torn 4000 16 0 0 mended ' mend
	says '^left 4000 16 0 0 - .*: bytes behind the segment.s end$'
}

@test "an index that is bad, short, long or gone is a cache, and is made anew" {
	idx=$(echo "$spool"/topics/wide/0/*.idx)
	cp "$idx" "$BATS_TEST_TMPDIR/idx"
	entries=$(($(stat -c %s "$idx") / 32))
	[ "$entries" -ge 3 ]
	flip "$idx" 40
	says '^cache 32 32 0 0 - .*\.idx: an entry does not verify$'
	says ' mended ' mend
	cmp "$idx" "$BATS_TEST_TMPDIR/idx"
	truncate -s 32 "$idx"
	says 'it has no entry for the batch at [0-9]+$'
	says ' mended ' mend
	cmp "$idx" "$BATS_TEST_TMPDIR/idx"
	rm "$idx"
	says '\.idx: it is missing$'
	says ' mended ' mend
	cmp "$idx" "$BATS_TEST_TMPDIR/idx"
	idx=$(echo "$spool"/topics/orders/0/00000000000000000000*.idx)
	cat "$idx" "$idx" >"$BATS_TEST_TMPDIR/twice"
	cp "$BATS_TEST_TMPDIR/twice" "$idx"
	says '^cache 32 32 0 0 - .*\.idx: an entry does not verify$'
	says ' mended ' mend
	clean
}

@test "a state that does not hold is made anew from a sound log" {
	state=$spool/topics/orders/0/state
	flip "$state" 8292
	says '^cache 8192 256 0 0 - topics/orders/0/state: a slot of the tail does not verify$'
	says '; would be mended$' dry
	says ' mended ' mend
	clean
	rm "$state"
	says '^cache 0 0 0 0 - topics/orders/0/state: it is missing$'
	says ' mended ' mend
	clean
}

@test "the state of a damaged log is left as it is: it is a witness" {
	flip "$spool/topics/orders/0/state" 8292
	flip "$(segment 0)" 700
	sum=$(sha256sum <"$spool/topics/orders/0/state")
	run -0 check mend
	[[ "$output" == *"cache 8192 256 0 0 - "*"not mended: the log is damaged, and this is a witness of what it held"* ]]
	[[ "$output" == *"damage 696 "*"not mended: segments are never touched"* ]]
	[ "$sum" = "$(sha256sum <"$spool/topics/orders/0/state")" ]
}

@test "a bad producers file is thrown away" {
	flip "$spool/topics/orders/1/producers" 50 2
	says '^cache 0 68 0 0 - topics/orders/1/producers: it does not verify$'
	says ' mended ' mend
	[ ! -e "$spool/topics/orders/1/producers" ]
	clean
}

@test "temporary files that are left are told and removed; strangers are told" {
	touch "$spool/topics/orders/0/.00000000000000000063.01234567.tmp"
	says '^left 0 0 0 0 - .*\.tmp: a temporary file whose maker was killed$'
	says ' mended ' mend
	mkdir "$spool/topics/.new-0123456789abcdef"
	clean # somebody may be making it
	touch -d '2 minutes ago' "$spool/topics/.new-0123456789abcdef"
	says '^left .*: a temporary directory whose maker was killed$'
	says ' mended ' mend
	clean
	echo hello >"$spool/topics/orders/0/notes.txt"
	says '^dead 0 0 0 0 - topics/orders/0/notes.txt: no file of the format has this name$'
	says '; not mended: mq did not make it: remove it by hand$' mend
	[ -e "$spool/topics/orders/0/notes.txt" ]
}

@test "a place of a group that does not verify, is cut off, or lies behind the end, is loud" {
	offsets=$spool/groups/billing/topics/orders/offsets
	cp "$offsets" "$BATS_TEST_TMPDIR/offsets"
	flip "$offsets" 40
	flip "$offsets" 4136
	run -0 check
	[[ "${lines[0]}" == "config 0 256 0 0 - groups/billing/topics/orders/offsets: no slot of a place verifies" ]]
	[[ "${lines[1]}" == "config 4096 256 "*"no slot of a place verifies" ]]
	run -0 check mend
	[[ "$output" == *"not mended: nobody can know what it said; mq-group seek sets a place by hand"* ]]
	cp "$BATS_TEST_TMPDIR/offsets" "$offsets"
	truncate -s 20000 "$offsets"
	run -0 check
	[[ "$output" == *"config 20000 0 0 0 - "*"it was cut short: a slot of the last place is gone; the other one counts, and may be older"* ]]
	cp "$BATS_TEST_TMPDIR/offsets" "$offsets"
	python3 -B - "$offsets" "${MQ_SRC:-$BATS_TEST_DIRNAME/../..}/tests" <<-'END'
		import struct, sys
		sys.path.insert(0, sys.argv[2])
		from reader import crc32c
		with open(sys.argv[1], 'r+b') as f:
		    s = bytearray(f.read(256))
		    s[:8], s[32:40] = struct.pack('<Q', 99), struct.pack('<Q', 1000)
		    s[8:12] = struct.pack('<I', crc32c(bytes(s[:8]), struct.pack('<I', 0), bytes(s[12:])))
		    f.seek(0)
		    f.write(s)
	END
	says '^config 0 256 63 1000 - .*: the group has committed 1000 of partition 0, whose log ends at 63$'
}

@test "segments of another partition are damage" {
	rm -r "$spool/topics/orders/2"
	cp -a "$spool/topics/orders/0" "$spool/topics/orders/2"
	run -0 check orders 2
	[[ "$output" == *"the segment is another partition's"* ]]
}

@test "a slot may be lost where the other one holds, and that is told" {
	# partition 2 has committed three times: both slots are written
	flip "$spool/groups/billing/topics/orders/offsets" $((2 * 8192 + 40))
	says '^config 16384 256 .*: a slot of a place does not verify; the other one counts, and may be older$'
}

@test "half an acknowledgement is torn, a bad one is told" {
	printf 1234567890 >>"$spool/groups/billing/topics/orders/acked.0"
	says '^torn 4080 10 .*: half an acknowledgement, promised to nobody$'
	flip "$spool/groups/billing/topics/orders/acked.0" 30
	run -0 check
	[[ "${lines[*]}" == *"config 24 24 "*": an acknowledgement does not verify"* ]]
}

@test "a member that died is told and forgotten" {
	: >"$spool/groups/billing/members/0123456789abcdef"
	says '^left .*: the file of a member that died$'
	says ' mended ' mend
	clean
}

@test "a configuration that does not hold, or holds what nobody knows" {
	conf=$spool/topics/orders/topic.conf
	cp "$conf" "$BATS_TEST_TMPDIR/conf"
	sed -i 's/segment.bytes=4096/segment.bytes=8192/' "$conf"
	says '^cache .* it is not as mq wrote it: edited by hand, or damaged; look at its lines, then mq-check --mend takes it as it is$'
	says ' mended ' mend
	clean
	grep -q segment.bytes=8192 "$conf"
	sed -i 's/segment.bytes/segment.bites/' "$conf"
	run -0 check
	[[ "$output" == *"config 0 0 0 0 - topics/orders/topic.conf: segment.bites: no such key, so it has no effect"* ]]
	sed -i 's/partitions=3/partitions=two/' "$conf"
	run -0 check
	[[ "$output" == *"config 0 0 0 0 - topics/orders: topics/orders: topic.conf: line 2: partitions: must be"* ]]
	cp "$BATS_TEST_TMPDIR/conf" "$conf"
	rm -r "$spool/topics/orders/1"
	run -0 check
	[[ "$output" == *"damage 0 0 0 0 - topics/orders/1: the partition's directory is missing"* ]]
}

@test "a copy is told to be one, and is else sound" {
	cp -a "$spool" "$spool.copy"
	spool=$spool.copy
	says '^cache .* - spool.conf: this is a copy: '
}

@test "a copy that was cut short is torn and no damage, as its next publisher has it" {
	export MQ_SPOOL=$BATS_TEST_TMPDIR/whole PATH=$MQ_BUILD/bin:$PATH
	mq-publish -m one T
	mq-publish -m two T
	for cut in 2 132; do # within the last record's batch, and the whole of it
		cp -a "$MQ_SPOOL" "$MQ_SPOOL.$cut"
		truncate -s -$cut "$MQ_SPOOL.$cut"/topics/T/0/*.seg
		run -0 mq-check -S "$MQ_SPOOL.$cut"
		[[ "$output" == *"torn "*" 644 "* ]]
		[[ "$output" != *"damage "* ]]
		run -0 --separate-stderr mq-consume -S "$MQ_SPOOL.$cut" T
		[ "$output" = one ]
		[[ "$stderr" == *"offsets 1 to 1 are lost"* ]]
		run -0 mq-check -S "$MQ_SPOOL.$cut"
		[[ "$output" == *"lost "* && "$output" != *"torn "* ]]
	done
	truncate -s -2 "$MQ_SPOOL"/topics/T/0/*.seg # the same is damage where it is no copy
	run -2 mq-check
}

@test "a batch of a newer format is told as such above the witness, too, where publishers and consumers stop at it" {
	export MQ_SPOOL=$BATS_TEST_TMPDIR/newer PATH=$MQ_BUILD/bin:$PATH
	mq-publish --ack written -m one T
	python3 -B - "$MQ_SPOOL"/topics/T/0/*.seg "${MQ_SRC:-$BATS_TEST_DIRNAME/../..}/tests" <<-'END'
		import struct, sys
		sys.path.insert(0, sys.argv[2])
		from reader import crc32c
		with open(sys.argv[1], 'r+b') as f:
		    s = f.read()
		    head = bytearray(s[512:640])
		    head[12] |= 0x40
		    head[4:8] = struct.pack('<I', crc32c(s[24:40], struct.pack('<Q', 512), bytes(head[8:])))
		    f.seek(512)
		    f.write(head)
	END
	rm "$MQ_SPOOL/topics/T/0/state"
	run -78 mq-check
	[[ "$output" == *"newer "*" 512 "*"needs a newer mq (unknown flags)"* ]]
	run -78 mq-publish -m two T
	run -78 mq-consume T
	run -78 reader
}

@test "a segment of a newer format is told as such, with 78, and damage beside it with 2" {
	export MQ_SPOOL=$BATS_TEST_TMPDIR/other PATH=$MQ_BUILD/bin:$PATH
	seq 3 | mq-publish T
	segment=$(echo "$MQ_SPOOL"/topics/T/0/*.seg)
	python3 - "$segment" << 'END'
import struct, sys
with open(sys.argv[1], 'r+b') as f:
    head = bytearray(f.read(512))
    struct.pack_into('<H', head, 12, 2)
    crc = 0xffffffff
    for byte in head[12:]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    struct.pack_into('<I', head, 8, crc ^ 0xffffffff)
    f.seek(0)
    f.write(head)
END
	run -78 mq-check
	[[ $output = *newer* ]]
	run -78 mq-check --json
	[[ $output = *'"newer":1'* ]]
	rm "$MQ_SPOOL/topics/T/0/start"
	run -2 mq-check
}
