#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=2400
# mq-test: alone
# mq-test: no-sanitize
"""kill -9 at random moments: 8 publishers and 4 consumers with handlers, records of 1 B to 1 MiB across page edges.

Nothing confirmed is lost or changed, offsets are dense, no lock is left, no two handlers of a partition run at once, and
everything is handled in the end.  MQ_KILLS=N changes the number of kills (2000); there are more, up to six times as many,
until a tenth of that number has left a torn tail.  When to kill goes by what the killed had done, half of the time by the first
confirmation: on a busy machine a process takes longer to come to its writes."""
import fcntl, json, os, random, re, signal, struct, subprocess, sys, tempfile, threading, time

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import amount  # noqa: E402

KILLS = amount.of('MQ_KILLS', 2000, 600, 300)
SEED = int(os.environ.get("MQ_SEED", str(random.randrange(1 << 30))))
PARTITIONS = 12  # who waits for a lock writes over what a killed one left before anybody looks: not too few
DIR = tempfile.mkdtemp(prefix="kill-")
SPOOL = os.path.join(DIR, "spool")
ENV = dict(os.environ, MQ_SPOOL=SPOOL, KILL_DIR=DIR)
EDGES = [1, 2, 100, 3967, 3968, 3969, 4095, 4096, 4097, 8191, 65535, 65536, 131072, 262144, 524288, 1048576, 1048576, 1048576]
lock = threading.Lock()
confirmed = {}       # name -> (position, length, level)
problems = []
counts = {"kills": 0, "torn": 0, "publishers": 0, "consumers": 0}
test_no = 0


def result(good, name, why=""):
    global test_no
    test_no += 1
    print(f"{'ok' if good else 'not ok'} {test_no} - {name}")
    if not good and why:
        for line in str(why).splitlines()[:40]:
            print("# " + line)
    sys.stdout.flush()


def run(*args, **kw):
    return subprocess.run(args, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)


def size_of(rng):
    edge = rng.choice(EDGES)
    return max(1, min(1048576, edge + rng.choice([0, 0, -1, 1, rng.randrange(0, 200)])))


def payload(name, size):
    head = name + ":"
    return (head + "x" * max(0, size - len(head))).encode()[: max(size, len(head))]


def take_kill():
    with lock:
        if counts["kills"] >= KILLS and (counts["torn"] >= KILLS // 10 or counts["kills"] >= 6 * KILLS):
            return False
        counts["kills"] += 1
        return True


def torn_tail(p):
    """Do bytes lie behind the partition's published tail while nobody holds its append lock?"""
    d = os.path.join(SPOOL, "topics/T", str(p))
    fd = os.open(os.path.join(d, "lock"), os.O_RDWR | os.O_CLOEXEC)
    try:
        req = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0)
        try:
            fcntl.fcntl(fd, 37, req)  # F_OFD_SETLK: nobody appends while we look
        except OSError:
            return
        with open(os.path.join(d, "state"), "rb") as f:
            raw = f.read(3 * 4096)
        best = (0, 0, b"", 0)
        for block in (1, 2):
            slot = raw[block * 4096: block * 4096 + 256]
            seq = struct.unpack_from("<Q", slot, 0)[0]
            if seq > best[0]:
                best = (seq, struct.unpack_from("<Q", slot, 40)[0], slot[16:20], struct.unpack_from("<Q", slot, 32)[0])
        name = f"{best[3]:020d}.{best[2].hex()}.seg"
        try:
            size = os.stat(os.path.join(d, name)).st_size
        except FileNotFoundError:
            return
        if best[0] and size > best[1]:
            key = (p, name, best[1], size)
            with lock:
                if key not in seen_torn:
                    seen_torn.add(key)
                    counts["torn"] += 1
    finally:
        os.close(fd)


seen_torn = set()


def file_of_records(number):
    """Large records ready to be read at once, so that a kill often meets the write of a batch."""
    path = os.path.join(DIR, f"input.{number}")
    names = []
    with open(path, "wb") as f:
        for i in range(6):
            name = f"f{number}-{i}"
            body = payload(name, 1048576 - 97 * i)
            names.append((name, len(body)))
            f.write(body + b"\n")
    return path, names


