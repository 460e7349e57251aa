"""`make projects`: run every example project on the stack, and ask what each of them has served.

K=wine runs those of that name only. T5=FOLDER takes the summarizer from there, not from the hub.
"""

from __future__ import annotations

import re
import shlex
import time

from host.clients import projects, team, web
from host.clients.projects import RUNS, Run
from host.commands import up
from host.user.options import Options, folder
from host.user.settings import Settings
from host.user.terminal import CommandError, say, step

ASK = re.compile(r"^try it +(curl .*)$", re.MULTILINE)
SERVED_DEADLINE = 180.0  # seconds; a model may need an environment of its own, which is built then


def main(options: Options) -> int:
    """Status 0 if every run ended well, and every model answered."""
    wanted = [run for run in RUNS if options.k in run.project]
    if not wanted:
        known = dict.fromkeys(run.project for run in RUNS)
        raise CommandError(f"K: expected one of {', '.join(known)}")
    source = _source(options.t5)
    settings = up.start(options)
    team.enter(settings)
    outcomes: dict[Run, str] = {}
    try:
        for run in wanted:
            outcomes[run] = _outcome(settings, run, source)
    finally:
        _summarise(outcomes)
    return 0 if all(outcome.startswith("done") for outcome in outcomes.values()) else 1


def _outcome(settings: Settings, wanted: Run, source: list[str]) -> str:
    """What came of a run, in one line."""
    started = time.monotonic()
    try:
        arguments = [*wanted.arguments, *(source if "summarizer" in wanted.arguments else [])]
        said = projects.run(settings, wanted.project, *arguments)
        answer = _ask(match[1]) if (match := ASK.search(said)) else ""
    except CommandError as error:
        return f"FAILED: {error}"
    return f"done in {time.monotonic() - started:.0f} s{f': {answer}' if answer else ''}"


def _source(t5: str) -> list[str]:
    """Where the summarizer comes from, if that is said. Raises CommandError."""
    if not t5:
        return []
    place = folder("T5", t5)
    if not place.is_dir():
        raise CommandError(f"T5={t5}: there is no such folder")
    return ["-P", f"source={place}"]


def _ask(curl: str) -> str:
    """The answer to the command that a project gives, once its model is served."""
    _, url, _, _, _, body = shlex.split(curl)
    say(f"\n$ {curl}")
    deadline = time.monotonic() + SERVED_DEADLINE
    with step("waiting until the model is served"):
        while (answer := web.post(url, body))[0] != 200:
            if time.monotonic() > deadline:
                raise CommandError(f"its model is not served: {answer[0]} {answer[1]}")
            time.sleep(0.2)
    text = answer[1]
    say(text)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _summarise(outcomes: dict[Run, str]) -> None:
    say()
    for run, outcome in outcomes.items():
        say(f"{run!s:<62}{outcome}")
