"""The gateway under attack, and the services behind it."""

import contextlib

import pytest

from tests.integration.serving.attack.door import Door
from tests.integration.serving.attack.port import AttackedPort
from tests.integration.serving.hostile.attacks import MIB
from tests.stack.team.team import basic, bearer
from tests.stack.test_attack import ended
from tests.support import wait_until


@pytest.fixture(autouse=True)
def unharmed(team):
    """No container was killed for its memory, or started anew."""
    before = ended(team.stack)
    yield
    assert ended(team.stack) == before


def test_bodies_that_nobody_known_holds_keep_no_one_out(team):
    """As many as would fill serving's SERVING_BUFFER_LIMIT."""
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
        yield Door(
            team.stack.serving_port,
            "/v2/repository/index",
            b"{}",
            b"[",
            tls=team.context,
            patience=10,
            body_limit=16 * MIB,
            authorization=f"Bearer {token}",
            tells_ids=True,
        )
        team.tokens("remove", "attacker")


class TestTracking(AttackedPort):
    @pytest.fixture(scope="class")
    @classmethod
    def door(cls, team):
        path = "/api/2.0/mlflow/experiments/search"
        return Door(
            team.stack.tracking_port,
            path,
            b'{"max_results": 1}',
            b'"experiments"',
            tls=team.context,
            patience=10,
            body_limit=32 * MIB,
            faults={500},  # MLflow's own
            authorization=basic("admin", team.admin),
        )
