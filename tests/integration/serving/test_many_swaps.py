"""Aliases that move back and forth, again and again: nobody waits, and nothing piles up."""

import contextlib
import os
import time

import psutil
import pytest

from harness.load import Load
from harness.serving import ModelServer
from tests.integration.serving.models import act

FULL = os.environ.get("FULL") == "1"
MOVES = 200 if FULL else 20
SERVED_WITHIN = 1.5
"""Seconds from the alias to the first answer."""
SLOWEST = SERVED_WITHIN if FULL else 5
"""Seconds: without FULL, other tests run beside this one."""
SETTLED = 6
"""Moves after which nothing may grow any more."""
MORE_MEMORY = 8 * 2**20
"""Bytes that the server may have more after all moves: what its allocator keeps."""


@pytest.fixture
def server(local_tracking, tmp_path):
    running = ModelServer(tmp_path, MLFLOW_TRACKING_URI=local_tracking.uri, SERVING_MODELS="swaps")
    running.process.start()
    yield running
    running.stop()


def at_rest(server: ModelServer, folder) -> dict[str, int] | None:
    """What must not grow; None while an old version has not ended, or what is served is being
    written down."""
    page = server.http.get("/metrics").text.splitlines()
    series = [line for line in page if 'model="swaps"' in line]
    versions = {line.partition('version="')[2].partition('"')[0] for line in series}
    if len(versions) > 1 or (folder / "cache" / "index.json.new").exists():
        return None
    front = psutil.Process(server.process.pid)
    return {
        "processes": len(server.family()),
        "descriptors": front.num_fds(),
        "series": len(series),
        "files": sum(path.is_file() for path in (folder / "cache").rglob("*")),
    }


def test_moves_back_and_forth_under_load(server, shelf, models, tmp_path, record_property):
    versions = [shelf.publish("swaps", models.chameleon_with(answer=n)) for n in (1, 2)]
    shelf.promote("swaps", versions[0])
    server.wait_for(lambda: server.model("swaps").get("state") == "serving", 90, "the first one")
    front = psutil.Process(server.process.pid)
    seconds = []
    with Load(f"{server.url}/models/swaps/invocations", act("answer")) as load:

        def move(number: int) -> None:
            version = versions[number % 2]
            since = time.monotonic()
            shelf.promote("swaps", version)
            seconds.append(
                server.wait_for(lambda: load.first(version, since), 30, f"version {version}")
            )

        for number in range(1, SETTLED + 1):
            move(number)
        before = server.wait_for(lambda: at_rest(server, tmp_path), 20, "the old worker to end")
        memory_before = front.memory_info().rss
        for number in range(SETTLED + 1, MOVES + 1):
            move(number)
        with contextlib.suppress(AssertionError):
            server.wait_for(lambda: at_rest(server, tmp_path) == before, 20, "the same again")
        assert at_rest(server, tmp_path) == before
        more = front.memory_info().rss - memory_before
    seconds.sort()
    median, most = seconds[len(seconds) // 2], seconds[-1]
    record_property("median_seconds_to_serve", round(median, 2))
    record_property("most_seconds_to_serve", round(most, 2))
    print(f"{MOVES} moves: median {median:.2f} s, most {most:.2f} s, {more / 2**20:+.1f} MiB")
    assert not load.failures()
    right = {versions[0]: [1], versions[1]: [2]}
    assert all(sample.prediction == right[sample.version] for sample in load.samples)
    assert most < SLOWEST
    assert more < MORE_MEMORY
