#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-retain compacts: of each key the last record stays, at its offset, for all that read it.
load one_spool
load flip

tab=$'\t'
segments() { ls "$MQ_SPOOL/topics/T/0" | grep -c '\.seg$'; }
dead() { find "$MQ_SPOOL/topics/T/0" -name '*.seg' -exec touch -d '2 days ago' {} +; }

# Those that stand for others, by their headers (mq-spool(5)): another one's name may end in c0 by chance.  And those that do not.
compacted() {
	local file
	for file in "$MQ_SPOOL/topics/T/0/"*.seg; do
		[ "$(od -An -tu1 -j 60 -N 1 "$file" | tr -d ' ')" != 5 ] || echo "$file"
	done
}
others() { ls "$MQ_SPOOL/topics/T/0/"*.seg | grep -vFx "$(compacted)"; }

# Records FROM to TO, of 10 keys in turn, in batches of 20, in segments of some 60.
fill() { # FROM TO
	local i
	[ -e "$MQ_SPOOL/topics/T" ] || mq-topic create T segment.bytes=4096 cleanup.policy=compact
	for ((i = $1; i <= $2; i += 20)); do
		seq -f '%.0f' $i $((i + 19)) | awk -v to=$2 '$1 <= to { printf "k%d\t%050d\n", $1 % 10, $1 }' | mq-publish -K "$tab" T
	done
}

# What T must hold at least: of each key the last of TO records.
lasts() { seq -f '%050.0f' $(($1 - 9)) "$1"; }
keys_and_payloads() { mq-consume "$@" --json T | sed 's/.*"offset":\([0-9]*\),.*"payload":"0*\([0-9]*\)".*/\1 \2/'; }
got_up_to() { [ "$(wc -l < got)" -eq "$1" ]; }
second_reader() { python3 -B "$MQ_SRC/tests/reader.py" "$MQ_SPOOL" T 0 --raw; }

@test 'of each key the last record stays, at its offset, and small segments are joined' {
	fill 1 600
	before=$(segments)
	mq-retain -v | grep -q '^T:0: compacted [0-9]* segments with [0-9]* bytes into [0-9]*, without [0-9]* records$'
	is "$(mq-consume T | tail -n 10)" "$(lasts 600)"
	[ "$(mq-consume T | wc -l)" -lt 90 ]
	[ "$(segments)" -gt "$before" ] # the old ones stay for a day
	keys_and_payloads | while read -r offset number; do is "$offset" "$((number - 1))"; done
	mq-check
	is "$(second_reader)" "$(mq-consume T)"
	now=$(mq-consume T)
	dead
	mq-retain
	[ "$(segments)" -le 3 ]
	is "$(mq-consume T)" "$now"
	is "$(second_reader)" "$now"
	mq-check
}

@test 'again and again: what was compacted before goes by what came since' {
	fill 1 200
	mq-retain
	fill 201 600
	mq-retain
	dead
	fill 601 900
	mq-retain
	mq-retain
	is "$(mq-consume T | tail -n 10)" "$(lasts 900)"
	[ "$(mq-consume T | wc -l)" -lt 90 ]
	mq-check
	is "$(second_reader)" "$(mq-consume T)"
}

@test 'too little that is new is left for later' {
	fill 1 600
	mq-retain
	fill 601 680
	mq-topic set T min.cleanable.dirty.ratio=1
	is "$(mq-retain -v)" ''
	mq-topic set T min.cleanable.dirty.ratio=0.1
	mq-retain -v | grep -q compacted
}

@test 'a dry run says what would be compacted, and changes nothing' {
	fill 1 400
	before=$(ls -l "$MQ_SPOOL/topics/T/0")
	mq-retain --dry-run | grep -q '^T:0: would compact [0-9]* segments with [0-9]* bytes$'
	is "$(ls -l "$MQ_SPOOL/topics/T/0")" "$before"
}

@test 'a dry run counts what would go once: not as compacted, too' {
	fill 1 400
	mq-topic set T cleanup.policy=compact,delete retention.bytes=9000
	said=$(mq-retain --dry-run)
	would=$(sed -n 's/^T:0: would compact \([0-9]*\) .*/\1/p' <<<"$said")
	mq-retain -v > did
	[ -n "$would" ]
	left=$(sed -n 's/^T:0: compacted \([0-9]*\) .*/\1/p' did)
	is "$would" "$left"
}

