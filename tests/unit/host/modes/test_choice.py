"""Docker Compose where it can be used, local processes where no engine answers, else a reason."""

import dataclasses

import pytest

from host.commands import clean, down
from host.docker import engine
from host.modes import choice, compose, local
from host.user import options
from host.user.settings import read
from host.user.terminal import CommandError

READY = engine.Engine(True, "Docker engine 26.1.5, Compose 2.26.1")
OLD = engine.Engine(True, "Docker engine 20.10", "upgrade Docker Engine")
ABSENT = engine.Engine(False, "no docker command", "install Docker Engine")


@pytest.fixture
def choose(monkeypatch):
    def choose(mode, machine, local_runs=False):
        monkeypatch.setattr(engine, "find", lambda: machine)
        monkeypatch.setattr(compose, "running", lambda: False)
        monkeypatch.setattr(local, "running", lambda: local_runs)
        return choice.choose(dataclasses.replace(read({}), mode=mode))

    return choose


@pytest.mark.parametrize(
    ("mode", "machine", "chosen"),
    [
        ("auto", READY, "compose"),
        ("auto", ABSENT, "local"),
        ("compose", READY, "compose"),
        ("local", READY, "local"),
        ("local", OLD, "local"),
    ],
)
def test_mode_follows_setting_and_engine(choose, mode, machine, chosen):
    assert chosen == choose(mode, machine).mode.NAME


def test_what_runs_already_is_kept(choose):
    chosen = choose("auto", READY, local_runs=True)
    assert (chosen.mode, chosen.running) == (local, True)


def test_fall_back_says_why(choose):
    assert "no docker command" in choose("auto", ABSENT).reason


@pytest.mark.parametrize(
    ("command", "said"),
    [(down, "nothing else of this checkout is running"), (clean, "nothing else to remove")],
)
def test_engine_that_could_not_be_asked_is_told(docker, monkeypatch, capsys, command, said):
    monkeypatch.setattr(local, "running", lambda: False)
    monkeypatch.setattr(local, "left_behind", lambda: False)
    monkeypatch.setattr(local, "holds", list)
    monkeypatch.setenv("STACK_MODE", "auto")
    docker("echo 'Cannot connect to it' >&2; exit 1")
    command.main(options.read({"YES": "1"}))
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("Docker Compose could not be asked: no Docker engine answers (Cannot")
    assert out[0].endswith("start it")
    assert out[1] == said


@pytest.mark.usefixtures("docker")
def test_machine_without_docker_has_nothing_to_ask(monkeypatch, capsys):
    monkeypatch.setattr(local, "running", lambda: False)
    monkeypatch.setattr(local, "left_behind", lambda: False)
    monkeypatch.setenv("STACK_MODE", "auto")
    down.main(options.read({}))
    assert capsys.readouterr().out == "nothing of this checkout is running\n"


@pytest.mark.parametrize(
    ("mode", "machine"), [("auto", OLD), ("compose", OLD), ("compose", ABSENT)]
)
def test_engine_that_cannot_be_used_is_refused_with_the_way_out(choose, mode, machine):
    with pytest.raises(CommandError) as error:
        choose(mode, machine)
    assert f"found {machine.version}" in str(error.value)
    assert machine.problem in str(error.value)
    assert "STACK_MODE=local" in str(error.value)
