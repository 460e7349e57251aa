"""The entry points by `mlflow run`, as a user runs them."""

import pytest

from harness.projects import Runs
from tests.integration.projects.registry.desk import TRUE, exact


@pytest.fixture
def runs(local_tracking, tmp_path_factory):
    return Runs(local_tracking.uri, tmp_path_factory.mktemp("project"), "registry")


def test_promotion(desk, runs):
    version = desk.version(*exact())
    parameters = {"name": desk.name, "version": version, "data": desk.table(TRUE), "target": "y"}

    status, output, run = runs.run(
        f"promote {desk.name}", entry="promote", **parameters, metric="max_error", min="0.5"
    )

    assert status == 0, output
    assert "Traceback" not in output
    assert run.info.status == "FINISHED"
    assert run.data.tags["promotion"] == f"{desk.name} version 1: there was no champion yet"
    assert f"champion   champion of {desk.name} is version 1" in output
    assert desk.holder() == version
    assert desk.tags(version)["promoted_by"].endswith(f"(run {run.info.run_id})")


def test_what_is_refused_fails_the_run_in_one_line(desk, runs):
    version = desk.version(*exact())
    desk.done("alias", desk.name, "champion", version)

    parameters = {"name": desk.name, "version": "champion", "force": "false"}
    status, output, run = runs.run(f"delete {desk.name}", entry="delete", **parameters)

    assert status == 1
    (error,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert "version 1 carries the alias champion" in error
    assert "Traceback" not in output
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == error.removeprefix("error: ")
    assert desk.holder() == version


def test_main_shows_what_the_registry_holds(desk, runs):
    desk.version(*exact())

    status, output, run = runs.run(f"list {desk.name}")

    assert status == 0, output
    assert run.info.status == "FINISHED"
    assert any(line.split()[:2] == [desk.name, "1"] for line in output.splitlines())
