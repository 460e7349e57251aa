"""Counting around an application, without a server: statuses, bytes, clients that leave."""

from __future__ import annotations

import asyncio
import os

import pytest
from flask import Flask
from prometheus_client import REGISTRY
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from tracking_server.metrics.counted import Counted
from tracking_server.metrics.counts import VARIABLE, Counts
from tracking_server.metrics.page import MetricsPage, last_backup
from tracking_server.metrics.routes import UNKNOWN, templates

METRICS_PORT = 9091


def scope(path="/", method="GET", port=5000, **more):
    return {"type": "http", "path": path, "method": method, "server": ("::", port), **more}


def ask(app, scope, *messages):
    """What the application sends when it is asked and then receives `messages`."""
    waiting, sent = list(messages), []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def counted(app, route):
    return Counted(app, lambda _: route, METRICS_PORT, answering(200, b"page"))


def answering(status, *chunks):
    async def app(_, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": status})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    return app


def body(*chunks):
    return [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks] + [
        {"type": "http.request"}
    ]


def value(name, route, **labels):
    return REGISTRY.get_sample_value(name, {"route": route, "method": "GET", **labels})


def test_a_request_is_counted_with_its_bytes():
    app = counted(answering(201, b"ab", b"c"), "/a")
    sent = ask(app, scope(), *body(b"1234", b"5"))
    assert [message["type"] for message in sent] == ["http.response.start"] + [
        "http.response.body"
    ] * 2
    assert value("tracking_requests_total", "/a", status="201") == 1
    assert value("tracking_request_seconds_count", "/a") == 1
    assert value("tracking_received_bytes_total", "/a") == 5
    assert value("tracking_sent_bytes_total", "/a") == 3


def test_an_application_that_raises_is_a_500_and_still_raises():
    async def broken(*_):
        raise ValueError("as it was")

    with pytest.raises(ValueError, match="as it was"):
        ask(counted(broken, "/broken"), scope())
    assert value("tracking_requests_total", "/broken", status="500") == 1
    assert REGISTRY.get_sample_value("tracking_requests_in_flight") == 0


def test_a_client_that_leaves_before_the_answer_is_no_fault_of_the_server():
    async def reading(_, receive, __):
        while (await receive())["type"] != "http.disconnect":
            pass

    ask(counted(reading, "/left"), scope(), *body(b"1")[:1], {"type": "http.disconnect"})
    assert value("tracking_requests_total", "/left", status="499") == 1
    assert value("tracking_requests_total", "/left", status="500") is None


def test_the_metrics_port_is_answered_by_the_page_and_not_counted():
    sent = ask(counted(answering(500), "/page"), scope(port=METRICS_PORT), *body())
    assert sent[-1]["body"] == b"page"
    assert value("tracking_requests_total", "/page", status="200") is None


def test_what_is_no_request_passes():
    seen = []

    async def app(scope, *_):
        seen.append(scope["type"])

    ask(counted(app, "/none"), {"type": "lifespan"})
    assert seen == ["lifespan"]


def test_methods_that_a_client_invents_share_a_label():
    app = counted(answering(405), "/odd")
    for method in ("BREW", "PROPFIND"):
        ask(app, scope(method=method), *body())
    labels = {"route": "/odd", "method": "other", "status": "405"}
    assert REGISTRY.get_sample_value("tracking_requests_total", labels) == 2


class Route:
    path = "/api/{name}"


@pytest.mark.parametrize(
    ("scope", "template"),
    [
        (scope("/api/x", route=Route()), "/api/{name}"),
        (scope("/runs/get", route=None), "/runs/get"),
        (scope("/static/a/b.js"), "/static/<path:filename>"),
        (scope("/runs/get", method="DELETE"), "/runs/get"),
        (scope("/wherever"), UNKNOWN),
    ],
)
def test_labels_are_templates(scope, template):
    flask = Flask("mlflow")
    flask.add_url_rule("/runs/get", "runs", lambda: "", methods=["GET"])
    assert templates(flask)(scope) == template


@pytest.fixture
def counts(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    return Counts(str(tmp_path))


def write(counts, name, **values):
    file = MmapedDict(str(counts.path / name))
    for key, number in values.items():
        file.write_value(mmap_key(key, key, [], [], ""), number, 0)
    file.close()


def read(counts, name):
    entries = MmapedDict.read_all_values_from_file(str(counts.path / name))
    return sorted(value for _, value, _, _ in entries)


def test_a_new_server_counts_in_a_folder_of_its_own(counts):
    assert os.environ[VARIABLE] == str(counts.path)
    assert list(counts.path.iterdir()) == []
    counts.remove()
    assert not counts.path.exists()


def test_what_dead_workers_counted_is_added_up_in_one_file(counts):
    write(counts, "counter_7.db", a=3, b=1)
    write(counts, "gauge_livesum_7.db", flying=2)
    write(counts, "counter_8.db", a=5)
    write(counts, "counter_9.db", a=7)
    counts.bury(7)
    counts.bury(8)
    counts.bury(6)  # one that never counted
    names = {file.name for file in counts.path.iterdir()}
    assert names == {"counter_9.db", "counter_dead.db"}
    assert read(counts, "counter_dead.db") == [1, 8]


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        ('{"finished": 1764000000.5, "snapshot": "x"}', 1764000000.5),
        ("", 0),
        ("[]", 0),
        ('{"finished": null}', 0),
        ('{"finished": "soon"}', 0),
    ],
)
def test_the_last_backup_is_when_its_file_says(tmp_path, content, seconds):
    file = tmp_path / "last-backup.json"
    assert last_backup(file) == 0
    file.write_text(content)
    assert last_backup(file) == seconds


@pytest.mark.parametrize(("watched", "shown"), [("yes", True), ("no", False)])
def test_nothing_is_said_of_backups_that_others_make(load, counts, tmp_path, watched, shown):
    settings = load(TRACKING_BACKUPS=str(tmp_path), TRACKING_BACKUP_WATCHED=watched)
    page = MetricsPage(settings, None, counts)._text({"backend store": True})
    assert b"tracking_dependency_up" in page
    assert (b"stack_last_backup_timestamp_seconds 0.0" in page) == shown
