"""`make up`: start the stack, and say where it is."""

from __future__ import annotations

from dataclasses import replace

from host import compose, doctor, environment, local, modes, monitoring, settings, team
from host.alone import alone
from host.settings import Settings
from host.terminal import say


def main() -> None:
    started = start()
    say(f"\nTracking  {started.tracking_url}\nServing   {started.serving_url}")
    for line in [*team.explain(started), *monitoring.explain(started)]:
        say(line)
    say("\nmake down stops it and keeps the data")


def start() -> Settings:
    """Bring the stack up, or stop again what was started if that fails or is interrupted.

    A second command waits for the first, and then finds its stack running. Returns the settings,
    with the ports that the stack is really reached by.
    """
    with alone(__file__, "starts the stack"):
        return _start(settings.read())


def _start(given: Settings) -> Settings:
    choice = modes.choose(given)
    say(f"- {choice.reason}")
    if choice.mode == "local" and given.secure:
        say("- without TLS and logins, which compose.team.yml has for Docker alone")
    if choice.mode == "local" and given.watched:
        say("- without Prometheus and Grafana, which compose.monitoring.yml has for Docker alone")
    if choice.mode == "local":
        given = replace(given, secure=False, watched=False)
    doctor.check(given, choice)
    if choice.mode == "local":
        environment.ensure(environment.STACK)
    try:
        if choice.mode == "local":
            local.up(given)
            return given
        compose.up()
        return compose.published(given)
    except BaseException:
        if not choice.running:
            say("- stopping what was half started; data is kept")
            (local if choice.mode == "local" else compose).down()
        raise
