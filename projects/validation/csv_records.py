"""Split a CSV file into rows and columns, piece by piece, and find what is wrong with its form.

Most pieces are plain: pyarrow parses those. The csv module reads what is not, a row at a time.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from common.errors import BadInput
from csv_source import Source, shown
from findings import LONGEST, Findings, plural, quoted

PIECE = 4 << 20  # bytes that are read and parsed at a time
BEGINNING = 4096  # bytes that tell whether a file is text
LONGEST_LINE = 64 << 20  # bytes
LONGEST_FIELD = 1 << 20  # characters; a longer one is a quote that has no end
SEPARATOR = "\x1f"  # between the fields of a row, where rows are compared
MISSING = (  # what pandas takes for a missing value
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
BOM = b"\xef\xbb\xbf"
OTHER_BOMS = {b"\xff\xfe": "UTF-16 or UTF-32", b"\xfe\xff": "UTF-16"}
ODD = re.compile("[\r\n\0\udc80-\udcff]")
UNDECODABLE = re.compile("[\udc80-\udcff]")
LONE_RETURN = re.compile("\r(?!\n)")
RETURN = "\ud800"  # stands in for one; no bytes are decoded to it
COMMA, QUOTE, LINE_FEED = b',"\n'


@dataclass(frozen=True)
class Block:
    """Some rows that follow one another, with as many fields as the header.

    cells: for each column its values, null where missing; rows: their numbers (rows,) int64.
    """

    cells: list[pa.StringArray]
    rows: np.ndarray
    contents: list[bytes]  # of every row, those with too many or too few fields included
    numbers: np.ndarray  # of every row


class Records:
    """The rows of a source; defects of its form go to `findings`."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self.source, self.findings = source, findings
        self.rows = 0  # read so far
        self._rest = b""  # read, not yet parsed
        self._ended = self._stopped = False
        self._lines: list[str] = []  # of the piece that the csv module reads
        self._asked = 0  # of those, by the csv module
        self._returns = False  # whether carriage returns have been stood in for
        self._took_more = self._at_end = False  # by a row that reaches beyond them
        csv.field_size_limit(LONGEST_FIELD)
        self._look_at_the_beginning()
        self.header = self._read_header()
        self.labels = labels(self.header)

    def blocks(self) -> Iterator[Block]:
        """All rows below the header. Raises BadInput where they cannot be read."""
        while not self._stopped and (piece := self._next_piece()):
            parsed = plain(piece, len(self.header))
            if parsed:
                cells, contents = parsed
                numbers = self._number(len(contents))
                yield Block(cells, numbers, contents, numbers)
            else:
                yield from map(self._block, self._slowly(piece))

    def label(self, column: int) -> str:
        """How findings call a column, which the header may lack."""
        return self.labels[column] if column < len(self.labels) else f"#{column + 1}"

    def _look_at_the_beginning(self) -> None:
        self._rest = self.source.read(BEGINNING)
        if not self._rest:
            raise BadInput(f"{shown(self.source.name)!r} is empty")
        if kind := OTHER_BOMS.get(self._rest[:2]):
            raise BadInput(f"{shown(self.source.name)!r} is {kind} text; save it as UTF-8")
        if is_binary(self._rest):
            raise BadInput(f"{shown(self.source.name)!r} is not a text file")
        if self._rest.startswith(BOM):
            self.findings.add("byte_order_mark", None, None, "the first three bytes are EF BB BF")
            self._rest = self._rest[len(BOM) :]

    def _read_header(self) -> list[str]:
        """The first row that is not blank; what follows it is put back."""
        while piece := self._next_piece():
            for row in self._parse(piece, 0):
                if row:
                    self._rest = self._unread() + self._rest
                    return self._clean(row, 0)
        raise BadInput(f"{shown(self.source.name)!r} has no header: all lines are blank")

    def _next_piece(self) -> bytes:
        """Bytes up to a line's end, or the file's; none at the end."""
        pieces, size = [self._rest], len(self._rest)
        while not self._ended:
            if size >= PIECE and LINE_FEED in pieces[-1]:
                break
            if size > LONGEST_LINE:
                raise BadInput(
                    f"{shown(self.source.name)!r} has a line of more than "
                    f"{LONGEST_LINE >> 20} MiB: that is no CSV"
                )
            read = self.source.read(PIECE)
            self._ended = not read
            pieces.append(read)
            size += len(read)
        data = b"".join(pieces)
        end = len(data) if self._ended else data.rindex(b"\n") + 1
        self._rest = data[end:]
        return data[:end]

    def _slowly(self, piece: bytes) -> Iterator[list[list[str]]]:
        """Rows of a piece, and of those that its last row reaches into."""
        rows: list[list[str]] = []
        number = self.rows + 1
        for row in self._parse(piece, number):
            if row:
                rows.append(row)
            if self._took_more:
                self._took_more = False
                yield rows
                rows = []
        yield rows

    def _parse(self, piece: bytes, number: int) -> Iterator[list[str]]:
        """Rows by the csv module, blank ones empty, the first of which has a number; a quote that
        has no end is a finding, and ends them."""
        reader = csv.reader(self._feed(piece))
        while not self._stopped:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                row = []
                self._stop(number, None, f"a field of more than {LONGEST_FIELD:,} characters")
            if self._at_end:
                self._stop(number, len(row) - 1, f"the file ends in the field {quoted(row[-1])}")
            if self._returns:
                row = [field.replace(RETURN, "\r") for field in row]
            yield row
            number += bool(row)
            if self._asked == len(self._lines):
                return

    def _feed(self, piece: bytes) -> Iterator[str]:
        """Lines for the csv module, of this piece and, inside a row, of those after it."""
        while piece:
            text = piece.decode("utf-8", "surrogateescape")
            if LONE_RETURN.search(text):  # the csv module would end a row there
                self._returns = True
                text = LONE_RETURN.sub(RETURN, text)
            self._lines = list(io.StringIO(text, newline="\n"))
            for number, line in enumerate(self._lines, 1):
                self._asked = number
                yield line
            piece = self._next_piece()
            self._took_more = True
        self._at_end = True

    def _unread(self) -> bytes:
        """Rest of the piece, which the csv module did not ask for."""
        self._took_more = False
        text = "".join(self._lines[self._asked :]).replace(RETURN, "\r")
        return text.encode("utf-8", "surrogateescape")

    def _stop(self, row: int, column: int | None, why: str) -> None:
        self._stopped = True
        label = None if column is None or row == 0 else self.label(column)
        self.findings.add("unterminated_quotes", row, label, f"{why}; nothing after it was checked")

    def _block(self, rows: list[list[str]]) -> Block:
        """Rows as columns, without those of another number of fields, which are findings."""
        numbers, width = self._number(len(rows)), len(self.header)
        joined = [SEPARATOR.join(row) for row in rows]
        contents = [line.encode("utf-8", "surrogateescape") for line in joined]
        for place, line in enumerate(joined):
            if ODD.search(line):
                rows[place] = self._clean(rows[place], int(numbers[place]))
        regular = np.fromiter((len(row) == width for row in rows), bool, len(rows))
        for place in np.flatnonzero(~regular):
            row = rows[place]
            label = self.label(len(row)) if len(row) < width else None
            detail = f"{plural(len(row), 'field')}, not {width:,}"
            self.findings.add("ragged_rows", int(numbers[place]), label, detail)
        fit = [row for row, fits in zip(rows, regular, strict=True) if fits]
        columns = zip(*fit, strict=True) if fit else [()] * width
        cells = [without_missing(pa.array(column, pa.string())) for column in columns]
        return Block(cells, numbers[regular], contents, numbers)

    def _clean(self, row: list[str], number: int) -> list[str]:
        """A row whose odd characters are findings; those that are no text are replaced."""
        for place, field in enumerate(row):
            if not ODD.search(field):
                continue
            label = self.label(place) if number else f"#{place + 1}"
            for check, is_in in (
                ("carriage_returns", "\r" in field),
                ("line_feeds", "\n" in field),
                ("nul_bytes", "\0" in field),
                ("wrong_encoding", UNDECODABLE.search(field)),
            ):
                if is_in:
                    self.findings.add(check, number, label, as_shown(field))
        return [UNDECODABLE.sub("\ufffd", field) for field in row]

    def _number(self, count: int) -> np.ndarray:
        first, self.rows = self.rows + 1, self.rows + count
        return np.arange(first, self.rows + 1)


