"""A model from its folder, and what MLflow warns of while it loads."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import mlflow.pyfunc
from mlflow.pyfunc import PyFuncModel

from model_server.errors import bounded, without_paths

MAX_WARNINGS = 10
MAX_CHARACTERS = 500
"""Length of one warning."""

_REQUIREMENTS = "mlflow.utils.requirements_utils"
"""Warns of package versions, as `environments.fit` does, which knows which of them matter."""


def load(folder: Path) -> tuple[PyFuncModel, list[str]]:
    """The model, and warnings for people to read. Raises what MLflow and the model raise."""
    with _warnings() as messages:
        model = mlflow.pyfunc.load_model(str(folder))
    texts = (bounded(without_paths(message), MAX_CHARACTERS) for message in messages)
    return model, list(dict.fromkeys(texts))[:MAX_WARNINGS]


def flavor(model: PyFuncModel) -> str:
    """The flavor that it is loaded with: sklearn, onnx, python_function..."""
    loader = model.loader_module or ""
    name = loader.removeprefix("mlflow.").partition(".")[0]
    return "python_function" if name == "pyfunc" or not loader.startswith("mlflow.") else name


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """What is logged by MLflow meanwhile."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name != _REQUIREMENTS:
                messages.append(record.getMessage())

    collector = Collector(logging.WARNING)
    logger = logging.getLogger("mlflow")
    logger.addHandler(collector)
    try:
        yield messages
    finally:
        logger.removeHandler(collector)
