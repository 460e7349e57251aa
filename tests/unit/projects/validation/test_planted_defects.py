"""Whatever is planted in a good table is found, there and nowhere else."""

import csv
import io
from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import csv_records
from checking import examine
from common.errors import BadInput

QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = {
    "number": st.floats(-1e6, 1e6).map(lambda x: f"{x:.3f}") | st.integers(-999, 999).map(str),
    "text": st.text("abcxyzäßł ,;'\"", min_size=1, max_size=8).map(lambda t: "w" + t),
    "date": st.dates().map(lambda day: day.isoformat()),
}


@dataclass
class Table:
    kinds: list[str]
    header: list[str]
    rows: list[list[str]]

    def csv(self, end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator=end, quoting=quoting).writerows([self.header, *self.rows])
        return text.getvalue().encode("utf-8", "surrogateescape")


@st.composite
def tables(draw, *kinds_too: str) -> Table:
    """A table without defects: two to six columns, four to thirty rows, none constant."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))
    kinds += kinds_too
    count = draw(st.integers(4, 30))
    cells = [draw(st.lists(KINDS[kind], min_size=count, max_size=count)) for kind in kinds]
    for column, kind in zip(cells, kinds, strict=True):
        if len(set(column)) == 1:
            column[0] = {"number": "1234567", "text": "other", "date": "1815-12-10"}[kind]
    rows = [[str(number), *row] for number, row in enumerate(zip(*cells, strict=True))]
    return Table(["number", *kinds], ["key", *(f"c{n}" for n in range(len(kinds)))], rows)


def findings(tmp_path, data: bytes) -> list[tuple[str, int | None, str | None]]:
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    return [(one.check, one.row, one.column) for one in examine(str(path)).findings.sorted()]


@QUICK
@given(tables(), st.sampled_from(["\n", "\r\n"]), st.sampled_from([0, 1]))
def test_a_good_table_has_no_finding(tmp_path, table, end, quoting):
    assert findings(tmp_path, table.csv(end, quoting)) == []


IN_A_CELL = {"carriage_returns": "\r", "line_feeds": "\n", "nul_bytes": "\0"}


@QUICK
@given(
    tables("text"),
    st.data(),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([0, 1]),
    st.booleans(),
)
def test_odd_characters_are_found(tmp_path, table, data, end, quoting, marked):
    texts = [place for place, kind in enumerate(table.kinds) if kind == "text"]
    planted = data.draw(
        st.dictionaries(
            st.tuples(st.integers(1, len(table.rows)), st.sampled_from(texts)),
            st.sampled_from([*IN_A_CELL, "wrong_encoding"]),
            min_size=1,
            max_size=5,
        )
    )
    if "wrong_encoding" in planted.values():  # which with NUL bytes would be no text at all
        planted = {
            place: "wrong_encoding" if check == "nul_bytes" else check
            for place, check in planted.items()
        }
    for (row, column), check in planted.items():
        text = table.rows[row - 1][column]
        middle = len(text) // 2
        odd = IN_A_CELL.get(check, "\udce4")
        table.rows[row - 1][column] = text[:middle] + odd + text[middle:]

    expected = {(check, row, table.header[column]) for (row, column), check in planted.items()}
    mark = b"\xef\xbb\xbf" if marked else b""
    expected |= {("byte_order_mark", None, None)} if marked else set()
    assert set(findings(tmp_path, mark + table.csv(end, quoting))) == expected


@QUICK
@given(tables(), st.data())
def test_rows_of_another_length_are_found(tmp_path, table, data):
    width = len(table.header)
    # Few, so that what is left of a column is not constant by chance.
    row = data.draw(st.integers(0, len(table.rows) - 1))
    length = data.draw(st.sampled_from([n for n in range(1, width + 3) if n != width]))
    table.rows[row] = (table.rows[row] + ["more"] * 3)[:length]

    name = table.header[length] if length < width else None
    assert ("ragged_rows", row + 1, name) in findings(tmp_path, table.csv())


@QUICK
@given(tables(), st.data())
def test_values_of_another_type_are_found(tmp_path, table, data):
    columns = [place for place, kind in enumerate(table.kinds) if kind != "text"]
    column = data.draw(st.sampled_from(columns))
    most = (len(table.rows) - 1) // 2
    rows = data.draw(st.sets(st.integers(1, len(table.rows)), min_size=1, max_size=min(most, 5)))
    for row in rows:
        table.rows[row - 1][column] = f"about {row}"

    expected = [("mixed_types", row, table.header[column]) for row in sorted(rows)]
    mixed = [one for one in findings(tmp_path, table.csv()) if one[0] == "mixed_types"]
    assert mixed == expected


@QUICK
@given(tables(), st.data(), st.sampled_from([0, 1]))
def test_repeated_rows_are_found(tmp_path, table, data, quoting):
    row = data.draw(st.integers(1, len(table.rows)))
    after = data.draw(st.integers(row, len(table.rows)))
    table.rows.insert(after, table.rows[row - 1])

    assert findings(tmp_path, table.csv(quoting=quoting)) == [("duplicate_rows", after + 1, None)]


@QUICK
@given(tables(), st.data())
def test_bad_columns_are_found(tmp_path, table, data):
    place = data.draw(st.integers(0, len(table.header)))
    kind = data.draw(st.sampled_from(["empty", "constant", "unnamed", "no name", "twice"]))
    name, value, check = {
        "empty": ("new", lambda _: "", "empty_columns"),
        "constant": ("new", lambda _: "same", "constant_columns"),
        "unnamed": ("Unnamed: 0", lambda n: f"v{n}", "unnamed"),
        "no name": ("", lambda n: f"v{n}", "unnamed"),
        "twice": ("key", lambda n: f"v{n}", "duplicate_names"),
    }[kind]
    table.header.insert(place, name)
    for number, row in enumerate(table.rows):
        row.insert(place, value(number))
    second = table.header.index("key", table.header.index("key") + 1) if kind == "twice" else place
    label = f"{name} #{second + 1}".strip() if kind in ("no name", "twice") else name

    row = 0 if check in ("unnamed", "duplicate_names") else None
    assert findings(tmp_path, table.csv()) == [(check, row, label)]


@QUICK
@given(tables(), st.sampled_from(["\n", "\r\n"]))
def test_a_quote_without_an_end_is_found(tmp_path, table, end):
    table.rows[-1][-1] = "here it"
    data = table.csv(end, csv.QUOTE_ALL).removesuffix(f'"{end}'.encode())

    place = ("unterminated_quotes", len(table.rows), table.header[-1])
    assert place in findings(tmp_path, data)


def outcome(tmp_path, data: bytes) -> object:
    """The findings, or why there are none."""
    try:
        return findings(tmp_path, data)
    except BadInput as error:
        return error.message


@QUICK
@given(
    st.text('ab1",\n\r \0é', max_size=200).map(str.encode) | st.binary(max_size=200),
    st.integers(1, 40),
)
@example(b'"\r1\n1', 1)
def test_the_size_of_a_piece_makes_no_difference(tmp_path, monkeypatch, text, size):
    """Rows may lie across any boundary, and be read in either way."""
    data = b"a,b\n" + text
    whole = outcome(tmp_path, data)

    with monkeypatch.context() as patch:
        patch.setattr(csv_records, "PIECE", size)
        patch.setattr(csv_records, "plain", lambda *_: None)
        in_pieces = outcome(tmp_path, data)

    assert in_pieces == whole
