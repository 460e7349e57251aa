"""The team overlay: everything through TLS, nothing without a login or a token."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import mlflow
import pytest
from mlflow.exceptions import MlflowException

from tests.projects import BIN
from tests.readme import blocks
from tests.stack.shipped import Stack, docker
from tests.stack.test_containers import leaks
from tests.stack.test_readme import paste
from tests.support import wait_until

FULL = os.environ.get("FULL") == "1"
MIB = 2**20
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
MARK = "ROUTES "
# What tracking answers to everybody: health, what its pages are made of, and how it is set up.
PUBLIC = re.compile(r"/(health|readyz|static|favicon\.ico)|.*/server-info$")
PROBES = {
    "/livez",
    "/readyz",
    "/health",
    "/ping",
    "/version",
    "/v2/health/live",
    "/v2/health/ready",
}

# Runs in tracking's container.
LIST_ROUTES = """
import json
from tracking_server import app, environment, settings
loaded = settings.load()
environment.apply(loaded)
served = app.build(loaded)
from mlflow.server import app as flask
paths = {rule.rule for rule in flask.url_map.iter_rules()}
def walk(routes):
    for route in routes:
        if type(route).__name__ != "Mount":
            paths.add(getattr(route, "path", "/"))
        for inner in getattr(route, "routes", None) or ():
            walk([inner])
walk(served.routes)
paths |= set(served.openapi()["paths"])
print("ROUTES " + json.dumps(sorted(paths)))
"""


class Team:
    """The running stack, and the way into it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.tracking = stack.tracking.replace("http://127.0.0.1", "https://localhost")
        self.serving = stack.serving.replace("http://127.0.0.1", "https://localhost")
        self.certificate = folder / "root.pem"
        self.certificate.write_text(stack.execute("gateway", "root-certificate"))
        show = ["run", "--rm", "-T", "--no-deps", "secrets", "show"]
        self.admin = stack.compose(*show, "admin-password").stdout.strip()
        self.metrics_token = stack.compose(*show, "metrics-token").stdout.strip()

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(verify=self.context, timeout=60, trust_env=False, **options)

    def environment(self, user: str, password: str) -> dict[str, str]:
        """What a user sets for MLflow."""
        return {
            "MLFLOW_TRACKING_URI": self.tracking,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": password,
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(self.certificate),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        }

    def tokens(self, *arguments: str) -> str:
        return self.stack.execute("serving", "model-server", "tokens", *arguments).strip()

    def add_user(self, name: str) -> str:
        return self.stack.execute("tracking", "tracking-server", "user", "add", name).strip()

    def container_url(self, service: str, port: int) -> str:
        """Past the gateway."""
        networks = self.stack.container(service)["NetworkSettings"]["Networks"]
        return f"http://{networks[f'{self.stack.project}_front']['IPAddress']}:{port}"


