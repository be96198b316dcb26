#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
# mq-test: timeout=900
# However many ids a group has done: memory stays bounded, a look costs a few reads more, and the files beside the log that
# make it so are checked, and made anew where they are bad.
load one_spool
load flip

ALL=100000 # more than are ever in memory

counts() { # FILE COUNT
	is "$(wc -l < "$1")" "$2"
}

# As if as many had been handled: in great batches.
done_before() { # COUNT
	seq "$1" | mq-publish --id-field 1 T
	mq-consume --once -g g --batch 2000 T -- sh -c 'cat >> done'
	counts done "$1"
	rm done
}

ids() { ls spool/topics/once@T@g/0/*.ids; }

# Reads of files that a consumer makes for each of 200 new records; how often it waits and wakes depends on the machine.
reads() { # NAME
	seq 200 | sed "s/^/$1/" | mq-publish --id-field 1 T
	strace -c -o "$1" mq-consume --once -g g --coproc --prefetch 1 T -- sh -c 'while read -r x; do echo ok; done'
	awk '$NF == "pread64" { print int($4 / 200) }' "$1"
}

@test "of 100,000 ids none is handled again, in bounded memory, with few reads more, and what is beside the log is sound" {
	done_before 1000
	few=$(reads few)
	mq-topic delete --force T
	done_before $ALL
	is "$(ids | wc -l)" 1
	many=$(reads many)
	echo "# $few reads a record after 1,000 ids, $many after $ALL" >&3
	[ "$many" -le $((few + 8)) ]

	seq $ALL | mq-publish --id-field 1 T
	(ulimit -v 60000 && mq-consume --once -g g --batch 2000 T -- sh -c 'cat >> done' 2> said)
	has "$(cat said)" "$ALL records were done before"
	is "$(cat done 2> /dev/null)" ''
	is "$(mq-check)" ''

	# A flipped bit is told, and mended; and where it is not, it harms nobody.
	file=$(ids)
	flip "$file" 300000
	has "$(mq-check)" 'of a file of ids does not verify: it is made anew from the log'
	is "$(ids)" "$file"
	mq-check --mend
	is "$(ids 2> /dev/null || :)" ''
	is "$(mq-check)" ''
	seq 66000 | tail -n 1000 | mq-publish --id-field 1 T
	mq-consume --once -g g T -- sh -c 'cat >> done' 2> said
	has "$(cat said)" '1000 records were done before'
	is "$(ids)" "$file"
	flip "$file" 700000
	seq 66000 | mq-publish --id-field 1 T
	mq-consume --once -g g T -- sh -c 'cat >> done' 2> said
	has "$(cat said)" '66000 records were done before'
	is "$(cat done 2> /dev/null)" ''
	is "$(mq-check)" ''
}

@test "a file of ids that lies is found out" {
	seq 66000 | mq-publish --id-field 1 T
	mq-consume --once -g g --batch 2000 T -- cat > /dev/null
	echo 1 | mq-publish --id-field 1 T
	mq-consume --once -g g T -- false
	file=$(ids)
	python3 -B - "$file" "$MQ_SRC/tests" << 'END'
import struct
import sys
sys.path.insert(0, sys.argv[2])
from reader_bytes import crc32c
with open(sys.argv[1], 'r+b') as f:
    data = bytearray(f.read())
    start, end = struct.unpack_from('<QQ', data, 32)
    at = 4096 * 10  # block 9: another hash in its first place, below the one that was there
    hash_, = struct.unpack_from('<Q', data, at + 16)
    struct.pack_into('<Q', data, at + 16, hash_ - 1)
    seal = bytes(data[16:32]) + struct.pack('<IQQQ', 0, start, end, 9) + bytes(data[at + 4:at + 4096])
    struct.pack_into('<I', data, at, crc32c(seal))
    f.seek(0)
    f.write(data)
END
	has "$(mq-check)" 'its entries are not those of the log'
	mq-check --mend
	is "$(mq-check)" ''
}
