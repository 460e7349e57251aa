"""What is answered when the database refuses or fails, in plain words.

Its own words, and SQLAlchemy's around them, hold statements and what clients sent. They are
replaced where they arise, so that neither an answer nor a traceback in the log has them, whichever
of MLflow's stores asked.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, has_request_context, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    StatementError,
)

logger = logging.getLogger(__name__)

SILENT = "The backend store does not answer; see the tracking server's log."
# By PostgreSQL's code. MLflow tries again where it reads "deadlock".
BY_CODE = {
    "23503": "What the request refers to is not there.",
    "23505": "What the request would make is there already.",
    "40P01": "The backend store ended a deadlock; try again.",
    "22001": "A text in the request is too long for its field.",
    "22003": "A number in the request is too large to be stored.",
    "22021": "A text in the request is not one that the backend store can hold.",
}
OF_SQLITE = {"UNIQUE constraint": "23505", "FOREIGN KEY constraint": "23503"}
TOO_LARGE = "54"
"""PostgreSQL's class of codes for what goes beyond its own limits."""
SURROGATE = re.compile("[\ud800-\udfff]")
BEFORE: dict[type[Exception], tuple[Callable[[Any], object], str]] = {
    UnicodeError: (
        lambda value: isinstance(value, str) and SURROGATE.search(value),
        "holds half of a surrogate pair (U+D800 to U+DFFF)",
    ),
    OverflowError: (
        lambda value: str(value).lstrip("-").isdecimal() and abs(int(value)) >= 2**63,
        "is too large a number",
    ),
    ValueError: (
        lambda value: isinstance(value, str) and "\0" in value,
        "holds the character NUL (U+0000)",
    ),
}
"""What drivers raise before the database is asked: which values they refuse, and why."""
NUMBERED = re.compile(r"(__?m?\d+|\[\d+\])+$")
"""What SQLAlchemy appends to a column's name, to tell parameters apart."""


def register(flask: Flask) -> None:
    """Listen to every engine, and answer what MLflow's stores let through."""
    if not event.contains(Engine, "handle_error", _tell):
        event.listen(Engine, "handle_error", _tell)
    flask.register_error_handler(OperationalError, _unanswered)


def _tell(context: ExceptionContext) -> Exception | None:
    """What is raised in its place: MLflow's error for what cannot be stored, else the same one in
    other words."""
    cause, error = context.original_exception, context.sqlalchemy_exception
    if error is None:
        return _refused(cause, context)
    code = getattr(cause, "pgcode", None) or ""
    where = getattr(cause, "diag", None)
    names = [getattr(where, name, None) for name in ("table_name", "constraint_name")]
    # Without a statement, a connection has failed: that holds no client's value.
    said = "" if context.statement else str(cause).strip().splitlines()[:1]
    told = " ".join(filter(None, [type(cause).__name__, code, *names, *said]))
    # That there is one already is no failure of anything: MLflow tries and looks.
    level = logging.INFO if isinstance(error, IntegrityError) else logging.WARNING
    logger.log(level, "backend store: %s", told)
    text = _plain(error, code, str(cause))
    cause.args = (text,)
    error.args, error.statement, error.params, error.code = (text,), None, None, None
    error.add_detail = _nothing  # type: ignore[method-assign]  # on how SQLAlchemy came to it
    if code.startswith(TOO_LARGE):
        return _invalid("The request is too large or too complex for the backend store.")
    return None


def _nothing(msg: str) -> None:
    """In place of what would add to an error."""


def _plain(error: StatementError, code: str, said: str) -> str:
    if code in BY_CODE:
        return BY_CODE[code]
    for words, same in OF_SQLITE.items():
        if said.startswith(words):
            return BY_CODE[same]
    if isinstance(error, (OperationalError, InterfaceError)):
        return SILENT
    return "The backend store refuses the request."


def _refused(cause: BaseException, context: ExceptionContext) -> MlflowException | None:
    """What names the field of the request that a driver refuses, else the statement's parameter."""
    kind = next((kind for kind in BEFORE if isinstance(cause, kind)), None)
    if kind is None:
        return None
    refuses, why = BEFORE[kind]
    names = [name for name, value in _parts(context.parameters) if refuses(value)]
    if not names:
        return None
    column = NUMBERED.sub("", names[0])  # nothing on SQLite: they have numbers alone
    field = next((name for name, value in _asked() if refuses(value)), column)
    what = f"`{field[:100]}`" if field else "A value"
    return _invalid(f"{what} {why}, which the backend store cannot hold.")


def _asked() -> Iterator[tuple[str, Any]]:
    """Values in the request with their places; none where it is none of Flask's."""
    if has_request_context():
        yield from request.args.items()
        yield from _parts(request.get_json(force=True, silent=True))


def _parts(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _parts(part, f"{place}.{name}" if place else str(name))
            yield place or str(name), name
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            yield from _parts(part, f"{place}[{number}]")
    else:
        yield place, value


def _invalid(message: str) -> MlflowException:
    return MlflowException(message, INVALID_PARAMETER_VALUE)


def _unanswered(_: Exception) -> tuple[dict[str, str], int]:
    """MLflow says 503 when a connection is lost, save where that shows in undoing a transaction
    within another: then Flask would answer a bare 500."""
    return {"error_code": "TEMPORARILY_UNAVAILABLE", "message": SILENT}, 503
