"""A model's input example is found in whatever form the release that saved it wrote."""

import json

import pandas as pd
import pytest
from mlflow.models import Model
from sklearn.linear_model import Ridge

from model_server.options import Options
from model_server.processes import wire
from model_server.scoring.mlflow.example import request_body
from model_server.scoring.scorer import Scorer
from tests.unit.serving.scoring.models import doubles, of_sklearn

FRAME = {"type": "dataframe", "pandas_orient": "split"}
BARE_FRAME = {"type": "dataframe", "pandas_orient": "values"}
TENSOR = {"type": "ndarray", "format": "tf-serving"}
OBJECT = {"type": "json_object"}
CHAT = {"messages": [{"role": "user", "content": "hi"}]}


def save(folder, info: dict, example: object) -> Model:
    (folder / "input_example.json").write_text(json.dumps(example))
    return Model(saved_input_example_info={"artifact_path": "input_example.json", **info})


@pytest.mark.parametrize(
    ("info", "example", "body"),
    [  # As MLflow 2.9.2, 2.14.3 and, for the objects, later ones save them.
        (FRAME, {"columns": ["a"], "data": [[1.0]]}, "dataframe_split"),
        (BARE_FRAME, {"data": [[1.0, 2.0]]}, "dataframe_split"),
        (TENSOR, {"inputs": [[1.0, 2.0]]}, None),
        (TENSOR, {"inputs": {"x": [[1.0]]}}, None),
        ({"type": "ndarray"}, {"x": [[1.0]]}, "inputs"),
        (OBJECT, {"question": "who"}, "inputs"),
        (OBJECT, ["hello"], "inputs"),
        (OBJECT, CHAT, None),
    ],
)
@pytest.mark.parametrize("params", [None, {"top": 2}])
def test_example_without_a_request_beside_it_becomes_one(tmp_path, info, example, body, params):
    saved = {"inputs": example, "params": params} if params else example
    metadata = save(tmp_path, info | ({"params": "true"} if params else {}), saved)
    expected = {body: example} if body else example
    if params:
        expected = expected | (params if example is CHAT else {"params": params})
    assert json.loads(request_body(tmp_path, metadata)) == expected


@pytest.mark.parametrize(
    ("info", "example"),
    [
        ({"type": "sparse_matrix_csr"}, {"data": [1], "shape": [1, 1]}),
        ({"type": "of the future"}, [1]),
        (FRAME | {"params": "true"}, [1]),
        ({}, [1]),
    ],
)
def test_example_that_no_request_can_hold_is_none(tmp_path, info, example):
    assert request_body(tmp_path, save(tmp_path, info, example)) is None


def test_the_request_that_mlflow_wrote_goes_first_and_none_is_none(tmp_path):
    metadata = save(tmp_path, OBJECT, [1])
    (tmp_path / "serving_input_example.json").write_text('{"inputs": [2]}')
    assert request_body(tmp_path, metadata) == b'{"inputs": [2]}'
    (tmp_path / "serving_input_example.json").unlink()
    assert request_body(tmp_path, Model()) is None
    (tmp_path / "input_example.json").unlink()
    assert request_body(tmp_path, metadata) is None


def test_an_old_example_with_a_nan_is_answered(tmp_path):
    """MLflow 2 wrote NaN, which JSON has not."""
    model = of_sklearn(Ridge().fit(pd.DataFrame({"a": [0.0, 1.0]}), [0.0, 1.0]), doubles("a"))
    info = {"artifact_path": "input_example.json", **FRAME}
    model.metadata.saved_input_example_info = info
    for value, status in ((0.5, 200), (float("nan"), 400)):  # Ridge takes no NaN
        save(tmp_path, FRAME, {"columns": ["a"], "data": [[value]]})
        scorer = Scorer(model, tmp_path)
        ((answer,),) = [
            reply.answers
            for reply in scorer.replies(
                [wire.Request(wire.WARM_UP, "warm-up", "application/json", scorer.example, 1e9)]
            )
        ]
        assert answer.status == status
    message = json.loads(answer.body)["message"]
    assert message.startswith("The model raised ValueError: Input X contains NaN.")
    assert "request id" not in message


def test_an_example_that_strict_refuses_is_left_to_the_warm_up(tmp_path):
    model = of_sklearn(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), None)
    body = {"dataframe_records": [{"a": 1.0}, {"b": 2.0}]}
    (tmp_path / "serving_input_example.json").write_text(json.dumps(body))
    scorer = Scorer(model, tmp_path, Options(strict=True))
    request = wire.Request(wire.WARM_UP, "warm-up", "application/json", scorer.example, 1e9)
    ((answer,),) = [reply.answers for reply in scorer.replies([request])]
    assert answer.status == 400
