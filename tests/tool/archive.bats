#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Archives: what retention removes is in them, whole, before it is gone; and what claims to be one is not believed.
load one_spool
load flip

fill() { # N: so many records, in segments of some forty each
	local i
	[ -e "$MQ_SPOOL/topics/T" ] || mq-topic create T segment.bytes=4096 "${set[@]}"
	for ((i = 1; i <= $1; i += 40)); do
		seq -f '%0100.0f' $i $((i + 39)) | head -n $(($1 - i + 1)) | mq-publish "${by[@]}" T
	done
}
set=(retention.bytes=8K) by=()
bounded='ulimit -v 600000;'
[ "${MQ_PASS-}" != sanitize ] || bounded='' # whose shadow is terabytes

@test "what goes is in an archive first, and plain tar reads it" {
	mkdir a
	fill 400
	cp -a "$MQ_SPOOL/topics/T/0" before
	is "$(mq-retain --archive a 2>&1)" ''
	is "$(ls a | wc -l)" 1
	[[ $(ls a) =~ ^T\.[0-9a-f]{8}\.0\.0-([0-9]+)\.tar\.zst$ ]]
	gone=${BASH_REMATCH[1]}
	is "$(mq-consume T | head -n 1)" "$(printf %0100d $((gone + 1)))"
	mkdir out
	tar --zstd -xf a/*.zst -C out
	python3 -m json.tool out/manifest.json > /dev/null
	for f in out/T/0/*.seg; do
		head -c "$(stat -c %s "$f")" "before/${f##*/}" | cmp - "$f"
		[ ! -e "$MQ_SPOOL/topics/T/0/${f##*/}" ]
	done
	is "$( (mq-replay --archive a/*.zst; mq-consume T) | sha1sum)" "$(seq -f '%0100.0f' 400 | sha1sum)"
	mq-check
}