@pytest.fixture(scope="module")
def team(new_stack, tmp_path_factory):
    running = new_stack("compose.team.yml")
    running.up("--build")
    yield Team(running, tmp_path_factory.mktemp("team"))
    print("\n".join(running.trouble()))
    running.down("--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def eve(team):
    """The password of a user."""
    return team.add_user("eve")


@pytest.fixture
def as_user(team, monkeypatch):
    """Lets MLflow in this process be somebody."""

    def become(name: str, password: str) -> mlflow.MlflowClient:
        for variable, value in team.environment(name, password).items():
            monkeypatch.setenv(variable, value)
        return mlflow.MlflowClient(team.tracking)

    return become


def test_readme_commands_do_what_they_say(team):
    """With the overlay on already, which the first of them says."""
    file = team.stack.folder / ".env"
    try:
        for block in blocks("team"):
            done = paste(block.script, team.stack, {})
            assert done.returncode == 0, f"README.md:{block.line}\n{done.stdout}{done.stderr}"
        assert "COMPOSE_FILE=docker-compose.yml:compose.team.yml" in file.read_text()
        *_, password, token = done.stdout.splitlines()
        certificate = (team.stack.folder / "root.pem").read_text()
        assert certificate == team.certificate.read_text()
        assert team.admin in done.stdout
        assert re.fullmatch(r"mst_[\w-]{43}", token)
        team.tokens("remove", "app")
        with team.client(auth=("ada", password)) as http:
            assert http.get(f"{team.tracking}/").status_code == 200
    finally:
        file.unlink(missing_ok=True)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_login_opens_tracking_and_a_wrong_one_does_not(team, eve, as_user):
    assert as_user("eve", eve).search_experiments()
    with pytest.raises(MlflowException, match="401"):
        as_user("eve", f"{eve}x").search_experiments()
    with team.client() as http:
        assert http.get(f"{team.tracking}/").status_code == 401
        assert http.get(f"{team.tracking}/", auth=("admin", team.admin)).status_code == 200


def test_a_run_over_https_is_promoted_and_served_to_whoever_has_a_token(team, eve, as_user):
    done = subprocess.run(
        ["mlflow", "run", "projects/wine", "--env-manager", "local"],
        cwd=team.stack.folder,
        env={
            **os.environ,
            **team.environment("eve", eve),
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    version = as_user("eve", eve).get_model_version_by_alias("wine", "champion").version
    app = team.tokens("add", "app", "--models", "wine")
    other = team.tokens("add", "other", "--models", "beer")
    wine = f"{team.serving}/models/wine"
    started = team.stack.container("serving")["State"]["StartedAt"]
    with team.client() as http:

        def ask(token: str) -> httpx.Response:
            return http.post(f"{wine}/invocations", json={}, headers=bearer(token))

        wait_until(lambda: ask(app).headers.get("x-model-version") == version, 60, "wine is served")
        assert http.post(f"{team.serving}/invocations", json={}).status_code == 401
        assert ask("mst_wrong").status_code == 401
        assert ask(other).status_code == 403
        assert http.get(wine, headers=bearer(other)).status_code == 403
        assert http.get(f"{team.serving}/models", headers=bearer(other)).json()["models"] == []
        seen = http.get(f"{team.serving}/openapi.json", headers=bearer(other)).text
        assert "/models/wine" not in seen
        index = f"{team.serving}/v2/repository/index"
        assert http.post(index, headers=bearer(other)).json() == []
        assert http.post(index, headers=bearer(app)).json()[0]["name"] == "wine"
        metrics = f"{team.serving}/metrics"
        assert http.get(metrics, headers=bearer(app)).status_code == 403
        assert http.get(metrics, headers=bearer(team.metrics_token)).status_code == 200

        again = team.tokens("rotate", "app")
        wait_until(lambda: ask(app).status_code == 401, 5, "the old token is over")
        assert ask(again).headers["x-model-version"] == version
        later = team.tokens("rotate", "app", "--grace", "1h")
        wait_until(lambda: ask(later).status_code != 401, 5, "the new token is known")
        assert ask(again).status_code != 401
        team.tokens("remove", "app")
        wait_until(lambda: {ask(again).status_code, ask(later).status_code} == {401}, 5, "removed")

        slow = team.tokens("add", "slow", "--models", "wine", "--rate", "1")
        wait_until(lambda: ask(slow).status_code == 429, 5, "its rate is used up")
        assert int(ask(slow).headers["retry-after"]) >= 1
        large = http.post(wine, content=b" " * 17 * MIB, headers=bearer(later))
        assert large.status_code == 413
    assert team.stack.container("serving")["State"]["StartedAt"] == started


def test_every_version_is_checked_with_the_model_servers_own_login(team):
    """As `make restore` does at its end."""
    said = team.stack.compose("run", "--rm", "-T", "--no-deps", "serving", "check").stdout
    assert "wine version 1 loads" in said


def test_users_may_do_what_is_theirs(team, eve, as_user):
    bob = team.add_user("bob")
    experiment = as_user("eve", eve).create_experiment("hers")
    theirs = as_user("bob", bob)
    assert theirs.get_experiment(experiment).name == "hers"
    with pytest.raises(MlflowException, match="403"):
        theirs.create_run(experiment)
    granted = ["tracking-server", "permission", "grant", "bob", "EDIT", "experiment", "hers"]
    team.stack.execute("tracking", *granted)
    theirs.create_run(experiment)
    team.stack.execute("tracking", "tracking-server", "user", "remove", "bob")
    with pytest.raises(MlflowException):
        theirs.create_run(experiment)


def test_the_model_servers_own_user_reads_and_no_more(team):
    login = team.stack.execute("serving", "cat", "/run/stack/tracking-login").strip()
    api = f"{team.tracking}/api/2.0/mlflow"
    with team.client(auth=tuple(login.split(":"))) as http:
        assert http.get(f"{api}/registered-models/search").status_code == 200
        for path in ("experiments/create", "registered-models/create"):
            assert http.post(f"{api}/{path}", json={"name": "theirs"}).status_code == 403


def test_a_large_artifact_passes_whole(eve, as_user, tmp_path):
    size = 1024 if FULL else 100
    digest = hashlib.sha256()
    with (tmp_path / "large").open("wb") as file:
        for _ in range(size):
            block = os.urandom(MIB)
            digest.update(block)
            file.write(block)
    client = as_user("eve", eve)
    run = client.create_run(client.create_experiment("large")).info.run_id
    client.log_artifact(run, str(tmp_path / "large"))
    (tmp_path / "back").mkdir()
    found = client.download_artifacts(run, "large", str(tmp_path / "back"))
    with Path(found).open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest.digest()


def test_the_pages_load_and_may_write(team):
    with team.client(auth=("admin", team.admin)) as http:
        page = http.get(f"{team.tracking}/")
        assert '<div id="root"' in page.text
        scripts = re.findall(r'src="(static-files/[^"]+\.js)"', page.text)
        assert scripts
        for script in scripts:
            assert http.get(f"{team.tracking}/{script}").status_code == 200
        search = f"{team.tracking}/ajax-api/2.0/mlflow/experiments/search"
        own = {"origin": team.tracking}
        assert http.post(search, json={"max_results": 1}, headers=own).status_code == 200
        foreign = {"origin": "https://evil.example"}
        assert http.post(search, json={"max_results": 1}, headers=foreign).status_code == 403
        for answer in (page, http.get(f"{team.serving}/livez")):
            assert not {"server", "via", "strict-transport-security"} & answer.headers.keys()


def test_many_wrong_passwords_are_refused_wherever_they_say_they_come_from(team):
    with team.client() as http:
        statuses = [
            http.get(
                f"{team.tracking}/api/2.0/mlflow/users/current",
                auth=("mallory", "wrong"),
                headers={"x-forwarded-for": f"192.0.2.{number}"},
            ).status_code
            for number in range(40)
        ]
        assert set(statuses[:10]) == {401}
        assert statuses[-1] == 429
        assert http.get(f"{team.tracking}/", auth=("admin", team.admin)).status_code == 200


def test_only_the_gateway_is_published(team):
    published = {
        (name, port, binding["HostIp"], binding["HostPort"])
        for name, container in team.stack.containers().items()
        for port, bindings in (container["HostConfig"]["PortBindings"] or {}).items()
        for binding in bindings
    }
    assert published == {
        ("gateway", "5000/tcp", "127.0.0.1", str(team.stack.tracking_port)),
        ("gateway", "8080/tcp", "127.0.0.1", str(team.stack.serving_port)),
    }
    with httpx.Client(trust_env=False) as http:
        for port in (team.stack.tracking_port, team.stack.serving_port):
            assert http.get(f"http://localhost:{port}/").status_code == 400


def test_the_gateway_is_confined(team):
    container = team.stack.container("gateway")
    host = container["HostConfig"]
    assert container["Config"]["User"] == "10010:10010"
    assert host["ReadonlyRootfs"]
    assert host["Init"]
    assert (host["CapDrop"], host["CapAdd"] or []) == (["ALL"], [])
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert 0 < host["Memory"] <= 256 * MIB
    assert host["LogConfig"]["Config"].keys() >= {"max-size", "max-file"}
    status = team.stack.execute("gateway", "cat", "/proc/1/status")
    assert re.findall(r"^Cap(?:Prm|Eff|Bnd):\s*(\w+)", status, re.MULTILINE) == ["0" * 16] * 3


def test_no_secret_is_seen_from_outside(team, eve):
    values = {**team.stack.secrets(), "eve": eve, "token": team.tokens("add", "seen", "--metrics")}
    with team.client() as http:
        for url in (f"{team.serving}/metrics", f"{team.tracking}/"):
            http.get(url, headers=bearer(values["token"]))
    for name, container in team.stack.containers().items():
        logs = docker("logs", container["Id"])
        assert leaks(str(container), values) == [], name
        assert leaks(logs.stdout + logs.stderr, values) == [], name
    for service in ("tracking", "serving", "gateway"):
        look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '"
        seen = team.stack.execute(service, "sh", "-c", look)
        assert "PATH=" in seen
        assert leaks(seen, values) == [], service
    kept = team.stack.execute("serving", "cat", "/tokens/tokens.json")
    assert leaks(kept, values) == []
    files = "cat /tmp/*.ini /tmp/*/*.ini /var/tmp/tracking/*/*.ini 2>/dev/null || true"
    assert leaks(team.stack.execute("tracking", "sh", "-c", files), values) == []
    given = team.stack.execute("tracking", "sh", "-c", "cat /run/stack/*")
    assert not {"admin-password", "serving-password"} & set(leaks(given, values))


def filled(path: str) -> str:
    """With something in place of the path's variables."""
    return re.sub(r"<int:[^>]+>", "1", re.sub(r"\{[^}]+\}|<(?!int:)[^>]+>", "x", path))


def statuses(http: httpx.Client, url: str, paths: list[str], **headers: str) -> dict:
    """Of every path by every method, asked at once."""
    asked = list(itertools.product(METHODS, paths))

    def ask(one: tuple[str, str]) -> int:
        # As it stands: httpx would mend what it takes for mistakes.
        return http.request(one[0], f"{url}{filled(one[1])}", headers=headers).status_code

    with ThreadPoolExecutor(8) as threads:
        return dict(zip(asked, threads.map(ask, asked), strict=True))


@pytest.mark.parametrize("way", ["gateway", "direct"])
def test_tracking_answers_nobody_without_a_login(team, way, routes_of_tracking):
    assert len(routes_of_tracking) > 150
    with team.client() as http:
        url = team.tracking if way == "gateway" else team.container_url("tracking", 5000)
        given = {} if way == "gateway" else {"host": "tracking:5000"}
        for headers in (given, given | bearer("anything")) if FULL or way == "direct" else (given,):
            found = statuses(http, url, routes_of_tracking, **headers)
            open_to_all = {
                one: status
                for one, status in found.items()
                if status not in (401, 403) and not PUBLIC.match(one[1])
            }
            assert open_to_all == {}


@pytest.fixture(scope="module")
def routes_of_tracking(team):
    said = team.stack.execute("tracking", "python", "-", stdin=LIST_ROUTES)
    (line,) = [line for line in said.splitlines() if line.startswith(MARK)]
    return json.loads(line.removeprefix(MARK))


@pytest.mark.parametrize("way", ["gateway", "direct"])
def test_serving_answers_nobody_without_a_token(team, way):
    manager = team.tokens("add", f"all-{way}", "--models", "*", "--manage", "--metrics")
    with team.client() as http:
        url = team.serving if way == "gateway" else team.container_url("serving", 8080)
        given = {} if way == "gateway" else {"host": "serving:8080"}
        wait_until(
            lambda: http.get(f"{url}/models", headers=given | bearer(manager)).status_code == 200,
            5,
            "the token is known",
        )
        known = http.get(f"{url}/openapi.json", headers=given | bearer(manager)).json()["paths"]
        assert {"/models/{name}", "/v2/repository/models/{name}/load", "/metrics"} <= known.keys()
        paths = [*known, "/", "/nowhere", "/models/x/invocations"]
        for headers in (
            given,
            given | bearer("mst_wrong"),
            given | {"authorization": "Basic eDp5"},
        ):
            found = statuses(http, url, paths, **headers)
            open_to_all = {
                one: status
                for one, status in found.items()
                if status not in (401, 403) and one[1] not in PROBES
            }
            assert open_to_all == {}
        for probe in PROBES:
            assert http.get(f"{url}{probe}", headers=given).status_code in (200, 404), probe


def test_a_certificate_of_ones_own_is_used(team, tmp_path):
    for name in ("own-ca", "own"):
        subprocess.run(
            ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name],
            cwd=tmp_path,
            check=True,
        )
    make = ["openssl", "req", "-x509", "-key", "own-ca", "-out", "own-ca.pem", "-days", "2"]
    subprocess.run([*make, "-subj", "/CN=Our CA"], cwd=tmp_path, check=True)
    request = ["openssl", "req", "-new", "-key", "own", "-out", "own.csr", "-subj", "/CN=localhost"]
    subprocess.run(request, cwd=tmp_path, check=True)
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost\n")
    sign = ["openssl", "x509", "-req", "-in", "own.csr", "-CA", "own-ca.pem", "-CAkey", "own-ca"]
    sign += ["-CAcreateserial", "-days", "1", "-extfile", "names", "-out", "own.pem"]
    subprocess.run(sign, cwd=tmp_path, check=True, capture_output=True)

    secrets = team.stack.folder / "secrets"
    given = {"tls-certificate": tmp_path / "own.pem", "tls-key": tmp_path / "own"}
    context = ssl.create_default_context(cafile=tmp_path / "own-ca.pem")
    try:
        for name, file in given.items():
            (secrets / name).write_text(file.read_text())
        team.stack.up("--force-recreate", "secrets", "gateway")
        with httpx.Client(verify=context, trust_env=False) as http:
            for url in (team.tracking, team.serving):
                assert http.get(f"{url}/health").status_code in (200, 404)
        with team.client() as http, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
            http.get(f"{team.tracking}/health")
    finally:
        for name in given:
            (secrets / name).unlink(missing_ok=True)
        team.stack.up("--force-recreate", "secrets", "gateway")
    with team.client() as http:
        assert http.get(f"{team.tracking}/health").status_code == 200


def test_fifty_users_log_at_once_at_a_good_part_of_the_rate_without_logins(
    team, stack, record_property
):
    """Each with a login and a run of their own, alternating with the stack that has neither TLS nor
    logins, once the workers have checked the passwords. MLflow's permissions cost two thirds of
    the rate; without its cache of logins, hardly anything would be left."""
    least = 1 / 3 if FULL else 1 / 10
    api = "/api/2.0/mlflow"
    count, seconds, rounds = 50, 10.0 if FULL else 3.0, 3 if FULL else 2
    users = {f"user{number}": os.urandom(12).hex() for number in range(count)}
    with team.client(auth=("admin", team.admin)) as http:
        for name, password in users.items():
            login = {"username": name, "password": password}
            http.post(f"{team.tracking}{api}/users/create", json=login).raise_for_status()

    def clients(url: str, logins: list) -> list[tuple[httpx.Client, str]]:
        found = []
        for number, login in enumerate(logins):
            http = team.client(auth=login, base_url=url)
            name = {"name": f"load-{time.time_ns()}-{number}"}
            experiment = http.post(f"{api}/experiments/create", json=name).json()["experiment_id"]
            run = http.post(f"{api}/runs/create", json={"experiment_id": experiment}).json()
            found.append((http, run["run"]["info"]["run_id"]))
        return found

    sides = {
        "with": clients(team.tracking, list(users.items())),
        "without": clients(stack.tracking, [None] * count),
    }
    for those in sides.values():
        _log_for(seconds, those)
    done = {"with": [], "without": []}
    for _ in range(rounds):
        for side, those in sides.items():
            done[side].append(sum(_log_for(seconds, those)))
    for those in sides.values():
        for http, _ in those:
            http.close()
    ratio = sum(done["with"]) / sum(done["without"])
    record_property("team_logging_ratio", round(ratio, 2))
    print(f"{count} users at once: {ratio:.2f} of the rate without TLS and logins ({done})")
    assert ratio >= least


def _log_for(seconds: float, clients: list[tuple[httpx.Client, str]]) -> list[int]:
    """How many metrics each client has logged."""
    end = time.monotonic() + seconds
    together = threading.Barrier(len(clients))

    def log(http: httpx.Client, run: str) -> int:
        together.wait()
        for step in itertools.count():
            if time.monotonic() > end:
                return step
            metric = {"run_id": run, "key": "loss", "value": 1.0, "timestamp": 1, "step": step}
            http.post("/api/2.0/mlflow/runs/log-metric", json=metric).raise_for_status()
        return 0

    with ThreadPoolExecutor(len(clients)) as threads:
        return list(threads.map(lambda one: log(*one), clients))
