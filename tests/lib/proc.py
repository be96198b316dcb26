# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a command in a session of its own, bounded in time, leaving nothing behind."""
import os
import select
import signal
import subprocess
import time

_live = set()


def run(argv, cwd, env, seconds, out, err):
    """Run argv with stdout and stderr to the open files out and err.

    Returns (status, timed out, what it left behind: a list of command lines)."""
    child = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out,
                             stderr=err, start_new_session=True)
    _live.add(child.pid)
    pidfd = os.pidfd_open(child.pid)
    try:
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        timed_out = not ended.poll(seconds * 1000)
    finally:
        os.close(pidfd)
        # Reaped last: until then its number, the session's name, cannot be anybody else's.
        left = _end(child.pid)
        status = child.wait()
        _live.discard(child.pid)
    return status, timed_out, [] if timed_out else left


def end_all():
    """Kill whatever is still running: for a runner that is itself told to stop."""
    for sid in list(_live):
        _end(sid)


def _session(sid):
    """The processes of a session that are not zombies."""
    found = []
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/stat' % name, encoding='utf-8', errors='replace') as stat:
                fields = stat.read().rpartition(')')[2].split()
        except OSError:
            continue
        if fields[0] not in 'ZX' and int(fields[3]) == sid:
            found.append(int(name))
    return found


def _end(sid):
    """Kill what is left of a session; returns the command lines of what was."""
    left = {}
    while True:
        pids = _session(sid)
        if not pids:
            return list(left.values())
        for pid in pids:
            left.setdefault(pid, '%d %s' % (pid, _command_line(pid)))
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.001)


def _command_line(pid):
    try:
        with open('/proc/%d/cmdline' % pid, 'rb') as cmdline:
            return cmdline.read().replace(b'\0', b' ').decode(errors='replace').strip()
    except OSError:
        return '?'
