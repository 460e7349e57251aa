"""Bodies that nobody means well with, made from good ones."""

from __future__ import annotations

import copy
import functools
import io
import json
import re
from collections.abc import Callable
from random import Random

import pandas as pd

Path = tuple[object, ...]
"""Keys and positions that lead to a part of a body."""

ODD = (
    *(b"null", b"true", b"{}", b"[]", b'""', b"0", b"-1", b"-0.0", b"0.5", b"[[]]", b"[null]"),
    *(b"NaN", b"Infinity", b"-Infinity", b"nan", b"undefined", b"0x10", b"01", b"1.", b"+1"),
    *(b"1e400", b"-1e400", b"1e-400", b"1e999999999999", b"-1E+308", b"2147483648", b"1e308"),
    *(b"9223372036854775808", b"18446744073709551616", b"9" * 400, b"9" * 5000, b"0." + b"1" * 999),
    *(rb'"\ud800"', rb'"\udfff\ud800"', rb'"\u0000"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\x01"'),
    *(b'"\xc0\xaf"', rb'"\x"', b'"', b"'a'", b'"NaN"', b'"-Infinity"', b'"1e400"', b'"__class__"'),
    *(
        b'"../../../../etc/passwd"',
        b'"file:///etc/passwd"',
        b"\"=cmd|' /C calc'!A0\"",
        b'"%s%n{0}"',
    ),
    *(b'"2021-02-30T25:61:61Z"', b'"9999-99-99"', b'"-292277022657-01-27"', b'"YQ="', b'"\\n\\r"'),
    *(b"[" * 40 + b"]" * 40, b'{"a":' * 40 + b"1" + b"}" * 40, b'{"a": 1, "a": 2}', b"[1, [2]]"),
    *(b'"' + b"a" * 10_000 + b'"', b"[" + b"0," * 999 + b"0]", '"\u202e\U0010ffff"'.encode()),
)
"""Values in place of any part."""
_NUMBERS = (b"0", b"-7", b"1e5", b"1e-320", b"1e308", b"1e999", b"", b"NaN", b"null", b"9" * 40)
KEYS = (
    *("", "a", "columns", "data", "index", "inputs", "instances", "dataframe_split", "params"),
    *("dataframe_records", "signature_name", "outputs", "parameters", "id", "shape", "datatype"),
    *("name", "__proto__", "\x00", "ä", "a" * 5000, "content_type", "binary_data_size"),
)
SHAPES = (
    *(b"[]", b"[0]", b"[-1]", b"[1]", b"[2147483648, 2147483648]", b"[1e3]", b"[3.0]", b'["3"]'),
    *(b"[9223372036854775807]", b"[" + b"9" * 30 + b"]", b"[0, 9223372036854775807]", b"[[3]]"),
    *(b"[" + b"1," * 40 + b"3]", b"[0," * 3 + b"0" + b"]" * 3, b"[" + b"0," * 31 + b"0]"),
    *(b"[-3, -4]", b"[65536, 65536, 65536, 65536]", b"[2147483647]", b"[0, 4]", b"[4, 3]", b"null"),
)
"""Shapes of V2's tensors."""
DATATYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16"),
    *("FP32", "FP64", "BYTES", "BF16", "fp64", "", "object", "O8", "float64", "datetime64[ns]"),
)
FURTHER: tuple[dict, ...] = (
    {"params": {"a": 1}},
    {"params": [1]},
    {"params": {"a" * 3000: {"b": [None] * 100}}},
    {"signature_name": "x"},
    {"inputs": [[1]]},
    {"outputs": [{"name": "nothing"}]},
    {"outputs": [{"name": "predict", "parameters": {"binary_data": True}}] * 50},
    {"outputs": []},
    {"parameters": {"binary_data_output": True, "content_type": "pd"}},
    {"parameters": {"content_type": ["np"]}},
    {"id": "x" * 100_000},
    {"id": "\r\nx-injected: 1"},
    {"id": 5},
)
"""Fields beside what belongs there."""


