"""Rows of models without a signature: read by MLflow's own parser, merged where they are alike."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from mlflow.models import Model
from mlflow.pyfunc import scoring_server

from model_server.scoring.table import Table

_KINDS = "fiub"
"""Letters of numpy's types that stay what they are when rows are merged."""


def read(body: bytes, metadata: Model) -> tuple[Table, Hashable] | None:
    """The rows, and what those that they are merged with must have, too. None for what cannot be
    merged, and for what MLflow refuses."""
    try:
        parsed = scoring_server._parse_json_data(body, metadata, None)
    except Exception:  # MLflow's own code says it to the client
        return None
    if parsed.params is not None or parsed.is_unified_llm_input:
        return None
    data = parsed.data
    if isinstance(data, pd.DataFrame):
        return _of_frame(data)
    if isinstance(data, np.ndarray) and data.ndim and len(data) and data.dtype.kind in _KINDS:
        return Table((), block=data, is_tensor=True), data.dtype
    return None


def _of_frame(frame: pd.DataFrame) -> tuple[Table, Hashable] | None:
    dtypes = tuple(frame.dtypes)
    if not all(isinstance(dtype, np.dtype) and dtype.kind in _KINDS for dtype in dtypes):
        return None
    if not (frame.size and frame.columns.is_unique):
        return None
    if frame.index.dtype.kind != "i" or not frame.index.equals(pd.RangeIndex(len(frame))):
        return None
    group = (tuple(frame.columns), dtypes)
    if len(set(dtypes)) == 1:
        return Table(frame.columns, block=frame.to_numpy()), group
    columns = [frame[name].to_numpy() for name in frame.columns]
    return Table(frame.columns, columns=columns), group
