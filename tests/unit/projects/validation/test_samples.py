"""Each sample has the defect that it is named for, in git too, and each clean one has none."""

import subprocess

import pytest

from checking import examine
from host.paths import ROOT

DATA = ROOT / "projects" / "validation" / "data"
# The findings of each defective sample: check, row, column.
DEFECTIVE = {
    "byte_order_mark": [("byte_order_mark", None, None)],
    "carriage": [
        ("carriage_returns", 7, "remark"),
        ("carriage_returns", 21, "remark"),
        ("carriage_returns", 40, "station"),
    ],
    "constant_column": [("constant_columns", None, "country")],
    "duplicate_names": [("duplicate_names", 0, "humidity #5")],
    "duplicate_rows": [("duplicate_rows", 30, None)],
    "empty_column": [("empty_columns", None, "dew_point")],
    "latin1": [("wrong_encoding", 11, "remark"), ("wrong_encoding", 26, "station")],
    "line_feed": [("line_feeds", 12, "remark")],
    "mixed_types": [("mixed_types", 17, "temperature"), ("mixed_types", 44, "temperature")],
    "no_rows": [("no_rows", None, None)],
    "nul_byte": [("nul_bytes", 19, "remark")],
    "one_column": [("one_column", None, "date;station;temperature;humidity;wind;remark")],
    "ragged": [("ragged_rows", 8, "wind"), ("ragged_rows", 33, None)],
    "truncated": [("unterminated_quotes", 37, "remark")],
    "unnamed": [("unnamed", 0, "#1")],
}
CLEAN = ["clean", "crlf", "gaps", "quoted", "umlauts"]
# What must be in a sample's bytes, wherever it has been.
BYTES = {
    "carriage": b'"fog until noon\rthen sun"',
    "line_feed": b'"light rain\nin the evening"',
    "crlf": b"remark\r\n2026",
    "latin1": b"Gl\xe4tte",
    "byte_order_mark": b"\xef\xbb\xbfdate",
    "nul_byte": b"fog\0until",
    "umlauts": "Köln".encode(),
}


@pytest.mark.parametrize(("name", "expected"), DEFECTIVE.items())
def test_a_defect_is_found_where_it_is(name, expected):
    findings = examine(str(DATA / f"{name}.csv")).findings.sorted()

    assert [(one.check, one.row, one.column) for one in findings] == expected


@pytest.mark.parametrize("name", CLEAN)
def test_odd_but_legitimate_forms_pass(name):
    examined = examine(str(DATA / f"{name}.csv"))

    assert examined.findings.sorted() == []
    assert (examined.rows, len(examined.columns)) == (60, 6)


def test_every_sample_is_tested():
    assert {path.stem for path in DATA.glob("*.csv")} == {*DEFECTIVE, *CLEAN}


def test_a_clone_has_the_samples_byte_for_byte(tmp_path):
    """Also one whose owner has git change line ends."""
    git = ["git", "-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    clone = [*git, "clone", "-q", "--no-checkout", "--shared", str(ROOT), str(tmp_path / "clone")]
    subprocess.run(clone, check=True)
    subprocess.run(
        [*git, "checkout", "-q", "HEAD", "--", "projects/validation"],
        cwd=tmp_path / "clone",
        check=True,
    )

    cloned = tmp_path / "clone" / "projects" / "validation" / "data"
    for path in DATA.glob("*.csv"):
        assert (cloned / path.name).read_bytes() == path.read_bytes()
        assert BYTES.get(path.stem, b"") in path.read_bytes()
