"""What a request asks of the model, whatever protocol it came in."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from model_server.errors import RefusedError
from model_server.processes.wire import Request
from model_server.scoring.table import Table


class Call:
    """A request that was read: its rows, and how its predictions are written."""

    __slots__ = ("group", "params", "request", "table", "write")

    def __init__(
        self,
        request: Request,
        table: Table,
        write: Callable[[object], bytes],
        params: dict | None = None,
        group: Hashable = None,
    ) -> None:
        self.request = request
        self.table = table
        self.write = write
        """Gets what the model returned for these rows alone. Raises RefusedError."""
        self.params = params
        """As the model is given them."""
        self.group = (group, table.layout)
        """Only calls of one group may be merged. `group` is equal where `params` are."""


class Reader(Protocol):
    """Requests of one protocol."""

    def read(self, request: Request) -> Call | None:
        """None: this one goes through `answer_alone`. Raises RefusedError."""

    def answer_alone(self, request: Request) -> bytes:
        """The body of a 200. Raises RefusedError."""

    def failure(self, error: BaseException, request: Request) -> RefusedError:
        """What is answered when the model raised `error` for the rows of a call. Logs it."""
