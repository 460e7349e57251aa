"""The stack on the team's own PostgreSQL and S3 storage, over TLS."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import uuid

import httpx
import mlflow
import pytest
from sklearn.dummy import DummyRegressor

from harness.authority import Authority
from harness.stack import copy_shipped_files
from harness.waiting import wait_until
from tests.compose import outside as elsewhere
from tests.compose.outside import Outside

OVERLAYS = ("compose.external-postgres.yml", "compose.external-s3.yml")
TEAM, MONITORING = "compose.team.yml", "compose.monitoring.yml"
WATCHING = ("prometheus", "postgres-exporter", "grafana")
ENV = f"""
POSTGRES_HOST={elsewhere.DATABASE}
S3_BUCKET={elsewhere.BUCKET}/{elsewhere.PREFIX}
S3_ENDPOINT=https://{elsewhere.STORAGE}
"""


def files(*overlays: str) -> str:
    """COMPOSE_FILE for these overlays."""
    return os.pathsep.join(("docker-compose.yml", *overlays))


def give(stack, name: str, value: str | None) -> None:
    """Put a file into secrets/, or take it away."""
    path = stack.folder / "secrets" / name
    if value is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(value)


@pytest.fixture(scope="module")
def other(stack, new_stack, tmp_path_factory):
    """Another stack from the same images, in a clone of its own, set up but not started."""
    another = new_stack(*OVERLAYS)
    assert another.project != stack.project
    another.folder = tmp_path_factory.mktemp("external") / "clone"
    copy_shipped_files(another.folder)
    (another.folder / ".env").write_text(ENV)
    return another


@pytest.fixture(scope="module")
def outside(other, tmp_path_factory):
    other.compose("create")  # the network, by which tracking has a way out
    servers = Outside(other, tmp_path_factory.mktemp("tls"))
    for name, value in servers.values.items():
        give(other, name, value)
    try:
        yield servers.start()
    finally:
        servers.close()


@pytest.fixture(scope="module")
def running(other, outside):
    """The stack on the servers outside, started."""
    assert outside.answers()
    try:
        other.up()
        yield other
    except AssertionError:
        print("\n".join(other.trouble()))
        raise
    finally:
        other.down("--timeout", "5")


@pytest.mark.parametrize(
    ("overlays", "services"),
    [
        (OVERLAYS[:1], {"minio", "bucket"}),
        (OVERLAYS[1:], {"postgres", "database"}),
        (OVERLAYS, set()),
        ((TEAM, MONITORING, *OVERLAYS), {"gateway", *WATCHING}),
        ((*reversed(OVERLAYS), MONITORING, TEAM), {"gateway", *WATCHING}),
    ],
)
def test_there_is_nothing_here_of_what_is_outside(other, overlays, services):
    file = files(*overlays)
    listed = other.compose("config", "--services", COMPOSE_FILE=file).stdout.split()
    assert set(listed) == {"secrets", "migrate", "tracking", "serving", *services}


def test_a_missing_secret_is_named_before_anything_starts(other, outside):
    give(other, "s3-secret-key", None)
    try:
        done = other.compose("up", check=False)
    finally:
        give(other, "s3-secret-key", outside.values["s3-secret-key"])
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.splitlines() if "refused: " in line]
    assert "secrets/s3-secret-key is missing" in line
    assert not other.container("tracking")["State"]["Running"]


def test_runs_artifacts_and_models_are_outside(running, outside, tmp_path):
    mlflow.set_tracking_uri(running.tracking)
    try:
        content = os.urandom(300_000)
        (tmp_path / "large.bin").write_bytes(content)
        with mlflow.start_run() as run:
            mlflow.log_param("colour", "red")
            mlflow.log_artifact(str(tmp_path / "large.bin"))
            model = mlflow.sklearn.log_model(
                DummyRegressor(strategy="constant", constant=7.0).fit([[0.0]], [7.0]),
                name="model",
                registered_model_name="outside",
                input_example=[[1.0]],
                skops_trusted_types=["sklearn.dummy.DummyRegressor"],
                pip_requirements=["scikit-learn"],
            )
        back = mlflow.artifacts.download_artifacts(
            f"{run.info.artifact_uri}/large.bin", dst_path=str(tmp_path / "back")
        )
        mlflow.MlflowClient().set_registered_model_alias("outside", "champion", "1")
    finally:
        mlflow.set_tracking_uri(None)
    assert str(model.registered_model_version) == "1"
    digest = hashlib.sha256(content).hexdigest()
    with open(back, "rb") as file:  # noqa: PTH123
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest

    listed = outside.storage(f"mc ls --recursive root/{elsewhere.BUCKET}").splitlines()
    keys = [line.split()[-1] for line in listed]
    assert all(key.startswith(f"{elsewhere.PREFIX}/") for key in keys)
    (key,) = [key for key in keys if key.endswith("large.bin")]
    assert outside.storage(f"mc cat root/{elsewhere.BUCKET}/{key} | sha256sum").split()[0] == digest
    assert outside.sql("SELECT value FROM params WHERE key = 'colour'") == ["red"]

    address = f"{running.serving}/invocations"  # of the only model

    def served() -> bool:
        answer = httpx.post(address, json={"inputs": [[1.0]]})
        return answer.status_code == 200 and answer.json() == {"predictions": [7.0]}

    wait_until(served, 60, "the model is served")


def test_the_containers_are_the_stacks_and_show_no_secret(running, outside):
    containers = running.containers()
    assert containers.keys() == {"secrets", "migrate", "tracking", "serving"}
    shown = json.dumps(containers)
    for name, value in outside.values.items():
        if not name.endswith(".pem"):
            assert value not in shown, name
    encrypted = outside.sql(
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
        "WHERE usename = 'mlflow'"
    )
    assert encrypted == ["t"]


def test_a_restart_of_the_database_outside_is_survived(running, outside):
    outside.restart_database()

    def works() -> bool:
        mlflow.set_tracking_uri(running.tracking)
        try:
            name = uuid.uuid4().hex
            return bool(httpx.get(f"{running.tracking}/readyz").status_code == 200) and bool(
                mlflow.MlflowClient().create_experiment(name)
            )
        finally:
            mlflow.set_tracking_uri(None)

    wait_until(works, 60, "tracking works again")
    assert running.container("tracking")["RestartCount"] == 0


@pytest.mark.parametrize(
    ("settings", "files", "says"),
    [
        ({}, {"postgres-ca.pem": "another"}, "secrets/postgres-ca.pem"),
        ({}, {"postgres-ca.pem": None}, "secrets/postgres-ca.pem (or it has expired)"),
        ({}, {"s3-ca.pem": None}, "secrets/s3-ca.pem"),
        ({}, {"mlflow-password": "wrong"}, "PostgreSQL refuses the login"),
        ({}, {"s3-secret-key": "wrong"}, "secrets/s3-secret-key"),
        ({"POSTGRES_HOST": elsewhere.OTHER_DATABASE}, {}, "not for POSTGRES_HOST"),
        ({"S3_ENDPOINT": f"https://{elsewhere.OTHER_STORAGE}"}, {}, "not for S3_ENDPOINT's host"),
        ({"S3_ENDPOINT": f"https://{elsewhere.STORAGE}:9000"}, {}, "it speaks no TLS"),
        ({"S3_BUCKET": "nowhere"}, {}, "s3:ListBucket in the bucket nowhere"),
        ({"S3_BUCKET": elsewhere.BUCKET}, {}, "s3:PutObject"),
    ],
)
def test_what_is_wrong_outside_is_said_in_one_line(running, outside, settings, files, says):
    another = Authority("Another CA").pem
    try:
        for name, value in files.items():
            give(running, name, another if value == "another" else value)
        line = refusal(running, keep=bool(files), **settings)
    finally:
        for name in files:
            give(running, name, outside.values[name])
        if files:
            running.compose("run", "--rm", "-T", "--no-deps", "secrets")
    assert says in line


def test_a_database_without_tls_is_refused(running, outside):
    outside.speak_tls("off")
    try:
        assert "PostgreSQL: it speaks no TLS" in refusal(running)
    finally:
        outside.speak_tls("on")


def refusal(stack, keep: bool = False, **settings: str) -> str:
    """The line by which `migrate` says that it does not go on."""
    if keep:
        stack.compose("run", "--rm", "-T", "--no-deps", "secrets")
    command = ["run", "--rm", "-T", "--no-deps", "migrate"]
    done = stack.compose(*command, check=False, **settings)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("tracking-server: ")]
    return line


@pytest.fixture
def partly(running, outside):
    """Starts the running stack anew with other overlays, as far as tracking; it removes later what
    those add. `without`: files of secrets/ for the server that is not outside then."""
    left = []

    def start(*overlays: str, without: tuple[str, ...]) -> httpx.Client:
        left.append((files(*overlays), without))
        for name in without:
            give(running, name, None)
        running.up("tracking", COMPOSE_FILE=files(*overlays))
        networks = running.container("tracking")["NetworkSettings"]["Networks"]
        address = networks[f"{running.project}_front"]["IPAddress"]
        return httpx.Client(base_url=f"http://{address}:5000", headers={"host": "localhost:5000"},
                            trust_env=False, timeout=30)  # fmt: skip

    yield start
    for chosen, without in left:
        for name in without:
            give(running, name, outside.values[name])
        own = ("postgres", "database", "minio", "bucket")
        there = running.compose("config", "--services", COMPOSE_FILE=chosen).stdout.split()
        command = ["rm", "--stop", "--force", "--volumes", *(name for name in own if name in there)]
        running.compose(*command, COMPOSE_FILE=chosen)


def comes_back(client: httpx.Client, name: str) -> bytes:
    """Content of an artifact that was stored and is fetched again."""
    address = f"/api/2.0/mlflow-artifacts/artifacts/0/{name}"
    content = os.urandom(100_000)
    client.put(address, content=content).raise_for_status()
    assert client.get(address).content == content
    return content


def test_the_database_alone_may_be_outside_and_its_logins_too(running, outside, partly):
    chosen = (TEAM, OVERLAYS[0])
    client = partly(*chosen, without=("s3-access-key", "s3-secret-key"))
    search = "/api/2.0/mlflow/experiments/search?max_results=1"
    assert client.get(search).status_code == 401
    show = ["run", "--rm", "-T", "--no-deps", "secrets", "show", "admin-password"]
    password = running.compose(*show, COMPOSE_FILE=files(*chosen)).stdout.strip()
    client.auth = ("admin", password)
    assert client.get(search).status_code == 200
    comes_back(client, "in-minio.bin")
    users = outside.sql("SELECT username FROM users ORDER BY 1", "logins")
    assert users == ["admin", "serving"]
    line = refusal(running, COMPOSE_FILE=files(*chosen), POSTGRES_LOGINS="nowhere")
    assert "TRACKING_LOGINS names no database there" in line


@pytest.mark.skipif(not os.environ.get("FULL"), reason="takes half a minute: set FULL=1")
def test_the_storage_alone_may_be_outside(outside, partly):
    content = comes_back(partly(OVERLAYS[1], without=("mlflow-password",)), "outside.bin")
    stored = f"mc cat root/{elsewhere.BUCKET}/{elsewhere.PREFIX}/0/outside.bin | sha256sum"
    assert outside.storage(stored).split()[0] == hashlib.sha256(content).hexdigest()


def test_make_clean_leaves_what_is_outside(running, outside):
    done = subprocess.run(
        [sys.executable, "-m", "host", "clean"],
        cwd=running.folder,
        env=running.environment(YES="1", PYTHONPATH=str(running.folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PostgreSQL at {elsewhere.DATABASE}:5432" in done.stdout
    assert f"s3://{elsewhere.BUCKET}/{elsewhere.PREFIX}" in done.stdout
    assert f"the network {running.project}_front stays: " in done.stdout
    assert outside.sql("SELECT count(*) > 0 FROM runs") == ["t"]
    assert outside.storage(f"mc ls --recursive root/{elsewhere.BUCKET}")
