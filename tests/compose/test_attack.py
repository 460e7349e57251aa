"""The shipped containers, with their limits, under attack."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.compose.doors import serving_door, tracking_door, unharmed
from tests.integration.serving.attack.port import AttackedPort
from tests.integration.serving.hostile.attacks import MIB

BODIES = 40
"""Together far more than a container's memory."""


@pytest.fixture(autouse=True)
def nothing_ends(stack):
    with unharmed(stack):
        yield


class TestServing(AttackedPort):
    @pytest.fixture(scope="class")
    @classmethod
    def door(cls, stack):
        return serving_door(stack.serving_port)

    def test_more_bodies_than_memory(self, door):
        """Bodies without a last byte, all at once: 429 for those that the server cannot hold."""
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
        return tracking_door(stack.tracking_port)