def plain(piece: bytes, width: int) -> tuple[list[pa.StringArray], list[bytes]] | None:
    """Cells of each column, and contents of each row, of whole lines that hold whole rows and no
    oddity; None where there may be one."""
    if b"\r" in piece:
        piece = piece.replace(b"\r\n", b"\n")
    if b"\r" in piece or b"\0" in piece or b"\n\n" in piece or piece.startswith(b"\n"):
        return None
    if not piece.isascii():
        try:
            piece.decode()
        except UnicodeDecodeError:
            return None
    has_quotes = b'"' in piece
    if has_quotes and not well_quoted(piece):
        return None
    names = [str(number) for number in range(width)]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(piece),
            arrow_csv.ReadOptions(use_threads=False, block_size=len(piece) + 1, column_names=names),
            arrow_csv.ParseOptions(quote_char='"' if has_quotes else False),
            arrow_csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=not has_quotes,
                null_values=MISSING,
            ),
        )
    except pa.ArrowInvalid:  # a row of another number of fields
        return None
    cells = [column.combine_chunks() for column in table.columns]
    if not has_quotes:
        contents = piece.removesuffix(b"\n").replace(b",", SEPARATOR.encode()).split(b"\n")
        return cells, contents
    joined = pc.binary_join_element_wise(*cells, SEPARATOR).cast(pa.binary()).to_pylist()
    return list(map(without_missing, cells)), joined


