"""Whether Python's byte code is in a file: a function or class pickled by value carries its own.

Looked for is the name of its type, in pickles, also in the zip files that PyTorch puts them in. A
small file is searched whole. Of a large zip file only the pickles are read, and of a large pickle
all but the arrays and long texts that its opcodes announce, since weights take minutes to read.
What is no such file from end to end (joblib puts arrays between opcodes) is searched at both ends.

Opcodes and the forms of their arguments: `pickletools`, of Python's own library.
"""

import pickletools
import zipfile
from pathlib import Path
from typing import BinaryIO

NAME = b"CodeType"
SMALL = 64 * 2**20
"""Bytes that are searched whole, and at each end of what cannot be followed."""
LONG = 64 * 2**10
"""Bytes of a text or array that is passed over, but for its two ends."""
OPCODES = 3_000_000
"""Followed in one file: a few seconds."""

_PICKLE, _ZIP = b"\x80", b"PK"
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_ARGUMENTS = {
    ord(opcode.code): opcode.arg and (opcode.arg.n, opcode.arg.name)
    for opcode in pickletools.opcodes
}
"""Opcodes: the size of its argument, which may stand in its first bytes, and its form."""


def holds_code(file: Path) -> bool:
    """Whether Python's byte code is in the file. Raises OSError."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(2)
        if not start.startswith((_PICKLE, _ZIP)):
            return False
        if size <= SMALL and _is_within(stream, 0, size):
            return True
        if start == _ZIP:
            return _zip_holds_code(stream, size)
        return size > SMALL and _pickle_holds_code(stream, size)


def _zip_holds_code(stream: BinaryIO, size: int) -> bool:
    try:
        with zipfile.ZipFile(stream) as archive:
            names = [name for name in archive.namelist() if name.endswith(".pkl")]
            return any(NAME in archive.open(name).read(SMALL) for name in names)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError):
        return _is_at_ends(stream, 0, size, SMALL)


def _pickle_holds_code(stream: BinaryIO, size: int) -> bool:
    """Several may follow each other; what cannot be one is where following ends."""
    stream.seek(0)
    for _ in range(OPCODES):
        opcode = stream.read(1)
        if not opcode:
            return False
        argument = _ARGUMENTS.get(opcode[0], ())
        if argument is None:
            continue
        if not argument:
            break
        length, form = argument
        if length == pickletools.UP_TO_NEWLINE:
            lines = 2 if form.endswith("pair") else 1
            text = b"".join(stream.readline(LONG) for _ in range(lines))
            if NAME in text:
                return True
            if not text.endswith(b"\n"):
                break
            continue
        if length < 0:
            length = int.from_bytes(stream.read(_LENGTHS[length]), "little")
        start = stream.tell()
        if start + length > size:
            break
        if length >= len(NAME) and _is_at_ends(stream, start, start + length, LONG):
            return True
        stream.seek(start + length)
    return _is_at_ends(stream, stream.tell(), size, SMALL)


def _is_at_ends(stream: BinaryIO, start: int, end: int, size: int) -> bool:
    """Whether it is in the first or the last `size` bytes of this part."""
    head, tail = min(end, start + size), max(start, end - size)
    return _is_within(stream, start, head) or (head < end and _is_within(stream, tail, end))


def _is_within(stream: BinaryIO, start: int, end: int) -> bool:
    stream.seek(start)
    return NAME in stream.read(max(0, end - start))
