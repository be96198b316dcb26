#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write down what happens, for history.py: a line an event, one write(2) a line, so that who is killed leaves whole lines.

    Recorder(DIRECTORY, PROCESS).say(EVENT, NAME=VALUE, …)       from Python; one of them a process (and thread)
    history_record.py say PROCESS EVENT NAME=VALUE …             from a shell: numbers, true, false and null are JSON, the rest is text
    history_record.py run COMMAND …                              as a handler of mq-consume: says begin, runs the command with what lies on
                                                                 stdin, says end, and ends with the command's status

In the environment: MQ_HISTORY, the directory; for run also MQ_MEMBER, the consumer's name in this history, and MQ_GROUP, its group;
the rest of the names are those that mq-consume gives to every handler.  What a command did counts as done only when end is
written, and that is before this process ends: so a place never lawfully passes a record of which no end was recorded."""
import hashlib
import json
import os
import subprocess
import sys
import time

STATUSES = {0: 'done', 99: 'done', 100: 'reject', 75: 'release'}


def digest(payload):
    return hashlib.blake2b(payload, digest_size=8).hexdigest()


class Recorder:
    def __init__(self, directory, process):
        self.fd = os.open(os.path.join(directory, process), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def say(self, event, **fields):
        line = (json.dumps({'e': event, 't': time.monotonic_ns(), **fields}, separators=(',', ':')) + '\n').encode()
        if os.write(self.fd, line) != len(line):
            raise OSError('the history is full')


def value(text):
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(found, float) else found


def handler(argv):
    env, payload = os.environ, sys.stdin.buffer.read()
    at = f'{env["MQ_TOPIC"]}:{env["MQ_PARTITION"]}:{env["MQ_OFFSET"]}'
    log = Recorder(env['MQ_HISTORY'], f'handler.{os.getpid()}.{time.monotonic_ns()}')  # a pid may come again
    more = {'key': env['MQ_KEY']} if 'MQ_KEY' in env else {}
    log.say('begin', group=env['MQ_GROUP'], member=env['MQ_MEMBER'], at=at, id=env.get('MQ_ID') or payload.decode('ascii', 'replace').split(':')[0],
            sum=digest(payload), pid=os.getpid(), attempt=int(env.get('MQ_ATTEMPT', 0)), **more)
    status = subprocess.run(argv, input=payload, check=False).returncode if argv else 0
    log.say('end', group=env['MQ_GROUP'], at=at, status=STATUSES.get(status, 'killed' if status < 0 else 'fail'))
    return status if status >= 0 else 128 - status


def main():
    if sys.argv[1] == 'run':
        return handler(sys.argv[2:])
    process, event, fields = sys.argv[2], sys.argv[3], dict(field.split('=', 1) for field in sys.argv[4:])
    Recorder(os.environ['MQ_HISTORY'], process).say(event, **{name: value(text) for name, text in fields.items()})
    return 0


if __name__ == '__main__':
    sys.exit(main())
