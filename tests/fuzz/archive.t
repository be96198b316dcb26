#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
#
# Fuzz the reader of archives (archive.c) for a while, from an archive that the tools made.  MQ_FUZZ_SECONDS=N: another while.
# A finding stays where the output says; run the program with it as its argument.
set -u
src=${MQ_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
bin=${MQ_BUILD:-$(pwd)}/bin
tmp=$(mktemp -d "${TMPDIR:-/tmp}/fuzz.XXXXXX") || exit 1
seconds=${MQ_FUZZ_SECONDS-20}
echo 1..2

if ! command -v clang >/dev/null; then
	echo 'tests/fuzz/archive.t: NO CLANG HERE: NOTHING WAS FUZZED (install clang)' >&2
	echo 'ok 1 - the fuzz target builds # SKIP clang is missing'
	echo 'ok 2 - the reader of archives stands what the fuzzer makes # SKIP clang is missing'
	rm -rf "$tmp"
	exit 0
fi

if clang -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -g -O1 -std=gnu11 -D_GNU_SOURCE \
	-I"$src/lib" "$src/tests/fuzz/archive.c" "$src"/lib/base/*.c "$src"/lib/format/*.c \
	"$src/lib/spool/archive_manifest.c" "$src/lib/spool/archive_read.c" -lisal -lzstd -larchive -ljansson \
	-o "$tmp/archive" >"$tmp/log" 2>&1; then
	echo 'ok 1 - the fuzz target builds'
else
	sed 's/^/# /' "$tmp/log"
	echo 'not ok 1 - the fuzz target builds'
	echo 'not ok 2 - the reader of archives stands what the fuzzer makes'
	exit 1
fi

seed() {
	export MQ_SPOOL="$tmp/spool"
	mkdir "$tmp/a" "$tmp/out" "$tmp/corpus"
	"$bin/mq-topic" create T segment.bytes=4096 retention.bytes=0
	for i in 1 2 3; do
		seq 200 | "$bin/mq-publish" T
		seq 200 | "$bin/mq-publish" -k key T
	done
	"$bin/mq-retain" --archive "$tmp/a"
	tar --zstd -xf "$tmp"/a/*.zst -C "$tmp/out"
	{ tr -d '\n' <"$tmp/out/manifest.json"; printf '\0'; cat "$tmp"/out/T/0/*.seg; } >"$tmp/corpus/seed"
}

if seed >"$tmp/log" 2>&1 && [ -s "$tmp/corpus/seed" ] &&
	"$tmp/archive" -max_total_time="$seconds" -max_len=40000 -timeout=20 -rss_limit_mb=1024 -artifact_prefix="$tmp/" "$tmp/corpus" >>"$tmp/log" 2>&1; then
	echo 'ok 2 - the reader of archives stands what the fuzzer makes'
	rm -rf "$tmp"
else
	tail -n 40 "$tmp/log" | sed 's/^/# /'
	echo "# what was found is in $tmp"
	echo 'not ok 2 - the reader of archives stands what the fuzzer makes'
	exit 1
fi
