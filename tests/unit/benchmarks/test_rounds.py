"""What may be concluded from alternating rounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rounds import Comparison, compare

rates = st.floats(1, 1e6)


@pytest.mark.parametrize(
    ("reference", "ours", "verdict"),
    [
        ([(100, 90), (100, 100)], [120, 130], "faster"),
        ([(100, 90), (100, 100)], [105, 105], "equal"),
        ([(100, 90), (100, 100)], [92, 92], "equal"),
        ([(100, 90), (100, 100)], [80, 80], "SLOWER"),
    ],
)
def test_a_difference_counts_beyond_what_the_reference_differs_from_itself(
    reference, ours, verdict
):
    assert Comparison("load", reference, ours).verdict == verdict


@given(rates, rates)
def test_what_the_reference_itself_reaches_is_never_too_slow(one, other):
    assert Comparison("load", [(one, other)], [min(one, other)]).holds


def test_rounds_alternate_and_keep_every_figure():
    order = []

    def measured(name, figures):
        def measure():
            order.append(name)
            return next(figures)

        return measure

    one = compare(
        "load",
        rounds=2,
        reference=measured("reference", iter([1.0, 2.0, 3.0, 4.0])),
        ours=measured("ours", iter([5.0, 6.0])),
    )

    assert order == ["reference", "ours", "reference"] * 2
    assert (one.reference, one.ours) == ([(1.0, 2.0), (3.0, 4.0)], [5.0, 6.0])
    assert one.ratio == pytest.approx(5.5 / 2.5)
