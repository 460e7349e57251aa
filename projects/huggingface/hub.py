"""The files of a model, from the Hugging Face Hub or a folder, and what is known about them.

Settings are those of huggingface_hub: HF_ENDPOINT (another hub, or a mirror), HF_HOME (where the
cache is), HF_HUB_OFFLINE (take what the cache has), HF_TOKEN.
"""

import hashlib
import io
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from common.errors import BadInput, first_line

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Plain HTTP, which every mirror speaks, and which goes on where it broke off.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")

import huggingface_hub as hub
from huggingface_hub import errors
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.constants import HF_HUB_OFFLINE as OFFLINE
from huggingface_hub.utils import tqdm, validate_repo_id


@dataclass(frozen=True)
class Files:
    """Files of one model: `paths` by their names, `sha256` of each, and where they are from.

    commit: of the repository on the hub; None for a folder.
    """

    source: str
    commit: str | None
    paths: dict[str, Path]
    sha256: dict[str, str]

    def origin(self) -> dict[str, str]:
        """Source and commit, for tags."""
        return {"source": self.source, **({"commit": self.commit} if self.commit else {})}

    def sums(self) -> str:
        """The digests in the format of sha256sum."""
        return "".join(f"{digest}  {name}\n" for name, digest in self.sha256.items())


def fetch(source: str, revision: str, names: list[str], checksums: str) -> Files:
    """Find the files `names` in a folder, or in a repository of the hub at a revision.

    What comes from the hub must have the digests that the hub states for that commit. checksums: a
    file as of sha256sum, with the digests that are expected beside that, or "none".

    Raises BadInput, named for the parameters.
    """
    expected = read_sums(checksums)
    is_folder = source != "" and Path(source).is_dir()
    folder = Path(source).resolve() if is_folder else download(source, revision, names)
    where = f"{source!r}" if is_folder else f"{source} at {folder.name}"
    paths = {name: folder / name for name in names}
    for name, path in paths.items():
        if not path.is_file():
            raise BadInput(f"source: {where} has no file {name}")
    try:
        digests = {name: digest(path, "sha256") for name, path in paths.items()}
    except OSError as error:
        raise BadInput(f"source: {error.filename!r} cannot be read: {error.strerror}") from error
    if not is_folder:
        for name, path in paths.items():
            check_stated(name, path)
    for name, value in expected.items():
        if name in digests and digests[name] != value:
            raise BadInput(f"checksums: {name} of {where} has sha256 {digests[name]}, not {value}")
    if expected and (missing := sorted(digests.keys() - expected.keys())):
        raise BadInput(f"checksums: {checksums!r} has none for {missing[0]}")
    return Files(source, None if is_folder else folder.name, paths, digests)


def download(repository: str, revision: str, names: list[str]) -> Path:
    """The folder of a commit in the hub's cache, named for the commit, with the files that exist.

    A commit that the cache has whole needs no hub. What broke off goes on where it was.
    """
    if not re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", repository, re.ASCII):
        raise BadInput(f"source: no folder {repository!r}, and no repository can be called that")
    try:
        validate_repo_id(repository)
    except errors.HFValidationError as error:
        raise BadInput(f"source: no folder {repository!r}, and {first_line(error)}") from error
    is_commit = re.fullmatch("[0-9a-f]{40}", revision)
    if (is_commit or OFFLINE) and (folder := cached(repository, revision, names)):
        return folder
    commit = commit_of(repository, revision, names)
    progress = tqdm if sys.stderr.isatty() else Lines
    try:
        folder = hub.snapshot_download(
            repository, revision=commit, allow_patterns=names, tqdm_class=progress
        )
    except Exception as error:  # the network's, the disk's: there are many
        raise BadInput(
            f"source: downloading {repository} from {ENDPOINT} failed, and goes on from there when "
            f"run again: {first_line(error)}"
        ) from error
    return Path(folder)


