"""Children: what they are given, what they write, how they end, and who may start them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.waiting import wait_until
from model_server.processes import process, wire

ANY = wire.msgspec.msgpack.Decoder()
PYTHONS = (None, sys.executable)
HERE = "tests.unit.serving.processes.child"


def spawn(act: str, *arguments: object, python: str | None = None, **more: object):
    return process.spawn(HERE, act, *arguments, name=act, python=python, **more)


def told(act: str, *arguments: object, python: str | None = None, **more: object) -> object:
    """What a child that does this says."""

    async def ask() -> object:
        child = await spawn(act, *arguments, python=python, **more)
        try:
            async with asyncio.timeout(60):
                return await child.channel.receive(ANY)
        finally:
            await child.end(5)

    return asyncio.run(ask())


@pytest.fixture(autouse=True)
def tests_can_be_imported(monkeypatch):
    """Another interpreter can, too: from the user's PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))


@pytest.mark.parametrize("python", PYTHONS)
def test_a_child_holds_its_own_socket_and_nothing_else(python, tmp_path):
    with (tmp_path / "secret").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        descriptors = told("descriptors", python=python)
    assert sorted(descriptors) == ["0", "1", "2", "3"]
    assert descriptors["3"].startswith("socket:")
    assert descriptors["1"] == descriptors["2"]
    assert descriptors["1"].startswith("pipe:")


@pytest.mark.parametrize("python", PYTHONS)
def test_a_child_that_reads_its_input_finds_nothing(python):
    assert told("read_input", python=python) == ""


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("act", "code"), [("leave", 0), ("fail", 1), ("exit", 7), ("abort", -signal.SIGABRT)]
)
def test_the_exit_status_is_told(act, code, python):
    async def run() -> int:
        child = await spawn(act, python=python)
        with pytest.raises(wire.PeerClosedError):
            await child.channel.receive(ANY)
        return await child.end(10)

    assert asyncio.run(run()) == code


@pytest.mark.parametrize("python", PYTHONS)
def test_what_a_child_started_ends_with_it(python):
    async def run() -> int:
        child = await spawn("start_another", python=python)
        other = await child.channel.receive(ANY)
        assert psutil.pid_exists(other)
        os.kill(child.pid, signal.SIGKILL)
        assert await child.end(10) == -signal.SIGKILL
        return other

    other = asyncio.run(run())
    wait_until(lambda: not _lives(other), 10, "the end of what it started")


@pytest.mark.parametrize("python", PYTHONS)
def test_what_has_left_a_childs_group_and_session_ends_with_it_too(python):
    async def run() -> list[int]:
        child = await spawn("start_apart", python=python)
        others = await child.channel.receive(ANY)
        assert len(others) == 4
        assert all(map(_lives, others))
        os.kill(child.pid, signal.SIGKILL)
        await child.end(10)
        return others

    assert [pid for pid in asyncio.run(run()) if _lives(pid)] == []


def test_what_has_left_a_child_ends_with_the_server_too(tmp_path):
    """It ends with the socket by which it speaks to what starts children."""
    code = (
        "import asyncio\n"
        "from model_server.processes import process\n"
        "async def run():\n"
        f"    child = await process.spawn({HERE!r}, 'start_apart', name='a test')\n"
        "    message = await child.channel.receive(process.wire.msgspec.msgpack.Decoder())\n"
        "    print(*message)\n"
        "asyncio.run(run())\n"
    )
    (tmp_path / "script.py").write_text(code)
    others = [int(word) for word in _run(tmp_path / "script.py").split()]
    assert len(others) == 4
    wait_until(lambda: not any(map(_lives, others)), 10, "the end of what was started")


def test_a_new_parent_is_started_when_one_has_ended():
    async def run() -> tuple[int, int]:
        child = await spawn("wait")
        first = process.parent_pid()
        os.kill(first, signal.SIGKILL)
        assert await child.end(20) == -signal.SIGKILL
        wait_until(lambda: not _lives(child.pid), 10, "the child's end with its parent")
        other = await spawn("wait")
        await other.end(5)
        return first, process.parent_pid()

    first, second = asyncio.run(run())
    assert first != second


