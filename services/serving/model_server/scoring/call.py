"""What a request asks of the model, whatever protocol it came in."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from model_server.errors import RefusedError
from model_server.processes.wire import Request
from model_server.scoring.table import Table

Params = dict[str, Any]
"""What the signature calls params, with all defaults: the model's second argument."""


class Call:
    """A request that was read: its rows, and how its predictions are written."""

    __slots__ = ("group", "params", "request", "table", "write")

    def __init__(
        self,
        request: Request,
        table: Table,
        write: Callable[[object], bytes],
        params: Params | None = None,
        group: Hashable = None,
    ) -> None:
        self.request = request
        self.table = table
        self.write = write
        """Gets what the model returned for these rows alone. Raises RefusedError."""
        self.params = params
        """All that the model is given."""
        self.group = (group, table.layout)
        """Only calls of one group may be merged. `group` is equal where `params` are."""


class Reader(Protocol):
    """Reads the requests of one protocol."""

    def read(self, request: Request) -> Call | None:
        """The call of a request; None where it goes through `answer_alone`. Raises RefusedError."""

    def answer_alone(self, request: Request) -> bytes:
        """The body of a 200, from a prediction of its own. Raises RefusedError."""

    def failure(self, error: BaseException, request: Request) -> RefusedError:
        """The answer when the model raised `error` for the rows of a call. Logs it."""
