"""Find rows that repeat an earlier one, in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

HELD = 4_000_000  # rows whose digests are held in memory, 16 bytes each
PARTS = 256  # files that they go to beyond that, each of which is then looked at alone
KIND = np.dtype([("digest", "<i8"), ("row", "<i8")])


class RepeatedRows:
    """Digests of 64 bits of all rows; two different rows have the same one by a chance of 1 in
    150,000 among 16 million rows. Use it as a context: what it spills to disk is then removed."""

    def __init__(self, held: int = HELD) -> None:
        self._held, self._waiting, self._pieces = held, 0, []
        self._folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> "RepeatedRows":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            self._folder.cleanup()

    def add(self, lines: list[bytes], rows: np.ndarray) -> None:
        """Note rows by their content, one line of bytes each, and their numbers (rows,) int64.

        Python's own hash is keyed, so that nobody can prepare rows that collide.
        """
        piece = np.empty(len(lines), KIND)
        piece["digest"] = np.fromiter(map(hash, lines), np.int64, len(lines))
        piece["row"] = rows
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting > self._held:
            self._spill()

    def repeated(self) -> Iterator[np.ndarray]:
        """Numbers of rows and of the first that each repeats (n, 2) int64, part by part."""
        if not self._folder:
            yield pairs(self._together())
            return
        self._spill()
        for path in self._paths():
            if path.exists():
                yield pairs(np.fromfile(path, KIND))

    def _together(self) -> np.ndarray:
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        return np.concatenate(pieces) if pieces else np.empty(0, KIND)

    def _spill(self) -> None:
        self._folder = self._folder or TemporaryDirectory(prefix="validation-")
        all_ = self._together()
        parts = all_["digest"] % PARTS
        all_ = all_[np.argsort(parts, kind="stable")]
        ends = np.cumsum(np.bincount(parts, minlength=PARTS))
        for path, part in zip(self._paths(), np.split(all_, ends[:-1]), strict=True):
            with path.open("ab") as file:
                part.tofile(file)

    def _paths(self) -> list[Path]:
        return [Path(self._folder.name, str(part)) for part in range(PARTS)]


def pairs(noted: np.ndarray) -> np.ndarray:
    """Rows that repeat an earlier one, and the first with that content (n, 2) int64."""
    digests = np.sort(noted["digest"])  # alone, which is fast, since mostly nothing repeats
    twice = np.unique(digests[1:][digests[1:] == digests[:-1]])
    noted = noted[np.isin(noted["digest"], twice)]
    noted = noted[np.lexsort((noted["row"], noted["digest"]))]
    _, begins, group = np.unique(noted["digest"], return_index=True, return_inverse=True)
    first = noted["row"][begins][group]
    again = first != noted["row"]
    return np.stack([noted["row"][again], first[again]], axis=1)
