"""What the stack has acknowledged, to be read back and compared."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import httpx
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import RestException

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"

Point = tuple[int, int, float]  # step, timestamp in ms, value


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class _Run:
    metrics: dict[str, set[Point]] = field(default_factory=lambda: defaultdict(set))
    params: dict[str, str] = field(default_factory=dict)
    status: str | None = None


class Ledger:
    """Filled by many threads. `lost` reads all of it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._sent: dict[str, str] = {}
        self._stored: set[str] = set()
        self._versions: dict[tuple[str, str], str] = {}
        self._aliases: dict[tuple[str, str], list[str]] = {}
        self._settled_aliases: set[tuple[str, str]] = set()

    def created(self, run_id: str) -> None:
        with self._lock:
            self._runs[run_id] = _Run()

    def logged(
        self, run_id: str, metrics: Iterable[Metric] = (), params: Iterable[Param] = ()
    ) -> None:
        with self._lock:
            run = self._runs[run_id]
            for one in metrics:
                run.metrics[one.key].add((one.step, one.timestamp, one.value))
            run.params |= {one.key: one.value for one in params}

    def ended(self, run_id: str, status: str) -> None:
        with self._lock:
            self._runs[run_id].status = status

    def sending(self, path: str, content: bytes) -> None:
        """An artifact is on its way: until it is stored it may be there or not, but whole."""
        with self._lock:
            self._sent[path] = digest(content)

    def stored(self, path: str) -> None:
        with self._lock:
            self._stored.add(path)

    def registered(self, name: str, version: str, run_id: str) -> None:
        with self._lock:
            self._versions[name, version] = run_id

    def moving(self, name: str, alias: str, version: str) -> None:
        """An alias is being moved: until that is acknowledged it may name this version, too."""
        with self._lock:
            self._aliases.setdefault((name, alias), []).append(version)

    def moved(self, name: str, alias: str, version: str) -> None:
        with self._lock:
            self._aliases[name, alias] = [version]
            self._settled_aliases.add((name, alias))

    def counts(self) -> dict[str, int]:
        """How many of each kind were acknowledged."""
        with self._lock:
            runs = self._runs.values()
            return {
                "runs": len(runs),
                "metrics": sum(len(points) for run in runs for points in run.metrics.values()),
                "params": sum(len(run.params) for run in runs),
                "artifacts": len(self._stored),
                "versions": len(self._versions),
                "aliases": len(self._settled_aliases),
            }

    def lost(self, address: str) -> list[str]:
        """One line for each acknowledged thing that the tracking server at `address` does not
        give back as it was, and for each artifact that is there in part.

        Raises MlflowException or httpx.HTTPError where it does not answer.
        """
        client = MlflowClient(address, address)
        return [
            *self._lost_of_runs(client),
            *self._lost_artifacts(address),
            *self._lost_of_registry(client),
        ]

    def _lost_of_runs(self, client: MlflowClient) -> Iterator[str]:
        for run_id, run in self._runs.items():
            try:
                stored = client.get_run(run_id)
            except RestException as error:
                yield f"run {run_id}: {error.error_code}"
                continue
            if run.status and stored.info.status != run.status:
                yield f"run {run_id}: {stored.info.status} instead of {run.status}"
            for key, value in run.params.items():
                if stored.data.params.get(key) != value:
                    yield f"run {run_id}: param {key}"
            for key, points in run.metrics.items():
                history = client.get_metric_history(run_id, key)
                there = {(one.step, one.timestamp, one.value) for one in history}
                if missing := points - there:
                    yield f"run {run_id}: {len(missing)} of {len(points)} values of {key}"

    def _lost_artifacts(self, address: str) -> Iterator[str]:
        with httpx.Client(base_url=address, timeout=60) as http:
            for path, expected in self._sent.items():
                answer = http.get(f"{ARTIFACTS}/{path}")
                if answer.status_code == 404 and path not in self._stored:
                    continue
                if answer.status_code != 200:
                    yield f"artifact {path}: status {answer.status_code}"
                elif digest(answer.content) != expected:
                    yield f"artifact {path}: {len(answer.content)} bytes with another digest"

    def _lost_of_registry(self, client: MlflowClient) -> Iterator[str]:
        for (name, version), run_id in self._versions.items():
            try:
                if client.get_model_version(name, version).run_id != run_id:
                    yield f"version {version} of {name}: of another run"
            except RestException as error:
                yield f"version {version} of {name}: {error.error_code}"
        for name, alias in self._settled_aliases:
            version = str(client.get_registered_model(name).aliases.get(alias))
            if version not in self._aliases[name, alias]:
                yield f"alias {alias} of {name}: names {version}"
