"""The gateway under attack, and the services behind it."""

import time

import pytest

from tests.integration.serving.attack.door import Door
from tests.integration.serving.attack.port import AttackedPort
from tests.integration.serving.hostile.client import HangError
from tests.stack.team.team import basic
from tests.stack.test_attack import ended


@pytest.fixture(autouse=True)
def unharmed(team):
    """No container was killed for its memory, or started anew."""
    before = ended(team.stack)
    yield
    assert ended(team.stack) == before


class Gateway(AttackedPort):
    def test_a_head_must_come_in_time(self, door):
        with door.opened(30) as (sock, client):
            sock.sendall(door.request()[:60])
            began = time.monotonic()
            try:
                answer = client.read()
            except HangError:
                pytest.fail("it waits for the rest")
            assert answer is None or answer.status == 408
            assert time.monotonic() - began > 5


class TestServing(Gateway):
    @pytest.fixture(scope="class")
    def door(self, team):
        token = team.tokens("add", "attacker", "--models", "*", "--manage")
        yield Door(
            team.stack.serving_port,
            "/v2/repository/index",
            b"{}",
            b"[",
            tls=team.context,
            authorization=f"Bearer {token}",
            tells_ids=True,
        )
        team.tokens("remove", "attacker")


class TestTracking(Gateway):
    @pytest.fixture(scope="class")
    def door(self, team):
        path = "/api/2.0/mlflow/experiments/search"
        return Door(
            team.stack.tracking_port,
            path,
            b'{"max_results": 1}',
            b'"experiments"',
            tls=team.context,
            authorization=basic("admin", team.admin),
        )
