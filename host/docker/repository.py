"""Where backups lie, and the container that reads and writes them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.docker import client, project
from host.paths import ROOT, shown
from host.user import alone as lock
from host.user import options
from host.user.terminal import CommandError, say

DEFAULT = ROOT / "backups"
GROUP = 10005  # which the container's secrets are readable to: services/secrets, catalogue
RECOVERY_KEY = "docker compose run --rm backup recovery-key"
RUN = ["compose", "--progress", "quiet", "run", "--rm", "-T", "--no-deps"]
PARTS = {"config", "data", "index", "keys", "locks", "snapshots"}  # of a restic repository
WHOLE = PARTS - {"locks"}  # a copy may leave empty folders out


@dataclass(frozen=True)
class Place:
    """variable: TO or FROM. address: s3://..., or "" for a folder. shown: as the user named it."""

    variable: str
    address: str
    folder: Path | None
    shown: str


def place(variable: str, value: str) -> Place:
    """What TO or FROM names; backups/ of the checkout by default. Raises CommandError."""
    value = value or str(DEFAULT)
    if value.startswith("s3://"):
        if value == "s3://":
            raise CommandError(f"{variable}={value}: expected s3://BUCKET or s3://BUCKET/FOLDER")
        return Place(variable, value, None, value)
    if "://" in value:
        raise CommandError(f"{variable}={value}: expected a folder or s3://BUCKET/FOLDER")
    folder = options.folder(variable, value)
    if ":" in str(folder):
        raise CommandError(f"{variable}={value}: a folder with a colon cannot be given to Docker")
    return Place(variable, "", folder, shown(folder))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One backup, verification or restore of this checkout at a time."""
    with lock.alone(__file__, "backs up or restores") as descriptor:
        client.held.append(descriptor)
        try:
            yield
        finally:
            client.held.clear()


def build(*services: str) -> None:
    """Bring the images of these services up to date."""
    what = f"preparing images: {', '.join(services)} (the first time, this takes a minute)"
    client.do([*project.PLAIN, "build", *services], what)


def make_folder(where: Place) -> None:
    """Make the folder; CommandError, with all left as it is, if it holds anything but a backup."""
    if where.folder is None:
        return
    try:
        where.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_repository(where.folder):
            _refuse_other_files(where, where.folder)
        _give(where.folder)
    except OSError as error:
        raise _refused(where, error) from None


def need_folder(where: Place) -> None:
    """Refuse a folder that holds no backup: CommandError, with all left as it is."""
    if where.folder is None:
        return
    try:
        if not where.folder.is_dir():
            raise CommandError(f"{where.variable}={where.shown}: there is no such folder")
        if not _is_repository(where.folder):
            raise CommandError(f"{where.variable}={where.shown}: the folder holds no backup")
        _give(where.folder)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise _refused(where, error) from None


def run(command: str, what: str, where: Place | None = None, *, snapshot: str = "") -> str:
    """Run a command of services/backup on a repository; what it printed, shown as it came."""
    writes = command == "backup"
    options: list[str] = []
    if where and where.folder:
        options += ["--volume", f"{where.folder}:/repository{'' if writes else ':ro'}"]
        options += ["--user", f"{user(where.folder)}:{GROUP}"]
    elif where:
        options += ["--env", f"BACKUP_REPOSITORY={where.address}"]
    arguments = [command, "--shown", where.shown] if where else [command]
    arguments += [snapshot] if snapshot else []
    return _run([*RUN, *options, "backup", *arguments], what)


def ask(command: str, what: str) -> dict[str, Any]:
    """The JSON that a command of services/backup prints."""
    printed: dict[str, Any] = json.loads(
        client.do([*RUN, "backup", command], what).splitlines()[-1]
    )
    return printed


def hand_over(command: str, what: str) -> None:
    """Run a command of services/secrets."""
    _run([*RUN, "secrets", command], what)


def deliver() -> None:
    """Bring the secrets to the containers: the stack may never have run, or a restore of it not
    have ended."""
    hand_over("deliver", "delivering secrets")


def tell_recovery_key() -> None:
    """Say what a backup is lost without, and how it is shown."""
    say(f"\nWithout its recovery key a backup is lost. Keep a copy elsewhere: {RECOVERY_KEY}")


def _run(arguments: list[str], what: str) -> str:
    """Do it as client.do does; the reason of a failure is the container's own line."""
    try:
        return client.do(arguments, what, aloud=True)
    except CommandError as error:
        _, refused, reason = str(error).partition("refused: ")
        raise CommandError(reason if refused else str(error)) from None


def _is_repository(folder: Path) -> bool:
    return (folder / "config").is_file() and WHOLE.issubset(path.name for path in folder.iterdir())


def _refuse_other_files(where: Place, folder: Path) -> None:
    """Empty folders may be of a backup that was interrupted while it made the repository."""
    for path in sorted(folder.iterdir()):
        if path.name not in PARTS or not path.is_dir() or any(map(Path.is_file, path.rglob("*"))):
            raise CommandError(
                f"{where.variable}={where.shown}: holds other files ({path.name}) and no backup: "
                "name an empty folder, or one that is not there yet"
            )


def user(folder: Path) -> int:
    """Who uses a repository: the caller; where root calls, its owner or the container's own user,
    which is no root."""
    config = folder / "config"
    return os.geteuid() or (config if config.exists() else folder).stat().st_uid or GROUP


def _give(folder: Path) -> None:
    """All parts of a repository to its user, where root calls. Raises OSError."""
    if os.geteuid() != 0:
        return
    owner = user(folder)
    parts = [folder / name for name in sorted(PARTS) if (folder / name).exists()]
    for path in (folder, *parts, *(inner for part in parts for inner in part.rglob("*"))):
        if path.lstat().st_uid != owner:
            os.chown(path, owner, -1, follow_symlinks=False)


def _refused(where: Place, error: OSError) -> CommandError:
    return CommandError(f"{where.variable}={where.shown}: {error.strerror}: {error.filename}")
