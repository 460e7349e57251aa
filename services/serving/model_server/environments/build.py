"""Builds an environment by `uv`, in a process of its own that alone is given the settings of
package indexes."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from model_server.environments.messages import MARKER, Recipe, Step
from model_server.errors import bounded, without_paths
from model_server.workers import wire
from model_server.workers.child import die_with_parent

_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
}
"""Settings of pip's that uv knows by another name."""


class BuildError(Exception):
    """uv's own words, in one line."""


def main(
    sock: socket.socket, model: str, environment: str, recipe: Recipe, variables: dict[str, str]
) -> None:
    """The child: make the folder `environment`, sending a Step for each thing done."""
    os.nice(10)  # what is served goes first

    def say(progress: str) -> None:
        sock.sendall(wire.pack(Step(progress=progress)))

    try:
        build(Path(model), Path(environment), recipe, variables, say)
        step = Step(done=True)
    except BuildError as error:
        step = Step(problem=str(error))
    except OSError as error:
        step = Step(problem=f"its folder cannot be written: {error.strerror}")
    sock.sendall(wire.pack(step))


def build(
    model: Path,
    folder: Path,
    recipe: Recipe,
    variables: dict[str, str],
    say: Callable[[str], None],
) -> None:
    """On the first of the recipe's Pythons that it works on. Raises BuildError, OSError."""
    places = [f"{sys.exec_prefix}/bin", os.environ.get("PATH", os.defpath)]
    uv = shutil.which("uv", path=os.pathsep.join(places))
    if uv is None:
        raise BuildError("uv is not installed")
    settings = os.environ | uv_settings(folder.parent, variables)
    problems = []
    for python in recipe.pythons:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            say(f"making an environment of Python {python}")
            _run([uv, "venv", "--python", _interpreter(python), folder], settings, model)
            _install(uv, model, folder, recipe, settings, say)
        except BuildError as error:
            problems.append(f"Python {python}: {error}")
            continue
        (folder / MARKER).write_text("\n".join(recipe.lines))
        return
    shutil.rmtree(folder, ignore_errors=True)
    raise BuildError("; ".join(problems))


def _install(
    uv: str,
    model: Path,
    folder: Path,
    recipe: Recipe,
    settings: dict[str, str],
    say: Callable[[str], None],
) -> None:
    command = [uv, "pip", "install", "--python", folder / "bin" / "python", "--requirements", "-"]
    if settings.get("UV_NO_BUILD", "1").lower() not in ("0", "false", "no", "off"):
        # A source distribution runs its code while it is built, here with the index's credentials.
        command.append("--no-build")
    say("finding its packages")
    for line in _lines(command, settings, model, "\n".join(recipe.lines)):
        if found := re.match(r"Resolved (\d+) package", line):
            say(f"installing {found[1]} packages")


def uv_settings(environments: Path, variables: dict[str, str]) -> dict[str, str]:
    """Variables for uv: the given ones of uv's and pip's, and places to write to."""
    settings = {_PIP[name]: value for name, value in variables.items() if name in _PIP}
    settings["UV_NO_PROGRESS"] = "true"
    if not os.access(Path.home(), os.W_OK):  # in a container
        settings["UV_CACHE_DIR"] = str(environments / "downloads")
        settings["UV_PYTHON_INSTALL_DIR"] = str(environments.with_name("pythons"))
    return settings | {name: value for name, value in variables.items() if name.startswith("UV_")}


def _interpreter(python: str) -> str:
    """The server's own where it is of that version, even if others are, too."""
    return sys.executable if python == f"{sys.version_info[0]}.{sys.version_info[1]}" else python


def _run(command: list, settings: dict[str, str], folder: Path) -> None:
    for _ in _lines(command, settings, folder):
        pass


def _lines(command: list, settings: dict[str, str], folder: Path, given: str = "") -> Iterator[str]:
    """What uv writes, line by line, while it works in `folder`. Raises BuildError if it fails."""
    lines = []
    with subprocess.Popen(
        command,
        env=settings,
        cwd=folder,  # requirements may name files of the model's
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        preexec_fn=die_with_parent,
    ) as process:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(given)
            process.stdin.close()
        for line in process.stderr:
            lines.append(line.rstrip())
            yield lines[-1]
    if process.returncode:
        raise BuildError(reason(lines) or f"uv ended with {process.returncode}")


def reason(lines: list[str]) -> str:
    """What follows `error:`, or a sign in its place, in one line without folders and logins."""
    first = re.compile(r"error:|\s*[^\x00-\x7f]")
    start = next((number for number, line in enumerate(lines) if first.match(line)), 0)
    text = re.sub(r"[^\x20-\x7e]", "", " ".join(lines[start:])).removeprefix("error: ")
    said, *causes = re.split(r"\s+cause: ", text)
    # Of a long chain, what was tried and what stood in the way.
    text = ": ".join([said, *causes[:1], *causes[1:][-1:]])
    text = re.sub(r"//[^/@\s]+@", "//", text)
    return bounded(without_paths(" ".join(text.split())), 600)