@test 'what has no key stays, and so does a topic that is not compacted' {
	mq-topic create T segment.bytes=4096 cleanup.policy=compact
	for i in 1 2 3 4 5 6; do seq -f '%050.0f' $((i * 100)) $((i * 100 + 59)) | mq-publish T; done
	now=$(mq-consume T)
	mq-retain
	dead
	mq-retain
	is "$(mq-consume T)" "$now"
	mq-check
	mq-topic create U segment.bytes=4096
	for i in 1 2 3 4; do seq -f "a$tab%050.0f" 60 | mq-publish -K "$tab" U; done
	mq-retain U
	is "$(mq-consume U | wc -l)" 240
}

@test 'a tombstone takes what came before it, stays for a while, and then goes' {
	mq-topic create T segment.bytes=4096 cleanup.policy=compact
	seq -f "gone$tab%050.0f" 60 | mq-publish -K "$tab" T
	printf 'gone\t\n' | mq-publish -K "$tab" T
	fill 1 200
	mq-retain
	is "$(mq-consume --json T | grep -c '"key":"gone"')" 1
	mq-topic set T delete.retention.ms=0 min.cleanable.dirty.ratio=0
	fill 201 400
	mq-retain
	is "$(mq-consume --json T | grep -c '"key":"gone"')" 0
	mq-check
}

@test 'a group that stands in what went goes on behind it, and one in the middle gets each record that is left once' {
	fill 1 600
	is "$(mq-consume -g g -n 100 T | wc -l)" 100
	mq-retain
	dead
	mq-retain
	keys_and_payloads -g g > got
	[ "$(head -n 1 got | cut -d ' ' -f 1)" -ge 100 ]
	is "$(sort -u got | wc -l)" "$(wc -l < got)"
	is "$(tail -n 10 got | cut -d ' ' -f 2)" "$(seq 591 600)"
	is "$(mq-group list -g g --json 2> /dev/null | grep -c '"lag":[1-9]' || true)" 0
	mq-check
}

@test 'a reader that is at it meanwhile goes on' {
	fill 1 600
	mkfifo pipe
	mq-consume T > pipe 3>&- &
	exec 4< pipe
	read -r first <&4
	is "$first" "$(printf %050d 1)"
	mq-retain
	dead
	mq-retain
	cat <&4 > rest
	wait
	is "$(tail -n 10 rest)" "$(lasts 600)"
}

@test 'from an offset that went, and from a time' {
	fill 1 600
	mq-retain
	dead
	mq-retain
	first=$(keys_and_payloads | head -n 1 | cut -d ' ' -f 1)
	[ "$first" -gt 100 ]
	is "$(mq-consume -o 50 T | head -n 1)" "$(mq-consume T | head -n 1)"
	is "$(mq-consume -o $((first + 1)) T | wc -l)" "$(($(mq-consume T | wc -l) - 1))"
	is "$(mq-consume -o @-1h T)" "$(mq-consume T)"
	is "$(mq-consume -o @+1h T)" ''
}

@test 'named producers: what is held is held, though its record went' {
	mq-topic create T segment.bytes=4096 cleanup.policy=compact
	for ((i = 1; i <= 400; i++)); do printf 'k%d\t%050d\n' $((i % 10)) $i; done > all
	for ((i = 0; i < 400; i += 50)); do tail -n +$((i + 1)) all | head -n 50 | mq-publish --producer me --seq $((i + 1)) -K "$tab" T; done
	mq-retain
	dead
	mq-retain
	now=$(mq-consume T)
	mq-publish --producer me --seq 1 -K "$tab" T < all 2> /dev/null
	is "$(mq-consume T)" "$now"
	mq-check
}

@test 'a damaged segment stays as it is, and those behind it are compacted' {
	fill 1 600
	file=$(ls "$MQ_SPOOL/topics/T/0/"*.seg | sed -n 3p)
	flip "$file" 900
	before=$(sha256sum "$file")
	mq-retain 2> told
	grep -q 'T:0: 1 segments do not verify and were not compacted: run mq-check' told
	is "$(sha256sum "$file")" "$before"
	dead
	mq-retain 2> /dev/null
	is "$(sha256sum "$file")" "$before"
	status=0
	mq-consume T > got 2> /dev/null || status=$?
	is "$status" 2
	is "$(tail -n 10 got)" "$(lasts 600)"
}

