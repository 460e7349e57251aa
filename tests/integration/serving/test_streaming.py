"""Answers that are streamed: events as the model yields them, to clients of every kind."""

import contextlib
import http.client
import json
import signal
import socket
import statistics
import time
from pathlib import Path

import httpx
import mlflow
import pytest

from harness.serving import ModelServer, assert_error
from harness.waiting import wait_until

SOURCE = Path(__file__).with_name("streamers.py").read_text()
TIMEOUT = 2
"""Seconds for each event."""
BODY = {"responses": "input", "agent": "messages", "chat": "messages"}
"""Field of a model's messages."""


def save(name: str, root: Path) -> Path:
    code = root / f"{name}.py"
    code.write_text(f"{SOURCE}\n\nmlflow.models.set_model({name.title()}())\n")
    mlflow.pyfunc.save_model(root / name, python_model=str(code), pip_requirements=["mlflow"])
    return root / name


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("streaming")
    names = ("responses", "agent", "chat", "plain", "unable")
    models = ",".join(f"{name}={save(name, root)}" for name in names)
    running = ModelServer(
        root / "server", SERVING_MODELS=models, SERVING_DEFAULT="responses", SERVING_TIMEOUT=TIMEOUT
    ).start()
    yield running
    running.stop()


class Gate:
    """A folder through which the test lets a model's events."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, *numbers: int) -> None:
        for number in numbers:
            (self.folder / f"{number}").touch()

    def is_closed(self, server: ModelServer) -> bool:
        """Whether the model's `finally` has run, which it says in the log."""
        return bool(server.log_lines(f"closed {self.folder}"))

    def wait_for_end(self, server: ModelServer) -> None:
        wait_until(lambda: self.is_closed(server), 10, "the generator's end")


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


def asking(model: str = "responses", *, stream: bool = True, **wanted: object) -> dict:
    content = {BODY[model]: [{"role": "user", "content": "x"}], "stream": stream}
    return content | ({"custom_inputs": wanted} if wanted else {})


@contextlib.contextmanager
def streamed(server: ModelServer, content: dict, model: str = "responses"):
    """The answer, and its events while they come."""
    path = f"/models/{model}/invocations"
    with server.http.stream("POST", path, json=content) as answer:
        yield answer, parsed(answer)


def parsed(answer: httpx.Response):
    for line in answer.iter_lines():
        if line:
            name, separator, data = line.partition(": ")
            assert (name, separator) == ("data", ": "), line
            yield data if data == "[DONE]" else json.loads(data)


def all_events(server: ModelServer, content: dict, model: str = "responses") -> list:
    with streamed(server, content, model) as (answer, events):
        assert answer.status_code == 200, answer.read()
        return list(events)


def number(event: dict) -> int:
    return int(event["delta"].split()[0])


def test_events_arrive_while_the_model_still_runs(server, gate):
    gate.open(0)
    with streamed(server, asking(gate=str(gate.folder))) as (answer, events):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-model-name"] == "responses"
        assert answer.headers["x-request-id"]
        assert number(next(events)) == 0
        gate.open(1)
        assert number(next(events)) == 1
        assert not gate.is_closed(server)
        gate.open(2)
        assert number(next(events)) == 2
        assert list(events) == ["[DONE]"]
    gate.wait_for_end(server)


def test_chat_agents_stream_with_their_context(server):
    content = asking("agent") | {"context": {"user_id": "me"}}
    *events, last = all_events(server, content, "agent")
    assert [event["delta"] for event in events] == [
        {"role": "assistant", "content": f"{at} me", "id": "0"} for at in range(3)
    ]
    assert last == "[DONE]"


def test_chat_models_stream_with_their_params(server):
    *events, last = all_events(server, asking("chat") | {"temperature": 0.5}, "chat")
    assert [event["choices"][0]["delta"]["content"] for event in events] == [
        "0 0.5",
        "1 0.5",
        "2 0.5",
    ]
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    assert last == "[DONE]"


def test_a_python_model_streams_one_input(server):
    *events, last = all_events(server, {"inputs": ["x"], "stream": True}, "plain")
    assert [event["text"] for event in events] == ["0 x", "1 x", "2 x"]
    assert last == "[DONE]"
    several = server.ask({"inputs": ["x", "y"], "stream": True}, "plain")
    assert "one input" in assert_error(several, 400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("stream", [False, None, "absent"])
def test_without_stream_there_is_one_answer(server, stream):
    content = asking(stream=stream)
    if stream == "absent":
        del content["stream"]
    answer = server.ask(content)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["output"][0]["content"][0]["text"] == "whole"


def test_a_model_that_cannot_stream_answers_in_one_piece(server):
    answer = server.ask(asking(), "unable")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["output"][0]["content"][0]["text"] == "whole"
    assert [server.model(name)["streaming"] for name in ("unable", "responses")] == [False, True]


@pytest.mark.parametrize(
    "wrong", [{"input": 3}, {"nothing": 1}, {"input": [{"role": 1}]}, {"input": [3]}, {}]
)
def test_a_bad_body_is_refused_as_without_stream(server, wrong):
    plain, streaming = server.ask(wrong), server.ask(wrong | {"stream": True})
    assert plain.status_code == 400
    code = plain.json()["error_code"]
    assert_error(streaming, 400, code)


def test_what_fails_before_the_first_event_has_its_own_status(server):
    assert_error(server.ask(asking(fail=0, how="raise")), 400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("raise", "BAD_REQUEST"),
        ("exit", "BAD_REQUEST"),
        ("crash", "TEMPORARILY_UNAVAILABLE"),
    ],
)
def test_an_error_in_the_middle_is_an_event(server, how, code):
    first, error, last = all_events(server, asking(fail=1, how=how))
    assert number(first) == 0
    assert error["error_code"] == code
    assert error["error"]
    assert "/srv/" not in error["error"]
    assert last == "[DONE]"
    wait_until(lambda: server.ask(asking(stream=False)).status_code == 200, 20, "an answer")


