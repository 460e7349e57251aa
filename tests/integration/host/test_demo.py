"""`make demo`, `up`, `down` and `clean` without Docker, as a user meets them."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.processes import clean_environment
from harness.readme import blocks
from harness.waiting import wait_until

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc"),
]


@pytest.fixture(scope="module")
def first(checkout):
    """Output of README's first command in a checkout where nothing ever ran."""
    (block,) = blocks("demo")
    program, target = block.script.split()
    assert program == "make"
    return checkout.make(target)


# Tests that need it running come first, then those that need it stopped: a start takes long.
@pytest.fixture
def running(checkout, first):
    """The checkout with its stack up and a model served, whatever ran before."""
    assert first
    checkout.make("up")
    wait_until(lambda: served(checkout), 60, "wine is served")
    return checkout


@pytest.fixture
def stopped(checkout, first):
    """The checkout with data and nothing running, whatever ran before."""
    assert first
    checkout.make("down")
    return checkout


def ask(url, method="GET", body=None):
    content = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, content, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def served(checkout):
    """What the model server says of the model, once it serves it."""
    model = ask(f"{checkout.serving_url}/models/wine")
    return model if model["state"] == "serving" else None


def test_first_demo_trains_promotes_and_predicts(checkout, first):
    assert "running wine" in first
    assert re.search(r"^\$ curl .*/invocations", first, re.MULTILINE)
    assert re.search(r'^\{"predictions": \[', first, re.MULTILINE)
    assert f"http://localhost:{checkout.tracking_port}" in first
    assert "make down" in first


def test_second_demo_is_quick_and_trains_nothing(running):
    before = served(running)
    started = time.monotonic()
    output = running.make("demo")
    assert time.monotonic() - started < 30
    assert "- running wine" not in output
    assert '{"predictions": [' in output
    assert served(running) == before


def names(checkout):
    return {model["name"] for model in ask(f"{checkout.serving_url}/models")["models"]}


def test_only_this_machine_is_listened_to(running):
    inodes = {
        str(descriptor.readlink())
        for pid in running.processes()
        for descriptor in Path(f"/proc/{pid}/fd").iterdir()
    }
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in table if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    assert listening
    assert {address.split(":")[0] for address in listening} == {"0100007F"}


def test_secrets_are_for_their_user_alone(running):
    files = list((running.folder / ".local" / "secrets").iterdir())
    assert {file.name for file in files} == {"kek-passphrase", "flask-secret-key"}
    for path in (*files, *(file.parent for file in files), running.folder / ".local"):
        assert path.stat().st_mode & 0o077 == 0


def test_another_setting_reaches_a_running_service(running):
    running.make("up", SERVING_ALIAS="nobody")
    assert "wine" not in names(running)
    running.make("up")
    assert wait_until(lambda: "wine" in names(running), 60, "wine is served again")


def test_deleted_runs_are_cleaned_up(running):
    runs = f"{running.tracking_url}/api/2.0/mlflow/runs"
    run = ask(f"{runs}/create", "POST", {"experiment_id": "0"})["run"]["info"]["run_id"]
    ask(f"{runs}/delete", "POST", {"run_id": run})
    assert "deleted 1 runs, 0 logged models, 0 experiments" in running.make("gc", YES="1")
    assert "nothing to delete" in running.make("gc")


def test_alias_that_was_taken_away_is_given_anew(running):
    before = served(running)["version"]
    alias = f"{running.tracking_url}/api/2.0/mlflow/registered-models/alias"
    ask(alias, "DELETE", {"name": "wine", "alias": "champion"})
    output = running.make("demo")
    assert "- running wine" in output
    assert '{"predictions": [' in output
    assert int(served(running)["version"]) > int(before)


