#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Dead letters: what a group gives up on.
load one_spool

header() { # NAME [TOPIC]: of the first dead letter
	mq-consume --json "${2:-T.dead}" | python3 -c '
import json, sys
o = json.loads(sys.stdin.readline())
h = o.get("headers") or {}
h.update(o.get("headers_b64") or {})
print(h.get(sys.argv[1], "-"))' "$1"
}
committed() { mq-group show -g "$1" --json "${2:-T}" | sed -n 's/.*"committed":\([0-9]*\).*/\1/p'; }

@test "a record that is rejected is put into TOPIC.dead, and the run goes on behind it" {
	seq 5 | mq-publish T
	mq-consume -g g T -- sh -c 'read -r n; echo $n; [ $n != 3 ] || { echo "no such order: $n" >&2; exit 100; }' > out 2> said
	is "$(cat out)" "$(seq 5)"
	has "$(cat said)" 'no such order: 3'
	has "$(cat said)" '1 record was put into T.dead'
	is "$(committed g)" 5
	is "$(mq-consume T.dead)" 3
	is "$(header mq-origin)" T:0:2
	is "$(header mq-group)" g
	is "$(header mq-reason)" rejected
	is "$(header mq-attempts)" 1
	is "$(header mq-status)" 100
	is "$(header mq-stderr)" 'no such order: 3'
	is "$(header mq-first-failure)" "$(header mq-last-failure)"
	is "$(mq-consume -g g T)" ''
	mq-check -q
}

@test "a dead letter keeps key, tag, id, headers, time and payload, whatever bytes they are" {
	head -c 5000 /dev/urandom > big
	mq-publish -k key -T tag --id 7 -H a=b T big
	mq-consume --json T > before
	mq-consume -q -g g T -- sh -c 'exit 100'
	mq-consume --json T.dead > after
	python3 - <<-'END'
		import json
		a, b = (json.loads(open(n).read()) for n in ("before", "after"))
		for name in ("key", "tag", "id", "timestamp", "payload_b64"):
		    assert a[name] == b[name], (name, a[name], b[name])
		assert b["headers"].pop("a") == "b"
		assert all(n.startswith("mq-") for n in b["headers"]), b["headers"]
	END
}

@test "of what a handler wrote to stderr the last 4096 bytes are kept, and all of it arrives unchanged" {
	echo x | mq-publish T
	mq-consume -q -g g T -- sh -c 'seq 100000 >&2; exit 100' 2> said
	seq 100000 | cmp - said
	seq 100000 | tail -c 4096 > end
	mq-consume --json T.dead | python3 -c '
import json, sys
sys.stdout.write(json.loads(sys.stdin.read())["headers"]["mq-stderr"])' | cmp - end
}

@test "what one handler wrote is not told of another one's record" {
	seq 2 | mq-publish T
	mq-consume -q -g g T -- sh -c 'read -r n; [ $n = 2 ] || echo of the first >&2; exit 100' 2> said
	is "$(cat said)" 'of the first'
	mq-consume --json T.dead | python3 -c '
import json, sys
a, b = (json.loads(l)["headers"] for l in sys.stdin)
assert a["mq-stderr"] == "of the first\n", a
assert "mq-stderr" not in b, b'
}

@test "of a batch that is rejected each record is a dead letter of its own" {
	seq 10 | mq-publish T
	mq-consume -q -g g --batch 4 T -- sh -c 'grep -q 6 && exit 100; exit 0'
	is "$(mq-consume T.dead)" "$(seq 5 8)"
	is "$(committed g)" 10
}

@test "a batch of selected records leaves what was not selected where it is" {
	for i in 1 2 3 4 5 6; do mq-publish -T "t$((i % 2))" -m $i T; done
	mq-consume -q -g g -T t1 --batch 10 T -- sh -c 'exit 100'
	is "$(mq-consume T.dead)" "$(printf '1\n3\n5')"
}

@test "a coproc rejects one of several in flight, and says why" {
	seq 100 | mq-publish T
	cat > coproc.py <<-'END'
		import sys
		for line in sys.stdin:
		    if line == "50\n":
		        print("fifty it is", file=sys.stderr, flush=True)
		        print("reject no fifties", flush=True)
		    else:
		        print("ok", flush=True)
	END
	mq-consume -q -g g --coproc T -- python3 coproc.py 2> said
	is "$(cat said)" 'fifty it is'
	is "$(mq-consume T.dead)" 50
	is "$(header mq-said)" 'no fifties'
	is "$(header mq-stderr)" 'fifty it is'
	is "$(committed g)" 100
}

