"""XGBoost and LightGBM by their own flavors, and inside scikit-learn's pipelines."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.integration.serving.gallery import data, questions
from tests.integration.serving.gallery.estimators import save
from tests.integration.serving.gallery.piece import Piece
from tests.integration.serving.gallery.tables import WORDS

FEW = {"n_estimators": 5, "random_state": 0, "n_jobs": 1}


def _coded() -> tuple[pd.DataFrame, np.ndarray]:
    """Categories as numbers: no request can bring what pandas calls a category, and neither
    library takes words in its place."""
    frame, target = data.people()
    codes = frame[WORDS].apply(lambda words: words.astype("category").cat.codes.astype(float))
    return frame.assign(**codes.where(codes >= 0)), (target == "rich") * 1


def _coded_rows() -> pd.DataFrame:
    return _coded()[0].dropna().head(3)


def _xgboost(folder: Path, kind: str) -> None:
    import xgboost

    example, further = data.WINE.head(3), {}
    match kind:
        case "booster":
            matrix = xgboost.DMatrix(data.WINE, data.AMOUNT)
            model = xgboost.train({"max_depth": 3, "nthread": 1}, matrix, 5)
        case "classifier":
            model = xgboost.XGBClassifier(**FEW).fit(data.WINE, data.CULTIVAR)
        case "json":
            model = xgboost.XGBRegressor(**FEW).fit(data.WINE, data.AMOUNT)
            further = {"model_format": "json"}
        case "ranker":
            groups = np.arange(len(data.WINE)) // 10
            model = xgboost.XGBRanker(**FEW).fit(data.WINE, data.CULTIVAR, qid=groups)
        case "categories":
            kinds = ["c" if name in WORDS else "q" for name in _coded_rows()]
            model = xgboost.XGBClassifier(**FEW, enable_categorical=True, feature_types=kinds)
            model.fit(*_coded())
            example = _coded_rows()
    mlflow.xgboost.save_model(
        model,
        folder,
        signature=infer_signature(example),
        input_example=example,
        pip_requirements=["xgboost-cpu", "scikit-learn"],
        **further,
    )


def _lightgbm(folder: Path, kind: str) -> None:
    import lightgbm

    few = {**FEW, "verbose": -1}
    example, signature = data.WINE.head(3), infer_signature(data.WINE)
    match kind:
        case "booster" | "unsigned":
            made = lightgbm.Dataset(data.WINE, data.AMOUNT)
            model = lightgbm.train({"num_threads": 1, "verbose": -1}, made, 5)
            signature = signature if kind == "booster" else None
            example = example if kind == "booster" else None
        case "classifier":
            model = lightgbm.LGBMClassifier(**few).fit(data.WINE, data.CULTIVAR)
        case "categories":
            model = lightgbm.LGBMClassifier(**few).fit(*_coded(), categorical_feature=WORDS)
            signature, example = infer_signature(_coded_rows()), _coded_rows()
    mlflow.lightgbm.save_model(
        model,
        folder,
        signature=signature,
        input_example=example,
        pip_requirements=["lightgbm", "scikit-learn"],
    )


def _in_pipeline(folder: Path, make: Callable[[], object]) -> None:
    save(folder, make_pipeline(StandardScaler(), make()), data.WINE, data.CULTIVAR)


def _xgboost_step() -> object:
    import xgboost

    return xgboost.XGBClassifier(**FEW)


def _lightgbm_step() -> object:
    import lightgbm

    return lightgbm.LGBMClassifier(**FEW, verbose=-1)


def _piece(name: str, save_as: Callable[..., None], kind: str) -> Piece:
    rows = _coded_rows() if kind == "categories" else data.WINE.iloc[[0, 60, 150]]
    return Piece(
        name, functools.partial(save_as, kind=kind), lambda: questions.of_frame(rows), (name,)
    )


BOOSTERS = (
    {
        f"xgboost-{kind}": _piece("xgboost", _xgboost, kind)
        for kind in ("booster", "classifier", "json", "ranker", "categories")
    }
    | {
        f"lightgbm-{kind}": _piece("lightgbm", _lightgbm, kind)
        for kind in ("booster", "classifier", "unsigned", "categories")
    }
    | {
        f"{name}-step": Piece(
            "pipelines",
            functools.partial(_in_pipeline, make=make),
            lambda: questions.of_frame(data.WINE.iloc[[0, 60, 150]]),
            (name,),
        )
        for name, make in {"xgboost": _xgboost_step, "lightgbm": _lightgbm_step}.items()
    }
)
