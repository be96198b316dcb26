#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# mq-check and the sorted files of a waiting room, a cache of what its log says: a flipped bit, and a file that verifies and is
# wrong, are told and mended, and then all that waits comes.
load one_spool
load flip
load clock

delayed() { mq-topic delayed --json -n 0 T | sed -n 's/.*"delayed":\([0-9]*\).*/\1/p'; }

room() { echo "$MQ_SPOOL"/topics/wait@T@/0; }

# 3,000 that have come, 2 that were cancelled, the rest waits: in files of 4,096 and 8,192 offsets, and behind them.
fill() {
	local i
	for i in 1 2; do mq-publish --delay 1d --id "gone$i" -m "gone $i" T; done
	seq 1 3000 | mq-publish --at tomorrow T
	clock_off 200000 mq-consume T > came
	for i in 1 2; do mq-publish --delay 40d --id "gone$i" -m "gone $i" T; done
	seq 1 5500 | mq-publish --delay 20d T
	for i in 1 2; do mq-topic cancel --id "gone$i" T; done
	seq 5501 10000 | mq-publish --delay 10d T
	seq 20001 22000 | mq-publish --delay 30d T
	is "$(wc -l < came)" 3002
	is "$(delayed)" 12000
	files=("$(room)"/*.ids)
	[ "${#files[@]}" -eq 2 ]
}

all_comes() {
	is "$(delayed)" 12000
	clock_off $((50 * 86400)) mq-consume -o 3002 T > got
	cat <(seq 5501 10000) <(seq 1 5500) <(seq 20001 22000) | cmp - got
	is "$(mq-check)" ''
}

seen_by_two() { # TEXT: for the second reader, too
	fails 1 python3 -B "$MQ_SRC/tests/lib/agree.py" .
	has "$said" "disagree spool: wait@T@ 0 0000000000000000"
	told "$1"
}

told() { # TEXT: of one file, as a cache, once; and mended
	said=$(mq-check --json)
	has "$said" "$1"
	has "$said" 'made anew from the log'
	is "$(wc -l <<< "$said")" 2
	has "$said" '"cache":1,'
	has "$(mq-check --mend --json)" '"cache":1,"config":0,"lost":0,"newer":0,"left":0,"mended":1}'
	is "$(mq-check)" ''
	all_comes
}

# Its entries as a list `e` of (hash, offset), changed by Python, under checksums that verify.
change() { # FILE STATEMENT
	python3 -B - "$MQ_SRC/tests" "$@" <<- 'END'
		import os, re, struct, sys
		sys.path.insert(0, sys.argv[1])
		from reader_bytes import crc32c, read
		path, bound, gone = sys.argv[2], 1 << 63, 1 << 62
		start, end = (int(n) for n in re.fullmatch(r'(\d+)\.(\d+)\.ids', os.path.basename(path)).groups())
		data = read(path)
		topic, partition = struct.unpack_from('<16s', data, 16)[0], struct.unpack_from('<I', data, 56)[0]
		e = []
		for at in range(4096, len(data), 4096):
		    e += struct.iter_unpack('<QQ', data[at + 16:at + 16 + 16 * struct.unpack_from('<I', data, at + 4)[0]])
		before = list(e)
		waits = [i for i, (h, o) in enumerate(e) if h < gone]
		exec(sys.argv[3])
		assert e != before, 'nothing was changed'
		e.sort()
		head = struct.pack('<I16sQQQI', 1, topic, start, end, len(e), partition).ljust(4084, b'\0')
		out = [b'mqIds\r\n\0' + struct.pack('<I', crc32c(head)) + head]
		for i in range(0, len(e), 255):
		    block = struct.pack('<IQ', len(e[i:i + 255]), 0) + b''.join(struct.pack('<QQ', *x) for x in e[i:i + 255])
		    block = block.ljust(4092, b'\0')
		    out.append(struct.pack('<I', crc32c(topic + struct.pack('<IQQQ', partition, start, end, i // 255) + block)) + block)
		with open(path, 'wb') as f:
		    f.write(b''.join(out))
	END
}

@test "files of a room are known, in a sound spool nothing is told of them" {
	fill
	is "$(mq-check)" ''
	all_comes
	mq-retain
	is "$(mq-check)" ''
}

@test "what came and was emptied leaves files in which nothing is wrong" {
	local i
	mq-topic create T max.message.bytes=200k
	for i in 4 3 2 1; do mq-publish --delay ${i}d --id far$i -m "far $i" T; done
	seq -f '%0100000.0f' 1 60 | mq-publish --at yesterday T
	seq 1 9000 | mq-publish --at yesterday T
	mq-consume T > came
	mq-retain
	is "$(mq-check)" ''
	seq 1 9000 | mq-publish --delay 5d T
	mq-topic cancel --id far2 T
	is "$(clock_off $((2 * 86400 + 60)) mq-consume T | grep far)" 'far 1'
	is "$(mq-check)" ''
	is "$(delayed)" 9002
}

@test "no file is made of what a power cut may take back" {
	seq 10000 | mq-publish --ack written --delay 1d T
	is "$(delayed)" 10000
	is "$(echo "$(room)"/*.ids)" "$(room)/*.ids"
	seq 10 | mq-publish --delay 2d T
	is "$(delayed)" 10010
	[ -e "$(room)"/00000000000000000000.00000000000000008192.ids ]
	is "$(mq-check)" ''
}

@test "a flipped byte is told, wherever it is, and the file is made anew" {
	fill
	local at
	for at in 3 20 60 4099 4103 4108 4120 8200; do
		cp "${files[0]}" whole
		flip "${files[0]}" $at
		cmp -s whole "${files[0]}" && continue
		said=$(mq-check --json)
		has "$said" '"kind":"cache"'
		has "$said" "${files[0]##*/}"
		cp whole "${files[0]}"
	done
	is "$(mq-check)" ''
	flip "${files[0]}" 4120
	told 'does not verify'
}

