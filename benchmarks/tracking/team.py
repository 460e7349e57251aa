"""What logins and TLS cost: the team overlay's gateway and logins against the plain server."""

import contextlib
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx

from benchmarks.goal import Goal
from benchmarks.load import Request
from benchmarks.storage import OURS, Server, Storage
from benchmarks.tracking.loads import API, GET_RUN, LOG_METRIC, Load
from benchmarks.tracking.measuring import COLUMNS, Figures, Loading, Side, as_dict, ratio
from harness.logins import Logins
from harness.ports import free_port
from harness.processes import Process, clean_environment
from harness.report import Section, say
from harness.tracking import on_postgres_and_s3
from host.paths import ROOT

USERS = 50
KEPT = 0.6  # of the rate without logins
# Until each worker knows every password: that takes a tenth of a second each, and holds for 60 s.
WARM_SECONDS = 15
NAME = f"{USERS} users over TLS"
CADDY = Path(sys.executable).parent / "caddy"
GATEWAY = ROOT / "services" / "gateway" / "Caddyfile"
PLACES = ("https_port 5000", "http_port 8081", "127.0.0.1:8082", "tracking:5000")
SITE = """
https://localhost:{port} {{
	import certificate-internal
	import local
	import tracking
}}
"""


def measure(loading: Loading, storage: Storage, plain: Server) -> dict[str, Figures]:
    """Logging and reading by users who have a run each, alternating with the plain server."""
    say(f"tracking: adding {USERS} users")
    figures: dict[str, Figures] = {}
    with running(storage) as (team, logins):
        users = logins.users
        names = [f"{user}:{logins.passwords[user]}" for user in users]
        with_logins = {
            "login": [f"Basic {b64encode(name.encode()).decode()}" for name in names],
            "run": [_run(logins.client(user)) for user in users],
        }
        without = {"run": [_run(httpx.Client(base_url=plain.uri)) for _ in users]}
        for load in (LOG_METRIC, GET_RUN):
            sides = [Side(load, plain, without), Side(_with_login(load), team, with_logins)]
            figures[load.label] = loading.alternate(sides, WARM_SECONDS)
    return figures


def goals(figures: Mapping[str, Figures]) -> list[Goal]:
    """The share of the rate that is left."""
    return [
        Goal(f"{load}: {NAME} by {OURS}", ratio(servers, NAME, OURS), KEPT)
        for load, servers in figures.items()
    ]


def section(figures: Mapping[str, Figures]) -> Section:
    rows = []
    for load, servers in figures.items():
        for name, one in servers.items():
            share = ratio(servers, name, OURS)
            rows.append([load, name, *one.cells(), f"{share:.2f}" if share else ""])
    return Section(
        title="Tracking with logins",
        columns=["load", "", *COLUMNS, "of the rate"],
        rows=rows,
        summary=f"each of {USERS} users has a login and a run, and their requests come in turn; "
        "over the gateway, whose processor time is not in the table",
        data=as_dict(figures),
    )


def _with_login(load: Load) -> Load:
    headers = {**load.request.headers, "Authorization": "{{login}}"}
    asked = load.request
    return replace(load, request=Request(asked.method, asked.path, asked.body, headers))


def _run(client: httpx.Client) -> str:
    """A new run of a user's."""
    with client:
        answer = client.post(f"{API}/runs/create", json={"experiment_id": "0", "start_time": 1})
        run: str = answer.raise_for_status().json()["run"]["info"]["run_id"]
        return run


@contextlib.contextmanager
def running(storage: Storage) -> Iterator[tuple[Server, Logins]]:
    """The tracking server with logins, behind the gateway."""
    database = storage.postgres.create_database("logins")
    settings = {"TRACKING_LOGINS": database, "TRACKING_NAMES": "localhost"}
    folder = storage.folder / "team"
    server = on_postgres_and_s3(folder, storage.postgres, storage.s3, **settings)
    logins = Logins(server, [f"user{number:02}" for number in range(USERS)]).start()
    try:
        with gateway(folder, server.port) as url:
            team = Server(NAME, server.process, server.port, server.database)
            team.uri = url
            yield team, logins
    finally:
        server.stop()


@contextlib.contextmanager
def gateway(folder: Path, tracking: int) -> Iterator[str]:
    """Caddy as the team overlay configures it, in front of a port; its address."""
    port = free_port()
    places = [f"https_port {port}", f"http_port {free_port()}", f"127.0.0.1:{free_port()}"]
    text = GATEWAY.read_text()
    for place, own in zip(PLACES, [*places, f"127.0.0.1:{tracking}"], strict=True):
        if place not in text:
            raise RuntimeError(f"{GATEWAY}: no {place!r}")
        text = text.replace(place, own)
    config = folder / "Caddyfile"
    config.write_text(text + SITE.format(port=port))
    environment = clean_environment(
        AUTO_HTTPS="disable_redirects",
        DEFAULT_NAME="localhost",
        STACK_ACME_CA="unused",
        TRACKING_BODY_LIMIT="33554432",
        SERVING_BODY_LIMIT="16777216",
        HOME=folder,
        XDG_DATA_HOME=folder / "caddy",
    )
    command = [CADDY, "run", "--config", config, "--adapter", "caddyfile"]
    with Process(command, environment, folder / "gateway.log") as process:
        url = f"https://localhost:{port}"
        process.wait_for(lambda: _answers(url), 30, "gateway")
        yield url


def _answers(url: str) -> bool:
    with httpx.Client(verify=False, trust_env=False) as client:  # noqa: S501 - a CA of its own
        return client.get(f"{url}/health").status_code == 200