def test_a_stream_without_events_is_one(server):
    assert all_events(server, asking(events=0)) == ["[DONE]"]


def test_a_client_that_goes_away_ends_the_generator(server, gate):
    gate.open(0)
    with streamed(server, asking(gate=str(gate.folder), events=100)) as (_, events):
        next(events)
    wait_until(lambda: counted(server, 499) > 0, 10, "the client's leaving to be counted")
    gate.open(1)  # it is between two events that a generator can be ended
    gate.wait_for_end(server)
    assert not (gate.folder / "2").exists()


def test_the_next_event_has_the_time_of_an_answer(server, gate):
    """The whole stream takes longer; no wait for an event does, until the last one."""
    started = time.monotonic()
    gate.open(0)
    with streamed(server, asking(gate=str(gate.folder), events=5)) as (_, events):
        for at in range(3):
            gate.open(at)
            assert number(next(events)) == at
            wait_until(
                lambda due=at: time.monotonic() - started > (due + 1) * TIMEOUT * 0.4, 10, "time"
            )
        error, last = events
    assert time.monotonic() - started > TIMEOUT
    assert error["error_code"] == "DEADLINE_EXCEEDED"
    assert last == "[DONE]"
    gate.open(3)
    gate.wait_for_end(server)


def test_streams_run_beside_each_other(server, tmp_path):
    gates = [Gate(tmp_path / name) for name in ("one", "other")]
    with contextlib.ExitStack() as stack:
        running = []
        for gate in gates:
            gate.folder.mkdir()
            gate.open(0)
            stream = streamed(server, asking(gate=str(gate.folder)))
            running.append(stack.enter_context(stream)[1])
        for at in range(3):
            for gate, events in zip(gates, running, strict=True):
                gate.open(at)
                assert number(next(events)) == at
        assert server.ask(asking(stream=False)).status_code == 200
        assert [list(events) for events in running] == [["[DONE]"], ["[DONE]"]]


def test_a_client_that_reads_slowly_makes_its_model_wait_and_gets_every_event(server):
    """Another stream of the same 40 MB is done in the meantime."""
    content = asking(events=400, size=100_000)
    with streamed(server, content) as (_, events):
        next(events)
        assert len(all_events(server, content)) == 401
        resumed = time.time()
        *others, last = events
    assert [number(event) for event in others] == list(range(1, 400))
    assert last == "[DONE]"
    assert float(others[-1]["delta"].split()[1]) > resumed


def test_the_connection_goes_on_after_a_stream(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    headers = {"content-type": "application/json"}
    for stream in (True, False, True):
        connection.request("POST", "/invocations", json.dumps(asking(stream=stream)), headers)
        sock = connection.sock
        answer = connection.getresponse()
        body = answer.read().decode()
        assert body.endswith("data: [DONE]\n\n") == stream
        assert connection.sock is sock
    connection.close()


def test_http_1_0_gets_its_stream_up_to_the_end_of_the_connection(server):
    body = json.dumps(asking()).encode()
    head = b"POST /invocations HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.sendall(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, rest = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert rest.startswith(b"data: {")
    assert rest.endswith(b"\n\ndata: [DONE]\n\n")


def test_the_first_event_is_here_within_50_ms(server, capsys):
    """Measured from the model's yield; the median of 50, as the machine may be busy."""
    delays = []
    for _ in range(50):
        with streamed(server, asking(events=1)) as (_, events):
            yielded = float(next(events)["delta"].split()[1])
            delays.append(time.time() - yielded)
            assert list(events) == ["[DONE]"]
    median = statistics.median(delays) * 1000
    with capsys.disabled():
        print(f"\nfirst event: {median:.2f} ms, median of {len(delays)}")
    assert median < 50


def counted(server: ModelServer, status: int) -> float:
    name = f'model_server_requests_total{{model="responses",status="{status}"'
    page = server.http.get("/metrics").text
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


def test_each_stream_is_counted_once_by_how_it_ended(server):
    before = {status: counted(server, status) for status in (200, 400)}
    all_events(server, asking())
    all_events(server, asking(fail=1, how="raise"))
    assert {status: counted(server, status) - before[status] for status in before} == {
        200: 1,
        400: 1,
    }


def test_shutdown_lets_a_stream_finish(tmp_path, gate):
    running = ModelServer(tmp_path / "server", SERVING_MODELS=f"m={save('responses', tmp_path)}")
    try:
        running.start()
        gate.open(0)
        with streamed(running, asking(gate=str(gate.folder)), "m") as (_, events):
            assert number(next(events)) == 0
            running.process.send(signal.SIGTERM)
            running.wait_for(lambda: running.log_lines("stopping"), 10, "the end to begin")
            gate.open(1, 2)
            *others, last = events
        assert [number(event) for event in others] == [1, 2]
        assert last == "[DONE]"
        assert running.process.wait(20) == 0
    finally:
        running.stop()
