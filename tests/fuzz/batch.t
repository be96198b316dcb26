#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
#
# Fuzz the batch scanner (batch.c) for a while.  MQ_FUZZ_SECONDS=N: another while.
# A finding stays where the output says; run the program with it as its argument.
set -u
src=${MQ_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/fuzz.XXXXXX") || exit 1
seconds=${MQ_FUZZ_SECONDS-20}
echo 1..2

if ! command -v clang >/dev/null; then
	echo 'tests/fuzz/batch.t: NO CLANG HERE: NOTHING WAS FUZZED (install clang)' >&2
	echo 'ok 1 - the fuzz target builds # SKIP clang is missing'
	echo 'ok 2 - the scanner stands what the fuzzer makes # SKIP clang is missing'
	exit 0
fi

if clang -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -g -O1 -std=gnu11 -D_GNU_SOURCE \
	-I"$src/lib" "$src/tests/fuzz/batch.c" "$src"/lib/base/*.c "$src"/lib/format/*.c \
	"$src/lib/segment/scan.c" -lisal -lzstd -larchive -o "$tmp/batch" >"$tmp/log" 2>&1; then
	echo 'ok 1 - the fuzz target builds'
else
	sed 's/^/# /' "$tmp/log"
	echo 'not ok 1 - the fuzz target builds'
	echo 'not ok 2 - the scanner stands what the fuzzer makes'
	exit 1
fi

mkdir "$tmp/corpus"
if "$tmp/batch" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
	-artifact_prefix="$tmp/" "$tmp/corpus" >"$tmp/log" 2>&1; then
	grep '^Done' "$tmp/log" | sed 's/^/# /'
	echo 'ok 2 - the scanner stands what the fuzzer makes'
	rm -rf "$tmp"
else
	tail -n 60 "$tmp/log" | sed 's/^/# /'
	for f in "$tmp"/crash-* "$tmp"/timeout-* "$tmp"/oom-*; do
		[ -e "$f" ] || continue
		echo "# the input, base64:"
		base64 "$f" | sed 's/^/#   /'
	done
	echo 'not ok 2 - the scanner stands what the fuzzer makes'
	exit 1
fi
