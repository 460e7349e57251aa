"""Which rows are held out follows from the rows, the seed and the share, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset import BadInput, Split, Table, read_table, train_and_test
from tests.support import ROOT

WINE = ROOT / "projects" / "wine" / "data" / "wine.csv"
numbers = st.floats(allow_nan=False, allow_infinity=False)
tables = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=30).map(
    lambda rows: pd.DataFrame(rows, columns=["a", "b", "c"], dtype="float64")
)
seeds = st.integers(0, 2**32)
shares = st.floats(0.01, 0.99)


@given(tables, seeds, shares, st.randoms())
def test_the_order_of_rows_and_columns_changes_nothing(features, seed, share, random):
    split = Split(share, seed)
    order = random.sample(range(len(features)), len(features))
    columns = random.sample(list(features.columns), 3)

    shuffled = split.holds_out(features.iloc[order][columns])

    assert shuffled.tolist() == split.holds_out(features)[order].tolist()


@given(tables, tables, seeds, shares)
def test_rows_added_later_move_no_row_to_the_other_side(features, added, seed, share):
    split = Split(share, seed)

    longer = split.holds_out(pd.concat([features, added]))

    assert longer[: len(features)].tolist() == split.holds_out(features).tolist()


@given(tables, seeds, shares, shares)
def test_a_larger_share_holds_out_all_that_a_smaller_one_does(features, seed, one, other):
    smaller, larger = sorted((one, other))

    held_out_twice = Split(smaller, seed).holds_out(features) & Split(larger, seed).holds_out(
        features
    )

    assert held_out_twice.tolist() == Split(smaller, seed).holds_out(features).tolist()


@given(tables, seeds, shares)
def test_equal_rows_are_on_the_same_side(features, seed, share):
    twice = Split(share, seed).holds_out(pd.concat([features, features]))

    assert twice[: len(features)].tolist() == twice[len(features) :].tolist()


def test_minus_zero_is_zero():
    zeros = pd.DataFrame({"a": [0.0, -0.0]})

    for seed in range(20):
        assert len(set(Split(0.5, seed).holds_out(zeros))) == 1


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_about_the_share_asked_for_is_held_out(share):
    features = pd.DataFrame({"a": np.arange(10_000.0)})

    assert Split(share, 7).holds_out(features).mean() == pytest.approx(share, abs=0.02)


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
