"""Work on the registry, inside a run where there is one."""

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from common.errors import BadInput
from common.runs import owner, recorded_run, refusal


def done(work: Callable[..., str], *arguments: object, measures: bool = False) -> str:
    """What came of `work`, which gets a client and the arguments.

    It is recorded in the run that `mlflow run` began; without one, only what measures leaves a
    run. Raises BadInput, also for what the registry refuses.
    """
    in_a_run = measures or "MLFLOW_RUN_ID" in os.environ
    with recorded_run() if in_a_run else refusals_in_one_line():
        return work(MlflowClient(), *arguments)


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """What MLflow refuses, as BadInput."""
    try:
        yield
    except MlflowException as error:
        raise BadInput(refusal(error)) from error


def person() -> str:
    """Who works, for tags: a user, and the run if there is one."""
    if run := mlflow.active_run():
        return owner(run)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
