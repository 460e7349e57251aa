"""What Prometheus reads of a real server: exact sums over all workers, and no path in a label."""

from __future__ import annotations

import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import mlflow
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.ports import free_port
from harness.tracking import Tracking, on_local_files
from harness.waiting import wait_until

WORKERS = 3
LOG_METRIC = "/api/2.0/mlflow/runs/log-metric"
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}"


class Watched:
    def __init__(self, server: Tracking, port: int) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{port}/metrics"

    def text(self) -> str:
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            return answer.read().decode()

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name that have these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> int:
        request = urllib.request.Request(f"{self.server.uri}{path}", body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[Watched]:
    port = free_port()
    settings = {"TRACKING_METRICS_PORT": str(port), "TRACKING_WORKERS": str(WORKERS)}
    server = on_local_files(tmp_path_factory.mktemp("watched"), **settings)
    assert server.migrate().returncode == 0
    server.start()
    yield Watched(server, port)
    assert server.stop() == 0


def test_requests_are_counted_exactly_over_all_workers(watched):
    client = mlflow.MlflowClient(watched.server.uri)
    run = client.create_run("0")
    before = watched.total("tracking_requests_total", route=LOG_METRIC)

    def log() -> None:
        for step in range(50):
            client.log_metric(run.info.run_id, "loss", step, step=step)

    threads = [threading.Thread(target=log) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def counted() -> float:
        return watched.total("tracking_requests_total", route=LOG_METRIC, status="200") - before

    wait_until(lambda: counted() >= 200, 10, "all requests to be counted")
    assert counted() == 200
    labels = {"route": LOG_METRIC, "method": "POST"}
    assert watched.total("tracking_request_seconds_count", **labels) == before + 200
    assert watched.total("tracking_request_seconds_bucket", le="+Inf", **labels) == before + 200
    assert watched.total("tracking_received_bytes_total", **labels) > 200 * 50


def test_artifacts_are_counted_with_their_bytes(watched):
    content = os.urandom(300_000)
    path = "/api/2.0/mlflow-artifacts/artifacts/some/file.bin"
    assert watched.ask(path, "PUT", content) == 200
    assert watched.ask(path) == 200
    assert watched.ask(path) == 200
    put, get = ({"route": ARTIFACT, "method": method} for method in ("PUT", "GET"))
    wait_until(lambda: watched.total("tracking_requests_total", **get) == 2, 10, "two downloads")
    assert watched.total("tracking_received_bytes_total", **put) == len(content)
    assert watched.total("tracking_sent_bytes_total", **get) == 2 * len(content)


def test_no_label_holds_what_a_client_chose(watched):
    for path in ("/secret-path", "/static-files/secret-path", "/api/2.0/mlflow/secret-path",
                 "/api/2.0/mlflow-artifacts/artifacts/secret-path", "/ajax-api/3.0/secret-path",
                 "/ajax-api/3.0/mlflow/traces/secret-path"):  # fmt: skip
        watched.ask(path)
    watched.ask("/", "PROPFIND")
    wait_until(lambda: watched.total("tracking_requests_total", method="other") == 1, 10, "counted")
    text = watched.text()
    assert "secret" not in text.lower()
    routes = set(re.findall(r'route="([^"]*)"', text))
    assert "unknown" in routes
    assert "" not in routes


def test_the_page_has_a_port_of_its_own(watched):
    assert watched.ask("/metrics") == 404
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(watched.url.replace("/metrics", "/health"), timeout=10)
    assert "9091" not in watched.text()


def test_what_the_server_is_now(watched):
    assert watched.total("tracking_info", mlflow=mlflow.__version__) == 1
    assert watched.total("tracking_dependency_up") == 2
    assert watched.total("tracking_workers") == WORKERS
    assert watched.total("tracking_memory_bytes") > 50e6
    assert watched.total("tracking_cpu_seconds_total") > 0
    assert watched.total("tracking_requests_in_flight") == 0
    assert time.time() - 600 < watched.total("tracking_start_time_seconds") < time.time()
    free = watched.total("stack_volume_free_bytes", volume="tracking-tmp")
    assert 0 < free < watched.total("stack_volume_size_bytes", volume="tracking-tmp")


def test_the_last_backup_shows_once_there_is_one(watched):
    name = "stack_last_backup_timestamp_seconds"
    assert f"\n{name} 0.0\n" in watched.text()
    folder = watched.server.folder / "backups"
    folder.mkdir(exist_ok=True)
    file = folder / "last-backup.json"
    file.write_text("{")
    assert watched.total(name) == 0
    file.write_text(json.dumps({"finished": 1764000000, "snapshot": "abc"}))
    assert watched.total(name) == 1764000000


def test_what_a_killed_worker_counted_stays(watched):
    """And its files go: they are in memory, and a worker may die again and again."""
    for _ in range(20):
        assert watched.ask("/version") == 200
    route = {"route": "/version"}
    wait_until(lambda: watched.total("tracking_requests_total", **route) == 20, 10, "counted")
    parent = psutil.Process(watched.server.process.pid)
    for exits in range(1, 4):
        parent.children()[0].kill()
        wait_until(lambda n=exits: watched.total("tracking_worker_exits_total") == n, 20, "its end")
    wait_until(lambda: watched.total("tracking_workers") == WORKERS, 20, "all workers back")
    assert watched.total("tracking_requests_total", **route) == 20
    assert watched.total("tracking_requests_in_flight") == 0


def test_another_port_is_needed(tmp_path):
    server = on_local_files(tmp_path)
    server.environment["TRACKING_METRICS_PORT"] = str(server.port)
    refused = server.run("serve")
    assert refused.returncode == 1
    assert "TRACKING_METRICS_PORT must be another port" in refused.stderr
