"""Models of every kind that people bring, asked here and by `mlflow models serve`: same answers.

Those that the development environment can make and serve; see test_other_environments.py for the
rest. Some of each family; with FULL=1 all.
"""

import importlib.util
import os
from pathlib import Path

import pytest

from tests.integration.serving.gallery import catalogue
from tests.integration.serving.gallery.asking import served
from tests.integration.serving.gallery.boosters import BOOSTERS
from tests.integration.serving.gallery.estimators import ESTIMATORS
from tests.integration.serving.gallery.graphs import GRAPHS
from tests.integration.serving.gallery.own_code import OWN_CODE
from tests.integration.serving.gallery.piece import Piece
from tests.integration.serving.gallery.tables import TABLES

FULL = os.environ.get("FULL") == "1"
PIECES = ESTIMATORS | TABLES | BOOSTERS | GRAPHS | OWN_CODE
# fmt: off
QUICK = [
    "logistic", "forest-chances", "stacking", "neighbours", "svc", "local-outliers", "bayes",
    "process-regression", "network", "lda", "pls", "nystroem", "k-means", "mixture",
    "calibrated", "label-spreading", "dummy", "isotonic", "splines", "table-optional",
    "table-unsigned", "fill-by-mean", "texts", "xgboost-categories", "lightgbm-booster",
    "lightgbm-step", "onnx-quantised", "prices", "baskets", "function", "agent",
]
"""One or more of each family."""
# fmt: on
CHOSEN = list(PIECES) if FULL else QUICK
LOADED_WITHIN = 250
"""Seconds, all of them, on a busy machine."""

pytestmark = pytest.mark.timeout(600)


def absent(piece: Piece) -> list[str]:
    return [module for module in piece.needs if not importlib.util.find_spec(module)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each model's folder by name, or why there is none."""
    root, outcome = tmp_path_factory.mktemp("gallery"), {}
    for name in CHOSEN:
        if missing := absent(PIECES[name]):
            outcome[name] = f"{', '.join(missing)} is not installed here"
            continue
        try:
            PIECES[name].save(root / name)
            outcome[name] = root / name
        except Exception as error:  # of that model alone
            outcome[name] = f"not made: {type(error).__name__}: {error}"
    return outcome


@pytest.fixture(scope="module")
def servers(made, tmp_path_factory):
    folders = {name: folder for name, folder in made.items() if isinstance(folder, Path)}
    with served(folders, tmp_path_factory.mktemp("served"), LOADED_WITHIN) as both:
        yield both


@pytest.mark.parametrize("name", CHOSEN)
def test_same_answers(name, made, servers):
    piece, folder = PIECES[name], made[name]
    if isinstance(folder, str):
        catalogue.write(catalogue.Entry(name, piece.family, answers=folder))
        pytest.skip(folder) if absent(piece) else pytest.fail(folder)
    requests = list(piece.requests().items())
    if not FULL:  # every other one, and those between of the next model
        requests = requests[CHOSEN.index(name) % 2 :: 2]
    row, noticed = servers.compare(name, piece.family, folder, dict(requests))
    catalogue.write(row)
    assert not noticed, noticed


def test_quick_half_has_one_of_each_family():
    assert {PIECES[name].family for name in QUICK} == {piece.family for piece in PIECES.values()}


def test_row_of_a_model_is_renewed():
    page = "Words.\n"
    for answers in ("3 differ", catalogue.SAME):
        for model in ("b", "a"):
            page = catalogue.renewed(page, catalogue.Entry(model, "trees", answers=answers))
    words, head, ruler, *rows = page.splitlines()
    assert (words, ruler[:7]) == ("Words.", "| --- |")
    assert head.startswith("| model | family |")
    assert [row.split(" | ")[0] for row in rows] == ["| a", "| b"]
    assert all(row.endswith("| same |") for row in rows)
