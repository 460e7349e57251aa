"""The ports of the two services as those who attack them see them, with the containers' limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from harness.stack import Stack
from tests.integration.serving.attack.door import Door
from tests.integration.serving.hostile.attacks import MIB

serving_door = partial(
    Door,
    path="/v2/repository/index",
    body=b"{}",
    answer=b"[",
    patience=10,
    body_limit=16 * MIB,
    tells_ids=True,
)
tracking_door = partial(
    Door,
    path="/api/2.0/mlflow/experiments/search",
    body=b'{"max_results": 1}',
    answer=b'"experiments"',
    body_limit=32 * MIB,
    faults={500},  # MLflow's own
)


@contextmanager
def unharmed(stack: Stack) -> Iterator[None]:
    """No container is killed for its memory, or started anew, while the block runs."""
    before = _lives(stack)
    yield
    assert _lives(stack) == before


def _lives(stack: Stack) -> dict[str, tuple]:
    return {
        service: (
            container["State"]["OOMKilled"],
            container["RestartCount"],
            container["State"]["StartedAt"],
        )
        for service, container in stack.containers().items()
    }
