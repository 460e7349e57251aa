"""What a maker does with its models: python MAKER.py FOLDER saves each of them there, with its
good rows beside it as JSON. Run by the Python of an environment of the maker's own, which may have
any release of MLflow from 1.30."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

FRAME = pd.DataFrame(
    {
        "age": [22.0, 35.0, 58.0, 41.0, 29.0, 63.0] * 8,
        "income": np.linspace(20, 80, 48),
        "city": ["Oslo", "Rome", "Paris", "Rome"] * 12,
    }
)
NUMBERS = FRAME[["age", "income"]]
AMOUNT = NUMBERS["age"] + 2 * NUMBERS["income"]
RICH = (AMOUNT > 140).astype(int)


def save_all(models):
    """`models`: name to a function of the folder, which returns a frame of good rows."""
    root = Path(sys.argv[1])
    for name, save in models.items():
        rows = save(str(root / name)).to_json(orient="records")
        (root / f"{name}.json").write_text(json.dumps(json.loads(rows)))
