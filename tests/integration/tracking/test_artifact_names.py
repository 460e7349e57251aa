"""A name that a store cannot take is refused at once and named, on a bucket and on a disk."""

import time

import httpx
import pytest
from mlflow.tracking import MlflowClient
from requests import HTTPError

ROOT = "/api/2.0/mlflow-artifacts/artifacts"
UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"
AT_ONCE = 10
"""Seconds; MLflow's client tries for 249 where it believes that the server is at fault."""
LONG = "n" * 300


@pytest.fixture(scope="module", params=["tracking", "local_tracking"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def run(server):
    client = MlflowClient(server.uri)
    run = client.create_run("0").info.run_id
    client.log_text(run, "x", "file")
    client.log_text(run, "x", "folder/file")
    return run


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.uri, timeout=60) as http:
        yield http


@pytest.mark.parametrize("name", ["file/below", "file/far/below", "folder"])
def test_mlflows_client_is_told_at_once(server, run, name):
    started = time.monotonic()
    with pytest.raises(HTTPError) as refused:
        MlflowClient(server.uri).log_text(run, "y", name)
    assert time.monotonic() - started < AT_ONCE
    assert refused.value.response.status_code == 400
    answer = refused.value.response.json()
    assert answer["error_code"] == "INVALID_PARAMETER_VALUE"
    assert f"artifacts/{name}'" in answer["message"]
    assert str(server.folder) not in answer["message"]


@pytest.mark.parametrize("name", ["file/below", "folder", LONG, " "])
def test_the_pages_upload_is_refused(http, run, name):
    answer = http.post(UPLOAD, params={"run_uuid": run, "path": name}, content=b"y")
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_what_was_there_stays(server, http, run):
    client = MlflowClient(server.uri)
    for name in ("file/below", "folder"):
        http.put(f"{ROOT}/0/{run}/artifacts/{name}", content=b"y")
    assert {(one.path, one.is_dir) for one in client.list_artifacts(run)} == {
        ("file", False),
        ("folder", True),
    }
    for name in ("file", "folder/file"):
        assert http.get(f"{ROOT}/0/{run}/artifacts/{name}").text == "x"


@pytest.mark.parametrize(
    ("name", "statuses"),
    [("folder", (400, 404)), ("folder/", (400, 404)), ("file/below", (404,)), (LONG, (400, 404))],
)
def test_what_is_no_file_is_not_sent(http, run, name, statuses):
    assert http.get(f"{ROOT}/0/{run}/artifacts/{name}").status_code in statuses
    got = http.get("/get-artifact", params={"run_uuid": run, "path": name})
    assert got.status_code in statuses


@pytest.mark.parametrize("name", ["file", "file/below", "nothing", LONG])
def test_what_is_no_folder_lists_as_ever(http, run, name):
    path = f"0/{run}/artifacts/{name}"
    assert http.get(ROOT, params={"path": path}).status_code in (200, 400)
    assert http.delete(f"{ROOT}/0/{run}/artifacts/no/{name}").status_code == 200
