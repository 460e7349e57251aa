"""What a model raises is its own request's error, also where the exception itself misbehaves."""

import json

import pandas as pd
import pydantic.v1
import pytest
from mlflow.exceptions import MlflowException

from model_server.options import Options
from model_server.processes import wire
from model_server.scoring.scorer import Scorer
from tests.unit.serving.scoring.models import (
    doubles,
    of_function,
    predictions,
    request,
    split,
    with_example,
)


class OfOldPydantic(pydantic.v1.BaseModel):
    number: int


class WithoutModuleError(Exception):
    __module__ = None


class WithoutTextError(Exception):
    def __str__(self):
        raise SystemExit


class WithoutTruthError(Exception):
    def __bool__(self):
        raise ValueError


class OfStatusError(MlflowException):
    def __init__(self, status):
        super().__init__("no")
        self._status = status

    def get_http_status_code(self):
        return self._status


class BareError(MlflowException):
    def __init__(self):  # the parent's sets the attributes
        pass


class OfCodeError(MlflowException):
    def __init__(self):
        super().__init__("no")
        self.error_code = object()


def raising(error):
    def act():
        raise error

    return act


def old_pydantic():
    OfOldPydantic(number="x")


def after_one_without_truth():
    try:
        raise WithoutTruthError
    except WithoutTruthError:
        raise ValueError("in the end") from None


def because_of_one_without_truth():
    raise ValueError("in the end") from WithoutTruthError()


KINDS = {
    "a validation of pydantic 1": (old_pydantic, 400, "ValidationError"),
    "no module": (raising(WithoutModuleError("no")), 400, "WithoutModuleError: no"),
    "no text": (raising(WithoutTextError()), 400, "WithoutTextError"),
    "no truth": (raising(WithoutTruthError()), 400, "WithoutTruthError"),
    "after one without truth": (after_one_without_truth, 400, "in the end"),
    "because of one without truth": (because_of_one_without_truth, 400, "in the end"),
    "a status of no error": (raising(OfStatusError(200)), 500, "no"),
    "a status that HTTP does not have": (raising(OfStatusError(600)), 500, "no"),
    "a status that is no number": (raising(OfStatusError("teapot")), 500, "no"),
    "a status of its own": (raising(OfStatusError(429)), 429, "no"),
    "no attributes": (raising(BareError()), 400, "BareError"),
    "a code that is no text": (raising(OfCodeError()), 500, "no"),
    "an iteration's end": (raising(StopIteration()), 400, "StopIteration"),
    "a generator's end": (raising(GeneratorExit()), 400, "GeneratorExit"),
    "a group": (raising(ExceptionGroup("several", [ValueError()] * 99)), 400, "several"),
    "much text": (raising(ValueError("x" * 9_000_000)), 400, "ValueError: xxx"),
}


@pytest.mark.parametrize("protocol", [wire.MLFLOW, wire.V2])
@pytest.mark.parametrize("merges", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_exception_is_the_error_of_its_own_request(kind, merges, protocol, tmp_path):
    act, status, told = KINDS[kind]

    def predict(frame):
        if (frame["a"] == 13).any():
            act()
        return frame["a"].to_numpy() * 2

    with_example(tmp_path, split(pd.DataFrame({"a": [1.0, 2.0]})))
    scorer = Scorer(of_function(predict, doubles("a")), tmp_path, Options(batch=merges))
    assert scorer.description.batching is merges

    tensor = {"name": "a", "datatype": "FP64", "shape": [1], "data": [13.0]}
    bodies = {wire.MLFLOW: {"inputs": {"a": [13]}}, wire.V2: {"inputs": [tensor]}}
    asked = [
        request({"inputs": {"a": [1]}}, 1),
        request(bodies[protocol], 2, protocol=protocol),
        request({"inputs": {"a": [3]}}, 3),
    ]
    answers = {one.number: one for reply in scorer.replies(asked) for one in reply.answers}
    assert predictions(answers[1].body) == [2]
    assert predictions(answers[3].body) == [6]
    assert answers[2].status == status
    assert told in json.loads(answers[2].body)["message"]
    assert len(answers[2].body) < 3000
