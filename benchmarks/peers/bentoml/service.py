"""The estimator behind BentoML's batchable API."""

import bentoml
import estimator
import numpy as np
import pandas as pd

MOST = 6400  # rows: those of 64 requests with 100 each
LATENCY_MS = 1000  # what is expected to take longer is refused: no wish to wait
KIND, COLUMNS = estimator.CASE["kind"], estimator.CASE["columns"]
ROWS = {"numbers": np.ndarray, "mixed": pd.DataFrame, "texts": list[str]}[KIND]
ANSWERS = list[str] if KIND == "texts" else np.ndarray


@bentoml.service(
    workers="cpu_count", logging={"access": {"enabled": False}}, traffic={"timeout": 60}
)
class Model:
    def __init__(self) -> None:
        self.model = estimator.load()

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=MOST, max_latency_ms=LATENCY_MS)
    def predict(self, rows: ROWS) -> ANSWERS:
        if KIND == "texts":
            return self.model.predict(rows).tolist()
        return self.model.predict(pd.DataFrame(rows, columns=COLUMNS))
