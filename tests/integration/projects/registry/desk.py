"""Gives the commands of projects/registry as a user does, on a real tracking server."""

from __future__ import annotations

import re
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

import registry
from common.command_line import run

ROWS = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40.0) % 7})
TRUE = ROWS["a"] * 2 + 1


def good():
    return LinearRegression()


def exact() -> tuple:
    return good(), TRUE


def worse() -> tuple:
    return good(), TRUE + ROWS["b"]


@dataclass
class Desk:
    """A user's desk: a registry, data, and a model name of the test's own."""

    client: MlflowClient
    name: str
    folder: Path
    capsys: pytest.CaptureFixture
    monkeypatch: pytest.MonkeyPatch

    def ask(self, *arguments: object) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of a command."""
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["registry.py", *map(str, arguments)])
        return run(registry.main), *self.capsys.readouterr()

    def done(self, *arguments: object) -> str:
        """Output of a command that works."""
        status, out, err = self.ask(*arguments)
        assert status == 0, err
        assert "error" not in err
        return out

    def refused(self, *arguments: object) -> str:
        """The one line of a command that does not."""
        status, out, err = self.ask(*arguments)
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (status, out, len(errors)) == (1, "", 1), (status, out, err)
        assert "Traceback" not in err
        assert len(errors[0]) < 1000
        return errors[0].removeprefix("error: ")

    def logged(self, model, answers, rows=ROWS) -> str:
        """A run that has logged the model, fitted to the answers."""
        model.fit(rows, answers)
        with mlflow.start_run() as logging:
            mlflow.log_metric("fitted", 1.0)
            mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(rows, pd.Series(model.predict(rows))),
                pip_requirements=["scikit-learn"],
            )
        return logging.info.run_id

    def version(self, model, answers, rows=ROWS) -> str:
        """The number of a new version."""
        said = self.done("register", self.name, self.logged(model, answers, rows))
        return re.match(r"version (\d+) of ", said)[1]

    def table(self, answers, rows=ROWS) -> str:
        """A CSV file with the answers in the column y."""
        path = self.folder / f"{uuid.uuid4().hex}.csv"
        rows.assign(y=answers).to_csv(path, index=False)
        return str(path)

    def holder(self, alias="champion", name=None) -> str | None:
        aliases = self.client.get_registered_model(name or self.name).aliases
        return aliases.get(alias)

    def tags(self, version: str, name=None) -> dict[str, str]:
        return self.client.get_model_version(name or self.name, version).tags


def promote(desk, version, *more):
    return ("promote", desk.name, version, "--data", desk.table(TRUE), "--target", "y", *more)
