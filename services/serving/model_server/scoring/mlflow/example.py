"""A model's own input example, as the body of a request.

MLflow 3 writes that body beside the model. Older releases, 2.14 for one, wrote only the example
itself, in a form that `saved_input_example_info` in MLmodel tells (their mlflow/models/utils.py,
class _Example).
"""

import json
from pathlib import Path
from typing import Any

from mlflow.models import Model
from mlflow.models.utils import (
    EXAMPLE_DATA_KEY,
    EXAMPLE_PARAMS_KEY,
    SERVING_INPUT_FILENAME,
    _get_mlflow_model_input_example_dict,
    convert_input_example_to_serving_input,
)


def request_body(folder: Path, metadata: Model) -> bytes | None:
    """JSON; None without an example, and for one that no request can hold."""
    file = folder / SERVING_INPUT_FILENAME
    if file.is_file():
        return file.read_bytes()
    info = metadata.saved_input_example_info
    if info is None:
        return None
    try:
        body = _of_example(folder, metadata, info)
    except Exception:  # of another release, or not there
        return None
    return body.encode() if body else None


def _of_example(folder: Path, metadata: Model, info: dict[str, Any]) -> str | None:
    data: Any = _get_mlflow_model_input_example_dict(metadata, str(folder))
    params = None
    if info.get(EXAMPLE_PARAMS_KEY):
        data, params = data[EXAMPLE_DATA_KEY], data[EXAMPLE_PARAMS_KEY]
    match info["type"]:
        case "json_object":
            return convert_input_example_to_serving_input((data, params) if params else data)
        case "dataframe":
            body: dict[str, Any] = {"dataframe_split": data}
        case "ndarray":
            body = data if info.get("format") == "tf-serving" else {"inputs": data}
        case _:  # sparse
            return None
    return json.dumps(body | {"params": params} if params else body)
