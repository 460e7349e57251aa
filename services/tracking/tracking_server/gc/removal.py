"""One item at a time: its artifacts first, then its rows, in a transaction that holds its row.

Killed in between, the item is still deleted in the users' sense: the next clean-up finds it and
goes on. The other order would leave artifacts that nothing names. As long as the row is held,
nobody can restore what is being deleted.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from tracking_server.errors import RefusedError
from tracking_server.gc import places
from tracking_server.gc.backing import Backing, needs_now
from tracking_server.gc.finding import EXPERIMENT, MODEL, RUN, Item
from tracking_server.gc.places import place


def remove(store: SqlAlchemyStore, artifact_store: str, item: Item) -> bool:
    """Delete an item for good; False if it was restored, or a version needs it, since it was found.

    Raises:
        RefusedError: the artifact store or the database does not do it; the item is still there.
    """
    try:
        with store.ManagedSessionMaker(read_only=False) as session:
            if not _hold(session, item) or _needed(session, artifact_store, item):
                return False
            for spot in item.places:
                places.remove(spot)
            _delete_rows(store, session, item)
    except MlflowException as error:
        # RefusedError raised inside arrives as the cause: MLflow's sessions wrap everything.
        cause = error.__cause__ if isinstance(error.__cause__, RefusedError) else error
        said = str(cause).strip().splitlines()[0]
        raise RefusedError(
            f"{item.kind} {item.id} is not deleted: {said}; the next clean-up goes on with it"
        ) from None
    return True


def _hold(session: Session, item: Item) -> bool:
    """Lock the item's row until the transaction ends, if users still have it deleted."""
    table, key = {
        RUN: (SqlRun, SqlRun.run_uuid),
        MODEL: (SqlLoggedModel, SqlLoggedModel.model_id),
        EXPERIMENT: (SqlExperiment, SqlExperiment.experiment_id),
    }[item.kind]
    identifier = int(item.id) if item.kind == EXPERIMENT else item.id
    # An update that changes nothing: SQLite has no other lock, and it counts the rows.
    stage = table.lifecycle_stage
    held = update(table).where(key == identifier).values(lifecycle_stage=stage)
    if item.kind != MODEL:
        held = held.where(stage == LifecycleStage.DELETED)
    if not cast(CursorResult[Any], session.execute(held)).rowcount:
        return False
    if item.kind != MODEL:
        return True
    model = session.get_one(SqlLoggedModel, item.id)
    return LifecycleStage.DELETED in (model.lifecycle_stage, model.experiment.lifecycle_stage)


def _needed(session: Session, artifact_store: str, item: Item) -> bool:
    """Whether anything has come to need the item since it was found."""
    if item.kind != EXPERIMENT:
        return needs_now(session, item.id)
    for table in (SqlRun, SqlLoggedModel):
        if session.query(table).filter(table.experiment_id == int(item.id)).first():
            return True
    location = session.get_one(SqlExperiment, int(item.id)).artifact_location
    folder = place(location, artifact_store)
    return folder is not None and Backing(session, artifact_store).below(folder) is not None


def _delete_rows(store: SqlAlchemyStore, session: Session, item: Item) -> None:
    # MLflow's methods open a session each, which would wait for ours: they join it instead.
    joined = copy.copy(store)
    joined.ManagedSessionMaker = lambda **_: nullcontext(session)
    deletes: dict[str, Callable[[str], None]] = {
        RUN: joined._hard_delete_run,
        MODEL: joined._hard_delete_logged_model,
        EXPERIMENT: joined._hard_delete_experiment,
    }
    deletes[item.kind](item.id)
