"""Reading many things: searches of runs, and histories of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol

import msgspec
import psycopg2
from mlflow.entities import LifecycleStage, ViewType
from mlflow.store.tracking import sqlalchemy_store
from mlflow.store.tracking.dbmodels.models import SqlRun
from mlflow.utils.search_utils import SearchUtils
from psycopg2 import InterfaceError, OperationalError
from sqlalchemy import ARRAY, Integer, Select, any_, bindparam, select
from sqlalchemy.dialects.postgresql.psycopg2 import dialect
from sqlalchemy.orm import Session

from tracking_server.fast import data, entities
from tracking_server.fast.connection import Cursor, connect
from tracking_server.fast.data import Metric

MOST_RUNS = 50_000
MOST_POINTS = 25_000
"""Of a history in bulk; its answer is cut there without a word."""
MOST_OF_A_RUN = 2500
MOST_HISTORIES = 100
"""All as MLflow has them."""
PARSED = 1000
"""Statements that are kept: notebooks and dashboards ask the same again."""

Statement = tuple[str, Mapping[str, object]]


class Page(Protocol):
    """What is asked for."""

    def statement(self) -> Statement:
        """SQL and its parameters. May raise anything, where MLflow is to say what is wrong."""

    def answer(self, cursor: Cursor) -> bytes | None:
        """JSON of the rows that it gave; None for what MLflow is to answer."""


class Pages:
    """A connection for them. To make it may raise anything of psycopg2's."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, read_only=True)
        self.close = self._connection.close

    def do(self, items: Sequence[Page]) -> Sequence[bytes | None]:
        """See Store: the answers."""
        return [self._answer(item) for item in items]

    def _answer(self, page: Page) -> bytes | None:
        try:
            statement, parameters = page.statement()
        except Exception:  # whatever MLflow raises for it, it will raise again
            return None
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return page.answer(cursor)
        except (OperationalError, InterfaceError):
            raise
        except psycopg2.Error:  # a value that the database does not take
            return None
        finally:
            self._connection.rollback()


class SearchRuns(msgspec.Struct, forbid_unknown_fields=True):
    """runs/search: the page's rows by MLflow's own clauses, and all that belongs to them."""

    experiment_ids: list[str]
    filter: str = ""
    run_view_type: Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"] = "ACTIVE_ONLY"
    max_results: int = 1000
    order_by: list[str] = []
    page_token: str = ""

    def statement(self) -> Statement:
        """See Page."""
        experiments = list(map(int, self.experiment_ids))
        of_one = len(experiments) == 1  # whose runs an index has in order
        text, parameters = _selection(self.filter, tuple(self.order_by), self.run_view_type, of_one)
        chosen = {
            "experiments": experiments[0] if of_one else experiments,
            "first": self._first(),
            "most": self.max_results + 1,  # whether there are more
        }
        return (
            f"""WITH chosen AS MATERIALIZED (
              SELECT run, row_number() OVER () AS place FROM ({text}) AS page)
            SELECT r.run_uuid, {entities.FOUND_RUN}, {entities.WHOLE_RUN}
            FROM chosen JOIN runs r ON r.run_uuid = chosen.run ORDER BY chosen.place""",
            {**parameters, **chosen},
        )

    def answer(self, cursor: Cursor) -> bytes | None:
        """See Page."""
        rows = cursor.fetchall()
        if not all(is_whole for *_, is_whole in rows):
            return None
        runs = [data.Run(run, fields) for run, fields, _ in rows[: self.max_results]]
        more = len(rows) > self.max_results
        token = token_of(self._first() + self.max_results) if more else None
        return listed("runs", data.whole(cursor, runs), token)

    def _first(self) -> int:
        return offset_of(self.page_token)


class History(msgspec.Struct):
    """metrics/get-history."""

    run: str
    key: str
    most: int | None = None
    page_token: str = ""

    def statement(self) -> Statement:
        """See Page."""
        chosen = {
            "run": self.run,
            "key": self.key,
            "first": offset_of(self.page_token),
            "most": None if self.most is None else self.most + 1,
        }
        return (
            """SELECT value, is_nan, timestamp, step FROM metrics
            WHERE run_uuid = %(run)s AND key = %(key)s
            ORDER BY timestamp, step, value OFFSET %(first)s LIMIT %(most)s""",
            chosen,
        )

    def answer(self, cursor: Cursor) -> bytes | None:
        """See Page."""
        rows = cursor.fetchall()
        points = [
            Metric(self.key, data.number(value, is_nan), timestamp, step)
            for value, is_nan, timestamp, step in rows[: self.most]
        ]
        if self.most is None or len(rows) <= self.most:
            return data.encode(data.Page(points))
        token = token_of(offset_of(self.page_token) + self.most)
        return data.encode(data.Page(points, token.decode()))


