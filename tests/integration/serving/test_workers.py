"""Worker processes: as many as asked for, asleep when idle, and each fault kept to its own."""

import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from harness.serving import ModelServer, assert_error
from tests.integration.serving.models import act

TIMEOUT = 5


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    """Two models; faults in one must not show in the other."""
    running = ModelServer(
        tmp_path_factory.mktemp("workers"),
        SERVING_MODELS=f"faulty={models.chameleon},other={models.chameleon_with(answer=2)}",
        SERVING_TIMEOUT=TIMEOUT,
        SERVING_WORKER_MEMORY=900,
    ).start()
    yield running
    running.stop()


@pytest.fixture
def make(tmp_path):
    """Starts servers with settings of their own."""
    running = []

    def start(**settings: object) -> ModelServer:
        running.append(ModelServer(tmp_path / str(len(running)), **settings).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()


def is_answering(server: ModelServer, name: str, expected: int) -> bool:
    answer = server.ask(act("answer"), name)
    return answer.status_code == 200 and answer.json() == {"predictions": [expected]}


@pytest.mark.parametrize("fault", ["crash", "segfault", "hang", "leak"])
def test_fault_fails_its_own_request_alone(server, fault):
    before = server.model("other")["workers"]
    told = len(reasons(server))
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(server.ask, act(*[fault] * 12), "faulty")
        while not failing.done():
            assert is_answering(server, "other", 2)
    seconds = time.monotonic() - started
    if fault == "hang":
        assert_error(failing.result(), 504, "DEADLINE_EXCEEDED")
    elif failing.result().status_code != 200:  # a leak is seen during a request or after it
        assert_error(failing.result(), 503, "TEMPORARILY_UNAVAILABLE")
    assert seconds < TIMEOUT + 3
    (reason,) = server.wait_for(lambda: reasons(server)[told:], 20, "the loss of its worker")
    words = {"crash": "died", "segfault": "died", "hang": "no answer", "leak": "MiB"}
    assert words[fault] in reason
    server.wait_for(lambda: is_answering(server, "faulty", 1), 20, "the faulty model to be back")
    assert server.model("other")["workers"] == before


@pytest.mark.parametrize(
    ("act_", "words"),
    [
        ("panic", "Panic: the matrix is not square"),
        ("exit", "SystemExit"),
        ("interrupt", "Keyb"),
        ("unspeakable", "Unspeakable"),
    ],
)
def test_whatever_a_model_raises_is_its_own_requests_error(server, act_, words):
    before = server.model("faulty")["workers"]
    answer = server.ask(act(act_), "faulty")
    assert_error(answer, 400, "BAD_REQUEST")
    assert words in answer.json()["message"]
    assert is_answering(server, "faulty", 1)
    assert server.model("faulty")["workers"] == before


@pytest.mark.parametrize("threads", [1, 16])
def test_a_model_that_interrupts_its_process_takes_nobody_along(make, models, threads):
    server = make(SERVING_MODELS=f"model={models.chameleon}", SERVING_THREADS=threads)
    before = server.model("model")["workers"]
    with ThreadPoolExecutor(9) as pool:
        acts = ["slow", "signal", "answer"] * 3
        answers = list(pool.map(lambda one: server.ask(act(one), "model"), acts))
    assert [one.status_code for one in answers] == [200] * 9
    assert server.model("model")["workers"] == before


def test_what_loading_set_in_its_context_holds_in_every_thread(server):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: server.ask(act("context", "slow"), "other"), range(4)))
    assert [one.json()["predictions"][0] for one in answers] == [True] * 4


def test_models_that_wait_answer_side_by_side_in_one_worker(server):
    started = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: server.ask(act("slow", "process"), "other"), range(10)))
    assert time.monotonic() - started < 2.5
    assert {one.json()["predictions"][1] for one in answers} == set(
        server.model("other")["workers"]
    )


def test_a_request_that_hangs_takes_no_other_along(server):
    with ThreadPoolExecutor(2) as pool:
        hanging = pool.submit(server.ask, act("hang"), "other")
        slow = pool.submit(server.ask, act("slow"), "other")
        while not hanging.done():
            assert is_answering(server, "other", 2)
        assert_error(hanging.result(), 504, "DEADLINE_EXCEEDED")
        assert slow.result().status_code == 200
    assert is_answering(server, "other", 2)


@pytest.mark.parametrize("threads", [1, 16])
def test_others_are_answered_by_the_next_worker(make, models, threads):
    server = make(SERVING_MODELS=f"model={models.chameleon}", SERVING_THREADS=threads)
    assert server.model("model")["threads"] == threads
    with ThreadPoolExecutor(12) as pool:
        good = [pool.submit(server.ask, act("slow"), "model") for _ in range(3)]
        bad = pool.submit(server.ask, act("slow", "crash"), "model")
        good += [pool.submit(server.ask, act("answer"), "model") for _ in range(8)]
    assert [one.result().status_code for one in good] == [200] * 11
    assert_error(bad.result(), 503, "TEMPORARILY_UNAVAILABLE")


