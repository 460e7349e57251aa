"""The doctor's lines: what was expected, what was found, and the way out."""

import socket

import pytest

from harness.ports import free_port
from host.commands import doctor
from host.commands import test as tiers
from host.docker import engine
from host.modes import checks, compose, local
from host.modes.choice import Choice
from host.user import options
from host.user.settings import read
from host.user.terminal import CommandError

STOPPED = Choice(local, "for the test", running=False)


@pytest.fixture
def stack(monkeypatch, tmp_path):
    monkeypatch.setattr("host.user.settings.ROOT", tmp_path)  # where there is no .env
    monkeypatch.setattr("host.python.environment.VENV", tmp_path / ".venv")  # may be a link here
    return read({"TRACKING_PORT": str(free_port()), "SERVING_PORT": str(free_port())})


def test_machine_that_has_all_passes(stack):
    checks.check(stack, STOPPED)


def test_each_taken_port_has_its_line(stack):
    with (
        socket.create_server(("127.0.0.1", stack.tracking_port)),
        socket.create_server(("127.0.0.1", stack.serving_port)),
        pytest.raises(CommandError) as error,
    ):
        checks.check(stack, STOPPED)
    first, second = str(error.value).splitlines()
    assert f"port {stack.tracking_port}: expected it free, found" in first
    assert "set TRACKING_PORT" in first
    assert "set SERVING_PORT" in second


def test_airplay_is_named_where_it_may_hold_the_port(stack, monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    with socket.create_server(("127.0.0.1", stack.tracking_port)):
        monkeypatch.setattr(checks, "AIRPLAY", (stack.tracking_port,))
        with pytest.raises(CommandError, match=r"AirPlay receiver.*switch it off.*TRACKING_PORT"):
            checks.check(stack, STOPPED)


def test_own_ports_are_no_obstacle(stack):
    with socket.create_server(("127.0.0.1", stack.tracking_port)):
        checks.check(stack, Choice(local, "for the test", running=True))


@pytest.mark.parametrize(
    ("table", "said"),
    [("MEMORY", "memory: expected"), ("DISK", "disk: expected")],
)
def test_too_small_a_machine_is_told(stack, monkeypatch, table, said):
    monkeypatch.setattr(local, table, 1_000_000.0)
    monkeypatch.setattr(checks, "DISK_PREPARED", 1_000_000.0 if table == "DISK" else 0)
    with pytest.raises(CommandError, match=rf"{said} 1000000.0 GiB free.*found \d+\.\d GiB: "):
        checks.check(stack, STOPPED)


@pytest.mark.parametrize(("built", "wanted"), [(False, 5.0), (True, 0.5)])
def test_disk_of_compose_is_that_of_the_images(monkeypatch, tmp_path, built, wanted):
    """Whether `.venv` is there says nothing of the images."""
    monkeypatch.setattr(engine, "folder", lambda: tmp_path)
    monkeypatch.setattr(compose, "built", lambda: built)
    results = checks._machine(Choice(compose, "for the test", running=False))
    [disk] = [result for result in results if result.subject == "disk"]
    assert f"expected {wanted} GiB free in {tmp_path}, found" in disk.text


def test_tests_look_at_the_machine_before_they_install(monkeypatch):
    monkeypatch.setattr(local, "MEMORY", 1_000_000.0)
    monkeypatch.setattr(tiers.environment, "ensure", lambda _: pytest.fail("installed"))
    with pytest.raises(CommandError, match="memory: expected"):
        tiers.main(options.read({"TIER": "lint"}))


@pytest.mark.usefixtures("stack")
def test_address_of_another_machine_is_told():
    elsewhere = read({"STACK_HOST": "192.0.2.1", "STACK_OPEN": "yes"})
    with pytest.raises(CommandError, match=r"STACK_HOST: 192\.0\.2\.1 cannot be bound to"):
        checks.check(elsewhere, STOPPED)


def test_wrong_setting_is_a_line_and_not_a_trace(monkeypatch, capsys):
    monkeypatch.setenv("SERVING_PORT", "many")
    assert doctor.main(options.read({})) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "FAIL settings: SERVING_PORT: expected a port from 1 to 65535, found many" in lines


def test_all_is_shown(monkeypatch, capsys, stack):
    monkeypatch.setenv("STACK_MODE", "local")
    monkeypatch.setenv("TRACKING_PORT", str(stack.tracking_port))
    monkeypatch.setenv("SERVING_PORT", str(stack.serving_port))
    assert doctor.main(options.read({})) == 0
    out = capsys.readouterr().out
    for subject in ("Python", "environment", "settings", "mode", f"port {stack.serving_port}"):
        assert f" {subject}: " in out
