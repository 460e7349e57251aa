"""Users, what one of them keeps from another, and every string of clients that names it.

The probes are harmless: files of a few bytes that the test's own users made.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

API = "/api/2.0/mlflow"
AJAX = "/ajax-api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
FILE, WORDS = "note.txt", b"kept from others"
USERS = ("nobody", "reader", "editor", "denied", "admin")
"""Without a login; with READ, EDIT and DENY on what the owner made; an administrator."""
GRANTS = {"reader": "READ", "editor": "EDIT", "denied": "DENY"}


@dataclass
class Door:
    """The way into a tracking server with logins. ask: an HTTP client for a login, or None.
    run: `tracking-server ...` beside it; what that wrote."""

    client: Callable[[tuple[str, str] | None], httpx.Client]
    run: Callable[..., str]
    admin: tuple[str, str]
    bucket: str
    logins: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def let_in(self, name: str) -> None:
        """Make a user of the test's, whatever others there are."""
        unique = f"{name}-{uuid.uuid4().hex[:6]}"
        self.logins[name] = (unique, self.run("user", "add", unique).strip())

    def of(self, user: str) -> httpx.Client:
        if user not in self.clients:
            login = {"nobody": None, "admin": self.admin}.get(user) or self.logins.get(user)
            self.clients[user] = self.client(login)
        return self.clients[user]

    def call(self, user: str, method: str, path: str, /, **body: object) -> httpx.Response:
        content = {"json": body} if method != "GET" else {"params": body}
        return self.of(user).request(method, path, **content)

    def made(self, user: str, method: str, path: str, /, **body: object) -> dict:
        answer = self.call(user, method, path, **body)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


class Belongings:
    """An experiment of somebody's with a run, a logged model, a trace and a registered version,
    each with a file."""

    def __init__(self, door: Door, owner: str) -> None:
        self._door, self._owner = door, owner
        name = f"of-{owner}-{uuid.uuid4().hex[:6]}"
        self.experiment_name = self.model = name
        make = door.made
        self.experiment = make(owner, "POST", f"{API}/experiments/create", name=name)[
            "experiment_id"
        ]
        run = make(owner, "POST", f"{API}/runs/create", experiment_id=self.experiment)["run"]
        self.run, self.run_uri = run["info"]["run_id"], run["info"]["artifact_uri"]
        self.logged = make(
            owner, "POST", f"{API}/logged-models", experiment_id=self.experiment, name="kept"
        )["model"]["info"]["model_id"]
        self.trace = start_trace(door, owner, self.experiment).json()["trace"]["trace_info"][
            "trace_id"
        ]
        self.folders = {
            "run": f"{self.experiment}/{self.run}/artifacts",
            "logged model": f"{self.experiment}/models/{self.logged}/artifacts",
            "trace": f"{self.experiment}/traces/{self.trace}/artifacts",
        }
        for folder in self.folders.values():
            put(door, owner, f"{folder}/{FILE}").raise_for_status()
        data = json.dumps({"spans": []}).encode()
        put(door, owner, f"{self.folders['trace']}/traces.json", data).raise_for_status()
        put(door, owner, f"{self.folders['trace']}/attachments/{FILE}").raise_for_status()
        make(owner, "POST", f"{API}/registered-models/create", name=self.model)
        self.source = f"{self.run_uri}"
        create_version(door, owner, self.model, self.source, run_id=self.run).raise_for_status()

    def grant(self, user: str, permission: str) -> None:
        name, _ = self._door.logins[user]
        for kind, what in (("experiment", self.experiment_name), ("model", self.model)):
            self._door.run("permission", "grant", name, permission, kind, what)


def create_version(door: Door, user: str, model: str, source: str, **ids: str) -> httpx.Response:
    return door.call(
        user, "POST", f"{API}/model-versions/create", name=model, source=source, **ids
    )


def put(door: Door, user: str, path: str, data: bytes = WORDS) -> httpx.Response:
    return door.of(user).put(f"{PROXY}/{path}", content=data)


def start_trace(
    door: Door, user: str, experiment: str, identifier: str = "", **tags: str
) -> httpx.Response:
    info = {
        "trace_id": identifier or f"tr-{uuid.uuid4().hex}",
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": experiment},
        },
        "request_time": "2026-11-30T12:00:00Z",
        "execution_duration": "1s",
        "state": "OK",
        "tags": tags,
    }
    return door.call(user, "POST", "/api/3.0/mlflow/traces", trace={"trace_info": info})


def send_span(door: Door, user: str, experiment: str, **attributes: str) -> httpx.Response:
    """One span over OTLP, whose trace is new."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = uuid.uuid4().bytes, uuid.uuid4().bytes[:8]
    span.name, span.start_time_unix_nano, span.end_time_unix_nano = "one", 10**18, 10**18 + 1
    for key, value in attributes.items():
        attribute = span.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    headers = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": experiment}
    return door.of(user).post("/v1/traces", content=request.SerializeToString(), headers=headers)
