"""Flags, and what is refused before anything starts."""

from dataclasses import replace

import pytest

from chaos.faults import BY_NAME, FAULTS, TEAM
from chaos.options import TENTH, WHOLE, parse


def test_every_fault_has_a_name_of_its_own():
    assert len(BY_NAME) == len(FAULTS) + len(TEAM)


@pytest.mark.parametrize(("full", "storm"), [("", TENTH), ("1", WHOLE)])
def test_full_is_the_whole_storm(monkeypatch, full, storm):
    monkeypatch.setenv("FULL", full)
    options = parse([])
    assert options.faults == list(FAULTS)
    assert replace(options.storm, seed=0) == storm
    assert parse(["--metrics", "5", "--seed", "7"]).storm == replace(storm, metrics=5, seed=7)


def test_some_faults_by_name_in_the_order_given():
    assert [f.name for f in parse(["--only", "storm,model-exit"]).faults] == ["storm", "model-exit"]


def test_the_gateway_is_there_with_the_team_overlay_alone():
    assert parse(["--team"]).faults == list(TEAM)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "storm,strom"], "--only: no fault 'strom': --list shows them"),
        (["--only", "crash-gateway"], "--only: no fault 'crash-gateway'"),
        (["--team", "--only", "storm"], "--only: no fault 'storm'"),
        (["--page", "nowhere.md"], "--page: no file 'nowhere.md'"),
        (["--page", "README.md", "--only", "storm"], "--page: the table has all faults"),
        (["--minutes", "-1"], "expected no less than 0"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
    ],
)
def test_refusals(arguments, message, capsys):
    with pytest.raises(SystemExit):
        parse(arguments)
    assert message in capsys.readouterr().err
