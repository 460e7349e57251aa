"""The shipped containers, with their limits, under attack."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.serving.attack.door import Door
from tests.integration.serving.attack.port import AttackedPort
from tests.integration.serving.hostile.attacks import MIB

BODIES = 40
"""Together far more than a container's memory."""


@pytest.fixture(autouse=True)
def unharmed(stack):
    """No container was killed for its memory, or started anew."""
    before = ended(stack)
    yield
    assert ended(stack) == before


def ended(stack) -> dict[str, tuple]:
    return {
        service: (
            container["State"]["OOMKilled"],
            container["RestartCount"],
            container["State"]["StartedAt"],
        )
        for service, container in stack.containers().items()
    }


class TestServing(AttackedPort):
    @pytest.fixture(scope="class")
    @classmethod
    def door(cls, stack):
        return Door(
            stack.serving_port,
            "/v2/repository/index",
            b"{}",
            b"[",
            patience=10,
            body_limit=16 * MIB,
            tells_ids=True,
        )

    def test_more_bodies_than_memory(self, door):
        """All but their last byte, all at once: 429 for those that the server cannot hold."""
        head = door.request(body=b"", path="/invocations", Content_Length=str(15 * MIB))

        with contextlib.ExitStack() as opened:
            made = [opened.enter_context(door.opened(60)) for _ in range(BODIES)]

            def send(at: int) -> None:
                with contextlib.suppress(OSError):
                    made[at][0].sendall(head)
                    for _ in range(14):
                        made[at][0].sendall(b" " * MIB)

            with ThreadPoolExecutor(BODIES) as pool:
                list(pool.map(send, range(BODIES)))
            door.check()
            statuses = [answer.status for _, client in made if (answer := client.read())]
        assert set(statuses) <= {408, 429}
        assert 429 in statuses


class TestTracking(AttackedPort):
    @pytest.fixture(scope="class")
    @classmethod
    def door(cls, stack):
        path = "/api/2.0/mlflow/experiments/search"
        return Door(
            stack.tracking_port,
            path,
            b'{"max_results": 1}',
            b'"experiments"',
            body_limit=32 * MIB,
            faults={500},  # MLflow's own
        )
