"""What a model was made with, read from its folder: MLmodel, requirements, pickled code."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from model_server.environments import listed
from model_server.environments.addressed import applies
from model_server.environments.pickled import holds_code

LIBRARIES: dict[str, dict[str, str | None]] = {
    "sklearn": {"scikit-learn": "sklearn_version"},
    "xgboost": {"xgboost": "xgb_version"},
    "lightgbm": {"lightgbm": "lgb_version"},
    "catboost": {"catboost": "catboost_version"},
    "onnx": {"onnx": "onnx_version", "onnxruntime": None},
    "pytorch": {"torch": "pytorch_version"},
    "statsmodels": {"statsmodels": "statsmodels_version"},
    "spacy": {"spacy": "spacy_version"},
    "prophet": {"prophet": "prophet_version"},
    "pmdarima": {"pmdarima": "pmdarima_version"},
}
"""Packages that each flavor loads with, and the key of its entry that has their version."""

CODE = "python_function"
"""The flavor of models whose code is their own. Those of flavors not in LIBRARIES are like it: all
requirements count."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Needs:
    """What a model's files say that it needs."""

    flavor: str = CODE
    loads_with: dict[str, str | None] = field(default_factory=dict)
    """Packages that the flavor loads with, and the version that MLmodel notes."""
    requirements: tuple[Requirement, ...] = ()
    """Lines as the model's author or MLflow's inference wrote them; for this machine."""
    lines: tuple[str, ...] = ()
    """What else stands in requirements.txt: files, addresses, options."""
    attached: str = ""
    """Digest of the model's files that those lines name."""
    python: tuple[int, int] | None = None
    """Major and minor version of the Python that wrote the model."""
    holds_code: bool = False
    """Whether byte code of that Python is in its files."""
    mlflow: str | None = None


def read(folder: Path) -> Needs:
    """What the model says; raises OSError, ValueError, yaml.YAMLError for a folder that is none."""
    description = _yaml(folder / "MLmodel")
    flavors = description.get("flavors") or {}
    function = flavors.get(CODE) or {}
    loader = str(function.get("loader_module", "")).removeprefix("mlflow.")
    flavor = loader if loader in flavors else CODE
    entry = flavors.get(flavor) or {}
    loads_with = {
        package: entry.get(key) and str(entry[key])
        for package, key in LIBRARIES.get(flavor, {}).items()
    }
    if (serializer := entry.get("serialization_format")) in ("skops", "cloudpickle"):
        loads_with[serializer] = None
    if "python_model" in function:
        loads_with["cloudpickle"] = function.get("cloudpickle_version")
    listed_lines = [line for line in _lines(folder) if listed.has_effect(folder, line)]
    requirements, lines = _parse(listed_lines, listed.constraints(folder, listed_lines))
    return Needs(
        flavor=flavor,
        loads_with=loads_with,
        requirements=tuple(requirements),
        lines=tuple(lines),
        attached=_attached(folder, lines),
        python=_minor(function.get("python_version")),
        holds_code=any(map(holds_code, _files(folder))),
        mlflow=description.get("mlflow_version"),
    )


def metadata(folder: Path) -> dict[str, Any]:
    """What the model was logged with as its metadata; empty for a folder that is no model."""
    try:
        noted = _yaml(folder / "MLmodel").get("metadata")
    except (OSError, ValueError, yaml.YAMLError):
        return {}  # whoever loads it says what is wrong
    return noted if isinstance(noted, dict) else {}


def _lines(folder: Path) -> list[str]:
    """Lines of requirements.txt; of conda.yaml for models older than that."""
    try:
        return listed.lines_of(folder, folder / "requirements.txt")
    except FileNotFoundError:
        return listed.expanded(folder, _conda_lines(folder))


def _conda_lines(folder: Path) -> list[str]:
    try:
        dependencies = _yaml(folder / "conda.yaml").get("dependencies") or []
    except FileNotFoundError:
        return []
    pip = (part["pip"] for part in dependencies if isinstance(part, dict) and "pip" in part)
    return [str(line) for lines in pip for line in lines or ()]


def _parse(
    lines: list[str], constraints: Mapping[str, Requirement]
) -> tuple[list[Requirement], list[str]]:
    requirements, others = [], []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            requirement = None
        if requirement is None or requirement.url:
            if applies(line):
                others.append(line)
        elif requirement.marker is None or requirement.marker.evaluate():
            if constraint := constraints.get(canonicalize_name(requirement.name)):
                requirement.specifier &= constraint.specifier
            requirements.append(requirement)
    return requirements, others


def _attached(folder: Path, lines: Iterable[str]) -> str:
    files = (folder / word for line in lines for word in line.split())
    # Not `Path.is_file`, which raises for what is too long to be a file's name, as signed URLs.
    content = [file.read_bytes() for file in files if os.path.isfile(file)]  # noqa: PTH113
    return hashlib.sha256(b"".join(content)).hexdigest() if content else ""


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and file.stat().st_size)


def _minor(version: object) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", str(version or ""))
    return (int(match[1]), int(match[2])) if match else None


def _yaml(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        content = yaml.load(stream, _LOADER)  # noqa: S506 - a SafeLoader
    if not isinstance(content, dict):
        raise ValueError(f"{file.name} is not a mapping")
    return content
