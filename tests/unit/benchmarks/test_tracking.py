"""What the figures of the tracking servers mean: loads, proofs, ratios, goals."""

import json

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.bursts import Burst
from benchmarks.storage import OURS, REFERENCE
from benchmarks.tracking import RATES, goals, team, void
from benchmarks.tracking.loads import GET_RUN, LOG_METRIC, SPANS, loads
from benchmarks.tracking.measuring import Measured, VoidError, prove, ratio

NUMBER = 1_764_543_210_123_456
ALL = loads(points=100_000)


def measured(rate, p95=4.0):
    return Measured(
        [Burst(one, 2.0, p95, 6.0, 1000, 0, 0.02, 0.03, 0.2) for one in (rate, 2 * rate, 1)]
    )


@pytest.mark.parametrize("load", ALL, ids=lambda load: load.label)
def test_what_is_sent_is_sound_once_the_numbers_are_in(load):
    body = load.request.body
    for name, text in {"n": NUMBER, "k": NUMBER // 1000, "run": "0" * 32}.items():
        body = body.replace(f"{{{{{name}}}}}".encode(), str(text).encode())

    assert b"{{" not in body
    if load.request.path == "/v1/traces":
        (spans,) = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans
        assert {span.trace_id for span in spans.spans} == {str(NUMBER).encode()}
        assert len({span.span_id for span in spans.spans}) == SPANS
    elif body:
        json.loads(body)


def test_every_load_that_writes_is_counted():
    writing = [
        one for one in ALL if one.request.method == "POST" and "/search" not in one.request.path
    ]

    assert all(one.count for one in writing)
    assert len({one.label for one in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("answers", "rows", "proven"),
    [(100, 100, True), (100, 116, True), (100, 99, False), (100, 117, False), (0, 0, True)],
)
def test_what_was_acknowledged_must_be_there_and_nothing_that_was_not_asked(answers, rows, proven):
    if proven:
        prove(LOG_METRIC, answers, rows)
    else:
        with pytest.raises(VoidError, match=f"{answers} answers: {rows} rows"):
            prove(LOG_METRIC, answers, rows)


def test_a_figure_is_void_where_an_answer_was_bad():
    bad = Measured([], void="3 of 9 answers were no 2xx, or missing")
    figures = {GET_RUN.label: {REFERENCE: measured(100), OURS: bad}}

    assert ratio(figures[GET_RUN.label], OURS, REFERENCE) is None
    assert [goal.met for goal in goals(figures)] == [None]
    assert void(figures) == {f"{GET_RUN.label}: {OURS}": bad.void}
    assert set(bad.cells()) == {""}


def test_goals_are_ratios_of_medians():
    figures = {LOG_METRIC.label: {REFERENCE: measured(100, p95=260), OURS: measured(1900, p95=10)}}

    rate, tail = goals(figures)

    assert (rate.ratio, rate.bound, rate.met) == (19, 20, False)
    assert (tail.ratio, tail.bound, tail.met) == (26, 25, True)
    assert team.goals(figures)[0].met is None


def test_every_ratio_that_is_asked_for_is_of_a_load():
    for start in RATES:
        assert [load for load in ALL if load.label.startswith(start)], start


def test_the_gateways_ports_are_where_they_are_replaced():
    text = team.GATEWAY.read_text()

    assert [place for place in team.PLACES if place not in text] == []
