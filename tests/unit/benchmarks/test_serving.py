"""What the figures of the servers mean: plan, equality, stages, goals, tables, picture."""

import json
import re

import pytest

from benchmarks.bursts import Burst
from benchmarks.goal import Goal
from benchmarks.options import QUICK, Options
from benchmarks.serving import environments, plot, stages
from benchmarks.serving.cases import TITLES, Case, customers
from benchmarks.serving.goals import goals
from benchmarks.serving.measuring import Measured, same
from benchmarks.serving.plan import GOALS, Cell, plan
from benchmarks.serving.servers import BEFORE, OURS, PLAIN, REFERENCE, SERVERS, known
from benchmarks.serving.stages import Stage
from benchmarks.serving.tables import profile, sections
from host.paths import ROOT

RATES = {OURS: 16_000, PLAIN: 8_000, REFERENCE: 80, "mosec": 8_000, "bare front": 20_000}
CELL = Cell(rows=1, clients=64, rounds=3)


def burst(rate, p50=2.0, p95=4.0, p99=6.0, errors=0):
    cpu = {"front": 0.02, "others": 0.03, "generator": 0.25}
    return Burst(rate, p50, p95, p99, requests=1000, errors=errors, **cpu)


@pytest.fixture
def figures():
    """One cell of one model, in which two peers were missing."""
    servers = {
        name: Measured([burst(rate), burst(rate * 2), burst(1)]) for name, rate in RATES.items()
    }
    return {"logistic": {CELL: servers}}


def test_the_plan_has_what_the_goals_ask_for_in_all_rounds():
    cells = plan(Options(rounds=5)).cells

    assert list(cells) == list(TITLES)
    for model in GOALS:
        assert {Cell(1, 1, 5), Cell(1, 64, 5), Cell(100, 64, 5)} <= set(cells[model])
        assert {cell.clients for cell in cells[model]} == {1, 16, 64, 256}


def test_named_models_and_clients_make_every_combination():
    asked = plan(Options(models="mixed,text", rows="1,100", clients="16", servers="ours,mosec"))

    cells = [Cell(1, 16, 5), Cell(100, 16, 5)]
    assert asked.cells == {"mixed": cells, "text": cells}
    assert asked.servers == ["ours", "mosec"]


def test_an_earlier_checkout_is_measured_beside_this_one(tmp_path):
    with pytest.raises(ValueError, match="--before"):
        Options(before=str(tmp_path))
    (tmp_path / "services" / "serving").mkdir(parents=True)
    options = Options(before=str(tmp_path))

    assert plan(options).servers[:2] == [OURS, BEFORE]
    (before,) = [one for one in known(options) if one.name == BEFORE]
    code = before.variables(Case("x", tmp_path, None, "numbers", []), tmp_path)["PYTHONPATH"]
    assert code == str(tmp_path / "services" / "serving")


@pytest.mark.parametrize(("before", "met"), [(16_000, True), (17_000, False)])
def test_every_figure_is_held_against_the_earlier_checkout(before, met):
    servers = {OURS: Measured([burst(16_000)]), BEFORE: Measured([burst(before)])}
    (goal,) = goals({"mixed": {CELL: servers}})

    assert goal.met is met


def test_a_quick_run_is_one_model_in_one_round():
    assert plan(Options(**QUICK)).cells == {"logistic": [Cell(1, 1, 1), Cell(1, 64, 1)]}


@pytest.mark.parametrize(
    ("answers", "right", "equal"),
    [
        ([2, 0], [2, 0], True),
        ([2.0], [2], True),
        ([14.05586738245681], [14.055867382456817], True),
        ([14.055], [14.056], False),
        (["praise"], ["praise"], True),
        (["praise"], ["complaint"], False),
        ([0], ["0"], False),
        ([2], [2, 0], False),
        ({"predictions": [2]}, [2], False),
        ([None], [2], False),
        ([[2]], [2], False),
    ],
)
def test_answers_are_equal_by_value(answers, right, equal):
    assert same(answers, right) is equal


def test_stages_of_all_versions_are_added_and_sorted():
    page = """\
# TYPE model_server_stage_seconds histogram
model_server_stage_seconds_bucket{model="a",version="1",stage="total",le="+Inf"} 2.0
model_server_stage_seconds_count{model="a",version="1",stage="total"} 2.0
model_server_stage_seconds_sum{model="a",version="1",stage="total"} 0.5
model_server_stage_seconds_count{model="a",version="2",stage="total"} 1.0
model_server_stage_seconds_sum{model="a",version="2",stage="total"} 0.25
model_server_stage_seconds_count{model="a",version="1",stage="queue"} 3.0
model_server_stage_seconds_sum{model="a",version="1",stage="queue"} 0.125
"""
    parsed = stages.parse(page)

    assert list(parsed.items()) == [("queue", Stage(3, 0.125)), ("total", Stage(3, 0.75))]
    assert stages.between({"total": Stage(1, 0.25)}, parsed)["total"] == Stage(2, 0.5)


