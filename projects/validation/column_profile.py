"""What a column holds: kinds of values, range, categories, collected block by block."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EXAMPLES = 20  # places kept of each kind of value in a column
MOST_CATEGORIES = 20
WHOLE_BELOW = 2.0**63  # whole numbers are kept in 64 bits
# How numbers, dates and truth begin: what does not match is text, and most text does not.
MAYBE = r"^\s*(?:[-+.]?[0-9]|[-+]?inf|true|false)"
KINDS = {
    "number": r"^\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?\s*$|^[-+]?inf(?:inity)?$",
    "date": r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[-+]\d{2}:?\d{2})?)?$",
    "boolean": r"^(?:true|false)$",
}
TEXT = "text"


class Column:
    """What is known of a column after some blocks."""

    def __init__(self, name: str, learn: bool) -> None:
        self.name, self.learn = name, learn
        self.rows = self.missing = 0
        self.counts = dict.fromkeys((*KINDS, TEXT), 0)
        self.examples: dict[str, list[tuple[int, str]]] = {kind: [] for kind in self.counts}
        self.whole = True  # all numbers are integers
        self.least, self.most = np.inf, -np.inf
        self._likely = TEXT  # the kind of the last values
        self.constant: str | None = None
        self.is_constant = True
        self.categories: set[str] | None = set()  # None: too many

    def add(self, cells: pa.StringArray, rows: np.ndarray) -> None:
        """Take in cells, null where missing, and the numbers of their rows (rows,) int64."""
        if not len(cells):
            return
        self._compare(cells)
        self.rows += len(cells)
        self.missing += cells.null_count
        if cells.null_count:
            there = pc.is_valid(cells)
            cells, rows = cells.filter(there), rows[there.to_numpy(zero_copy_only=False)]
        if not len(cells):
            return
        if self._are_numbers(cells):
            self._note("number", cells, rows)
        else:
            for kind, values, numbers in kinds(cells, rows, self._likely):
                self._note(kind, values, numbers)
        if self.learn and self.categories is not None:
            self.categories.update(pc.unique(cells.slice(0, 1000)).to_pylist())
            if len(self.categories) <= MOST_CATEGORIES:
                self.categories.update(pc.unique(cells).to_pylist())
            if len(self.categories) > MOST_CATEGORIES:
                self.categories = None

    def kind(self) -> str:
        """The kind of most values; text where no other has half of them."""
        there = self.rows - self.missing
        kind = max(self.counts, key=self.counts.__getitem__)
        return kind if there and 2 * self.counts[kind] >= there else TEXT

    def odd_ones(self) -> tuple[int, list[tuple[int, str]]]:
        """Number of values of another kind than most, and the first of them with their rows.

        Text may look like anything: no value is odd among text.
        """
        usual = self.kind()
        if usual == TEXT:
            return 0, []
        others = [kind for kind in self.counts if kind != usual]
        places = sorted(place for kind in others for place in self.examples[kind])
        return sum(self.counts[kind] for kind in others), places[:EXAMPLES]

    def _note(self, kind: str, values: pa.StringArray, rows: np.ndarray) -> None:
        self.counts[kind] += len(values)
        if lacking := EXAMPLES - len(self.examples[kind]):
            firsts = values.slice(0, lacking).to_pylist()
            self.examples[kind] += zip(rows[:lacking].tolist(), firsts, strict=True)
        self._likely = kind
        if kind == "number":
            numbers = as_floats(values).to_numpy()
            whole = (np.floor(numbers) == numbers) & (np.abs(numbers) < WHOLE_BELOW)
            self.whole = self.whole and bool(whole.all())
            self.least = min(self.least, float(numbers.min()))
            self.most = max(self.most, float(numbers.max()))

    def _are_numbers(self, cells: pa.StringArray) -> bool:
        """Whether all are, if those before were: a conversion asks faster than a pattern."""
        if self._likely != "number":
            return False
        try:
            pc.cast(cells, pa.float64())
        except pa.ArrowInvalid:
            return False
        return True

    def _compare(self, cells: pa.StringArray) -> None:
        """Whether all cells so far are the same, a missing one being like no other."""
        if not self.is_constant:
            return
        if not self.rows:
            self.constant = cells[0].as_py()
        self.is_constant = (
            self.constant is not None
            and cells.null_count == 0
            and cells[len(cells) - 1].as_py() == self.constant
            and pc.all(pc.equal(cells, self.constant)).as_py()
        )


def kinds(
    cells: pa.StringArray, rows: np.ndarray, likely: str
) -> Iterator[tuple[str, pa.StringArray, np.ndarray]]:
    """Cells without null, apart by kind; the `likely` one is tried first."""
    if likely in KINDS and every(cells, KINDS[likely]):
        yield likely, cells, rows
        return
    maybe = matching(cells, MAYBE)
    if not maybe.all():
        yield TEXT, cells.filter(pa.array(~maybe)), rows[~maybe]
        cells, rows = cells.filter(pa.array(maybe)), rows[maybe]
    for kind, pattern in KINDS.items():
        if not len(cells):
            return
        matches = matching(cells, pattern)
        if matches.any():
            yield kind, cells.filter(pa.array(matches)), rows[matches]
            cells, rows = cells.filter(pa.array(~matches)), rows[~matches]
    if len(cells):
        yield TEXT, cells, rows


def matching(cells: pa.StringArray, pattern: str) -> np.ndarray:
    """Mask (rows,) of the cells that match, in upper or lower case."""
    matches = pc.match_substring_regex(cells, pattern, ignore_case=True)
    return matches.to_numpy(zero_copy_only=False)


def every(cells: pa.StringArray, pattern: str) -> bool:
    """Whether every cell matches; the first few are asked first."""
    return bool(matching(cells.slice(0, 100), pattern).all() and matching(cells, pattern).all())


def as_floats(cells: pa.StringArray) -> pa.DoubleArray:
    """Cells that match the pattern of numbers, and nulls, as float64."""
    try:
        return pc.cast(cells, pa.float64())
    except pa.ArrowInvalid:  # it takes neither blanks nor a plus
        return pc.cast(pc.utf8_ltrim(pc.utf8_trim_whitespace(cells), "+"), pa.float64())
