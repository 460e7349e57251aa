"""Which rows are held out follows from the rows, the seed and the share, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.split import Split

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


mixed = pd.DataFrame(
    {"n": [1.5, None, -0.0, 0.0], "text": ["a", None, "é", "é"], "flag": [True, False, True, True]}
)


def test_rows_of_numbers_texts_and_gaps_are_held_out_by_what_they_hold():
    for seed in range(20):
        split = Split(0.5, seed)
        held_out = split.holds_out(mixed)
        assert held_out[2] == held_out[3]  # minus zero is zero
        assert (
            split.holds_out(mixed[["text", "flag", "n"]][::-1]).tolist() == held_out[::-1].tolist()
        )
        later = split.holds_out(pd.concat([mixed, mixed.assign(text="b")], ignore_index=True))
        assert later[:4].tolist() == held_out.tolist()


def test_about_the_share_of_rows_of_text_is_held_out():
    texts = pd.DataFrame({"text": [f"number {n}" for n in range(5000)]})

    assert Split(0.25, 7).holds_out(texts).mean() == pytest.approx(0.25, abs=0.02)
