"""What can be wrong with a CSV file, and the places where it is."""

from collections import Counter
from dataclasses import dataclass

SHOWN = 100  # findings kept of each check: enough to see what is wrong, and bounded
LONGEST = 80  # characters of a value that are shown


@dataclass(frozen=True)
class Check:
    """Something to look for. Whatever `max_errors` is, a `fatal` finding fails the run."""

    name: str
    meaning: str
    metric: str
    fatal: bool = False


CHECKS = {
    check.name: check
    for check in (
        Check("empty_columns", "no row has a value in the column", "zero_count_columns"),
        Check("unnamed", "the column has no name, or is named 'Unnamed...'", "unnamed"),
        Check("duplicate_names", "an earlier column has the same name", "duplicate_names"),
        Check("carriage_returns", "there is a carriage return inside a field", "carriage_returns"),
        Check("line_feeds", "there is a line feed inside a field", "line_feeds"),
        Check("nul_bytes", "there is a NUL byte inside a field", "nul_bytes"),
        Check("byte_order_mark", "the file begins with a byte order mark", "byte_order_mark"),
        Check("wrong_encoding", "the field is not UTF-8", "wrong_encoding"),
        Check("ragged_rows", "the row has fewer or more fields than the header", "ragged_rows"),
        Check("mixed_types", "most values of the column are of another type", "mixed_types"),
        Check("constant_columns", "all rows have the same value", "constant_columns"),
        Check("duplicate_rows", "an earlier row is the same", "duplicate_rows"),
        Check("schema", "the value is not as the schema says", "schema_violations"),
        Check("unterminated_quotes", "a quote has no end: truncated?", "unterminated_quotes", True),
        Check("no_rows", "there is a header and nothing else", "no_rows", True),
        Check("one_column", "there is one column: nothing to learn from", "one_column", True),
    )
}


@dataclass(frozen=True)
class Finding:
    """A defect and its place.

    row: 1 for the first below the header, 0 for the header, None for a whole column or file.
    column: its name, or its number where it has none; None for a whole row or file.
    """

    check: str
    row: int | None
    column: str | None
    detail: str


class Findings:
    """All findings are counted, and the first of each check are kept."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(CHECKS, 0)
        self.kept: list[Finding] = []
        self._kept: Counter[str] = Counter()

    def add(self, check: str, row: int | None, column: str | None, detail: str) -> None:
        """Count a finding, and keep it if few of its check are kept."""
        self.counts[check] += 1
        if self._kept[check] < SHOWN:
            self._kept[check] += 1
            self.kept.append(Finding(check, row, column, detail))

    def count_more(self, check: str, number: int) -> None:
        """Count further findings whose places nobody needs."""
        self.counts[check] += number

    def total(self) -> int:
        """Number of findings, kept or not."""
        return sum(self.counts.values())

    def fatal(self) -> list[str]:
        """Names of the checks with findings that make the file useless."""
        return [name for name, count in self.counts.items() if count and CHECKS[name].fatal]

    def sorted(self) -> list[Finding]:
        """Findings kept, by check, column-wide ones first, then by row."""
        order = {name: place for place, name in enumerate(CHECKS)}
        return sorted(self.kept, key=lambda one: (order[one.check], one.row or 0))


def quoted(value: object) -> str:
    """A value on one line: quoted, control characters spelled out, not too long."""
    text = str(value)
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def plural(number: int, noun: str) -> str:
    """'1 finding', '2,000 findings'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
