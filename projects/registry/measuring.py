"""Compare and promote versions by what they are worth on a table; let one predict."""

import math

import mlflow
import pandas as pd
from mlflow import MlflowClient

from common.asking import curl
from common.errors import BadInput, first_line
from common.promotion import CannotCompareError
from common.runs import owner, run_page
from common.tables import read_csv, read_rows
from evaluations import Evaluations, inputs
from listing import columns, facts
from lookup import find_reference, find_version, uri
from measured_gate import MeasuredGate
from measures import CLASSIFIER, LOWER_IS_BETTER, METRICS, REGRESSOR, kind_of, number
from served import followed_alias

MANY = 20  # different whole numbers; from here on, they are quantities and not classes


def compare(
    client: MlflowClient, name: str, first: str, second: str, data: str, target: str, kind: str
) -> str:
    """Measure two versions on the same rows; a table of the metrics that they share.

    kind: classifier, regressor, or auto, by the target's values.
    """
    numbers = [str(find_version(client, name, text).version) for text in (first, second)]
    table = read_csv(data, target)
    chosen = kind_of_labels(table[target]) if kind == "auto" else kind
    evaluations = Evaluations(name, table, target, data, chosen)
    try:
        metrics = [evaluations.of(version).metrics for version in numbers]
    except CannotCompareError as error:
        raise BadInput(str(error)) from error
    rows = [["metric", *(f"version {version}" for version in numbers), "better"]]
    for metric in METRICS:
        if all(metric in each for each in metrics):
            scores = [each[metric] for each in metrics]
            rows.append([metric, *map(number, scores), _better(metric, scores, numbers)])
    known = {
        "run": run_page(mlflow.active_run()),
        "data": f"{len(table)} rows of {data}",
        "as": chosen,
    }
    return f"{facts(known)}\n\n{columns(rows)}"


def promote(
    client: MlflowClient,
    name: str,
    version: str,
    alias: str,
    data: str,
    target: str,
    metric: str,
    limit: float | None,
    mode: str,
) -> str:
    """Give the version the alias if it is as good as the one that has it; says what happened.

    metric: one of measures.METRICS; limit: the worst value to be promoted, None for any; mode: as
    the gate's. Raises BadInput where it is not promoted.
    """
    if metric not in METRICS:
        raise BadInput(
            f"metric: no {metric!r}; classifiers have {', '.join(CLASSIFIER)}; "
            f"regressors have {', '.join(REGRESSOR)}"
        )
    candidate = str(find_version(client, name, version).version)
    table = read_csv(data, target)
    gate = MeasuredGate(
        name, alias, Evaluations(name, table, target, data, kind_of(metric)), metric, limit
    )
    if gate.holder() == candidate:
        return f"{alias} of {name} is version {candidate} already"
    run = mlflow.active_run()
    outcome = gate.promote(candidate, mode, owner(run))
    mlflow.set_tag("promotion", f"{name} version {candidate}: {outcome.reason}")
    holder = gate.holder()
    if not outcome.promoted:
        stays = f"{alias} stays version {holder}" if holder else f"there is no {alias}"
        raise BadInput(f"{name} version {candidate} is not promoted: {outcome.reason}; {stays}")
    known = {
        "run": run_page(run),
        "model": f"{name} version {candidate}",
        "promotion": f"promoted: {outcome.reason}",
        alias: f"{alias} of {name} is version {holder}",
    }
    if alias == followed_alias():
        known["try it"] = curl(name, table.drop(columns=target).head(1))
    return facts(known)


def predict(client: MlflowClient, reference: str, data: str, output: str) -> str:
    """Let a version predict the rows of a CSV file; a CSV of its answers, or where they are."""
    version = find_reference(client, reference)
    rows = read_rows(data)
    try:
        model = mlflow.pyfunc.load_model(uri(version))
        answers = model.predict(inputs(model, rows, version.version))
    except Exception as error:  # a model is other people's code: it may raise anything
        raise BadInput(f"{uri(version)} cannot be loaded or asked: {first_line(error)}") from error
    if not isinstance(answers, pd.DataFrame):
        answers = pd.DataFrame({"prediction": list(answers)})
    if not output:
        return answers.to_csv(index=False).rstrip()
    try:
        answers.to_csv(output, index=False)
    except OSError as error:
        raise BadInput(f"output: {output!r} cannot be written: {error.strerror}") from error
    return f"{len(answers)} predictions of {uri(version)} are in {output}"


def kind_of_labels(labels: pd.Series) -> str:
    """What predicts such labels: quantities are regressed on, all else is classified."""
    if not pd.api.types.is_numeric_dtype(labels) or pd.api.types.is_bool_dtype(labels):
        return "classifier"
    whole = (labels == labels.round()).all()
    return "classifier" if whole and labels.nunique() < MANY else "regressor"


def _better(metric: str, scores: list[float], numbers: list[str]) -> str:
    """The better of two versions by a metric; nan is worse than all."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    first, second = (-math.inf if math.isnan(score) else sign * score for score in scores)
    if first == second:
        return "equal"
    return f"version {numbers[0] if first > second else numbers[1]}"
