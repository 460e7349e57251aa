"""The figure and the table show every trial, those that failed as gaps."""

import pytest

from search_report import figure, table
from study import Trial
from tuned_pipeline import CLASSIFICATION, REGRESSION

TRIALS = [
    Trial(1, {"C": 2.0, "gamma": 0.1, "epsilon": 0.1}, None, 0.2),
    Trial(0, {"C": 1.0, "gamma": 0.1, "epsilon": 0.1}, 300.0, 0.1),
    Trial(2, {"C": 3.0, "gamma": 0.1, "epsilon": 0.1}, 310.0, 0.3),
    Trial(3, {"C": 4.0, "gamma": 0.1, "epsilon": 0.1}, 290.0, 0.3),
]


def test_the_table_is_in_order_of_the_trials():
    rows = table(TRIALS, REGRESSION)

    assert list(rows) == ["trial", "rmse", "C", "gamma", "epsilon", "seconds"]
    assert rows["trial"].tolist() == [0, 1, 2, 3]
    assert rows["rmse"].isna().tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("kind", "best"),
    [(REGRESSION, [300, 300, 300, 290]), (CLASSIFICATION, [300, 300, 310, 310])],
    ids=["lower is better", "higher is better"],
)
def test_the_figure_has_the_best_so_far_and_each_hyperparameter(kind, best, tmp_path):
    drawn = figure(TRIALS, kind)

    drawn.savefig(tmp_path / "search.png")
    search, *of_params = drawn.axes
    assert search.lines[0].get_ydata().tolist() == best
    assert [axes.get_xlabel() for axes in of_params] == list(kind.space)
    assert all(axes.get_xscale() == "log" for axes in of_params)