@test 'an archive of what was compacted is read like any' {
	fill 1 600
	mq-retain
	mq-topic set T cleanup.policy=compact,delete retention.ms=1ms
	mkdir a
	now=$(mq-consume T)
	mq-retain --archive a T
	is "$(mq-replay --archive a/*.zst; mq-consume T)" "$now"
	mq-check
}

# Copies that were killed at each of their writes into T, which is compacted before they go on, and has no caches any more.
@test 'a copy into a compacted topic that was killed goes on and doubles nothing, though what it copied went' {
	mq-topic create T segment.bytes=4096 cleanup.policy=compact min.cleanable.dirty.ratio=0
	mq-topic create S
	there=0
	for n in 1 2 3 4 5 6 7 8; do
		printf 'a%d\told\n' $n | mq-publish -K "$tab" S
		MQ_TEST_FAULT="*:$((n * 6)):path=/T:kill-after" "$MQ_BUILD/tests/traced/mq-consume" -g g --to T S > /dev/null 2>&1 || true
		left=$(mq-group show -g g --json S | grep -c '"lag":1' || true)
		printf 'a%d\tnew\n' $n | mq-publish -K "$tab" T
		copied=$(($(mq-consume --json T | grep -c "\"key\":\"a$n\"") - 1))
		there=$((there + copied * left))
		seq -f "x$tab%050.0f" 90 | mq-publish -K "$tab" T
		seq -f "x$tab%050.0f" 90 | mq-publish -K "$tab" T
		seq -f "x$tab%050.0f" 90 | mq-publish -K "$tab" T
		mq-retain
		dead
		mq-retain
		mq-consume --json T | grep "\"key\":\"a$n\"" | grep -q new
		[ "$(mq-consume --json T | grep -c "\"key\":\"a$n\"")" -eq 1 ] # the copy went, or never was
		rm -f "$MQ_SPOOL/topics/T/0/producers"
		mq-consume -q -g g --to T S
		is "$(mq-consume --json T | grep -c "\"key\":\"a$n\"")" "$((2 - copied))"
		mq-check
	done
	[ "$there" -gt 0 ] # copied, and the group's place had not moved
}

@test 'who follows, and who publishes all along, goes on across compaction, and what they stood in may go' {
	fill 1 300
	mkfifo in
	mq-publish -K "$tab" T < in 3>&- &
	publisher=$!
	exec 5> in
	mq-consume -f T > got 3>&- 5>&- &
	reader=$!
	until_true got_up_to 300
	for round in 1 2 3; do
		for ((i = 0; i < 3; i++)); do
			first=$((300 + (round * 3 + i - 3) * 60 + 1))
			seq -f '%.0f' $first $((first + 59)) | awk '{ printf "k%d\t%050d\n", $1 % 10, $1 }' >&5
			until_true got_up_to $((first + 59))
		done
		mq-retain
		dead
		mq-retain
		is "$(mq-consume T | tail -n 10)" "$(lasts $((300 + round * 180)))"
	done
	exec 5>&-
	wait $publisher
	kill $reader
	wait $reader || true
	is "$(cat got)" "$(seq -f '%050.0f' 840)"
	mq-check
	is "$(second_reader)" "$(mq-consume T)"
}

@test 'compacted segments whose headers do not verify are told, and what they stand for serves while it is there' {
	fill 1 600
	whole=$(mq-consume T)
	mq-retain
	[ "$(mq-consume T | wc -l)" -lt 90 ]
	for file in $(compacted); do
		flip "$file" 100
	done
	mq-check > told
	for file in $(compacted); do
		grep -q "${file##*/} .*its header does not verify" told
	done
	[ "$(compacted | wc -l)" -gt 3 ]
	is "$(mq-consume T)" "$whole"
	mq-retain
	is "$(mq-consume T | tail -n 10)" "$(lasts 600)"
	[ "$(mq-consume T | wc -l)" -lt 90 ]
}

