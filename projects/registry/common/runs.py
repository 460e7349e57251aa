"""The run that everything is recorded in."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import mlflow
from mlflow.exceptions import MlflowException

from common.errors import BadInput, first_line


@contextmanager
def recorded_run() -> Iterator[mlflow.ActiveRun]:
    """The run that `mlflow run` began, or a new one; what fails it is on its page as `failure`.

    Raises BadInput also for what MLflow refuses, such as a server that does not answer.
    """
    try:
        with mlflow.start_run() as run:
            try:
                yield run
            except (BadInput, MlflowException) as error:
                why = error if isinstance(error, BadInput) else BadInput(refusal(error))
                with suppress(MlflowException):  # a server that is gone takes no tag either
                    mlflow.set_tag("failure", why.message)
                raise why from error
    except MlflowException as error:
        raise BadInput(refusal(error)) from error


def refusal(error: MlflowException) -> str:
    """What MLflow said, in one line, and that no server is set if that may be why."""
    message = first_line(error)
    if on_server():
        return message
    return f"set MLFLOW_TRACKING_URI, to http://localhost:5000 for the stack ({message})"


def record_parameters(run: mlflow.ActiveRun, parameters: Mapping[str, object]) -> None:
    """Log parameters in one request, save those that `mlflow run` has logged already.

    A parameter cannot be logged anew with another value.
    """
    mlflow.log_params({k: v for k, v in parameters.items() if k not in run.data.params})


def owner(run: mlflow.ActiveRun) -> str:
    """Who made a run, for the tag `promoted_by`."""
    return f"{run.data.tags.get('mlflow.user', 'unknown')} (run {run.info.run_id})"


def run_page(run: mlflow.ActiveRun) -> str:
    """The address of the run's page, or its id where no server shows it.

    A container reaches the server by another name than people do: TRACKING_SERVER_URL has theirs.
    """
    if not on_server():
        return run.info.run_id
    server = os.environ.get("TRACKING_SERVER_URL") or mlflow.get_tracking_uri()
    server = server.rstrip("/")
    return f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def on_server() -> bool:
    """Whether runs are recorded by a tracking server."""
    return mlflow.get_tracking_uri().startswith("http")
