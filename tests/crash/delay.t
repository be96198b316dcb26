#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize timeout=1500
#
# Records that wait until they are due, and processes killed at random moments while they park, deliver and cancel them: in the
# end each record that was confirmed is in exactly one of delivered, cancelled, waiting; none comes twice.
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import amount  # noqa: E402

BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
KILLS = amount.of('MQ_KILLS', 520, 150, 30)
BIN = BUILD + '/bin/'
random.seed(int(os.environ.get('MQ_SEED', '1')))


def tool(*argv, **more):
    return subprocess.run([BIN + argv[0], *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def killed(argv, seconds, lines=()):
    """Run it for so long at most: its status (None: it was killed) and what it printed."""
    p = subprocess.Popen([BIN + argv[0], *argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        p.stdin.write(''.join(line + '\n' for line in lines))
        p.stdin.close()
    except BrokenPipeError:
        pass
    p.stdin = None
    time.sleep(seconds)
    was_killed = p.poll() is None
    if was_killed:
        p.send_signal(signal.SIGKILL)
    out = p.communicate()[0]
    return (None if p.returncode == -9 else p.returncode), out


def run(spool):
    os.environ['MQ_SPOOL'] = spool
    tool('mq-topic', 'create', 'T', '--partitions', '3')
    tool('mq-publish', '-m', 'x', 'other')
    assert tool('mq-topic', 'create', 'T', '--partitions', '3').returncode in (0, 64)
    sure, cancelled, maybe_cancelled, number, kills = set(), set(), set(), 0, 0
    took = 0.1
    while kills < KILLS:
        what = random.choice('ppppddddcc')
        pause = random.random() * took
        if what == 'p':
            ids = ['%d' % (number + i) for i in range(random.randint(1, 40))]
            number += len(ids)
            argv = ['mq-publish', '--confirm', '--delay', random.choice(['1ms', '20ms', '200ms', '2s']), '--id-field', '1']
            status, out = killed(argv + ['T'], pause, ids)
            sure |= {i for i, line in zip(ids, out.splitlines()) if line.startswith('wait@T@:')}
        elif what == 'd':
            status, out = killed(random.choice([['mq-consume', 'T'], ['mq-publish', '-m', 'now', 'T'], ['mq-consume', '-g', 'g', 'T']]), pause)
        else:
            one = str(max(number - random.randrange(60), 0))
            status, out = killed(['mq-topic', 'cancel', '--id', one, 'T'], pause)
            if status == 0:
                cancelled.add(one)
            elif status is None:
                maybe_cancelled.add(one)
        kills += status is None
        took = min(max(took * (1.04 if status is None else 0.96), 0.005), 2.0)  # about every second one is killed
    deadline = time.time() + 60
    while '"delayed":0' not in tool('mq-topic', 'delayed', '--json', '-n', '0', 'T').stdout and time.time() < deadline:
        tool('mq-consume', 'T')
        time.sleep(0.05)
    lines = [line for line in tool('mq-consume', 'T').stdout.splitlines() if line != 'now']
    came = set(lines)
    bad = []
    if len(came) != len(lines):
        bad.append('came twice: %s' % sorted(i for i in came if lines.count(i) > 1)[:5])
    if lost := sure - came - cancelled - maybe_cancelled:
        bad.append('lost: %s' % sorted(lost)[:5])
    if both := cancelled & came:
        bad.append('cancelled, and came: %s' % sorted(both)[:5])
    check = tool('mq-check')
    if check.returncode:
        bad.append('mq-check: %s' % check.stdout[:300])
    print('# %d kills, %d confirmed, %d came, %d cancelled' % (kills, len(sure), len(came), len(cancelled)))
    return bad


def main():
    print('1..1')
    with tempfile.TemporaryDirectory() as directory:
        bad = run(directory + '/spool')
    for what in bad:
        print('# ' + what)
    print(('not ok' if bad else 'ok') + ' 1 - of what was parked each record comes once, or was cancelled, whoever is killed when')
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
