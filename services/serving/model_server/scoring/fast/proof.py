"""An engine is held against its model, until one row differs."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from model_server.scoring.fast.rows import BeyondError, NoFastPath
from model_server.scoring.fast.sampling import Sampler
from model_server.scoring.prediction import TOLERANCE, PredictRows
from model_server.scoring.table import Table

SAMPLES = 1024
"""Ordinary rows."""
PAIRS = 32
"""Pairs of rows between which a border is looked for."""


class Provable(Protocol):
    """What is proven: the engine of a model."""

    def predict(self, table: Table) -> Any:
        """Predictions, by the model itself where only that will do. Raises what it raises."""

    def alone(self, table: Table) -> np.ndarray:
        """Predictions without the model's help. Raises BeyondError where only that will do."""

    def scores(self, table: Table) -> np.ndarray:
        """The scores by which a classifier chooses its labels. Raises BeyondError."""


def prove(
    engine: Provable,
    model: PredictRows,
    scores: PredictRows | None,
    sampler: Sampler,
    example: Table | None = None,
) -> None:
    """Holds `engine` against `model`, and where that predicts labels also its scores against the
    model's `scores`: other scores seldom mean other labels, and still are not the model's.
    Raises NoFastPath at the first difference."""
    if example is not None:
        expected = _expected(model, example, "its own input example")
        _compare(engine.predict(example), expected)
    ordinary = sampler.rows(SAMPLES)
    samples = [ordinary, [column[:1] for column in ordinary]]
    if odd := sampler.odd(ordinary, lambda table: _takes(engine, table)):
        samples.append(odd)
    for columns in samples:
        what = "rows that the engine answers" if columns is odd else "sampled rows"
        table = _taken(engine, sampler, columns)
        _compare(engine.alone(table), _expected(model, table, what))
        if scores is not None:
            _compare(engine.scores(table), _expected(scores, table, what))
    if scores is not None:
        borders = sampler.borders([column[: 2 * PAIRS] for column in ordinary], engine.predict)
        if borders is not None:
            _compare(engine.predict(borders), _expected(model, borders, "rows on a border"))


def _taken(engine: Provable, sampler: Sampler, columns: list[np.ndarray]) -> Table:
    """The rows that the engine does not leave to the model: most of them, or it is none."""
    table = sampler.table(columns)
    if _takes(engine, table):
        return table
    is_taken = [_takes(engine, table.part(row, row + 1)) for row in range(table.rows)]
    if sum(is_taken) <= table.rows / 2:
        raise NoFastPath("its rows are not of a kind that has an equivalent")
    return sampler.table([column[is_taken] for column in columns])


def _takes(engine: Provable, table: Table) -> bool:
    try:
        engine.alone(table)
    except BeyondError:
        return False
    return True


def _expected(model: PredictRows, table: Table, what: str) -> np.ndarray:
    try:
        expected = model(table)
    except Exception as error:
        raise NoFastPath(f"the model refuses {what}: {type(error).__name__}") from None
    if not isinstance(expected, np.ndarray):
        raise NoFastPath(f"the model predicts a {type(expected).__name__}, no array")
    return expected


def _compare(answers: np.ndarray, expected: np.ndarray) -> None:
    if answers.shape != expected.shape or answers.dtype != expected.dtype:
        raise NoFastPath("answers differ in shape or type")
    if expected.dtype.kind == "f":
        equal = np.isclose(answers, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    else:
        equal = answers == expected
    rows = equal.reshape(len(equal), -1).all(axis=1)
    if not rows.all():
        raise NoFastPath(f"answers differ on {(~rows).sum()} of {len(rows)} sampled rows")
