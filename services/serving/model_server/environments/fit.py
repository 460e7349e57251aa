"""Whether a model can be served in the server's own environment, and the recipe of another.

A model gets an environment of its own when a package that its flavor loads with is missing or
differs in major or minor version, or when it holds code pickled by another minor version of
Python. A model whose code is its own loads with all its requirements. Smaller differences, and
those of packages that a flavor does not load with, are a warning.

MLflow itself is no such package: a newer one reads what an older one wrote, and it is the server's
own that reads, also in the other environment. There it is mlflow-skinny, which has all of MLflow's
code. Where a model names `mlflow`, what the full package would bring besides is named one by one,
so that a version of any of it which the model asks for wins.
"""

import contextlib
import hashlib
import importlib.metadata
import logging
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from mlflow.version import VERSION
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from model_server.environments.addressed import is_option, requirement
from model_server.environments.messages import Fit, Recipe
from model_server.environments.needs import LIBRARIES, Needs, read
from model_server.environments.same import counts_as, names
from model_server.errors import without_login
from model_server.processes import wire

log = logging.getLogger(__name__)

MLFLOW = ("mlflow", "mlflow-skinny", "mlflow-tracing")
BYSTANDERS = (*MLFLOW, "psutil")
"""Packages of no weight. MLflow imports psutil where it is there, and so notes it for nearly every
model."""
DATA = ("numpy", "pandas", "pyarrow", "scipy")
"""Their minor versions come often and keep the form and meaning of data: here the major counts."""
WORKER = ("msgspec>=0.19", "numpy", "pandas", "pyarrow", "python-json-logger>=3.2")
"""What a worker needs besides MLflow; pyarrow for requests in Parquet."""
FULL = {
    "aiohttp": "<4",
    "alembic": "<2",
    "cryptography": "<51",
    "docker": "<8",
    "flask": "<4",
    "flask-cors": "<7",
    "graphene": "<4",
    "gunicorn": "<27",
    "huey": "<4",
    "matplotlib": "<4",
    "pyarrow": "<26",
    "scikit-learn": "<2",
    "scipy": "<2",
    "skops": "<1",
    "sqlalchemy": "<3",
}
"""What MLflow's full package requires beside mlflow-skinny. Without lower bounds, which would stand
in the way of what a model was made with. The same for every flavor, so that these share one
environment: what only the tracking server needs is 50 MB."""
BOUNDS = (((2,), "pandas<2"), ((2, 16), "numpy<2"), ((3, 16), "pandas<3"))
"""What each release of MLflow before these brought along, and so every model that it saved was made
with: it is what pip would install for one that names MLflow alone, where ours would be the newest.
Packages that were compiled for NumPy 1 do not load with 2."""
_WORKER_NAMES = frozenset(Requirement(line).name for line in WORKER)
OLDEST = (3, 10)
"""Python that a worker runs on."""


def judge(needs: Needs, installed: Mapping[str, str], python: tuple[int, int]) -> Fit:
    """`installed`: versions by canonical name, that which a package counts as."""
    required = {counts_as(canonicalize_name(entry.name)): entry for entry in _all_of(needs)}
    all_count = needs.flavor not in LIBRARIES
    reasons: list[str] = []
    missing: list[str] = []
    different: list[str] = []
    for name in sorted(needs.loads_with.keys() | required.keys()):
        if name in BYSTANDERS:
            continue
        counts = all_count or name in needs.loads_with
        wanted = _wanted(required.get(name), needs.loads_with.get(name))
        here = installed.get(name)
        if here is None:
            (reasons if counts else missing).append(f"{_text(name, wanted)} (not here)")
        elif not _same(name, wanted, here):
            (reasons if counts else different).append(f"{_text(name, wanted)} (here {here})")
        elif not _allows(wanted, here):
            different.append(f"{_text(name, wanted)} (here {here})")
    if all_count:
        unread = (line for line in needs.lines if not line.startswith("-"))
        reasons += [without_login(line) for line in unread if requirement(line) is None]
    code_of = needs.python if needs.holds_code and needs.python not in (None, python) else None
    if code_of:
        reasons.append(f"code pickled by Python {_dotted(code_of)} (here {_dotted(python)})")
    pythons = [code_of] if code_of else [python, needs.python or python]
    warnings = _warnings(needs, missing, different)
    if unsaid := sorted(_of_mlflow(needs).keys() - required.keys() - installed.keys()):
        missing.append(f"what mlflow brings besides (not here: {', '.join(unsaid)})")
    return Fit(reasons, missing, warnings, _recipe(needs, pythons))


def _all_of(needs: Needs) -> list[Requirement]:
    addressed = filter(None, map(requirement, needs.lines))
    return [*needs.requirements, *addressed]


def _of_mlflow(needs: Needs) -> dict[str, str]:
    """What the model may count on where it names the whole of MLflow, and the versions."""
    if all(canonicalize_name(entry.name) != "mlflow" for entry in _all_of(needs)):
        return {}
    return FULL


def _wanted(requirement: Requirement | None, recorded: str | None) -> SpecifierSet:
    """An exact requirement rules; else the version that MLmodel notes: the one that made the
    model, while a range is what its author hopes for."""
    specifiers = requirement.specifier if requirement else SpecifierSet()
    if recorded and not any(entry.operator in ("==", "===") for entry in specifiers):
        return SpecifierSet(f"=={recorded}")
    return specifiers


