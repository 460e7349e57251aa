"""Thousands of hostile requests on several connections: each is answered as declared or closed in
time, the next good one is answered right, and nothing of them stays."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.serving import ModelServer
from tests.integration.serving.hostile.attacks import Attack, attack
from tests.integration.serving.hostile.client import Answer, launch
from tests.integration.serving.hostile.targets import Target, saved
from tests.integration.serving.hostile.watch import Good, Watch

FULL = os.environ.get("FULL") == "1"
REQUESTS = 10_000 if FULL else 1_000
BATCH = 50
CLIENTS = 8
SEED = int(os.environ.get("SEED", "4"))

TIMEOUT = 20
"""Seconds from body to answer."""
LATEST = TIMEOUT + 10
"""Seconds from the connection to the last answer, or the end: a body's time to arrive, and a busy
machine's delays, beside."""
OF_THE_FRONT = {400, 403, 404, 405, 408, 413, 415, 431}
"""Nothing is at the path, or what came is not sound HTTP."""
NO_JSON = ("/metrics", "/ping", "/health", "/version")
LEAKS = (b"Traceback", b'File "', b"site-packages", b"model_server/", b"model_server.")

pytestmark = pytest.mark.timeout(3000 if FULL else 600)


@pytest.fixture(scope="module")
def targets(tmp_path_factory) -> list[Target]:
    return saved(tmp_path_factory.mktemp("hostile-models"))


@pytest.fixture(scope="module")
def server(targets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    token = folder / "token"
    token.write_text("hostile-token-0123456789")
    running = ModelServer(
        folder,
        SERVING_MODELS=",".join(f"{target.name}={target.folder}" for target in targets),
        SERVING_DEFAULT="wine",
        SERVING_TOKEN_FILE=token,
        SERVING_HEADER_TIMEOUT=1,
        SERVING_BODY_TIMEOUT=2,
        SERVING_TIMEOUT=TIMEOUT,
    ).start()
    yield running
    running.stop()


class Declared:
    """Statuses, as /openapi.json has them."""

    def __init__(self, document: dict) -> None:
        self._paths = document["paths"]

    def statuses(self, attack: Attack) -> set[int]:
        if attack.method == "OPTIONS":
            return {204} | OF_THE_FRONT
        path = attack.path.partition("?")[0]
        if "://" in path:
            path = "/" + path.split("/", 3)[3]
        item = self._item(path)
        if item is None:
            return OF_THE_FRONT
        method = "get" if attack.method == "HEAD" else attack.method.lower()
        if method not in item:
            return {403, 405}
        return {int(status) for status in item[method]["responses"]} - {500}

    def _item(self, path: str) -> dict | None:
        path = path.removesuffix("/")  # which every address may end with
        if path in self._paths:
            return self._paths[path]
        parts = path.split("/")
        for pattern, item in self._paths.items():
            names = pattern.split("/")
            if len(names) == len(parts) and all(
                name == part or name.startswith("{")
                for name, part in zip(names, parts, strict=True)
            ):
                return item
        return None


def faults(attack: Attack, answer: Answer, allowed: set[int]) -> Iterator[str]:
    """Faults of an answer."""
    if answer.status not in allowed:
        yield f"status {answer.status} is not declared"
    if not answer.headers.get("x-request-id"):
        yield "no X-Request-Id"
    if attack.request_id and answer.headers.get("x-request-id") != attack.request_id:
        yield f"another request's id: {answer.headers.get('x-request-id')}"
    if set(re.findall(rb"canary-\d+-", answer.raw)) - {attack.mark.encode()}:
        yield "another request's data"
    if attack.method == "HEAD" or answer.status == 204:
        return
    if answer.status == 200 and attack.path.startswith(NO_JSON):
        return
    try:
        content = json.loads(answer.body)
    except ValueError:
        yield "no JSON"
        return
    if answer.headers.get("content-type") != "application/json":
        yield "JSON without its type"
    if answer.status < 400:
        return
    error = {"error_code", "message"}
    if not isinstance(content, dict) or content.keys() not in (error, error | {"error"}):
        yield "not the shape of an error"
    elif not 0 < len(content["message"]) <= 2000:
        yield "a message of no use"
    for leak in LEAKS:
        if leak in answer.body:
            yield f"tells {leak.decode()}"


def test_hostile_requests(server, targets, record_property):
    print(f"SEED={SEED}")
    good = Good(server, targets)
    good.check()
    declared = Declared(server.http.get("/openapi.json").json())
    watch = Watch(server)
    statuses: Counter[tuple[str, int]] = Counter()
    problems: list[str] = []
    slowest = (0.0, "")

    def try_(number: int) -> tuple[Attack, list[Answer], str]:
        made = attack(SEED, number, targets)
        try:
            return made, launch(made, server.port, LATEST), ""
        except AssertionError as error:
            return made, [], f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(CLIENTS) as pool:
        for start in range(0, REQUESTS, BATCH):
            numbers = range(start, start + BATCH)
            for number, (made, answers, problem) in zip(
                numbers, pool.map(try_, numbers), strict=True
            ):
                allowed = declared.statuses(made) if made.path else OF_THE_FRONT | {200, 422}
                wrong = [problem] if problem else []
                for answer in answers:
                    statuses[made.kind, answer.status] += 1
                    slowest = max(slowest, (answer.seconds, f"{made.kind} ({number})"))
                    wrong += faults(made, answer, allowed)
                problems += [f"{number} ({made.kind}): {fault}" for fault in wrong]
            good.check()

    by_status = Counter()
    for (_, status), count in statuses.items():
        by_status[status] += count
    figures = {
        "requests by status": dict(sorted(by_status.items())),
        "by kind": {f"{kind} {status}": n for (kind, status), n in sorted(statuses.items())},
        "slowest": slowest,
        "MiB before": watch.memory >> 20,
        "MiB after": watch.resident() >> 20,
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
        record_property(name, value)
    assert not problems, "\n".join(problems)
    watch.check()
