"""A hundred models on one server: all answering, and all but a few asleep."""

import contextlib
import os
import time

import psutil
import pytest

from harness.serving import ModelServer
from tests.integration.serving.models import wine_request

FULL = os.environ.get("FULL") == "1"
MODELS = 100 if FULL else 10
AWAKE = 5 if FULL else 2
LIMIT_AWAKE = 3 * 2**30 * MODELS // 100 + (0 if FULL else 400 * 2**20)
LIMIT_ASLEEP = 2**30 if FULL else 600 * 2**20
"""Bytes. What a server without any model takes does not shrink with their number."""
IDLE = 40.0 if FULL else 4.0


def memory(server: ModelServer) -> int:
    """Bytes of all processes, shared pages counted once (PSS)."""
    processes = [psutil.Process(server.process.pid), *server.family()]
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):  # it has just ended
            total += process.memory_full_info().pss
    return total


def awake(server: ModelServer) -> int:
    return sum(not model["asleep"] for model in server.http.get("/models").json()["models"])


@pytest.mark.timeout(900)
def test_many_models_share_memory_and_sleep(models, tmp_path, record_property):
    names = [f"model{number}" for number in range(MODELS)]
    server = ModelServer(
        tmp_path,
        SERVING_MODELS=",".join(f"{name}={models.wine}" for name in names),
        SERVING_IDLE=IDLE,
    )
    server.process.start()
    try:
        server.wait_for(server.is_ready, 300, "all models")
        for name in names:
            assert server.ask(wine_request(), name).json() == {"predictions": [0]}
        assert awake(server) == MODELS
        all_awake = memory(server)

        def only_few_are_awake() -> bool:
            for name in names[:AWAKE]:
                assert server.ask(wine_request(), name).status_code == 200
            return awake(server) == AWAKE

        server.wait_for(only_few_are_awake, IDLE + 60, "the others to sleep")
        server.wait_for(lambda: len(server.family()) < AWAKE + 4, 20, "their processes to end")
        asleep = memory(server)
        started = time.monotonic()
        assert server.ask(wine_request(), names[-1]).json() == {"predictions": [0]}
        waking = time.monotonic() - started
    finally:
        server.stop()
    record_property("mib_awake", all_awake // 2**20)
    record_property("mib_asleep", asleep // 2**20)
    record_property("seconds_to_wake", round(waking, 3))
    print(
        f"{MODELS} models: {all_awake / 2**20:.0f} MiB, {AWAKE} awake {asleep / 2**20:.0f} MiB, "
        f"one woken in {waking:.2f} s"
    )
    assert all_awake < LIMIT_AWAKE
    assert asleep < LIMIT_ASLEEP
    assert waking < (1 if FULL else 5)
