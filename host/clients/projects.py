"""`mlflow run` of the example projects, on the stack."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from host.clients import web
from host.paths import LOCAL, ROOT
from host.python import environment
from host.user import terminal
from host.user.settings import Settings
from host.user.terminal import say

PACKAGE_LINE = re.compile(r" [+-] \S+==")  # uv names each package that it installs


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


def run(settings: Settings, project: str, *arguments: str) -> str:
    """`mlflow run` of a project on the stack, from the checkout; all that it printed.

    Raises CommandError with the last line if it fails.
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
    what = f"running {project}"
    return terminal.run(
        line, what, aloud=True, hidden=PACKAGE_LINE, environment=variables, folder=ROOT
    )


def command(project: str, *arguments: str) -> list[str]:
    """What a user types."""
    return [".venv/bin/mlflow", "run", f"projects/{project}", "--env-manager", "uv", *arguments]
