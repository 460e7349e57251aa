"""Turn a table into a registered model: fit, record, register, promote."""

from dataclasses import asdict, dataclass

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import report
from common.asking import curl
from common.held_out import HeldOut
from common.promotion import Gate
from common.release import pinned, record_tables, release
from common.runs import record_parameters, recorded_run
from common.split import Split, tags_of
from common.summary import summary
from dataset import Table, read_table, train_and_test

REQUIREMENTS = pinned("scikit-learn", "skops", "pandas", "numpy")


@dataclass(frozen=True)
class Settings:
    """The project's parameters, as in MLproject."""

    data: str
    target: str
    C: float
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
        training, test = train_and_test(read_table(settings.data, settings.target), split)
        model = fit(training, settings.C)
        model_uri = record(run, settings, model, training, test)
        held_out = HeldOut(test.features, test.labels, split)
        gate = Gate(name, settings.alias, held_out.comparing(name))
        candidate, outcome = release(run, gate, model_uri, settings.promote, tags_of(split))
    return summary(run, gate, candidate, outcome, curl(name, test.features.head(1)))


def fit(table: Table, strength: float) -> Pipeline:
    """A classifier of a table's labels; `strength` is the inverse of its regularisation's."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    return model.fit(table.features, table.labels)


def record(
    run: mlflow.ActiveRun, settings: Settings, model: Pipeline, training: Table, test: Table
) -> str:
    """Log a fitted model and all about it; returns the model's URI.

    Parameters go in one request, metrics in another: that is what makes logging fast. A loop that
    logs at every step calls `mlflow.config.enable_async_logging()` first, and does not wait.
    """
    record_parameters(run, asdict(settings))
    rows = record_tables(
        training.frame(), test.frame(), settings.data, test.target, settings.model_name
    )
    logged = mlflow.sklearn.log_model(model, name="model", **description(model, training))
    metrics = report.metrics(model, test)
    mlflow.log_metrics(metrics, model_id=logged.model_id, dataset=rows)
    for file, figure in report.plots(model, test).items():
        mlflow.log_figure(figure, file)
    return logged.model_uri


def description(model: Pipeline, training: Table) -> dict[str, object]:
    """What is saved beside a model, so that others can call it and load it."""
    answers = pd.Series(model.predict(training.features))
    return {
        "signature": infer_signature(training.features, answers),
        "input_example": training.features.head(3),
        "pip_requirements": REQUIREMENTS,
    }
