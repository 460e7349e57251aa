"""What supervisord reads is what was meant, whatever the checkout and the settings are."""

import json
import os
import stat
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from host.processes import supervisor


@pytest.fixture
def local(tmp_path, monkeypatch, request):
    """A .local in a folder of the name that a test asks for."""
    local = tmp_path / getattr(request, "param", "plain") / ".local"
    local.mkdir(parents=True)
    monkeypatch.setattr(supervisor, "LOCAL", local)
    monkeypatch.setattr(supervisor, "CONFIGURATION", local / "supervisord.conf")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(local)
    return local


def read():
    options = ServerOptions()
    options.realize(["--configuration", str(supervisor.CONFIGURATION)])
    return options


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    "local", ["plain", "with space", "50%", "deep/" * 40, "a;b", 'quo"te', "it's"], indirect=True
)
def test_any_folder_and_any_value_will_do(local):
    values = {"A": 'a, "b" %c', "B": "it's\\", "C": "", "D": str(local), "E": "1\n[x]\ny=2"}
    program = supervisor.Program("one", ("/bin/echo", "%d; \n"), values)
    supervisor.configure([program])
    [server] = read().server_configs
    assert len(os.fsencode(server["file"])) <= supervisor.LONGEST_SOCKET
    assert mode(Path(server["file"]).parent) == 0o700
    [group] = read().process_group_configs
    [process] = group.process_configs
    launched = json.loads(Path(process.command.split()[-1]).read_text())
    assert launched == {"command": list(program.command), "environment": values}
    assert Path(process.stdout_logfile).resolve() == program.log


@pytest.mark.usefixtures("local")
def test_another_setting_changes_the_configuration():
    supervisor.configure([supervisor.Program("one", ("true",), {"A": "1"})])
    before = supervisor.CONFIGURATION.read_text()
    supervisor.configure([supervisor.Program("one", ("true",), {"A": "1"})])
    assert supervisor.CONFIGURATION.read_text() == before
    supervisor.configure([supervisor.Program("one", ("true",), {"A": "2"})])
    assert supervisor.CONFIGURATION.read_text() != before


def test_others_may_not_read_it(local):
    supervisor.configure([supervisor.Program("one", ("true",), {})])
    assert mode(supervisor.CONFIGURATION) == mode(local / "run" / "one.json") == 0o600
