"""Builds an environment by `uv`, in a process of its own that alone is given the settings of
package indexes."""

import os
import re
import shutil
import socket
import sys
from collections.abc import Callable
from itertools import compress
from operator import not_
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from model_server.environments.addressed import address, is_option, requirement
from model_server.environments.bytecode import compile_known, share_bytecode
from model_server.environments.messages import MARKER, Built, Package, Recipe, Step
from model_server.environments.uv import BuildError, Uv, uv_settings
from model_server.errors import without_login, without_paths
from model_server.processes import wire

_LOCAL_LABEL = re.compile(r"(==[\w.!]+)\+[\w.]+")


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
    """Build on the first of the recipe's Pythons that all of it works on; else on the first that it
    works on without what no index has. Raises BuildError, OSError."""
    places = [f"{sys.exec_prefix}/bin", os.environ.get("PATH", os.defpath)]
    program = shutil.which("uv", path=os.pathsep.join(places))
    if program is None:
        raise BuildError("uv is not installed")
    uv = Uv(program, model, folder, os.environ | uv_settings(folder.parent, variables))
    problems = {}
    for choose in (_all, _to_be_had) if _may_change(recipe) else (_all,):
        for python in recipe.pythons:
            shutil.rmtree(folder, ignore_errors=True)
            try:
                say(f"making an environment of Python {python}")
                uv.make(_interpreter(python))
                lines, warnings = choose(uv, recipe, say)
                _install(uv, lines, say)
            except BuildError as error:
                problems[python] = f"Python {python}: {error}"
                continue
            share_bytecode(folder)
            say("compiling what every worker imports")
            compile_known(folder)
            gone = [line for line in recipe.optional if not {line, _public(line)} & set(lines)]
            built = Built(lines, warnings, _packages(uv, lines), gone)
            (folder / MARKER).write_bytes(msgspec.json.encode(built))
            return
    shutil.rmtree(folder, ignore_errors=True)
    raise BuildError("; ".join(problems.values()))


def _public(line: str) -> str:
    return _LOCAL_LABEL.sub(r"\1", line)


def _may_change(recipe: Recipe) -> bool:
    return bool(recipe.optional) or any(map(_LOCAL_LABEL.search, recipe.lines))


def _all(uv: Uv, recipe: Recipe, say: Callable[[str], None]) -> tuple[list[str], list[str]]:  # noqa: ARG001
    return recipe.lines, []


def _to_be_had(uv: Uv, recipe: Recipe, say: Callable[[str], None]) -> tuple[list[str], list[str]]:
    """The recipe's lines that an index has, and warnings of those that are another or not there.
    Raises BuildError when what is needed cannot be had, or when nothing is missing."""
    say("looking for what no index has")
    options = [line for line in recipe.lines if is_option(line)]
    lines, warnings = list(recipe.lines), []
    for number, line in enumerate(lines):
        public = _public(line)
        if public != line and uv.refuses([*options, line]) and not uv.refuses([*options, public]):
            warnings.append(f"{public} is installed: no index has {line}")
            lines[number] = public
    may_go = [line in recipe.optional for line in recipe.lines]
    if problem := uv.refuses(list(compress(lines, map(not_, may_go)))):
        raise BuildError(problem)
    gone = [line for line in compress(lines, may_go) if uv.refuses([*options, line])]
    if gone:
        warnings.append(
            "requirements that cannot be had and are left out: "
            + ", ".join(without_paths(without_login(line)) for line in gone)
        )
    if not warnings:
        raise BuildError(uv.refuses(lines) or "its packages cannot be installed")
    return [line for line in lines if line not in gone], warnings


def _install(uv: Uv, lines: list[str], say: Callable[[str], None]) -> None:
    say("finding its packages")
    for line in uv.install(lines):
        if match := re.match(r"Resolved (\d+) package", line):
            say(f"installing {match[1]} packages")


def _packages(uv: Uv, lines: list[str]) -> list[Package]:
    """Those that the lines name, and where they came from."""
    try:
        origins = uv.origins(lines)
    except BuildError:
        origins = {}  # an index that answered a moment ago, and does not now
    installed = uv.installed()
    packages = {}
    for line in lines:
        if entry := requirement(line):
            name = canonicalize_name(entry.name)
            version, index = origins.get(name, (None, None))
            same = version == installed.get(name)
            packages[name] = Package(
                name, installed.get(name), address(line) or (index if same else None)
            )
    return [packages[name] for name in sorted(packages)]


def _interpreter(python: str) -> str:
    """The server's own where it is of that version, even if others are, too."""
    return sys.executable if python == f"{sys.version_info[0]}.{sys.version_info[1]}" else python
