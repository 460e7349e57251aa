"""The estimator in one mosec worker: rows of up to 64 requests in one frame, one predict.

python service.py --port 8000
"""

import estimator
import msgspec
import pandas as pd
from mosec import Server, Worker

MOST = 64  # requests
WAIT_MS = 1  # the least that mosec takes
COLUMNS = estimator.CASE["columns"]
TEXTS = estimator.CASE["kind"] == "texts"


class Model(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.model = estimator.load()

    def deserialize(self, data: bytes) -> list[list]:
        return msgspec.json.decode(data)["dataframe_split"]["data"]

    def forward(self, data: list[list[list]]) -> list[list]:
        rows = [row for one in data for row in one]
        table = [row[0] for row in rows] if TEXTS else pd.DataFrame(rows, columns=COLUMNS)
        answers = iter(self.model.predict(table).tolist())
        return [[next(answers) for _ in one] for one in data]

    def serialize(self, data: list) -> bytes:
        return msgspec.json.encode({"predictions": data})


if __name__ == "__main__":
    server = Server()
    server.append_worker(Model, max_batch_size=MOST, max_wait_time=WAIT_MS)
    server.run()
