# SPDX-License-Identifier: GPL-2.0-or-later
"""What DESIGN's rules 1, 3 and 11 say of the order of calls, asked of a recording (lib/sys/record.h) of any processes.

    rules = Rules()
    for entry in sys_trace.parse(trace):
        rules.see(entry)
    rules.broken      texts; met: how often each rule had something to say
"""
import collections
import re

WRITE_OUT, UNSYNCED_MAX, BATCH_MAX = 8 << 20, 64 << 20, 3 << 20
SLOT_BLOCK, SLOT_AREA = 4096, 512
APPEND_BYTE, SYNC_BYTES = 0, range(1, 5)
# Calls that may wait for somebody or something, and a disk's syncs apart.
WAITING = {'futex_wait', 'wait_child', 'spawn', 'watch_next'}


class File:
    """How far a file was written and synced; of two slots, which entry wrote each."""

    def __init__(self):
        self.written = self.synced = self.begun = 0
        self.slot, self.slot_synced = {}, -1


class Thread:
    def __init__(self):
        self.held = {}           # (id of the file, first byte) -> where it was found
        self.blocked = False     # signals
        self.syncs = []          # under the append lock, in this section
        self.syncing = {}        # id -> (written, number) when its sync began


class Rules:
    def __init__(self):
        self.files = collections.defaultdict(File)
        self.threads = collections.defaultdict(Thread)
        self.segments, self.heads = set(), {}  # ids; of a partition's lock, the segment last written under it
        self.number = 0
        self.broken, self.met = [], collections.Counter()

    def ask(self, rule, holds, entry, why):
        self.met[rule] += 1
        if not holds:
            self.broken.append('rule %s: %s: %s' % (rule, why, entry))

    def see(self, entry):
        self.number += 1
        thread = self.threads[entry.pid, entry.args.get('thread')]
        self.look_under_the_append_lock(thread, entry)
        if entry.result >= 0:
            handler = getattr(self, 'see_' + entry.call.replace('-', '_'), None)
            if handler:
                handler(thread, entry)

    # --- locks -----------------------------------------------------------------------------------

    @staticmethod
    def held(thread, kind):
        return [key for key, file in thread.held.items() if kind(file, key[1])]

    @staticmethod
    def is_append(file, start):
        return bool(re.fullmatch(r'topics/[^/]+/\d+/lock', file)) and start == APPEND_BYTE

    @staticmethod
    def is_sync(file, start):
        return bool(re.fullmatch(r'topics/[^/]+/\d+/lock', file)) and start in SYNC_BYTES

    @staticmethod
    def is_group(file, start):
        return file.startswith('groups/') and file.endswith('/locks')

    def see_signal_mask(self, thread, entry):
        thread.blocked = entry.args['how'] == '0'

    def see_lock(self, thread, entry):
        file, start = entry.args['file'], int(entry.args['start'])
        key = entry.args['id'], start
        if entry.args['kind'] == 'none':
            if self.is_append(file, start) and key in thread.held:
                self.end_of_section(thread, entry)
            thread.held.pop(key, None)
            return
        appends = self.held(thread, self.is_append)
        if self.is_append(file, start):
            self.ask('11', not appends, entry, 'a second append lock')
            self.ask('11', not self.held(thread, self.is_sync), entry, 'an append lock asked for under a sync byte')
            self.ask('11', thread.blocked, entry, 'an append lock with signals let through')
            thread.syncs = []
        if self.is_group(file, start):
            self.ask('11', not appends, entry, 'a lock of a group asked for under an append lock')
        if self.is_sync(file, start):
            self.ask('11', thread.blocked, entry, 'a sync byte with signals let through')
        thread.held[key] = file

    def see_close(self, thread, entry):
        for key in [key for key in thread.held if key[0] == entry.args.get('id')]:
            del thread.held[key]

    def look_under_the_append_lock(self, thread, entry):
        if not self.held(thread, self.is_append):
            return
        waits = entry.call in WAITING or (entry.call == 'poll' and entry.args['timeout'] != '0')
        self.ask('11', not waits, entry, 'a wait under an append lock')
        if entry.call in ('read', 'write', 'writev'):
            file = entry.args.get('file', '')
            strange = file in ('stdin', 'stdout', 'stderr') or file.startswith(('pipe:', 'socket:'))
            self.ask('11', not strange, entry, 'input or output under an append lock')
        if entry.call in ('fdatasync', 'fsync'):
            thread.syncs.append(entry)
        if entry.call == 'renameat' and entry.args['to'].endswith('.seg'):
            thread.syncs.append(None)  # a roll: that is what the syncs were for
        if entry.call == 'pwrite' and entry.args['file'].endswith('/start'):
            thread.syncs.append(None)  # the log start moves

    def end_of_section(self, thread, entry):
        """Nothing that can block, but a roll's sync."""
        if thread.syncs and None not in thread.syncs:
            self.ask('11', False, thread.syncs[0], 'a sync under an append lock without a roll')
        thread.syncs = []

    # --- writes and syncs ------------------------------------------------------------------------

    def wrote(self, thread, entry):
        file, at = self.files[entry.args['id']], int(entry.args.get('at', 0))
        name = entry.args['file']
        file.written = max(file.written, at + entry.result)
        if name.endswith('/bell'):
            under = self.held(thread, self.is_append) + self.held(thread, self.is_sync)
            self.ask('11', not under, entry, 'the bell is rung under a lock')
        if name.endswith('.seg') or entry.args['id'] in self.segments:
            self.heads.update((lock, entry.args['id']) for lock, _ in self.held(thread, self.is_append))
            self.ask('1', file.written - file.synced <= UNSYNCED_MAX + BATCH_MAX, entry,
                     '%d bytes of it are not synced' % (file.written - file.synced))
        if re.search(r'/(offsets|start)$', name) and entry.result < SLOT_BLOCK:
            block, area = at // SLOT_BLOCK, at % SLOT_BLOCK // SLOT_AREA
            slot, other = (block, area), file.slot.get((block ^ 1, area), -1)
            self.ask('3', other < 0 or other < file.slot_synced, entry, 'its other slot is not known durable')
            file.slot[slot] = self.number

    def see_pwrite(self, thread, entry):
        self.wrote(thread, entry)

    def see_pwritev(self, thread, entry):
        self.wrote(thread, entry)

    def see_write_out(self, thread, entry):
        file, at, length = self.files[entry.args['id']], int(entry.args['at']), int(entry.args['len'])
        self.ask('1', length >= WRITE_OUT and at <= max(file.begun, file.synced), entry, 'write-out leaves something out')
        file.begun = max(file.begun, at + length)

    def see_fdatasync_begin(self, thread, entry):
        thread.syncing[entry.args['id']] = self.files[entry.args['id']].written, self.number

    def see_fdatasync(self, thread, entry):
        file = self.files[entry.args['id']]
        written, number = thread.syncing[entry.args['id']]
        file.synced, file.slot_synced = max(file.synced, written), max(file.slot_synced, number)

    see_fsync_begin, see_fsync = see_fdatasync_begin, see_fdatasync

    def see_renameat(self, thread, entry):
        """A segment gets its name: it is synced, and so is the one that it follows, under the append lock."""
        match = re.fullmatch(r'(?:(topics/[^/]+/\d+)/)?(\d{20})\.[0-9a-f]{8}\.seg', entry.args['to'])
        if not match:
            return
        file = self.files[entry.args['id']]
        self.ask('1', file.synced >= file.written, entry, 'a segment is named before its sync')
        for lock, _ in self.held(thread, self.is_append):
            head = self.heads.get(lock)
            if head and head != entry.args['id']:
                self.ask('1', self.files[head].synced >= self.files[head].written, entry, 'the segment before it is not synced')
        self.segments.add(entry.args['id'])
