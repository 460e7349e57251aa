"""Users, what one of them keeps from another, and every string of clients that names it.

Shared by the tests on a server of their own and by those on the stack. The probes are harmless:
files of a few bytes that the tests' own users made.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

API, API_3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
AJAX = "/ajax-api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
FILE, WORDS = "note.txt", b"kept from others"
ATTACHMENT = str(uuid.UUID(int=1))
LOCATION, ARCHIVE, SPANS = (
    "mlflow.artifactLocation",
    "mlflow.trace.archiveLocation",
    "mlflow.trace.spansLocation",
)
USERS = ("nobody", "reader", "editor", "denied", "admin")
"""No login; READ, EDIT and DENY on what the owner made; an administrator."""
GRANTS = {"reader": "READ", "editor": "EDIT", "denied": "DENY"}
LIST_FILES = """
query Q($data: MlflowListArtifactsInput!) {
  mlflowListArtifacts(input: $data) { files { path } }
}
"""


@dataclass
class Door:
    """The way into a tracking server with logins. client: an HTTP client for a login. store: where
    its artifacts lie. sql: executes a statement on its backend store. run: `tracking-server ...`
    beside it, and what that wrote."""

    client: Callable[[tuple[str, str] | None], httpx.Client]
    admin: tuple[str, str]
    store: str
    sql: Callable[[str], object]
    run: Callable[..., str]
    logins: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logins |= {"nobody": None, "admin": self.admin}

    def let_in(self, name: str) -> None:
        """Make a user, whatever others there are."""
        login = f"{name}-{uuid.uuid4().hex[:6]}", secrets.token_hex(8)
        self.made("admin", "POST", f"{API}/users/create", username=login[0], password=login[1])
        self.logins[name] = login

    def grant(self, user: str, permission: str, kind: str, what: str) -> None:
        name, _ = self.logins[user]
        body = {"resource_type": kind, "resource_id": what, "permission": permission}
        self.made("admin", "POST", f"{API_3}/users/permissions/grant", username=name, **body)

    def revoke(self, user: str, kind: str, what: str) -> None:
        name, _ = self.logins[user]
        body = {"resource_type": kind, "resource_id": what}
        self.made("admin", "POST", f"{API_3}/users/permissions/revoke", username=name, **body)

    def of(self, user: str) -> httpx.Client:
        if user not in self.clients:
            self.clients[user] = self.client(self.logins[user])
        return self.clients[user]

    def call(self, user: str, method: str, path: str, /, **fields: object) -> httpx.Response:
        content = {"params": fields} if method == "GET" else {"json": fields}
        return self.of(user).request(method, path, **content)

    def made(self, user: str, method: str, path: str, /, **fields: object) -> dict:
        answer = self.call(user, method, path, **fields)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def put(self, user: str, path: str, data: bytes = WORDS) -> httpx.Response:
        return self.of(user).put(f"{PROXY}/{path}", content=data)

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


class Belongings:
    """An experiment of somebody's with a run, a logged model, a trace and a registered version,
    each with a file."""

    def __init__(self, door: Door, owner: str) -> None:
        self.door, self.owner = door, owner
        self.model = f"of-{owner}-{uuid.uuid4().hex[:6]}"
        made = self.make("experiments/create", name=self.model)
        self.experiment = made["experiment_id"]
        run = self.make("runs/create", experiment_id=self.experiment)["run"]["info"]
        self.run, self.run_uri = run["run_id"], run["artifact_uri"]
        logged = self.make("logged-models", experiment_id=self.experiment, name="kept")
        self.logged = logged["model"]["info"]["model_id"]
        self.trace = trace_id(self.start_trace())
        self.folders = {
            "run": f"{self.experiment}/{self.run}/artifacts",
            "logged model": f"{self.experiment}/models/{self.logged}/artifacts",
            "trace": f"{self.experiment}/traces/{self.trace}/artifacts",
        }
        self.put(f"{self.folders['run']}/{FILE}", WORDS)
        self.put(f"{self.folders['logged model']}/{FILE}", WORDS)
        self.put(f"{self.folders['trace']}/attachments/{ATTACHMENT}", WORDS)
        self.put(f"{self.folders['trace']}/traces.json", json.dumps({"spans": []}).encode())
        self.make("registered-models/create", name=self.model)
        self.version(self.run_uri, run_id=self.run).raise_for_status()

    def make(self, path: str, **fields: object) -> dict:
        return self.door.made(self.owner, "POST", f"{API}/{path}", **fields)

    def put(self, path: str, data: bytes) -> None:
        self.door.put(self.owner, path, data).raise_for_status()

    def share(self, user: str, permission: str, *, anew: bool = False) -> None:
        what = {"experiment": self.experiment, "registered_model": self.model}
        for kind, name in what.items():
            if anew:
                self.door.revoke(user, kind, name)
            self.door.grant(user, permission, kind, name)

    def version(self, source: str, by: str = "", **ids: str) -> httpx.Response:
        """Ask for another version of the model."""
        path, fields = f"{API}/model-versions/create", {"name": self.model, "source": source}
        return self.door.call(by or self.owner, "POST", path, **fields, **ids)

    def start_trace(self, tags: dict | None = None, by: str = "", identifier: str = ""):
        info = {
            "trace_id": identifier or f"tr-{uuid.uuid4().hex}",
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": self.experiment},
            },
            "request_time": "2026-11-30T12:00:00Z",
            "execution_duration": "1s",
            "state": "OK",
            "tags": tags or {},
        }
        path, body = f"{API_3}/traces", {"trace_info": info}
        return self.door.call(by or self.owner, "POST", path, trace=body)

    def start_old_trace(self, tags: dict, by: str = "") -> httpx.Response:
        fields = {"experiment_id": self.experiment, "timestamp_ms": 1, "request_metadata": []}
        return self.door.call(by or self.owner, "POST", f"{API}/traces", tags=pairs(tags), **fields)

    def end_old_trace(self, tags: dict, by: str = "") -> httpx.Response:
        fields = {"timestamp_ms": 9, "status": "OK", "request_metadata": []}
        path = f"{API}/traces/{self.trace}"
        return self.door.call(by or self.owner, "PATCH", path, tags=pairs(tags), **fields)

    def send_span(self, tags: dict, by: str = "", identifier: str = "", **headers: str):
        """One span over OTLP, whose trace is new where none is named."""
        request = ExportTraceServiceRequest()
        span = request.resource_spans.add().scope_spans.add().spans.add()
        trace = uuid.UUID(identifier.removeprefix("tr-")) if identifier else uuid.uuid4()
        span.trace_id, span.span_id = trace.bytes, uuid.uuid4().bytes[:8]
        span.name, span.start_time_unix_nano, span.end_time_unix_nano = "one", 10**18, 10**18 + 1
        for key, value in tags.items():
            attribute = span.attributes.add()
            attribute.key, attribute.value.string_value = f"mlflow.traceTag.{key}", value
        return self.door.of(by or self.owner).post(
            "/v1/traces",
            content=request.SerializeToString(),
            headers={
                "content-type": "application/x-protobuf",
                "x-mlflow-experiment-id": self.experiment,
                **headers,
            },
        )

    def tag_trace(self, key: str, value: str, by: str = "", version: str = API_3):
        fields = {"key": key, "value": value}
        return self.door.call(
            by or self.owner, "PATCH", f"{version}/traces/{self.trace}/tags", **fields
        )


def trace_id(answer: httpx.Response) -> str:
    return answer.json()["trace"]["trace_info"]["trace_id"]


def pairs(tags: dict) -> list[dict]:
    return [{"key": key, "value": value} for key, value in tags.items()]


@dataclass
class World:
    """owned: what the owner keeps from some. own: what each of the others has."""

    door: Door
    owned: Belongings
    own: dict[str, Belongings]

    def mine(self, user: str) -> Belongings:
        """Belongings of that user, or the editor's where there are none."""
        return self.own.get(user) or self.own["editor"]


