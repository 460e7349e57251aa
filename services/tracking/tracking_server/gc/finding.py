"""What users have deleted: what of it can go for good, and what has to stay, with the reason."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from mlflow.entities import LifecycleStage
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlLoggedModel,
    SqlRun,
    SqlTraceInfo,
    SqlTraceTag,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from sqlalchemy import Row, func
from sqlalchemy.orm import Session

from tracking_server.backend.stores import DEFAULT_EXPERIMENT
from tracking_server.gc import places
from tracking_server.gc.backing import Backing
from tracking_server.gc.places import Usage, place

RUN, MODEL, EXPERIMENT = "run", "logged model", "experiment"
LISTINGS = 8  # asked for at one time
NOTHING = Usage()


@dataclass(frozen=True)
class Item:
    """One thing to delete. places: where its artifacts lie, with nothing else in them; usage: what
    lies there; traces: how many go with an experiment."""

    kind: str
    id: str
    name: str
    places: tuple[str, ...]
    usage: Usage = NOTHING
    traces: int = 0


@dataclass(frozen=True)
class Kept:
    """Something that users deleted, and why it stays."""

    kind: str
    id: str
    name: str
    reason: str


@dataclass
class Findings:
    """items: what to delete, in the order to do it in. younger: how many are not old enough."""

    items: list[Item] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    younger: int = 0


def find(
    store: SqlAlchemyStore, artifact_store: str, older_than: int, progress: Callable[[str], None]
) -> Findings:
    """Everything that users deleted at least `older_than` milliseconds ago.

    store: MLflow's SqlAlchemyStore. progress: called now and then with what has been looked at.
    """
    with store.ManagedSessionMaker() as session:
        findings = _Search(session, artifact_store, older_than).findings
    findings.items = _measured(findings.items, progress)
    return findings


class _Search:
    def __init__(self, session: Session, artifact_store: str, older_than: int) -> None:
        self.findings = Findings()
        self._session = session
        self._store = artifact_store
        self._latest = time.time() * 1000 - older_than
        self._backing = Backing(session, artifact_store)
        self._deleted = dict(self._deleted_experiments())
        going: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for kind, rows in ((RUN, self._runs()), (MODEL, self._models())):
            for identifier, name, experiment, uri, when in rows:
                if self._judge(kind, identifier, name, uri, when):
                    going[experiment][kind] += 1
        for experiment, row in self._deleted.items():
            self._judge_experiment(row, going[experiment])

    def _deleted_experiments(self) -> Iterator[tuple[int, Row[Any]]]:
        rows = self._session.query(
            SqlExperiment.experiment_id,
            SqlExperiment.name,
            SqlExperiment.artifact_location,
            func.coalesce(SqlExperiment.last_update_time, 0).label("deleted"),
        ).filter(SqlExperiment.lifecycle_stage == LifecycleStage.DELETED)
        return ((row.experiment_id, row) for row in rows)

    def _runs(self) -> Any:
        # Runs deleted by a release that recorded no time were deleted long ago.
        when = func.coalesce(SqlRun.deleted_time, SqlRun.end_time, SqlRun.start_time, 0)
        return self._session.query(
            SqlRun.run_uuid, SqlRun.name, SqlRun.experiment_id, SqlRun.artifact_uri, when
        ).filter(SqlRun.lifecycle_stage == LifecycleStage.DELETED)

    def _models(self) -> Iterator[Any]:
        """Those that users deleted, and those in a deleted experiment, which are out of reach."""
        rows = self._session.query(
            SqlLoggedModel.model_id,
            SqlLoggedModel.name,
            SqlLoggedModel.experiment_id,
            SqlLoggedModel.artifact_location,
            SqlLoggedModel.last_updated_timestamp_ms,
            SqlLoggedModel.lifecycle_stage,
        )
        for *row, when, stage in rows:
            of_experiment = self._deleted.get(row[2])
            if stage == LifecycleStage.DELETED:
                yield *row, when
            elif of_experiment is not None:
                yield *row, max(when, of_experiment.deleted)

    def _judge(self, kind: str, identifier: str, name: str, uri: str, when: int) -> bool:
        """Whether one of the runs or models goes; it is noted either way."""
        if when > self._latest:
            self.findings.younger += 1
            return False
        where = place(uri, self._store)
        if needed_by := self._backing.ids.get(identifier):
            reason = needed_by
        elif where is None:
            reason = f"its artifacts are not in the artifact store: {uri}"
        elif identifier not in where.split("/"):
            reason = f"its artifacts share a folder with others: {uri}"
        else:
            self.findings.items.append(Item(kind, identifier, name, (where,)))
            return True
        self.findings.kept.append(Kept(kind, identifier, name, reason))
        return False

    def _judge_experiment(self, row: Any, going: Counter[str]) -> None:
        experiment, name, location, when = row
        if when > self._latest:
            self.findings.younger += 1
            return
        if reason := self._why_experiment_stays(experiment, location, going):
            self.findings.kept.append(Kept(EXPERIMENT, str(experiment), name, reason))
            return
        folder = place(location, self._store)
        traces = self._traces(experiment)
        own = folder is not None and self._is_own_folder(experiment, folder)
        spots = [folder] if own and folder else [spot for spot in traces.values() if spot]
        item = Item(EXPERIMENT, str(experiment), name, tuple(spots), traces=len(traces))
        self.findings.items.append(item)

    def _why_experiment_stays(self, experiment: int, location: str, going: Counter[str]) -> str:
        if experiment == DEFAULT_EXPERIMENT:
            return "clients that name no experiment log to it"
        for kind, table in ((RUN, SqlRun), (MODEL, SqlLoggedModel)):
            rows = self._session.query(table).filter(table.experiment_id == experiment)
            if left := rows.count() - going[kind]:
                return f"{left} {kind}{'s' * (left > 1)} in it stay{'s' * (left == 1)}"
        folder = place(location, self._store)
        return (folder and self._backing.below(folder)) or ""

    def _is_own_folder(self, experiment: int, folder: str) -> bool:
        """Whether the folder has the experiment's id, as MLflow names it, and holds no other's."""
        if folder.rpartition("/")[2] != str(experiment):
            return False
        others = self._session.query(SqlExperiment.artifact_location).filter(
            SqlExperiment.experiment_id != experiment
        )
        spots = (place(location, self._store) for (location,) in others)
        return not any(f"{spot}/".startswith(f"{folder}/") for spot in spots if spot)

    def _traces(self, experiment: int) -> dict[str, str | None]:
        """{id of each trace of an experiment: the place of its own artifacts, if it has one}."""
        rows = (
            self._session.query(SqlTraceInfo.request_id, SqlTraceTag.value)
            .outerjoin(
                SqlTraceTag,
                (SqlTraceTag.request_id == SqlTraceInfo.request_id)
                & (SqlTraceTag.key == MLFLOW_ARTIFACT_LOCATION),
            )
            .filter(SqlTraceInfo.experiment_id == experiment)
        )
        places_of = {trace: place(uri, self._store) for trace, uri in rows}
        # Clients choose the ids: one that is another folder's name must not take that along.
        return {
            trace: spot if spot and spot.endswith(f"/traces/{trace}/artifacts") else None
            for trace, spot in places_of.items()
        }


def _measured(items: list[Item], progress: Callable[[str], None]) -> list[Item]:
    """The items with what lies at their places; an experiment's without that of its items."""

    def of(item: Item) -> Usage:
        return sum(map(places.usage, item.places), Usage())

    measured: list[Item] = []
    with ThreadPoolExecutor(LISTINGS) as pool:
        for item, usage in zip(items, pool.map(of, items), strict=True):
            progress(f"{len(measured)} of {len(items)} looked at")
            measured.append(replace(item, usage=usage))
    below: defaultdict[str, Usage] = defaultdict(Usage)
    for item in measured:
        for spot in item.places:
            parts = spot.split("/")
            for length in range(1, len(parts)):
                below["/".join(parts[:length])] += item.usage
    return [
        replace(item, usage=item.usage - below[item.places[0]])
        if item.kind == EXPERIMENT and item.places
        else item
        for item in measured
    ]
