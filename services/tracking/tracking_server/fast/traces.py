"""Traces on PostgreSQL: the requests that wait are one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mlflow.entities.trace_state import TraceState
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracing.constant import SpansLocation, TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from psycopg2.errors import LockNotAvailable
from psycopg2.extensions import TransactionRollbackError

from tracking_server.fast.connection import LOCKED, Cursor, connect
from tracking_server.fast.spans import NO_ROOT, Export

USUAL_LOCATION = "^[a-z0-9-]+:/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$"
"""Of an experiment's artifacts: what MLflow's append_to_uri_path appends to as this does."""
UNDECIDED = (NO_ROOT, TraceState.STATE_UNSPECIFIED.value)
HERE = SpansLocation.TRACKING_STORE.value
# As MLflow's SqlAlchemyStore.log_spans does it, for spans that say nothing of costs, sessions and
# users. A trace that another transaction is making is MLflow's. Rows are locked in one order.
PREPARED = f"""
PREPARE fast_spans (
  text[], integer[], bigint[], bigint[], text[], text[], text[],
  text[], text[], text[], text[], text[], text[], bigint[], bigint[], text[],
  text[], text[], text[]
) AS
WITH given AS (
  SELECT g.*, e.artifact_location
  FROM unnest($1, $2, $3, $4, $5, $6, $7) AS g (request_id, experiment_id, timestamp_ms,
      execution_time_ms, status, request_preview, response_preview)
    JOIN experiments e USING (experiment_id)
  WHERE e.lifecycle_stage = 'active' AND e.artifact_location ~ '{USUAL_LOCATION}'
), there AS MATERIALIZED (
  SELECT request_id, timestamp_ms FROM trace_info WHERE request_id = ANY ($1)
  ORDER BY request_id FOR UPDATE
), traces AS (
  INSERT INTO trace_info AS t (request_id, experiment_id, timestamp_ms, execution_time_ms, status,
    request_preview, response_preview, db_payload_generation)
  SELECT request_id, experiment_id, timestamp_ms, execution_time_ms, status,
    request_preview, response_preview, 1
  FROM given ORDER BY request_id
  ON CONFLICT (request_id) DO UPDATE SET
    timestamp_ms = least(t.timestamp_ms, excluded.timestamp_ms),
    execution_time_ms = greatest(t.timestamp_ms + t.execution_time_ms,
        excluded.timestamp_ms + excluded.execution_time_ms)
      - least(t.timestamp_ms, excluded.timestamp_ms),
    status = CASE WHEN t.status IN {UNDECIDED} AND excluded.status <> '{NO_ROOT}'
      THEN excluded.status ELSE t.status END,
    request_preview = coalesce(t.request_preview, excluded.request_preview),
    response_preview = coalesce(t.response_preview, excluded.response_preview),
    db_payload_generation = t.db_payload_generation + 1
  WHERE t.experiment_id = excluded.experiment_id
    AND EXISTS (SELECT FROM there WHERE there.request_id = t.request_id)
    AND coalesce((SELECT o.value FROM trace_tags o WHERE o.request_id = t.request_id
      AND o.key = '{TraceTagKey.SPANS_LOCATION}'), '{HERE}') = '{HERE}'
  RETURNING request_id, experiment_id, timestamp_ms
), rows AS (
  INSERT INTO spans (trace_id, experiment_id, span_id, parent_span_id, name, type, status,
    start_time_unix_nano, end_time_unix_nano, content)
  SELECT request_id, experiment_id, span_id, parent, name, type, status, starts, ends, content
  FROM unnest($8, $9, $10, $11, $12, $13, $14, $15, $16) AS g (request_id, span_id, parent, name,
      type, status, starts, ends, content)
    JOIN traces USING (request_id)
  ORDER BY request_id, span_id
  ON CONFLICT (trace_id, span_id) DO UPDATE SET
    experiment_id = excluded.experiment_id, parent_span_id = excluded.parent_span_id,
    name = excluded.name, type = excluded.type, status = excluded.status,
    start_time_unix_nano = excluded.start_time_unix_nano,
    end_time_unix_nano = excluded.end_time_unix_nano, content = excluded.content,
    input_cost = NULL, output_cost = NULL, total_cost = NULL,
    model_name = NULL, model_provider = NULL
), tags AS (
  INSERT INTO trace_tags AS o (request_id, key, value)
  SELECT * FROM (
    SELECT request_id, '{MLFLOW_ARTIFACT_LOCATION}' AS key,
      artifact_location || '/{SqlAlchemyStore.TRACE_FOLDER_NAME}/' || request_id
        || '/{SqlAlchemyStore.ARTIFACTS_FOLDER_NAME}' AS value
    FROM traces JOIN given USING (request_id)
    WHERE request_id NOT IN (SELECT request_id FROM there)
    UNION ALL SELECT request_id, '{TraceTagKey.SPANS_LOCATION}', '{HERE}' FROM traces
    UNION ALL SELECT request_id, key, value
    FROM unnest($17, $18, $19) AS g (request_id, key, value) JOIN traces USING (request_id)
  ) AS rows ORDER BY request_id, key
  ON CONFLICT (request_id, key) DO UPDATE SET value = excluded.value
  WHERE o.key <> '{TraceTagKey.SPANS_LOCATION}'
), assessed AS (
  UPDATE assessments a SET trace_timestamp_ms = traces.timestamp_ms
  FROM traces JOIN there USING (request_id)
  WHERE a.trace_id = traces.request_id AND there.timestamp_ms > traces.timestamp_ms
)
SELECT request_id FROM traces
"""
# Planned once, for tables that are empty as for those that are large.
SETTINGS = f"""SET lock_timeout = {LOCKED}; SET jit = off; SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan"""
EXECUTE = f"EXECUTE fast_spans ({', '.join(['%s'] * 19)})"


class Traces:
    """A connection for them. To make it may raise anything of psycopg2's."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn)
        self.close = self._connection.close
        with self._connection.cursor() as cursor:
            cursor.execute(SETTINGS)
            cursor.execute(PREPARED)

    def do(self, exports: Sequence[Export]) -> Sequence[bool]:
        """See Store: whether each is stored."""
        left = set(range(len(exports)))
        with self._connection.cursor() as cursor:
            while left:
                try:
                    refused, broken = _attempt(cursor, exports, sorted(left))
                except (LockNotAvailable, TransactionRollbackError):  # whom MLflow waits for longer
                    if cursor.connection.info.transaction_status:
                        cursor.execute("ROLLBACK")
                    return [False] * len(exports)
                left -= refused
                if not broken:
                    break
        return [place in left for place in range(len(exports))]


