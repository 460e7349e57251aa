"""Runs made and changed: requests that wait are one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

import msgspec
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.uri import append_to_uri_path

from tracking_server.fast import data, entities, plain
from tracking_server.fast.connection import LOCKED, Cursor, connect
from tracking_server.fast.data import Data
from tracking_server.fast.plain import Pair

LONGEST_NAME, LONGEST_USER, LONGEST_TAG = 250, 256, 8000
"""Characters, as the columns have it."""
Tags = dict[tuple[str, str], str]
"""Values by run and key."""
ACTIVE = """SELECT experiment_id::text, artifact_location FROM experiments
WHERE experiment_id = ANY (%s) AND lifecycle_stage = 'active'"""
# Values as MLflow's SqlAlchemyStore.create_run has them.
PREPARED = f"""
PREPARE fast_new_run (text, text, integer, text, bigint, text) AS
INSERT INTO runs AS r (run_uuid, name, experiment_id, user_id, start_time, artifact_uri, status,
  source_type, source_name, entry_point_name, source_version, lifecycle_stage)
VALUES ($1, $2, $3, $4, $5, $6, 'RUNNING', 'UNKNOWN', '', '', '', 'active')
RETURNING {entities.RUN_INFO}::text;

PREPARE fast_update (text, text, bigint, text) AS
UPDATE runs AS r SET status = coalesce($2, status), end_time = coalesce($3, end_time),
  name = coalesce($4, name)
WHERE run_uuid = $1 AND lifecycle_stage = 'active' AND {entities.WHOLE_RUN}
RETURNING {entities.RUN_INFO}::text;

PREPARE fast_tags (text[], text[], text[]) AS
INSERT INTO tags (run_uuid, key, value) SELECT * FROM unnest($1, $2, $3)
ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value;
"""


class NewRun(msgspec.Struct, forbid_unknown_fields=True):
    """runs/create."""

    experiment_id: str
    user_id: str = ""
    start_time: int = 0
    run_name: str = ""
    tags: list[Pair] = []


class Update(msgspec.Struct, forbid_unknown_fields=True):
    """runs/update."""

    run_id: str
    run_uuid: str = ""
    status: Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"] | None = None
    end_time: int | None = None
    run_name: str = ""


class Runs:
    """A connection for them. To make it may raise anything of psycopg2's."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn)
        self.close = self._connection.close
        with self._connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = %s", (LOCKED,))
            cursor.execute(PREPARED)

    def do(self, items: Sequence[NewRun | Update]) -> Sequence[bytes | None]:
        """See Store: the answers."""
        answers: dict[int, bytes | None] = {}
        tags: Tags = {}
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            new = {int(item.experiment_id) for item in items if isinstance(item, NewRun)}
            cursor.execute(ACTIVE, (list(new),))
            locations: dict[str, str] = dict(cursor.fetchall())
            # Rows are locked in one order, whoever else does the same.
            for at, item in sorted(enumerate(items), key=_locked):
                if isinstance(item, Update):
                    answers[at] = _update(cursor, item, tags)
                elif item.experiment_id in locations:
                    answers[at] = _create(cursor, item, locations[item.experiment_id], tags)
            if tags:
                rows = [(run, key, text) for (run, key), text in sorted(tags.items())]
                columns = list(map(list, zip(*rows, strict=True)))
                cursor.execute("EXECUTE fast_tags (%s, %s, %s)", columns)
            cursor.execute("COMMIT")
        return [answers.get(at) for at in range(len(items))]


def new_run(body: bytes) -> NewRun | None:
    """What is plain of runs/create."""
    asked = _NEW.decode(body)
    if (
        not plain.is_number(asked.experiment_id)
        or not 0 <= asked.start_time < 2**63
        or not plain.is_text(asked.user_id, LONGEST_USER)
        or not plain.is_text(asked.run_name, LONGEST_NAME)
        or len({tag.key for tag in asked.tags}) < len(asked.tags)
        or not all(tag.key and plain.is_text(tag.key, LONGEST_NAME) for tag in asked.tags)
        or not all(plain.is_text(tag.value, LONGEST_TAG) for tag in asked.tags)
    ):
        return None
    for tag in asked.tags:
        if tag.key == MLFLOW_RUN_NAME:
            if not tag.value or asked.run_name not in ("", tag.value):
                return None
            asked.run_name = tag.value
    return asked if len(asked.run_name) <= LONGEST_NAME else None


def update(body: bytes) -> Update | None:
    """What is plain of runs/update."""
    asked = _UPDATE.decode(body)
    end = asked.end_time
    if (
        not asked.run_id
        or asked.run_uuid not in ("", asked.run_id)
        or (end is None and asked.status is None and not asked.run_name)
        or not (end is None or 0 < end < 2**63)
        or not plain.is_text(asked.run_id, LONGEST_NAME)
        or not plain.is_text(asked.run_name, LONGEST_NAME)
    ):
        return None
    return asked


_NEW = msgspec.json.Decoder(NewRun)
_UPDATE = msgspec.json.Decoder(Update)


def _locked(place: tuple[int, NewRun | Update]) -> str:
    item = place[1]
    return item.run_id if isinstance(item, Update) else ""


def _create(cursor: Cursor, item: NewRun, location: str, tags: Tags) -> bytes:
    run = uuid.uuid4().hex
    folder = append_to_uri_path(location, run, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME)
    name = item.run_name or _generate_random_name()
    own = {tag.key: tag.value for tag in item.tags} | {MLFLOW_RUN_NAME: name}
    values = (run, name, int(item.experiment_id), item.user_id, item.start_time, folder)
    cursor.execute("EXECUTE fast_new_run (%s, %s, %s, %s, %s, %s)", values)
    ((info,),) = cursor.fetchall()
    tags.update({(run, key): text for key, text in own.items()})
    shown = data.encode(Data(tags=[data.Pair(key, text) for key, text in own.items()]))
    return b'{"run":{"info":%b,"data":%b,"inputs":{}}}' % (info.encode(), shown)


def _update(cursor: Cursor, item: Update, tags: Tags) -> bytes | None:
    name = item.run_name or None
    values = (item.run_id, item.status, item.end_time, name)
    cursor.execute("EXECUTE fast_update (%s, %s, %s, %s)", values)
    row = cursor.fetchone()
    if row is None:
        return None
    if name:
        tags[item.run_id, MLFLOW_RUN_NAME] = name
    return b'{"run_info":%b}' % row[0].encode()
