"""A served model reaches nothing of the stack but its own files: asked in the real container."""

import json
import shutil

import mlflow
import pytest

from harness.team import bearer
from harness.waiting import wait_until
from tests.integration.serving.confinement import probes
from tests.integration.serving.models import act

NAMES = ("nosy", "other")
FIND = """
import glob, json, os
commands, owners = {}, {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{pid}/cmdline") as file:
        commands[pid] = file.read().replace("\\0", " ")
    owners[pid] = os.stat(f"/proc/{pid}/environ").st_uid
print(json.dumps([commands, owners, sorted(glob.glob("/cache/versions/*/model/MLmodel"))]))
"""


@pytest.fixture(scope="module")
def served(team, tmp_path_factory):
    """Two models, each answering under its name; what it takes to ask them."""
    folder = tmp_path_factory.mktemp("nosy")
    shutil.copy(probes.HERE / "nosy.py", folder)
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in team.environment("admin", team.admin).items():
            patch.setenv(variable, value)
        mlflow.set_tracking_uri(team.tracking)
        client = mlflow.MlflowClient(team.tracking)
        for name in NAMES:
            probes.log_nosy(folder, name)
            client.set_registered_model_alias(name, "champion", "1")
    token = team.tokens("add", "nosy", "--models", ",".join(NAMES))
    with team.client(headers=bearer(token)) as http:
        for name in NAMES:
            wait_until(
                lambda name=name: http.get(f"{team.serving}/models/{name}").json().get("workers"),
                120,
                f"{name} to be served",
            )
        yield http
    team.tokens("remove", "nosy")


@pytest.fixture(scope="module")
def ask(team, served):
    def asked(acts: list[str]) -> list[str]:
        url = f"{team.serving}/models/nosy/invocations"
        answer = served.post(url, json=act(*acts))
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]

    return asked


@pytest.fixture(scope="module")
def inside(team, served):  # noqa: ARG001 - it is served by then
    """The container's commands, and the owners of their memory, by number of process; the files
    MLmodel in its cache. Without what asks every few seconds whether the server is healthy."""
    commands, owners, files = json.loads(team.stack.execute("serving", "python3", "-c", FIND))
    servers = {
        pid: command
        for pid, command in commands.items()
        if "model_server" in command and "healthy" not in command
    }
    return servers, owners, files


def test_it_is_confined_wholly(team, served):
    entry = served.get(f"{team.serving}/models/nosy").json()
    assert (entry["confined"], entry["confined_reason"]) == (True, None)


def test_the_stacks_secrets_and_tokens_are_closed(ask):
    for secret in ("/run/stack/tracking-login", "/run/stack/metrics-token", "/tokens/tokens.json"):
        folder = secret.rpartition("/")[0]
        expected = {
            f"read|{secret}": probes.NO,
            f"write|{secret}": probes.NO,
            f"list|{folder}": probes.NO,
            f"make|{folder}/new": probes.NO,
            f"mode|{secret}": "done: unchanged",
        }
        answers = probes.wrong(expected, ask)
        # Where the file system is read-only, or the name unknown, the kernel says so first.
        assert {act: said for act, said in answers.items() if said not in ("EROFS", "ENOENT")} == {}


def test_the_cache_and_other_versions_are_closed(ask, inside):
    _, _, files = inside
    answers = ask([f"read|{file}" for file in files])
    (own,) = (file for file, said in zip(files, answers, strict=True) if said == "done")
    (foreign,) = (file for file in files if file != own)
    assert probes.wrong(probes.of_files("/tokens/tokens.json", foreign, own), ask) == {}
    assert probes.wrong({"list|/cache": probes.NO, "make|/cache/new": probes.NO}, ask) == {}


def test_other_processes_are_closed(ask, inside):
    servers, _, _ = inside
    (me,) = ask(["me"])
    others = servers.keys() - {me.removeprefix("done: ")}
    assert len(others) >= 3, "the HTTP process, what starts workers, the other model's worker"
    for pid in others:
        assert probes.wrong(probes.of_processes(int(pid)), ask) == {}, servers[pid]


def test_memory_of_the_server_is_closed_to_its_own_user(inside):
    """Core dumps and debuggers of that user's are refused, also without Landlock."""
    servers, owners, _ = inside
    owned = {command: owners[pid] for pid, command in servers.items()}
    assert owned
    assert set(owned.values()) == {0}, owned


def test_networks_are_closed(ask, team):
    for url in (team.container_url("tracking", 5000), team.container_url("gateway", 8080)):
        host, _, port = url.removeprefix("http://").partition(":")
        assert probes.wrong(probes.of_networks(host, int(port)), ask) == {}
    assert probes.wrong(probes.of_networks("127.0.0.1", 8080), ask) == {}
    assert ask(["resolve|tracking"]) == ["no such name"]
