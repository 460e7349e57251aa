"""Hold out the same rows whatever else changes."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Split:
    """A rule that holds rows out of training by what is in them.

    A row's features and the seed give it a number from 0 to 1; below `test_size` it is held out.
    So whether a model was trained on a row follows from that model's rule alone: it does not
    depend on the order of the rows, on rows added since, or on any other parameter, and two
    models can be compared on rows that neither has seen. Equal rows fall on the same side.
    """

    test_size: float
    seed: int

    def __post_init__(self) -> None:
        if not (0 < self.test_size < 1 and 0 <= self.seed < 2**64):
            raise ValueError(f"no split: {self}")

    def __str__(self) -> str:
        return f"test_size={self.test_size}, seed={self.seed}"

    def holds_out(self, features: pd.DataFrame) -> np.ndarray:
        """Boolean mask (rows,) of the rows held out."""
        salt = self.seed.to_bytes(8, "big")
        digests = [blake2b(row, digest_size=8, salt=salt).digest() for row in _rows(features)]
        places = np.array([int.from_bytes(digest, "big") for digest in digests]) / 2.0**64
        return places < self.test_size


def _rows(features: pd.DataFrame) -> Iterator[bytes]:
    """Contents of each row, by the columns' names: as doubles, or as JSON where not all are."""
    by_name = features[sorted(features.columns)]
    if all(map(pd.api.types.is_numeric_dtype, by_name.dtypes)):
        return (row.tobytes() for row in by_name.to_numpy("<f8") + 0.0)  # -0.0 becomes 0.0
    rows = by_name.itertuples(index=False, name=None)
    return (json.dumps(list(map(_value, row))).encode() for row in rows)


def _value(value: object) -> float | str | None:
    if pd.isna(value):
        return None
    if isinstance(value, int | float | np.number):
        with suppress(OverflowError):  # of hundreds of digits
            return float(value) + 0.0
    return str(value)


def tags_of(split: Split) -> dict[str, str]:
    """The tags that tell later versions which rows this one was not trained on."""
    return {"split.test_size": str(split.test_size), "split.seed": str(split.seed)}


def split_of(version: ModelVersion) -> Split | None:
    """The rule by which rows were held out from a version; None if it does not say."""
    try:
        return Split(float(version.tags["split.test_size"]), int(version.tags["split.seed"]))
    except (KeyError, ValueError):
        return None
