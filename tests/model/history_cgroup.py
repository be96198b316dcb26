# SPDX-License-Identifier: GPL-2.0-or-later
"""Cgroups (version 2) for members of a history, so that one can be frozen or killed with all that it started; none where they cannot be had."""
import os
import time


def _mounted():
    with open('/proc/mounts', encoding='utf-8') as mounts:
        return next((words[1] for words in map(str.split, mounts) if words[2] == 'cgroup2'), None)


def _own():
    with open('/proc/self/cgroup', encoding='utf-8') as lines:
        return next((line.rstrip('\n')[3:] for line in lines if line.startswith('0::')), '/')


class Cgroups:
    def __init__(self):
        self.root, self.made = None, 0
        mounted = _mounted()
        path = f'{mounted}{_own().rstrip("/")}/mq-history.{os.getpid()}' if mounted else None
        try:
            os.mkdir(path)
            if os.path.exists(f'{path}/cgroup.kill') and os.path.exists(f'{path}/cgroup.freeze'):
                self.root = path
            else:
                os.rmdir(path)
        except (OSError, TypeError):
            pass

    def make(self):
        if not self.root:
            return None
        self.made += 1
        path = f'{self.root}/{self.made}'
        os.mkdir(path)
        return path

    def clear(self):
        """What is left in them is killed."""
        if not self.root:
            return
        for name in os.listdir(self.root):
            path = f'{self.root}/{name}'
            if os.path.isdir(path):
                with open(f'{path}/cgroup.kill', 'w', encoding='ascii') as file:
                    file.write('1')
                self._remove(path)

    def close(self):
        self.clear()
        if self.root:
            os.rmdir(self.root)

    @staticmethod
    def _remove(path, patience=10):
        until = time.monotonic() + patience
        while True:
            try:
                return os.rmdir(path)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.002)
