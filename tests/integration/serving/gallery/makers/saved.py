"""What a maker does with its models: python MAKER.py FOLDER saves each of them there, with good
rows for it beside it as JSON, or the reason why it could not be saved. Run by the Python of an
environment of the maker's own, which may have any release of MLflow from 1.30."""

import json
import sys
import traceback
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
    """`models`: name to a function of the folder, which returns a frame of good rows, or an array
    of them for a model of tensors."""
    root = Path(sys.argv[1])
    for name, save in models.items():
        try:
            rows = save(str(root / name))
        except Exception as error:
            traceback.print_exc()
            (root / f"{name}.problem").write_text(f"{type(error).__name__}: {error}")
            continue
        if isinstance(rows, pd.DataFrame):
            rows = json.loads(rows.to_json(orient="records"))
        else:
            rows = rows.tolist()
        (root / f"{name}.json").write_text(json.dumps(rows))
