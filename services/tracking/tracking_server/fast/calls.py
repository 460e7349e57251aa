"""Which calls there are, and what answers each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from mlflow.store.tracking.utils.sql_trace_rollups import rollups_enabled

from tracking_server.fast import plain, queries, runs
from tracking_server.fast.group import Group
from tracking_server.fast.lookups import Lookup, Lookups
from tracking_server.fast.otlp import Exports
from tracking_server.fast.pages import Page, Pages
from tracking_server.fast.plain import Log
from tracking_server.fast.postgres import Postgres
from tracking_server.fast.runs import NewRun, Runs, Update
from tracking_server.fast.spans import Export
from tracking_server.fast.sqlite import Sqlite
from tracking_server.fast.traces import Traces
from tracking_server.settings import SQLITE, Settings

Call = Callable[[bytes], Awaitable[bytes | None]]
"""Takes the body of a POST or the query of a GET; gives the answer, or None where MLflow is to give
it. May raise ValueError for the same."""
Allows = Callable[[object], Awaitable[bool]]
"""Whether the caller may have that done; MLflow says so where it is not known for certain."""
Asked = TypeVar("Asked")

API, UI = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow"
LOGS: dict[str, Callable[[bytes], Log | None]] = {
    "/runs/log-metric": plain.log_metric,
    "/runs/log-parameter": plain.log_parameter,
    "/runs/log-batch": plain.log_batch,
    "/runs/set-tag": plain.set_tag,
}
RUNS: dict[str, Callable[[bytes], NewRun | Update | None]] = {
    "/runs/create": runs.new_run,
    "/runs/update": runs.update,
}
LOOKUPS: dict[tuple[str, str], Callable[[bytes], Lookup | None]] = {
    ("GET", "/runs/get"): queries.run,
    ("GET", "/experiments/get"): queries.experiment,
    ("GET", "/experiments/get-by-name"): queries.experiment_by_name,
    ("GET", "/registered-models/get"): queries.model,
    ("GET", "/registered-models/get-latest-versions"): queries.latest_versions,
    ("POST", "/registered-models/get-latest-versions"): queries.latest_versions_posted,
    ("GET", "/registered-models/alias"): queries.alias,
    ("GET", "/model-versions/get"): queries.version,
}
PAGES: dict[tuple[str, str], Callable[[bytes], Page | None]] = {
    ("POST", "/runs/search"): queries.search_runs,
    ("GET", "/metrics/get-history"): queries.history,
    ("GET", "/registered-models/search"): queries.search_models,
    ("GET", "/model-versions/search"): queries.search_versions,
}
PAGES_OF_UI: dict[str, Callable[[bytes], Page | None]] = {
    "/metrics/get-history-bulk": queries.histories,
    "/metrics/get-history-bulk-interval": queries.samples,
}
LOGS_AT_ONCE = 256
RUNS_AT_ONCE = 64
LOOKUPS_AT_ONCE = 64
EXPORTS_AT_ONCE = 32
READING_PAGES = 2
"""Threads of a process."""


def of(settings: Settings) -> Mapping[tuple[str, str], Call]:
    """By method and path: on PostgreSQL all, on SQLite what logs; see reach."""
    if not settings.on_postgres:
        return _writing(partial(Sqlite, settings.backend_store.removeprefix(SQLITE)), _everybody)
    dsn = _dsn(settings.backend_store)
    lookups: Group[Lookup, bytes] = Group(partial(Lookups, dsn), LOOKUPS_AT_ONCE)
    changed: Group[NewRun | Update, bytes] = Group(partial(Runs, dsn), RUNS_AT_ONCE)
    pages: Group[Page, bytes] = Group(partial(Pages, dsn), 1, READING_PAGES)
    allows: Allows = _everybody
    if settings.logins:
        from tracking_server.fast.access import Access  # MLflow's logins read their settings

        allows = Access(_dsn(settings.logins), lookups).allows
    others = {
        **{("POST", path): _do(read, changed, allows) for path, read in RUNS.items()},
        **{key: _do(read, lookups, allows) for key, read in LOOKUPS.items()},
        **{key: _do(read, pages, allows) for key, read in PAGES.items()},
    }
    of_ui = {("GET", UI + path): _do(read, pages, allows) for path, read in PAGES_OF_UI.items()}
    return {**_writing(partial(Postgres, dsn), allows), **_everywhere(others), **of_ui}


def exports(settings: Settings) -> Exports | None:
    """What stores traces: on PostgreSQL, without logins, and where MLflow sums nothing up."""
    if not settings.on_postgres or settings.logins or rollups_enabled():
        return None
    traces: Group[Export, bool] = Group(
        partial(Traces, _dsn(settings.backend_store)), EXPORTS_AT_ONCE
    )
    return Exports(traces)


def _dsn(url: str) -> str:
    return url.replace("+psycopg2", "", 1)


async def _everybody(_: object) -> bool:
    return True


def _writing(
    open_store: Callable[[], Postgres | Sqlite], allows: Allows
) -> dict[tuple[str, str], Call]:
    logs: Group[Log, bool] = Group(open_store, LOGS_AT_ONCE)
    return _everywhere({("POST", path): _write(read, logs, allows) for path, read in LOGS.items()})


def _everywhere(calls: Mapping[tuple[str, str], Call]) -> dict[tuple[str, str], Call]:
    return {
        (method, api + path): call for (method, path), call in calls.items() for api in (API, UI)
    }


def _write(read: Callable[[bytes], Log | None], logs: Group[Log, bool], allows: Allows) -> Call:
    async def call(asked: bytes) -> bytes | None:
        log = read(asked)
        if log is None or not await allows(log):
            return None
        return b"{}" if await logs.do(log) else None

    return call


def _do(read: Callable[[bytes], Asked | None], group: Group[Asked, bytes], allows: Allows) -> Call:
    async def call(asked: bytes) -> bytes | None:
        item = read(asked)
        return None if item is None or not await allows(item) else await group.do(item)

    return call
