"""How to ask one model: its columns, its input example, and commands to paste."""

import json
import math
import shlex
from collections.abc import Iterable
from typing import Any

import msgspec

from model_server.front.schemas import UNWRAPPED
from model_server.models.entry import Entry, Field
from model_server.models.version import MOST_OF_EXAMPLE, Version
from model_server.processes.wire import Description

_NULLABLE = ("float", "double", "string", "datetime")
"""Types whose nulls are missing values in dataframe_split and dataframe_records, required or not.
MLflow refuses those of integers and bytes, also where the column may be left out, and takes a
boolean's for false."""
_VALUES = {
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.5,
    "double": 1.5,
    "binary": "AA==",
    "datetime": "2024-01-01T00:00:00",
}
_TEXT = "text"
_CONVERTED = frozenset(("integer", "float", "datetime", "binary"))
"""Types that JSON has no values of, and MLflow makes none of but in columns of a table."""
MOST_VALUES = 2000
"""Values in a body that is made up."""


def explain(entry: Entry, version: Version, address: str, *, with_token: bool) -> None:
    """Put into the entry at /models/{name} how to ask it. `address` is that of its predictions."""
    description = version.description
    example, reason = _example(version)
    body = example or made_up(description)
    if body and not example:
        reason = f"{reason}: curl and python have values that are made up"
    entry.inputs = fields(description.inputs)
    entry.outputs = fields(description.outputs)
    entry.params = description.params
    entry.input_example = msgspec.Raw(example) if example else None
    entry.input_example_reason = reason
    entry.curl = curl(address, body, with_token=with_token) if body else None
    entry.python = python(address, body, with_token=with_token) if body else None


def _example(version: Version) -> tuple[bytes | None, str | None]:
    """A body in JSON that everything reads, or the reason why there is none."""
    if version.example is None:
        return None, version.example_reason
    try:
        json.dumps(json.loads(version.example.decode()), allow_nan=False)
    except (ValueError, RecursionError):
        return None, "it is not strict JSON"
    return version.example, None


def fields(specs: list[dict[str, Any]] | None) -> list[Field] | None:
    """A signature's inputs or outputs, for people: `nullable` is whether null is a missing value
    in dataframe_split and dataframe_records, `required` whether it has to be there. None without
    a signature."""
    return None if specs is None else [_field(spec) for spec in specs]


def _field(spec: dict[str, Any]) -> Field:
    name, kind, required = spec.get("name"), _type(spec), spec.get("required", True)
    if spec["type"] == "tensor":
        shape = list(spec["tensor-spec"]["shape"])
        return Field(name, kind, required, kind.startswith("float"), shape)
    if spec["type"] in ("array", "map", "object"):
        return Field(name, kind, required, not required)
    return Field(name, kind, required, spec["type"] in _NULLABLE)


def _type(spec: dict[str, Any]) -> str:
    kind: str = spec["type"]
    if kind == "tensor":
        return str(spec["tensor-spec"]["dtype"])
    if kind == "array":
        return f"array of {_type(spec['items'])}"
    if kind == "map":
        return f"map of {_type(spec['values'])}"
    if kind == "object":
        inner = (
            f"{name}{'' if one.get('required', True) else '?'}: {_type(one)}"
            for name, one in spec["properties"].items()
        )
        return f"object of {{{', '.join(inner)}}}"
    return kind


def made_up(description: Description) -> bytes | None:
    """A body that fits the signature; None without one, or where it would be too large."""
    specs = description.inputs
    if not specs:
        return None
    names = [spec["name"] for spec in specs if "name" in spec]
    if specs[0]["type"] == "tensor":
        shapes = (spec["tensor-spec"]["shape"] for spec in specs)
        if sum(math.prod(map(abs, shape)) for shape in shapes) > MOST_VALUES:
            return None
        tensors = [_tensor(spec["tensor-spec"]) for spec in specs]
        if None in tensors:
            return None
        content = {"inputs": dict(zip(names, tensors, strict=True)) if names else tensors[0]}
    else:
        if names and any(map(_has_no_form, specs)):
            return None
        row = [_value(spec) for spec in specs]
        if UNWRAPPED & set(names) and not any(spec["type"] in _CONVERTED for spec in specs):
            content = dict(zip(names, row, strict=True))
        elif names:
            content = {"dataframe_split": {"columns": names, "data": [row]}}
        elif len(row) > 1:
            # `inputs` would convert all to the first one's type.
            content = {"dataframe_split": {"data": [row]}}
        else:
            content = {"inputs": row}
    body = json.dumps(content, ensure_ascii=False).encode(errors="replace")
    return body if len(body) <= MOST_OF_EXAMPLE else None


def _has_no_form(spec: dict[str, Any]) -> bool:
    """Whether it is made of what MLflow takes from no JSON where it is in a list or an object."""
    if spec["type"] == "array":
        inner = [spec["items"]]
    elif spec["type"] == "map":
        inner = [spec["values"]]
    else:
        inner = list(spec["properties"].values()) if spec["type"] == "object" else []
    return any(one["type"] in _CONVERTED - {"binary"} or _has_no_form(one) for one in inner)


def _value(spec: dict[str, Any]) -> object:
    kind = spec["type"]
    if kind == "array":
        return [_value(spec["items"])]
    if kind == "map":
        return {"key": _value(spec["values"])}
    if kind == "object":
        return {name: _value(one) for name, one in spec["properties"].items()}
    return _VALUES.get(kind, _TEXT)


def _tensor(info: dict[str, Any]) -> object:
    """None for complex numbers."""
    kinds = {"float": 1.5, "int": 1, "uint": 1, "bool": True}
    if info["dtype"].startswith("complex"):
        return None
    value: object = kinds.get(info["dtype"].rstrip("0123456789"), _TEXT)
    if info["dtype"].startswith("datetime"):
        value = _VALUES["datetime"]
    for length in reversed(info["shape"]):
        value = [value] * abs(length)  # -1, any number: one
    return value


def curl(address: str, body: bytes, *, with_token: bool) -> str:
    """A command for a POSIX shell that has the token in TOKEN."""
    words = ["curl", shlex.quote(address), "-H 'content-type: application/json'"]
    if with_token:
        words.append('-H "authorization: Bearer $TOKEN"')
    return " ".join([*words, "-d", shlex.quote(body.decode())])


def python(address: str, body: bytes, *, with_token: bool) -> str:
    """A program without further packages, for Python 3."""
    return "\n".join(_program(address, json.loads(body), with_token)) + "\n"


def _program(address: str, content: object, with_token: bool) -> Iterable[str]:
    yield "import json"
    if with_token:
        yield "import os"
    yield "from urllib.request import Request, urlopen"
    yield ""
    yield f"body = {content!r}"
    yield 'headers = {"content-type": "application/json"}'
    if with_token:
        yield 'headers["authorization"] = "Bearer " + os.environ["TOKEN"]'
    yield f"request = Request({address!r}, json.dumps(body).encode(), headers)"
    yield "print(json.load(urlopen(request)))"
