# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of the spool alone, no other engine: each in a directory of its own, with its spool in spool/.
load engines

in_a_spool() {
	: "${MQ_SRC:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
	: "${MQ_BUILD:=$MQ_SRC/build-gcc}"
	cd "$BATS_TEST_TMPDIR"
	shopt -s lastpipe # so that `… | fails` may set said
	export MQ_SPOOL=$PWD/spool PATH=$MQ_BUILD/bin:$PATH
}

setup() { in_a_spool; }
teardown() { :; }

nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

needs_users() {
	{ [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; } || skip 'needs another user to be'
	chmod a+x "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}" "${BATS_TEST_TMPDIR%/*/*}"
	nobody test -x "$PWD" -a -x "$MQ_BUILD/bin/mq-publish" || skip 'another user cannot come here'
}

# The spool as it is now is readable to all.
needs_a_reader() {
	needs_users
	chmod -R a+rX "$MQ_SPOOL"
}
