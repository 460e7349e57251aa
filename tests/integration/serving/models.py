"""Small real models."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

WINE = load_wine(as_frame=True)


def save_wine(folder: Path) -> Path:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(WINE.data, WINE.target)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(WINE.data, model.predict(WINE.data)),
        input_example=WINE.data.head(1),
        pip_requirements=["scikit-learn"],
    )
    return folder


def save_chameleon(folder: Path) -> Path:
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(Path(__file__).with_name("chameleon.py")),
        model_config={"answer": 1},
        signature=ModelSignature(inputs=Schema([ColSpec("string", "act")])),
        input_example=pd.DataFrame({"act": ["answer"]}),
        pip_requirements=["pandas"],
    )
    return folder


def chameleon_with(source: Path, folder: Path, **config: object) -> Path:
    """A copy of the saved chameleon with another configuration."""
    shutil.copytree(source, folder)
    description = yaml.safe_load((folder / "MLmodel").read_text())
    description["flavors"]["python_function"]["config"] = config
    (folder / "MLmodel").write_text(yaml.safe_dump(description))
    return folder


def wine_request(rows: int = 1) -> dict:
    frame = WINE.data.head(rows)
    return {"dataframe_split": {"columns": list(frame.columns), "data": frame.values.tolist()}}


def act(*acts: str) -> dict:
    return {"dataframe_split": {"columns": ["act"], "data": [[one] for one in acts]}}