def written(value: object) -> bytes:
    """The value as JSON; bytes are taken as they are."""
    match value:
        case bytes():
            return value
        case dict():
            pairs = (written(key) + b": " + written(part) for key, part in value.items())
            return b"{" + b", ".join(pairs) + b"}"
        case list():
            return b"[" + b", ".join(map(written, value)) + b"]"
        case _:
            return json.dumps(value).encode()


def with_odd_parts(random: Random, body: dict) -> bytes:
    """One to three of its parts replaced, left out, repeated, renamed, or added to."""
    body = copy.deepcopy(body)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not (paths := list(_paths(body))):
            break
        random.choice(_CHANGES)(random, body, random.choice(paths))
    return written(body)


def with_odd_bytes(random: Random, body: bytes) -> bytes:
    """Flipped, cut, repeated, inserted, or in another encoding."""
    changed = bytearray(body)
    for _ in range(random.choice((1, 1, 2, 8))):
        at = random.randrange(len(changed) + 1)
        match random.randrange(10):
            case 0 if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
            case 1 if at < len(changed):
                changed[at] = random.choice(b'\x00\xff{}[]",:-0e.\\')
            case 2:
                del changed[at:]
            case 3:
                changed[at:at] = random.randbytes(random.randrange(1, 20))
            case 4:
                changed[at:at] = changed[: random.randrange(len(changed) + 1)]
            case 5:
                del changed[at : at + random.randrange(1, 30)]
            case 6:
                changed[at:at] = random.choice((b"\xef\xbb\xbf", b"\x00" * 5, b"\xed\xa0\x80"))
            case _ if at < len(changed) and (digits := re.search(rb"\d+", changed[at:])):
                changed[at + digits.start() : at + digits.end()] = random.choice(_NUMBERS)
    return bytes(changed)


def in_other_encodings(random: Random, body: bytes) -> bytes:
    text = body.decode()
    return random.choice(
        (
            b"\xef\xbb\xbf" + body,
            text.encode("utf-16"),
            text.encode("utf-32-be"),
            text.encode("utf-7"),
            body + body,
            body + b"\x00",
            b"\x00" + body,
            b"/**/" + body,
            b")]}'\n" + body,
            b"",
            b" " * 1000,
            random.randbytes(random.randrange(1, 5000)),
        )
    )


def large(random: Random, body: dict) -> bytes:
    """Far more of everything, within the limit of a body."""
    key = next(iter(body))
    deep = random.choice((500, 5_000, 100_000))
    match random.randrange(11):
        case 0:
            names = ", ".join(f'"c{at}"' for at in range(10_000)).encode()
            return b'{"dataframe_split": {"columns": [%b], "data": [[%b]]}}' % (
                names,
                b"0," * 9_999 + b"0",
            )
        case 1:
            return written(_repeated(body, 100_000))
        case 2:
            return b'{"dataframe_records": [' + b"{}," * 99_999 + b"{}]}"
        case 3:
            columns = ", ".join(f'"c{at}": {at}' for at in range(10_000)).encode()
            return b'{"dataframe_records": [{%b}]}' % columns
        case 4:
            return b'{"%b": "%b"}' % (key.encode(), b"a" * 5_000_000)
        case 5:
            return b'{"%b": ' % key.encode() + b"[" * deep + b"]" * deep + b"}"
        case 6:
            return b'{"%b": ' % key.encode() + b'{"a":' * deep
        case 7:
            return b'{"inputs": [' + b"9" * 1_000_000 + b"]}"
        case 8:
            return b"{" + b", ".join(b'"k%d": 1' % at for at in range(100_000)) + b"}"
        case 9:
            tensors = [
                {"name": f"c{at}", "shape": [1], "datatype": "FP64", "data": [1]}
                for at in range(10_000)
            ]
            return written({"inputs": tensors})
        case _:
            tensor = {"name": "x", "shape": [100_000, 4], "datatype": "FP64"}
            return written({"inputs": [tensor | {"data": b"[" + b"1," * 399_999 + b"1]"}]})


_PADDED = 30_000
"""Rows, and columns."""


def a_name_each() -> bytes:
    """Records that have no name in common."""
    records = b",".join(b'{"c%d":1}' % at for at in range(_PADDED))
    return b'{"dataframe_records":[%b]}' % records


