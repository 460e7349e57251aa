"""How far the fast path reaches with some settings."""

from __future__ import annotations

from tracking_server.settings import POSTGRES, Settings

ON, ON_SQLITE = "on", "on for what logs: others need PostgreSQL"


def reach(settings: Settings) -> str:
    """What `/readyz` says of it: on, for whom, or off and why."""
    if not settings.fast:
        return "off: TRACKING_FAST=false"
    if settings.logins and not (settings.on_postgres and settings.logins.startswith(POSTGRES)):
        return "off: with logins it needs PostgreSQL for both databases"
    return ON if settings.on_postgres else ON_SQLITE


def is_on(settings: Settings) -> bool:
    """Whether there is any call that it answers."""
    return reach(settings).startswith(ON)
