"""What libraries really raise is told with what helps."""

import importlib
import marshal
import pickle
import subprocess
import sys
import types

import mlflow
import pandas as pd
import pytest
import skops.io
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from mlflow.types import ColSpec, Schema
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from model_server.environments.fit import judge
from model_server.environments.needs import Needs
from model_server.errors import bounded, without_paths, without_values
from model_server.remedies import with_remedy


def raised(call, *arguments) -> str:
    """The error as a worker tells it."""
    try:
        call(*arguments)
    except BaseException as error:
        return bounded(without_paths(f"{type(error).__name__}: {without_values(str(error))}"))
    raise AssertionError("nothing was raised")


def enforced(data: object) -> None:
    schema = Schema([ColSpec("long", "x", required=False), ColSpec("double", "y", required=False)])
    data = infer_and_parse_data(data, schema) if isinstance(data, dict) else data
    _enforce_schema(data, schema)


@pytest.mark.parametrize(
    "data",
    [
        {"dataframe_split": {"columns": ["x", "y"], "data": [[None, 1.0]]}},
        {"dataframe_split": {"columns": ["x", "y"], "data": [[None, 1.0], [2, 1.0]]}},
        {"inputs": [{"x": None, "y": 1.0}]},
        pd.DataFrame({"x": [1.0, None]}),
        pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}),
    ],
    ids=["alone", "beside a number", "inputs", "floats", "nullable"],
)
def test_null_in_an_integer_column(data):
    problem = raised(enforced, data)
    said = with_remedy(problem)
    assert said.startswith(problem)
    assert said.endswith("log a column that may have one as a float, with np.nan.")


class Mine(LinearRegression):
    """Belongs to a module that skops does not know."""


def test_types_that_skops_does_not_trust():
    content = skops.io.dumps(Mine().fit([[1.0]], [1.0]))
    said = with_remedy(raised(skops.io.loads, content))
    assert f"log_model(..., skops_trusted_types=['{__name__}.Mine'])" in said
    assert said.startswith("UntrustedTypesFoundException: ")


def test_module_that_is_not_there():
    said = with_remedy(raised(importlib.import_module, "not_there.at_all"))
    assert said.startswith("ModuleNotFoundError: No module named 'not_there'. Name the package")
    assert "extra_pip_requirements" in said
    assert "code_paths" in said


def test_package_that_was_compiled_for_another_numpy():
    """The words of scikit-learn 1.1 on NumPy 2; no package of that time is here."""
    said = with_remedy(
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility. "
        "Expected 96 from C header, got 88 from PyObject"
    )
    assert said.endswith(
        "PyObject. A package was compiled for NumPy 1: log it with "
        "extra_pip_requirements=['numpy<2']."
    )


def test_class_of_a_notebook():
    program = "import pickle, sys\nclass Mine: pass\nsys.stdout.buffer.write(pickle.dumps(Mine()))"
    content = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    said = with_remedy(raised(pickle.loads, content.stdout))
    assert said.startswith("AttributeError: ")
    assert "Define Mine in a module" in said


def test_code_of_another_python_before_it_is_loaded():
    needs = Needs(python=(3, 9), holds_code=True)
    (reason,) = judge(needs, {}, (3, 11)).reasons
    said = with_remedy(f"it needs an environment of its own for {reason}")
    assert "Log it on Python 3.11, or from code (python_model='model.py')" in said


@pytest.mark.parametrize(
    "call",
    [
        lambda: types.CodeType(0, 0, 0, 0, 0, 0, b"", (), (), (), "", "", 0, b""),  # of Python 3.10
        lambda: marshal.loads(b"?"),  # noqa: S302
        lambda: pickle.loads(b"\x80\x09."),  # noqa: S301
    ],
    ids=["code", "marshal", "protocol"],
)
def test_code_of_another_python(call):
    assert "pickled by another Python" in with_remedy(raised(call))


def test_methods_that_a_model_lacks(tmp_path):
    for folder, options in (("transform", {"pyfunc_predict_fn": "transform"}), ("predict", {})):
        scaler = StandardScaler().fit([[1.0]])
        mlflow.sklearn.save_model(scaler, tmp_path / folder, pip_requirements=[], **options)
        said = with_remedy(raised(mlflow.pyfunc.load_model, str(tmp_path / folder)))
        assert said.startswith("MlflowException: Model ")
        assert "PythonModel whose predict calls" in said


@pytest.mark.parametrize("name", ["a#b", "50%25", "two\nlines"])
def test_folder_whose_name_mlflow_reads_as_another(name, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}")
    assert "rename it" in with_remedy(raised(mlflow.pyfunc.load_model, str(folder)))


@pytest.mark.parametrize("problem", ["it took longer than 5 s to load", "ValueError: 3 features"])
def test_what_is_not_known_stays_as_it_is(problem):
    assert with_remedy(problem) == problem


@pytest.mark.parametrize(
    ("problem", "helps"),
    [
        ("PermissionError: [Errno 13] Permission denied: 'index.faiss'", "SERVING_FOLDERS"),
        ("MlflowException: Invalid path: resolved path is outside the artifact directory", "link"),
        ("sqlite3.OperationalError: unable to open database file", "tempfile.gettempdir"),
        ("gaierror: [Errno -3] Temporary failure in name resolution", "serving.network"),
        ("APIConnectionError: Connection error.", "serving.network"),
    ],
)
def test_what_a_confined_model_meets_is_told_with_the_way_out(problem, helps):
    assert helps in with_remedy(problem)
    assert with_remedy(problem).startswith(problem)
