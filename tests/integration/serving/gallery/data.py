"""What the gallery's models learn from: small, and the same each time."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

WINE, CULTIVAR = load_wine(return_X_y=True, as_frame=True)
WINE = WINE[["alcohol", "malic_acid", "ash", "alcalinity_of_ash"]]
AMOUNT = WINE["alcohol"] * 3 + WINE["ash"] ** 2
"""A number to regress on, above zero."""
TWO_AMOUNTS = pd.DataFrame({"sweet": AMOUNT, "sour": WINE["malic_acid"] * 2})
TWO_LABELS = pd.DataFrame({"red": (CULTIVAR == 0) * 1, "strong": (WINE["alcohol"] > 13) * 1})

REVIEWS = [
    "good wine, dry and long",
    "bad wine",
    "a good red for the winter",
    "sour beer, never again",
    "Très bon vin blanc",
    "bad, sweet and short",
]
LIKED = [1, 0, 1, 0, 1, 0]


@functools.cache
def people() -> tuple[pd.DataFrame, np.ndarray]:
    """Columns of several kinds, some values missing; and two classes in words."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, 80).astype(float),
            "income": random.normal(50, 20, 80),
            "city": random.choice(["Paris", "Oslo", "Rome"], 80),
            "job": random.choice(["baker", "smith", "none"], 80),
            "height": random.normal(170, 10, 80),
        }
    )
    target = np.where(frame["income"] + frame["age"] / 4 > 60, "rich", "poor")
    frame.loc[::7, "height"] = None
    frame.loc[::9, "job"] = None
    return frame, target


def whole_people(rows: int = 3) -> pd.DataFrame:
    """Some of them who have no value missing."""
    return people()[0].dropna().head(rows)