def test_a_profile_divides_by_what_was_observed():
    one = Measured([burst(rate=32_000)])
    one.stages = {"predict": Stage(50, 0.1), "total": Stage(1000, 1.5)}

    batch, queue, predict, total, outside, client, front, workers = profile(
        ["queue", "predict", "total"], CELL, one
    )

    assert (batch, queue, predict, total) == ("20.0", "", "2.000", "1.500")
    assert (client, outside) == ("2.000", "0.500")
    assert (front, workers) == ("0.020", "0.030")


def test_goals_are_ratios_of_medians_and_missing_servers_prove_nothing(figures):
    ratios = {goal.what: goal for goal in goals(figures)}

    many = "logistic, 64 clients: requests/s, "
    assert ratios[f"{many}{OURS} by {REFERENCE}"] == Goal(
        f"{many}{OURS} by {REFERENCE}", ratio=200.0, bound=150.0
    )
    assert ratios[f"{many}{PLAIN} by {REFERENCE}"].met is True
    assert ratios[f"{many}{OURS} by mosec"].row()[1:] == ["≥ 1.5", "2", "met"]
    assert ratios[f"{many}{OURS} by mlserver"].row()[1:] == ["≥ 5", "", "not measured"]
    assert ratios[f"{many}{OURS} by bare front"].met is True
    assert ratios[f"logistic, 64 clients: {OURS}, p99 by p50"].met is True
    assert not [what for what in ratios if what.startswith("forest")]


def test_a_ratio_on_the_wrong_side_of_its_bound_is_missed():
    assert Goal("rate", 0.59, 0.6).met is False
    assert Goal("tail", 4.1, 4.0, at_most=True).row() == ["tail", "≤ 4", "4.1", "**missed**"]


def test_tables_name_every_server_and_what_is_missing(figures):
    figures["logistic"][CELL][OURS].bursts[0] = burst(16_000, errors=2)

    asked, model, profiles, missing = sections(Options(), figures, {"bentoml": "no wheel"})

    assert asked.summary.startswith("5 of 5 met, 9 not measured")
    assert [row[2] for row in model.rows] == list(RATES)
    assert model.rows[0][2:4] == [OURS, "16,000"]
    assert model.rows[0][-2:] == ["2", "1"]
    assert model.rows[2][-1] == "200"
    assert "of which it used 25% at most" in model.summary
    assert profiles.rows == []
    assert missing.rows == [["bentoml", "no wheel"]]
    json.dumps([asked.data, model.data])


def test_the_picture_is_the_same_for_the_same_figures(figures):
    drawn = plot.draw(figures)

    assert drawn == plot.draw(figures)
    assert "16,000" in drawn
    assert "mosec" in drawn
    assert plot.draw({}) == ""


def test_growth_is_drawn_where_there_are_several_numbers_of_clients(figures):
    assert plot.draw_growth(figures) == ""

    by_server = next(iter(figures["logistic"].values()))
    figures["logistic"][Cell(rows=1, clients=256, rounds=1)] = by_server

    assert ">256<" in plot.draw_growth(figures)
    assert ">mosec<" in plot.draw_growth(figures)


@pytest.fixture
def case(tmp_path):
    frame, stays = customers(100)
    return Case("mixed", tmp_path, frame, "mixed", stays.tolist())


def test_every_server_is_sent_the_same_cells(case):
    first = case.frame.iloc[0].tolist()
    bodies = {one.name: json.loads(one.request(case, 1).body) for one in SERVERS}

    assert bodies["ours"]["dataframe_split"]["data"] == [first]
    assert bodies["mosec"] == bodies["ours"] == bodies[REFERENCE]
    assert [one["data"][0] for one in bodies["mlserver"]["inputs"]] == first
    assert bodies["bentoml"]["rows"] == [first]


def test_missing_cells_are_null(case):
    for server in SERVERS:
        assert b"null" in server.request(case, 100).body
        assert b"NaN" not in server.request(case, 100).body


@pytest.mark.parametrize("package", ["scikit-learn", "numpy", "pandas", "joblib"])
@pytest.mark.parametrize("peer", environments.NAMES)
def test_peers_load_estimators_with_the_packages_that_wrote_them(peer, package):
    def pins(lock):
        return set(re.findall(rf"^{package}==(\S+)", lock.read_text(), re.MULTILINE))

    assert pins(environments.FOLDER / peer / "requirements.txt") == pins(
        ROOT / "requirements-dev.txt"
    )