def _attempt(
    cursor: Cursor, exports: Sequence[Export], places: Sequence[int]
) -> tuple[set[int], bool]:
    """Those at these places that are not stored; and whether, because of them, none is."""
    rounds = _rounds(exports, places)
    refused: set[int] = set()
    if len(rounds) > 1 or any(len(exports[at].traces) > 1 for at in places):
        cursor.execute("BEGIN")
    for together in rounds:
        cursor.execute(EXECUTE, _rows([exports[at] for at in together]))
        stored = {trace for (trace,) in cursor.fetchall()}
        for at in together:
            missing = [trace for trace in exports[at].traces if trace.id not in stored]
            if missing:
                refused.add(at)
            # Of one request, all traces are stored or none.
            if missing and len(missing) < len(exports[at].traces):
                cursor.execute("ROLLBACK")
                return refused, True
    if cursor.connection.info.transaction_status:
        cursor.execute("COMMIT")
    return refused, False


def _rounds(exports: Sequence[Export], places: Iterable[int]) -> list[list[int]]:
    """Those that one statement may do: no two of a trace, and a trace's in their order."""
    rounds: defaultdict[int, list[int]] = defaultdict(list)
    done: dict[str, int] = {}
    for at in places:
        ids = [trace.id for trace in exports[at].traces]
        number = max(done.get(one, 0) for one in ids)
        rounds[number].append(at)
        done.update(dict.fromkeys(ids, number + 1))
    return [rounds[number] for number in sorted(rounds)]


def _rows(exports: Sequence[Export]) -> list[list[object]]:
    traces, spans, tags = [], [], []
    for export in exports:
        for one in export.traces:
            took = one.end - one.start
            traces.append(
                (one.id, export.experiment, one.start, took, one.status, one.request, one.response)
            )
            spans += [(one.id, *span) for span in one.spans]
            tags += [(one.id, *tag) for tag in one.tags or ()]
    columns = [*zip(*traces, strict=True), *zip(*spans, strict=True)]
    columns += zip(*tags, strict=True) if tags else ((), (), ())
    return list(map(list, columns))
