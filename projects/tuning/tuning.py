"""Turn a table into a registered model: search, fit with the best, record, promote."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass

import click
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import Pipeline

import search_report
from common.asking import curl
from common.held_out import RIGHT, HeldOut, Measure
from common.promotion import Gate, Outcome
from common.release import pinned, record_tables, release
from common.runs import record_parameters, recorded_run, run_page
from common.split import Split, tags_of
from common.summary import summary
from mixed_table import MixedTable, read_mixed, train_and_test
from searching import Search
from study import Study
from tuned_pipeline import CLASSIFICATION, FOLDS, REGRESSION, Kind, pipeline

REQUIREMENTS = pinned("scikit-learn", "skops", "pandas", "numpy")
TRUSTED = ["numpy.dtype"]  # what imputers keep, and skops does not load unless told to

MEASURES = {
    CLASSIFICATION.name: RIGHT,
    REGRESSION.name: Measure(
        root_mean_squared_error,
        "an error (RMSE) of {candidate:.4f} against {incumbent:.4f} on {rows} held-out rows",
        lower_is_better=True,
    ),
}
"""How a new version and the one that has the alias are compared."""


@dataclass(frozen=True)
class Settings:
    """The project's parameters, as in MLproject."""

    data: str
    target: str
    trials: int
    workers: int
    study: str
    test_size: float
    seed: int
    model_name: str
    alias: str
    promote: str


def tune(settings: Settings) -> str:
    """Search, train, record, register and promote a model; returns a summary of what happened.

    Raises BadInput, the run being FAILED, for what the user can mend. Ctrl-C: the runs are KILLED.
    """
    split = Split(settings.test_size, settings.seed)
    with recorded_run() as run:
        record_parameters(run, asdict(settings))
        training, test = train_and_test(read_mixed(settings.data, settings.target), split)
        about, fingerprint = identity(training, settings)
        named = f"{re.sub(r'[^A-Za-z0-9_.-]', '-', settings.target)}-{fingerprint[:8]}"
        study_name = named if settings.study == "auto" else settings.study
        try:
            with Study(study_name, fingerprint, training.kind.metric, about, run) as study:
                return worked_on(study, run, settings, training, test)
        except KeyboardInterrupt:
            mlflow.end_run("KILLED")
            raise


def identity(training: MixedTable, settings: Settings) -> tuple[dict[str, object], str]:
    """What makes trials comparable, and a digest of it and of the rows."""
    about = {
        "target": settings.target,
        "kind": training.kind.name,
        "space": json.dumps(training.kind.space),
        "folds": FOLDS,
        "test_size": settings.test_size,
        "seed": settings.seed,
    }
    text = json.dumps(about) + training.frame().to_csv()
    return about, hashlib.sha256(text.encode()).hexdigest()


def worked_on(
    study: Study, run: mlflow.ActiveRun, settings: Settings, training: MixedTable, test: MixedTable
) -> str:
    """Run what is missing of the search, then register the best, unless that was done before."""
    name, kind = settings.model_name, training.kind
    search = Search(study, training, settings.seed)
    before = len(search.trials)
    click.echo(f"study {study.name}: {before} trials are there; to have {settings.trials}")
    try:
        search.run(settings.trials, settings.workers)
    except KeyboardInterrupt:
        click.echo(
            f"stopped: {len(search.trials)} trials of study {study.name} are kept; "
            "the same command goes on from there"
        )
        raise
    count = len(search.trials)
    split = Split(settings.test_size, settings.seed)
    held_out = HeldOut(test.features, test.answers, split, MEASURES[kind.name])
    gate = Gate(name, settings.alias, held_out.comparing(name))
    if count == before and (candidate := study.registered(name, count)):
        outcome = Outcome(False, "nothing is new: the search was finished and registered before")
        mlflow.set_tag("promotion", f"{name} version {candidate}: {outcome.reason}")
    else:
        log_search(study, search, kind)
        study.check()
        model_uri = record(settings, fit(training, kind, search.best.params), training, test)
        candidate, outcome = release(run, gate, model_uri, settings.promote, tags_of(split))
        study.conclude(name, count, candidate, search.best)
    return summary(
        run,
        gate,
        candidate,
        outcome,
        curl(name, example(test.features).tail(1)),
        search=run_page(study.parent),
        **told(search, before, kind),
    )


def told(search: Search, before: int, kind: Kind) -> dict[str, str]:
    """The summary's lines on a search."""
    failed = sum(trial.score is None for trial in search.trials.values())
    new = len(search.trials) - before
    params = ", ".join(f"{name}={value:.4g}" for name, value in search.best.params.items())
    return {
        "trials": f"{new} new, {before} from before; {failed} of all failed",
        "best": f"trial {search.best.number}: {kind.metric} {search.best.score:.4f} with {params}",
    }


def log_search(study: Study, search: Search, kind: Kind) -> None:
    """The figure and the table of the search, on its own run."""
    trials = search.trials.values()
    study.client.log_figure(study.id, search_report.figure(trials, kind), "search.png")
    text = search_report.table(trials, kind).to_csv(index=False)
    study.client.log_text(study.id, text, "trials.csv")


def fit(training: MixedTable, kind: Kind, params: dict[str, float]) -> Pipeline:
    """The model with these hyperparameters, of all rows to train on.

    Autologging records every setting of the pipeline and metrics on the training rows, by itself.
    The model and the data are logged below, with what autologging does not know.
    """
    model = pipeline(training.features, kind, params)
    mlflow.sklearn.autolog(
        log_models=False, log_datasets=False, log_post_training_metrics=False, silent=True
    )
    try:
        return model.fit(training.features, training.answers)
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)


def record(settings: Settings, model: Pipeline, training: MixedTable, test: MixedTable) -> str:
    """Log the fitted model and what it is worth on held-out rows; returns the model's URI."""
    rows = record_tables(
        training.frame(), test.frame(), settings.data, test.target, settings.model_name
    )
    logged = mlflow.sklearn.log_model(
        model,
        name="model",
        signature=signature(training),
        input_example=example(training.features),
        pip_requirements=REQUIREMENTS,
        skops_trusted_types=TRUSTED,
    )
    metrics = test.kind.metrics(test.answers, model.predict(test.features))
    mlflow.log_metrics(metrics, model_id=logged.model_id, dataset=rows)
    return logged.model_uri


def signature(table: MixedTable) -> ModelSignature:
    """Raw rows: numbers are doubles, since whole numbers have no null; texts have one anyway.

    All columns are required, and any of them may be null: a column that is left out is refused by
    name, which MLflow does not do for optional ones.
    """
    types = {"f": "double", "U": "string"}
    columns = [
        ColSpec("double" if pd.api.types.is_numeric_dtype(dtype) else "string", name)
        for name, dtype in table.features.dtypes.items()
    ]
    return ModelSignature(Schema(columns), Schema([ColSpec(types[table.answers.dtype.kind])]))


def example(features: pd.DataFrame) -> pd.DataFrame:
    """Three rows; in the second every second value is missing, in the last one value."""
    rows = features.head(3).reset_index(drop=True)
    rows.iloc[1, ::2] = np.nan
    rows.iloc[2, -1] = np.nan
    return rows
