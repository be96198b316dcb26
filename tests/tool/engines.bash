# SPDX-License-Identifier: GPL-2.0-or-later
# What a test of the verbs needs of an engine is tested on each: the one in memory, and the spool.
#
#     @test "lines come back" { each lines_come_back; }
#
# runs the function with MQ_SPOOL set and the tools in PATH, once for each engine.
bats_require_minimum_version 1.5.0

setup() {
	: "${MQ_SRC:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
	: "${MQ_BUILD:=$MQ_SRC/build-gcc}"
	cd "$BATS_TEST_TMPDIR"
	shopt -s lastpipe # so that `… | fails` may set said
	mem=test-$$-$RANDOM
}

teardown() {
	rm -f "/dev/shm/mq-mem-$mem" "/dev/shm/mq-mem-$mem.locks"
}

each() {
	for engine in ${MQ_TEST_ENGINES:-mem spool}; do
		echo "# on $engine"
		mkdir "$engine"
		(
			cd "$engine"
			if [ "$engine" = mem ]; then
				export MQ_SPOOL=mem:$mem PATH=$MQ_BUILD/tests/mem:$PATH
			else
				export MQ_SPOOL=$PWD/the-spool PATH=$MQ_BUILD/bin:$PATH
			fi
			set -e
			"$1"
		)
	done
}

# fails STATUS COMMAND ...: its output, both kinds, goes to the variable said.
fails() {
	local want=$1 got=0
	shift
	said=$("$@" 2>&1) || got=$?
	[ "$got" = "$want" ] || { echo "status $got, not $want: $said"; return 1; }
}

has() { # TEXT PART
	case $1 in *"$2"*) ;; *) echo "'$2' is not in '$1'"; return 1 ;; esac
}

is() { # GOT WANT
	[ "$1" = "$2" ] || { printf 'got:\n%s\nwant:\n%s\n' "$1" "$2"; return 1; }
}

# until COMMAND ...: wait until it succeeds, ten seconds at most, or a hundredth of $until_tries.
until_true() {
	for _ in $(seq "${until_tries:-1000}"); do
		"$@" && return 0
		sleep 0.01
	done
	echo "not in time: $*"
	return 1
}

lines() { # FILE COUNT: it has so many
	[ -e "$1" ] && [ "$(wc -l < "$1")" -ge "$2" ]
}

# Stop a member where it holds none of a group's short locks (lib/README, 4): stopped with one it keeps everybody waiting, as
# mq-group(1) says, until it goes on.
stop_at_rest() { # PID
	while :; do
		kill -STOP "$1"
		until_true grep -qs '^State:.T' "/proc/$1/status"
		short_locks || return 0
		kill -CONT "$1"
		sleep 0.01
	done
}

short_locks() { # does anybody hold one?
	find "$MQ_SPOOL/groups" -name locks -printf '%i\n' |
		awk 'FNR == NR {group[$1]; next} {split($6, file, ":")}
			$4 == "WRITE" && file[3] in group && ($7 >= 2^33 && $7 < 2^35 || $7 >= 2^36 && $7 < 2^37) {held = 1}
			END {exit !held}' - /proc/locks
}
