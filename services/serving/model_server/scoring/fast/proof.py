"""An engine is held against its model, until one row differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from model_server.scoring.fast.rows import BeyondError, NoFastPath
from model_server.scoring.fast.sampling import Sampler
from model_server.scoring.table import Table

SAMPLES = 1024
"""Ordinary rows."""
PAIRS = 32
"""Between which a border is looked for."""
TOLERANCE = 1e-12
"""Of floats, relative and absolute."""


class Provable(Protocol):
    def predict(self, table: Table) -> np.ndarray: ...

    def alone(self, table: Table) -> np.ndarray:
        """As `predict`, without the model's help. Raises BeyondError where only that will do."""


def prove(
    engine: Provable,
    model: Callable[[Table], object],
    sampler: Sampler,
    example: Table | None = None,
) -> None:
    """Raises NoFastPath at the first difference."""
    if example is not None:
        _compare(engine.predict(example), _expected(model, example, "its own input example"))
    ordinary = sampler.rows(SAMPLES)
    for count in (SAMPLES, 1):
        table = sampler.table([column[:count] for column in ordinary])
        expected = _expected(model, table, "sampled rows")
        try:
            found = engine.alone(table)
        except BeyondError:
            raise NoFastPath("its rows are not of a kind that has an equivalent") from None
        _compare(found, expected)
    for table in sampler.odd(ordinary):
        try:
            found = engine.alone(table)
        except BeyondError:
            continue
        _compare(found, _expected(model, table, "rows that the engine answers"))
    if expected.ndim == 1 and expected.dtype.kind != "f":
        pairs = [column[: 2 * PAIRS] for column in ordinary]
        borders = sampler.borders(pairs, engine.predict)
        if borders is not None:
            _compare(engine.predict(borders), _expected(model, borders, "rows on a border"))


def _expected(model: Callable[[Table], object], table: Table, what: str) -> np.ndarray:
    try:
        expected = model(table)
    except Exception as error:
        raise NoFastPath(f"the model refuses {what}: {type(error).__name__}") from None
    if not isinstance(expected, np.ndarray):
        raise NoFastPath(f"the model predicts a {type(expected).__name__}, no array")
    return expected


def _compare(found: np.ndarray, expected: np.ndarray) -> None:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise NoFastPath("answers differ in shape or type")
    if expected.dtype.kind == "f":
        equal = np.isclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    else:
        equal = found == expected
    rows = equal.reshape(len(equal), -1).all(axis=1)
    if not rows.all():
        raise NoFastPath(f"answers differ on {(~rows).sum()} of {len(rows)} sampled rows")
