"""The same on SQLite, which lets one write at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from tracking_server.fast.plain import Log, without_contradictions

WAITS = 20.0
"""Seconds for another's transaction to end, as MLflow's own connections do."""
ACTIVE = "SELECT 1 FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'"
PARAM = "SELECT value FROM params WHERE run_uuid = ? AND key = ?"
NEW_PARAM = "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)"
POINT = """
INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
LATEST = """
INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key, run_uuid) DO UPDATE
SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step,
  is_nan = excluded.is_nan
WHERE (excluded.step, excluded.timestamp, excluded.value)
  > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)
"""
TAG = """
INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)
ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value
"""


class Sqlite:
    """A connection of its own. To make it may raise sqlite3.Error."""

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, WAITS, isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self.close = self._connection.close

    def do(self, logs: Sequence[Log]) -> Sequence[bool]:
        """See Store: whether each is written."""
        written = [False] * len(logs)
        self._connection.execute("BEGIN IMMEDIATE")
        for place in without_contradictions(logs):
            written[place] = _write(self._connection, logs[place])
        self._connection.execute("COMMIT")
        return written


def _write(connection: sqlite3.Connection, log: Log) -> bool:
    """Nobody else writes meanwhile, so that what is looked up stays so."""
    if not connection.execute(ACTIVE, (log.run,)).fetchone():
        return False
    new = []
    for param in log.params:
        there = connection.execute(PARAM, (log.run, param.key)).fetchone()
        if there is None:
            new.append((log.run, param.key, param.value))
        elif there[0] != param.value:
            return False
    points = [
        (log.run, one.key, one.value, one.timestamp, one.step, one.is_nan) for one in log.metrics
    ]
    connection.executemany(NEW_PARAM, new)
    connection.executemany(POINT, points)
    connection.executemany(LATEST, points)
    connection.executemany(TAG, [(log.run, one.key, one.value) for one in log.tags])
    return True
