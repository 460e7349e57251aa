"""A model reaches its own files and libraries, and nothing else of the machine."""

import asyncio
import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.serving import ModelServer
from harness.waiting import wait_until
from model_server.confinement.quarters import reason
from model_server.models.launch import Launch
from model_server.models.target import Target
from model_server.options import Options
from model_server.processes import wire
from model_server.settings import Settings
from tests.integration.serving.confinement import probes
from tests.integration.serving.confinement.served import Served
from tests.integration.serving.models import act

TOKEN = "a" * 40


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "token").write_text(TOKEN)
    (folder / "login").write_text("user:a-password-of-the-test\n")
    return folder


@pytest.fixture(scope="module")
def built(nosy) -> Path:
    """It needs a package that the server has not."""
    folder = shutil.copytree(nosy, nosy.with_name("built"))
    (code,) = folder.rglob("nosy.py")
    code.write_text(f"import roman\n{code.read_text()}")
    with (folder / "requirements.txt").open("a") as requirements:
        requirements.write("\nroman==5.2\n")
    return folder


@pytest.fixture(scope="module")
def server(nosy, built, secrets, tmp_path_factory):
    other = shutil.copytree(nosy, nosy.with_name("other"))
    running = ModelServer(
        tmp_path_factory.mktemp("confinement"),
        SERVING_MODELS=f"nosy={nosy},other={other},built={built}",
        SERVING_TOKEN_FILE=secrets / "token",
        SERVING_WORKER_VARIABLES="",
        A_SECRET="of the server's environment",
    ).start()
    yield running
    running.stop()


class Own:
    """A worker that another interpreter runs, as in an environment of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._loop = asyncio.new_event_loop()
        settings = Settings(models=f"nosy={folder}", cache=cache)
        target = Target("nosy", "1", str(folder), "x", "a test")
        launch = Launch(target, folder, settings, Options(), sys.executable)
        self._child, _ = self._loop.run_until_complete(launch())

    def ask(self, acts: list[str]) -> list[str]:
        body = json.dumps(act(*acts)).encode()
        request = wire.Request(1, "id", "application/json", body, time.monotonic() + 60)
        self._child.channel.send([request])
        decoder = wire.msgspec.msgpack.Decoder(wire.Reply)
        reply = self._loop.run_until_complete(self._child.channel.receive(decoder))
        return json.loads(reply.answers[0].body)["predictions"]

    def stop(self) -> None:
        self._loop.run_until_complete(self._child.end())
        self._loop.close()


@pytest.fixture(scope="module", params=["forked", "own", "built"])
def worker(request, nosy, server, tmp_path_factory):
    """Forked; run by the server's own interpreter; in an environment that was built for it."""
    running = (
        Own(nosy, tmp_path_factory.mktemp("cache"))
        if request.param == "own"
        else Served(server, {"forked": "nosy", "built": "built"}[request.param])
    )
    yield running
    running.stop()


def test_this_machine_can_confine():
    assert reason(Settings(models="a=/b")) is None


def test_files_of_others_are_closed(worker, request, nosy, built, secrets):
    mine = built if "built" in request.node.name else nosy
    foreign, own = nosy.with_name("other") / "MLmodel", mine / "MLmodel"
    expected = probes.of_files(str(secrets / "token"), str(foreign), str(own))
    before = {path: path.stat() for path in (secrets / "token", foreign, own)}
    assert probes.wrong(expected, worker.ask) == {}
    for path, stat in before.items():
        now = path.stat()
        assert (now.st_mode, now.st_mtime_ns, now.st_uid) == (
            stat.st_mode,
            stat.st_mtime_ns,
            stat.st_uid,
        )


def test_the_cache_is_closed_but_for_its_own_temporary_folder(worker, server):
    cache = server.process.environment["SERVING_CACHE"]
    (own,) = worker.ask(["find_temporary"])
    assert (
        probes.wrong({f"list|{cache}": probes.NO, f"make|{cache}/new": probes.NO}, worker.ask) == {}
    )
    folder = Path(own.removeprefix("done: "))
    assert folder.is_dir()
    assert probes.wrong({f"make|{folder}/new": "done", f"list|{folder}": "done"}, worker.ask) == {}


def test_other_processes_are_closed(worker, server):
    family = {one.pid for one in server.family()}
    (sibling,) = server.model("other")["workers"]
    (me,) = worker.ask(["me"])
    pids = {server.process.pid, sibling, *family} - {int(me.removeprefix("done: "))}
    assert len(pids) >= 3
    for pid in pids:
        expected = probes.of_processes(pid)
        assert probes.wrong(expected, worker.ask) == {}, psutil.Process(pid).cmdline()


