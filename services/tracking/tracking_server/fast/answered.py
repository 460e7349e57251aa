"""A mark on requests that the fast path has answered, for whoever counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

MARK = "tracking_server.fast"


def mark(scope: Scope) -> None:
    """Say that the fast path answers this one."""
    scope[MARK] = True


def is_fast(scope: Scope) -> bool:
    """Whether it does."""
    return MARK in scope
