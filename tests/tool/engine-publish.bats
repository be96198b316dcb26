#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-publish: what goes in comes out, once, in order; or is refused whole.
load engines

lines_come_back() {
	printf 'one\n\nthree\nlast without a newline' > in
	mq-publish T < in
	{ cat in; echo; } | cmp - <(mq-consume T)
	[ "$(mq-consume T | wc -l)" = 4 ]
}
@test "lines come back as they were, the last one with its newline" { each lines_come_back; }

any_bytes() {
	head -c 300000 /dev/urandom > in
	echo >> in
	mq-publish T < in
	cmp in <(mq-consume T)
}
@test "lines of any bytes come back" { each any_bytes; }

large_lines() {
	for n in 1 65535 65536 524287 524288 524289 1048575 1048576; do
		head -c $n /dev/zero | tr '\0' x
		echo
	done > in
	mq-publish T < in
	cmp in <(mq-consume T)
	cat in | mq-publish U
	cmp in <(mq-consume U)
}
@test "lines up to max.message.bytes, across every buffer's edge, come back" { each large_lines; }

too_large() {
	{ echo one; echo two; head -c 1048577 /dev/zero | tr '\0' x; echo; echo after; } > in
	fails 65 mq-publish T < in
	has "$said" "record 3 is larger than max.message.bytes=1048576"
	is "$(mq-consume T)" $'one\ntwo'
	mq-topic create --partitions 1 small max.message.bytes=10
	printf '%s\n' 1234567890 12345678901 | fails 65 mq-publish --confirm small
	is "$(mq-consume small)" 1234567890
}
@test "a record above max.message.bytes is refused, named, and nothing of it is stored" { each too_large; }

too_large_confirmed() {
	mq-topic create small max.message.bytes=4
	got=$(printf '%s\n' a b 12345 c | mq-publish --confirm small 2>/dev/null) || status=$?
	[ "$status" = 65 ]
	is "$(printf '%s\n' "$got" | cut -c 1-10)" $'small:0:0\nsmall:0:1\n-\tstandard'
}
@test "what lies before a bad record is confirmed, and the bad one is told" { each too_large_confirmed; }

nothing_made() {
	head -c 2000000 /dev/zero | fails 65 mq-publish T
	fails 66 mq-consume T
	fails 64 mq-publish 'bad/name' < /dev/null
	fails 69 mq-publish --ack all -m x T
	has "$said" replicas
	fails 66 mq-consume T
	mq-publish T < /dev/null
	fails 66 mq-consume T
}
@test "input that is refused makes no topic, nor does none" { each nothing_made; }

delimiters() {
	printf 'a\nb\0c\0d' | mq-publish -0 T
	is "$(mq-consume --format '<%s>' T)" $'<a\nb><c><d>'
	printf 'one--two--three' | mq-publish -D -- U
	is "$(mq-consume U)" $'one\ntwo\nthree'
	mq-publish -m $'two\nlines' -m '' V
	is "$(mq-consume --format '<%s>' V)" $'<two\nlines><>'
}
@test "records end where the delimiter says" { each delimiters; }

whole_inputs() {
	printf 'a\nb\n' > f
	printf 'c\n' > g
	mq-publish T f g
	is "$(mq-consume --format '<%s>' T)" $'<a\nb\n><c\n>'
	mq-publish -l U f - g < g
	is "$(mq-consume U)" $'a\nb\nc\nc'
	mq-publish --one V < f
	is "$(mq-consume --format '<%s>' V)" $'<a\nb\n>'
	fails 66 mq-publish T nosuchfile
	has "$said" nosuchfile
}
@test "a file is a record, or lines with -l; all of stdin is one with --one" { each whole_inputs; }

keys() {
	mq-topic create --partitions 8 T
	seq 1000 | awk '{print "k" $1 % 50 ":" $1}' | mq-publish -K : T
	# All of a key in one partition, in order.
	mq-consume --format '%k %p %s\n' T > out
	[ "$(wc -l < out)" = 1000 ]
	[ "$(awk '{print $1, $2}' out | sort -u | wc -l)" = 50 ]
	[ "$(awk '{print $2}' out | sort -u | wc -l)" -gt 3 ]
	awk '$3 < last[$1] {exit 1} {last[$1] = $3}' out
	# As Kafka's default partitioner places it: murmur2("21") = -973932308, of 8: 4.
	is "$(mq-publish --confirm -k 21 -m x T | cut -d : -f 1,2)" T:4
	fails 65 mq-publish -K : T <<< 'no key'
	has "$said" 'record 1 has no key'
}
@test "a key decides the partition, as Kafka does, and keeps its order" { each keys; }