def test_nothing_listens_where_another_process_could_speak_to_it():
    """What starts processes obeys whoever holds its sockets: they have no name."""

    async def run() -> list:
        child = await spawn("wait")
        parent = psutil.Process(process.parent_pid())
        held = [one.net_connections(kind="all") for one in (parent, psutil.Process(child.pid))]
        await child.end(5)
        return [connection for one in held for connection in one]

    connections = asyncio.run(run())
    assert connections
    assert {connection.laddr for connection in connections} == {""}


def test_a_script_that_starts_children_is_not_run_again(tmp_path):
    """It would be if a child imported its parent's main module."""
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio\n"
        "from model_server.processes import process\n"
        "print('once')\n"
        "async def run():\n"
        f"    child = await process.spawn({HERE!r}, 'spawn_another', name='a test')\n"
        "    print(await child.channel.receive(process.wire.msgspec.msgpack.Decoder()))\n"
        "    await child.end(5)\n"
        "asyncio.run(run())\n"
    )
    assert _run(script).split() == ["once", "4"]


def lines(caplog, act: str, *arguments: object, until: int = 1, **more: object) -> list:
    async def run() -> None:
        child = await spawn(act, *arguments, **more)
        deadline = time.monotonic() + 20
        while len(caplog.records) < until and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await child.end(5)
        await asyncio.sleep(0.05)

    with caplog.at_level("INFO", "model_server.worker"):
        asyncio.run(run())
    return caplog.records


@pytest.mark.parametrize("python", PYTHONS)
def test_what_a_child_writes_is_in_the_log_as_its_own(caplog, python):
    about = {"model": "wine", "version": "3"}
    (record,) = lines(caplog, "write", "hello\n", python=python, about=about)
    assert (record.getMessage(), record.levelname) == ("hello", "INFO")
    assert (record.child, record.model, record.version) == ("write", "wine", "3")


def test_no_line_can_pass_for_another_models_or_the_servers(caplog):
    claims = {
        "level": "ERROR",
        "logger": "model_server.server",
        "message": "stopping %s",
        "timestamp": "1999-01-01T00:00:00+00:00",
        "model": "other",
        "child": "other",
        "request_id": "r1",
    }
    (record,) = lines(caplog, "write", json.dumps(claims) + "\n", about={"model": "wine"})
    assert (record.levelname, record.getMessage()) == ("ERROR", "stopping %s")
    assert (record.name, record.child, record.model) == ("model_server.worker", "write", "wine")
    assert record.request_id == "r1"
    assert record.created > time.time() - 60


@pytest.mark.parametrize(
    "text",
    [
        '{"level": "ERROR"}',
        '{"level": 1, "message": "x"}',
        "[1]",
        "{",
        '{"level": "X", "message": "x"}',
    ],
)
def test_what_only_looks_like_a_log_line_is_text(caplog, text):
    (record,) = lines(caplog, "write", text + "\n")
    assert (record.levelname, record.getMessage()) == ("INFO", text)


def test_a_flood_of_output_is_cut_and_counted(caplog):
    records = lines(caplog, "flood", 5000, until=201)
    assert len(records) <= 2 * 200 + 2
    left_out = [record.lines for record in records if record.getMessage().startswith("further")]
    assert left_out
    kept = len(records) - len(left_out)
    assert kept + sum(left_out) == 5000


def test_who_writes_more_than_can_be_looked_at_waits(caplog):
    """Else one that floods its output keeps the HTTP process from everything else."""

    async def run() -> float:
        child = await spawn("flood_for_ever")
        before, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(3)
        used = (time.process_time() - cpu) / (time.monotonic() - before)
        await child.end()
        return used

    with caplog.at_level("INFO", "model_server.worker"):
        assert asyncio.run(run()) < 0.25


def test_a_long_line_is_cut(caplog):
    (record,) = lines(caplog, "write", "x" * 100_000 + "\n")
    assert record.getMessage() == "x" * 16384
    assert record.cut


def _lives(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _run(script: Path) -> str:
    root = Path(__file__).parents[4]
    paths = [str(root), str(root / "services/serving")]
    return subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
