"""Faults under load, the telling ones; `make chaos` has all. Nothing acknowledged is lost."""

from __future__ import annotations

import pytest

from chaos import trial
from chaos.faults import BY_NAME
from chaos.scene import Scene, publish_models


@pytest.fixture(scope="module")
def scene(new_stack, stack):
    """On another stack from the same images: others ask how often theirs was restarted."""
    another = new_stack()
    assert another.project != stack.project
    another.up()
    publish_models(another)
    yield Scene(another)
    another.down("--volumes", "--timeout", "5")


@pytest.mark.parametrize("name", ["crash-postgres", "crash-minio", "crash-tracking", "model-exit"])
def test_nothing_acknowledged_is_lost(scene, name):
    result = trial.run(BY_NAME[name], scene)
    assert result.acknowledged["metrics"] > 100
    assert result.acknowledged["artifacts"] > 10
    assert result.problems == []