round_robin() {
	mq-topic create --partitions 4 T
	mkfifo in out
	mq-publish --ack written --confirm T < in > out &
	exec 5> in 6< out
	for i in 1 2 3 4 5 6 7 8; do # a batch each
		echo $i >&5
		read -r -t 10 _ <&6
	done
	exec 5>&- 6<&-
	wait $!
	[ "$(mq-consume --format '%p\n' T | sort -u | wc -l)" = 4 ]
	mq-publish -p 2 -m here T
	is "$(mq-consume T:2 | tail -n 1)" here
	fails 66 mq-publish -p 4 -m x T
}
@test "without a key batches go round; -p names the partition" { each round_robin; }

confirms() {
	mq-topic create --partitions 3 T
	seq 200 | awk '{print $1 % 7 ":" $1}' | mq-publish -K : --confirm T > confirmed
	[ "$(wc -l < confirmed)" = 200 ]
	# The nth line names where the nth record is.
	while IFS=: read -r topic p o; do
		echo "$topic $p $o"
	done < confirmed | sort > a
	mq-consume --format '%t %p %o\n' T | sort | cmp - a
	mq-consume --format '%t:%p:%o %s\n' T | sort -k 2n | cut -d ' ' -f 1 | cmp - confirmed
}
@test "--confirm names each record's place in input order" { each confirms; }

confirms_at_once() {
	mkfifo in out
	mq-publish --confirm T < in > out &
	exec 5> in 6< out
	for i in 0 1 2; do
		echo hello >&5
		read -r -t 10 line <&6
		is "$line" "T:0:$i"
		[ "$(mq-consume T | wc -l)" = $((i + 1)) ]
	done
	exec 5>&- 6<&-
	wait $!
}
@test "a confirmation comes while the input is still open, and is true then" { each confirms_at_once; }

named() {
	seq 10 | mq-publish --producer p --seq 1 T
	seq 12 | mq-publish --producer p --seq 1 --confirm T > confirmed 2> err
	is "$(cat confirmed)" "$(for _ in $(seq 10); do printf '=\talready held\n'; done; printf 'T:0:%d\n' 10 11)"
	has "$(cat err)" '10 records were held already'
	is "$(mq-consume T)" "$(seq 12)"
	# Without --seq the input goes on.
	printf '%s\n' 13 14 | mq-publish --producer p T
	seq 14 | mq-publish -q --producer p --seq 1 T
	sed -n 5,14p <(seq 14) | mq-publish -q --producer p --seq 5 T
	is "$(mq-consume T)" "$(seq 14)"
	seq 2 | mq-publish --producer other --seq 1 T
	[ "$(mq-consume T | wc -l)" = 16 ]
}
@test "a named producer stores nothing twice" { each named; }

named_other_bytes() {
	printf '%s\n' a b c | mq-publish --producer p --seq 1 T
	printf '%s\n' a X c d | fails 65 mq-publish --producer p --seq 1 T
	has "$said" 'record 2: p has published other bytes as its number 2'
	printf '%s\n' a b | fails 65 mq-publish --producer p --seq 1 -k key T
	is "$(mq-consume T)" $'a\nb\nc'
}
@test "a producer's number with other bytes is refused" { each named_other_bytes; }

named_keys() {
	mq-topic create --partitions 4 T
	seq 500 | awk '{print "k" $1 % 13 ":" $1}' > in
	head -n 300 in | mq-publish -K : --producer p --seq 1 T
	mq-publish -q -K : --producer p --seq 1 T < in
	mq-publish -q -K : --producer p --seq 1 T < in
	mq-consume -K : T | sort | cmp - <(sort in)
	echo 'k1:end' | mq-publish -K : --producer p T
	[ "$(mq-consume T | wc -l)" = 501 ]
}
@test "a named producer with keys stores nothing twice in any partition" { each named_keys; }

