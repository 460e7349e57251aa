"""What a user of a running tracking server notices: answers, refusals, secrets, stopping."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import mlflow
import psutil
import psycopg2
import pytest

from harness.tracking import MLFLOW_ANSWERS, on_postgres_and_s3
from harness.waiting import wait_until

EXPERIMENTS = "/api/2.0/mlflow/experiments/create"
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/probe/{}.txt"


@pytest.fixture(scope="module")
def own(postgres, s3, tmp_path_factory):
    """A running server whose dependencies may be stopped."""
    folder = tmp_path_factory.mktemp("own")
    server = on_postgres_and_s3(folder, postgres, s3, TRACKING_NAMES="mlflow.lan")
    assert server.migrate().returncode == 0
    yield server.start()
    server.stop()


@pytest.fixture
def http(own):
    with httpx.Client(base_url=own.uri, timeout=30) as client:
        yield client


def processes(server):
    parent = psutil.Process(server.process.pid)
    return [parent, *parent.children(recursive=True)]


def test_an_answer_comes_whole_or_not_at_all(own, http):
    """MLflow's client asks again where no answer came, and raises where one breaks off."""
    run = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]
    parameter = {"run_id": run["info"]["run_id"], "key": "p", "value": "1"}
    asked = [
        http.build_request("POST", "/api/2.0/mlflow/runs/log-parameter", json=parameter),
        http.build_request("POST", "/api/2.0/mlflow/runs/update", json=parameter),
        http.build_request("GET", "/api/2.0/mlflow-artifacts/artifacts"),
    ]
    with socket.create_connection(("127.0.0.1", own.port)) as client:
        for request in 20 * asked:
            lines = [f"{name}: {value}" for name, value in request.headers.items()]
            head = "\r\n".join([f"{request.method} {request.url.path} HTTP/1.1", *lines, "", ""])
            client.sendall(head.encode() + request.read())
            head, _, body = client.recv(65536).lower().partition(b"\r\n\r\n")
            assert head.startswith(b"http/1.1 200"), head
            assert b"content-length: %d" % len(body) in head


def test_a_run_and_its_artifact_come_back_and_lie_where_they_should(own, postgres, s3, tmp_path):
    client = mlflow.MlflowClient(own.uri, own.uri)
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "loss", 0.5)
    (tmp_path / "note.txt").write_text("kept")
    client.log_artifact(run.info.run_id, tmp_path / "note.txt")

    assert client.get_run(run.info.run_id).data.metrics == {"loss": 0.5}
    copy = client.download_artifacts(run.info.run_id, "note.txt", tmp_path / "..")
    assert Path(copy).read_text() == "kept"
    assert postgres.execute("SELECT value FROM metrics", own.database) == [(0.5,)]
    objects = s3.client().list_objects_v2(Bucket=own.bucket)["Contents"]
    assert any(item["Key"].endswith("note.txt") for item in objects)
    client.create_registered_model("probe")
    assert client.get_registered_model("probe").name == "probe"


def test_a_burst_of_clients_is_spread_over_the_workers(own):
    clients = [socket.create_connection(("127.0.0.1", own.port)) for _ in range(40)]
    try:
        workers = psutil.Process(own.process.pid).children()

        def connections() -> list[int]:
            sockets = [worker.net_connections("tcp") for worker in workers]
            return [sum(c.status == psutil.CONN_ESTABLISHED for c in one) for one in sockets]

        wait_until(lambda: sum(connections()) >= len(clients), 10, "every client is accepted")
        assert len(workers) == 2
        assert min(connections()) >= 5  # fewer by chance: one time in millions
    finally:
        for client in clients:
            client.close()


def test_a_port_in_use_is_refused_in_one_line(own):
    refused = own.run("serve")
    assert refused.returncode == 1
    assert f"TRACKING_PORT={own.port}: Address already in use" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_missing_artifact_is_not_found(http):
    missing = http.get(ARTIFACT.format("missing"))
    assert missing.status_code == 404
    assert missing.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "10.0.0.1:5000"])
@pytest.mark.parametrize("path", ["/", "/readyz", "/api/2.0/mlflow/experiments/get", ARTIFACT])
def test_a_foreign_host_is_refused_everywhere(http, host, path):
    assert http.get(path, headers={"Host": host}).status_code == 403


def test_a_foreign_origin_may_not_write(http):
    foreign = {"Origin": "http://evil.example"}
    assert http.post(EXPERIMENTS, json={"name": "foreign"}, headers=foreign).status_code == 403
    refused = http.put(ARTIFACT.format("foreign"), content=b"x", headers=foreign)
    assert refused.status_code == 403
    assert http.get(ARTIFACT.format("foreign")).status_code != 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "mlflow.lan"])
def test_the_ui_works_under_every_name(http, own, name):
    host = f"{name}:{own.port}"
    page = http.get("/", headers={"Host": host})
    assert page.status_code == 200
    assert "<title>MLflow</title>" in page.text
    same = {"Host": host, "Origin": f"http://{host}"}
    search = "/ajax-api/2.0/mlflow/experiments/search"
    assert http.post(search, json={"max_results": 1}, headers=same).status_code == 200
    assert http.put(ARTIFACT.format(name), content=b"x", headers=same).status_code == 200