def test_networks_are_closed(worker, tmp_path):
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        path = str(tmp_path / "socket")
        unix.bind(path)
        unix.listen()
        expected = probes.of_networks("127.0.0.1", tcp.getsockname()[1], path)
        assert probes.wrong(expected, worker.ask) == {}


def test_what_starts_workers_cannot_be_reached(server):
    """Neither by a path, nor by a name, nor by what a worker holds open."""
    ask = Served(server).ask
    (parent,) = ask(["parent"])
    pid = int(parent.removeprefix("done: "))
    assert pid in {one.pid for one in server.family()}
    named = [one for one in psutil.Process(pid).net_connections("all") if one.laddr]
    assert named == []
    assert (
        probes.wrong({f"signal|{pid}": probes.NEVER, f"read|/proc/{pid}/fd/0": probes.NO}, ask)
        == {}
    )
    (held,) = ask(["descriptors"])
    assert held == "done: /dev/null pipe socket"


@pytest.mark.skipif(os.getuid() == 0, reason="root's memory is root's: the compose tier asks")
def test_memory_of_the_server_is_closed_to_the_same_user_without_landlock_too(server):
    """Core dumps and debuggers of that user's are refused, also without Landlock."""
    for one in [psutil.Process(server.process.pid), *server.family()]:
        limits = Path(f"/proc/{one.pid}/environ").stat()
        assert limits.st_uid == 0, one.cmdline()


def test_an_environment_is_closed_to_the_models_in_it(server):
    """Others may share it."""
    worker = Served(server, "built")
    (program,) = worker.ask(["find_python"])
    python = Path(program.removeprefix("done: "))
    (place,) = python.parents[1].glob("lib/python*/site-packages")
    module = place / "roman" / "__init__.py"
    expected = {
        f"make|{place}/new.py": probes.NO,
        f"write|{module}": probes.NO,
        f"remove|{module}": probes.NO,
        f"list|{place}": "done",
    }
    assert "environments" in python.parts
    assert probes.wrong(expected, worker.ask) == {}


def test_temporary_folders_go_with_their_workers(nosy, tmp_path):
    worker = Own(nosy, tmp_path / "cache")
    (own,) = worker.ask(["find_temporary"])
    folder = Path(own.removeprefix("done: "))
    assert folder.is_dir()
    worker.stop()
    wait_until(lambda: not folder.exists(), 10, "the folder's removal")
    assert folder.parent.is_dir()


def test_models_says_that_it_is_confined(server):
    entry = server.model("nosy")
    assert (entry["confined"], entry["confined_reason"]) == (True, None)


def test_a_line_that_a_model_prints_is_its_own(server):
    line = json.dumps(
        {"level": "ERROR", "logger": "model_server.server", "message": "forged", "model": "other"}
    )
    assert Served(server).ask([f"say|{line}"]) == ["done"]
    (entry,) = server.wait_for(lambda: server.log_lines("forged"), 10, "the line")
    assert (entry["logger"], entry["model"]) == ("model_server.worker", "nosy")


def test_it_can_be_switched_off(nosy, secrets, tmp_path):
    server = ModelServer(
        tmp_path,
        SERVING_MODELS=f"nosy={nosy}",
        SERVING_TOKEN_FILE=secrets / "token",
        SERVING_CONFINEMENT="off",
    ).start()
    try:
        entry = server.model("nosy")
        assert not entry["confined"]
        assert entry["confined_reason"] == "SERVING_CONFINEMENT is off"
        assert Served(server).ask([f"read|{secrets / 'token'}", "listen"]) == ["done", "done"]
    finally:
        server.stop()


def test_further_folders_can_be_opened(nosy, tmp_path):
    """And what the server keeps for itself stays closed, though it lies there."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "a").write_text("a")
    (data / "token").write_text(TOKEN)
    (data / "others").mkdir()
    (data / "others" / "b").write_text("b")
    if os.getuid() == 0:  # which reads what belongs to others
        os.chown(data / "others", 12345, 12345)
        (data / "others").chmod(0o700)
    server = ModelServer(
        data,
        SERVING_MODELS=f"nosy={nosy}",
        SERVING_FOLDERS=data,
        SERVING_TOKEN_FILE=data / "token",
    ).start()
    try:
        expected = {
            f"read|{data}/a": "done",
            f"read|{data}/others/b": "done",
            f"list|{data}": "done",
            f"write|{data}/a": probes.NO,
            f"read|{data}/token": probes.NO,
        }
        assert probes.wrong(expected, Served(server).ask) == {}
    finally:
        server.stop()