named_gaps() {
	fails 65 mq-publish --producer p --seq 2 -m x T
	has "$said" 'p has published nothing yet'
	fails 66 mq-consume T
	seq 3 | mq-publish --producer p --seq 1 T
	seq 7 9 | fails 65 mq-publish --producer p --seq 7 T
	has "$said" 'the last number of p is 3'
	seq 4 6 | mq-publish --producer p --seq 4 T
	mq-topic purge T
	seq 5 7 | mq-publish -q --producer p --seq 5 T
	is "$(mq-consume T)" 7
	# A partition may lack numbers that another one has.
	mq-topic create --partitions 4 K
	seq 9 | awk '{print "k" $1 ":" $1}' | mq-publish -K : --producer p K
	fails 65 mq-publish -K : --producer p --seq 11 -m k:x K
	echo k9:9 | mq-publish -q -K : --producer p --seq 9 K
	echo k10:10 | mq-publish -K : --producer p --seq 10 K
	for part in 0 1 2 3; do mq-consume K:$part; done | sort -n | cmp - <(seq 10)
	echo 11 | mq-publish -p 0 --producer p --seq 11 K
}
@test "numbers that leave a gap are refused, with the last one held" { each named_gaps; }

named_held() {
	mkfifo in
	mq-publish --confirm --producer p T < in > out &
	exec 5> in
	echo x >&5
	until_true lines out 1
	echo y | fails 75 mq-publish --producer p T
	exec 5>&-
	wait $!
	echo y | mq-publish --producer p T
}
@test "a producer's name belongs to one process at a time" { each named_held; }

json_versions() {
	echo '{"v":1,"payload":"one"}' | mq-publish -J T
	for v in 2 0 '"1"' 1.5; do
		echo "{\"v\":$v,\"payload\":\"x\"}" | fails 65 mq-publish -J T
		has "$said" 'line 1: v'
	done
	is "$(mq-consume T)" one
}
@test "JSON of another version is refused" { each json_versions; }

a_directory() {
	mkdir dir
	fails 65 mq-publish T dir
	has "$said" 'dir is a directory'
	fails 65 mq-publish -l T dir
	fails 65 mq-publish T < dir
	fails 66 mq-consume T
}
@test "a directory is no input" { each a_directory; }

dry_runs() {
	mq-publish -m x T
	is "$(seq 2 | mq-publish --dry-run T 2>&1)" 'mq-publish: 2 records, 2 bytes would be stored'
	is "$(mq-consume T)" x
}
@test "a dry run says how much would be stored" { each dry_runs; }

partitions_of_none() {
	fails 66 mq-publish -m x nosuch:5
	if [ "$engine" = spool ]; then [ ! -e "$MQ_SPOOL" ]; fi
	mq-publish -m x T
	fails 66 mq-publish -m x nosuch:5
	has "$said" 'no topic nosuch'
	fails 66 mq-consume nosuch
	mq-publish -m x nosuch:0
	fails 66 mq-publish -m x nosuch:5
	has "$said" 'there are 1'
}
@test "a partition of a topic that is not there makes nothing" { each partitions_of_none; }

small_limits() {
	for bytes in 1 640; do
		fails 64 mq-topic create T max.bytes=$bytes
		has "$said" "max.bytes=$bytes"
	done
	mq-topic create T max.bytes=641
	fails 64 mq-topic set T max.bytes=1
	mq-publish -m '' T
	mq-topic set T max.bytes=-1
}
@test "a limit that no record fits is refused when it is set" { each small_limits; }

full() {
	mq-topic create T max.messages=3 when.full=fail
	seq 3 | mq-publish T
	echo 4 | fails 75 mq-publish T
	mq-topic set T when.full=block
	echo 4 | fails 75 mq-publish --timeout 100ms T
	has "$said" --timeout
	echo 4 | mq-publish T &
	sleep 0.1
	is "$(mq-consume T | wc -l)" 3
	mq-topic purge -o 2 T
	wait $!
	is "$(mq-consume T)" $'3\n4'
	mq-topic set T when.full=drop-oldest
	seq 5 6 | mq-publish T
	is "$(mq-consume T)" $'4\n5\n6'
}
@test "a full topic fails, waits for space, or drops its oldest" { each full; }

