"""What is attacked: models of every kind, each with good requests to start from."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd

from tests.integration.serving.models import save_chameleon
from tests.integration.serving.reference import estimators

_DATATYPES = {"i": "INT64", "f": "FP64", "b": "BOOL", "O": "BYTES", "U": "BYTES"}


@dataclass(frozen=True)
class Target:
    """A served model, and rows that it predicts."""

    name: str
    folder: Path
    rows: pd.DataFrame
    is_tensor: bool = False

    @property
    def path(self) -> str:
        return f"/models/{self.name}/invocations"

    @property
    def v2_path(self) -> str:
        return f"/v2/models/{self.name}/infer"

    def mlflow_bodies(self) -> list[dict]:
        """The first is the plainest."""
        values = self.rows.to_numpy().tolist()
        if self.is_tensor:
            return [{"inputs": values}, {"instances": values}]
        records = self.rows.to_dict("records")
        return [
            {"dataframe_split": {"columns": list(self.rows), "data": values}},
            {"dataframe_records": records},
            {"instances": records},
            {"inputs": self.rows.to_dict("list")},
        ]

    def v2_bodies(self) -> list[dict]:
        count, width = self.rows.shape
        columns = [
            {
                "name": name,
                "shape": [count],
                "datatype": _DATATYPES[column.dtype.kind],
                "data": column.tolist(),
            }
            for name, column in self.rows.items()
        ]
        if len({column["datatype"] for column in columns}) > 1:
            return [{"inputs": columns}]
        data = [value for row in self.rows.to_numpy().tolist() for value in row]
        block = {"name": "x", "shape": [count, width], "datatype": columns[0]["datatype"]}
        in_one = {"inputs": [block | {"data": data}], "id": "1"}
        return [in_one] if self.is_tensor else [in_one, {"inputs": columns}]

    def csv(self) -> bytes:
        return self.rows.to_csv(index=False).encode()

    def parquet(self) -> bytes:
        file = io.BytesIO()
        self.rows.to_parquet(file)
        return file.getvalue()

    def predictions(self) -> list:
        """MLflow's own predictions."""
        data = self.rows.to_numpy() if self.is_tensor else self.rows
        return list(mlflow.pyfunc.load_model(str(self.folder)).predict(data))


def saved(root: Path) -> list[Target]:
    """Save the models under `root`."""
    wine = estimators.WINE.iloc[[0, 60, 150]]
    people = estimators._people()[0].dropna().head(3)
    people = people.astype({"city": object, "note": object})
    targets = []
    for name, rows, is_tensor in (
        ("wine", wine, False),
        ("wine-forest", wine, False),
        ("wine-tensor", wine, True),
        ("wine-unsigned", wine, True),
        ("pipeline", people, False),
    ):
        estimators.ESTIMATORS[name].save(root / name)
        targets.append(Target(name, root / name, rows, is_tensor))
    act = pd.DataFrame({"act": ["a", "ä☃"]}, dtype=object)
    return [*targets, Target("chameleon", save_chameleon(root / "chameleon"), act)]
