"""Faults under load, the telling ones; `make chaos` has all. Nothing acknowledged is lost."""

from __future__ import annotations

import os

import pytest

from chaos import trial
from chaos.faults import BY_NAME
from chaos.ledger import Ledger
from chaos.scene import Scene, publish_models


@pytest.fixture(scope="module")
def scene(new_stack, stack):
    """Another stack from the same images: others ask how often theirs was restarted."""
    another = new_stack()
    assert another.project != stack.project
    another.up()
    of_it = Scene(another)
    publish_models(of_it)
    yield of_it
    another.down("--volumes", "--timeout", "5")


FEW = ["crash-postgres", "crash-minio", "crash-tracking", "model-exit"]
MORE = ["stop-tracking", "net-data", "kill-all"]


@pytest.mark.parametrize("name", [*FEW, *(MORE if os.environ.get("FULL") == "1" else [])])
def test_nothing_acknowledged_is_lost(scene, name):
    result = trial.run(BY_NAME[name], scene)
    assert result.acknowledged["metrics"] > 100
    assert result.acknowledged["artifacts"] > 10
    assert result.problems == []


def test_what_is_not_there_is_told(scene):
    """Else the tests above would show nothing."""
    ledger = Ledger()
    ledger.created("0" * 32)
    ledger.sending("chaos/none.bin", b"all of it")
    ledger.stored("chaos/none.bin")
    ledger.registered("nobody", "1", "0" * 32)
    assert ledger.lost(scene.stack.tracking) == [
        f"run {'0' * 32}: RESOURCE_DOES_NOT_EXIST",
        "artifact chaos/none.bin: status 404",
        "version 1 of nobody: RESOURCE_DOES_NOT_EXIST",
    ]
