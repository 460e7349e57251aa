"""`make projects`: run every example project on the stack, and ask what each of them has served.

K=wine runs those of that name only. T5=FOLDER takes the summarizer from there, not from the hub.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from host import environment, team, up, web
from host.paths import LOCAL, ROOT
from host.settings import Settings
from host.terminal import StackError, run_loudly, say, step

PACKAGE_LINE = re.compile(r" [+-] \S+==")  # uv names each package that it installs
ASK = re.compile(r"^try it +(curl .*)$", re.MULTILINE)
SERVED_DEADLINE = 180.0  # seconds; a model may need an environment of its own, which is built then


@dataclass(frozen=True)
class Run:
    """One `mlflow run` of a project: arguments as in the project's README."""

    project: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join([self.project, *self.arguments])


RUNS = (
    Run("wine"),
    Run("validation", ("-P", "filename=data/clean.csv")),
    Run("validation", ("-e", "train", "-P", "filename=../wine/data/wine.csv")),
    Run("tuning"),
    Run("registry", ("-e", "show", "-P", "name=wine")),
    Run("huggingface"),
    Run("huggingface", ("-e", "summarizer")),
)


def main() -> int:
    wanted = [run for run in RUNS if os.environ.get("K", "") in run.project]
    if not wanted:
        known = dict.fromkeys(run.project for run in RUNS)
        raise StackError(f"K: expected one of {', '.join(known)}")
    settings = up.start()
    team.enter(settings)
    outcomes: dict[Run, str] = {}
    try:
        for run in wanted:
            outcomes[run] = _outcome(settings, run)
    finally:
        _summarise(outcomes)
    return 0 if all(outcome.startswith("done") for outcome in outcomes.values()) else 1


def run(settings: Settings, project: str, *arguments: str) -> str:
    """`mlflow run` of a project on the stack, from the checkout; all that it printed.

    Raises StackError with the last line if it fails.
    """
    environment.ensure(environment.HOST)
    line = command(project, *arguments)
    say(f"\n$ MLFLOW_TRACKING_URI={settings.tracking_url} {shlex.join(line)}")
    variables = {
        **environment.clean_variables(),
        "MLFLOW_TRACKING_URI": settings.tracking_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MODEL_SERVER_URL": settings.serving_url,
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONUNBUFFERED": "1",
    }
    # MLflow names the folder to a shell without quotes: where that cannot work, its own default.
    if shlex.quote(str(LOCAL)) == str(LOCAL):
        variables["MLFLOW_ENV_ROOT"] = str(LOCAL / "environments")
    variables |= web.LOGIN
    variables |= web.past_proxies(variables, settings.host)
    return run_loudly(
        line, f"running {project}", environment=variables, folder=ROOT, hidden=PACKAGE_LINE
    )


def command(project: str, *arguments: str) -> list[str]:
    return [".venv/bin/mlflow", "run", f"projects/{project}", "--env-manager", "uv", *arguments]


def _outcome(settings: Settings, wanted: Run) -> str:
    """What came of a run, in one line."""
    started = time.monotonic()
    try:
        said = run(settings, wanted.project, *wanted.arguments, *_source(wanted))
        answer = _ask(found[1]) if (found := ASK.search(said)) else ""
    except StackError as error:
        return f"FAILED: {error}"
    return f"done in {time.monotonic() - started:.0f} s{f': {answer}' if answer else ''}"


def _source(wanted: Run) -> list[str]:
    """Where the summarizer comes from, if that is said; another folder than the project's."""
    if "summarizer" not in wanted.arguments or not (folder := os.environ.get("T5")):
        return []
    return ["-P", f"source={Path(folder).resolve()}"]


def _ask(curl: str) -> str:
    """The answer to the command that a project gives, once its model is served."""
    _, url, _, _, _, body = shlex.split(curl)
    say(f"\n$ {curl}")
    deadline = time.monotonic() + SERVED_DEADLINE
    with step("waiting until the model is served"):
        while (found := web.post(url, body))[0] != 200:
            if time.monotonic() > deadline:
                raise StackError(f"its model is not served: {found[0]} {found[1]}")
            time.sleep(0.2)
    say(found[1])
    return found[1] if len(found[1]) <= 100 else f"{found[1][:100]}..."


def _summarise(outcomes: dict[Run, str]) -> None:
    say()
    for run, outcome in outcomes.items():
        say(f"{run!s:<62}{outcome}")
