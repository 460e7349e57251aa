"""What lies in the database before the load, written by SQL: the same rows for every server."""

import hashlib
from dataclasses import dataclass

from benchmarks.storage import Server
from harness.postgres import Postgres

SEARCHED, WRITTEN, LONG, MANY, CREATED = EXPERIMENTS = (
    "searched",
    "written",
    "long",
    "many",
    "created",
)
TARGETS = 1000  # runs that are written to
MODELS, VERSIONS = 20, 50
ALIAS = "champion"

EXPERIMENT = """
INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,
                         last_update_time)
VALUES ({id}, '{name}', 'mlflow-artifacts:/{id}', 'active', {id}, {id})
"""
# Of each run 10 parameters, 6 tags and 10 metrics with a point each.
RUNS = """
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,
                  start_time, end_time, source_version, lifecycle_stage, artifact_uri,
                  experiment_id)
SELECT md5('{name} ' || i), 'run-' || i, 'UNKNOWN', '', '', 'someone', 'FINISHED',
       1700000000000 + i, 1700000060000 + i, '', 'active',
       'mlflow-artifacts:/{id}/' || md5('{name} ' || i) || '/artifacts', {id}
FROM generate_series({first}, {runs} - 1) i;
INSERT INTO params (run_uuid, key, value)
SELECT md5('{name} ' || i), 'parameter_' || k, (i * k % 997)::text
FROM generate_series({first}, {runs} - 1) i, generate_series(0, 9) k;
INSERT INTO tags (run_uuid, key, value)
SELECT md5('{name} ' || i), key, value
FROM generate_series({first}, {runs} - 1) i,
     LATERAL (VALUES ('mlflow.runName', 'run-' || i), ('mlflow.user', 'someone'),
                     ('mlflow.source.name', 'train.py'), ('mlflow.source.type', 'LOCAL'),
                     ('team', 'team ' || i % 7), ('stage', 'trial')) AS made (key, value);
INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
SELECT md5('{name} ' || i), 'metric_' || k, (i * (k + 1) % 101) / 101.0, 1700000000000 + i, 0, false
FROM generate_series({first}, {runs} - 1) i, generate_series(0, 9) k;
INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
SELECT md5('{name} ' || i), 'metric_' || k, (i * (k + 1) % 101) / 101.0, 1700000000000 + i, 0, false
FROM generate_series({first}, {runs} - 1) i, generate_series(0, 9) k
"""
HISTORY = """
INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
SELECT md5('{name} 0'), 'loss', 1.0 / (i + 1), 1700000000000 + i, i, false
FROM generate_series(0, {points} - 1) i;
INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan)
VALUES (md5('{name} 0'), 'loss', 1.0 / {points}, 1700000000000 + {points} - 1, {points} - 1, false)
"""
# Of each trace 4 tags and metadata, and 5 spans.
TRACES = """
INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status,
                        request_preview, response_preview, db_payload_generation)
SELECT 'tr-' || md5('{name} ' || i), {id}, 1700000000000 + i, i % 1000, 'OK', '{{"question": "?"}}',
       '"an answer"', 0
FROM generate_series({first}, {traces} - 1) i;
INSERT INTO trace_tags (request_id, key, value)
SELECT 'tr-' || md5('{name} ' || i), key, value
FROM generate_series({first}, {traces} - 1) i,
     LATERAL (VALUES ('mlflow.traceName', 'answer'), ('team', 'team ' || i % 7))
       AS made (key, value);
INSERT INTO trace_request_metadata (request_id, key, value)
SELECT 'tr-' || md5('{name} ' || i), key, value
FROM generate_series({first}, {traces} - 1) i,
     LATERAL (VALUES ('mlflow.trace_schema.version', '3'), ('mlflow.user', 'someone'))
       AS made (key, value);
INSERT INTO spans (trace_id, experiment_id, span_id, parent_span_id, name, type, status,
                   start_time_unix_nano, end_time_unix_nano, content)
SELECT 'tr-' || md5('{name} ' || i), {id}, 'span ' || s, nullif('span ' || s - 1, 'span -1'),
       'step ' || s, 'CHAIN', 'OK', 1700000000000000000 + i, 1700000000000000100 + i, '{{}}'
FROM generate_series({first}, {traces} - 1) i, generate_series(0, 4) s
"""
REGISTRY = """
INSERT INTO registered_models (name, creation_time, last_updated_time)
SELECT 'model-' || i, i, i FROM generate_series(0, {models} - 1) i;
INSERT INTO model_versions (name, version, creation_time, last_updated_time, current_stage, source,
                            run_id, status)
SELECT 'model-' || i, v, v, v, 'None', 'mlflow-artifacts:/1/models/m-' || i || '-' || v, '',
       'READY'
FROM generate_series(0, {models} - 1) i, generate_series(1, {versions}) v;
INSERT INTO model_version_tags (name, version, key, value)
SELECT name, version, key, 'on' FROM model_versions,
       LATERAL (VALUES ('serving.batch'), ('reviewed')) AS made (key);
INSERT INTO registered_model_aliases (name, version, alias)
SELECT name, {versions}, '{alias}' FROM registered_models
"""
RUNS_OF = "SELECT run_uuid FROM runs WHERE experiment_id = {id} ORDER BY start_time"
NEXT = "SELECT setval('experiments_experiment_id_seq', 100)"


@dataclass(frozen=True)
class Sizes:
    """How much there is: runs that are searched, points of one metric, runs for the script."""

    runs: int
    points: int
    many: int


def fill(postgres: Postgres, server: Server, sizes: Sizes) -> None:
    """Write everything into a server's database, which has nothing but its tables yet."""
    statements = [NEXT, REGISTRY.format(models=MODELS, versions=VERSIONS, alias=ALIAS)]
    for name, runs in zip(EXPERIMENTS, (sizes.runs, TARGETS, 1, sizes.many, 0), strict=True):
        names = {"id": experiment(name), "name": name, "first": 0, "runs": runs}
        statements += [text.format(**names) for text in (EXPERIMENT, RUNS)]
    statements.append(HISTORY.format(name=LONG, points=sizes.points))
    postgres.execute(";".join(statements), server.database)
    postgres.execute("VACUUM ANALYZE", server.database)


def grow(postgres: Postgres, server: Server, there: int, runs: int) -> None:
    """Add to the runs that are searched, and a tenth as many traces."""
    names = {"id": experiment(SEARCHED), "name": SEARCHED}
    statements = [
        RUNS.format(**names, first=there, runs=runs),
        TRACES.format(**names, first=there // 10, traces=runs // 10),
    ]
    postgres.execute(";".join(statements), server.database)
    postgres.execute("VACUUM ANALYZE", server.database)


def run_of(name: str, number: int) -> str:
    """The id of one of an experiment's runs."""
    return hashlib.md5(f"{name} {number}".encode(), usedforsecurity=False).hexdigest()


def experiment(name: str) -> int:
    """The id of one of the experiments."""
    return EXPERIMENTS.index(name) + 1


def runs(postgres: Postgres, server: Server, name: str) -> list[str]:
    """The ids of an experiment's runs, in the order of their making."""
    query = RUNS_OF.format(id=experiment(name))
    return [run for (run,) in postgres.execute(query, server.database)]
