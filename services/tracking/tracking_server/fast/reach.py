"""How far the fast path reaches with some settings."""

from __future__ import annotations

from tracking_server.settings import POSTGRES, Settings


def reach(settings: Settings) -> str:
    """What `/readyz` says of it: on, and for what, or off and why."""
    if reason := _why_off(settings):
        return f"off: {reason}"
    return "on" if settings.on_postgres else "on for what logs: others need PostgreSQL"


def is_on(settings: Settings) -> bool:
    """Whether there is any call that it answers."""
    return _why_off(settings) is None


def _why_off(settings: Settings) -> str | None:
    if not settings.fast:
        return "TRACKING_FAST=false"
    if settings.logins and not (settings.on_postgres and settings.logins.startswith(POSTGRES)):
        return "with logins it needs PostgreSQL for both databases"
    return None
