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
            cause: BaseException | None = error
            if isinstance(error, MlflowException) and error.error_code == INTERNAL:
                cause = error.__cause__  # MLflow's sessions wrap whatever is raised in them
                if cause is None:  # its own words, without the code that says whose fault it is
                    raise MlflowException(error.message, INVALID_PARAMETER_VALUE) from None
            if not isinstance(cause, KINDS):
                raise
            logger.error("%s", search.__name__, exc_info=cause)
            said = (str(cause).splitlines() or [type(cause).__name__])[0][:LONGEST]
            raise MlflowException(
                "The filter, the order or the page token of the search is not understood, expected "
                f"comparisons as in \"tags.k = 'v'\": {said}",
                INVALID_PARAMETER_VALUE,
            ) from None

    return told
