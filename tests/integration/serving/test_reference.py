"""`mlflow models serve` and this server, side by side: same statuses, codes and predictions."""

import json
import os
import sys
from pathlib import Path

import httpx
import pytest

from tests.integration.serving.models import WINE, wine_request
from tests.integration.serving.test_requests import MALFORMED
from tests.support import Process, clean_environment, free_port

JSON = {"content-type": "application/json"}
ROW = WINE.data.iloc[0]
COLUMNS = list(WINE.data.columns)


@pytest.fixture(scope="module")
def reference(models, tmp_path_factory):
    port = free_port()
    folder = tmp_path_factory.mktemp("reference")
    command = "from mlflow.cli import cli; cli()"
    arguments = ["models", "serve", "-m", models.wine, "-p", port, "--env-manager", "local"]
    # It runs `uvicorn` by name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = Process(
        [sys.executable, "-c", command, *arguments], clean_environment(PATH=path), folder / "log"
    )
    url = f"http://127.0.0.1:{port}"
    # No connection is used twice: the reference drops them at its internal errors.
    once = httpx.Limits(max_keepalive_connections=0)
    with process, httpx.Client(base_url=url, timeout=60, limits=once) as http:
        process.wait_for(lambda: http.get("/ping").status_code == 200, 90, "mlflow models serve")
        yield http


def body(**content: object) -> tuple[bytes, dict]:
    return json.dumps(content).encode(), JSON


def split(columns: list, rows: list) -> tuple[bytes, dict]:
    return body(dataframe_split={"columns": columns, "data": rows})


VALUES = ROW.tolist()
GOOD = {
    "split": body(**wine_request()),
    "split, many rows": body(**wine_request(rows=50)),
    "split, no rows": split(COLUMNS, []),
    "split with index": body(dataframe_split={"columns": COLUMNS, "index": [7], "data": [VALUES]}),
    "records": body(dataframe_records=[ROW.to_dict(), ROW.to_dict()]),
    "inputs by column": body(inputs={name: [value] for name, value in ROW.items()}),
    "instances": body(instances=[ROW.to_dict()]),
    "inputs as rows": body(inputs=[VALUES]),
    "columns in another order": split(COLUMNS[::-1], [VALUES[::-1]]),
    "one column too many": split([*COLUMNS, "more"], [[*VALUES, 1]]),
    "one column too few": split(COLUMNS[1:], [VALUES[1:]]),
    "text for a number": split(COLUMNS, [["x", *VALUES[1:]]]),
    "null for a number": split(COLUMNS, [[None, *VALUES[1:]]]),
    "integers for floats": split(COLUMNS, [[int(value) for value in VALUES]]),
    "unused params": body(**wine_request(), params={"a": 1}),
    "params of a list": body(**wine_request(), params=[1]),
    "further keys": body(**wine_request(), signature_name="x"),
    "charset": (body(**wine_request())[0], {"content-type": "application/json; charset=UTF-8"}),
    "csv": (WINE.data.head(3).to_csv(index=False).encode(), {"content-type": "text/csv"}),
}
CARELESS = {"deeply nested", "no content type"}
"""Where the reference answers 500 to a client's mistake."""


@pytest.mark.parametrize("case", [*GOOD, *MALFORMED])
def test_same_answer(case, reference, server):
    content, headers = (GOOD | MALFORMED)[case]
    theirs = reference.post("/invocations", content=content, headers=headers)
    ours = server.http.post("/invocations", content=content, headers=headers)
    if theirs.status_code >= 500:
        assert case in CARELESS, (theirs.status_code, theirs.text)
        assert 400 <= ours.status_code < 500
        return
    assert ours.status_code == theirs.status_code, (ours.text, theirs.text)
    if theirs.status_code == 200:
        assert ours.json() == theirs.json()
    elif theirs.status_code != 415:
        assert ours.json()["error_code"] == theirs.json()["error_code"]


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_same_probes(path, reference, server):
    theirs, ours = reference.get(path), server.http.get(path)
    assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
