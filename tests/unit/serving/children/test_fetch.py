"""What the process that fetches says, where it is not all of MLflow that is installed."""

import sys

import pytest

from model_server.children import fetch


def test_store_that_skinny_cannot_read_is_said(monkeypatch):
    """The image has mlflow-skinny alone."""
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.setattr("mlflow.get_tracking_uri", lambda: "sqlite:///mlflow.db")
    for uri in ("models:/wine/1", "runs:/abc/model", "models:/m-0123"):
        with pytest.raises(fetch.FetchError, match="pip install mlflow"):
            fetch._location(uri)
    assert fetch._location("s3://bucket/wine") == "s3://bucket/wine"


def test_slash_at_the_end_is_no_part_of_a_name(monkeypatch, tmp_path):
    monkeypatch.setattr("mlflow.get_tracking_uri", lambda: str(tmp_path))
    assert fetch._location("runs:/abc/model/") == "runs:/abc/model"
