"""What is asked of `uv`, and what is told of its words."""

import contextlib
import importlib.metadata
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from model_server.errors import bounded, without_login, without_paths
from model_server.processes.prctl import die_with_parent

_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
}
"""Settings of pip's that uv knows by another name."""
_PINNED = re.compile(r"([\w.-]+)==(\S+)[^\n]*\n\s+# from (\S+)")


class BuildError(Exception):
    """uv's own words, in one line."""


class Uv:
    """Runs uv for one environment: its `folder`, and the `model` whose requirements may name
    files."""

    def __init__(self, program: str, model: Path, folder: Path, settings: dict[str, str]) -> None:
        self._program = program
        self._model = model
        self._folder = folder
        self._settings = settings

    def make(self, python: str) -> None:
        """The folder, without packages. Raises BuildError."""
        for _ in self._lines("venv", "--python", python, self._folder):
            pass

    def install(self, lines: list[str]) -> Iterator[str]:
        """What uv says while it installs what these lines require. Raises BuildError."""
        return self._pip("install", lines)

    def refuses(self, lines: list[str]) -> str | None:
        """Why no set of packages satisfies the lines, if none does."""
        try:
            for _ in self._pip("install", lines, "--dry-run"):
                pass
        except BuildError as error:
            return str(error)
        return None

    def origins(self, lines: list[str]) -> dict[str, tuple[str, str]]:
        """What each name comes to: the version that satisfies the lines and the index that has it.
        Raises BuildError."""
        options = ("--emit-index-annotation", "--no-annotate", "--no-header", "--quiet")
        try:  # what was installed a moment ago is in uv's cache
            text = "\n".join(self._pip("compile", lines, *options, "--offline"))
        except BuildError:
            text = "\n".join(self._pip("compile", lines, *options))
        return {name: (version, _shown(index)) for name, version, index in _PINNED.findall(text)}

    def installed(self) -> dict[str, str]:
        """Versions by canonical name."""
        places = [str(place) for place in self._folder.glob("lib/python*/site-packages")]
        distributions = importlib.metadata.distributions(path=places)
        return {canonicalize_name(one.name): one.version for one in distributions}

    def _pip(self, command: str, lines: list[str], *options: str) -> Iterator[str]:
        source = ("-",) if command == "compile" else ("--requirements", "-")
        if self._settings.get("UV_NO_BUILD", "1").lower() not in ("0", "false", "no", "off"):
            # A source distribution runs its code while it is built, here with the index's login.
            options += ("--no-build",)
        if "--pre" in lines:  # which uv reads on the command line alone
            options += ("--prerelease", "allow")
        python = self._folder / "bin" / "python"
        return self._lines(
            "pip", command, "--python", python, *options, *source, stdin="\n".join(lines)
        )

    def _lines(self, *arguments: object, stdin: str = "") -> Iterator[str]:
        """What uv writes, line by line, while it works. Raises BuildError if it fails."""
        lines = []
        with subprocess.Popen(
            [self._program, *map(str, arguments)],
            env=self._settings,
            cwd=self._model,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=die_with_parent,
        ) as process:
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(stdin)
                    process.stdin.close()
            for line in process.stdout or ():
                lines.append(line.rstrip())
                yield lines[-1]
        if process.returncode:
            raise BuildError(reason(lines) or f"uv ended with {process.returncode}")


def uv_settings(environments: Path, variables: dict[str, str]) -> dict[str, str]:
    """Variables for uv: the given ones of uv's and pip's, and places to write to."""
    settings = {_PIP[name]: value for name, value in variables.items() if name in _PIP}
    settings["UV_NO_PROGRESS"] = "true"
    in_container = not os.access(Path.home(), os.W_OK)
    if in_container or not _share_files(Path.home(), environments):
        settings["UV_CACHE_DIR"] = str(environments / "downloads")
    if in_container:
        settings["UV_PYTHON_INSTALL_DIR"] = str(environments.with_name("pythons"))
    return settings | {name: value for name, value in variables.items() if name.startswith("UV_")}


def _share_files(one: Path, other: Path) -> bool:
    """Whether hard links between them are possible: packages are then on disk once."""
    while not other.exists():
        other = other.parent
    return one.stat().st_dev == other.stat().st_dev


def _shown(index: str) -> str:
    """An index's address without login and folders."""
    if index.startswith("file:"):
        return f"a folder {Path(index).name}"
    return without_login(index).rstrip("/")


def reason(lines: list[str]) -> str:
    """What follows `error:`, or a sign in its place, in one line without folders and logins."""
    first = re.compile(r"error:|\s*[^\x00-\x7f]")
    start = next((number for number, line in enumerate(lines) if first.match(line)), 0)
    text = re.sub(r"[^\x20-\x7e]", "", " ".join(lines[start:])).removeprefix("error: ")
    said, *causes = re.split(r"\s+cause: ", text)
    # Of a long chain, what was tried and what stood in the way.
    text = ": ".join([said, *causes[:1], *causes[1:][-1:]])
    return bounded(without_paths(" ".join(without_login(text).split())), 600)
