"""What MLflow and a model's flavor do that people do not expect, told of the models it concerns.

Nothing here changes an answer: requests are read as `mlflow models serve` reads them, unless
`serving.strict` says otherwise. docs/differences.md has a row for each of these, by its name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mlflow.pyfunc import PyFuncModel
from mlflow.types import DataType

from model_server.errors import bounded
from model_server.scoring.loading import MAX_CHARACTERS
from model_server.scoring.table import Table
from model_server.scoring.traits import (
    by_position,
    columns_holding,
    columns_of,
    fixed_rows,
    flattened_outputs,
    float32_columns,
    in_training,
    is_another_alone,
    lists_of_texts,
    mixed_without_names,
    optional_texts,
    pandas_categories,
    params,
)

MLFLOW = "MLflow 3.17.2"
"""That all of this was seen with."""
_NAMED = 5
"""Columns that a warning names; of more it says how many there are."""

_PARSER = "mlflow/utils/proto_json_utils.py"
_SCHEMA = "mlflow/models/utils.py"


@dataclass(frozen=True)
class Caveat:
    """One thing that people do not expect, and the models that it concerns."""

    name: str
    says: str
    """What happens and what to do; `{}` stands for what it concerns."""
    source: str
    concerns: Callable[[PyFuncModel], Iterable[str]]
    """Names of the columns, say, that the model has of this kind. Empty: none of its business."""
    is_refused_by_strict: bool = False
    is_so: Callable[[PyFuncModel, Table, str], bool] | None = None
    """Tries it on rows that the model takes, where it need not be so of each of them."""

    def concerned(self, model: PyFuncModel, rows: Table | None) -> list[str]:
        """Names of what it is so of in this model, tried on `rows` where it has to be."""
        names = list(self.concerns(model))
        if self.is_so is None:
            return names
        return [name for name in names if rows is not None and self.is_so(model, rows, name)]

    def warning(self, names: list[str]) -> str:
        """One line, of what it concerns."""
        remedy = "; serving.strict refuses it" if self.is_refused_by_strict else ""
        text = self.says.format(_listed(names)) + remedy
        return bounded(f"{self.name}: {text} ({MLFLOW}, {self.source})", MAX_CHARACTERS)


def warnings(model: PyFuncModel, strict: bool = False, rows: Table | None = None) -> list[str]:
    """One line for each caveat that concerns this model, and, with `strict`, is not refused.
    `rows` are some that the model takes."""
    lines = []
    if strict and model.metadata.signature is None:
        lines.append(
            "serving.strict has no signature to hold values against: log the model with one"
        )
    for caveat in CAVEATS:
        if strict and caveat.is_refused_by_strict:
            continue
        # They look into objects of other people's libraries, which may keep them in another way.
        with contextlib.suppress(Exception):
            if names := caveat.concerned(model, rows):
                lines.append(caveat.warning(names))
    return lines


def _listed(names: list[str]) -> str:
    shown = [bounded(str(name), 40) for name in names[:_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


CAVEATS = (
    Caveat(
        "texts",
        "a null in text columns ({}) is missing in dataframe_* and becomes the text 'None' in "
        "inputs and instances, a number stays one in dataframe_* and becomes text in inputs, and "
        "CSV reads NA, null and None as missing: send such rows as dataframe_split",
        _PARSER,
        columns_of(DataType.string, "U"),
        is_refused_by_strict=True,
    ),
    Caveat(
        "lone-null",
        "a null in a text column ({}) is answered in another way where no row of the request has a "
        "text there: it is None then, and NaN beside one: fill it before sending",
        f"{_PARSER}, with pandas 3",
        optional_texts,
        is_so=is_another_alone,
    ),
    Caveat(
        "booleans",
        "in boolean columns ({}) any text but the empty one is true, 'false' too, and so is any "
        "number but 0, and null is false: send true and false",
        _PARSER,
        columns_of(DataType.boolean, "b"),
        is_refused_by_strict=True,
    ),
    Caveat(
        "integers",
        "in integer columns ({}) a fraction is cut off, 1.7 is 1, and in dataframe_* what exceeds "
        "the type wraps around: send integers within it",
        _PARSER,
        columns_of(DataType.integer, DataType.long, "i", "u"),
        is_refused_by_strict=True,
    ),
    Caveat(
        "float32",
        "in float32 columns ({}) what exceeds 3.4e38 becomes infinite, and integers beyond 2**24 "
        "are rounded: send what float32 holds",
        _PARSER,
        float32_columns,
        is_refused_by_strict=True,
    ),
    Caveat(
        "times",
        "in datetime columns ({}) time zones are refused in dataframe_* and converted to UTC in "
        "inputs, where dates before 1678 and after 2261 wrap around, too (9999-12-31 is 1816), and "
        "CSV is always refused: send ISO 8601 without a zone as dataframe_split",
        f"{_PARSER}, mlflow/pyfunc/scoring_server/__init__.py",
        columns_of(DataType.datetime, "M"),
        is_refused_by_strict=True,
    ),
    Caveat(
        "bytes",
        "binary columns ({}) are base64 in dataframe_* and the text's own characters in inputs, "
        "instances and CSV: send base64 as dataframe_split",
        _PARSER,
        columns_of(DataType.binary, "S"),
        is_refused_by_strict=True,
    ),
    Caveat(
        "unnamed-columns",
        "the columns have no names, so that inputs and instances convert all of them to the first "
        "one's type, {}: send dataframe_split",
        _PARSER,
        mixed_without_names,
        is_refused_by_strict=True,
    ),
    Caveat(
        "lists-of-texts",
        "a null in a list of texts ({}) cuts all texts beside it to their first letter: send none",
        f"{_SCHEMA}, with pandas 3",
        lists_of_texts,
        is_refused_by_strict=True,
    ),
    Caveat(
        "lists-of-doubles",
        "lists and objects of doubles ({}) may be refused where all are whole numbers other than 0 "
        "and 1, as JavaScript writes 2.0: write 2.0, or log the model with another type",
        _SCHEMA,
        columns_holding(DataType.double),
    ),
    Caveat(
        "lists-of-narrow-numbers",
        "lists and objects of float or integer ({}) refuse nearly all numbers that JSON brings, "
        "as doubles and longs: log the model with those types",
        _SCHEMA,
        columns_holding(DataType.float, DataType.integer),
    ),
    Caveat(
        "params",
        "a null for a param ({}) goes to the model in place of the default, and unknown params are "
        "ignored: leave out what is not given",
        _SCHEMA,
        params,
        is_refused_by_strict=True,
    ),
    Caveat(
        "by-position",
        "without a signature, {} takes a frame's columns in the order that they come in, whatever "
        "their names: log the model with a signature",
        "mlflow/pyfunc/__init__.py",
        by_position,
    ),
    Caveat(
        "onnx-frames",
        "the graph's outputs of several numbers a row ({}) are flattened in answers to frames, "
        "which are refused where another output is shorter, as that of a classifier's labels: send "
        "inputs, with a signature of tensors or none, or convert with zipmap",
        "mlflow/onnx/__init__.py",
        flattened_outputs,
    ),
    Caveat(
        "pandas-categories",
        "{} was trained on pandas' categories, which JSON has no form for: frames are refused, and "
        "LightGBM takes the numbers of an array as positions among the categories, silently: train "
        "on integer codes, or wrap the model in a pyfunc",
        "LightGBM 4.7 basic.py, XGBoost 3.2 data.py",
        pandas_categories,
    ),
    Caveat(
        "pt2-rows",
        "the exported graph takes requests of exactly {} row, as many as its input example had: "
        "save it with an example of two rows or more",
        "mlflow/pytorch/__init__.py, torch 2.13",
        fixed_rows,
    ),
    Caveat(
        "pt2-training",
        "the graph was exported in training mode ({}): dropout is on, and batch normalisation "
        "takes its statistics from requests: call model.eval() before it is saved",
        "mlflow/pytorch/__init__.py, torch 2.13",
        in_training,
    ),
)
