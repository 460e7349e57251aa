"""What makes a trial one that failed."""

import pytest

from chaos.faults import BY_NAME
from chaos.load import LOG, MLFLOW, PREDICT, STORE
from chaos.summary import Attempt, summarise
from chaos.trial import idleness, losses, noticed

GOOD = [Attempt(0.9, 1.0), Attempt(1.9, 2.0)]
ACKNOWLEDGED = {"runs": 1, "versions": 1}


def seen(**attempts: list[Attempt]) -> dict:
    """What all kinds saw; nothing but successes unless given."""
    kinds = {LOG: GOOD, STORE: GOOD, PREDICT: GOOD, MLFLOW: GOOD} | attempts
    return {kind: summarise(those, began=0, over=0) for kind, those in kinds.items()}


def test_nothing_but_successes():
    assert noticed(BY_NAME["crash-tracking"], seen()) == []
    assert idleness(seen(), ACKNOWLEDGED) == []
    assert losses([]) == []


@pytest.mark.parametrize(
    ("kind", "outcome", "problem"),
    [
        (LOG, "503", None),  # which is what a killed tracking server is expected to do
        (LOG, "WRONG", "log: 1 wrong answers"),
        (PREDICT, "503", "predict was to notice nothing: "),
        (MLFLOW, "MlflowException", "MLflow's client failed: {'MlflowException': ''}"),
    ],
)
def test_what_clients_ought_not_to_see(kind, outcome, problem):
    wrong = noticed(BY_NAME["crash-tracking"], seen(**{kind: [*GOOD, Attempt(2.1, 2.2, outcome)]}))
    assert [one[: len(problem)] for one in wrong] == [problem] if problem else wrong == []


@pytest.mark.parametrize("kind", [LOG, STORE, PREDICT, MLFLOW])
def test_clients_that_did_nothing_show_nothing(kind):
    assert idleness(seen(**{kind: []}), ACKNOWLEDGED) == [f"{kind}: no success from the fault on"]


def test_what_was_never_acknowledged_shows_nothing():
    assert idleness(seen(), ACKNOWLEDGED | {"versions": 0}) == ["no versions acknowledged"]


def test_the_first_losses_are_named():
    assert losses([f"run {n}" for n in range(7)])[-2:] == ["lost: run 4", "lost: 2 more"]
