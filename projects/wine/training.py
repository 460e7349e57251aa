"""From a table to a registered model: fit, record, register, promote."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import report
from dataset import BadInput, Split, Table, first_line, read_table, train_and_test
from promotion import Gate, tags_of

# What loads the model. Named here, because finding it out takes MLflow ten seconds.
REQUIREMENTS = [
    f"{package}=={version(package)}" for package in ("scikit-learn", "skops", "pandas", "numpy")
]


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
        registered = mlflow.register_model(model_uri, name, None, tags=tags_of(split))
        candidate = str(registered.version)
        gate = Gate(name, settings.alias, test, split)
        user = run.data.tags.get("mlflow.user", "unknown")
        outcome = gate.promote(candidate, settings.promote, f"{user} (run {run.info.run_id})")
        mlflow.set_tag("promotion", f"{name} version {candidate}: {outcome.reason}")
    holder = f"{settings.alias} of {name} is version {gate.holder()}"
    return "\n".join(
        [
            f"run        {run_page(run)}",
            f"model      {name} version {candidate}",
            f"promotion  {'promoted' if outcome.promoted else 'not promoted'}: {outcome.reason}",
            f"champion   {holder}",
            "try it     " + report.curl(name, test),
        ]
    )


@contextmanager
def recorded_run() -> Iterator[mlflow.ActiveRun]:
    """The run that `mlflow run` began, or a new one; what fails it is on its page as `failure`."""
    try:
        with mlflow.start_run() as run:
            try:
                yield run
            except BadInput as error:
                mlflow.set_tag("failure", error.message)
                raise
    except MlflowException as error:
        message = first_line(error)
        if not on_server():
            message = f"set MLFLOW_TRACKING_URI, to http://localhost:5000 for the stack ({message})"
        raise BadInput(message) from error


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
    # `mlflow run` has logged what it was given, and a parameter cannot be logged anew.
    mlflow.log_params({k: v for k, v in asdict(settings).items() if k not in run.data.params})
    with warnings.catch_warnings(action="ignore"):  # MLflow knows local files twice, and says so
        tables = [
            mlflow.data.from_pandas(
                table.frame(), source=settings.data, targets=table.target, name=settings.model_name
            )
            for table in (training, test)
        ]
    mlflow.log_inputs(tables, contexts=["training", "test"], tags_list=[None, None])
    logged = mlflow.sklearn.log_model(model, name="model", **description(model, training))
    metrics = report.metrics(model, test)
    mlflow.log_metrics(metrics, model_id=logged.model_id, dataset=tables[1])
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


def run_page(run: mlflow.ActiveRun) -> str:
    """The address of the run's page, or its id where no server shows it."""
    if not on_server():
        return run.info.run_id
    server = mlflow.get_tracking_uri().rstrip("/")
    return f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def on_server() -> bool:
    """Whether runs are recorded by a tracking server."""
    return mlflow.get_tracking_uri().startswith("http")
