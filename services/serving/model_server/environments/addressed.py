"""Which package a line of requirements.txt brings that names an address, a file or hashes.

name @ https://host/name-1.0-py3-none-any.whl      name 1.0
git+https://host/team/name.git@main#egg=name       name
git+https://host/team/name.git                     name
./wheels/name-1.0-py3-none-any.whl                 name 1.0
name==1.0 --hash=sha256:...                        name 1.0
-e .                                               not to be told
"""

import re
from urllib.parse import unquote, urlsplit

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from model_server.errors import without_login

_EDITABLE = re.compile(r"(-e|--editable)[\s=]\s*")
_OPTION = re.compile(r"\s--?[a-z]")
_NAME = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?")
_VERSION_CONTROL = re.compile(r"(git|hg|svn|bzr)\+")


def requirement(line: str) -> Requirement | None:
    """The requirement by name, and by version where that can be read from a file's name."""
    text = _OPTION.split(_EDITABLE.sub("", line), 1)[0].strip()
    if text.startswith("-"):
        return None
    try:
        entry = Requirement(text)
    except InvalidRequirement:
        address = text.split()[0]
        name, version = _named(address)
        return _exact(name, version) if name else None
    if entry.url:
        exact = _exact(entry.name, _named(entry.url)[1])
        exact.extras = entry.extras
        return exact
    return entry


def applies(line: str) -> bool:
    """Whether what the line says of Pythons and platforms (`; sys_platform == "win32"`) is so of
    this one."""
    marker = _OPTION.split(line.partition(";")[2], 1)[0]
    try:
        return Marker(marker).evaluate()
    except (InvalidMarker, UndefinedEnvironmentName):
        return True


def address(line: str) -> str | None:
    """The one in the line, without a login."""
    match = re.search(r"(?:\w+\+)?\w+://[^\s;]+", line)
    return without_login(match[0]) if match and not is_option(line) else None


def is_option(line: str) -> bool:
    """Whether it is the installer's, as `--pre` or `-c constraints.txt`, and brings nothing by
    itself."""
    return line.startswith("-") and not _EDITABLE.match(line)


def _exact(name: str, version: str | None) -> Requirement:
    return Requirement(f"{name}=={version}" if version else name)


def _named(address: str) -> tuple[str | None, str | None]:
    parts = urlsplit(address)
    file = unquote(parts.path).rstrip("/").rpartition("/")[2]
    if egg := re.search(r"(?:^|&)egg=([\w.-]+)", parts.fragment):
        return egg[1], _of_file(file)[1]
    if _VERSION_CONTROL.match(address):
        name = file.partition("@")[0].removesuffix(".git")
        return (
            (name, None)
            if re.fullmatch(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", name)
            else (None, None)
        )
    return _of_file(file)


def _of_file(file: str) -> tuple[str | None, str | None]:
    try:
        name, version, *_ = parse_wheel_filename(file)
    except InvalidWheelFilename:
        try:
            name, version = parse_sdist_filename(file)
        except InvalidSdistFilename:
            return None, None
    return name, str(version)