@test "many rejected records beside each other, of several partitions, are all there once" {
	mq-topic create --partitions 3 T
	seq 300 | mq-publish T
	mq-consume -q -g g -j 4 --order none T -- sh -c 'read -r n; [ $((n % 2)) = 0 ] || exit 100'
	is "$(mq-consume T.dead | sort -n)" "$(seq 1 2 300)"
	is "$(mq-consume -g g T)" ''
	mq-check -q
}

@test "without a group, and before the work, there are no dead letters: the run ends" {
	seq 3 | mq-publish T
	fails 75 mq-consume T -- sh -c 'exit 100'
	fails 75 mq-consume -g g --commit before T -- sh -c 'exit 100'
	fails 66 mq-consume T.dead
}

@test "a topic of dead letters has none of its own: what is rejected there ends the run, and stays" {
	echo x | mq-publish T.dead
	fails 75 mq-consume -g g T.dead -- sh -c 'exit 100'
	has "$said" 'rejected by its handler'
	is "$(committed g T.dead)" 0
	fails 66 mq-consume T.dead.dead
}

@test "where topics are not made by publishers, dead letters make theirs" {
	mq-publish -m x T
	echo auto.create.topics=false >> spool/spool.conf
	mq-consume -q -g g T -- sh -c 'exit 100'
	is "$(mq-consume T.dead)" x
}

@test "a topic of dead letters that is full is waited for, until there is room, and no longer than --timeout" {
	seq 3 | mq-publish T
	mq-topic create -X max.messages=1 T.dead
	mq-publish -m full T.dead
	mq-consume -g g T -- sh -c 'exit 100' 2> said & pid=$!
	until_true grep -q 'waiting for space' said
	mq-topic set -X max.messages=4 T.dead
	wait "$pid"
	is "$(mq-consume T.dead)" "$(printf 'full\n1\n2\n3')"
	echo 4 | mq-publish T
	fails 75 mq-consume -g g --timeout 100ms T -- sh -c 'exit 100'
	has "$said" 'no space came in time'
	is "$(committed g)" 3
	mq-topic set -X max.messages=100 T.dead
	mq-consume -q -g g T -- sh -c 'exit 100'
	is "$(mq-consume T.dead)" "$(printf 'full\n1\n2\n3\n4')"
}

@test "what was not moved is told as no dead letter" {
	seq 3 | mq-publish T
	# the first one is released when it was told what is to become of the second
	for how in '' '--retries 0'; do
		rm -f said
		status=0
		timeout 30 mq-consume -v -g g -j 3 --order none $how T -- sh -c 'read -r n
			case $n in
			1) until grep -q "T:0:1:.*T.dead" said; do sleep 0.05; done; exit 75 ;;
			2) exit 100 ;;
			esac' 2> said || status=$?
		is "$status" 75
		is "$(grep 'record was put' said)" ''
	done
	is "$(committed g)" 0
	is "$(mq-consume T.dead)" ''
	mq-topic set -X max.messages=1 T.dead
	mq-publish -m full T.dead
	for tool in mq-consume mq-drain 'mq-consume --share'; do
		fails 75 $tool -g "${tool##*-}" --timeout 100ms T -- sh -c 'exit 100'
		has "$said" 'no space came in time'
		is "$(grep 'put into T.dead' <<< "$said")" ''
	done
	is "$(mq-consume T.dead)" full
}

@test "an id that was rejected is not done: --once lets it come again" {
	mq-publish --id 1 -m a T
	mq-consume -q -g g --once T -- sh -c 'exit 100'
	mq-publish --id 1 -m a T
	is "$(mq-consume -g g --once T -- cat)" a
}

@test "a publisher cannot give headers that begin with mq-; frames carry them" {
	fails 65 mq-publish -H mq-origin=T:0:0 -m x T
	has "$said" 'mq-origin'
	echo x | mq-publish T
	mq-consume -q -g g T -- sh -c 'exit 100'
	mq-consume --frame T.dead | mq-publish --frame U
	is "$(header mq-origin U)" T:0:0
}
