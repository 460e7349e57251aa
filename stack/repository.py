"""Where backups lie, and the container that reads and writes them."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from stack import alone as lock
from stack import compose, modes, settings
from stack.paths import ROOT, shown
from stack.terminal import StackError, run_loudly, run_quietly, say

DEFAULT = ROOT / "backups"
GROUP = 10005  # which the container's secrets are readable to: services/secrets, catalogue
RECOVERY_KEY = "docker compose run --rm backup recovery-key"
RUN = ["docker", "compose", "--progress", "quiet", "run", "--rm", "-T", "--no-deps"]


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


def alone() -> AbstractContextManager[int]:
    """One backup, verification or restore of this checkout at a time."""
    return lock.alone(__file__, "backs up or restores")


def need_compose(command: str) -> None:
    """Raises StackError where the stack runs without Docker."""
    if modes.choose(settings.read()).mode == "local":
        raise StackError(
            f"make {command} is for the stack under Docker Compose; of this one, stop it "
            "(make down) and copy the folder .local, or put a copy back (secrets are in it)"
        )


def build(*services: str) -> None:
    what = f"preparing images: {', '.join(services)} (the first time, this takes a minute)"
    run_quietly([*compose.PLAIN, "build", *services], what, folder=ROOT)


def make_folder(where: Place) -> None:
    """Raises StackError."""
    if where.folder is None:
        return
    try:
        where.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(where, error) from None
    _give(where)


def need_folder(where: Place) -> None:
    """Raises StackError."""
    if where.folder is None:
        return
    if not where.folder.is_dir():
        raise StackError(f"{where.variable}={where.shown}: there is no such folder")
    _give(where)


def run(command: str, what: str, where: Place | None = None, *, snapshot: str = "") -> str:
    """Run a command of services/backup on a repository; what it printed, shown as it came."""
    writes = command == "backup"
    options: list[str] = []
    if where and where.folder:
        options += ["--volume", f"{where.folder}:/repository{'' if writes else ':ro'}"]
        options += ["--user", f"{os.geteuid() or GROUP}:{GROUP}"]
    elif where:
        options += ["--env", f"BACKUP_REPOSITORY={where.address}"]
    arguments = [command, "--shown", where.shown] if where else [command]
    arguments += [snapshot] if snapshot else []
    return _run([*RUN, *options, "backup", *arguments], what)


def ask(command: str, what: str) -> dict:
    """The JSON that a command of services/backup prints."""
    return json.loads(run_quietly([*RUN, "backup", command], what, folder=ROOT).splitlines()[-1])


def hand_over(command: str, what: str) -> None:
    """Run a command of services/secrets."""
    _run([*RUN, "secrets", command], what)


def deliver() -> None:
    """Bring the secrets to the container: the stack may never have run."""
    run_quietly([*RUN, "secrets"], "delivering secrets", folder=ROOT)


def tell_recovery_key() -> None:
    say(f"\nWithout its recovery key a backup is lost. Keep a copy elsewhere: {RECOVERY_KEY}")


def _run(command: list[str], what: str) -> str:
    """As run_loudly; the container's own line is the reason, without what ran it."""
    try:
        return run_loudly(command, what, folder=ROOT)
    except StackError as error:
        _, refused, reason = str(error).partition("refused: ")
        raise StackError(reason if refused else str(error)) from None


def _give(where: Place) -> None:
    """To the container's user, where root calls: it is no root, and root may read it all the
    same. Raises StackError."""
    if os.geteuid() != 0:
        return
    try:
        for path in (where.folder, *where.folder.rglob("*")):
            if path.lstat().st_uid != GROUP:
                os.chown(path, GROUP, GROUP, follow_symlinks=False)
    except OSError as error:
        raise _refused(where, error) from None


def _refused(where: Place, error: OSError) -> StackError:
    return StackError(f"{where.variable}={where.shown}: {error.strerror}: {error.filename}")
