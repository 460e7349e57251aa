"""`make up`: start the stack, and say where it is.

ROTATE=1 takes a new passphrase where the one that local data was stored under is lost.
"""

from __future__ import annotations

from dataclasses import replace

from host.clients import monitoring, team
from host.modes import checks, choice
from host.user import settings
from host.user.alone import alone
from host.user.options import Options
from host.user.settings import Settings
from host.user.terminal import say


def main(options: Options) -> None:
    """Start it, and show the addresses."""
    stack = start(options)
    say(f"\nTracking  {stack.tracking_url}\nServing   {stack.serving_url}")
    for line in [*team.explain(stack), *monitoring.explain(stack)]:
        say(line)
    say("\nmake down stops it and keeps the data")


def start(options: Options) -> Settings:
    """Bring the stack up, or stop again what was started if that fails or is interrupted.

    A second command waits for the first, and then finds its stack running. Returns the settings,
    with the ports that the stack is really reached by.
    """
    with alone(__file__, "starts the stack"):
        return _start(settings.read(), options)


def _start(stack: Settings, options: Options) -> Settings:
    chosen = choice.choose(stack)
    say(f"- {chosen.reason}")
    if not chosen.mode.OVERLAYS:
        if stack.secure:
            say("- without TLS and logins, which compose.team.yml has for Docker alone")
        if stack.watched:
            say("- without Prometheus and Grafana: compose.monitoring.yml is for Docker alone")
        stack = replace(stack, secure=False, watched=False)
    checks.check(stack, chosen)
    try:
        return chosen.mode.up(stack, options)
    except BaseException:
        if not chosen.running:
            say("- stopping what was half started; data is kept")
            chosen.mode.down()
        raise
