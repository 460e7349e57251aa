"""Comparing answers: it ends soon, and whatever the bytes are it upsets nobody."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_server.metrics import VersionMetrics
from model_server.models import shadow
from model_server.models.shadow import Comparison

DEEP = b"[" * 100_000 + b"]" * 100_000


class Shadow:
    """Stands for a version: has metrics."""

    def __init__(self) -> None:
        self.metrics = VersionMetrics("shadow", "1")
        self.metrics.close()


class Asked:
    """Stands for a job: knows when it was asked."""

    since = time.perf_counter()


def result(first: bytes, second: bytes, status: int = 200) -> str:
    version = Shadow()
    comparison = Comparison(version)
    comparison.first(200, first)
    comparison.second(Asked(), status, second, None)
    ((outcome, count),) = version.metrics.shadow.items()
    assert count == 1
    return outcome


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (b"[1.0]", b"[1.0000000000001]", "agrees"),
        (b"[1.0]", b"[1.1]", "differs"),
        (b'{"model_version": "1", "a": 1}', b'{"model_version": "2", "a": 1}', "agrees"),
        (b"[NaN]", b"[NaN]", "agrees"),
        (b"[NaN]", b"[NaN ]", "differs"),
        (DEEP, DEEP, "agrees"),
        (DEEP, DEEP + b" ", "differs"),
    ],
)
def test_results(first, second, expected):
    assert result(first, second) == expected


def test_long_answers_are_not_parsed(monkeypatch):
    long = b"[" + b" " * shadow.COMPARED + b"1]"
    monkeypatch.setattr(shadow, "_parsed", None)
    assert result(long, long) == "agrees"
    assert result(long, b"[1]") == "differs"


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_bytes_upset_it(first, second):
    assert result(first, second) in ("agrees", "differs")
    assert result(first, first) == "agrees"
