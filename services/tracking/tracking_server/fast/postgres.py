"""The statements on PostgreSQL. Each does one kind of rows, of runs that are active."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracking_server.fast.connection import LOCKED, Connection, Cursor, connect
from tracking_server.fast.plain import Log, without_contradictions

# The newest of a key is that of the largest step, time and value; of equal ones the first, as in
# MLflow's SqlAlchemyStore._update_latest_metrics_if_necessary. Rows are locked in one order.
PREPARED = """
PREPARE fast_metrics (text[], text[], float8[], bigint[], bigint[], boolean[]) AS
WITH given AS (
  SELECT * FROM unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY
    AS g (run_uuid, key, value, timestamp, step, is_nan, place)
), active AS (
  SELECT run_uuid FROM runs WHERE run_uuid = ANY ($1) AND lifecycle_stage = 'active'
), rows AS (
  INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
  SELECT run_uuid, key, value, timestamp, step, is_nan
  FROM given JOIN active USING (run_uuid) ORDER BY run_uuid, key
  ON CONFLICT DO NOTHING
), latest AS (
  INSERT INTO latest_metrics AS l (run_uuid, key, value, timestamp, step, is_nan)
  SELECT DISTINCT ON (run_uuid, key) run_uuid, key, value, timestamp, step, is_nan
  FROM given JOIN active USING (run_uuid)
  ORDER BY run_uuid, key, step DESC, timestamp DESC, value DESC, place
  ON CONFLICT (key, run_uuid) DO UPDATE
  SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step,
    is_nan = excluded.is_nan
  WHERE (excluded.step, excluded.timestamp, excluded.value) > (l.step, l.timestamp, l.value)
)
SELECT run_uuid FROM active;

PREPARE fast_tags (text[], text[], text[]) AS
WITH active AS (
  SELECT run_uuid FROM runs WHERE run_uuid = ANY ($1) AND lifecycle_stage = 'active'
), rows AS (
  INSERT INTO tags (run_uuid, key, value)
  SELECT run_uuid, key, value FROM unnest($1, $2, $3) AS g (run_uuid, key, value)
    JOIN active USING (run_uuid) ORDER BY run_uuid, key
  ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value
)
SELECT run_uuid FROM active;

PREPARE fast_params (text[], text[], text[]) AS
WITH given AS (
  SELECT * FROM unnest($1, $2, $3) AS g (run_uuid, key, value)
), active AS (
  SELECT run_uuid FROM runs WHERE run_uuid = ANY ($1) AND lifecycle_stage = 'active'
), rows AS (
  INSERT INTO params (run_uuid, key, value)
  SELECT run_uuid, key, value FROM given JOIN active USING (run_uuid) ORDER BY run_uuid, key
  ON CONFLICT DO NOTHING
  RETURNING run_uuid, key
)
SELECT run_uuid, NULL, NULL FROM active
UNION ALL SELECT run_uuid, key, NULL FROM rows
UNION ALL SELECT p.run_uuid, p.key, p.value FROM params p JOIN given g USING (run_uuid, key);
"""


class Postgres:
    """A connection of its own. To make it may raise anything of psycopg2's."""

    def __init__(self, dsn: str) -> None:
        self._connection = _prepared(dsn)
        self.close = self._connection.close

    def do(self, logs: Sequence[Log]) -> Sequence[bool]:
        """See Store: whether each is written."""
        left = set(without_contradictions(logs))
        with self._connection.cursor() as cursor:
            while left:
                refused, broken = self._attempt(cursor, logs, sorted(left))
                left -= refused
                if not broken:
                    break
        return [place in left for place in range(len(logs))]

    def _attempt(
        self, cursor: Cursor, logs: Sequence[Log], places: Sequence[int]
    ) -> tuple[set[int], bool]:
        """Those at these places that are not written; and whether, because of them, none is."""
        kinds = {kind for place in places for kind in KINDS if getattr(logs[place], kind)}
        refused: set[int] = set()
        if len(kinds) > 1 or any(len(logs[place].params) > 1 for place in places):
            cursor.execute("BEGIN")
        for kind in KINDS:
            if kind not in kinds:
                continue
            those = [place for place in places if place not in refused]
            refused |= KINDS[kind](cursor, logs, those)
            # What has other rows beside a refused parameter must not keep those.
            if kind == "params" and any(_has_more(logs[place]) for place in refused):
                cursor.execute("ROLLBACK")
                return refused, True
        if cursor.connection.info.transaction_status:
            cursor.execute("COMMIT")
        return refused, False


def _prepared(dsn: str) -> Connection:
    connection = connect(dsn)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = %s", (LOCKED,))
        cursor.execute(PREPARED)
    return connection


def _has_more(log: Log) -> bool:
    return len(log.params) > 1


def _write_params(cursor: Cursor, logs: Sequence[Log], places: Sequence[int]) -> set[int]:
    rows = [(logs[at].run, one.key, one.value) for at in places for one in logs[at].params]
    if not rows:
        return set()
    cursor.execute("EXECUTE fast_params (%s, %s, %s)", _columns(dict.fromkeys(rows)))
    active, there = set(), {}
    given = {(run, key): value for run, key, value in rows}
    for run, key, value in cursor.fetchall():
        if key is None:
            active.add(run)
        else:  # without a value, it was made now
            there[run, key] = given[run, key] if value is None else value
    return {
        at
        for at in places
        if logs[at].params
        and (
            logs[at].run not in active
            or any(there.get((logs[at].run, one.key)) != one.value for one in logs[at].params)
        )
    }


def _write_metrics(cursor: Cursor, logs: Sequence[Log], places: Sequence[int]) -> set[int]:
    rows = [
        (logs[at].run, one.key, one.value, one.timestamp, one.step, one.is_nan)
        for at in places
        for one in logs[at].metrics
    ]
    if not rows:
        return set()
    cursor.execute("EXECUTE fast_metrics (%s, %s, %s, %s, %s, %s)", _columns(rows))
    return _of_inactive(cursor, logs, [at for at in places if logs[at].metrics])


def _write_tags(cursor: Cursor, logs: Sequence[Log], places: Sequence[int]) -> set[int]:
    last = {(logs[at].run, one.key): one.value for at in places for one in logs[at].tags}
    if not last:
        return set()
    rows = [(run, key, value) for (run, key), value in last.items()]
    cursor.execute("EXECUTE fast_tags (%s, %s, %s)", _columns(rows))
    return _of_inactive(cursor, logs, [at for at in places if logs[at].tags])


# In MLflow's order: a parameter that contradicts is found before anything else is written.
KINDS = {"params": _write_params, "metrics": _write_metrics, "tags": _write_tags}


def _of_inactive(cursor: Cursor, logs: Sequence[Log], places: Sequence[int]) -> set[int]:
    active = {run for (run,) in cursor.fetchall()}
    return {at for at in places if logs[at].run not in active}


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
