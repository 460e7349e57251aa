"""Reading one thing by its name: what waits is looked up together, a kind by a statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tracking_server.fast import data, entities, registry
from tracking_server.fast.connection import connect

EXPERIMENT = f"""'{{"experiment":' || {entities.EXPERIMENT} || '}}'"""
RUN = "run"
FOUND = {
    RUN: f"""SELECT r.run_uuid, {entities.RUN}
        FROM runs r WHERE r.run_uuid = ANY ($1) AND {entities.WHOLE_RUN}""",
    "experiment": f"""SELECT e.experiment_id::text, {EXPERIMENT}
        FROM experiments e WHERE e.experiment_id = ANY ($1::integer[])""",
    "experiment_by_name": f"""SELECT e.name, {EXPERIMENT}
        FROM experiments e WHERE e.name = ANY ($1)""",
    **registry.FOUND,
    "experiment_of_run": """SELECT run_uuid, experiment_id::text
        FROM runs WHERE run_uuid = ANY ($1)""",
    "experiment_of_name": """SELECT name, experiment_id::text
        FROM experiments WHERE name = ANY ($1)""",
}
"""Statements for keys, $1: each key that there is, and its answer; of runs all but the data."""


class Lookup(NamedTuple):
    """What is asked for: kind is one of FOUND's."""

    kind: str
    key: str


class Lookups:
    """A connection for them. To make it may raise anything of psycopg2's."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn, read_only=True)
        self.close = self._connection.close
        with self._connection.cursor() as cursor:
            for kind, statement in FOUND.items():
                cursor.execute(f"PREPARE {kind} (text[]) AS {statement}")

    def do(self, items: Sequence[Lookup]) -> Sequence[bytes | None]:
        """See Store: the answers."""
        answers: dict[Lookup, bytes] = {}
        with self._connection.cursor() as cursor:
            for kind in {item.kind for item in items}:
                keys = [item.key for item in set(items) if item.kind == kind]
                cursor.execute(f"EXECUTE {kind} (%s)", (keys,))
                rows = cursor.fetchall()
                texts = [text.encode() for _, text in rows]
                if kind == RUN:
                    runs = data.whole(cursor, [data.Run(*row) for row in rows])
                    texts = [b'{"run":%b}' % run for run in runs]
                for (key, _), text in zip(rows, texts, strict=True):
                    answers[Lookup(kind, key)] = text
        self._connection.rollback()
        return [answers.get(item) for item in items]
