"""The estimator behind BentoML's batchable API."""

import bentoml
import estimator
import numpy as np
import pandas as pd

MOST = 6400  # rows: those of 64 requests with 100 each
KIND, COLUMNS = estimator.CASE["kind"], estimator.CASE["columns"]
# Frames would be natural for the mixed rows, but BentoML does not merge those of pandas 3.
ROWS = {"numbers": np.ndarray, "mixed": list[list], "texts": list[str]}[KIND]
ANSWERS = list[str] if KIND == "texts" else np.ndarray


@bentoml.service(
    workers="cpu_count", logging={"access": {"enabled": False}}, traffic={"timeout": 60}
)
class Model:
    def __init__(self) -> None:
        self.model = estimator.load()

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=MOST)
    def predict(self, rows: ROWS) -> ANSWERS:
        if KIND == "texts":
            return self.model.predict(rows).tolist()
        return self.model.predict(pd.DataFrame(rows, columns=COLUMNS))
