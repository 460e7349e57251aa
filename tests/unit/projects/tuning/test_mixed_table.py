"""A table that cannot be used is refused in one line that says what and where."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from common.split import Split
from harness.projects import write_table
from host.paths import ROOT
from mixed_table import read_mixed, train_and_test

GOOD = "n,t,y\n1,a,1.5\n,b,2\n3,,4\n"
PENGUINS = str(ROOT / "projects" / "tuning" / "data" / "penguins.csv")


def many(rows: int, line: str = "{i},t{i},{y}\n") -> str:
    return "n,t,y\n" + "".join(line.format(i=i, y="ab"[i % 2]) for i in range(rows))


def test_numbers_are_floats_and_all_else_is_text_with_gaps(tmp_path):
    table = read_mixed(write_table(tmp_path, GOOD), "y")

    assert table.features["n"].tolist()[::2] == [1.0, 3.0]
    assert table.features["t"].tolist()[:2] == ["a", "b"]
    assert table.features.isna().to_numpy().tolist() == [
        [False, False],
        [True, False],
        [False, True],
    ]
    assert table.answers.tolist() == [1.5, 2.0, 4.0]
    assert table.kind.name == "regression"
    assert (
        read_mixed(write_table(tmp_path, GOOD.replace(",,4", ",c,4")), "t").kind.name
        == "classification"
    )


def test_truth_values_are_text(tmp_path):
    table = read_mixed(write_table(tmp_path, "b,y\nTrue,1\nFalse,2\n,3\n"), "y")

    assert table.features["b"].tolist()[:2] == ["True", "False"]
    assert table.features["b"].isna().tolist() == [False, False, True]


def test_the_penguins_keep_rows_with_missing_features():
    table = read_mixed(PENGUINS, "body_mass_g")

    assert len(table) == 342
    assert table.features["sex"].isna().sum() == 9
    assert "year" not in table.features


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", "y", "is empty"),
        ("n,t,y\n", "y", "has no rows"),
        (GOOD, "z", "target: no column 'z' in .*; its columns: n, t, y"),
        ("y\n1\n2\n", "y", "has no column besides 'y'"),
        (GOOD + "5,c,\n", "y", "column 'y' has no label in row 4"),
        (GOOD + "inf,c,3\n", "y", "column 'n', row 4: inf is not finite"),
        (GOOD + "1,c,inf\n", "y", "column 'y', row 4: inf is not finite"),
        ("n,t,y\n,a,1\n,b,2\n", "y", "column 'n' has no values"),
        ("n,t,y\n1,a,7\n2,b,7\n", "y", "target: column 'y' has one value only: '7"),
        ("n,t,y\n1,a,x\n2,b,x\n", "y", "target: column 'y' has one value only: 'x'"),
        (b"\x89PNG\r\n\x00\xff", "y", "cannot be read"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, target, message):
    with pytest.raises(BadInput, match=message) as refusal:
        read_mixed(write_table(tmp_path, text), target)

    assert len(refusal.value.message.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "size", "message"),
    [
        (many(8), 0.5, "rows leaves . to train on; at least 10 are needed"),
        (many(40), 0.01, "rows leaves . to hold out; at least 10 are needed"),
        (many(60) + "1,t,c\n", 0.3, "target: class 'c' has . rows to train on; at least 5"),
        (many(60, ",t{i},{y}\n") + "1,t,a\n", 0.3, "column 'n' has no values"),
    ],
)
def test_too_few_rows_are_refused(tmp_path, text, size, message):
    for seed in range(20):
        try:
            train_and_test(read_mixed(write_table(tmp_path, text), "y"), Split(size, seed))
        except BadInput as error:
            refusal = error
            break
    with pytest.raises(BadInput, match=message):
        raise refusal


@given(st.binary(max_size=200))
def test_no_file_raises_anything_else(tmp_path_factory, content):
    source = write_table(tmp_path_factory.getbasetemp(), content)
    try:
        table = read_mixed(source, "y")
    except BadInput:
        return
    assert np.isfinite(table.features.select_dtypes("number").fillna(0).to_numpy()).all()
