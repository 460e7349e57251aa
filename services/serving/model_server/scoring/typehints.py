"""Why data does not fit the type hints of a model, field by field and without the data, which
MLflow's own message repeats."""

import itertools
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow.types.type_hints import _convert_data_to_type_hint, _validate_data_against_type_hint

from model_server.processes.wire import Request
from model_server.scoring.raised import MAX_FIELDS, Place, clean, fields, place

BEGIN = "The input does not fit the model's type hint"
_UNIONS = (Union, types.UnionType)


def misfit(model: PyFuncModel, data: object, request: Request) -> str | None:
    """Why the data of `request` does not fit; None where it does, or no type hint tells."""
    try:
        hint = model.unwrap_python_model().predict_type_hints.input
        misfits = _misfits(_convert_data_to_type_hint(data, hint), hint, ())
        problems = "; ".join(itertools.islice(misfits, MAX_FIELDS))
        return problems and clean(f"{BEGIN}: {problems}", request)
    except Exception:  # of a model's own classes, say; MLflow's message has to do
        return None


def _misfits(data: object, hint: Any, path: Place) -> Iterator[str]:
    """What is wrong, place by place: MLflow looks at elements one by one."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is list and isinstance(data, list):
        for at, value in enumerate(data):
            yield from _misfits(value, inner[0], (*path, at))
    elif origin is dict and isinstance(data, dict):
        for name, value in data.items():
            yield from _misfits(value, inner[1], (*path, name))
    elif origin in _UNIONS and data is not None and len(inner) == 2 and type(None) in inner:
        (other,) = (kind for kind in inner if kind is not type(None))
        yield from _misfits(data, other, path)
    else:
        try:
            _validate_data_against_type_hint(data, hint)
        except MlflowException as error:
            yield fields(error.__cause__, path) or f"{place(path)}: {error.message}"