def cached(repository: str, revision: str, names: list[str]) -> Path | None:
    """The folder in the cache, if it has all of the files."""
    try:
        folder = hub.snapshot_download(
            repository, revision=revision, allow_patterns=names, local_files_only=True
        )
    except errors.LocalEntryNotFoundError:
        return None
    return Path(folder) if all(Path(folder, name).is_file() for name in names) else None


def commit_of(repository: str, revision: str, names: list[str]) -> str:
    """The commit that the hub has for a commit, tag or branch; `names` are the files wanted."""
    try:
        return hub.HfApi().model_info(repository, revision=revision, timeout=10).sha
    except errors.RevisionNotFoundError as error:
        raise BadInput(f"revision: {repository} has no {revision!r} on {ENDPOINT}") from error
    except errors.RepositoryNotFoundError as error:
        raise BadInput(
            f"source: no folder {repository!r}, and no repository on {ENDPOINT} that is public or "
            "that HF_TOKEN opens"
        ) from error
    except errors.HfHubHTTPError as error:
        raise BadInput(f"source: {ENDPOINT} answers: {first_line(error)}") from error
    except Exception as error:  # of the connection, in the words of the library below
        why = "HF_HUB_OFFLINE is set" if OFFLINE else f"no hub answers at {ENDPOINT}"
        raise BadInput(
            f"source: {why}, and {repository} at {revision} is not in the cache; where there is a "
            f"hub: hf download {repository} {' '.join(names)} --revision {revision} --local-dir "
            "FOLDER; then, here, run with -P source=FOLDER"
        ) from error


def check_stated(name: str, path: Path) -> None:
    """Whether a file in the cache is what the hub said it is; if not, it is removed from there.

    The cache calls a file by what the hub stated: the SHA-256 of a large one, git's id of others.
    """
    blob = path.resolve()
    kind = {64: "sha256", 40: "git"}.get(len(blob.name))
    if kind is None:
        raise BadInput(f"source: the cache does not say what the hub stated for {name}")
    if (actual := digest(path, kind)) != blob.name:
        blob.unlink()
        path.unlink()
        raise BadInput(
            f"source: {name} is damaged: the hub states {kind} {blob.name}, what came has "
            f"{actual}; it is removed from the cache: run again"
        )


def digest(path: Path, kind: str) -> str:
    """The digest of a file in hexadecimal: `sha256`, or `git`, as git calls its content."""
    summed = hashlib.sha256() if kind == "sha256" else hashlib.sha1(usedforsecurity=False)
    if kind == "git":
        summed.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(2**20):
            summed.update(block)
    return summed.hexdigest()


def read_sums(file: str) -> dict[str, str]:
    """The digests in a file as of sha256sum, by names; none for "none"."""
    if file == "none":
        return {}
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise BadInput(f"checksums: {file!r} cannot be read: {first_line(error)}") from error
    digests = {}
    for number, line in enumerate(lines, 1):
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if match is None:
            raise BadInput(f"checksums: line {number} of {file!r} is not a sha256 and a name")
        digests[match[2]] = match[1].lower()
    if not digests:
        raise BadInput(f"checksums: {file!r} is empty")
    return digests


class Lines(tqdm):
    """Progress in lines, for a log: how much came, every five seconds and at the end."""

    def __init__(self, *args: object, **options: object) -> None:
        # There is a bar for what came over the network, and others that would say the same.
        self.is_told = str(options.get("name")).endswith(".transfer")
        self.said = 0
        options |= {"mininterval": 5, "disable": False, "file": io.StringIO()}
        super().__init__(*args, **options)

    def display(self, *_: object, **__: object) -> None:
        """Write a line, if there is something to tell."""
        if self.is_told and self.n > self.said:
            self.said = self.n
            print(f"downloaded {self.n / 1e6:.1f} of {self.total / 1e6:.1f} MB", file=sys.stderr)