def test_no_secret_shows_in_environments_arguments_or_the_log(own):
    folder = Path(own.environment["TRACKING_SECRETS"])
    values = [
        (folder / name).read_text().strip() for name in ("kek-passphrase", "flask-secret-key")
    ]
    values.append((folder / "pgpass").read_text().strip().rpartition(":")[2])
    values.append((folder / "s3.ini").read_text().split()[-1])
    assert all(len(value) >= 32 for value in values)
    shown = own.log
    for process in processes(own):
        shown += Path(f"/proc/{process.pid}/environ").read_text()
        shown += Path(f"/proc/{process.pid}/cmdline").read_text()
    assert "TRACKING_BACKEND_STORE" in shown
    assert not [value for value in values if value in shown]


def test_readiness_names_the_database_while_it_is_away_and_heals(own, http, postgres):
    assert http.get("/readyz").json() == {"status": "ready", "fast_path": "on"}
    with postgres.gone():
        away = wait_until(lambda: failing(http), 15, "503 while PostgreSQL is away")
        assert away == {"backend store": "cannot connect"}
        health = own.run("healthy")
        assert health.returncode == 1
        assert "backend store" in health.stdout
    wait_until(lambda: http.get("/readyz").status_code == 200, 15, "ready again")
    # Its pool held connections to the server that was killed.
    answer = http.post("/api/2.0/mlflow/experiments/search", json={"max_results": 1})
    assert answer.status_code == 200
    # Each worker remembers for a second what it found.
    wait_until(lambda: own.run("healthy").returncode == 0, 15, "healthy again")


def test_readiness_names_the_bucket_while_it_is_away_and_heals(http, s3):
    s3.stop()
    try:
        away = wait_until(lambda: failing(http), 15, "503 while S3 is away")
        assert away == {"artifact store": "cannot connect"}
        for refused in (
            http.get(ARTIFACT.format("x")),
            http.put(ARTIFACT.format("x"), content="x"),
        ):
            assert refused.status_code == 503
            assert "artifact store does not answer" in refused.json()["message"]
    finally:
        s3.start()
    wait_until(lambda: http.get("/readyz").status_code == 200, 15, "ready again")


BURST = 40
LOG_BATCH = "/api/2.0/mlflow/runs/log-batch"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
CUT_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def test_a_burst_of_batches_does_not_wait_for_itself(own, postgres):
    """Each that has a thread holds one connection and needs another: where a pool's are all first
    ones, all wait for 30 s and get a 400, which no client tries again."""
    client = mlflow.MlflowClient(own.uri, own.uri)
    runs = [client.create_run("0").info.run_id for _ in range(BURST)]

    def log(run_id: str) -> int:
        body = {"run_id": run_id, "metrics": [METRIC]}
        address = f"{own.uri}{LOG_BATCH}{MLFLOW_ANSWERS}"
        return httpx.post(address, json=body, timeout=120).status_code

    held = psycopg2.connect(host=postgres.socket, user="postgres", dbname=own.database)
    with ThreadPoolExecutor(BURST) as threads, closing(held), held.cursor() as cursor:
        cursor.execute("LOCK TABLE runs")
        answers = threads.map(log, runs)
        wait_until(lambda: len(postgres.execute(WAITING)) >= 16, 20, "the batches wait")
        held.rollback()
        assert list(answers) == [200] * BURST


def test_a_transaction_that_loses_its_connections_is_worth_another_try(own, http, postgres):
    run_id = mlflow.MlflowClient(own.uri, own.uri).create_run("0").info.run_id
    body = {"run_id": run_id, "metrics": [METRIC]}
    held = psycopg2.connect(host=postgres.socket, user="postgres", dbname=own.database)
    with closing(held), held.cursor() as cursor, ThreadPoolExecutor(1) as threads:
        cursor.execute("LOCK TABLE metrics")
        answer = threads.submit(http.post, LOG_BATCH + MLFLOW_ANSWERS, json=body)
        wait_until(lambda: postgres.execute(WAITING), 10, "the batch waits")
        cursor.execute(CUT_OTHERS)
        assert answer.result().status_code == 503
        assert answer.result().json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert http.post(LOG_BATCH + MLFLOW_ANSWERS, json=body).status_code == 200


METRIC = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 0}


def test_readiness_names_a_schema_that_changed_underneath(own, http, postgres):
    postgres.execute("ALTER TABLE alembic_version RENAME TO elsewhere", own.database)
    try:
        changed = wait_until(lambda: failing(http), 15, "503 on another schema")
    finally:
        postgres.execute("ALTER TABLE elsewhere RENAME TO alembic_version", own.database)
    assert "schema" in changed["backend store"]
    wait_until(lambda: http.get("/readyz").status_code == 200, 15, "ready again")


def failing(http):
    answer = http.get("/readyz")
    return answer.status_code == 503 and answer.json()["failing"]


def test_a_request_in_flight_is_finished_when_stopped(own):
    _, *workers = processes(own)
    sent, total = 0, 64

    def body():
        nonlocal sent
        for sent in range(total):
            if sent == total // 2:
                own.process.send(signal.SIGTERM)
                wait_until(lambda: "Handling signal: term" in own.log, 10, "stopping")
            yield b"x" * 65536

    try:
        with httpx.Client(base_url=own.uri, timeout=30) as client:
            assert client.put(ARTIFACT.format("slow"), content=body()).status_code == 200
        assert own.process.wait(timeout=20) == 0
        assert sent == total - 1
        assert not any(worker.is_running() for worker in workers)
        assert not list((own.folder / "tmp").glob("mlflow-tracking-*"))
    finally:
        own.process.stop()
        own.start()


def test_what_a_killed_server_left_on_the_disk_is_removed(own):
    (folder,) = (own.folder / "tmp").glob("mlflow-tracking-*")
    (folder / "half-an-artifact").write_bytes(b"x" * 1000)
    own.process.kill()
    assert folder.is_dir()
    own.start()
    assert not folder.exists()