def _same(name: str, wanted: SpecifierSet, here: str) -> bool:
    """Whether it is the same as far as that counts: major and minor version, or within a range."""
    parts = 1 if name in DATA else 2
    exact = [entry.version for entry in wanted if entry.operator in ("==", "===")]
    try:
        return all(_release(text, parts) == _release(here, parts) for text in exact) and (
            bool(exact) or _allows(wanted, here)
        )
    except InvalidVersion:
        return _allows(wanted, here)


def _release(text: str, parts: int) -> tuple[int, ...]:
    """The numbers of 1.4.2, 1.4.* or 2.13.0+cpu."""
    release = Version(text.removesuffix(".*")).release
    return (*release, 0, 0)[:parts]


def _allows(wanted: SpecifierSet, here: str) -> bool:
    """Whether it is allowed: 2.13.0+cpu and 2.13.0+cu130 are one version built twice."""
    public = SpecifierSet(re.sub(r"\+[\w.]+", "", str(wanted)))
    return public.contains(here.partition("+")[0], prereleases=True)


def _warnings(needs: Needs, missing: list[str], different: list[str]) -> list[str]:
    warnings = []
    if different:
        warnings.append("made with other versions: " + ", ".join(different))
    if missing:
        warnings.append("requirements that are not installed: " + ", ".join(missing))
    if needs.mlflow and _is_newer(needs.mlflow):
        warnings.append(f"logged with MLflow {needs.mlflow}, newer than the server's {VERSION}")
    return warnings


def _is_newer(mlflow: str) -> bool:
    try:
        return _release(mlflow, 2) > _release(VERSION, 2)
    except InvalidVersion:
        return False


def _recipe(needs: Needs, pythons: list[tuple[int, int]]) -> Recipe | None:
    usable = [_dotted(python) for python in dict.fromkeys(pythons) if python >= OLDEST]
    if not usable:
        return None
    extras: set[str] = set()
    lines = list(WORKER)
    unnamed = dict(needs.loads_with)
    for entry in _all_of(needs):
        if canonicalize_name(entry.name) in MLFLOW:
            extras |= entry.extras
    for entry in needs.requirements:
        name = canonicalize_name(entry.name)
        if name not in MLFLOW:
            wanted = _wanted(entry, unnamed.pop(counts_as(name), None))
            lines.append(f"{name}{_extras(entry.extras)}{wanted}")
    named = {counts_as(canonicalize_name(entry.name)) for entry in _all_of(needs)}
    lines += [
        f"{name}{_wanted(None, recorded)}"
        for name, recorded in unnamed.items()
        if name not in named
    ]
    lines += [f"{n}{bound}" for n, bound in _of_mlflow(needs).items() if n not in named]
    bounds = [line for line in _bounds(needs.mlflow) if Requirement(line).name not in named]
    lines += bounds
    # The whole of MLflow only for what its extras bring.
    lines.append(f"mlflow{_extras(extras)}=={VERSION}" if extras else f"mlflow-skinny=={VERSION}")
    lines = sorted(set(lines)) + [line for line in needs.lines if not _is_mlflow(line)]
    # Newer Pythons have no NumPy 1.
    optional = [line for line in lines if line in bounds or _may_go(line, needs)]
    text = "\n".join([*lines, *usable, needs.attached])
    return Recipe(lines, usable, hashlib.sha256(text.encode()).hexdigest()[:32], optional)


def _is_mlflow(line: str) -> bool:
    """Whether it is MLflow, by address or with hashes too: the server's is taken all the same."""
    entry = requirement(line)
    return entry is not None and canonicalize_name(entry.name) in MLFLOW


def _bounds(mlflow: str | None) -> list[str]:
    """Bounds for a model that this release of MLflow saved."""
    with contextlib.suppress(InvalidVersion, TypeError):
        saved = Version(mlflow or "").release
        return [line for before, line in BOUNDS if saved < before]
    return []


def _may_go(line: str, needs: Needs) -> bool:
    """Whether neither the flavor nor the worker loads with it."""
    if needs.flavor not in LIBRARIES or is_option(line):
        return False
    entry = requirement(line)
    return entry is None or counts_as(canonicalize_name(entry.name)) not in {
        *needs.loads_with,
        *MLFLOW,
        *_WORKER_NAMES,
    }


def _extras(extras: set[str]) -> str:
    return f"[{','.join(sorted(extras))}]" if extras else ""


def _text(name: str, wanted: SpecifierSet) -> str:
    """`scikit-learn 1.8.0`, `pandas<3,>=2`, `tiny`."""
    exact = re.fullmatch("==([^,]+)", str(wanted))
    return f"{name} {exact[1]}" if exact else f"{name}{wanted}"


def _dotted(python: tuple[int, int]) -> str:
    return f"{python[0]}.{python[1]}"


def installed(needs: Needs) -> dict[str, str]:
    """The versions, here, of what it needs, by the name that it counts as."""
    versions = {}
    asked = {counts_as(canonicalize_name(entry.name)) for entry in _all_of(needs)}
    for name in {*needs.loads_with, *asked, *_of_mlflow(needs)}:
        for other in reversed(names(name)):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                versions[name] = importlib.metadata.version(other)
    return versions


def main(sock: socket.socket, folder: str) -> None:
    """The child: look at the model in `folder`, send the Fit."""
    try:
        needs = read(Path(folder))
        fit = judge(needs, installed(needs), sys.version_info[:2])
    except Exception as error:  # loading it will tell more
        log.warning("what a model needs cannot be read", exc_info=True)
        fit = Fit(warnings=[f"what it needs cannot be read: {type(error).__name__}"])
    sock.sendall(wire.pack(fit))