class Histories(msgspec.Struct):
    """metrics/get-history-bulk."""

    runs: list[str]
    key: str
    most: int = MOST_POINTS

    def statement(self) -> Statement:
        """See Page."""
        return (
            """SELECT run_uuid, value, is_nan, timestamp, step FROM metrics
            WHERE run_uuid = ANY (%(runs)s) AND key = %(key)s
            ORDER BY run_uuid, timestamp, step, value LIMIT %(most)s""",
            {"runs": self.runs, "key": self.key, "most": self.most},
        )

    def answer(self, cursor: Cursor) -> bytes | None:
        """See Page. MLflow writes a NaN here as JSON has none."""
        points = _of_runs(self.key, cursor)
        if any(isinstance(point.value, str) for point in points):
            return None
        return data.encode({"metrics": points})


class Samples(msgspec.Struct):
    """metrics/get-history-bulk-interval: of each run as many points as buckets, the first of each,
    but the last of the last one."""

    runs: list[str]
    key: str
    most: int = MOST_OF_A_RUN
    first_step: int | None = None
    last_step: int | None = None

    def statement(self) -> Statement:
        """See Page."""
        steps = "" if self.first_step is None else "AND step BETWEEN %(first)s AND %(last)s"
        return (
            f"""SELECT asked.run, m.value, m.is_nan, m.timestamp, m.step
            FROM unnest(%(runs)s) WITH ORDINALITY AS asked (run, place), LATERAL (
              SELECT *, max(bucket) OVER () AS buckets,
                lag(bucket) OVER w IS DISTINCT FROM bucket AS begins, lead(bucket) OVER w AS next
              FROM (
                SELECT *, ntile(%(most)s) OVER (ORDER BY step, timestamp, value, is_nan) AS bucket
                FROM metrics WHERE run_uuid = asked.run AND key = %(key)s {steps}
              ) AS points WINDOW w AS (ORDER BY step, timestamp, value, is_nan)
            ) AS m WHERE begins AND bucket < buckets OR next IS NULL
            ORDER BY asked.place, m.step, m.timestamp, m.value, m.is_nan""",
            {
                "runs": self.runs,
                "key": self.key,
                "most": self.most,
                "first": self.first_step,
                "last": self.last_step,
            },
        )

    def answer(self, cursor: Cursor) -> bytes | None:
        """See Page."""
        return data.encode(data.Page(_of_runs(self.key, cursor)))


def _of_runs(key: str, cursor: Cursor) -> list[Metric]:
    """Points for rows of a run, value, is_nan, timestamp and step."""
    return [
        Metric(key, data.number(value, is_nan), timestamp, step, run)
        for run, value, is_nan, timestamp, step in cursor.fetchall()
    ]


def page_of(statement: Select[Any]) -> Statement:
    """Of what this selects, %(most)s from %(first)s on."""
    statement = statement.offset(bindparam("first", 0)).limit(bindparam("most", 0))
    postgres = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's
    compiled = statement.compile(dialect=postgres, compile_kwargs={"render_postcompile": True})
    return str(compiled), compiled.params


def listed(name: str, items: Sequence[bytes], token: bytes | None) -> bytes:
    """A page of them; what is empty is left out, as MLflow does."""
    fields = [b'"%b":[%b]' % (name.encode(), b",".join(items))] if items else []
    if token:
        fields.append(b'"next_page_token":"%b"' % token)
    return b"{%b}" % b",".join(fields)


def token_of(offset: int) -> bytes:
    """What asks for what follows."""
    return bytes(SearchUtils.create_page_token(offset))


def offset_of(page_token: str) -> int:
    """What it asks for."""
    return int(SearchUtils.parse_start_offset_from_page_token(page_token or None))


@lru_cache(PARSED)
def _selection(filter_string: str, order_by: tuple[str, ...], view: str, of_one: bool) -> Statement:
    """Runs in order, as column `run`, of %(experiments)s, one or several, %(most)s from %(first)s
    on, as MLflow's SqlAlchemyStore._search_runs selects them."""
    session = Session()  # nothing is asked by it
    conditions = sqlalchemy_store._get_sqlalchemy_filter_clauses(
        SearchUtils.parse_search_filter(filter_string), session, "postgresql"
    )
    attributes, joins, datasets = conditions
    columns, order, sorting_joins = sqlalchemy_store._get_orderby_clauses(list(order_by), session)
    statement = select(SqlRun.run_uuid.label("run"), SqlRun.start_time, *columns)
    statement = statement.select_from(SqlRun)
    for one in joins:
        statement = statement.join(one)
    for one in datasets:
        statement = statement.join(one, SqlRun.run_uuid == one.c.destination_id)
    for one in sorting_joins:
        statement = statement.outerjoin(one)
    if datasets:  # of all else, a run has one row at most
        statement = statement.distinct()
    several = any_(bindparam("experiments", [], ARRAY(Integer)))
    experiments = bindparam("experiments", 0) if of_one else several
    stages = LifecycleStage.view_type_to_stages(ViewType.from_string(view.lower()))
    statement = statement.where(
        SqlRun.experiment_id == experiments, SqlRun.lifecycle_stage.in_(stages), *attributes
    )
    return page_of(statement.order_by(*order))