def publisher(number):
    rng = random.Random(SEED * 1000 + number)
    n = 0
    path, in_file = file_of_records(number)
    latest = {True: 0.012, False: 0.06}
    while take_kill():
        from_file = rng.random() < 0.6
        partition = rng.randrange(PARTITIONS)
        level = "written" if from_file else rng.choice(["durable", "durable", "written"])
        p = subprocess.Popen(["mq-publish", "--confirm", "--ack", level, "-p", str(partition), "T"], env=ENV,
                             stdin=open(path, "rb") if from_file else subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        with lock:
            counts["publishers"] += 1
            run_no = counts["publishers"]
        sent = list(in_file) if from_file else []

        def feed():
            nonlocal n
            try:
                while True:
                    name = f"r{number}-{n}"
                    n += 1
                    body = payload(name, size_of(rng))
                    sent.append((name, len(body)))
                    p.stdin.write(body + b"\n")
                    p.stdin.flush()
            except (BrokenPipeError, OSError, ValueError):
                pass

        if not from_file:
            feeder = threading.Thread(target=feed, daemon=True)
            feeder.start()
        timer = threading.Timer(rng.uniform(0.001, latest[from_file]), lambda: p.send_signal(signal.SIGKILL))
        timer.start()
        got, amid = 0, from_file and rng.random() < 0.7
        for line in p.stdout:
            m = re.fullmatch(rb"T:(\d+):(\d+)\n", line)
            if not m:
                if line.endswith(b"\n"):
                    problems.append(f"confirmation {line!r}")
                continue
            name, length = sent[got]
            got += 1
            with lock:
                confirmed[run_no, name] = (int(m[1]), int(m[2]), length, level)
            if got == 1 and amid:  # it is at its writes now, one after the other
                time.sleep(rng.uniform(0, 0.003))
                p.send_signal(signal.SIGKILL)
        status = p.wait()
        timer.cancel()
        latest[from_file] = min(1.0, latest[from_file] * 1.1) if got == 0 else max(0.004, latest[from_file] * (0.9 if status == 0 else 0.97))
        if status not in (-9, 0):
            problems.append(f"publisher {number}: status {status}: {p.stderr.read().decode(errors='replace')}")
        torn_tail(partition)
        if not from_file:
            feeder.join(5)
        for f in (p.stdin, p.stdout, p.stderr):
            try:
                if f:
                    f.close()
            except OSError:
                pass


HANDLER = """#!/bin/sh
exec 9>>"$KILL_DIR/handling.$MQ_PARTITION"
if ! flock -n 9; then echo "two at once on $MQ_PARTITION at $MQ_OFFSET" >> "$KILL_DIR/problems"; fi
echo "$MQ_PARTITION $MQ_OFFSET $(head -c 40 | cut -d: -f1)" >> "$KILL_DIR/handled.$$"
cat > /dev/null
"""


def consumer(number):
    rng = random.Random(SEED * 1000 + 500 + number)
    while take_kill():
        p = subprocess.Popen(["mq-consume", "-f", "-g", "g", "T", "--", os.path.join(DIR, "handler")], env=ENV,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with lock:
            counts["consumers"] += 1
        time.sleep(rng.uniform(0.02, 0.2))
        status = p.poll()
        if status is None:
            p.send_signal(signal.SIGKILL)
            p.wait()
        else:
            problems.append(f"consumer ended by itself: {status}: {p.stderr.read().decode(errors='replace')}")
        p.stderr.close()


def read_all():
    """Partition, offset -> name, length, whether the bytes are those of that name.  One line at a time: all of them are many GB."""
    seen = {}
    with tempfile.TemporaryFile() as said:
        p = subprocess.Popen(["mq-consume", "--json", "T"], env=ENV, stdout=subprocess.PIPE, stderr=said)
        for line in p.stdout:
            o = json.loads(line)
            text = o.get("payload", "")
            name, length = text.split(":", 1)[0], len(text.encode())
            seen[(o["partition"], o["offset"])] = (name, length, text == payload(name, length).decode())
        status = p.wait()
        said.seek(0)
        return status, said.read().decode(errors="replace"), seen


def main():
    print(f"# seed {SEED}, {KILLS} kills, {DIR}")
    with open(os.path.join(DIR, "handler"), "w") as f:
        f.write(HANDLER)
    os.chmod(os.path.join(DIR, "handler"), 0o755)
    r = run("mq-topic", "create", "T", "--partitions", str(PARTITIONS), "-X", "segment.bytes=16M", "-X", "max.message.bytes=2M")
    result(r.returncode == 0, "the topic is made", r.stderr)
    if r.returncode:
        print("1..1")
        sys.exit(1)
    threads = [threading.Thread(target=publisher, args=(i,)) for i in range(8)]
    threads += [threading.Thread(target=consumer, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"# {counts['kills']} kills: {counts['publishers']} publishers, {counts['consumers']} consumers; "
          f"{len(confirmed)} records confirmed; {counts['torn']} torn tails seen")
    result(not problems, "no process failed by itself", "\n".join(map(str, problems)))
    result(counts["torn"] >= KILLS // 10, f"at least {KILLS // 10} torn tails were left by kills", counts["torn"])

    status, said, seen = read_all()
    result(status == 0, "everything is read without damage", said)
    lost = []
    for (_, name), (p, o, length, level) in confirmed.items():
        got = seen.get((p, o))
        if got != (name, length, True):
            lost.append(f"{name} ({level}, {length} bytes) confirmed at {p}:{o}: {got}")
    result(not lost, "every confirmed record is at its place, byte for byte", "\n".join(lost))
    invented = [k for k, v in seen.items() if not v[2]]
    result(not invented, "nothing is there that nobody published", invented[:5])
    holes = []
    for p in range(PARTITIONS):
        offsets = sorted(o for (q, o) in seen if q == p)
        if offsets and offsets != list(range(offsets[0], offsets[-1] + 1)):
            holes.append(p)
    result(not holes, "offsets are dense", holes)
    r = run("mq-publish", "-m", "last", "T")
    result(r.returncode == 0, "no lock is left: one more is published", r.stderr)
    r = run("timeout", "1200", "mq-consume", "-g", "g", "T", "-j", "4", "--", os.path.join(DIR, "handler"))
    result(r.returncode == 0, "the group works off the rest", f"status {r.returncode}: {r.stderr.decode()}")
    bad = open(os.path.join(DIR, "problems")).read() if os.path.exists(os.path.join(DIR, "problems")) else ""
    result(not bad, "no handler outlived its consumer's lock: never two at once on a partition", bad)
    handled = set()
    for f in os.listdir(DIR):
        if f.startswith("handled."):
            for line in open(os.path.join(DIR, f)):
                w = line.split()
                if len(w) >= 2:
                    handled.add((int(w[0]), int(w[1])))
    missing = [k for k in seen if k not in handled]
    result(not missing, "every record was handled", missing[:10])
    r = run("mq-check")
    result(r.returncode == 0, "mq-check finds no damage", r.stdout + r.stderr)
    print(f"1..{test_no}")


try:
    main()
finally:
    subprocess.run(["rm", "-rf", DIR])