def one_long_row() -> bytes:
    """A row among many short ones."""
    row = b"[" + b"1," * (_PADDED - 1) + b"1]"
    return b'{"dataframe_split":{"data":[%b]}}' % (row + b",[1]" * _PADDED)


def one_long_line() -> bytes:
    return b"a" + b",a" * _PADDED + b"\n1" * _PADDED


@functools.cache
def equal_rows() -> bytes:
    file = io.BytesIO()
    pd.DataFrame({f"c{at}": [0.0] * 10_000_000 for at in range(4)}).to_parquet(file)
    return file.getvalue()


def large_csv(random: Random, body: bytes) -> bytes:
    head, _, rows = body.partition(b"\n")
    return random.choice(
        (
            head + b"\n" + rows * 30_000,
            b",".join(b"c%d" % at for at in range(10_000)) + b"\n" + b"," * 9_999,
            b"," * 1_000_000,
            b'"' + b"a" * 5_000_000,
            b"\n" * 1_000_000,
            head + b"\n" + b"9" * 1_000_000,
        )
    )


def _repeated(value: object, count: int) -> object:
    """Its longest way to rows repeated to about `count` rows."""
    if isinstance(value, dict):
        return {
            key: part if key in ("columns", "shape") else _repeated(part, count)
            for key, part in value.items()
        }
    if isinstance(value, list) and value:
        if isinstance(value[0], dict) and "datatype" in value[0]:
            return [_repeated(part, count // 4) for part in value]
        text = written(value)[1:-1]
        return b"[" + b", ".join([text] * (count // len(value))) + b"]"
    return value


def _paths(value: object, start: Path = ()) -> list[Path]:
    """Paths to every part of it."""
    paths = [start] if start else []
    parts = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        parts = list(enumerate(value))[:20]
    for key, part in parts:
        paths += _paths(part, (*start, key))
    return paths


def _holder(body: object, path: Path) -> object:
    for key in path[:-1]:
        body = body[key]
    return body


def _replace(random: Random, body: dict, path: Path) -> None:
    value = random.choice(ODD)
    if path[-1] == "shape":
        value = random.choice(SHAPES)
    elif path[-1] == "datatype" and random.random() < 0.7:
        value = random.choice(DATATYPES)
    _holder(body, path)[path[-1]] = value


def _leave_out(_: Random, body: dict, path: Path) -> None:
    del _holder(body, path)[path[-1]]


def _repeat(random: Random, body: dict, path: Path) -> None:
    holder = _holder(body, path)
    count = random.choice((2, 2, 3, 100))
    if isinstance(holder, list):
        holder[path[-1] :] = [copy.deepcopy(holder[path[-1]])] * count
    else:
        pair = b'"%b": %b' % (str(path[-1]).encode(), written(holder[path[-1]]))
        holder[path[-1]] = written(holder[path[-1]]) + (b", " + pair) * (count - 1)


def _rename(random: Random, body: dict, path: Path) -> None:
    holder = _holder(body, path)
    if isinstance(holder, dict):
        holder[random.choice(KEYS)] = holder.pop(path[-1])


def _swap(random: Random, body: dict, path: Path) -> None:
    """A part put where another was."""
    other = random.choice(_paths(body))
    _holder(body, path)[path[-1]] = copy.deepcopy(_holder(body, other)[other[-1]])


def _wrap(random: Random, body: dict, path: Path) -> None:
    holder = _holder(body, path)
    value = holder[path[-1]]
    text = written(value).decode("latin-1")
    holder[path[-1]] = random.choice(([value], {"a": value}, [[[value]]], text))


def _add(random: Random, body: dict, path: Path) -> None:
    if random.random() < 0.7:
        body.update(copy.deepcopy(random.choice(FURTHER)))
        return
    holder = _holder(body, path)
    if isinstance(holder, dict):
        holder[random.choice(KEYS)] = random.choice(ODD)
    else:
        holder.insert(random.randrange(len(holder) + 1), random.choice(ODD))


_CHANGES: tuple[Callable[[Random, dict, Path], None], ...] = (
    *(_replace, _replace, _replace, _replace, _leave_out, _repeat, _rename, _swap, _wrap, _add),
)
