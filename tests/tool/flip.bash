# SPDX-License-Identifier: GPL-2.0-or-later
# Harm to a file that is harm for certain: a byte set to a letter may be that letter already.

flip() { # FILE POSITION [COUNT]: each of those bytes is inverted
	python3 -B -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    was = f.read(int(sys.argv[3]))
    assert len(was) == int(sys.argv[3]), "the file ends before"
    f.seek(int(sys.argv[2]))
    f.write(bytes(byte ^ 255 for byte in was))' "$1" "$2" "${3:-1}"
}
