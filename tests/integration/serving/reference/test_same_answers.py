"""`mlflow models serve` and this server on the same models, asked the same: statuses, error codes
and predictions are the same. Where the reference answers 500 to a client's mistake, ours is a 4xx.

Ours is asked one request at a time and then many at once, which merges those of the models whose
rows are independent; with its fast paths on.
"""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from harness.serving import ModelServer
from tests.integration.serving.reference.comparison import Address, agree, same
from tests.integration.serving.reference.estimators import ESTIMATORS, WINE
from tests.integration.serving.reference.from_code import FROM_CODE
from tests.integration.serving.reference.hinted import HINTED
from tests.integration.serving.reference.malformed import MALFORMED
from tests.integration.serving.reference.servers import Reference
from tests.integration.serving.reference.variations import split

MODELS = ESTIMATORS | FROM_CODE | HINTED
BY_COMMAND = {"wine", "wine-unsigned", "pipeline", "typed"}
"""Served by `mlflow models serve`; the others by what it runs."""
CARELESS = {"no content type", "deeply nested", "5000 digits"}
"""Requests to each model that the reference answers with 500 and no reason."""
BURST = 48
"""Requests that are sent before the first answer is read."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("reference-models")
    for name, model in MODELS.items():
        model.save(root / name)
    return {name: root / name for name in MODELS}


@pytest.fixture(scope="module")
def reference(folders, tmp_path_factory):
    running = Reference(folders, BY_COMMAND, tmp_path_factory.mktemp("reference"))
    try:
        yield running.start().addresses
    finally:
        running.stop()


@pytest.fixture(scope="module")
def ours(folders, tmp_path_factory):
    running = ModelServer(
        tmp_path_factory.mktemp("ours"),
        SERVING_MODELS=",".join(f"{name}={folder}" for name, folder in folders.items()),
        SERVING_DEFAULT="wine",
    )
    try:
        yield running.start()
    finally:
        running.stop()


def address(server: ModelServer, name: str) -> Address:
    return Address(server.port, f"/models/{name}/invocations")


def requests_for(name: str) -> dict:
    return MALFORMED | MODELS[name].requests()


@pytest.mark.parametrize("name", MODELS)
def test_same_answers(name, reference, ours, record_property):
    requests = requests_for(name)
    here = address(ours, name)
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(at.in_turn, requests) for at in (reference[name], here)]
        theirs, alone = (answers.result() for answers in asked)
    together = here.at_once(requests, BURST)
    careless = {
        case for case in requests if theirs[case].status >= 500 and 400 <= alone[case].status < 500
    }
    differences = [
        f"{case}\n    theirs: {theirs[case]}\n      ours: {alone[case]}"
        for case in requests
        if case not in careless and not agree(theirs[case], alone[case])
    ] + [
        f"{case}\n     alone: {alone[case]}\n   at once: {together[case]}"
        for case in requests
        if not agree(alone[case], together[case])
    ]
    record_property("compared", [len(requests), len(careless), len(differences)])
    assert not differences, f"{len(differences)} differ:\n" + "\n".join(differences[:20])
    assert careless == CARELESS
    assert any(answer.status == 200 for answer in theirs.values())


def test_requests_at_once_are_merged(ours):
    """Else nothing above was shown of merged requests."""

    def counted(name: str, stage: str = "") -> float:
        line = rf'model_server_{name}{{model="wine",{stage}version="1"}} (.+)'
        match = re.search(line, ours.http.get("/metrics").text)
        return float(match[1]) if match else 0

    def predictions() -> float:
        return counted("stage_seconds_count", 'stage="predict",')

    def received() -> float:
        return counted("frame_requests_sum") + counted("queue_requests")

    entry = ours.model("wine")
    assert entry["batching"]
    (worker,) = map(psutil.Process, entry["workers"])
    good = {f"{at}": split(WINE.head(3).to_dict("records")) for at in range(BURST)}
    before, all_in = predictions(), received() + BURST
    with ThreadPoolExecutor(1) as thread:
        worker.suspend()  # else it may be faster than a client that is given little time
        try:
            asking = thread.submit(address(ours, "wine").at_once, good, BURST)
            ours.wait_for(lambda: received() == all_in, 20, "all requests to be in")
        finally:
            worker.resume()
    assert {answer.status for answer in asking.result().values()} == {200}
    assert predictions() - before <= 2  # what the worker had, and what waited


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ping"),
        ("GET", "/health"),
        ("GET", "/version"),
        ("GET", "/invocations"),
        ("PUT", "/invocations"),
        ("DELETE", "/invocations"),
        ("POST", "/ping"),
        ("GET", "/nothing"),
        ("POST", "/nothing"),
    ],
)
def test_same_at_other_addresses(method, path, reference, ours):
    theirs = httpx.request(method, f"http://127.0.0.1:{reference['wine'].port}{path}")
    answer = ours.http.request(method, path)
    assert answer.status_code == theirs.status_code
    if theirs.status_code == 200:
        assert answer.text == theirs.text
        assert answer.headers["content-type"] == theirs.headers["content-type"]


NAN = float("nan")


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (NAN, NAN, True),
        ([{"a": NAN}], [{"a": NAN}], True),
        (0.1, 0.1 + 1e-17, True),
        (1.0, 1.0 + 1e-13, True),
        (1.0, 1.0 + 1e-11, False),
        (1, 1.0, False),
        (1, True, False),
        (NAN, None, False),
        (float("inf"), float("-inf"), False),
        ([1], [1, 2], False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ("a", "b", False),
    ],
)
def test_what_counts_as_the_same(left, right, equal):
    assert same(left, right) is equal
