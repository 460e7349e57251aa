"""Where an environment is built. Packages that a model names may bring code that runs then: it
finds neither the server's secrets nor other models' files. Networks are open, since an index may be
anywhere, and so is what uv and pip are told to read."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from model_server.confinement.quarters import Quarters, move_in
from model_server.environments.uv import uv_settings
from model_server.settings import Settings

_SETTINGS = (".config/uv", ".config/pip", ".pip", ".netrc", ".pyenv", ".local/share/uv")
"""Settings in the user's home."""
_SYSTEM = ("/etc/uv", "/etc/pip.conf", "/etc/xdg")
_BEFORE_PATH = re.compile(r"([\w.-]+=)?(file://(localhost)?)?")
"""What may precede a path: the name of an index, the scheme."""


def workshop(
    settings: Settings, model: Path, environment: Path, variables: Mapping[str, str]
) -> Quarters | None:
    """variables: what uv and pip are told. None where nothing is confined. Raises OSError."""
    home = Path.home()
    told = dict(variables) | uv_settings(environment.parent, dict(variables))
    writable = [environment.parent]
    for name, base, usual in (
        ("UV_CACHE_DIR", "XDG_CACHE_HOME", ".cache"),
        ("UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", ".local/share"),
    ):
        place = Path(told.get(name) or Path(os.environ.get(base) or home / usual, "uv"))
        if os.access(home, os.W_OK) or name in told:
            writable.append(place)
    for place in writable:
        place.mkdir(parents=True, exist_ok=True)  # rules are for what is there
    readable = [model, *writable, *(home / name for name in _SETTINGS), *map(Path, _SYSTEM)]
    quarters = move_in(settings, [*readable, *_named(told), *_interpreters()], None, writable)
    if quarters is None:
        return None
    return replace(
        quarters, rules=replace(quarters.rules, network="any", filtered=False), home=home
    )


def _named(variables: Mapping[str, str]) -> Iterator[Path]:
    """Files and folders that settings name: certificates, constraints, wheels, and indexes, whose
    pages may lead to files beside them."""
    for name, value in variables.items():
        for part in re.split(r"[\s,]+", value):
            path = Path(unquote(_BEFORE_PATH.sub("", part)))
            if path.is_absolute() and path != Path("/"):
                yield path
                if "INDEX" in name and path.parent not in (Path("/"), Path.home()):
                    yield path.parent


def _interpreters() -> Iterator[Path]:
    """Those on the PATH, with what they are installed in."""
    for place in map(Path, os.environ.get("PATH", os.defpath).split(os.pathsep)):
        yield place
        for python in place.glob("python3*"):
            yield python.resolve().parents[1]
