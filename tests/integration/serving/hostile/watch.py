"""What holds before, during and after an attack: good requests are answered, nothing stays."""

import time
from collections.abc import Iterator

import psutil

from harness.serving import ModelServer
from harness.waiting import wait_until
from tests.integration.serving.hostile.targets import Target

AT_ONCE = 5
"""Seconds for a good request's answer, while nothing else runs."""
MORE_MEMORY = 600 * 2**20
"""Bytes that all processes may have more, together: what eight times the largest body took, in
allocators that keep it."""


class Good:
    """Each model's plainest request in both protocols, and what MLflow predicts for it."""

    def __init__(self, server: ModelServer, targets: list[Target]) -> None:
        self._server = server
        self._cases = []
        for target in targets:
            expected = target.predictions()
            self._cases.append((target.path, target.mlflow_bodies()[0], expected, _predictions))
            self._cases.append((target.v2_path, target.v2_bodies()[0], expected, _output))

    def check(self) -> None:
        for path, body, expected, read in self._cases:
            since = time.monotonic()
            answer = self._server.http.post(path, json=body)
            assert answer.status_code == 200, f"{path}: {answer.text}"
            assert read(answer.json()) == expected, path
            assert time.monotonic() - since < AT_ONCE, path


def _predictions(answer: dict) -> list:
    return answer["predictions"]


def _output(answer: dict) -> list:
    (output,) = answer["outputs"]
    return output["data"]


class Watch:
    """What must not change, or grow, by hostile requests."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._front = psutil.Process(server.process.pid)
        self._processes = self.processes()
        self._models = server.http.get("/models").json()
        self._files = self._front.num_fds()
        self.memory = self.resident()

    def processes(self) -> set[int]:
        return {process.pid for process in self._server.family()}

    def resident(self) -> int:
        """Bytes of all processes."""
        family = [self._front, *self._server.family()]
        return sum(process.memory_info().rss for process in family)

    def check(self) -> None:
        assert self.processes() == self._processes
        assert self._server.http.get("/models").json() == self._models
        wait_until(self._is_at_rest, 20, "connections and bodies to be gone")
        assert self._front.num_fds() <= self._files + 2
        for name, value in self._metrics():
            if name.startswith("model_server_worker_restarts_total"):
                assert value == 0, name
        for message in ("request failed", "prediction failed", "worker lost"):
            assert self._server.log_lines(message) == []
        log = self._server.process.text().splitlines()
        assert [line for line in log if not line.startswith("{")] == []
        assert self.resident() - self.memory < MORE_MEMORY

    def _is_at_rest(self) -> bool:
        """Our own connection is the one that is left."""
        metrics = dict(self._metrics())
        return (
            metrics["model_server_connections"] == 1
            and metrics["model_server_buffered_bytes"] == 0
            and not any(
                value
                for name, value in metrics.items()
                if name.startswith("model_server_queue_requests")
            )
        )

    def _metrics(self) -> Iterator[tuple[str, float]]:
        for line in self._server.http.get("/metrics").text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                yield name, float(value)
