"""Record what a model learnt from, register it, and let the gate decide on its promotion."""

import warnings
from collections.abc import Mapping
from importlib.metadata import version

import mlflow
import pandas as pd
from mlflow.data.pandas_dataset import PandasDataset

from common.promotion import Gate, Outcome
from common.runs import owner


def pinned(*packages: str) -> list[str]:
    """The packages that load a model, in the versions that are here. To name them saves the ten
    seconds that MLflow takes to find them out."""
    return [f"{package}=={version(package)}" for package in packages]


def record_tables(
    training: pd.DataFrame, test: pd.DataFrame, source: str, target: str, name: str
) -> PandasDataset:
    """Log the rows that a model learnt from and those that it is measured on; returns the latter,
    for its metrics."""
    with warnings.catch_warnings(action="ignore"):  # MLflow knows local files twice, and says so
        tables = [
            mlflow.data.from_pandas(frame, source=source, targets=target, name=name)
            for frame in (training, test)
        ]
    mlflow.log_inputs(tables, contexts=["training", "test"], tags_list=[None, None])
    return tables[1]


def release(
    run: mlflow.ActiveRun, gate: Gate, model_uri: str, mode: str, tags: Mapping[str, str]
) -> tuple[str, Outcome]:
    """Register a model with `tags`, and promote it if the gate lets it pass; returns its version
    and what became of it, which is also the run's tag `promotion`."""
    candidate = str(mlflow.register_model(model_uri, gate.name, None, tags=dict(tags)).version)
    outcome = gate.promote(candidate, mode, owner(run))
    mlflow.set_tag("promotion", f"{gate.name} version {candidate}: {outcome.reason}")
    return candidate, outcome
