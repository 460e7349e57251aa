"""`make licences`: writes into docs/images.md which Python packages are in which image, and under
which licence, as the packages themselves say it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from host.paths import ROOT, VENV, shown
from host.python import environment
from host.user.options import Options
from host.user.pages import insert
from host.user.terminal import run, say

PAGE = ROOT / "docs" / "images.md"
BOOTSTRAP = ROOT / "host" / "bootstrap.txt"
UV = "/opt/uv/bin/uv"
IN_IMAGES = {"python_version": "3.13", "python_full_version": "3.13.0"}
UNKNOWN = {"UNKNOWN": "in its files alone"}
LONGEST = 60  # characters; some packages put the licence's whole text where its name belongs


def main(options: Options) -> None:  # noqa: ARG001 - takes none
    """Bring the page up to date, by the environment's Python: this one may have no `packaging`."""
    environment.ensure(environment.DEV)
    script = f"from {__name__} import table; print(table())"
    command = [str(environment.PYTHON), "-c", script]
    insert(PAGE, "packages", run(command, "asking packages for licences", folder=ROOT).strip())
    say(f"{shown(PAGE)} is up to date")


def table() -> str:
    """A Markdown table: package, version, licence, images."""
    images: dict[tuple[str, str], list[str]] = {}
    for lock in sorted(ROOT.glob("services/*/requirements.txt")):
        for package in [*_locked(lock), *_copied(lock.parent)]:
            images.setdefault(package, []).append(lock.parent.name)
    licences = _licences([name for name, _ in images])
    lines = ["| package | version | licence | images |", "| --- | --- | --- | --- |"]
    for (name, version), holders in sorted(images.items()):
        lines.append(f"| {name} | {version} | {licences.get(name, '')} | {', '.join(holders)} |")
    return "\n".join(lines)


def _locked(lock: Path) -> Iterator[tuple[str, str]]:
    """(name, version) of what a lock installs in an image."""
    from packaging.markers import Marker

    linux = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    for line in lock.read_text().splitlines():
        requirement, _, marker = line.rstrip(" \\").partition(" ; ")
        name, pinned, version = requirement.partition("==")
        if not pinned or line.startswith((" ", "#")):
            continue
        if not marker or Marker(marker).evaluate(linux | IN_IMAGES):
            yield name, version


def _copied(service: Path) -> list[tuple[str, str]]:
    """The uv that installs the packages, where an image keeps it."""
    if f"COPY --from=builder {UV} " not in (service / "Dockerfile").read_text():
        return []
    return [package for package in _locked(BOOTSTRAP) if package[0] == "uv"]


def _licences(names: list[str]) -> dict[str, str]:
    command: list[str | Path] = [VENV / "bin" / "pip-licenses", "--format=json", "--with-system"]
    command += ["--python", environment.PYTHON, "--packages", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        entry["Name"].lower().replace("_", "-").replace(".", "-"): _short(entry["License"])
        for entry in json.loads(done.stdout)
    }


def _short(licence: str) -> str:
    first = licence.strip().splitlines()[0].replace("|", "or")
    first = UNKNOWN.get(first, first)
    return first if len(first) <= LONGEST else f"{first[:LONGEST].rstrip()} …"