@test "one that is cut off, or longer than it says, is told" {
	fill
	truncate -s -4096 "${files[0]}"
	told 'as long as its header says'
}

@test "one that lacks what waits is told" {
	fill
	change "${files[0]}" 'del e[waits[-9]]'
	seen_by_two 'what waits by it'
}

@test "one that has another time for what waits is told" {
	fill
	change "${files[0]}" 'i = waits[-9]; e[i] = (e[i][0] + 1, e[i][1])'
	seen_by_two 'what waits by it'
}

@test "one that brings back what was cancelled is told" {
	fill
	change "${files[1]}" 'e[:] = [x for x in e if x[0] != gone]'
	seen_by_two 'is gone'
}

@test "one that cancels what waits is told" {
	fill
	change "${files[0]}" 'e.append((gone, e[waits[-9]][1]))'
	seen_by_two 'is gone'
}

@test "one that has no delivery, or another one, is told" {
	fill
	change "${files[0]}" 'e[:] = [x for x in e if not x[0] & bound]'
	seen_by_two 'a delivery is missing'
}

@test "one of which a delivery goes further is told" {
	fill
	change "${files[0]}" 'i = next(i for i, x in enumerate(e) if x[0] & bound and x[0] % 4 == 1); e[i] = (e[i][0], e[i][1] + 10**12)'
	seen_by_two 'not the one of the log'
}

@test "one with a delivery that never was is told" {
	fill
	change "${files[0]}" 'e += [(bound | 4 * 9 + i, v) for i, v in enumerate((1, 2, 3))]'
	seen_by_two 'a delivery is not in the log'
}

@test "one with entries of another range is told" {
	fill
	change "${files[0]}" 'e.append((5, end))'
	told 'no record of its range'
}

@test "a name that nothing has is told, in a room, too" {
	fill
	touch "$(room)/what.ids"
	has "$(mq-check)" 'no file of the format has this name'
}
