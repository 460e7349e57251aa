"""What registered model versions need: runs, logged models, and places in the artifact store.

A version names what it needs in several ways: `run_id`; a `source` in a run's, a nested run's or
a logged model's folder; `runs:/RUN/...`; `models:/MODEL_ID`; and, for a copy of a version,
`storage_location`. Every run and logged model has its id in each of these, so a version is taken
to need each id that appears in it: too much may be kept, never too little.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel
from sqlalchemy import or_
from sqlalchemy.orm import Query, Session

from tracking_server.gc.places import place

SEPARATORS = re.compile(r"[/:?#=&@]+")


class Backing:
    """ids: {id of a run or logged model: the version that needs it, in words}. places: the same
    by place, for what versions have anywhere below the artifact store."""

    def __init__(self, session: Session, store: str) -> None:
        self.ids: dict[str, str] = {}
        self.places: dict[str, str] = {}
        for version in _versions(session):
            words = f"version {version.version} of model {version.name}"
            uris = [uri for uri in (version.source, version.storage_location) if uri]
            for identifier in (version.run_id, *_identifiers(uris)):
                if identifier:
                    self.ids.setdefault(identifier, words)
            for uri in uris:
                if where := place(uri, store):
                    self.places.setdefault(where, words)
        # A version shows its model's run, whether or not it names it.
        models = session.query(SqlLoggedModel.model_id, SqlLoggedModel.source_run_id)
        for model, run in models.filter(SqlLoggedModel.source_run_id.is_not(None)):
            if model in self.ids:
                self.ids.setdefault(run, self.ids[model])

    def below(self, folder: str) -> str | None:
        """A version that has its files in a folder, in words."""
        inside = (w for where, w in self.places.items() if f"{where}/".startswith(f"{folder}/"))
        return next(inside, None)


def needs_now(session: Session, identifier: str) -> bool:
    """Whether a version needs a run or logged model; the same question as above, about one."""
    run_of = session.query(SqlLoggedModel.model_id)
    run_of = run_of.filter(SqlLoggedModel.source_run_id == identifier)
    asked = [identifier, *(model for (model,) in run_of)]
    named = [
        or_(
            SqlModelVersion.run_id == one,
            SqlModelVersion.source.contains(one, autoescape=True),
            SqlModelVersion.storage_location.contains(one, autoescape=True),
        )
        for one in asked
    ]
    return _versions(session).filter(or_(*named)).first() is not None


def _versions(session: Session) -> Query[Any]:
    """All versions but those that users deleted, which leave a row behind."""
    columns = (
        SqlModelVersion.name,
        SqlModelVersion.version,
        SqlModelVersion.run_id,
        SqlModelVersion.source,
        SqlModelVersion.storage_location,
    )
    rows: Query[Any] = session.query(*columns)
    return rows.filter(SqlModelVersion.current_stage != STAGE_DELETED_INTERNAL)


def _identifiers(uris: list[str]) -> set[str]:
    return {part for uri in uris for part in SEPARATORS.split(unquote(uri)) if part}
