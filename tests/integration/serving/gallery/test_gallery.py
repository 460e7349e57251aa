"""Models of every kind that people bring, asked here and by `mlflow models serve`: same answers.

Those that the development environment can make and serve; see test_other_environments.py for the
rest. Some of each family; with FULL=1 all.
"""

import importlib.util
import os

import pytest

from tests.integration.serving.gallery import catalogue
from tests.integration.serving.gallery.asking import differences
from tests.integration.serving.gallery.boosters import BOOSTERS
from tests.integration.serving.gallery.estimators import ESTIMATORS
from tests.integration.serving.gallery.graphs import GRAPHS
from tests.integration.serving.gallery.own_code import OWN_CODE
from tests.integration.serving.gallery.tables import TABLES
from tests.integration.serving.reference.comparison import Address
from tests.integration.serving.reference.servers import Reference
from tests.integration.serving.servers import ModelServer

FULL = os.environ.get("FULL") == "1"
PIECES = ESTIMATORS | TABLES | BOOSTERS | GRAPHS | OWN_CODE
# fmt: off
QUICK = [
    "logistic", "forest-chances", "stacking", "neighbours", "svc", "local-outliers",
    "process-regression", "network", "pls", "nystroem", "mixture", "calibrated",
    "label-spreading", "chain", "isotonic", "splines", "table-logistic", "table-optional",
    "table-unsigned", "table-categories", "table-pandas", "fill-by-mean", "texts",
    "xgboost-classifier", "xgboost-categories", "lightgbm-categories", "lightgbm-step",
    "onnx-two-outputs", "onnx-quantised", "pickled", "prices", "loader", "dates", "baskets",
    "function", "agent", "responses",
]
# fmt: on
LOADED_WITHIN = 250
"""Seconds, all of them, on a busy machine."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def pieces():
    chosen = PIECES if FULL else {name: PIECES[name] for name in QUICK}
    return {name: piece for name, piece in chosen.items() if not absent(piece)}


def absent(piece) -> list[str]:
    return [module for module in piece.needs if not importlib.util.find_spec(module)]


@pytest.fixture(scope="module")
def folders(pieces, tmp_path_factory):
    root = tmp_path_factory.mktemp("gallery")
    for name, piece in pieces.items():
        piece.save(root / name)
    return {name: root / name for name in pieces}


@pytest.fixture(scope="module")
def servers(folders, tmp_path_factory):
    """The reference's addresses, and one server of all. The latter need not be ready: what it
    refuses is a test's failure."""
    reference = Reference(folders, set(), tmp_path_factory.mktemp("reference"))
    ours = ModelServer(
        tmp_path_factory.mktemp("ours"),
        SERVING_MODELS=",".join(f"{name}={folder}" for name, folder in folders.items()),
    )
    try:
        ours.process.start()
        reference.start()
        ours.wait_for(
            lambda: all(decided(ours.model(name)) for name in folders),
            LOADED_WITHIN,
            "all models to be loaded or refused",
        )
        yield reference.addresses, ours
    finally:
        ours.stop()
        reference.stop()


def decided(entry: dict) -> bool:
    return entry.get("state") in ("serving", "failed")


@pytest.fixture(scope="module")
def entries():
    made = []
    yield made
    catalogue.write(made)


@pytest.mark.parametrize("name", PIECES if FULL else QUICK)
def test_same_answers(name, folders, servers, entries):
    piece = PIECES[name]
    if missing := absent(piece):
        pytest.skip(f"{', '.join(missing)} is not installed here")
    reference, ours = servers
    entry, requests, different = ours.model(name), piece.requests(), ["not served"]
    if entry["state"] == "serving":
        here = Address(ours.port, f"/models/{name}/invocations")
        different = differences(reference[name], here, requests)
    entries.append(
        catalogue.Entry(
            name,
            piece.family,
            catalogue.flavor(folders[name]),
            f"its own: {entry['environment']}" if entry["environment"] else "the server's",
            catalogue.merged(entry),
            len(requests),
            f"{len(different)} differ" if different else "same",
        )
    )
    assert entry["state"] == "serving", entry["problem"]
    assert not different, f"{len(different)} differ:\n" + "\n".join(different[:20])
