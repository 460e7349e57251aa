"""Where a confined process lives: its rules, and a folder of its own that goes with it."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from model_server.confinement.confine import lacking
from model_server.confinement.rules import Rules, rules
from model_server.confinement.way_out import WayOut
from model_server.errors import LoadError
from model_server.settings import Settings

TEMPORARY = "temporary"
"""A folder of the cache: those of workers that run, and what was left of others at the start."""


@dataclass(frozen=True)
class Quarters:
    """A confined process's rules, folder and way out."""

    rules: Rules
    folder: Path
    """The process's own to write to."""
    way_out: WayOut = field(default_factory=WayOut)
    home: Path | None = None
    """The user's, where that is what the process needs; else it has none but its folder."""

    @property
    def variables(self) -> dict[str, str]:
        """What programs find the folder by."""
        place = str(self.folder)
        variables = dict.fromkeys(("TMPDIR", "TEMP", "TMP", "JOBLIB_TEMP_FOLDER"), place)
        if self.home:
            return variables
        if os.environ.get("HOME") not in self.rules.readable:
            variables["HOME"] = place
        return variables | self.way_out.variables

    def leave(self) -> None:
        """Remove the folder, whatever is in it. Blocks on the disk."""
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
    """Quarters of a process that reads these and writes those, run by `python`; None where models
    are not confined. Makes a folder. Raises OSError."""
    if settings.confinement == "off":
        return None
    place = settings.cache.absolute() / TEMPORARY
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place))
    way_out = way_out or WayOut()
    allowed = rules(
        readable,
        [folder, *writable],
        python,
        kept(settings),
        settings.folders,
        way_out.network,
        way_out.ports,
    )
    return Quarters(allowed, folder, way_out)


async def enter(move: Callable[..., Quarters | None], *arguments: object) -> Quarters | None:
    """What `move` finds, `move_in` say, without blocking; cancelled, it leaves no folder behind.
    Raises LoadError."""
    loop = asyncio.get_running_loop()

    def leave(moved: asyncio.Future[Quarters | None]) -> None:
        if not (moved.cancelled() or moved.exception()) and (quarters := moved.result()):
            loop.run_in_executor(None, quarters.leave)

    moving = asyncio.ensure_future(asyncio.to_thread(move, *arguments))
    try:
        return await asyncio.shield(moving)
    except OSError as error:
        raise LoadError(
            f"its temporary folder cannot be made in SERVING_CACHE: {error.strerror}"
        ) from None
    except asyncio.CancelledError:
        moving.add_done_callback(leave)
        raise


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
        for folder in sorted((settings.cache.absolute() / TEMPORARY).iterdir(), reverse=True):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Whatever is in it: folders that their maker has closed to itself, too, and folders so deep in
    each other that no path leads there. What cannot be removed stays."""
    with contextlib.suppress(OSError):
        place = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _empty(place, folder.name)
        finally:
            os.close(place)


def _empty(place: int, name: str) -> None:
    """Each folder within it is moved beside it before it is opened. Raises OSError."""
    waiting, count = [name], 0
    while waiting:
        name = waiting.pop()
        folder = _open(place, name)
        try:
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):
                    os.chmod(entry.name, 0o700, dir_fd=folder)  # else it cannot be moved
                    count += 1
                    waiting.append(f"{name.partition('.')[0]}.{count}")
                    os.rename(entry.name, waiting[-1], src_dir_fd=folder, dst_dir_fd=place)
                else:
                    os.unlink(entry.name, dir_fd=folder)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=place)


def _open(place: int, name: str) -> int:
    if os.stat(name, dir_fd=place, follow_symlinks=False).st_mode & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=place)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
