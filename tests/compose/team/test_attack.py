"""The gateway under attack, and the services behind it."""

import contextlib

import pytest

from harness.team import basic, bearer
from harness.waiting import wait_until
from tests.compose.doors import serving_door, tracking_door, unharmed
from tests.integration.serving.attack.door import Door
from tests.integration.serving.attack.port import AttackedPort
from tests.integration.serving.hostile.attacks import MIB


@pytest.fixture(autouse=True)
def nothing_ends(team):
    with unharmed(team.stack):
        yield


def test_bodies_that_nobody_known_holds_keep_no_one_out(team):
    """Sends as many as would fill serving's SERVING_BUFFER_LIMIT."""
    token = team.tokens("add", "known", "--models", "*")
    path, size = "/v2/repository/index", 16 * MIB
    nobody = Door(team.stack.serving_port, path, b" " * size, b"", tls=team.context)
    known = bearer(token)
    with contextlib.ExitStack() as held, team.client() as http:
        index = f"{team.serving}{path}"
        wait_until(lambda: http.post(index, headers=known).status_code == 200, 5, "it is known")
        for _ in range(20):
            sock, _ = held.enter_context(nobody.opened())
            with contextlib.suppress(OSError):  # refused, and closed
                sock.sendall(nobody.request()[:-1])
        answer = http.post(index, content=b"{}".ljust(100), headers=known)
        assert answer.status_code == 200, answer.text
    team.tokens("remove", "known")


class TestServing(AttackedPort):
    @pytest.fixture(scope="class")
    @classmethod
    def door(cls, team):
        token = team.tokens("add", "attacker", "--models", "*", "--manage")
        authorization = f"Bearer {token}"
        yield serving_door(team.stack.serving_port, tls=team.context, authorization=authorization)
        team.tokens("remove", "attacker")


class TestTracking(AttackedPort):
    @pytest.fixture(scope="class")
    @classmethod
    def door(cls, team):
        return tracking_door(
            team.stack.tracking_port,
            tls=team.context,
            patience=10,
            authorization=basic("admin", team.admin),
        )
