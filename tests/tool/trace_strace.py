# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a program under strace and gives what it asked of the kernel: a list of Call for each thread.

Numbers are printed raw and strings in hexadecimal, so that nothing has to be guessed; one file a thread, so that no
call is in two parts."""
import glob
import os
import re
import subprocess

STRING_MAX = 640  # a header of the recording fits
OPTIONS = ['-ff', '-qq', '-xx', '-X', 'raw', '-s', str(STRING_MAX)]
_LINE = re.compile(r'(\w+)\((.*?)(?:\)\s+= (\?|-?\d+|0x[0-9a-f]+)(?: (E[A-Z0-9]+))?(?: .*)?| <unfinished \.\.\.>(?:\) += \?)?)$')


class Call:
    """name, args (texts); result: a number, None where it never returned; error: "ENOENT" or None."""

    def __init__(self, line):
        match = _LINE.match(line)
        if not match:
            raise ValueError('strace says: ' + line)
        self.name, self.args, self.line = match[1], _split(match[2]), line
        self.result = None if match[3] in (None, '?') else int(match[3], 0)
        self.error = match[4]

    def __str__(self):
        return re.sub(r'"((?:\\x..)*)"', lambda m: repr(_bytes(m[1]).decode('latin-1')), self.line)[:300]

    def number(self, n):
        return number(self.args[n]) if n < len(self.args) else None

    def string(self, n):
        """(bytes, is that all of it)"""
        return string(self.args[n])

    def field(self, n, name):
        """A number in the structure that is the nth argument."""
        match = re.search(r'\b%s=([^,}\]]+)' % name, self.args[n]) if n < len(self.args) else None
        return number(match[1]) if match else None

    def vector(self, n):
        """Of an iovec: [(bytes, is that all, length)]; what strace left out is not there."""
        return [string(base) + (int(length),)
                for base, length in re.findall(r'\{iov_base=("[^"]*"(?:\.\.\.)?), iov_len=(\d+)\}', self.args[n])]


def _split(text):
    parts, depth, begin, quoted = [], 0, 0, False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif not quoted and char in '([{':
            depth += 1
        elif not quoted and char in ')]}':
            depth -= 1
        elif not quoted and char == ',' and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    return parts + [text[begin:].strip()] if text.strip() else []


def number(text):
    """What flags, a mode or an address says; None for what is no number."""
    total = 0
    for part in re.sub(r'/\*.*?\*/', '', text).split('|'):
        part = part.strip()
        if part == 'NULL' or not part:
            continue
        try:
            total |= int(part, 8) if re.match(r'0\d+$', part) else int(part, 0)
        except ValueError:
            return None
    return total


def _bytes(text):
    return bytes.fromhex(text.replace('\\x', ''))


def string(text):
    match = re.match(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?$', text)
    return (_bytes(match[1]), not match[2]) if match else (None, False)


def works():
    """Can strace trace here?"""
    try:
        return subprocess.run(['strace', '-f', '-o', '/dev/null', 'true'], stderr=subprocess.DEVNULL, check=False,
                              timeout=60).returncode == 0
    except OSError:
        return False


def run(argv, prefix, **how):
    """Run it, as subprocess.Popen takes `how`; (its exit status, its output, {thread: [Call]}, the first thread)."""
    with subprocess.Popen(['strace', *OPTIONS, '-o', prefix, *argv], **how) as child:
        out = child.communicate(timeout=120)
    threads = {}
    for path in glob.glob(prefix + '.*'):
        with open(path, encoding='utf-8') as lines:
            threads[int(path.rpartition('.')[2])] = [Call(line.rstrip('\n')) for line in lines
                                                     if line[0] not in '+-']
        os.unlink(path)
    return child.returncode, out, threads
