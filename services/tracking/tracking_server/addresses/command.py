"""`tracking-server addresses`: rows whose addresses this server would refuse to store today.

Users cannot read through them, administrators can. `adopt` mends what was moved into the artifact
store, and TRACKING_ARTIFACT_PREFIXES allows what is to stay where it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlLoggedModel,
    SqlRun,
    SqlTraceInfo,
    SqlTraceTag,
)
from mlflow.tracing.constant import TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from sqlalchemy.orm import Session

from tracking_server.addresses import meaning
from tracking_server.addresses.meaning import Elsewhere, Place, UnsoundError
from tracking_server.addresses.owners import Owners, UnownedError
from tracking_server.addresses.rows import MODEL, RUN, Rows
from tracking_server.backend import migrate
from tracking_server.settings import Settings


class Row(NamedTuple):
    """One line of the list."""

    kind: str
    id: str
    name: str
    address: str
    why: str


def run(settings: Settings) -> None:
    """Print one line for each row: kind, id, name, address and why, with tabs between.

    Raises:
        RefusedError: the schema is not this server's.
    """
    migrate.check(settings)
    engine = sqlalchemy.create_engine(settings.backend_store)
    count = 0
    with Session(engine) as session:
        for row in refused(session, settings.artifact_prefixes):
            print("\t".join(repr(part)[1:-1] for part in row))  # no line breaks of clients'
            count += 1
    engine.dispose()
    print(f"{count} addresses would be refused today", file=sys.stderr)


def refused(session: Session, prefixes: tuple[str, ...]) -> Iterator[Row]:
    """The experiments, runs, logged models, versions and traces that are."""
    return _Search(session, prefixes).rows()


class _AtOnce(Rows):
    """Rows that are asked for all at once, where every version asks for one."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._experiments = {str(one) for (one,) in session.query(SqlExperiment.experiment_id)}
        self._runs = {
            run: (str(experiment), address or "")
            for run, experiment, address in session.query(
                SqlRun.run_uuid, SqlRun.experiment_id, SqlRun.artifact_uri
            ).join(SqlModelVersion, SqlModelVersion.run_id == SqlRun.run_uuid)
        }
        columns = SqlLoggedModel.model_id, SqlLoggedModel.experiment_id
        self._models = {model: str(experiment) for model, experiment in session.query(*columns)}

    def has_experiment(self, experiment: str) -> bool:
        return experiment in self._experiments

    def run(self, run_id: str) -> tuple[str, str] | None:
        return self._runs.get(run_id) or super().run(run_id)

    def experiment_of(self, inside: str) -> str | None:
        if (match := RUN.match(inside)) and match[1] in self._runs:
            return self._runs[match[1]][0]
        if match := MODEL.match(inside):
            return self._models.get(match[1])
        return super().experiment_of(inside)


class _Search:
    def __init__(self, session: Session, prefixes: tuple[str, ...]) -> None:
        self._session = session
        self._owners = Owners(_AtOnce(session), prefixes)
        self._locations = {
            str(experiment): (location or "", name)
            for experiment, location, name in session.query(
                SqlExperiment.experiment_id, SqlExperiment.artifact_location, SqlExperiment.name
            )
        }
        self._refused = {
            experiment: why
            for experiment, (location, _) in self._locations.items()
            if (why := self._of_experiment(experiment, location))
        }

    def rows(self) -> Iterator[Row]:
        for experiment, why in self._refused.items():
            location, name = self._locations[experiment]
            yield Row("experiment", experiment, name, location, why)
        yield from self._runs()
        yield from self._models()
        yield from self._versions()
        yield from self._traces()

    def _of_experiment(self, experiment: str, location: str) -> str:
        try:
            named = meaning.parse(location)
        except UnsoundError as error:
            return str(error)
        if isinstance(named, Place):
            first = named.path.split("/")[0]
            if first == experiment:
                return ""
            if first.isdecimal():
                return f"it lies in another experiment's folder, {first}"
            return self._overlap(experiment, location)
        if isinstance(named, Elsewhere) and self._allowed(location):
            return self._overlap(experiment, location)
        return "it lies outside of the artifact store"

    def _overlap(self, experiment: str, location: str) -> str:
        for other, (address, _) in self._locations.items():
            if other != experiment and (_below(location, address) or _below(address, location)):
                return f"it overlaps with where the artifacts of experiment {other} lie"
        return ""

    def _allowed(self, address: str) -> bool:
        try:
            return self._owners.allows(address)
        except UnsoundError:
            return False

    def _runs(self) -> Iterator[Row]:
        columns = SqlRun.run_uuid, SqlRun.name, SqlRun.experiment_id, SqlRun.artifact_uri
        for run, name, experiment, address in self._session.query(*columns):
            if why := self._of_part(str(experiment), address or "", run):
                yield Row("run", run, name or "", address or "", why)

    def _models(self) -> Iterator[Row]:
        model = SqlLoggedModel
        columns = model.model_id, model.name, model.experiment_id, model.artifact_location
        for identifier, name, experiment, address in self._session.query(*columns):
            if why := self._of_part(str(experiment), address or "", f"models/{identifier}"):
                yield Row("logged model", identifier, name or "", address or "", why)

    def _traces(self) -> Iterator[Row]:
        keys = MLFLOW_ARTIFACT_LOCATION, TraceTagKey.ARCHIVE_LOCATION
        tags = (
            self._session.query(
                SqlTraceTag.request_id,
                SqlTraceTag.key,
                SqlTraceTag.value,
                SqlTraceInfo.experiment_id,
            )
            .join(SqlTraceInfo, SqlTraceInfo.request_id == SqlTraceTag.request_id)
            .filter(SqlTraceTag.key.in_(keys))
        )
        for trace, key, address, experiment in tags:
            if key == MLFLOW_ARTIFACT_LOCATION:
                why = self._of_part(str(experiment), address or "", f"traces/{trace}")
            else:
                why = "this server archives no traces"
            if why:
                yield Row("trace", trace, key, address or "", why)

    def _of_part(self, experiment: str, address: str, inside: str) -> str:
        """Say why not, of what MLflow puts into an experiment's folder."""
        location, _ = self._locations.get(experiment, ("", ""))
        if why := self._refused.get(experiment):
            return f"of its experiment: {why}"
        try:
            # Ids come from clients, and old ones could be anything.
            meaning.sound(inside)
        except UnsoundError as error:
            return str(error)
        if address.rstrip("/") == f"{location.rstrip('/')}/{inside}/artifacts":
            return ""
        return f"it is not in the folder of its experiment, {location}"

    def _versions(self) -> Iterator[Row]:
        version = SqlModelVersion
        columns = version.name, version.version, version.source, version.storage_location
        rows = self._session.query(*columns).filter(version.current_stage != STAGE_DELETED_INTERNAL)
        for name, number, source, storage in rows.all():
            address = storage or source or ""
            try:
                self._owners.of(address)
            except (UnsoundError, UnownedError) as error:
                yield Row("version", str(number), name, address, str(error))


def _below(address: str, folder: str) -> bool:
    return bool(folder) and f"{address.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
