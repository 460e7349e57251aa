"""No address is a way around permissions: every kind of user by every string of clients.

tests/compose/team has the same on the stack.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing

import httpx
import mlflow
import pytest
from mlflow.exceptions import MlflowException

from harness.tracking import on_local_files, on_postgres_and_s3
from tests import addresses
from tests.addresses import API, FILE, LOCATION, PROBES, USERS, WORDS, Belongings, Door, OldRows

SHARED = "mlflow-artifacts:/shared"
STORES = ["folder", "bucket"] if os.environ.get("FULL") == "1" else ["folder"]
"""tests/compose/team asks the same of a bucket."""


def serve(server, store: str, sql) -> Door:
    passwords = {name: secrets.token_hex(16) for name in ("admin-password", "serving-password")}
    for name, value in passwords.items():
        (server.folder / "secrets" / name).write_text(value)
    migrated = server.migrate()
    assert migrated.returncode == 0, migrated.stderr
    server.start()

    def run(*arguments: str) -> str:
        done = server.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(login: tuple[str, str] | None) -> httpx.Client:
        return httpx.Client(base_url=server.uri, auth=login, timeout=60)

    door = Door(client, ("admin", passwords["admin-password"]), store, sql, run)
    door.logins["serving"] = ("serving", passwords["serving-password"])
    door.server = server
    return door


@pytest.fixture(scope="module", params=STORES)
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("addresses")
    settings = {"TRACKING_ARTIFACT_PREFIXES": SHARED}
    if request.param == "bucket":
        postgres, s3 = request.getfixturevalue("postgres"), request.getfixturevalue("s3")
        settings["TRACKING_LOGINS"] = postgres.url(postgres.create_database())
        server = on_postgres_and_s3(folder, postgres, s3, **settings)
        store = f"s3://{server.bucket}"

        def sql(statement: str) -> None:
            postgres.execute(statement, server.database)
    else:
        server = on_local_files(folder, TRACKING_LOGINS=f"sqlite:///{folder}/logins.db", **settings)
        store = str(folder / "artifacts")

        def sql(statement: str) -> None:
            with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
                connection.execute(statement)
                connection.commit()

    yield from addresses.world(serve(server, store, sql))
    server.stop()


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", PROBES)
def test_an_address_opens_what_its_caller_may_have(world, name, user):
    addresses.check(world, name, user)


@pytest.mark.parametrize("user", USERS)
def test_graphql_lists_what_its_caller_may_have(world, user):
    addresses.check_graphql(world, user)


def test_old_rows_are_for_administrators_and_are_listed(world):
    old = OldRows(world, "denied")
    addresses.check_old_rows(world, old)


def test_who_loses_permission_loses_what_was_registered_with_it(world):
    mine = world.own["reader"]
    version = mine.version(world.owned.run_uri, run_id=world.owned.run).json()["model_version"]
    asked = {"name": mine.model, "version": version["version"], "path": FILE}

    def read() -> httpx.Response:
        return world.door.call("reader", "GET", "/model-versions/get-artifact", **asked)

    assert read().content == WORDS
    world.owned.share("reader", "DENY", anew=True)
    try:
        assert read().status_code == 403
    finally:
        world.owned.share("reader", "READ", anew=True)
    assert read().content == WORDS


def test_the_model_server_reads_every_lawful_row(world):
    for one in (world.owned, *world.own.values()):
        asked = {"name": one.model, "version": "1"}
        path = f"{API}/model-versions/get-download-uri"
        address = world.door.made("serving", "GET", path, **asked)["artifact_uri"]
        inside = address.removeprefix("mlflow-artifacts:/")
        file = world.door.of("serving").get(f"{addresses.PROXY}/{inside}/{FILE}")
        assert file.content == WORDS


def test_prefixes_are_the_operators_to_allow_and_the_administrators_to_use(world):
    door, location = world.door, f"{SHARED}/{secrets.token_hex(3)}"
    create = {"name": location, "artifact_location": location}
    refused = door.call("editor", "POST", f"{API}/experiments/create", **create)
    assert refused.status_code == 403
    experiment = door.made("admin", "POST", f"{API}/experiments/create", **create)["experiment_id"]
    door.grant("editor", "EDIT", "experiment", experiment)
    door.grant("denied", "DENY", "experiment", experiment)
    run = door.made("editor", "POST", f"{API}/runs/create", experiment_id=experiment)["run"]["info"]
    assert run["artifact_uri"] == f"{location}/{run['run_id']}/artifacts"
    file = f"{run['artifact_uri'].removeprefix('mlflow-artifacts:/')}/{FILE}"
    assert door.put("reader", file).status_code == 403
    assert door.put("editor", file).status_code == 200
    assert door.of("reader").get(f"{addresses.PROXY}/{file}").content == WORDS
    assert door.of("denied").get(f"{addresses.PROXY}/{file}").status_code == 403
    asked = {"run_id": run["run_id"], "path": FILE}
    assert door.call("reader", "GET", "/get-artifact", **asked).content == WORDS
    assert door.call("denied", "GET", "/get-artifact", **asked).status_code == 403
    assert door.of("editor").get(f"{addresses.PROXY}/shared/none/x").status_code == 403


def test_a_trace_that_a_client_copies_gets_a_place_of_its_own(world):
    mine = world.own["editor"]
    tags = {LOCATION: f"mlflow-artifacts:/{world.owned.folders['trace']}"}
    made = mine.start_trace(tags).json()["trace"]["trace_info"]
    own = f"mlflow-artifacts:/{mine.experiment}/traces/{made['trace_id']}/artifacts"
    assert made["tags"][LOCATION] == own
    old = mine.start_old_trace({}).json()["trace_info"]
    tags = {tag["key"]: tag["value"] for tag in old["tags"]}
    mine.trace, before = old["request_id"], mine.trace
    assert mine.end_old_trace(tags).status_code == 200  # as clients of MLflow 2 send all tags back
    mine.trace = before


def test_a_trace_that_is_refused_stays_where_it_is(world):
    owned, mine = world.owned, world.own["denied"]
    trace = addresses.trace_id(owned.start_trace())
    for answer in (
        mine.start_trace({}, "denied", trace),
        mine.send_span({}, "denied", trace),
    ):
        assert answer.status_code == 403
    shown = world.door.made("owner", "GET", f"{addresses.API_3}/traces/{trace}")
    location = shown["trace"]["trace_info"]["trace_location"]["mlflow_experiment"]
    assert location["experiment_id"] == owned.experiment
    assert world.door.call("denied", "GET", f"{addresses.API_3}/traces/{trace}").status_code == 403


def test_spans_are_linked_to_runs_that_their_sender_may_change(world):
    def linked(run: str) -> int:
        place = {"type": "MLFLOW_EXPERIMENT"}
        place["mlflow_experiment"] = {"experiment_id": world.own["denied"].experiment}
        asked = {"locations": [place], "filter": f"run_id = '{run}'"}
        answer = world.door.made("admin", "POST", f"{addresses.API_3}/traces/search", **asked)
        return len(answer.get("traces", []))

    mine = world.own["denied"]
    for run, count in ((mine.run, 1), (world.owned.run, 0)):
        mine.send_span({}, "denied", **{"x-mlflow-run-id": run}).raise_for_status()
        assert linked(run) == count


def test_an_assessment_cannot_take_the_place_of_anothers(world):
    kept = {
        "assessment_id": "a-" + secrets.token_hex(16),
        "assessment_name": "good",
        "feedback": {"value": True},
        "source": {"source_type": "HUMAN", "source_id": "owner"},
    }

    def start(own: Belongings, by: str, identifier: str, assessments: list) -> httpx.Response:
        info = own.start_trace({}, by, identifier).json()["trace"]["trace_info"]
        body = {"trace_info": {**info, "assessments": assessments}}
        return world.door.call(by, "POST", f"{addresses.API_3}/traces", trace=body)

    mine, traces = world.own["denied"], [f"tr-{secrets.token_hex(16)}" for _ in range(2)]
    assert start(world.owned, "owner", traces[0], [kept]).status_code == 200
    changed = {**kept, "feedback": {"value": False}}
    assert start(mine, "denied", traces[1], [changed]).status_code == 400
    shown = world.door.made("owner", "GET", f"{addresses.API_3}/traces/{traces[0]}")
    [assessment] = shown["trace"]["trace_info"]["assessments"]
    assert assessment["feedback"]["value"] is True


@pytest.fixture
def as_editor(world, monkeypatch):
    name, password = world.door.logins["editor"]
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    mlflow.set_tracking_uri(world.door.server.uri)
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(None)


def test_what_mlflows_clients_write_is_lawful(world, as_editor, tmp_path):
    """Registered while it is logged, from a run, from a logged model; copied; a prompt; a trace."""
    names = [f"flow-{secrets.token_hex(3)}" for _ in range(5)]
    mlflow.set_experiment(names[0])

    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: list[str]) -> list[str]:  # noqa: ARG002
            return model_input

    with mlflow.start_run() as run:
        logged = mlflow.pyfunc.log_model(
            name="echo",
            python_model=Echo(),
            registered_model_name=names[1],
            pip_requirements=[],  # else MLflow finds them out, for seconds
        )
        (tmp_path / "old").mkdir()
        old = str(tmp_path / "old" / "model")
        mlflow.pyfunc.save_model(old, python_model=Echo(), pip_requirements=[])
        mlflow.log_artifacts(old, "model")  # as MLflow 2 laid it out
    mlflow.register_model(f"runs:/{run.info.run_id}/echo", names[1])
    mlflow.register_model(f"models:/{logged.model_id}", names[1])
    mlflow.register_model(f"runs:/{run.info.run_id}/model", names[2])
    as_editor.set_registered_model_alias(names[1], "champion", 1)
    as_editor.copy_model_version(f"models:/{names[1]}/2", names[3])
    as_editor.copy_model_version(f"models:/{names[1]}@champion", names[3])
    as_editor.copy_model_version(f"models:/{names[2]}/1", names[3])
    versions = [(names[1], 1), (names[1], 2), (names[1], 3), (names[2], 1)]
    for name, version in (*versions, (names[3], 1), (names[3], 2), (names[3], 3)):
        model = mlflow.pyfunc.load_model(f"models:/{name}/{version}")
        assert model.predict(["a"]) == ["a"]
    mlflow.genai.register_prompt(names[4], "Say {{word}}.")
    assert mlflow.genai.load_prompt(f"prompts:/{names[4]}/1").format(word="it") == "Say it."
    with mlflow.start_span("asked") as span:
        span.set_inputs({"word": "it"})
    mlflow.flush_trace_async_logging()
    assert mlflow.get_trace(span.trace_id).data.spans[0].inputs == {"word": "it"}
    listed = world.door.run("addresses")
    assert not any(name in listed for name in names)
    with pytest.raises(MlflowException, match="this server chooses it"):
        mlflow.create_experiment(f"{names[0]}-elsewhere", artifact_location="s3://not-ours/x")


def test_without_logins_what_is_outside_of_the_store_is_refused(local_tracking):
    def client(_: None) -> httpx.Client:
        return httpx.Client(base_url=local_tracking.uri, timeout=60)

    def sql(statement: str) -> None:
        with closing(sqlite3.connect(local_tracking.folder / "mlflow.db")) as connection:
            connection.execute(statement)
            connection.commit()

    outside = local_tracking.folder / "outside"
    outside.mkdir()
    (outside / FILE).write_bytes(WORDS)
    door = Door(client, ("", ""), str(outside), sql, local_tracking.run)
    door.logins["one"] = None
    own = Belongings(door, "one")
    for address in (
        str(outside),
        f"file://{outside}",
        f"mlflow-artifacts:/./{outside}",
        "s3://x/y",
    ):
        assert own.version(address, run_id=own.run).status_code == 400
        made = {"name": secrets.token_hex(4), "artifact_location": address}
        assert door.call("one", "POST", f"{API}/experiments/create", **made).status_code == 400
        assert own.tag_trace(LOCATION, address).status_code == 400
    door.sql(addresses.write("runs", "artifact_uri", str(outside), "run_uuid", own.run))
    answer = door.call("one", "GET", "/get-artifact", run_id=own.run, path=FILE)
    assert answer.status_code == 403
    assert "tracking-server adopt" in answer.json()["message"]
    assert own.run in local_tracking.run("addresses").stdout
    adopted = local_tracking.run("adopt", str(outside.parent / "nothing"))
    assert adopted.returncode == 1
    door.close()
