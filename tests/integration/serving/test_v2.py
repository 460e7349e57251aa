"""The Open Inference Protocol, as its clients see it."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sklearn.datasets import load_wine

from model_server import __version__
from tests.integration.serving.models import WINE, act, wine_request

COLUMNS = list(WINE.data.columns)
TYPES = {"FP64": float, "BYTES": str}


def by_column(rows: int = 1) -> dict:
    return {
        "inputs": [
            {"name": name, "shape": [rows], "datatype": "FP64", "data": values.tolist()}
            for name, values in WINE.data.head(rows).items()
        ]
    }


def in_one(rows: int = 1) -> dict:
    data = WINE.data.head(rows).to_numpy()
    shape = list(data.shape)
    return {
        "inputs": [
            {"name": "predict", "shape": shape, "datatype": "FP64", "data": data.ravel().tolist()}
        ]
    }


def infer(server, body, model="wine", **options):
    return server.http.post(f"/v2/models/{model}/infer", json=body, **options)


def assert_error(answer, status, error_code=None) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "error_code", "message"}
    assert body["error"] == body["message"]
    if error_code:
        assert body["error_code"] == error_code
    return body["error"]


def test_server_metadata_and_health(server):
    assert server.http.get("/v2").json() == {
        "name": "model-server",
        "version": __version__,
        "extensions": ["model_repository"],
    }
    assert server.http.get("/v2/health/live").json() == {"live": True}
    assert server.http.get("/v2/health/ready").json() == {"live": True, "ready": True}


def test_model_metadata(server):
    metadata = server.http.get("/v2/models/wine").json()
    assert metadata == server.http.get("/v2/models/wine/versions/1").json()
    assert (metadata["name"], metadata["versions"]) == ("wine", ["1"])
    assert metadata["platform"] == "mlflow_sklearn"
    assert metadata["inputs"] == [
        {"name": name, "datatype": "FP64", "shape": [-1]} for name in COLUMNS
    ]
    assert metadata["outputs"] == [{"name": "predict", "datatype": "INT64", "shape": [-1]}]
    metadata = server.http.get("/v2/models/chameleon").json()
    assert metadata["inputs"] == [
        {
            "name": "act",
            "datatype": "BYTES",
            "shape": [-1],
            "parameters": {"content_type": "str"},
        }
    ]
    assert metadata["outputs"] == []


def test_model_ready(server):
    for path in ("/v2/models/wine/ready", "/v2/models/wine/versions/1/ready"):
        assert server.http.get(path).json() == {"name": "wine", "ready": True}


def test_name_with_an_escaped_slash(server):
    path = "/v2/models/odd%2Fn%C3%A4me"
    assert server.http.get(path).json()["name"] == "odd/näme"
    body = {"inputs": [{"name": "act", "shape": [1], "datatype": "BYTES", "data": ["answer"]}]}
    answer = server.http.post(f"{path}/infer", json=body).json()
    assert answer["model_name"] == "odd/näme"
    assert answer["outputs"][0]["data"] == [2]


@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("body", [by_column, in_one])
def test_same_answers_as_invocations(server, rows, body):
    expected = server.ask(wine_request(rows)).json()["predictions"]
    answer = infer(server, {**body(rows), "id": "mine"}, headers={"x-request-id": "seen"})
    assert answer.json() == {
        "model_name": "wine",
        "model_version": "1",
        "id": "mine",
        "outputs": [{"name": "predict", "shape": [rows], "datatype": "INT64", "data": expected}],
    }
    assert answer.headers["x-model-name"] == "wine"
    assert answer.headers["x-model-version"] == "1"
    assert answer.headers["x-request-id"] == "seen"


def test_both_protocols_at_once(server):
    """Each gets its own answer in its own protocol, in one batch or not."""
    data = load_wine().data
    expected = server.ask({"dataframe_split": {"columns": COLUMNS, "data": data.tolist()}}).json()[
        "predictions"
    ]

    def ask(at: int) -> int:
        row = data[at].tolist()
        if at % 2:
            content = {"dataframe_split": {"columns": COLUMNS, "data": [row]}}
            return server.ask(content).json()["predictions"][0]
        tensor = {"name": "x", "shape": [1, len(row)], "datatype": "FP64", "data": [row]}
        return infer(server, {"inputs": [tensor]}).json()["outputs"][0]["data"][0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(len(data)))) == expected


def test_version_in_the_path(server):
    answer = server.http.post("/v2/models/wine/versions/1/infer", json=by_column())
    assert answer.json()["model_version"] == "1"
    for path in ("/infer", "/ready", ""):
        url = f"/v2/models/wine/versions/2{path}"
        answer = server.http.post(url, json=by_column()) if path == "/infer" else None
        answer = answer or server.http.get(url)
        assert "version 1 is" in assert_error(answer, 404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("path", ["", "/ready", "/versions/1", "/versions/1/ready"])
def test_unknown_model(server, path):
    answer = server.http.get(f"/v2/models/nobody{path}")
    assert_error(answer, 404, "RESOURCE_DOES_NOT_EXIST")
    assert_error(infer(server, by_column(), "nobody"), 404, "RESOURCE_DOES_NOT_EXIST")


def test_misfits_are_422_and_what_is_no_json_is_400(server):
    def change(**changes) -> dict:
        body = in_one()
        body["inputs"][0] |= changes
        return body

    for changes in (
        {"shape": [1, 12]},
        {"shape": [-1, 13]},
        {"shape": [10**12, 13]},
        {"shape": [10**30]},
        {"datatype": "BYTES"},
        {"datatype": "FP128"},
        {"data": ["x"] * 13},
        {"data": None},
    ):
        assert_error(infer(server, change(**changes)), 422, "INVALID_PARAMETER_VALUE")
    missing = {"inputs": by_column()["inputs"][1:]}
    assert "alcohol" in assert_error(infer(server, missing), 422)
    wanted = {**in_one(), "outputs": [{"name": "other"}]}
    assert "'other'" in assert_error(infer(server, wanted), 422)
    for content in (b"", b"{", json.dumps(in_one()).encode() + b"\x00\x00\x00\x00"):
        answer = server.http.post("/v2/models/wine/infer", content=content)
        assert_error(answer, 400, "BAD_REQUEST")
    headers = {"content-type": "text/csv"}
    assert_error(infer(server, in_one(), headers=headers), 415)


def test_errors_outside_of_a_model_have_the_same_shape(server):
    assert_error(server.http.get("/v2/nothing"), 404, "ENDPOINT_NOT_FOUND")
    assert_error(server.http.get("/v2/models/wine/infer"), 405)
    assert_error(server.http.get("/v2", headers={"host": "evil.test"}), 403)
    large = {"content": b" " * 1_000_001}
    assert_error(server.http.post("/v2/models/wine/infer", **large), 413)


def test_errors_of_the_model(server):
    def ask(doing: str):
        data = act(doing)["dataframe_split"]["data"][0]
        tensor = {"name": "act", "shape": [1], "datatype": "BYTES", "data": data}
        return infer(server, {"inputs": [tensor]}, "chameleon")

    told = assert_error(ask("raise"), 400, "BAD_REQUEST")
    assert "ValueError: secret of weights.bin" in told  # without the folder, and what was sent
    assert_error(ask("raise-exhausted"), 429, "RESOURCE_EXHAUSTED")
    assert_error(ask("crash"), 503, "TEMPORARILY_UNAVAILABLE")
    answer = server.wait_for(
        lambda: (answer := ask("answer")).status_code == 200 and answer, 20, "a new worker"
    )
    assert answer.json()["outputs"] == [
        {"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]}
    ]


def test_repository_index(server):
    index = server.http.post("/v2/repository/index").json()
    assert {entry["name"] for entry in index} == {"wine", "chameleon", "odd/näme"}
    wine = next(entry for entry in index if entry["name"] == "wine")
    assert wine == {"name": "wine", "version": "1", "state": "READY", "reason": ""}
    assert server.http.post("/v2/repository/index", json={"ready": True}).json() == index
    assert_error(server.http.post("/v2/repository/index", json={"ready": "x"}), 400)


def test_index_names_what_fails_and_why(models, tmp_path):
    from harness.serving import ModelServer

    folder = tmp_path / "empty"
    folder.mkdir()
    server = ModelServer(tmp_path / "server", SERVING_MODELS=f"wine={models.wine},no={folder}")
    server.process.start()
    try:
        entry = server.process.wait_for(
            lambda: (
                (index := server.http.post("/v2/repository/index").json())
                and len(index) == 2
                and index[0]["state"] == "UNAVAILABLE"
                and index[0]
            ),
            90,
            "the failure to be known",
        )
        assert (entry["name"], entry["version"]) == ("no", "1")
        assert "MLmodel" in entry["reason"]
        assert_error(server.http.get("/v2/models/no/ready"), 503, "TEMPORARILY_UNAVAILABLE")
        assert_error(server.http.get("/v2/models/no"), 503)
        assert "no: " in assert_error(server.http.get("/v2/health/ready"), 503)
        server.process.wait_for(
            lambda: (
                [
                    entry["name"]
                    for entry in server.http.post(
                        "/v2/repository/index", json={"ready": True}
                    ).json()
                ]
                == ["wine"]
            ),
            90,
            "wine to be ready",
        )
    finally:
        server.stop()
