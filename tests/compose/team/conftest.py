"""One stack with the team overlay, for all tests here."""

import mlflow
import pytest

from harness.team import Team


@pytest.fixture(scope="package")
def team(new_stack, tmp_path_factory):
    running = new_stack("compose.team.yml")
    running.up()
    yield Team(running, tmp_path_factory.mktemp("team"))
    print("\n".join(running.trouble()))
    running.down("--volumes", "--timeout", "5")


@pytest.fixture(scope="package")
def eve(team):
    """The password of a user."""
    return team.add_user("eve")


@pytest.fixture
def as_user(team, monkeypatch):
    """Lets MLflow in this process be somebody."""

    def become(name: str, password: str) -> mlflow.MlflowClient:
        for variable, value in team.environment(name, password).items():
            monkeypatch.setenv(variable, value)
        return mlflow.MlflowClient(team.tracking)

    return become
