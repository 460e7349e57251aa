"""A faster way to a scikit-learn model's answers, taken where it is proven to give the same ones.

Preprocessing and linear models are repeated by numpy, trees by ONNX Runtime, in the same order of
operations as in scikit-learn, so that answers are equal to the last bit on the machines it was
measured on. Nobody has to believe that: when a model is loaded, its engine is held against the
model itself, on

- the input example,
- rows within the signature whose values lie at, just above and just below the thresholds of its
  trees (as doubles and as float32, to which scikit-learn rounds them), at the means and scales of
  its scalers, and among the categories of its encoders,
- rows on the border between two labels, to the last bit of their numbers,
- rows with one NaN, infinity, number too large or too small for float32, unknown or missing
  category, as far as the engine does not leave them to the model,

and one of them that differs is the end of it: the model is served as it is.

Equal means the same type and shape, equal labels, and floats within 1e-12, relative and absolute;
of a classifier that predicts labels, also the scores that it chooses them by.
There is no tolerance for ties: a tie between two labels falls as it does in the model, because the
engine adds up the same numbers in the same order. Where it cannot (the model works on a sparse
matrix), rows as near to a tie as rounding reaches are left to the model. So are rows that a model
refuses or treats in a way of its own, tables of other columns or types than were proven, and, for
trees, tables of more than 1,024 rows.
"""

from __future__ import annotations

import ctypes
import logging
import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel
from mlflow.types import DataType, Schema, TensorSpec

from model_server.scoring.fast.proof import prove
from model_server.scoring.fast.rows import BeyondError, NoFastPath, Prediction, Rows
from model_server.scoring.fast.sampling import Sampler
from model_server.scoring.prediction import Predictor
from model_server.scoring.table import Table

__all__ = ["Engine", "NoFastPath", "find"]

log = logging.getLogger(__name__)

_NUMBERS = (DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double)


class Engine:
    """Predicts as the model does."""

    def __init__(self, steps: Prediction, columns: _ColumnTypes, model: Predictor) -> None:
        self.name = steps.engine
        self._steps = steps
        self._columns = columns
        self._model = model

    def predict(self, table: Table) -> Any:
        """Predictions, by the model itself where only that will do. Raises what it raises."""
        try:
            return self.alone(table)
        except BeyondError:
            return self._model(table)

    def alone(self, table: Table) -> np.ndarray:
        """Predictions without the model's help. Raises BeyondError where only that will do."""
        return self._steps(self._columns.rows(table), table.sizes)

    def scores(self, table: Table) -> np.ndarray:
        """The scores by which a classifier chooses its labels. Raises BeyondError."""
        return self._steps.scores(self._columns.rows(table))


class _ColumnTypes:
    """What a table's columns are by the signature: their names and types."""

    def __init__(self, schema: Schema) -> None:
        self._is_tensor = schema.is_tensor_spec()
        self.types: list[np.dtype]
        if self._is_tensor:
            spec = schema.inputs[0]
            is_one = len(schema.inputs) == 1 and not spec.name
            if not (is_one and isinstance(spec, TensorSpec) and len(spec.shape) == 2):
                raise NoFastPath("its tensors are no rows of columns")
            if spec.shape[1] < 1:
                raise NoFastPath("its tensors are no rows of columns")
            self.names: Sequence[Hashable] = ()
            self.types = [spec.type] * spec.shape[1]
            self._is_block = True
        else:
            kinds = [kind for kind in schema.input_types() if isinstance(kind, DataType)]
            if len(kinds) < len(schema.inputs) or not {*kinds} <= {*_NUMBERS, DataType.string}:
                raise NoFastPath("its signature has columns of other types than numbers and texts")
            names = schema.input_names() if schema.has_input_names() else range(len(kinds))
            self.names = pd.Index(names)
            self.types = [
                np.dtype(kind.to_numpy() if kind in _NUMBERS else object) for kind in kinds
            ]
            self._is_block = len(set(kinds)) == 1 and kinds[0] in _NUMBERS
        self._known_names = self.names

    def rows(self, table: Table) -> Rows:
        """Rows as steps take them. Raises BeyondError at other columns, or where there are none."""
        if not table.rows:
            raise BeyondError
        if table.names is not self._known_names:
            if list(table.names) != list(self.names):
                raise BeyondError
            self._known_names = table.names
        if table.block is not None:
            if self._is_block and table.block.dtype == self.types[0]:
                return table.matrix()
        elif [column.dtype for column in table.columns] == self.types:
            return table.columns
        raise BeyondError

    def table(self, columns: list[np.ndarray]) -> Table:
        """A table of these columns."""
        if self._is_block:
            block = np.stack(columns, axis=1)
            return Table(self.names, block=block, is_tensor=self._is_tensor)
        return Table(self.names, columns=columns)


def find(model: PyFuncModel, example: Table | None) -> Engine:
    """An engine that is proven on `model`, its input example among the rows. Raises NoFastPath."""
    if model.loader_module != "mlflow.sklearn":
        raise NoFastPath("not a scikit-learn model")
    if (schema := model.metadata.get_input_schema()) is None:
        raise NoFastPath("no signature")
    if model.metadata.get_params_schema() is not None:
        raise NoFastPath("predicts with params")
    columns = _ColumnTypes(schema)
    function = model.metadata.flavors["python_function"].get("predict_fn", "predict")
    own = Predictor(model)
    try:
        from model_server.scoring.fast.plan import plan

        estimator = model.get_raw_model()
        steps = plan(estimator, function, columns.names if len(columns.names) else None)
        engine = Engine(steps, columns, own)
        scores = None
        if steps.chooses_by:
            chooses = getattr(estimator, steps.chooses_by)
            scores = lambda table: chooses(table.frame())  # noqa: E731
        sampler = Sampler(columns.types, steps.marks(), columns.table)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of numbers that are odd on purpose
            prove(engine, own, scores, sampler, example)
    except NoFastPath:
        raise
    except Exception as error:  # a release of scikit-learn that keeps its models in another way
        log.warning("no fast path", exc_info=True)
        raise NoFastPath(f"its conversion fails: {type(error).__name__}") from None
    finally:
        _release_memory()
    return engine


def _release_memory() -> None:
    """Conversion makes millions of small objects, whose memory the allocator would keep."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # not glibc
        return
