"""Models whose signature comes from code: chat models, agents, and type hints."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import mlflow

from tests.integration.serving.reference import variations as make
from tests.integration.serving.reference.model import PYFUNCS, Model
from tests.integration.serving.reference.variations import Requests


def _saved(file: str, hint: str = "") -> Callable[[Path], None]:
    """`hint` is put into the code, as the type of what the model is given."""

    def save(folder: Path) -> None:
        code = (PYFUNCS / f"{file}.py").read_text()
        copy = folder.with_suffix(".py")
        copy.write_text(code.replace("model_input,", f"model_input: {hint},") if hint else code)
        mlflow.pyfunc.save_model(folder, python_model=str(copy), pip_requirements=["pandas"])

    return save


HI = [{"role": "user", "content": "hi"}]
CHATS = {
    "hi": HI,
    "two": [{"role": "system", "content": "be"}, {"role": "user", "content": "hi", "name": "x"}],
    "none": [],
    "null": None,
    "a text": "hi",
    "texts": ["hi"],
    "one object": HI[0],
    "no role": [{"content": "hi"}],
    "no content": [{"role": "user"}],
    "null content": [{"role": "user", "content": None}],
    "number": [{"role": "user", "content": 1}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "further": [HI[0] | {"further": 1}],
    "unicode": [{"role": "user", "content": "ä☃😀"}],
    "half of a pair": [{"role": "user", "content": "\ud83d"}],
}
FIELDS = ("temperature", "max_tokens", "stop", "stream", "tools", "custom_inputs", "further")


def _chat_requests() -> Requests:
    made = {}
    for name, messages in CHATS.items():
        made |= {
            f"messages: {name}": make.body(messages=messages),
            f"wrapped: {name}": make.body(inputs={"messages": messages}),
            f"wrapped input: {name}": make.body(inputs={"input": messages}),
            f"records: {name}": make.body(dataframe_records=[{"messages": messages}]),
            f"input: {name}": make.body(input=messages),
        }
    for field in FIELDS:
        made |= {
            f"{field}: {name}": make.body(messages=HI, input=HI, **{field: value})
            for name, value in make.VALUES.items()
        }
    return made | {
        "params": make.body(messages=HI, params={"temperature": 0.5}),
        "params beside inputs": make.body(inputs={"messages": HI}, params={"temperature": 0.5}),
        "prompt": make.body(prompt="hi"),
    }


HINTS = {
    "texts": ("list[str]", ["a", "b"]),
    "numbers": ("list[float]", [1.5, 2.5]),
    "integers": ("list[int]", [1, 2]),
    "booleans": ("list[bool]", [True, False]),
    "lists": ("list[list[int]]", [[1], [2, 3]]),
    "maps": ("list[dict[str, str]]", [{"a": "x"}, {"b": "y"}]),
    "objects": ("list[dict[str, Any]]", [{"a": 1}, {"b": [None]}]),
    "models": ("list[Message]", [{"role": "user"}, {"role": "x", "text": "y", "tags": ["z"]}]),
    "anything": ("list[Any]", [1, "a"]),
}


def _hinted_requests(example: list) -> Requests:
    first, second = example
    made = {}
    for form in ("inputs", "instances", "dataframe_records", "dataframe_split", "input"):
        made |= {
            form: make.body(**{form: example}),
            f"{form}, one": make.body(**{form: [first]}),
            f"{form}, one without list": make.body(**{form: first}),
            f"{form}, none": make.body(**{form: []}),
            f"{form}, params": make.body(**{form: example}, params={"a": 1}),
        }
    for name, value in make.VALUES.items():
        made |= {
            f"inputs, {name}": make.body(inputs=[value]),
            f"inputs, {name} second": make.body(inputs=[first, value]),
            f"inputs, {name} in a field": make.body(inputs=[{"role": value, "text": "x"}]),
        }
    return made | {
        "column": make.body(inputs={"x": example}),
        "split": make.split([{"x": first}, {"x": second}]),
        "records": make.records([{"x": first}, {"x": second}]),
        "csv": make.csv([{"x": "a"}]),
    }


HINTED = {file: Model(_saved(file), _chat_requests) for file in ("chat", "agent", "responses")} | {
    f"hint-{name}": Model(_saved("echo", hint), functools.partial(_hinted_requests, example))
    for name, (hint, example) in HINTS.items()
}
