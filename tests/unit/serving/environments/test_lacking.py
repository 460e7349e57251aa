"""What a worker had to compile is kept, by a process that runs no model."""

import asyncio
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from model_server.environments.bytecode import compile_known
from model_server.environments.environments import Environments
from model_server.environments.messages import MARKER
from model_server.settings import Settings


@pytest.fixture
def environment(tmp_path) -> Path:
    """One package, and no bytecode of it."""
    folder = tmp_path / "cache" / "environments" / "digest"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (folder / MARKER).write_text("{}")
    (place,) = folder.glob("lib/python*/site-packages")
    (place / "tiny").mkdir()
    (place / "tiny" / "__init__.py").write_text("a = 1\n")
    (place / "broken.py").write_text("a = (\n")
    (place / "here.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def compiled(environment: Path) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in environment.rglob("*.pyc"))


def test_what_is_named_is_compiled_in_its_own_environment_and_nothing_else(environment, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text("a = 1\n")
    (place,) = environment.glob("lib/python*/site-packages")
    files = [str(place / name) for name in ("tiny/__init__.py", "broken.py", "missing.py")]
    settings = Settings(models="a=/b", cache=tmp_path / "cache")
    work = Environments(settings, {}).compile(
        str(environment / "bin" / "python"), [*files, str(outside), "/etc/passwd"]
    )
    asyncio.run(work)
    assert compiled(environment) == ["__init__"]
    assert not (tmp_path / "__pycache__").exists()


def test_modules_that_are_known_here_are_compiled_ahead(environment):
    (place,) = environment.glob("lib/python*/site-packages")
    (place / "msgspec").mkdir()
    (place / "msgspec" / "__init__.py").write_text("a = 1\n")
    compile_known(environment)
    assert [path.parent.parent.name for path in environment.rglob("*.pyc")] == ["msgspec"]
    assert os.listdir(place / "tiny") == ["__init__.py"]  # noqa: PTH208