@test 'damage in the body of a compacted segment is told by who reads it and by mq-check' {
	mq-topic create T segment.bytes=4096 cleanup.policy=compact
	seq -f '%050.0f' 60 | mq-publish T # without keys: all stays
	for i in 1 2 3; do seq -f "x$tab%050.0f" 60 | mq-publish -K "$tab" T; done
	mq-retain
	dead
	mq-retain
	file=$(compacted | head -n 1)
	flip "$file" 900
	status=0
	mq-check > told || status=$?
	[ "$status" -ne 0 ]
	grep -qi "damage .*${file##*/}" told
	fails 2 mq-consume T
}

# As if so many hours had passed: the files' times tell when something came to stand for others.
hours_pass() {
	local file
	for file in "$MQ_SPOOL/topics/T/0/"*.seg; do
		touch -d "$(date -d "@$(($(stat -c %Y "$file") - $1 * 3600))" '+%F %T')" "$file"
	done
}

@test 'what is dead goes after its day, though compaction comes again sooner' {
	for round in 1 2 3 4 5; do
		fill $((round * 200 - 199)) $((round * 200))
		mq-retain
		is "$(mq-consume T | tail -n 10)" "$(lasts $((round * 200)))"
		last=$(segments)
		[ "$round" -gt 3 ] || most=$last
		hours_pass 13
	done
	[ "$last" -le "$((most + 2))" ] # what the last two runs made dead, not all five
	mq-check
}

@test 'a compacted segment that one may not open is no damage, and no group passes it' {
	needs_users
	fill 1 600
	mq-retain
	dead
	mq-retain # what it stands for is gone
	chmod -R o+rwX "$MQ_SPOOL"
	chmod 600 $(compacted) # as root leaves one in the spool of a service
	fails 77 nobody mq-consume T
	has "$said" 'permission denied'
	fails 77 nobody mq-consume -g g T
	chmod 644 $(compacted)
	is "$(nobody mq-consume -g g T | tail -n 10)" "$(lasts 600)"
}

@test 'a small compacted segment that is damaged does not keep the others from being compacted, nor is it joined to any' {
	fill 1 200
	mq-retain
	dead
	mq-retain
	file=$(compacted)
	flip "$file" 700
	before=$(sha256sum "$file")
	for to in 400 600; do
		fill $((to - 199)) $to
		mq-retain 2> told
		is "$(cat told)" 'mq-retain: T:0: 1 segments do not verify and were not compacted: run mq-check'
	done
	is "$(sha256sum "$file")" "$before"
	dead
	mq-retain 2> /dev/null
	[ "$(segments)" -le 4 ]
	is "$(mq-consume T 2> /dev/null | tail -n 10)" "$(lasts 600)"
}

@test 'where the segment behind compacted ones is lost, what these stand for stays dead' {
	fill 1 300
	mq-retain
	[ "$(mq-consume T | wc -l)" -lt 60 ]
	fill 301 400
	rm "$(others | tail -n 3 | head -n 1)"
	for file in $(others | head -n -2); do # a directory may be listed in the order of its changes
		mv "$file" was
		mv was "$file"
	done
	keys_and_payloads > got 2> /dev/null || true
	is "$(awk '$1 < 270' got)" ''
	is "$(tail -n 10 got | cut -d ' ' -f 2)" "$(seq 391 400)"
}

@test 'a segment that comes back from a backup brings no deleted key to light' {
	mq-topic create T segment.bytes=4096 cleanup.policy=compact min.cleanable.dirty.ratio=0 delete.retention.ms=1h
	seq -f "u%.0f${tab}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" 50 | mq-publish -K "$tab" T
	fill 1 40
	mq-retain
	dead
	mq-retain
	file=$(compacted | head -n 1)
	cp "$file" backup
	flip "$file" 900
	printf 'u7\t\n' | mq-publish -K "$tab" T
	fill 41 100
	mq-retain 2> told
	grep -q '1 segments do not verify' told
	cat backup > "$file"
	mq-topic set T delete.retention.ms=0
	for to in 160 220; do
		fill $((to - 59)) $to
		mq-retain
		is "$(mq-consume --json T | grep '"key":"u7"' | grep -c '"payload":""')" 1
		is "$(mq-consume --json T | grep '"key":"u7"' | tail -n 1 | grep -c '"payload":""')" 1
	done
	mq-check
	is "$(second_reader)" "$(mq-consume T)"
}
