"""A table that cannot be used is refused in one line that says what and where."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from common.split import Split
from dataset import Table, read_table, train_and_test
from harness.projects import write_table
from host.paths import ROOT

WINE = ROOT / "projects" / "wine" / "data" / "wine.csv"

GOOD = "a,b,kind\n1,2,x\n3,4.5,y\n"


def test_a_table_is_floats_and_labels(tmp_path):
    table = read_table(write_table(tmp_path, GOOD), "kind")

    assert table.features.to_dict("list") == {"a": [1.0, 3.0], "b": [2.0, 4.5]}
    assert table.labels.tolist() == ["x", "y"]
    assert table.frame().columns.tolist() == ["a", "b", "kind"]


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", "kind", "is empty"),
        ("a,b,kind\n", "kind", "has no rows"),
        (GOOD, "sort", "target: no column 'sort' in .*; its columns: a, b, kind"),
        ("kind\nx\ny\n", "kind", "has no column besides 'kind'"),
        (GOOD + "5,six,x\n", "kind", "column 'b', row 3: 'six' is not a number"),
        (GOOD + "5,,x\n", "kind", "column 'b', row 3: 'nan' is not a number"),
        (GOOD + "5,inf,x\n", "kind", "column 'b', row 3: 'inf' is not a number"),
        (GOOD + "5,6,\n", "kind", "column 'kind' has no label in row 3"),
        (GOOD + "5,6,7,8\n", "kind", "cannot be read"),
        ("a,b,kind\n1,2,x,y\n3,4,y,x\n", "kind", "cannot be read: Length of header"),
        (GOOD + "5," + "9" * 400 + ",x\n", "kind", "column 'b'"),
        (b"\x89PNG\r\n\x00\xff", "kind", "cannot be read"),
        (GOOD, "", "target: no column ''"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, target, message):
    with pytest.raises(BadInput, match=message) as refusal:
        read_table(write_table(tmp_path, text), target)

    assert len(refusal.value.message.splitlines()) == 1
    assert len(refusal.value.message) < 500


@pytest.mark.parametrize("form", ["gz", "bz2", "xz", "zip", "tar"])
def test_a_broken_archive_is_refused(tmp_path, form):
    path = tmp_path / f"table.csv.{form}"
    pd.DataFrame({"a": range(1000), "kind": "x"}).to_csv(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(BadInput, match="cannot be read"):
        read_table(str(path), "kind")


@pytest.mark.parametrize(
    "source", ["missing.csv", "/", "http://127.0.0.1:9/table.csv", "nonsense://table.csv", "\0"]
)
def test_what_cannot_be_opened_is_refused(source):
    with pytest.raises(BadInput, match=r"^data: "):
        read_table(source, "kind")


@given(st.binary(max_size=200))
def test_no_file_raises_anything_else(tmp_path_factory, content):
    source = write_table(tmp_path_factory.getbasetemp(), content)
    try:
        table = read_table(source, "kind")
    except BadInput:
        return
    assert np.isfinite(table.features.to_numpy()).all()


def test_the_rows_of_the_wine_data_never_change_sides():
    """A champion of an earlier release of this project must stay comparable."""
    table = read_table(str(WINE), "cultivar")

    held_out = np.flatnonzero(Split(0.25, 2).holds_out(table.features))

    assert len(held_out) == 45
    assert held_out[:8].tolist() == [1, 2, 11, 13, 15, 16, 23, 25]


def table(labels: list[str]) -> Table:
    return Table(pd.DataFrame({"a": np.arange(float(len(labels)))}), np.array(labels), "kind")


def test_too_few_held_out_rows_are_refused():
    with pytest.raises(BadInput, match=r"^test_size: 0.1 of 20 rows holds out \d; at least 10"):
        train_and_test(table(["x", "y"] * 10), Split(0.1, 1))


def test_one_class_is_refused():
    with pytest.raises(BadInput, match=r"^target: column 'kind' has one class only: 'x'"):
        train_and_test(table(["x"] * 100), Split(0.25, 1))


def test_a_class_on_one_side_only_is_refused():
    with pytest.raises(BadInput, match=r"^target: no rows of class 'rare' to (train|hold out)"):
        train_and_test(table(["x", "y"] * 50 + ["rare"]), Split(0.25, 1))


def test_numbers_as_labels_of_a_quantity_are_refused():
    with pytest.raises(BadInput, match="are too rare"):
        train_and_test(table([str(n / 7) for n in range(100)]), Split(0.25, 1))
