"""MLflow's entities as JSON, written by PostgreSQL: as its REST API shows them, field by field.

Each constant is an SQL expression of type text over rows of the tables that it names.
"""

from __future__ import annotations

PAIR = """'{"key":' || to_json(p.key) || coalesce(',"value":' || to_json(p.value), '') || '}'"""
"""A parameter or a tag `p`."""


def several(name: str, expression: str, rows: str) -> str:
    """A field of an object, `"NAME":[...]`; NULL where there are no rows, as MLflow leaves out."""
    return f"""'"{name}":[' || (SELECT string_agg({expression}, ',') FROM {rows}) || ']'"""


def _object(*fields: str) -> str:
    return f"'{{' || concat_ws(',', {', '.join(fields)}) || '}}'"


def _scalars(pairs: str) -> str:
    """Fields of an object whose values are texts or numbers; what is NULL is left out."""
    return f"rtrim(ltrim(json_strip_nulls(json_build_object({pairs}))::text, '{{'), '}}')"


DATASET_TAGS = several(
    "tags",
    """'{"key":' || to_json(t.name) || ',"value":' || to_json(t.value) || '}'""",
    """input_tags t WHERE t.input_uuid IN (
      SELECT j.input_uuid FROM inputs j WHERE j.destination_type = 'RUN'
        AND j.destination_id = r.run_uuid AND j.source_id = d.dataset_uuid)""",
)
DATASET = """'"dataset":' || json_strip_nulls(json_build_object(
  'name', d.name, 'digest', d.digest, 'source_type', d.dataset_source_type,
  'source', d.dataset_source, 'schema', nullif(d.dataset_schema, ''),
  'profile', nullif(d.dataset_profile, '')))"""
DATASET_INPUTS = several(
    "dataset_inputs",
    _object(DATASET_TAGS, DATASET),
    """datasets d WHERE d.dataset_uuid IN (SELECT i.source_id FROM inputs i
      WHERE i.destination_type = 'RUN' AND i.destination_id = r.run_uuid)""",
)
MODEL_INPUTS = several(
    "model_inputs",
    """'{"model_id":' || to_json(i.destination_id) || '}'""",
    """inputs i WHERE i.source_type = 'RUN_INPUT' AND i.source_id = r.run_uuid
      AND i.destination_type = 'MODEL_INPUT'""",
)
MODEL_OUTPUTS = several(
    "model_outputs",
    """'{"model_id":' || to_json(i.destination_id) || ',"step":' || i.step || '}'""",
    """inputs i WHERE i.source_type = 'RUN_OUTPUT' AND i.source_id = r.run_uuid
      AND i.destination_type = 'MODEL_OUTPUT'""",
)
RUN_NAME = """coalesce(nullif(r.name, ''), (SELECT nullif(t.value, '') FROM tags t
  WHERE t.run_uuid = r.run_uuid AND t.key = 'mlflow.runName'), r.name)"""
RUN_INFO = f"""json_strip_nulls(json_build_object(
  'run_uuid', r.run_uuid, 'run_id', r.run_uuid, 'run_name', {RUN_NAME},
  'experiment_id', r.experiment_id::text, 'user_id', r.user_id, 'status', r.status,
  'start_time', r.start_time, 'end_time', nullif(r.end_time, 0),
  'artifact_uri', nullif(r.artifact_uri, ''), 'lifecycle_stage', r.lifecycle_stage))"""


def _run(*inputs: str) -> str:
    return f"""'"info":' || {RUN_INFO} || ',"inputs":' || {_object(*inputs)}
      || ',"outputs":' || {_object(MODEL_OUTPUTS)}"""


RUN = _run(DATASET_INPUTS, MODEL_INPUTS)
"""Fields of a run `r` of `runs`; all but its data, of which there is much."""
FOUND_RUN = _run(DATASET_INPUTS)
"""The same as searches show it: without the models that it read."""
WHOLE_RUN = "r.user_id IS NOT NULL AND r.start_time IS NOT NULL"
"""Where it does not hold, MLflow answers with an error."""

EXPERIMENT = _object(
    _scalars("""
      'experiment_id', e.experiment_id::text, 'name', e.name,
      'artifact_location', e.artifact_location, 'lifecycle_stage', e.lifecycle_stage,
      'creation_time', nullif(e.creation_time, 0),
      'last_update_time', nullif(e.last_update_time, 0), 'workspace', e.workspace"""),
    several("tags", PAIR, "experiment_tags p WHERE p.experiment_id = e.experiment_id"),
)
"""An experiment `e` of `experiments`."""

ALIAS = """'{"alias":' || to_json(p.alias) || ',"version":"' || p.version || '"}'"""
"""An alias `p` of a registered model."""


def _listed(name: str, table: str) -> str:
    """A field with what `table` has as `list`; NULL where it has nothing."""
    return f"""'"{name}":[' || {table}.list || ']'"""


MODEL = _object(
    _scalars("""
      'name', m.name, 'creation_timestamp', m.creation_time,
      'last_updated_timestamp', nullif(m.last_updated_time, 0),
      'description', nullif(m.description, '')"""),
    _listed("latest_versions", "latest_versions"),
    _listed("tags", "model_tags"),
    _listed("aliases", "model_aliases"),
)
"""A registered model `m`, beside lists of what belongs to it."""
_VERSION = (
    _scalars("""
      'name', v.name, 'version', v.version::text, 'creation_timestamp', v.creation_time,
      'last_updated_timestamp', v.last_updated_time, 'user_id', v.user_id,
      'current_stage', v.current_stage, 'description', v.description, 'source', v.source,
      'run_id', v.run_id, 'status', v.status, 'status_message', nullif(v.status_message, ''),
      'run_link', v.run_link"""),
    _listed("tags", "version_tags"),
)
VERSION = _object(*_VERSION, _listed("aliases", "version_aliases"))
"""A version `v` of a registered model, beside lists of its tags and aliases."""
FOUND_VERSION = _object(*_VERSION)
"""The same as searches and its model show it: without aliases."""