@test "an archive is read as the topic was: range, filter, form, count, several at once" {
	mkdir a
	set=(retention.bytes=0)
	fill 200
	mq-publish -k one -T tag -H a=b -m 'the one' --id 42 T
	seq -f '%0100.0f' 300 | mq-publish T
	mq-retain --archive a
	file=$(echo a/*)
	is "$(mq-replay --archive -o 10..13 "$file")" "$(seq -f '%0100.0f' 11 13)"
	is "$(mq-replay --archive --id 42 "$file")" 'the one'
	is "$(mq-replay --archive -T tag --format '%p %o %k %s' "$file")" '0 200 one the one'
	has "$(mq-replay --archive -k one --json "$file")" '"headers":{"a":"b"}'
	has "$(mq-replay --archive -k one --json "$file")" '"topic":"T","partition":0,"offset":200'
	is "$(mq-replay --archive -n 3 "$file" | wc -l)" 3
	is "$(mq-replay --archive -n 0 "$file" | wc -l)" 0
	is "$(mq-replay --archive --dry-run -o 0..7 "$file" | tail -n 1)" '7 records, 700 bytes'
	is "$(mq-replay --archive -o @-1h "$file" | wc -l)" "$(mq-replay --archive "$file" | wc -l)"
	is "$(mq-replay --archive -o @-1h..@-30m "$file" | wc -l)" 0
	is "$(mq-replay --archive -t U "$file")" ''
	for i in $(seq 10); do seq -f '%0100.0f' 40 | mq-publish T; done
	mq-retain --archive a
	[ "$(ls a | wc -l)" = 2 ]
	is "$(mq-replay --archive a/* | wc -l)" "$(($(mq-replay --archive "$file" | wc -l) + $(mq-replay --archive "$(ls a/* | grep -vFx "$file")" | wc -l)))"
	fails 64 mq-replay --archive
	fails 66 mq-replay --archive nothing.tar.zst
}

@test "many partitions, each in archives of its own, and back into a topic once, however often that is tried" {
	mkdir a
	mq-topic create --partitions 3 T segment.bytes=4096 retention.bytes=0
	for p in 0 1 2; do
		for i in $(seq 4); do seq -f "$p %0100.0f" $((i * 40 - 39)) $((i * 40)) | mq-publish -p $p T; done
	done
	mq-retain --archive a
	is "$(ls a | wc -l)" 3
	for i in 1 2; do
		for f in a/*; do
			mq-replay --archive --frame "$f" | mq-publish --frame --producer "$(basename "$f" .tar.zst | cut -d. -f 2-4)" --seq 1 -q U
		done
	done
	is "$(mq-consume U | sort | sha1sum)" "$(mq-replay --archive a/* | sort | sha1sum)"
	mq-check
}

@test "cut off after the archive had its name, the next run takes it for what it holds" {
	mkdir a
	fill 400
	cp -a "$MQ_SPOOL" again
	mq-retain --archive a
	rm -rf "$MQ_SPOOL"
	mv again "$MQ_SPOOL"
	before=$(ls -l --time-style=full-iso a)
	mq-retain --archive a
	is "$(ls -l --time-style=full-iso a)" "$before"
	is "$( (mq-replay --archive a/*.zst; mq-consume T) | sha1sum)" "$(seq -f '%0100.0f' 400 | sha1sum)"
	mq-check
}

@test "an archive that was made before the spool came back from a backup is not taken for what was published since" {
	mkdir a
	fill 60
	cp -a "$MQ_SPOOL" backup
	seq -f 'lost %0100.0f' 400 | split -l 40 --filter='mq-publish T'
	mq-retain --archive a
	rm -rf "$MQ_SPOOL"
	mv backup "$MQ_SPOOL"
	seq -f 'new %0100.0f' 400 | split -l 40 --filter='mq-publish T' # of the same length
	fails 64 mq-retain --archive a
	has "$said" 'is there already, and does not hold what is to go: move it away'
	is "$(mq-consume T | wc -l)" 460
	seq -f 'new %0100.0f' 401 480 | split -l 40 --filter='mq-publish T' # so this one's has another name
	mq-retain --archive a
	is "$(ls a | wc -l)" 2
	is "$( (mq-replay --archive a/*.zst; mq-consume T) | grep new | sort -u | sha1sum)" "$(seq -f 'new %0100.0f' 480 | sha1sum)"
	mq-check
}

@test "an archive of that name that does not hold it keeps everything where it is" {
	mkdir a
	fill 400
	cp -a "$MQ_SPOOL" again
	mq-retain --archive a
	rm -rf "$MQ_SPOOL"
	mv again "$MQ_SPOOL"
	file=$(echo a/*)
	python3 - "$file" <<-'END'
		import sys
		b = bytearray(open(sys.argv[1], "rb").read())
		b[len(b) * 3 // 4] ^= 1
		open(sys.argv[1], "wb").write(b)
	END
	fails 2 mq-retain --archive a || fails 65 mq-retain --archive a
	is "$(mq-consume T | wc -l)" 400
	: > "$file"
	fails 65 mq-retain --archive a || fails 2 mq-retain --archive a
	is "$(mq-consume T | wc -l)" 400
}

@test "without room for the archive nothing goes; nor without its directory" {
	fill 400
	fails 64 mq-retain --archive a
	has "$said" 'no directory a for archives'
	is "$(mq-consume T | wc -l)" 400
	mkdir a
	(ulimit -f 1; fails 74 mq-retain --archive a || fails 75 mq-retain --archive a)
	is "$(ls -A a)" ''
	is "$(mq-consume T | wc -l)" 400
}

@test "a batch that no reader of archives has memory for is not archived, however small compression made it" {
	mkdir a
	mq-topic create T max.message.bytes=80M compression.type=zstd segment.bytes=4K retention.bytes=0
	head -c 70000000 /dev/zero | mq-publish --one T
	head -c 5000 /dev/urandom | mq-publish --one T # its segment is full
	mq-publish -m small T
	fails 64 mq-retain --archive a
	has "$said" 'a batch of 70000'
	fails 64 mq-drain -g g --discard --archive b.zst T
	has "$said" 'more than an archive takes'
	is "$(ls -A a)" ''
	[ ! -e b.zst ]
	is "$(mq-consume -o 0..1 --format %S T)" 70000000
	is "$(mq-drain -g g --format '%S ' T)" '70000000 5000 5 '
}

@test "a damaged segment is not archived, and stays" {
	mkdir a
	fill 400
	first=$(ls "$MQ_SPOOL"/topics/T/0/*.seg | head -n 1)
	flip "$first" 2000
	fails 2 mq-retain --archive a
	has "$said" 'damaged segments are not archived'
	is "$(ls -A a)" ''
	[ -e "$first" ]
}

# ---- what is not believed ----
# hostile FILE PYTHON: an archive of T, with m its manifest and s its members (name, bytes), as PYTHON changes them.
hostile() {
	[ -e good ] || {
		mkdir a good
		fill 200
		mq-retain --archive a
		tar --zstd -xf a/*.zst -C good
	}
	python3 - "$@" <<-'END'
		import io, json, os, sys, tarfile
		m = json.load(open("good/manifest.json"))
		s = [[x["name"], open("good/" + x["name"], "rb").read()] for x in m["segments"]]
		size = {}
		links = []
		text = None
		exec(sys.argv[2])
		t = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
		def add(name, data, **more):
		    i = tarfile.TarInfo(name)
		    i.size = len(data)
		    for k in more: setattr(i, k, more[k])
		    t.addfile(i, io.BytesIO(data) if data else None)
		for l in links[:]:
		    if l[3:]: add(l[0], b"", type=l[1], linkname=l[2]); links.remove(l)
		add("manifest.json", (text or json.dumps(m)).encode())
		for l in links: add(l[0], b"", type=l[1], linkname=l[2])
		for name, data in s: add(name, data)
		t.close()
	END
}
refused() { # STATUS PYTHON
	hostile bad.tar "$2"
	before=$(find . -path ./bad.tar -prune -o -type f -print | sort | xargs md5sum)
	timeout 20 env -i PATH="$PATH" MQ_SPOOL="$MQ_SPOOL" bash -c "$bounded exec mq-replay --archive bad.tar" > out.txt 2> err.txt && status=0 || status=$?
	[ "$status" = "$1" ] || { echo "status $status, not $1, of $2: $(cat err.txt)"; return 1; }
	rm -f out.txt err.txt
	is "$(find . -path ./bad.tar -prune -o -type f -print | sort | xargs md5sum)" "$before"
}

@test "what is sound is taken, compressed or not" {
	hostile plain.tar ''
	is "$(mq-replay --archive plain.tar | sha1sum)" "$(mq-replay --archive a/* | sha1sum)"
}

@test "names that lead elsewhere are refused, and nothing is written" {
	refused 65 's[0][0] = "../x"; m["segments"][0]["name"] = "../x"'
	refused 65 's[0][0] = "/tmp/x"; m["segments"][0]["name"] = "/tmp/x"'
	refused 65 's[0][0] = "../x"'
	refused 65 'm["topic"] = "../x"'
	refused 65 'm["topic"] = ".."'
	refused 65 's[0], s[1] = s[1], s[0]'
	[ ! -e ../x ]
}

@test "links and directories are refused" {
	refused 65 'links = [[s[0][0], tarfile.SYMTYPE, "/etc/passwd"]]'
	refused 65 'links = [[s[0][0], tarfile.LNKTYPE, "manifest.json"]]'
	refused 65 'links = [["T", tarfile.DIRTYPE, ""]]'
	refused 65 'links = [["manifest.json", tarfile.SYMTYPE, "/etc/passwd", True]]'
	refused 65 'links = [[s[0][0], tarfile.CHRTYPE, ""]]'
}

@test "a size that lies is found, whichever way" {
	refused 65 'm["segments"][0]["bytes"] += 128'
	refused 65 'm["segments"][0]["bytes"] -= 128'
	refused 65 'm["segments"][0]["bytes"] = 1 << 62'
	refused 65 'm["segments"][0]["bytes"] = -1'
	refused 2 's[0][1] = s[0][1][:-100]; m["segments"][0]["bytes"] -= 100'
	refused 2 'del s[-1]'
	refused 65 'm["segments"][0]["end"] = 0'
	refused 65 'm["partitions"][0]["partition"] = 1 << 40'
	refused 65 'del m["segments"][0]'
	refused 65 'm["partitions"][0]["to"] += 1'
	refused 65 'm["partitions"] *= 2'
	refused 65 'm["segments"] = [m["segments"][0]] * 3'
}

@test "other bytes are found" {
	refused 2 'b = bytearray(s[0][1]); b[700] ^= 1; s[0][1] = bytes(b)'
	refused 2 'b = bytearray(s[0][1]); b[100] ^= 1; s[0][1] = bytes(b)'
	refused 2 'b = bytearray(s[0][1]); b[-1] ^= 1; s[0][1] = bytes(b)'
	refused 65 'del m["segments"][0]["crc32c"]'
	refused 65 'm["id"] = "0" * 32'
	refused 65 'text = "{"'
	refused 65 'text = "[" * 100000'
	refused 65 'text = " "'
	refused 78 'm["mq_archive"] = 2'
}

@test "a gigabyte of zeros in a kilobyte costs no memory, wherever it is" {
	hostile bad.tar ''
	zeros() { python3 - "$1" <<-'END'
		import io, sys, tarfile, subprocess, json
		m = json.load(open("good/manifest.json"))
		where = sys.argv[1]
		class Zeros(io.RawIOBase):
		    def read(self, n=-1): return bytes(n)
		z = subprocess.Popen(["tar", "--version"], stdout=subprocess.DEVNULL)
		t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT)
		G = 1 << 30
		def add(name, data):
		    i = tarfile.TarInfo(name); i.size = len(data); t.addfile(i, io.BytesIO(data))
		if where == "manifest":
		    i = tarfile.TarInfo("manifest.json"); i.size = G; t.addfile(i, Zeros())
		else:
		    x = m["segments"][0]
		    x["bytes"] = G
		    m["segments"] = [x]
		    add("manifest.json", json.dumps(m).encode())
		    i = tarfile.TarInfo(x["name"]); i.size = G
		    t.addfile(i, Zeros())
		t.close()
	END
	}
	for where in manifest segment; do
		zeros $where | zstd -q -o bomb.tar.zst -f
		[ "$(stat -c %s bomb.tar.zst)" -lt 200000 ]
		(eval "$bounded"; exec mq-replay --archive bomb.tar.zst) > out.txt 2> err.txt && status=0 || status=$?
		[ "$status" = 65 ] || [ "$status" = 2 ]
		is "$(cat out.txt)" ''
	done
}

@test "what is no archive at all is refused" {
	fill 10
	for f in /dev/null "$MQ_SPOOL/spool.conf" "$(ls "$MQ_SPOOL"/topics/T/0/*.seg)"; do
		fails 65 mq-replay --archive "$f"
	done
	echo hello > x
	tar -cf x.tar x
	fails 65 mq-replay --archive x.tar
	has "$said" 'manifest.json'
	fails 64 mq-replay --archive .
}
