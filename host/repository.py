"""Where backups lie, and the container that reads and writes them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from host import alone as lock
from host import compose, modes, settings
from host.paths import ROOT, shown
from host.terminal import StackError, run_loudly, run_quietly, say

DEFAULT = ROOT / "backups"
GROUP = 10005  # which the container's secrets are readable to: services/secrets, catalogue
RECOVERY_KEY = "docker compose run --rm backup recovery-key"
RUN = ["docker", "compose", "--progress", "quiet", "run", "--rm", "-T", "--no-deps"]
PARTS = {"config", "data", "index", "keys", "locks", "snapshots"}  # of a restic repository
WHOLE = PARTS - {"locks"}  # a copy may leave empty folders out

# The lock of `alone`, for what runs under it: a container may outlive a `make` that is killed.
_held: list[int] = []


@dataclass(frozen=True)
class Place:
    """variable: TO or FROM. address: s3://..., or "" for a folder. shown: as the user named it."""

    variable: str
    address: str
    folder: Path | None
    shown: str


def place(variable: str) -> Place:
    """What TO or FROM names; backups/ of the checkout by default. Raises StackError."""
    given = os.environ.get(variable) or str(DEFAULT)
    if given.startswith("s3://"):
        if given == "s3://":
            raise StackError(f"{variable}={given}: expected s3://BUCKET or s3://BUCKET/FOLDER")
        return Place(variable, given, None, given)
    if "://" in given:
        raise StackError(f"{variable}={given}: expected a folder or s3://BUCKET/FOLDER")
    folder = Path(given).expanduser().absolute()
    if ":" in str(folder):
        raise StackError(f"{variable}={given}: a folder with a colon cannot be given to Docker")
    return Place(variable, "", folder, shown(folder))


def snapshot() -> str:
    """Which one the user wants; "" for the newest."""
    return os.environ.get("SNAPSHOT", "")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One backup, verification or restore of this checkout at a time."""
    with lock.alone(__file__, "backs up or restores") as descriptor:
        _held.append(descriptor)
        try:
            yield
        finally:
            _held.clear()


def need_compose(command: str) -> None:
    """Raises StackError where the stack runs without Docker, or on servers of the team's own."""
    if modes.choose(settings.read()).mode == "local":
        raise StackError(
            f"make {command} is for the stack under Docker Compose; of this one, stop it "
            "(make down) and copy the folder .local, or put a copy back (secrets are in it)"
        )
    if elsewhere := compose.elsewhere():
        servers = " and ".join(server.what for server in elsewhere)
        raise StackError(
            f"make {command} knows the stack's own servers alone, not {servers}: "
            "see docs/external.md"
        )


def build(*services: str) -> None:
    what = f"preparing images: {', '.join(services)} (the first time, this takes a minute)"
    quietly([*compose.PLAIN, "build", *services], what)


def make_folder(where: Place) -> None:
    """Raises StackError, and then leaves all as it is, if it holds anything but a backup."""
    if where.folder is None:
        return
    try:
        where.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_repository(where.folder):
            _refuse_other_files(where)
        _give(where.folder)
    except OSError as error:
        raise _refused(where, error) from None


def need_folder(where: Place) -> None:
    """Raises StackError, and then leaves all as it is, if it holds no backup."""
    if where.folder is None:
        return
    if not where.folder.is_dir():
        raise StackError(f"{where.variable}={where.shown}: there is no such folder")
    try:
        if not _is_repository(where.folder):
            raise StackError(f"{where.variable}={where.shown}: the folder holds no backup")
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


def ask(command: str, what: str) -> dict:
    """The JSON that a command of services/backup prints."""
    return json.loads(quietly([*RUN, "backup", command], what).splitlines()[-1])


def hand_over(command: str, what: str) -> None:
    """Run a command of services/secrets."""
    _run([*RUN, "secrets", command], what)


def deliver() -> None:
    """Bring the secrets to the containers: the stack may never have run, or a restore of it not
    have ended."""
    hand_over("deliver", "delivering secrets")


def quietly(command: list[str], what: str) -> str:
    """As run_quietly, in the checkout and under the lock."""
    return run_quietly(command, what, folder=ROOT, descriptors=_held)


def tell_recovery_key() -> None:
    say(f"\nWithout its recovery key a backup is lost. Keep a copy elsewhere: {RECOVERY_KEY}")


def _run(command: list[str], what: str) -> str:
    """As run_loudly; the container's own line is the reason, without what ran it."""
    try:
        return run_loudly(command, what, folder=ROOT, descriptors=_held)
    except StackError as error:
        _, refused, reason = str(error).partition("refused: ")
        raise StackError(reason if refused else str(error)) from None


def _is_repository(folder: Path) -> bool:
    return (folder / "config").is_file() and WHOLE.issubset(path.name for path in folder.iterdir())


def _refuse_other_files(where: Place) -> None:
    """Empty folders may be of a backup that was interrupted while it made the repository."""
    for path in sorted(where.folder.iterdir()):
        if path.name not in PARTS or not path.is_dir() or any(map(Path.is_file, path.rglob("*"))):
            raise StackError(
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


def _refused(where: Place, error: OSError) -> StackError:
    return StackError(f"{where.variable}={where.shown}: {error.strerror}: {error.filename}")
