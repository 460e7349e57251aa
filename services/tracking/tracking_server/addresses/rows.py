"""What the backend store has of the things that addresses name."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModelAlias
from mlflow.store.tracking.dbmodels.models import (
    SqlAssessments,
    SqlExperiment,
    SqlLoggedModel,
    SqlRun,
    SqlTraceInfo,
)
from sqlalchemy import func
from sqlalchemy.orm import Session

from tracking_server.logins.identifiers import EXPERIMENT

VERSION = re.compile(r"0*[0-9]{1,18}")
RUN = re.compile(r"([0-9a-f]{32})(/|$)")
MODEL = re.compile(r"models/([^/]+)(/|$)")
TRACE = re.compile(r"traces/([^/]+)(/|$)")


class Rows:
    """Looks, and changes nothing. Deleted runs, models and experiments are there until they are
    deleted for good."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, run_id: str) -> tuple[str, str] | None:
        """The experiment of a run, and where its artifacts lie."""
        return self._one(SqlRun.experiment_id, SqlRun.artifact_uri, SqlRun.run_uuid == run_id)

    def logged_model(self, model_id: str) -> tuple[str, str] | None:
        """The experiment of a logged model, and where its files lie."""
        columns = SqlLoggedModel.experiment_id, SqlLoggedModel.artifact_location
        return self._one(*columns, SqlLoggedModel.model_id == model_id)

    def version(self, name: str, which: str) -> str | None:
        """Where a version's files lie."""
        number = self._number(name, which)
        if number is None:
            return None
        row = (
            self._session.query(SqlModelVersion.storage_location, SqlModelVersion.source)
            .filter(SqlModelVersion.name == name, SqlModelVersion.version == number)
            .first()
        )
        return row and (row.storage_location or row.source or "")

    def has_experiment(self, experiment: str) -> bool:
        """Whether there is one of this id."""
        if not EXPERIMENT.fullmatch(experiment):
            return False
        which = SqlExperiment.experiment_id == int(experiment)
        return self._session.query(SqlExperiment.experiment_id).filter(which).first() is not None

    def location(self, experiment: str) -> str:
        """Where an experiment's artifacts lie, "" if there is none."""
        which = SqlExperiment.experiment_id == int(experiment)
        row = self._session.query(SqlExperiment.artifact_location).filter(which).first()
        return (row and row.artifact_location) or ""

    def trace_folder(self, trace_id: str) -> str | None:
        """Where a trace's data lies by this server's choice."""
        which = SqlTraceInfo.request_id == trace_id
        row = self._session.query(SqlTraceInfo.experiment_id).filter(which).first()
        return row and f"{self.location(str(row[0]))}/traces/{trace_id}/artifacts"

    def experiments_of_traces(self, ids: Collection[str]) -> dict[str, str]:
        """{trace: its experiment}, of those that there are."""
        columns = SqlTraceInfo.request_id, SqlTraceInfo.experiment_id
        rows = self._session.query(*columns).filter(SqlTraceInfo.request_id.in_(ids))
        return {trace: str(experiment) for trace, experiment in rows}

    def assessed(self, ids: Collection[str]) -> list[str]:
        """The traces of those assessments that there are."""
        which = SqlAssessments.assessment_id.in_(ids)
        return [trace for (trace,) in self._session.query(SqlAssessments.trace_id).filter(which)]

    def experiments_at(self, addresses: list[str]) -> list[tuple[str, str]]:
        """The experiments whose artifacts lie at one of these addresses, with it."""
        rows = self._session.query(
            SqlExperiment.experiment_id, SqlExperiment.artifact_location
        ).filter(SqlExperiment.artifact_location.in_(addresses))
        return [(str(experiment), location) for experiment, location in rows]

    def experiment_below(self, address: str) -> str | None:
        """One whose artifacts lie in a folder within this one."""
        location = SqlExperiment.artifact_location
        within = location.startswith(f"{address.rstrip('/')}/", autoescape=True)
        which = within & (location != f"{address.rstrip('/')}/")
        row = self._session.query(SqlExperiment.experiment_id).filter(which).first()
        return row and str(row[0])

    def experiment_of(self, inside: str) -> str | None:
        """Whose files lie at a path below an experiment's location, by the id of the run, logged
        model or trace that MLflow puts into it."""
        row: tuple[int] | None = None
        if match := RUN.match(inside):
            which = SqlRun.run_uuid == match[1]
            row = self._session.query(SqlRun.experiment_id).filter(which).first()
        elif match := MODEL.match(inside):
            which = SqlLoggedModel.model_id == match[1]
            row = self._session.query(SqlLoggedModel.experiment_id).filter(which).first()
        elif match := TRACE.match(inside):
            which = SqlTraceInfo.request_id == match[1]
            row = self._session.query(SqlTraceInfo.experiment_id).filter(which).first()
        return str(row[0]) if row else None

    def _one(self, experiment: Any, location: Any, which: Any) -> tuple[str, str] | None:
        row = self._session.query(experiment, location).filter(which).first()
        return (str(row[0]), row[1] or "") if row else None

    def _number(self, name: str, which: str) -> int | None:
        if which.isdecimal():
            return int(which) if VERSION.fullmatch(which) else None
        if which.startswith("@"):
            alias = SqlRegisteredModelAlias
            row = (
                self._session.query(alias.version)
                .filter(alias.name == name, alias.alias == which[1:])
                .first()
            )
            return int(row.version) if row else None
        versions = self._session.query(func.max(SqlModelVersion.version)).filter(
            SqlModelVersion.name == name
        )
        if which.lower() != "latest":
            versions = versions.filter(func.lower(SqlModelVersion.current_stage) == which.lower())
        number: int | None = versions.scalar()
        return number
