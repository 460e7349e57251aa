"""Where the artifacts of registered versions are, by the rows of a dump."""

import pytest

from stack_backup import database, settings, versions
from stack_backup.errors import RefusedError

STORE = "s3://mlflow"


def version(source, location=None, name="wine", number="1", stage="None"):
    return {
        "name": name,
        "version": number,
        "source": source,
        "storage_location": location,
        "current_stage": stage,
    }


@pytest.fixture
def read(monkeypatch):
    def read(*rows, models=(), runs=(), tags=()):
        tables = {"model_versions": rows, "logged_models": models, "runs": runs}
        tables["model_version_tags"] = tags
        monkeypatch.setattr(database, "rows", lambda _, table: iter(tables[table]))
        return {str(one): one.artifacts for one in versions.read(None, STORE)}

    return read


@pytest.mark.parametrize(
    ("uri", "artifacts"),
    [
        ("mlflow-artifacts:/1/models/m-1/artifacts", "1/models/m-1/artifacts"),
        ("mlflow-artifacts://host:5000/1/a", "1/a"),
        ("s3://mlflow/1/a", "1/a"),
        ("s3://mlflow-other/1/a", None),
        ("hf:/someone/model", None),
    ],
)
def test_places(read, uri, artifacts):
    assert read(version(uri)) == {"wine version 1": artifacts}


def test_models_runs_and_copies_are_followed(read):
    paths = read(
        version("models:/m-1", None),
        version("models:/wine/1", None, number="2"),
        version("runs:/r/model", None, number="3"),
        version("models:/m-1", "mlflow-artifacts:/9/x", number="4"),
        models=[{"model_id": "m-1", "artifact_location": "mlflow-artifacts:/1/m-1"}],
        runs=[{"run_uuid": "r", "artifact_uri": "mlflow-artifacts:/1/r/artifacts"}],
    )
    assert list(paths.values()) == ["1/m-1", "1/m-1", "1/r/artifacts/model", "9/x"]


def test_deleted_versions_need_nothing(read):
    assert read(version("mlflow-artifacts:/1/a", stage="Deleted_Internal")) == {}


def test_prompts_need_nothing(read):
    tag = {"name": "wine", "version": "1", "key": "mlflow.prompt.is_prompt", "value": "true"}
    paths = read(version("dummy-source"), version("prompt-template", number="2"), tags=[tag])
    assert list(paths) == ["wine version 2"]


@pytest.mark.parametrize("form", ["files", "folder"])
def test_artifacts_are_a_folder_with_a_file_in_it_or_a_file(form, tmp_path):
    files = {"1/m-1/artifacts/MLmodel", "1/m-10/x", "2/model.onnx"}
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "1/empty").mkdir()
    has = versions.in_files(files) if form == "files" else versions.in_folder(tmp_path)
    assert has("1/m-1/artifacts")
    assert has("1/m-1")
    assert has("2/model.onnx")
    assert has(""), "the whole bucket"
    assert not has("1/m-")
    assert not has("1/m-2")
    assert not has("1/empty")
    assert not has("2/model.onnx/x")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plain", "plain"),
        (r"a\\b", r"a\b"),
        (r"a\tb\nc", "a\tb\nc"),
        (r"\\n", r"\n"),
        (r"a\\\n", "a\\\n"),
    ],
)
def test_values_of_a_dump(written, meant):
    assert database._plain(written) == meant


@pytest.mark.parametrize("text", ["", "daily", "daily=0", "last=3,yesterday=1", "last=-1"])
def test_retention_that_cannot_be_meant_is_refused(text):
    with pytest.raises(RefusedError, match="BACKUP_KEEP"):
        settings._keep(text)


def test_retention_becomes_options():
    assert settings._keep("last=3, daily=7") == ("--keep-last", "3", "--keep-daily", "7")
