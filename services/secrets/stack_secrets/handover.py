"""What a backup takes from other services' volumes, and a restore brings back.

Only this one-shot may look into all of them. It hands over by the folder `handover` of the volume
backup-work:

    secrets/kek-passphrase[.previous]   the database holds API keys that are encrypted with it
    serving/deployments*, tokens*       what was asked of the model server, and who may ask

The other secrets open what a restore makes anew: they stay with the machine.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from stack_secrets import files
from stack_secrets.catalogue import BACKUP, SERVING, TRACKING
from stack_secrets.errors import RefusedError
from stack_secrets.keeper import PREVIOUS, ROTATE, Keeper

KEK = "kek-passphrase"
OF_SERVING = re.compile(r"(deployments|tokens).*")
SERVING_VOLUMES = ("serving-tokens", "serving-cache")  # the first is the team overlay's
LARGEST = 64 * 2**20
LAST = "last-backup.json"
UNFINISHED = "unfinished-restore"  # services/backup leaves it before it replaces anything
UNSTARTED = "unstarted-restore"  # what it becomes, until the stack starts


def collect(keeper: Keeper) -> str:
    """Put copies where `backup` reads them. Raises RefusedError, OSError."""
    refuse_unfinished(keeper)
    keeper.keep()
    folder = _folder(keeper)
    shutil.rmtree(folder, ignore_errors=True)
    for part in (folder, folder / "secrets", folder / "serving"):
        part.mkdir()
        part.chmod(0o770)
        keeper.give(part, BACKUP)
    texts = {Path("secrets", name): _read(keeper.master / name) for name in (KEK, PREVIOUS)}
    for volume in reversed(SERVING_VOLUMES):
        for path in _of_serving(keeper.volumes / volume):
            texts[Path("serving", path.name)] = _read(path)
    there = {path: text for path, text in texts.items() if text is not None}
    for path, text in there.items():
        files.write(folder / path, text, BACKUP, keeper.give, 0o440)
    return f"collected: {', '.join(map(str, there))}"


def record(keeper: Keeper) -> str:
    """Leave word of the last good backup where tracking's metrics find it."""
    text = _read(keeper.volumes / "backup-work" / LAST)
    if text is None:
        raise RefusedError("no backup has ended well yet")
    files.write(keeper.volumes / "tracking-backups" / LAST, text, TRACKING, keeper.give)
    return "recorded"


def may_adopt(keeper: Keeper) -> str:
    """Refuse what `adopt` would refuse."""
    keeper.may_adopt(_passphrase(keeper))
    return "ready"


def adopt(keeper: Keeper) -> str:
    """Take over what a restored set has handed over. The same again changes nothing.

    Raises RefusedError, with nothing changed, where the set is not there, or was moved away while
    it was read: whoever interrupts a restore may do so before this container has ended.
    """
    folder = _folder(keeper)
    previous = _read(folder / "secrets" / PREVIOUS)
    read = {path.name: _read(path) for path in _of_serving(folder / "serving")}
    coming = {name: text for name, text in read.items() if text is not None}
    keeper.adopt(_passphrase(keeper), previous)
    volumes = [keeper.volumes / name for name in SERVING_VOLUMES]
    volumes = [volume for volume in volumes if volume.is_dir()]
    for volume in volumes:
        for path in _of_serving(volume):
            if path.name not in coming:
                path.unlink()
    for name, text in coming.items():
        volume = volumes[0] if name.startswith("tokens") else volumes[-1]
        files.write(volume / name, text, SERVING, keeper.give, 0o600)
    shutil.rmtree(folder, ignore_errors=True)
    # Whoever interrupted the restore meanwhile, and says it again, need not be asked.
    with contextlib.suppress(FileNotFoundError):
        _unfinished(keeper).rename(_unfinished(keeper).with_name(UNSTARTED))
    return f"adopted: {', '.join([KEK, *coming])}"


def refuse_unfinished(keeper: Keeper) -> None:
    """Data that a restore has brought back is no use without what `adopt` brings."""
    if _read(_unfinished(keeper)) is not None:
        raise RefusedError(
            "a restore is not finished: run make restore again, or take what is here as it is "
            f"with '{ROTATE}'"
        )


def take_as_it_is(keeper: Keeper) -> None:
    """What a restore has left is what the stack starts with."""
    for name in (UNFINISHED, UNSTARTED):
        _unfinished(keeper).with_name(name).unlink(missing_ok=True)


COMMANDS: dict[str, Callable[[Keeper], str]] = {
    "deliver": Keeper.keep,  # for a restore, which may go on with one that was interrupted
    "collect": collect,
    "record": record,
    "may-adopt": may_adopt,
    "adopt": adopt,
}


def _folder(keeper: Keeper) -> Path:
    return keeper.volumes / "backup-work" / "handover"


def _unfinished(keeper: Keeper) -> Path:
    return keeper.volumes / "backup-work" / UNFINISHED


def _passphrase(keeper: Keeper) -> str:
    value = _read(_folder(keeper) / "secrets" / KEK)
    if value is None:
        raise RefusedError("nothing was restored that could be adopted: run make restore again")
    return value


def _of_serving(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if OF_SERVING.fullmatch(path.name))


def _read(path: Path) -> str | None:
    """The text of a regular file, None where there is none. Never what a link points to: those
    who may write to these folders may not read what root can."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not path.is_file() or os.fstat(descriptor).st_size > LARGEST:
            return None
        try:
            return file.read().decode()
        except UnicodeDecodeError:
            raise RefusedError(f"{path.name} is damaged: it is no text") from None