def well_quoted(piece: bytes) -> bool:
    """Whether quotes stand around whole fields only, doubled inside them, on one line each."""
    data = np.frombuffer(piece, np.uint8)
    quotes = np.flatnonzero(data == QUOTE)
    if len(quotes) % 2:
        return False
    padded = np.concatenate(([LINE_FEED], data, [LINE_FEED]))
    before, after = padded[quotes[::2]], padded[quotes[1::2] + 2]
    allowed = [COMMA, LINE_FEED, QUOTE]
    if not (np.isin(before, allowed).all() and np.isin(after, allowed).all()):
        return False
    lines = np.flatnonzero(data == LINE_FEED)
    return not (np.searchsorted(quotes, lines) % 2).any()


def without_missing(cells: pa.StringArray) -> pa.StringArray:
    """The cells, null where pandas would take the value for a missing one."""
    missing = pc.is_in(cells, pa.array(MISSING))
    return pc.if_else(missing, pa.scalar(None, pa.string()), cells) if missing.true_count else cells


def is_binary(beginning: bytes) -> bool:
    """Whether bytes are no text: mostly control characters, or some and no UTF-8 either."""
    controls = sum(byte < 32 and byte not in b"\t\n\v\f\r\x1a\x1b" for byte in beginning)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)  # whose last one may be cut
        share = 0.3
    except UnicodeDecodeError:
        share = 0.02
    return controls > share * len(beginning)


def labels(header: list[str]) -> list[str]:
    """How findings call columns: by name, by number where that is none or not the first."""
    called = []
    seen: set[str] = set()
    for number, name in enumerate(header, 1):
        short = name[:LONGEST]
        called.append(short if name.strip() and name not in seen else f"{short} #{number}".strip())
        seen.add(name)
    return called


def as_shown(field: str) -> str:
    """A field with its odd characters spelled out, and bytes that are no text as such."""
    return re.sub(r"\\udc(..)", r"\\x\1", quoted(field))
