"""What is said of a model's columns, and commands to paste."""

import json
import subprocess
import sys
from types import SimpleNamespace

import mlflow.types.schema as kinds
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from mlflow.types import ColSpec, Schema, TensorSpec

from model_server.front import usage
from model_server.processes.wire import Description

NESTED = kinds.Object([kinds.Property("p", "double"), kinds.Property("q", "string", False)])
TYPES = {
    **{name: name for name in ("boolean", "integer", "long", "float", "double")},
    **{name: name for name in ("string", "binary", "datetime")},
    "array of double": kinds.Array("double"),
    "map of array of string": kinds.Map(kinds.Array("string")),
    "object of {p: double, q?: string}": NESTED,
}
ADDRESS = "http://localhost:8080/models/wine/invocations"


def read(body: object, schema: Schema) -> object:
    """Read as MLflow does. Raises what it raises."""
    return _enforce_schema(infer_and_parse_data(body, schema), schema)


def described(schema: Schema) -> Description:
    return Description(inputs=schema.to_dict())


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("name", TYPES)
def test_columns_say_whether_mlflow_takes_a_null_for_missing(name, required):
    schema = Schema([ColSpec(TYPES[name], "x", required=required), ColSpec("double", "y")])
    field = usage.fields(schema.to_dict())[0]
    assert (field.name, field.type, field.required) == ("x", name, required)
    body = {"dataframe_split": {"columns": ["x", "y"], "data": [[None, 1.0]]}}
    try:
        is_missing = pd.isna(read(body, schema)["x"][0])
    except Exception:
        is_missing = False
    assert bool(is_missing) == field.nullable


def test_tensors_have_a_shape():
    schema = Schema([TensorSpec(np.dtype("float32"), (-1, 3), "x")])
    (field,) = usage.fields(schema.to_dict())
    assert (field.type, field.shape, field.nullable) == ("float32", [-1, 3], True)
    assert usage.fields(None) is None


@pytest.mark.parametrize(
    "schema",
    [
        *(Schema([ColSpec(kind, "it's one"), ColSpec("long", "y")]) for kind in TYPES.values()),
        Schema([ColSpec("double"), ColSpec("double")]),
        Schema([ColSpec("string")]),
        Schema([ColSpec("double"), ColSpec("string"), ColSpec("datetime")]),
        Schema([ColSpec("double", 0), ColSpec("string", 1)]),
        Schema([ColSpec("double", "prompt"), ColSpec("datetime", "at"), ColSpec("integer", "n")]),
        Schema([TensorSpec(np.dtype("datetime64[ns]"), (-1,))]),
        Schema([TensorSpec(np.dtype("float32"), (-1, 2, 3))]),
        Schema(
            [TensorSpec(np.dtype("int64"), (-1, 2), "a"), TensorSpec(np.dtype("bool"), (2,), "b")]
        ),
    ],
    ids=str,
)
def test_bodies_that_are_made_up_fit_the_signature(schema):
    read(json.loads(usage.made_up(described(schema))), schema)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (kinds.Array("integer"), [1]),
        (kinds.Map("float"), {"key": 1.5}),
        (kinds.Array(kinds.Object([kinds.Property("at", "datetime")])), [{"at": "2024-01-01"}]),
    ],
    ids=str,
)
def test_none_is_made_up_where_mlflow_takes_none(kind, data):
    schema = Schema([ColSpec(kind, "x")])
    assert usage.made_up(described(schema)) is None
    with pytest.raises(MlflowException):
        read({"dataframe_split": {"columns": ["x"], "data": [[data]]}}, schema)


def test_bodies_that_are_made_up_stay_small():
    assert usage.made_up(Description()) is None
    assert usage.made_up(described(Schema([TensorSpec(np.dtype("f4"), (-1, 3, 224, 224))]))) is None
    wide = Schema([ColSpec("double", f"column {at}") for at in range(1000)])
    assert usage.made_up(described(wide)) is None


NASTY = {"inputs": {'it\'s $(touch x) `y` "z" \\': ["ü\n\t'\\''", 1e300, None, True, "$TOKEN"]}}


@pytest.mark.parametrize("with_token", [True, False])
def test_a_shell_passes_on_every_character(with_token):
    address = "http://[::1]:8080/models/a%27b/invocations"
    body = json.dumps(NASTY, ensure_ascii=False).encode()
    text = usage.curl(address, body, with_token=with_token)
    assert text.startswith("curl ")
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + text
    done = subprocess.run(
        ["bash", "-euc", script], env={"TOKEN": "s3 cret"}, capture_output=True, check=True
    )
    said = done.stdout.decode().split("\0")[:-1]
    token = ["-H", "authorization: Bearer s3 cret"] if with_token else []
    assert said[:-1] == [address, "-H", "content-type: application/json", *token, "-d"]
    assert json.loads(said[-1]) == NASTY


def test_python_sends_every_character():
    text = usage.python(ADDRESS, json.dumps(NASTY).encode(), with_token=True)
    script = text.replace(
        "from urllib.request import Request, urlopen",
        "from urllib.request import Request\nimport io\n"
        "def urlopen(request): return io.BytesIO(request.data)",
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"TOKEN": "x"}, capture_output=True, check=True
    )
    assert eval(done.stdout) == NASTY  # noqa: S307


@pytest.mark.parametrize(
    ("example", "reason", "said"),
    [
        (None, "logged without one", "logged without one: curl and python have values"),
        (b'{"inputs": [NaN]}', None, "it is not strict JSON: curl and python have values"),
        (b'{"inputs": [1e400]}', None, "it is not strict JSON: curl and python have values"),
        (b"\xff", None, "it is not strict JSON: curl and python have values"),
    ],
)
def test_without_a_good_example_commands_have_values_that_are_made_up(example, reason, said):
    description = described(Schema([ColSpec("double", "x")]))
    version = SimpleNamespace(description=description, example=example, example_reason=reason)
    entry = SimpleNamespace()
    usage.explain(entry, version, ADDRESS, with_token=False)
    assert entry.input_example is None
    assert entry.input_example_reason.startswith(said)
    assert '"data": [[1.5]]' in entry.curl
    version.description = Description()
    usage.explain(entry, version, ADDRESS, with_token=False)
    assert entry.curl is None
