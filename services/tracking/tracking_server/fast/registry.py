"""Reading the registry: models and versions by name and alias, and searches of them.

Tags have no index by name: those of all that is asked for are read together, and joined.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.store import model_registry
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from tracking_server.fast import entities
from tracking_server.fast.connection import Cursor
from tracking_server.fast.pages import PARSED, Statement, listed, offset_of, page_of, token_of

MOST_MODELS = model_registry.SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD
USUAL_MODELS = model_registry.SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT
MOST_VERSIONS = model_registry.SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD
HERE = f"workspace = '{DEFAULT_WORKSPACE_NAME}'"
AT_ONCE = "SET LOCAL enable_nestloop = off"
"""Many rows are joined by hashes, also where tables are new and nothing is known of their sizes."""
THERE = f"current_stage <> '{STAGE_DELETED_INTERNAL}'"


def _lists(name: str, expression: str, table: str, key: str, chosen: str) -> str:
    """A table of the texts of what belongs to each of those chosen, as column `list`."""
    return f"""{name} AS MATERIALIZED (
      SELECT {key}, string_agg({expression}, ',') AS list
      FROM (SELECT DISTINCT {key} FROM {chosen}) AS chosen JOIN {table} p USING ({key})
      WHERE p.{HERE} GROUP BY {key})"""


def _of_versions(chosen: str) -> str:
    return _lists("version_tags", entities.PAIR, "model_version_tags", "name, version", chosen)


def _aliases(chosen: str) -> str:
    table, text = "registered_model_aliases", "to_json(p.alias)::text"
    return _lists("version_aliases", text, table, "name, version", chosen)


VERSIONS = f"""JOIN (SELECT * FROM model_versions WHERE {HERE} AND {THERE}) v USING (name, version)
  LEFT JOIN version_tags USING (name, version)"""
WITH_ALIASES = "LEFT JOIN version_aliases USING (name, version)"
# The newest of each stage.
LATEST = f"""latest AS MATERIALIZED (
  SELECT DISTINCT ON (name, current_stage) name, version
  FROM (SELECT DISTINCT name FROM asked) AS chosen JOIN model_versions USING (name)
  WHERE {HERE} AND {THERE} ORDER BY name, current_stage, version DESC), {_of_versions("latest")}"""
LATEST_VERSIONS = f"""latest_versions AS MATERIALIZED (
  SELECT name, string_agg({entities.FOUND_VERSION}, ',') AS list
  FROM latest {VERSIONS} GROUP BY name)"""
OF_MODELS = f"""{LATEST}, {LATEST_VERSIONS},
  {_lists("model_tags", entities.PAIR, "registered_model_tags", "name", "asked")},
  {_lists("model_aliases", entities.ALIAS, "registered_model_aliases", "name", "asked")}"""
MODEL = f"JOIN (SELECT * FROM registered_models WHERE {HERE}) m USING (name)"
MODELS = f"""{MODEL} LEFT JOIN latest_versions USING (name)
  LEFT JOIN model_tags USING (name) LEFT JOIN model_aliases USING (name)"""


def _version(asked: str) -> str:
    """A statement for one version each."""
    return f"""WITH asked AS MATERIALIZED ({asked}), {_of_versions("asked")}, {_aliases("asked")}
      SELECT key, '{{"model_version":' || {entities.VERSION} || '}}'
      FROM asked {VERSIONS} {WITH_ALIASES}"""


FOUND = {
    "model": f"""WITH asked AS MATERIALIZED (SELECT name FROM unnest($1) AS name), {OF_MODELS}
      SELECT name, '{{"registered_model":' || {entities.MODEL} || '}}'
      FROM asked {MODELS}""",
    "latest_versions": f"""WITH asked AS MATERIALIZED (SELECT name FROM unnest($1) AS name),
      {LATEST}, {_aliases("latest")}, latest_versions AS MATERIALIZED (
        SELECT name, string_agg({entities.VERSION}, ',') AS list
        FROM latest {VERSIONS} {WITH_ALIASES} GROUP BY name)
      SELECT name, '{{' || coalesce('"model_versions":[' || list || ']', '') || '}}'
      FROM asked {MODEL} LEFT JOIN latest_versions USING (name)""",
    "version": _version("""
      SELECT key, key::json ->> 0 AS name, (key::json ->> 1)::integer AS version
      FROM unnest($1) AS key"""),
    "alias": _version(f"""
      SELECT key, name, version FROM unnest($1) AS key JOIN registered_model_aliases
        ON name = key::json ->> 0 AND alias = key::json ->> 1 AND {HERE}"""),
}
"""Statements for keys, as Lookups has them. Those of versions and aliases are lists of JSON: a
model's name, and what it calls them."""


class SearchRegistry(msgspec.Struct):
    """registered-models/search and model-versions/search: `found` is one of SEARCHES."""

    found: str
    max_results: int
    filter: str = ""
    order_by: tuple[str, ...] = ()
    page_token: str = ""

    def statement(self) -> Statement:
        """See Page."""
        select, key, tables, expression, joins = SEARCHES[self.found]
        text, parameters = select(self.filter, self.order_by)
        return (
            f"""{AT_ONCE}; WITH asked AS MATERIALIZED (
              SELECT {key}, row_number() OVER () AS place FROM ({text}) AS page), {tables}
            SELECT {expression} FROM asked {joins} ORDER BY place""",
            {**parameters, "first": offset_of(self.page_token), "most": self.max_results + 1},
        )

    def answer(self, cursor: Cursor) -> bytes | None:
        """See Page."""
        found = [text.encode() for (text,) in cursor.fetchall()]
        more = len(found) > self.max_results
        token = token_of(offset_of(self.page_token) + self.max_results) if more else None
        return listed(self.found, found[: self.max_results], token)


# Of MLflow's store its clauses alone, which need no database.
CLAUSES = SqlAlchemyStore.__new__(SqlAlchemyStore)


@lru_cache(PARSED)
def _models(filter_string: str, order_by: tuple[str, ...]) -> Statement:
    """As MLflow's SqlAlchemyStore.search_registered_models selects them."""
    parsed = SearchModelUtils.parse_search_filter(filter_string)
    models = CLAUSES._get_search_registered_model_filter_query(None, parsed, "postgresql")
    order = CLAUSES._parse_search_registered_models_order_by(order_by)
    return page_of(models.with_only_columns(SqlRegisteredModel.name).order_by(*order))


@lru_cache(PARSED)
def _versions(filter_string: str, order_by: tuple[str, ...]) -> Statement:
    """As MLflow's SqlAlchemyStore.search_model_versions selects them."""
    parsed = SearchModelVersionUtils.parse_search_filter(filter_string)
    versions = CLAUSES._get_search_model_versions_filter_clauses(parsed, "postgresql")
    order = CLAUSES._parse_search_model_versions_order_by(order_by or NEWEST_FIRST)
    versions = versions.with_only_columns(SqlModelVersion.name, SqlModelVersion.version)
    kept = SqlModelVersion.current_stage != STAGE_DELETED_INTERNAL
    return page_of(versions.where(kept).order_by(*order))


NEWEST_FIRST = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")
SEARCHES = {
    "registered_models": (_models, "name", OF_MODELS, entities.MODEL, MODELS),
    "model_versions": (
        _versions,
        "name, version",
        _of_versions("asked"),
        entities.FOUND_VERSION,
        VERSIONS,
    ),
}
"""By the name of the answer's list: what selects, by which key, and what shows it."""
