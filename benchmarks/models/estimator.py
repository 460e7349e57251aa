"""How the other servers load the estimator of a case, which MLflow's folder holds as well."""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["BENCHMARK_ESTIMATOR"])
CASE: dict[str, Any] = json.loads((FOLDER / "case.json").read_text())
"""kind ("numbers", "mixed" or "texts") and columns."""


def load() -> Any:
    """Something with predict(rows)."""
    if CASE["kind"] == "texts":
        from minilm import Classifier

        return Classifier(FOLDER)
    import joblib

    return joblib.load(FOLDER / "model.joblib")