def world(door: Door) -> Iterator[World]:
    for user in ("owner", *GRANTS):
        door.let_in(user)
    owned = Belongings(door, "owner")
    for user, permission in GRANTS.items():
        owned.share(user, permission)
    yield World(door, owned, {user: Belongings(door, user) for user in (*GRANTS, "admin")})
    door.close()


def answers(**of_users: int | tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The statuses that each user may get."""
    return {
        user: status if isinstance(status, tuple) else (status,)
        for user, status in {"nobody": 401, **of_users}.items()
    }


READS = answers(reader=200, editor=200, denied=403, admin=200)
WRITES = answers(reader=403, editor=200, denied=403, admin=200)
DELETES = answers(reader=403, editor=403, denied=403, admin=200)
REFUSED = answers(reader=400, editor=400, denied=(400, 403), admin=400)
ADMINISTRATORS = answers(reader=403, editor=403, denied=403, admin=(200, 404))
MISSPELT = answers(reader=(400, 403), editor=(400, 403), denied=(400, 403), admin=(200, 404))
UNSOUND = answers(reader=(400, 403), editor=(400, 403), denied=(400, 403), admin=400)

Probe = tuple[Callable[[World, str], httpx.Response], dict[str, tuple[int, ...]]]
PROBES: dict[str, Probe] = {}


def probe(name: str, allowed: dict[str, tuple[int, ...]]):
    def keep(ask: Callable[[World, str], httpx.Response]) -> None:
        PROBES[name] = ask, allowed

    return keep


def _sources() -> None:
    """Sources of a version of the caller's own model."""

    def source(name: str, allowed, address: Callable[[World], str], ids=lambda _w, _u: {}):
        probe(f"source: {name}", allowed)(
            lambda w, user: w.mine(user).version(address(w), user, **ids(w, user))
        )

    def of_run(w: World, _: str) -> dict:
        return {"run_id": w.owned.run}

    def of_model(w: World, _: str) -> dict:
        return {"model_id": w.owned.logged}

    source("a run's folder", READS, lambda w: w.owned.run_uri, of_run)
    source("runs:/", READS, lambda w: f"runs:/{w.owned.run}/{FILE}", of_run)
    source("a logged model", READS, lambda w: f"models:/{w.owned.logged}", of_model)
    source("another version", READS, lambda w: f"models:/{w.owned.model}/1")
    source("its files in the store", REFUSED, lambda w: f"{w.door.store}/{w.owned.folders['run']}")
    source("the store itself", REFUSED, lambda w: w.door.store)
    source("another bucket", REFUSED, lambda _: "s3://not-ours/folder")
    source("a scheme in capitals", REFUSED, lambda _: "S3://not-ours/folder")
    source("a folder of the server", REFUSED, lambda _: "/tmp/nothing")
    source("a file: of the server", REFUSED, lambda _: "file:///tmp/nothing")
    source("another scheme", REFUSED, lambda _: "dbfs:/nothing")
    source(
        "another host", REFUSED, lambda w: f"mlflow-artifacts://tracking/{w.owned.folders['run']}"
    )
    source("a host's address", REFUSED, lambda _: "http://127.0.0.1/nothing")
    source(
        "another's folder as a run of one's own",
        REFUSED,
        lambda w: w.owned.run_uri,
        lambda w, user: {"run_id": w.mine(user).run},
    )
    source("a place of nobody", UNSOUND, lambda _: "mlflow-artifacts:/nobody/file")
    for what, path in (("dots", "./"), ("two slashes", "/"), ("a code", "%2E/")):
        source(what, UNSOUND, lambda w, path=path: f"{w.owned.run_uri}/{path}{FILE}", of_run)


def _locations() -> None:
    """Artifact locations of experiments."""
    for what, location in {
        "another experiment's": lambda w: f"mlflow-artifacts:/{w.owned.experiment}",
        "one below it": lambda w: f"mlflow-artifacts:/{w.owned.folders['run']}",
        "one that may come": lambda _: "mlflow-artifacts:/99999",
        "a free one": lambda _: "mlflow-artifacts:/free",
        "the store": lambda w: w.door.store,
        "a bucket": lambda _: "s3://not-ours/folder",
        "a folder": lambda _: "/tmp/nothing",
        "a file:": lambda _: "file:///tmp/nothing",
    }.items():
        probe(f"location: {what}", REFUSED)(
            lambda w, user, location=location: w.door.call(
                user,
                "POST",
                f"{API}/experiments/create",
                name=uuid.uuid4().hex,
                artifact_location=location(w),
            )
        )


def _traces() -> None:
    """Tags that say where a trace's data lies, of the caller's own trace."""
    tags = {
        "location": (LOCATION, lambda w: f"mlflow-artifacts:/{w.owned.folders['run']}"),
        "location in the bucket": (
            LOCATION,
            lambda w: f"{w.door.store}/{w.owned.folders['trace']}",
        ),
        "archive": (ARCHIVE, lambda w: f"{w.door.store}/{w.owned.folders['trace']}"),
        "archived": (SPANS, lambda _: "ARCHIVE_REPO"),
    }
    ways = {
        "set": lambda own, key, value, by: own.tag_trace(key, value, by),
        "set, version 2": lambda own, key, value, by: own.tag_trace(key, value, by, API),
        "start": lambda own, key, value, by: own.start_trace({key: value}, by),
        "start, version 2": lambda own, key, value, by: own.start_old_trace({key: value}, by),
        "end, version 2": lambda own, key, value, by: own.end_old_trace({key: value}, by),
        "OTLP": lambda own, key, value, by: own.send_span({key: value}, by),
    }
    for what, (key, value) in tags.items():
        for way, send in ways.items():
            probe(f"trace: {what}, {way}", REFUSED)(
                lambda w, user, key=key, value=value, send=send: send(
                    w.mine(user), key, value(w), user
                )
            )
    for what, name in (("slashes", "tr-a/b"), ("dots", ".."), ("a code", "tr-%2e")):
        probe(f"trace: an id with {what}", REFUSED)(
            lambda w, user, name=name: w.mine(user).start_trace({}, user, name)
        )
    another = {
        "started in one's own experiment": (
            DELETES,
            lambda own, user, trace: own.start_trace({}, user, trace),
        ),
        "sent to one's own experiment": (
            WRITES,
            lambda own, user, trace: own.send_span({}, user, trace),
        ),
    }
    for what, (allowed, send) in another.items():
        probe(f"trace: another's, {what}", allowed)(
            lambda w, user, send=send: send(w.mine(user), user, trace_id(w.owned.start_trace()))
        )
    probe("trace: the tag of its location, deleted", REFUSED)(
        lambda w, user: w.door.of(user).request(
            "DELETE", f"{API_3}/traces/{w.mine(user).trace}/tags", json={"key": LOCATION}
        )
    )


def _experiments() -> None:
    """Rows of the owner's experiment, whose number is written in another way."""

    def number(w: World) -> str:
        return f"0{w.owned.experiment}"

    def place(w: World) -> dict:
        return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": number(w)}}

    for what, method, path, fields in (
        ("itself", "GET", f"{API}/experiments/get", lambda w: {"experiment_id": number(w)}),
        ("its runs", "POST", f"{API}/runs/search", lambda w: {"experiment_ids": [number(w)]}),
        ("its traces", "POST", f"{API_3}/traces/search", lambda w: {"locations": [place(w)]}),
        (
            "its scorers",
            "GET",
            f"{API_3}/scorers/list",
            lambda w: {"experiment_id": number(w)},
        ),
        ("a new run", "POST", f"{API}/runs/create", lambda w: {"experiment_id": number(w)}),
    ):
        allowed = answers(reader=400, editor=400, denied=400, admin=200)
        probe(f"experiment: {what}, by another spelling", allowed)(
            lambda w, user, method=method, path=path, fields=fields: w.door.call(
                user, method, path, **fields(w)
            )
        )


def _zero(w: World) -> str:
    return f"0{w.owned.folders['run']}/{FILE}"


def _paths() -> None:
    """Paths of the artifact routes."""

    def path(name: str, allowed, method: str, of: Callable[[World], str]) -> None:
        probe(f"path: {name}, {method}", allowed)(
            lambda w, user: w.door.of(user).request(
                method, f"{PROXY}/{of(w)}", content=WORDS if method == "PUT" else None
            )
        )

    def listing(name: str, allowed, of: Callable[[World], str | None]) -> None:
        probe(f"path: {name}, listed", allowed)(
            lambda w, user: w.door.of(user).get(
                PROXY, params={} if of(w) is None else {"path": of(w)}
            )
        )

    for kind in ("run", "logged model"):
        path(f"a {kind}'s", READS, "GET", lambda w, kind=kind: f"{w.owned.folders[kind]}/{FILE}")
        path(f"a {kind}'s", WRITES, "PUT", lambda w, kind=kind: f"{w.owned.folders[kind]}/new")
        listing(f"a {kind}'s", READS, lambda w, kind=kind: w.owned.folders[kind])
    path("a run's", DELETES, "DELETE", lambda w: f"{w.owned.folders['run']}/new")
    for method in ("GET", "PUT", "DELETE"):
        path("a number with a zero before it", MISSPELT, method, _zero)
        path("a number without end", MISSPELT, method, lambda _: f"{'9' * 30}/{FILE}")
    listing("a number with a zero before it", MISSPELT, _zero)
    listing("a number without end", MISSPELT, lambda _: "9" * 30)
    path("coded twice", READS, "GET", lambda w: f"{w.owned.folders['run']}%252F{FILE}")
    for method in ("GET", "PUT", "DELETE"):
        path("no experiment's", ADMINISTRATORS, method, lambda _: f"99999/{FILE}")
        path("nobody's", ADMINISTRATORS, method, lambda _: f"nobody/{FILE}")
        path("dots", UNSOUND, method, lambda w: f"%252E/{w.owned.folders['run']}/{FILE}")
        path("two slashes", UNSOUND, method, lambda w: f"{w.owned.folders['run']}//{FILE}")
    listing("an experiment's", READS, lambda w: w.owned.experiment)
    listing("dots", UNSOUND, lambda w: f"./{w.owned.folders['run']}")
    listing("the root", ADMINISTRATORS, lambda _: None)
    probe("path: a run's, listed by a body", READS)(
        lambda w, user: w.door.of(user).request("GET", PROXY, json={"path": w.owned.folders["run"]})
    )


def _files() -> None:
    """Files of the owner's things by every route that reads them."""
    routes: dict[str, tuple[str, Callable[[World], dict]]] = {
        "a run's": ("/get-artifact", lambda w: {"run_id": w.owned.run, "path": FILE}),
        "a run's, listed": (f"{API}/artifacts/list", lambda w: {"run_id": w.owned.run}),
        "a version's": (
            "/model-versions/get-artifact",
            lambda w: {"name": w.owned.model, "version": "1", "path": FILE},
        ),
        "a version's address": (
            f"{API}/model-versions/get-download-uri",
            lambda w: {"name": w.owned.model, "version": "1"},
        ),
        "a trace's": (f"{AJAX}/get-trace-artifact", lambda w: {"request_id": w.owned.trace}),
        "a trace's attachment": (
            f"{AJAX}/get-trace-artifact",
            lambda w: {"request_id": w.owned.trace, "path": ATTACHMENT},
        ),
    }
    for name, (route, fields) in routes.items():
        probe(f"file: {name}", READS)(
            lambda w, user, route=route, fields=fields: w.door.call(user, "GET", route, **fields(w))
        )
    probe("file: a logged model's", READS)(
        lambda w, user: w.door.call(
            user,
            "GET",
            f"{AJAX}/logged-models/{w.owned.logged}/artifacts/files",
            artifact_file_path=FILE,
        )
    )
    probe("file: a logged model's, listed", READS)(
        lambda w, user: w.door.call(
            user, "GET", f"{API}/logged-models/{w.owned.logged}/artifacts/directories"
        )
    )
    probe("file: a run's, uploaded by the page", WRITES)(
        lambda w, user: w.door.of(user).post(
            f"{AJAX}/upload-artifact",
            params={"run_uuid": w.owned.run, "path": "page.txt"},
            content=WORDS,
        )
    )


_experiments()
_sources()
_locations()
_traces()
_paths()
_files()


def check(w: World, name: str, user: str) -> None:
    """Ask as somebody, and see that the answer is theirs to have."""
    ask, allowed = PROBES[name]
    answer = ask(w, user)
    assert answer.status_code in allowed[user], f"{answer.status_code} {answer.text}"
    if answer.status_code >= 400:
        assert WORDS not in answer.content
        assert len(answer.text.splitlines()) <= 1 or answer.headers["content-type"].startswith(
            "application/json"
        )


def check_graphql(w: World, user: str) -> None:
    """GraphQL answers 200 whatever it gives."""
    variables = {"data": {"runId": w.owned.run}}
    body = {"query": LIST_FILES, "variables": variables, "operationName": "Q"}
    answer = w.door.call(user, "POST", "/graphql", **body)
    may = 200 in READS[user]
    if user != "admin":
        query = f'{{ mlflowGetExperiment(input: {{experimentId: "0{w.owned.experiment}"}}) '
        asked = w.door.call(
            user, "POST", "/graphql", query=f"{query}{{ experiment {{ name }} }} }}"
        )
        assert w.owned.model not in asked.text
    assert answer.status_code == (401 if user == "nobody" else 200)
    assert (FILE in answer.text) == may


def write(table: str, column: str, address: str, key: str, identifier: str) -> str:
    """A statement that puts an address where no request can."""
    return f"UPDATE {table} SET {column} = '{address}' WHERE {key} = '{identifier}'"  # noqa: S608


class OldRows:
    """Rows from before addresses were asked about: somebody's own things, with the addresses of
    what the owner keeps from them."""

    def __init__(self, w: World, user: str) -> None:
        owned, theirs = w.owned, Belongings(w.door, user)
        self.theirs, self.moved = theirs, Belongings(w.door, user)
        in_store = {kind: f"{w.door.store}/{path}" for kind, path in owned.folders.items()}
        of = {kind: f"mlflow-artifacts:/{path}" for kind, path in owned.folders.items()}
        root = f"mlflow-artifacts:/{owned.experiment}"
        for table, column, address, key, identifier in (
            ("model_versions", "source", in_store["run"], "name", theirs.model),
            ("model_versions", "storage_location", in_store["run"], "name", theirs.model),
            ("runs", "artifact_uri", owned.run_uri, "run_uuid", theirs.run),
            ("logged_models", "artifact_location", of["logged model"], "model_id", theirs.logged),
            (
                "trace_tags",
                "value",
                of["trace"],
                f"key = '{LOCATION}' AND request_id",
                theirs.trace,
            ),
            ("experiments", "artifact_location", root, "experiment_id", self.moved.experiment),
        ):
            w.door.sql(write(table, column, address, key, identifier))
        new = self.moved.make("runs/create", experiment_id=self.moved.experiment)
        self.run_in_moved = new["run"]["info"]["run_id"]

    def asked(self, w: World, user: str) -> dict[str, httpx.Response]:
        """Answers to reading through each of them."""
        t, call = self.theirs, w.door.call
        version = {"name": t.model, "version": "1"}
        return {
            "version": call(user, "GET", "/model-versions/get-artifact", path=FILE, **version),
            "version's address": call(
                user, "GET", f"{API}/model-versions/get-download-uri", **version
            ),
            "version copied": w.own[user].version(f"models:/{t.model}/1"),
            "run": call(user, "GET", "/get-artifact", run_id=t.run, path=FILE),
            "run listed": call(user, "GET", f"{API}/artifacts/list", run_id=t.run),
            "logged model": call(
                user,
                "GET",
                f"{AJAX}/logged-models/{t.logged}/artifacts/files",
                artifact_file_path=FILE,
            ),
            "trace": call(
                user, "GET", f"{AJAX}/get-trace-artifact", request_id=t.trace, path=ATTACHMENT
            ),
            "run in a moved experiment": call(
                user, "GET", f"{API}/artifacts/list", run_id=self.run_in_moved
            ),
        }

    def listed(self) -> set[tuple[str, str]]:
        """Kind and id of each row, as `tracking-server addresses` has them."""
        return {
            ("version", "1"),
            ("run", self.theirs.run),
            ("logged model", self.theirs.logged),
            ("trace", self.theirs.trace),
            ("experiment", self.moved.experiment),
            ("run", self.run_in_moved),
        }


def check_old_rows(w: World, old: OldRows) -> None:
    """They are for administrators, and `tracking-server addresses` lists them and no lawful one."""
    for what, answer in old.asked(w, "denied").items():
        refused = 400 if what == "version copied" else 403
        assert answer.status_code == refused, f"{what}: {answer.status_code} {answer.text}"
        assert WORDS not in answer.content
    through = old.asked(w, "admin")
    assert through.pop("version copied").status_code == 400  # no new row of that kind
    for what, answer in through.items():
        assert answer.status_code == 200, f"{what}: {answer.text}"
    assert through["version"].content == WORDS
    lines = [line.split("\t") for line in w.door.run("addresses").splitlines()]
    assert all(len(line) == 5 for line in lines)
    listed = {(kind, identifier) for kind, identifier, *_ in lines}
    assert old.listed() <= listed
    lawful = {
        ("experiment", w.owned.experiment),
        ("run", w.owned.run),
        ("logged model", w.owned.logged),
        ("trace", w.owned.trace),
    }
    assert lawful.isdisjoint(listed)
    assert not any(name == w.owned.model for _, _, name, *_ in lines)
