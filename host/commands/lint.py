"""`make lint`: everything that can be said about the files without running them.

FIX=1 mends what can be mended.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from host.paths import ROOT, VENV
from host.python import copies, environment, locks, pip_settings
from host.user.options import Options
from host.user.terminal import CommandError, say

COMPOSE_TAG = re.compile(r"(?<=: )!(?:reset|override)\b ?(null\b)?")
HOMES = ("/", "/root", "/nonexistent", "/home/runner")
"""That containers have: the last is the runner's here, and every user's of GitHub's machines."""
PULL_POLICY = re.compile(r"(pull_policy: )\$\{\w+:-(\w+)\}")
SERVICES = [ROOT / "services" / name for name in ("backup", "secrets", "serving", "tracking")]
LIST = ["ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"]
BINARY = (".png", ".jpg", ".gif", ".whl", ".onnx", ".gz", ".zip", ".db")


def main(options: Options) -> int:
    """Status 0 if no linter complains."""
    environment.ensure(environment.DEV)
    return 0 if run(fix=options.fix) else 1


def run(*, fix: bool = False) -> bool:
    """Run every linter, show what each complains of; whether none did."""
    files = project_files()
    with tempfile.TemporaryDirectory() as folder:
        tools = _tools(files, Path(folder), fix=fix)
        outcomes = [_run_tool(name, command) for name, command in tools.items()]
    outcomes.append(_show("locks", time.monotonic(), locks.stale()))
    outcomes.append(_show("copies", time.monotonic(), copies.stale(fix=fix)))
    outcomes.append(_show("addresses", time.monotonic(), list(_addresses(files))))
    return all(outcomes)


def _tools(files: list[Path], folder: Path, *, fix: bool) -> dict[str, list[str | Path]]:
    """{name: command} of the linters that have something to look at; `folder` is for copies."""
    python = [path for path in files if path.suffix in (".py", ".ipynb")]
    dockerfiles = [path for path in files if path.name == "Dockerfile"]
    scripts = [path for path in files if _is_shell(path)]
    yaml = [path for path in files if path.suffix in (".yml", ".yaml")]
    workflows = [path for path in yaml if path.is_relative_to(ROOT / ".github" / "workflows")]
    compose = [path for path in yaml if re.fullmatch(r"(docker-)?compose(\..+)?", path.stem)]
    schema = ["check-jsonschema", "--builtin-schema"]
    tools: dict[str, list[str | Path]] = {
        "ruff": ["ruff", "check", *(["--fix"] if fix else []), *python],
        "format": ["ruff", "format", *([] if fix else ["--check"]), *python],
        "types": ["mypy"],
        "imports": ["lint-imports"],
    }
    optional = {
        "yamllint": (["yamllint", "--strict"], yaml),
        "hadolint": (["hadolint", "--no-color"], dockerfiles),
        "shellcheck": (["shellcheck"], scripts),
        "compose": ([*schema, "vendor.compose-spec"], _untagged(compose, folder)),
        "workflows": ([*schema, "vendor.github-workflows"], workflows),
        "renovate": ([*schema, "vendor.renovate"], [p for p in files if p.name == "renovate.json"]),
        "zizmor": (
            ["zizmor", "--offline", "--no-progress", "--quiet", "--config", ".github/zizmor.yml"],
            workflows,
        ),
    }
    return tools | {name: [*head, *over] for name, (head, over) in optional.items() if over}


def _plain(tag: re.Match[str]) -> str:
    return "{}" if tag[1] else ""  # a service that an overlay removes


def _untagged(files: list[Path], folder: Path) -> list[Path]:
    """Copies of Compose files without its own tags, which the schema's reader does not know, and
    with the default of the one setting whose values the schema lists."""
    copies = []
    for path in files:
        text = COMPOSE_TAG.sub(_plain, path.read_text(encoding="utf-8"))
        copies.append(folder / path.name)
        copies[-1].write_text(PULL_POLICY.sub(r"\1\2", text))
    return copies


def _run_tool(name: str, command: list[str | Path]) -> bool:
    started = time.monotonic()
    done = subprocess.run(
        [VENV / "bin" / str(command[0]), *command[1:]],
        cwd=ROOT,
        env={**environment.variables(), "PYTHONPATH": os.pathsep.join(map(str, SERVICES))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return _show(name, started, done.stdout.splitlines() if done.returncode else [])


def _show(name: str, started: float, complaints: list[str]) -> bool:
    verdict = "FAIL" if complaints else "ok"
    say(f"{verdict:<5}{name} ({time.monotonic() - started:.1f} s)")
    for line in complaints:
        say(f"    {line}")
    return not complaints


def project_files() -> list[Path]:
    """The project's files: all but those that its own .gitignore files name, also where there is no
    repository, or one around it. Raises CommandError where there is no git to ask."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        with tempfile.TemporaryDirectory() as folder:
            git = ["git", f"--git-dir={folder}", f"--work-tree={ROOT}"]
            subprocess.run([*git, "init", "--quiet"], env=variables, check=True)
            listed = subprocess.check_output([*git, *LIST], cwd=ROOT, env=variables, text=True)
    except FileNotFoundError:
        raise CommandError("lint asks git which files are the project's: install git") from None
    names = [ROOT / name for name in listed.split("\0") if name]
    return sorted(path for path in names if path.is_file())


def _is_shell(path: Path) -> bool:
    if path.suffix == ".sh":
        return True
    if path.suffix or path.stat().st_size > 100_000:
        return False
    return re.match(rb"#!.*\b(ba)?sh\b", path.read_bytes()[:80]) is not None


def _addresses(files: list[Path]) -> Iterator[str]:
    """Files that name this machine: the checkout's folder, the user's, pip's package index."""
    settings = pip_settings.in_uv_words(environment.PYTHON, known={})
    indexes = f"{settings.get('UV_DEFAULT_INDEX', '')} {settings.get('UV_INDEX', '')}".split()
    home = str(Path.home())
    places = {str(ROOT), *indexes, *([home] if home not in HOMES else [])}
    for path in files:
        if path.suffix in BINARY:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for place in places:
            if re.search(re.escape(place) + r"(?![\w.-])", text):
                yield f"{path.relative_to(ROOT)} names {place}, which other machines do not have"
