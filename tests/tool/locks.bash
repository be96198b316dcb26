# SPDX-License-Identifier: GPL-2.0-or-later
# Somebody who was stopped with a lock in his hand.
hold_append() { # LOCK-FILE: its append lock, until let_go
	rm -f held
	python3 -c '
import fcntl, struct, sys, time
f = open(sys.argv[1], "r+b")
fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
open("held", "w").close()
time.sleep(60)' "$1" &
	holder=$!
	until_true test -e held
}

let_go() {
	kill "$holder"
	wait "$holder" 2> /dev/null || true
}
