"""Runs an example project by `mlflow run`, as a user does."""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
from mlflow.entities import Run

from harness.processes import clean_environment
from host.clients.projects import RUNS
from host.paths import ROOT

BIN = Path(sys.executable).parent
PROJECTS = ROOT / "projects"
WITHOUT_A_MODEL = {"validation", "registry"}
"""Projects whose runs in `make projects` promote none; for "validation -e train", wine's does."""
_COMMANDS = multiprocessing.get_context("forkserver")


def names() -> list[str]:
    """All projects."""
    return sorted(path.parent.name for path in PROJECTS.glob("*/MLproject"))


def importable(project: str) -> None:
    """Let tests import a project's modules by their bare names, as these import each other; what
    they share is wine's, which has all of it."""
    sys.path[:0] = [str(PROJECTS / "wine"), str(PROJECTS / project)]


def write_table(folder: Path, text: str | bytes) -> str:
    """A CSV file with this in it; its path."""
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def use(uri: str) -> None:
    """Let MLflow in this process record there, in the experiment that every server has: another
    test may have set one of another server."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("Default")
    del os.environ["MLFLOW_EXPERIMENT_ID"]  # which commands would inherit


class Runs:
    """Runs a project on a tracking server, each run in a new experiment.

    Tests of all projects share a server, so an experiment has a name that no other test uses.
    """

    def __init__(self, uri: str, folder: Path, project: str) -> None:
        self.uri, self.folder, self.project = uri, folder, PROJECTS / project
        use(uri)
        self.client = mlflow.MlflowClient()
        self.environment = clean_environment(
            MLFLOW_TRACKING_URI=uri,
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="2",
            MODEL_SERVER_URL="http://models.example:81",
        )
        # uv looks for the Python that MLflow runs on, and not in virtual environments.
        self.environment["PATH"] = f"{BIN}:{self.environment['PATH']}:{sys.base_prefix}/bin"

    def command(
        self,
        experiment: str,
        manager: str = "local",
        entry: str = "main",
        arguments: Sequence[str] = (),
        **parameters: object,
    ) -> list[str]:
        """What a user types; `arguments` are more of the same."""
        command = ["mlflow", "run", str(self.project), "--env-manager", manager]
        command += ["--entry-point", entry, "--experiment-name", experiment]
        command += ["--storage-dir", str(self.folder), *arguments]
        for name, value in parameters.items():
            command += ["-P", f"{name}={value}"]
        return command

    def run(self, experiment: str, manager: str = "local", **asked: object) -> tuple[int, str, Run]:
        """Exit status of the `command`, all that was printed, and the run as recorded: the parent,
        if it has children."""
        environment = {**self.environment, "MLFLOW_ENV_ROOT": str(self.folder / manager)}
        command = self.command(experiment, manager, **asked)
        status, output = _run_mlflow(command, self.folder, environment)
        recorded = self.client.get_experiment_by_name(experiment)
        assert recorded, output
        runs = self.client.search_runs([recorded.experiment_id])
        (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
        return status, output, parent


def _run_mlflow(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> tuple[int | None, str]:
    """Exit status and output of the program `mlflow`, forked where it is imported already."""
    with tempfile.NamedTemporaryFile() as file:
        output = Path(file.name)
        # Importing it takes longer than most of what it is asked for in tests. Said here, since a
        # project's module says otherwise when it is imported, for all of this process.
        _COMMANDS.set_forkserver_preload(["mlflow.cli"])
        process = _COMMANDS.Process(target=_mlflow, args=(command, folder, environment, output))
        process.start()
        try:
            process.join()
        finally:
            process.kill()
        return process.exitcode, output.read_text()


def _mlflow(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path
) -> None:
    from mlflow.cli import cli

    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(command)
    cli()


def assert_all_ran(output: str) -> None:
    """What `make projects` printed: every run is done, and every model has answered."""
    outcomes = dict(re.findall(r"^(\S.*?) {2,}(\S.*)$", output, re.MULTILINE))
    for run in RUNS:
        outcome = outcomes[str(run)]
        assert outcome.startswith("done in "), output
        if run.project not in WITHOUT_A_MODEL:
            assert '{"predictions": [' in outcome, output
