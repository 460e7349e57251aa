"""Answers where a server beyond this one fails, and whose pages may send requests."""

import contextlib
import json
import sqlite3

import pytest

from harness.logins import Logins

GATEWAY = "/api/3.0/mlflow/gateway"
HIDDEN = "hidden-name.invalid"
"""Stated address of a provider of models; the name is nobody's, by RFC 2606."""
SEARCH = "/ajax-api/2.0/mlflow/experiments/search"


@pytest.fixture(scope="module")
def logins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beyond")
    running = Logins.on_local_files(
        folder, TRACKING_WORKERS="1", TRACKING_NAMES="mlflow.lan"
    ).start()
    yield running
    running.server.stop()


def test_a_provider_that_is_not_there_is_no_failing_disk(logins):
    with logins.client("admin") as http:

        def make(kind: str, **fields) -> dict:
            made = http.post(f"{GATEWAY}/{kind}/create", json=fields)
            assert made.status_code == 200, made.text
            return made.json()

        secret = make(
            "secrets",
            secret_name="key",
            secret_value={"api_key": "dummy"},
            provider="openai",
        )["secret"]["secret_id"]
        model = make(
            "model-definitions",
            name="model",
            secret_id=secret,
            provider="openai",
            model_name="gpt-4o",
        )["model_definition"]["model_definition_id"]
        used = {"model_definition_id": model, "linkage_type": "PRIMARY", "weight": 1.0}
        make("endpoints", name="chat", model_configs=[used])
        # Changed in the store, as if gone since: MLflow looks a name up when it is set.
        with contextlib.closing(sqlite3.connect(logins.server.folder / "mlflow.db")) as database:
            base = json.dumps({"api_base": f"https://{HIDDEN}/v1"})
            database.execute("UPDATE secrets SET auth_config = ?", (base,))
            database.commit()
        asked = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
        answer = http.post("/gateway/mlflow/v1/chat/completions", json=asked)
        assert answer.status_code == 503
        assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert "was not found by its name" in answer.json()["message"]
        assert HIDDEN not in answer.text
    assert HIDDEN in logins.server.log


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", [SEARCH, "/graphql", "/", "/gateway/mlflow/v1/models"])
def test_local_pages_are_others_pages(logins, method, path):
    with logins.client("eve") as http:
        for origin in ("http://localhost:3000", "http://127.0.0.1:8000", "http://evil.example"):
            answer = http.request(method, path, headers={"origin": origin})
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers


def test_its_own_pages_may_write_under_each_name(logins):
    with logins.client("eve") as http:
        for name in ("localhost", "127.0.0.1", "mlflow.lan"):
            host = f"{name}:{logins.server.port}"
            own = {"host": host, "origin": f"http://{host}"}
            assert http.post(SEARCH, json={"max_results": 1}, headers=own).status_code == 200
