"""Nothing that the pages ask for waits for the internet."""

import socket
import time

import httpx
import pytest

from harness.tracking import on_local_files

DISCOVERY = "/ajax-api/3.0/mlflow/gateway"
TELEMETRY = "/ajax-api/3.0/mlflow/ui-telemetry"
PATHS = [
    f"{DISCOVERY}/supported-models",
    f"{DISCOVERY}/supported-models?provider=openai",
    f"{DISCOVERY}/supported-providers",
    f"{DISCOVERY}/provider-config?provider=openai",
    f"{DISCOVERY}/secrets/config",
    TELEMETRY,
    "/api/3.0/mlflow/server-info",
]


@pytest.fixture
def internet():
    """A way out that takes whatever is sent, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def server(internet, tmp_path):
    made = on_local_files(tmp_path, TRACKING_WORKERS="1")
    proxy = f"http://127.0.0.1:{internet.getsockname()[1]}"
    made.environment |= {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": "127.0.0.1"}
    assert made.migrate().returncode == 0
    yield made.start()
    made.stop()


def test_pages_about_models_answer_within_a_second(server, internet):
    with httpx.Client(base_url=server.uri, timeout=30, trust_env=False) as http:
        for path in PATHS:
            began = time.monotonic()
            answer = http.get(path)
            assert answer.status_code == 200, path
            assert time.monotonic() - began < 1, path
        assert http.get(TELEMETRY).json()["disable_ui_telemetry"] is True
        sent = http.post(TELEMETRY, json={"records": [{"event_name": "x", "timestamp_ns": 1}]})
        assert sent.json() == {"status": "disabled"}, "whatever the switch in the page shows"
        assert len(http.get(PATHS[0]).json()["models"]) > 100
    internet.settimeout(0)
    with pytest.raises(BlockingIOError):
        internet.accept()
