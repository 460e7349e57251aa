"""`make backup-verify`: a module of its own, as each command has."""

from stack.backup import verify as main

__all__ = ["main"]
