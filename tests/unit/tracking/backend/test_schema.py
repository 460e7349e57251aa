"""The schema read from MLflow's files is the one that MLflow itself names."""

from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config, _get_latest_schema_revision

from tracking_server.backend import schema


def test_the_head_is_mlflows_own():
    assert schema.installed().head == _get_latest_schema_revision()


def test_every_revision_is_known():
    scripts = ScriptDirectory.from_config(_get_alembic_config("")).walk_revisions()
    assert schema.installed().known == {script.revision for script in scripts}
