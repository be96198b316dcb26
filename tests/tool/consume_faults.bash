# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of consumers under faults share.  Faults are put into single system calls by strace, on the spool.
load engines
load flip
MQ_TEST_ENGINES=spool

# Loudly: what was not tested must be seen.
need_strace() {
	strace -f -o /dev/null true 2> /dev/null && return
	echo "# NOT TESTED: strace cannot trace here, so no fault can be put into a consumer" >&3
	skip "strace cannot trace here"
}

# faulty WHERE WHAT COMMAND ...: the command, ended after 20 s, with strace's injection WHAT on the calls that concern the
# file WHERE ("": on all).
faulty() {
	local where=$1 what=$2
	shift 2
	strace -f -qq -o /dev/null ${where:+-P "$where"} -e trace="${what%%:*}" -e inject="$what" timeout 20 "$@" 2> why
}

at() { # GROUP TOPIC: its committed places, a partition a line
	mq-group show -g "$1" --json "$2" | sed 's/.*"committed":\([^,]*\),.*/\1/'
}

segment() { # TOPIC: of its first partition
	echo "$PWD/the-spool/topics/$1"/0/*.seg
}

asleep() { # TOPIC: a reader of its first partition waits for the bell
	grep -q "OFDLCK.* READ .*:$(stat -c %i "the-spool/topics/$1/0/bell") " /proc/locks
}

# ends STATUS COMMAND ...: within ten seconds, whatever happens.
ends() {
	local want=$1
	shift
	fails "$want" timeout 10 "$@"
}