def test_many_bad_requests_at_one_time_turn_no_good_one_away(make, models):
    server = make(SERVING_MODELS=f"model={models.chameleon}")
    assert is_answering(server, "model", 1)
    with ThreadPoolExecutor(10) as pool:
        bad = [pool.submit(server.ask, act("crash"), "model") for _ in range(8)]
        good = [pool.submit(is_answering, server, "model", 1) for _ in range(8)]
    assert all(one.result() for one in good)
    for one in bad:
        assert_error(one.result(), 503, "TEMPORARILY_UNAVAILABLE")


def test_model_that_ends_every_worker_turns_requests_away_at_once(make, models):
    server = make(SERVING_MODELS=f"model={models.chameleon}")
    told = []
    while not any("keeps failing" in text for text in told):
        answer = server.ask(act("crash"), "model")
        assert_error(answer, 503, "TEMPORARILY_UNAVAILABLE")
        told.append(answer.json()["message"])
        assert len(told) < 30
    server.wait_for(lambda: is_answering(server, "model", 1), 40, "the model to be back")


def reasons(server: ModelServer) -> list[str]:
    """Why workers were lost."""
    return [line["reason"] for line in server.log_lines("worker lost")]


def test_what_a_model_starts_ends_with_its_worker(make, models):
    server = make(SERVING_MODELS=f"faulty={models.chameleon}")
    (worker,) = server.model("faulty")["workers"]
    server.ask(act("fork"), "faulty")
    (child,) = psutil.Process(worker).children()
    server.ask(act("crash"), "faulty")
    assert not psutil.wait_procs([child], timeout=10)[1]
    server.wait_for(lambda: is_answering(server, "faulty", 1), 20, "the faulty model to be back")


def test_replicas_share_the_work(make, models):
    server = make(SERVING_MODELS=f"model={models.chameleon}", SERVING_REPLICAS=3)
    workers = server.model("model")["workers"]
    assert len(workers) == 3
    with ThreadPoolExecutor(3) as pool:
        started = time.monotonic()
        answers = list(pool.map(lambda _: server.ask(act("slow", "process"), "model"), range(3)))
        seconds = time.monotonic() - started
    assert {answer.json()["predictions"][1] for answer in answers} == set(workers)
    assert seconds < 3
    psutil.Process(workers[0]).kill()
    server.wait_for(
        lambda: (
            len(server.model("model")["workers"]) == 3
            and workers[0] not in server.model("model")["workers"]
        ),
        20,
        "a new replica",
    )


def test_idle_model_sleeps_until_it_is_asked(make, models):
    server = make(SERVING_MODELS=f"model={models.chameleon}", SERVING_IDLE=2)
    (worker,) = server.model("model")["workers"]
    process = psutil.Process(worker)
    server.wait_for(lambda: server.model("model")["asleep"], 20, "the model to sleep")
    assert not psutil.wait_procs([process], timeout=10)[1]
    assert server.model("model")["state"] == "serving"
    assert server.is_ready()
    assert 'model_server_workers{model="model",version="1"} 0.0' in server.http.get("/metrics").text
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.ask(act("process"), "model"), range(8)))
    (woken,) = {answer.json()["predictions"][0] for answer in answers}
    assert woken != worker
    server.wait_for(lambda: server.model("model")["asleep"], 20, "the model to sleep again")


def test_a_long_request_is_no_idle_time(make, models):
    server = make(SERVING_MODELS=f"model={models.chameleon}", SERVING_IDLE=3)
    answer = server.ask(act(*["slow"] * 4, "process"), "model")
    worker = answer.json()["predictions"][-1]
    since = time.monotonic()
    while time.monotonic() < since + 1:
        assert server.model("model")["workers"] == [worker]


def test_model_that_cannot_be_woken_says_so_and_recovers(make, models, tmp_path):
    """Its file is gone when it is asked, and comes back."""
    folder = models.chameleon_with(answer=3)
    server = make(SERVING_MODELS=f"model={folder}", SERVING_IDLE=0.5)
    server.wait_for(lambda: server.model("model")["asleep"], 20, "the model to sleep")
    aside = tmp_path / "aside"
    (folder / "MLmodel").rename(aside)
    try:
        server.wait_for(
            lambda: server.ask(act("answer"), "model").status_code == 503, 20, "a refusal"
        )
        assert_error(server.ask(act("answer"), "model"), 503, "TEMPORARILY_UNAVAILABLE")
    finally:
        aside.rename(folder / "MLmodel")
    server.wait_for(lambda: is_answering(server, "model", 3), 30, "the model to be back")
