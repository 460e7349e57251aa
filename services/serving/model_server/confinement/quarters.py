"""Where a confined process lives: its rules, and a folder of its own that goes with it."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from model_server.confinement.confine import lacking
from model_server.confinement.rules import Rules, rules
from model_server.network.way_out import WayOut
from model_server.settings import Settings

TEMPORARY = "temporary"
"""In the cache: folders of workers that run, and what was left of others at the start."""


@dataclass(frozen=True)
class Quarters:
    rules: Rules
    folder: Path
    """The process's own to write to."""
    way_out: WayOut = field(default_factory=WayOut)
    home: Path | None = None
    """The user's, where that is what the process needs; else it has none but its folder."""

    @property
    def variables(self) -> dict[str, str]:
        """By which programs find the folder."""
        place = str(self.folder)
        found = dict.fromkeys(("TMPDIR", "TEMP", "TMP", "JOBLIB_TEMP_FOLDER"), place)
        if self.home:
            return found
        if os.environ.get("HOME") not in self.rules.readable:
            found["HOME"] = place
        return found | self.way_out.variables

    def leave(self) -> None:
        """Remove the folder, whatever is in it. Blocks on the disk."""
        with contextlib.suppress(OSError):
            _remove(self.folder)


def reason(settings: Settings) -> str | None:
    """Why models are not confined, or not wholly."""
    if settings.confinement == "off":
        return "SERVING_CONFINEMENT is off"
    return "; ".join(lacking()) or None


def move_in(
    settings: Settings,
    readable: Iterable[Path],
    python: str | None = None,
    writable: Iterable[Path] = (),
    way_out: WayOut | None = None,
) -> Quarters | None:
    """For a process that reads these and writes those, run by `python`; None where models are not
    confined. Makes a folder. Raises OSError."""
    if settings.confinement == "off":
        return None
    place = settings.cache.absolute() / TEMPORARY
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place))
    way_out = way_out or WayOut()
    found = rules(
        [*readable, *settings.folders],
        [folder, *writable],
        python,
        kept(settings),
        way_out.network,
        way_out.ports,
    )
    return Quarters(found, folder, way_out)


def kept(settings: Settings) -> list[Path]:
    """Files and folders of the server's that no model is to read."""
    files = (
        *(settings.cache, settings.kept_tokens, settings.token_file),
        *(settings.metrics_token_file, settings.tracking_login_file),
    )
    return [path.absolute() for path in files if path]


def tidy(settings: Settings) -> None:
    """Remove what processes of an earlier server left."""
    with contextlib.suppress(OSError):
        _remove(settings.cache.absolute() / TEMPORARY)


def _remove(folder: Path) -> None:
    """Folders too that their maker has closed to itself. Raises OSError."""
    for place, names, _ in os.walk(folder):
        for path in (Path(place, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)
