"""`make demo`: from nothing to a prediction of a model that was trained, promoted and served.

A second call finds the model served and only asks it again.
"""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import subprocess
import time

from host.clients import projects, team, web
from host.commands import up
from host.paths import ROOT, shown
from host.user.alone import alone
from host.user.options import Options
from host.user.settings import Settings
from host.user.terminal import CommandError, say, step

MODEL = "wine"
PROJECT = ROOT / "projects" / MODEL
SERVED_DEADLINE = 120.0  # seconds from promotion, the cold start of a worker included


def main(options: Options) -> None:
    """Leaves the stack running."""
    settings = up.start(options)
    try:
        team.enter(settings)
        _loop(settings)
    except KeyboardInterrupt:
        say("\ninterrupted; the stack runs on: make demo continues, make down stops it")
        raise
    _summarise(settings)


def _loop(settings: Settings) -> None:
    with alone(__file__, "trains"):
        if version := _promoted(settings):
            say(f"- {MODEL} version {version} is promoted already: not training again")
        else:
            projects.run(settings, MODEL, *_training(settings))
            if not _promoted(settings):
                raise CommandError(
                    "the run ended well but promoted nothing: its last lines say why"
                )
    url, body = f"{settings.serving_url}/models/{MODEL}/invocations", _example()
    version, status = _wait_until_served(settings, url, body)
    _predict(url, body)
    if status != 200:
        raise CommandError(
            f"{MODEL} version {version} is served, but answers the demo's example with status "
            f"{status}: with a model of your own, ask for what it takes"
        )


def _alias(settings: Settings) -> str:
    return settings.services.get("SERVING_ALIAS") or "champion"


def _promoted(settings: Settings) -> str:
    """The version that carries the alias which serving follows, or "" if there is none."""
    question = f"registered-models/get?name={MODEL}"
    status, answer = web.get(f"{settings.tracking_url}/api/2.0/mlflow/{question}", timeout=30)
    if status not in (200, 404):
        raise CommandError(
            f"tracking does not say what is promoted (status {status}): make down up"
        )
    aliases = answer.get("registered_model", {}).get("aliases", [])
    versions = {alias["alias"]: alias["version"] for alias in aliases}
    return str(versions.get(_alias(settings), ""))


def _training(settings: Settings) -> tuple[str, ...]:
    """Arguments of the project's run."""
    alias = _alias(settings)
    return () if alias == "champion" else ("-P", f"alias={alias}")


def _example() -> str:
    """A request for the first row of the project's data, without the column to be predicted."""
    with (PROJECT / "data" / "wine.csv").open(newline="") as table:
        header, row, *_ = csv.reader(table)
    columns, values = header[:-1], [float(value) for value in row[:-1]]
    return json.dumps({"dataframe_split": {"columns": columns, "data": [values]}})


def _wait_until_served(settings: Settings, url: str, body: str) -> tuple[str, int]:
    """The version that answers, once it is the promoted one, and the status of its answer.

    Whoever trains at the same time may promote another version meanwhile.
    """
    deadline = time.monotonic() + SERVED_DEADLINE
    with step("waiting until the promoted version is served"):
        while True:
            version = _promoted(settings)
            status, text, headers = web.post(url, body)
            if version and headers.get("X-Model-Version") == version and _final(status):
                return version, status
            if time.monotonic() > deadline:
                where = f"see {settings.serving_url}/models"
                raise CommandError(f"version {version} is not served ({status} {text}): {where}")
            time.sleep(0.1)


def _final(status: int) -> bool:
    """Whether the same request would be answered in the same way again."""
    return status < 500 and status != 429


def _predict(url: str, body: str) -> None:
    command = ["curl", "--silent", "--show-error", url]
    command += ["--header", "content-type: application/json", "--data", body]
    if url.startswith("https:"):  # with a token, which belongs into no argument
        way = f'--cacert {shown(team.ROOT_CERTIFICATE)} --header "authorization: Bearer $TOKEN"'
        say(f"\n$ {shlex.join(command)} {way}")
        say(web.post(url, body)[1])
        return
    say(f"\n$ {shlex.join(command)}")
    if shutil.which("curl"):
        subprocess.run([*command, "--noproxy", "*"], check=True)
        say()
    else:
        _, text, _ = web.post(url, body)
        say(f"{text}\n(asked by Python, since curl is not installed)")


def _summarise(settings: Settings) -> None:
    train = shlex.join(projects.command(MODEL, *_training(settings)))
    say(f"""
Tracking   {settings.tracking_url}   runs, models, artifacts
Serving    {settings.serving_url}   /invocations, /models, /metrics

Next
  train again, promote if better   MLFLOW_TRACKING_URI={settings.tracking_url} {train} -P C=0.1
  stop, keep the data              make down
  remove the data                  make clean
  everything else                  README.md""")
