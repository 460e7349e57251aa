"""The ledger finds whatever a tracking server does not give back as it was acknowledged."""

import httpx
import mlflow
import pytest
from mlflow.entities import Param

from chaos.ledger import ARTIFACTS, Ledger
from chaos.load import steps


@pytest.fixture(scope="module")
def client(local_tracking):
    return mlflow.MlflowClient(local_tracking.uri, local_tracking.uri)


@pytest.fixture
def kept(client, local_tracking):
    """A ledger of things that are all there, and their run's id."""
    ledger = Ledger()
    run_id = client.create_run("0").info.run_id
    ledger.created(run_id)
    metrics, params = steps(0, 3), [Param("depth", "3")]
    client.log_batch(run_id, metrics, params)
    ledger.logged(run_id, metrics, params)
    client.set_terminated(run_id)
    ledger.ended(run_id, "FINISHED")
    path = f"ledger/{run_id}.bin"
    ledger.sending(path, b"weights")
    httpx.put(f"{local_tracking.uri}{ARTIFACTS}/{path}", content=b"weights").raise_for_status()
    ledger.stored(path)
    return ledger, run_id


def test_what_is_there_is_not_lost(kept, local_tracking):
    ledger, _ = kept
    assert ledger.counts() == {
        "runs": 1,
        "metrics": 30,
        "params": 1,
        "artifacts": 1,
        "versions": 0,
        "aliases": 0,
    }
    assert ledger.lost(local_tracking.uri) == []


def test_what_is_not_there_is_lost(kept, client, local_tracking):
    ledger, run_id = kept
    ledger.created("0" * 32)
    ledger.logged(run_id, steps(3, 1), [Param("trees", "100")])
    ledger.ended(run_id, "FAILED")
    ledger.stored("ledger/nowhere.bin")
    ledger.sending("ledger/nowhere.bin", b"")
    ledger.registered("nobody", "1", run_id)
    client.create_registered_model("ledger")
    ledger.moved("ledger", "champion", "1")

    lost = ledger.lost(local_tracking.uri)

    assert "run 00000000000000000000000000000000: RESOURCE_DOES_NOT_EXIST" in lost
    assert f"run {run_id}: FINISHED instead of FAILED" in lost
    assert f"run {run_id}: param trees" in lost
    assert f"run {run_id}: 1 of 4 values of m0" in lost
    assert "artifact ledger/nowhere.bin: status 404" in lost
    assert "version 1 of nobody: RESOURCE_DOES_NOT_EXIST" in lost
    assert "alias champion of ledger: names None" in lost
    assert len(lost) == 6 + 10  # a line for each of ten keys


def test_an_artifact_that_is_there_in_part_is_lost_though_nobody_was_told_of_it(
    kept, local_tracking
):
    ledger, run_id = kept
    path = f"ledger/{run_id}-half.bin"
    ledger.sending(path, b"all of it")
    assert ledger.lost(local_tracking.uri) == []
    httpx.put(f"{local_tracking.uri}{ARTIFACTS}/{path}", content=b"all").raise_for_status()
    assert ledger.lost(local_tracking.uri) == [f"artifact {path}: 3 bytes with another digest"]
