"""400 to searches that MLflow trips over, where it answers a 500 that its client tries again.

Its stores read filters, orders and page tokens by hand; what they raise on the way is about these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, ErrorCode

from tracking_server.http.malformed import CONVERSION, LONGEST

logger = logging.getLogger(__name__)

PREFIXES = ("search_", "list_", "query_")
"""Of the methods that read such texts."""
KINDS = (*CONVERSION, IndexError, NameError, NotImplementedError, RecursionError)
INTERNAL = ErrorCode.Name(INTERNAL_ERROR)

NOT_UNDERSTOOD = (
    "The filter, the order or the page token of the search is not understood, expected comparisons "
    "as in \"tags.k = 'v'\""
)

Store = TypeVar("Store", bound=type)


def legible(store: Store) -> Store:
    """Decorate a class of MLflow's stores."""
    for name in dir(store):
        if name.startswith(PREFIXES):
            setattr(store, name, _told(getattr(store, name)))
    return store


def _told(search: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(search)
    def told(*arguments: Any, **named: Any) -> Any:
        try:
            return search(*arguments, **named)
        except Exception as error:
            if refusal := tripped(error, NOT_UNDERSTOOD):
                raise refusal from None
            raise

    return told


def tripped(error: Exception, what: str) -> MlflowException | None:
    """The refusal of a request that a store of MLflow's trips over, which begins with `what`; None
    of all other errors."""
    cause: BaseException | None = error
    if isinstance(error, MlflowException) and error.error_code == INTERNAL:
        cause = error.__cause__  # MLflow's sessions wrap whatever is raised in them
        if cause is None:  # its own words, without the code that says whose fault it is
            return MlflowException(error.message, INVALID_PARAMETER_VALUE)
    if not isinstance(cause, KINDS):
        return None
    logger.error("%s", what, exc_info=cause)
    said = (str(cause).splitlines() or [type(cause).__name__])[0][:LONGEST]
    return MlflowException(f"{what}: {said}", INVALID_PARAMETER_VALUE)