json() {
	head -c 3000 /dev/urandom > bin
	mq-publish -k key -H a=1 -H b=zwei -T tag --id 7 -m $'text \t "quoted" \xc3\xa4' T
	mq-publish -k $'\xff' -H c=$'\xfe' T bin
	mq-consume -J T > one
	mq-publish -J U < one
	cmp <(mq-consume --frame T) <(mq-consume --frame U)
	printf '%s\n' '{"payload":"a"}' '{"payload":1}' | fails 65 mq-publish -J V
	has "$said" 'line 2: payload: not a string'
	is "$(mq-consume V)" a
	for bad in '{' '[]' '{}' '{"payload":"x","headers":{"a":1}}' '{"payload_b64":"%"}' '{"payload":"x","timestamp":"soon"}' ''; do
		printf '%s\n' "$bad" | fails 65 mq-publish -J V
		has "$said" 'line 1'
	done
	is "$(mq-consume V)" a
}
@test "JSON carries any record there and back; a bad line is named" { each json; }

frames() {
	head -c 5000 /dev/urandom > bin
	seq 20 | mq-publish T
	mq-publish -k $'\n' -H x= -H x=2 -T '' T bin
	mq-publish --ttl 1h -m '' T
	mq-consume --frame T > frames
	mq-publish --frame U < frames
	cmp frames <(mq-consume --frame U)
	printf 'mqf1 1 - - - 3\nkpay' | mq-publish --frame V
	is "$(mq-consume -K = V)" k=pay
	for bad in 'mqf1 1 - - - 3\nkpa:18' 'mqf1 1 - x - 3\nkpay:9' 'hello\n:0' 'mqf1 1 - - - 3\nkpayX\n:19' 'mqf1 - 1 - - 0\nx:15' \
		'mqf1 1 - - -\n:12' 'mqf1 - - - - -\n:13'; do
		printf "${bad%:*}" | fails 65 mq-publish --frame W
		has "$said" "byte ${bad##*:}:"
	done
	printf 'mqf1 - - - - 99999999999\n' | fails 65 mq-publish --frame W
	printf 'mqf1 - - - - 2000000\n' | fails 65 mq-publish --frame W
	has "$said" max.message.bytes
}
@test "frames carry any record unchanged; an odd byte is refused with its position" { each frames; }

ids() {
	printf '%s\n' 'id1  x' '  id2 y' | mq-publish --id-field 1 T
	is "$(mq-consume --id id2 T)" '  id2 y'
	printf 'a,b,c\n' | mq-publish --id-field 2 --id-delimiter , T
	is "$(mq-consume --id b T)" a,b,c
	echo one | fails 65 mq-publish --id-field 2 T
	has "$said" 'no field 2'
}
@test "a field of a line can be its id" { each ids; }

rate() {
	start=$(date +%s%N)
	seq 30 | mq-publish --rate 100/s T
	took=$((($(date +%s%N) - start) / 1000000))
	[ $took -ge 180 ]
	is "$(mq-consume T)" "$(seq 30)"
}
@test "--rate holds for the whole input" { each rate; }

dry_run() {
	echo x | mq-publish T
	{ echo y; echo z; } | mq-publish --dry-run T 2> said
	has "$(cat said)" '2 records'
	is "$(mq-consume T)" x
	fails 65 mq-publish --dry-run -J T <<< 'no'
}
@test "--dry-run reads and checks, and stores nothing" { each dry_run; }

zipped() {
	mq-topic create T compression.type=zstd
	seq 100000 | mq-publish T
	seq 100000 | cmp - <(mq-consume T)
	is "$(mq-consume -o 99998 T)" $'99999\n100000'
	is "$(mq-consume -o 49999..50001 T)" $'50000\n50001'
	seq 10 | mq-publish -k k T
	is "$(mq-consume -o -10 -K : T)" "$(seq 10 | sed s/^/k:/)"
}
@test "a compressed topic gives back what it got" { each zipped; }

stopped() {
	mkfifo in
	mq-publish T < in &
	exec 5> in
	echo whole >&5
	printf part >&5
	until_true sh -c '[ "$(mq-consume T 2>/dev/null)" = whole ]'
	kill -TERM $!
	wait $! && false
	[ $? = 143 ] || true
	is "$(mq-consume T)" whole
	exec 5>&-
}
@test "a stopped publisher has stored whole lines and no part" { each stopped; }
