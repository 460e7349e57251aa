"""The notebook, run top to bottom on a real tracking server, twice, says what is committed."""

import re

import mlflow
import nbformat
import pytest
from nbclient import NotebookClient

from host.paths import ROOT

PROJECT = ROOT / "projects" / "registry"
NOTEBOOK = PROJECT / "registry.ipynb"


def said(notebook) -> list[str]:
    """Output of each cell, as text; in how many pieces it came is chance."""
    return [
        "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.get("outputs", [])
        )
        for cell in notebook.cells
    ]


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_says_what_is_committed_and_leaves_no_model_behind(
    local_tracking, committed, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", local_tracking.uri)
    monkeypatch.setenv("MODEL_SERVER_URL", "http://127.0.0.1:9")
    client = mlflow.MlflowClient(local_tracking.uri)
    client.create_registered_model("registry-notebook")  # as left by one that was broken off

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(PROJECT)}}).execute()

    assert said(notebook) == said(committed)
    names = {model.name for model in client.search_registered_models()}
    assert not {name for name in names if name.startswith("registry-notebook")}


def test_what_is_committed_is_of_a_whole_run_and_of_no_machine(committed):
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        assert not any(output.output_type == "error" for output in cell.outputs)
        assert not any(output.get("name") == "stderr" for output in cell.outputs)
    for text in said(committed):
        assert not re.search(r"https?://|/home/|/root|/tmp|/work|site-packages|127\.0\.0\.1", text)