def test_killed_supervisor_is_recovered_from(running):
    pid = int((running.folder / ".local" / "run" / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    left = set(running.processes()) - {pid}
    assert left
    running.make("up")
    assert not left & set(running.processes())
    assert wait_until(lambda: served(running), 60, "wine is served")


def test_down_stops_what_a_killed_supervisor_left(running):
    pid = int((running.folder / ".local" / "run" / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert "the data is kept" in running.make("down")
    assert running.processes() == []
    assert "nothing of this checkout is running" in running.make("down")


def test_taken_port_is_said_before_anything_changes(stopped):
    with socket.create_server(("127.0.0.1", stopped.serving_port)):
        output = stopped.make("up", status=2)
    line = next(line for line in output.splitlines() if line.startswith("mlflow-stack:"))
    assert f"port {stopped.serving_port}" in line
    assert f"(pid {os.getpid()})" in line
    assert "SERVING_PORT" in line
    assert stopped.processes() == []


def test_service_that_does_not_start_is_shown_and_stopped(stopped):
    output = stopped.make("up", status=2, TRACKING_WORKERS="many")
    assert re.search(r"^mlflow-stack: .*TRACKING_WORKERS", output, re.MULTILINE)
    assert stopped.processes() == []


def test_services_reach_each_other_past_a_proxy(stopped):
    nobody = f"http://127.0.0.1:{free_port()}"
    stopped.make("up", HTTP_PROXY=nobody, http_proxy=nobody, NO_PROXY="", no_proxy="")
    assert wait_until(lambda: served(stopped), 60, "wine is served")


def test_interrupted_start_stops_what_it_started(stopped):
    process = stopped.start("up")
    said = ""
    for line in process.stdout:
        said += line
        if "starting tracking" in line:
            os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) != 0
    assert "stopping what was half started" in said
    assert stopped.processes() == []


def test_lost_passphrase_is_refused_until_it_is_put_back(stopped):
    passphrase = stopped.folder / ".local" / "secrets" / "kek-passphrase"
    kept = passphrase.rename(passphrase.with_name("elsewhere"))
    output = stopped.make("up", status=2)
    assert re.search(r"^mlflow-stack: .*kek-passphrase.*put it back", output, re.MULTILINE)
    kept.rename(passphrase)
    stopped.make("up")
    assert wait_until(lambda: served(stopped), 60, "wine is served as before")


def test_new_passphrase_is_taken_when_that_is_meant(running):
    passphrase = running.folder / "secrets" / "kek-passphrase"
    passphrase.write_text("a-passphrase-of-my-own\n")
    tracking = running.pid("tracking")
    output = running.make("up", status=2)
    assert re.search(r"^mlflow-stack: .*kek-passphrase.*make up ROTATE=1", output, re.MULTILINE)
    assert running.pid("tracking") == tracking
    assert "AI gateway" in running.make("up", "ROTATE=1")
    assert running.pid("tracking") != tracking
    passphrase.unlink()
    running.make("up")
    assert wait_until(lambda: served(running), 60, "wine is served as before")


def test_clean_asks_first_and_removes_only_what_was_made(running):
    before = {path.name for path in running.folder.iterdir()} - {".local"}
    output = running.make("clean", status=2)
    assert str(running.folder / ".local") in output
    assert "nothing removed" in output
    assert served(running)
    running.make("clean", YES="1")
    assert running.processes() == []
    assert {path.name for path in running.folder.iterdir()} == before
    assert "nothing to remove" in running.make("clean")


def test_two_demos_at_once_share_a_stack_that_waits_for_its_model(checkout, first):
    assert first
    checkout.make("clean", YES="1")
    variables = {"SERVING_MODELS": "wine"}
    with checkout.start("demo", **variables) as one, checkout.start("demo", **variables) as other:
        outputs = [process.communicate(timeout=300)[0] for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), outputs
    assert all('{"predictions": [' in output for output in outputs)
    waited = [output for output in outputs if "waiting for another command that starts" in output]
    assert len(waited) == 1, outputs
    assert sum("- running wine" in output for output in outputs) == 1


def test_model_of_the_users_own_shows_its_answer(checkout):
    """Its other columns are no reason to wait, nor to say that it is not served."""
    checkout.make("up")
    table = checkout.folder / "other.csv"
    data = (checkout.folder / "projects" / "wine" / "data" / "wine.csv").read_text()
    table.write_text(data.replace("alcohol", "strength", 1))
    command = [".venv/bin/mlflow", "run", "projects/wine", "--env-manager", "uv"]
    subprocess.run(
        [*command, "-P", f"data={table}", "-P", "promote=always"],
        cwd=checkout.folder,
        env={
            **clean_environment(MLFLOW_TRACKING_URI=checkout.tracking_url),
            "PATH": f"{checkout.folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_ENV_ROOT": str(checkout.folder / ".local" / "environments"),
        },
        check=True,
        timeout=200,
    )
    started = time.monotonic()
    output = checkout.make("demo", status=2)
    assert time.monotonic() - started < 60
    assert "BAD_REQUEST" in output or "INVALID_PARAMETER_VALUE" in output
    assert re.search(r"^mlflow-stack: wine version \d+ is served, .* status 400", output, re.M)
